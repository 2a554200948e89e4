"""Looks at the incidents when they change or it is time, and has messages sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.notify.announcing import LONGEST_LATE
from buildbot_http_status_push.board.notify.notify_file import Notify
from buildbot_http_status_push.board.notify.reports import (
    Looked,
    forget,
    forget_incidents,
    look,
    open_reports,
    reported_open,
)
from buildbot_http_status_push.board.notify.rules import LONGEST
from buildbot_http_status_push.board.notify.senders import Senders
from buildbot_http_status_push.board.notify.texts import kept_back
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.database import Database, Operation, StorageError, masked

EVERY = 5.0
"""Seconds between two looks at most."""
AT_LEAST_EVERY = 60.0
"""Seconds between two looks where nothing has changed: the clock may have been set."""
FORGET_EVERY = 86_400.0
CLOSED_MOST = 500
"""How many incidents that were closed lately are looked at."""


class Incidents(Protocol):
    """Where incidents come from."""

    def incidents(self) -> Deferred[list[Incident]]:
        """Return the open incidents."""

    def closed_incidents(self, closed_at: float, limit: int) -> Deferred[list[Incident]]:
        """Return incidents that were closed before a time, those first that were closed last."""

    def incident(self, number: str) -> Deferred[tuple[Incident, list[Step]] | None]:
        """Return an incident with the steps of its life."""


@define(eq=False)
class Notifier:
    """Reports incidents as a file of rules says.

    Args:
        reactor: The network and the clock.
        file: The rules and destinations.
        url: The database of the outbox.
        owner: In whose name deliveries are claimed.
        public_url: The board's URL, as readers reach it.
        incidents: Where incidents come from.
        is_ready: Whether the incidents are up to date with what the board was sent.
        in_thread: Runs a function in another thread.
        log: Where lines go.

    Attributes:
        looked: What the last look has come to.
        is_woken: Whether the next look is due since incidents may have changed.
    """

    _reactor: Any
    _file: RuleFile[Notify]
    _url: str
    _owner: str
    _public_url: str
    _incidents: Incidents
    _is_ready: Callable[[], bool]
    _in_thread: Callable[..., Deferred[Any]]
    _log: Logger = field(factory=Logger)
    looked: Looked = field(default=Looked(kept={}, again_at=None, messages=0), init=False)
    _senders: Senders = field(init=False)
    _database: Database | None = field(default=None, init=False)
    _looping: LoopingCall = field(init=False)
    _ended: Deferred[LoopingCall] | None = field(default=None, init=False)
    is_woken: bool = field(default=True, init=False)
    _due: float = field(default=0.0, init=False)
    _forget_at: float = field(default=0.0, init=False)
    _is_in_trouble: bool = field(default=False, init=False)
    _used: Notify | None = field(default=None, init=False)
    _steps: dict[str, tuple[Incident, Sequence[Step]]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._senders = Senders(self._reactor, self._url, self._owner, self._in_thread, self._log)
        self._looping = LoopingCall(lambda: Deferred.fromCoroutine(self._tick()))
        self._looping.clock = self._reactor

    def start(self) -> None:
        """Begin to look and to send."""
        self._ended = self._looping.start(EVERY)

    async def stop(self) -> None:
        """Look no more, end attempts, and close the database."""
        self._looping.stop()
        if self._ended is not None:
            await self._ended
        await self._senders.stop()
        if self._database is not None:
            await self._in_thread(self._database.close)

    def wake(self) -> None:
        """Take it that incidents may have changed."""
        self.is_woken = True

    def read_again(self) -> None:
        """Read the file again, whether it has changed or not."""
        self._file.forget()
        self._due = 0.0

    def kept_back(self) -> str:
        """Return how many open incidents are not reported, and why; empty where there are none."""
        kept = {number: why for of in self.looked.kept.values() for number, why in of.items()}
        there = [each for each, _ in self._steps.values() if each.is_open and each.id in kept]
        reasons = [kept[each.id] for each in there]
        return kept_back(reasons, [self._reactor.seconds() - each.opened_at for each in there])

    async def _tick(self) -> None:
        try:
            await self._in_thread(self._file.read)
            notify = self._file.rules
            if notify is not self._used:
                await self._senders.use(dict(notify.destinations))
                self._used = notify
                self.is_woken = True
            now = self._reactor.seconds()
            if self._is_ready() and (self.is_woken or now >= self._due):
                await self._look(now)
        except StorageError as trouble:
            self._report(trouble)
        except Exception:  # of one look; the next may go well
            self._due = self._reactor.seconds() + AT_LEAST_EVERY
            self._log.failure("notify: reading the incidents failed; trying again")
        else:
            self._is_in_trouble = False

    async def _look(self, now: float) -> None:
        self.is_woken = False
        try:
            incidents = await self._found(now)
            steps = await self._steps_of(incidents)
            notify = self._file.rules
            operation = partial(
                look,
                notify=notify,
                incidents=incidents,
                steps=steps,
                public_url=self._public_url,
                now=now,
            )
            before = self.looked.faults
            [self.looked] = await self._transact(operation)
            for number in self.looked.faults.keys() - before.keys():
                self._log.failure(
                    "notify: making the message of incident {number} failed; trying again",
                    Failure(self.looked.faults[number]),
                    number=number,
                )
            if now >= self._forget_at:
                there = frozenset(each.id for each in incidents)
                await self._transact(partial(forget, there=there, now=now))
                self._forget_at = now + FORGET_EVERY
        except StorageError:
            self.is_woken = True
            raise
        latest = now + AT_LEAST_EVERY
        self._due = latest if self.looked.again_at is None else min(latest, self.looked.again_at)

    async def _found(self, now: float) -> list[Incident]:
        """Return the incidents of which something may be said."""
        there = await self._incidents.incidents()
        closed = await self._incidents.closed_incidents(now, CLOSED_MOST)
        since = now - LONGEST_LATE - LONGEST
        found = {each.id: each for each in (*there, *closed) if (each.closed_at or now) > since}
        operation = partial(reported_open, destinations=list(self._file.rules.destinations))
        [reported] = await self._transact(operation)
        gone = []
        for number in sorted({*reported} - found.keys()):
            one = await self._incidents.incident(number)
            if one is None:
                gone.append(number)
            else:
                found[number] = one[0]
        if gone:
            await self._transact(partial(forget_incidents, gone=gone))
        return list(found.values())

    async def _steps_of(self, incidents: Iterable[Incident]) -> Mapping[str, Sequence[Step]]:
        """Return the steps, read where an incident has changed."""
        fresh: dict[str, tuple[Incident, Sequence[Step]]] = {}
        for each in incidents:
            known = self._steps.get(each.id)
            if known is None or known[0] != each:
                read = await self._incidents.incident(each.id)
                known = (each, () if read is None else read[1])
            fresh[each.id] = known
        self._steps = fresh
        return {number: steps for number, (_, steps) in fresh.items()}

    async def _transact(self, operation: Operation) -> list[Any]:
        results: list[Any] = await self._in_thread(self._transacted, operation)
        return results

    def _transacted(self, operation: Operation) -> list[Any]:
        try:
            if self._database is None:
                self._database = open_reports(self._url)
            return self._database.transact([operation])
        except StorageError:
            if self._database is not None:
                self._database.close()
                self._database = None
            raise

    def _report(self, trouble: StorageError) -> None:
        if not self._is_in_trouble:
            self._is_in_trouble = True
            self._log.error(
                "notify: {url} can't be used: {trouble}; messages are sent later",
                url=masked(self._url),
                trouble=trouble,
            )
