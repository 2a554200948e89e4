"""Has requests, workers and builders reported at a start, and when an event was lost.

Events are missed while a master is down, and Buildbot has none for much of what a configuration
changes. Must not know what is reported of a state, nor where it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeAlias

from attrs import asdict, evolve, frozen
from buildbot.data.resultspec import Filter
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.report.catchup import AFTER_FAILURE, INTERVAL, SOON, ScanTimer
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import delivery_id
from buildbot_http_status_push.report.progress import STATE_CLASS
from buildbot_http_status_push.report.states import FOUND, request_identity

STATE_NAME = "states"

IDS = {"buildrequests": "buildrequestid", "workers": "workerid", "builders": "builderid"}
INVENTORY = ("workers", "builders")

PAGE = 200
AT_ONCE = 20
"""So many are reported in one go: one commit for all, and short turns for the master."""
SETTLED = 1.0
"""Seconds after a start or a change of the configuration: workers are made last."""
LOOKS = 2
"""How often the inventory is looked at after that: a slow start needs longer."""
OVERLAP = 120
"""Seconds that a request's completion may take until it can be seen in the database."""

Report: TypeAlias = Callable[[Event], "Deferred[Event]"]
Row: TypeAlias = dict[str, Any]


@frozen
class Seen:
    """What was seen before; kept in the master's database.

    Args:
        completed: All requests that were completed before this time have been reported.
        lowest: The lowest id of the requests that may be completed since.
        workers: The ids of the workers that the master had.
        builders: The ids of the builders that it had.
    """

    completed: int
    workers: Collection[int] | None = None
    builders: Collection[int] | None = None
    lowest: int = 0


