"""Keeps the incidents up with what is stored. Knows no SQL and no rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import StorageError

GATHER = 1.0
"""Seconds between two looks at least: what is stored in between is read at once."""
EVERY = 15.0
"""Seconds after which to look though nothing has been stored: incidents close by themselves."""
AFTER_TROUBLE = 5.0
"""Seconds after which to look again where the database could not be written to."""


@define(eq=False)
class IncidentFollower:
    """Makes incidents of what is stored, soon after it was.

    Attributes:
        is_at_end: Whether all that was stored has been read: what is known of incidents before
            that is not yet true.
    """

    _clock: IReactorTime
    _store: Store
    _log: Logger = field(factory=Logger)
    is_at_end: bool = field(default=False, init=False)
    _next: IDelayedCall | None = field(default=None, init=False)
    _is_running: bool = field(default=False, init=False)
    _is_due: bool = field(default=False, init=False)
    _is_stopped: bool = field(default=True, init=False)
    _has_failed: bool = field(default=False, init=False)
    _running: Deferred[None] | None = field(default=None, init=False)
    _listeners: list[Callable[[], None]] = field(factory=list, init=False)
    _unsubscribe: Callable[[], None] = field(default=lambda: None, init=False)

    def start(self) -> None:
        """Read on from where the incidents are."""
        self._is_stopped = False
        self._unsubscribe = self._store.subscribe(self._wake)
        self._look_in(0.0)

    async def stop(self) -> None:
        """Read no more."""
        self._is_stopped = True
        self._unsubscribe()
        if self._next is not None and self._next.active():
            self._next.cancel()
        if self._running is not None:
            await self._running

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after each look that made steps, or that was the first at the end.

        Returns:
            How to end that.
        """
        self._listeners.append(callback)
        return partial(self._listeners.remove, callback)

    def _wake(self) -> None:
        self._is_due = True
        if not self._is_running:
            self._look_in(GATHER)

    def _look_in(self, seconds: float) -> None:
        if self._is_stopped:
            return
        at = self._clock.seconds() + seconds
        if self._next is not None and self._next.active():
            if self._next.getTime() <= at:
                return
            self._next.cancel()
        self._next = self._clock.callLater(seconds, self._look)

    def _look(self) -> None:
        self._is_running, self._is_due = True, False
        self._running = Deferred.fromCoroutine(self._follow())

    async def _follow(self) -> None:
        wait = EVERY
        try:
            has_changed = not self.is_at_end
            while not self._is_stopped:
                followed = await self._store.follow()
                self.is_at_end = followed.is_at_end
                has_changed = has_changed or bool(followed.steps)
                if followed.is_at_end:
                    break
            if self._has_failed:
                self._has_failed = False
                self._log.info("incidents are kept again")
            if has_changed:
                for each in tuple(self._listeners):
                    each()
        except StorageError as error:
            # What was stored meanwhile may be more than is read at once.
            self.is_at_end = False
            wait = AFTER_TROUBLE
            if not self._has_failed:
                self._has_failed = True
                self._log.error(
                    "incidents can't be kept: {error}; trying again every {seconds:g} s",
                    error=error,
                    seconds=AFTER_TROUBLE,
                )
        except Exception:  # of one look; the next may go well
            self.is_at_end = False
            wait = AFTER_TROUBLE
            if not self._has_failed:
                self._has_failed = True
                self._log.failure(
                    "incidents can't be kept; trying again every {seconds:g} s",
                    seconds=AFTER_TROUBLE,
                )
        finally:
            self._is_running = False
        # Something may have been stored while it looked.
        self._look_in(min(wait, GATHER) if self._is_due and not self._has_failed else wait)
