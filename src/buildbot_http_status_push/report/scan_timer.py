"""When a scan is made: at regular intervals, or soon after something asked for one.

Must not know what is scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

INTERVAL = 60.0
"""Seconds after which what no event told of is found at the latest."""
SOON = 5.0
AFTER_FAILURE = 30.0


class ScanTimer:
    """Makes a scan again and again, one at a time.

    Args:
        reactor: The clock.
        scan: Makes one scan.
        on_failure: Called with the failure of a scan, which is made again after a while.
    """

    def __init__(
        self,
        reactor: Any,
        scan: Callable[[], Coroutine[Any, Any, None]],
        on_failure: Callable[[Failure], None],
    ) -> None:
        self._reactor = reactor
        self._scan = scan
        self._on_failure = on_failure
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._stopped = False

    def after(self, wait: float) -> None:
        """Scan after a while at the latest.

        Args:
            wait: Seconds.
        """
        if self._stopped:
            return
        if self._timer is not None and self._timer.active():
            wait = min(wait, self._timer.getTime() - self._reactor.seconds())
            self._timer.cancel()
        self._timer = self._reactor.callLater(max(wait, 0), self._start_scan)

    async def stop(self) -> None:
        """Scan no more, and wait for the end of the scan that is under way."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._running is not None:
            await self._running

    def _start_scan(self) -> None:
        if self._running is not None:
            self.after(SOON)
            return
        self._running = Deferred.fromCoroutine(self._scan())
        self._running.addCallbacks(lambda _: INTERVAL, self._failed).addCallback(self._ended)

    def _failed(self, failure: Failure) -> float:
        self._on_failure(failure)
        return AFTER_FAILURE

    def _ended(self, wait: float) -> None:
        self._running = None
        self.after(wait)