class StateCatchup:
    """Looks at everything when the reporter starts, and at what is new from then on."""

    def __init__(self, master: Any, name: str, outbox: Outbox, report: Report, log: Logger) -> None:
        self._master = master
        self._name = name
        self._outbox = outbox
        self._report = report
        self._log = log
        self._timer = ScanTimer(master.reactor, self.scan, self._failed)
        self._kinds = frozenset[str]()
        self._consumers: list[Any] = []
        self._seen: Seen | None = None
        self._requests_due = False
        self._is_first = True
        self._looks = 0
        self._touched: set[tuple[str, int]] = set()
        self._again: set[tuple[str, int]] = set()
        self._patience = SOON
        self._last: tuple[float, float, int] | None = None
        self._stopped = False

    async def start(self, kinds: Iterable[str]) -> None:
        """Look at everything of these kinds soon, and at what is new every minute."""
        before, self._kinds = self._kinds, frozenset(kinds)
        await self._stop_listening()
        if self._kinds:
            self._requests_due |= "buildrequests" in self._kinds - before
            await self._listen()
            self.configured()

    async def _listen(self) -> None:
        start = self._master.mq.startConsuming
        self._consumers.append(await start(self._changed, ("builders", None, None)))
        self._consumers.append(await start(self._changed, ("masters", None, "stopped")))

    async def _stop_listening(self) -> None:
        while self._consumers:
            await maybeDeferred(self._consumers.pop().stopConsuming)

    async def stop(self) -> None:
        """Look no more, and wait for what is being reported just now."""
        self._stopped = True
        await self._stop_listening()
        await self._timer.stop()

    def configured(self) -> None:
        """Look at workers and builders soon: the configuration may have changed."""
        if self._kinds:
            self._looks = LOOKS
            self._timer.after(SETTLED)

    def all_again(self) -> None:
        """Look at everything again in a few seconds: what was reported may be lost."""
        if self._kinds:
            self._is_first = False
            self._everything_is_due()
            self._timer.after(SOON)

    def handled(self, kind: str, number: str) -> None:
        """Take note of one that an event of Buildbot's is about: its report is under way."""
        self._touched.add((kind, int(number)))

    def again(self, kind: str, number: str) -> None:
        """Look at one again in a while, which is longer each time: it could not be reported."""
        if kind in self._kinds:
            self._again.add((kind, int(number)))
            self._timer.after(self._patience)

    def _everything_is_due(self) -> None:
        self._requests_due = "buildrequests" in self._kinds
        self._looks = LOOKS

    def _changed(self, key: tuple[str, str, str], message: Row) -> None:
        if key[0] == "masters":
            # What it had claimed is free again, and no event says so.
            self._is_first = False
            self._requests_due |= "buildrequests" in self._kinds
        elif key[2] == "stopped" and message["name"] in self._configured("builders"):
            return  # a master that stops takes its builders with it
        self.configured()

    def _failed(self, failure: Failure) -> None:
        self._everything_is_due()
        self._log.warn(
            "{name}: reading requests, workers and builders from the master's database failed "
            "({trouble}); trying again in {wait:.0f} s",
            name=self._name,
            trouble=failure.getErrorMessage(),
            wait=AFTER_FAILURE,
        )

    async def scan(self) -> None:
        """Look once."""
        if not self._kinds:
            return
        begun = self._master.reactor.seconds()
        # What has had an event since the start is reported, unless that failed.
        self._touched = self._touched - self._again if self._is_first else set()
        seen = await self._load()
        await self._look_at_failed()
        if self._looks:
            self._looks -= 1
            for kind in INVENTORY:
                seen = await self._look_at(kind, seen)
        if "buildrequests" in self._kinds:
            lowest = await self._lowest_incomplete()
            since = min(seen.completed, int(begun) + OVERLAP) - OVERLAP
            await self._look_at_requests(since, seen.lowest)
            seen = await self._advanced(seen, begun, lowest)
        self._is_first = False
        if not self._stopped and seen != self._seen:
            await self._save(seen)

    async def _look_at_failed(self) -> None:
        """Report those that could not be reported, as they are now."""
        due, self._again = self._again, set()
        self._patience = min(2 * self._patience, INTERVAL) if due else SOON
        for kind in sorted(self._kinds):
            numbers = sorted(number for each, number in due if each == kind)
            rows = [await self._master.data.get((kind, number)) for number in numbers]
            await self._report_all(kind, [each for each in rows if each is not None])

    async def _lowest_incomplete(self) -> int:
        """Return the lowest id that an incomplete request has, or the next one will have."""
        get, number = self._master.data.get, "buildrequestid"
        incomplete = Filter("complete", "eq", [False])
        rows = list(await get(("buildrequests",), filters=[incomplete], order=[number], limit=1))
        if rows:
            return _number("buildrequests", rows[0])
        rows = list(await get(("buildrequests",), order=[f"-{number}"], limit=1))
        return _number("buildrequests", rows[0]) + 1 if rows else 0

    async def _look_at_requests(self, since: int, lowest: int) -> None:
        """Report those that are not complete, if that is due, and those completed since a time."""
        if self._requests_due:
            self._requests_due = False
            await self._report_pages(0, Filter("complete", "eq", [False]))
        completed = Filter("complete", "eq", [True]), Filter("complete_at", "ge", [since])
        await self._report_pages(lowest, *completed)

    async def _look_at(self, kind: str, seen: Seen) -> Seen:
        """Report what the configuration has, and what it had and has no more."""
        if kind not in self._kinds:
            return seen
        names, before = self._configured(kind), getattr(seen, kind)
        rows: list[Row] = list(await self._master.data.get((kind,)))
        mine = {_number(kind, each) for each in rows if each["name"] in names}
        if before is None:  # a receiver may know any of those that are gone
            before = {_number(kind, each) for each in rows if not _is_elsewhere(kind, each)}
        wanted = mine.union(before)
        await self._report_all(kind, [each for each in rows if _number(kind, each) in wanted])
        failed = any(kind == each for each, _ in self._again)
        if self._looks or failed or not self._outbox.durable:
            mine.update(before)  # until it is certain that what is gone is reported as that
        had = {**asdict(seen), kind: sorted(mine)}
        return Seen(**had)

    def _configured(self, kind: str) -> set[str]:
        return {each.name for each in getattr(self._master.config, kind)}

    async def _report_pages(self, lowest: int, *filters: Filter) -> None:
        # By id, as no index of Buildbot's knows when a request was completed.
        last = lowest - 1
        while not self._stopped:
            newer = Filter("buildrequestid", "gt", [last])
            page: list[Row] = list(
                await self._master.data.get(
                    ("buildrequests",),
                    filters=[*filters, newer],
                    order=["buildrequestid"],
                    limit=PAGE,
                )
            )
            if not page:
                return
            await self._report_all("buildrequests", await self._unknown(page))
            last = page[-1]["buildrequestid"]

    async def _unknown(self, page: list[Row]) -> list[Row]:
        """Leave out the completed requests that have been reported."""
        ids = {
            each["buildrequestid"]: delivery_id(self._name, request_identity(each, FOUND, "", 0))
            for each in page
            if each["complete"]
        }
        known = await self._outbox.known(ids.values()) if ids else set[str]()
        return [each for each in page if ids.get(each["buildrequestid"]) not in known]

    async def _report_all(self, kind: str, rows: list[Row]) -> None:
        for first in range(0, len(rows), AT_ONCE):
            if self._stopped:
                return
            some = rows[first : first + AT_ONCE]
            # Of what an event has come since, that event is the newer one.
            still = [each for each in some if (kind, _number(kind, each)) not in self._touched]
            await gatherResults([self._report(_event(kind, each)) for each in still])
            await deferLater(self._master.reactor, 0)  # where all is as before, nothing waits

    async def _advanced(self, seen: Seen, begun: float, lowest: int) -> Seen:
        """Note how far completed requests are reported: what is pending may be lost yet."""
        if any(kind == "buildrequests" for kind, _ in self._again):
            return seen
        oldest = await self._outbox.oldest_pending_request()
        last, self._last = self._last, (begun, self._master.reactor.seconds(), lowest)
        if last is None or (oldest is not None and oldest <= last[1]) or not self._outbox.durable:
            return seen
        return evolve(seen, completed=int(last[0]), lowest=last[2])

    async def _load(self) -> Seen:
        if self._seen is None:
            state = self._master.db.state
            found = await state.getState(await self._object(), STATE_NAME, None)
            if found is not None:
                self._seen = Seen(**found)
                return self._seen
            now = int(self._master.reactor.seconds())
            return await self._save(Seen(completed=now + OVERLAP))
        return self._seen

    async def _save(self, seen: Seen) -> Seen:
        await self._master.db.state.setState(await self._object(), STATE_NAME, asdict(seen))
        self._seen = seen
        return seen

    async def _object(self) -> int:
        # Each master has workers and builders of its own, whatever outbox it has.
        name = f"{self._name} {self._master.name}"
        number: int = await self._master.db.state.getObjectId(name, STATE_CLASS)
        return number


def _number(kind: str, row: Row) -> int:
    number: int = row[IDS[kind]]
    return number


def _is_elsewhere(kind: str, row: Row) -> bool:
    """Return whether any running master's configuration has it."""
    return bool(row["masterids" if kind == "builders" else "configured_on"])


def _event(kind: str, row: Row) -> Event:
    return Event((kind, str(_number(kind, row)), FOUND), row)
