"""An event to wait for, which is remembered until someone has waited for it, and then reset."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Wakeup:
    """An event that resets itself, for one that waits.

    Args:
        clock: Tells when it has been waited for long enough.
    """

    _clock: IReactorTime
    _is_set: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def set(self) -> None:
        """Wake who waits, or who does so next."""
        self._is_set = True
        self._wake()

    async def wait(self, timeout: float) -> None:
        """Wait until it is set, and reset it.

        Args:
            timeout: Seconds after which to wait no longer.
        """
        if not self._is_set:
            call = self._clock.callLater(timeout, self._wake)
            await self._woken(call)
        self._is_set = False

    async def _woken(self, call: IDelayedCall) -> None:
        self._waiting = Deferred()
        try:
            await self._waiting
        finally:
            self._waiting = None
            if call.active():
                call.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
