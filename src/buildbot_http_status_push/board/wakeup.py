"""Something to wait for: a ring that is remembered until someone has waited for it."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


@define(eq=False)
class Bell:
    """One that a single listener waits for.

    Args:
        clock: Tells when the listener has waited long enough.
    """

    _clock: IReactorTime
    _rung: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def ring(self) -> None:
        """Wake the listener, now or when it next waits."""
        self._rung = True
        self._wake()

    async def wait(self, patience: float) -> None:
        """Wait for a ring.

        Args:
            patience: Seconds after which to wait no longer.
        """
        if not self._rung:
            call = self._clock.callLater(patience, self._wake)
            await self._silence(call)
        self._rung = False

    async def _silence(self, call: IDelayedCall) -> None:
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
