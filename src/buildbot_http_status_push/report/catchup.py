"""What the master's database says should have been sent, and was not.

The database is the truth, an event only a hint: a master that is killed between the row and the
event never emits it again. Knows Buildbot's data API; must not know HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from attrs import define
from buildbot.data.resultspec import Filter
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import FINISHED, NEW, build_event_id

INTERVAL = 300.0
SOON = 5.0
PAGE = 200
TRIES = 2
STATE_CLASS = "buildbot_http_status_push.catchup"

Build: TypeAlias = dict[str, Any]
Announce: TypeAlias = Callable[[Event], "Deferred[Event]"]


class Source(Protocol):
    """What catch-up needs of an outbox."""

    @property
    def durable(self) -> bool:
        """Whether deliveries are where they should be."""

    def known(self, ids: Collection[str]) -> Deferred[set[str]]:
        """Return those of the ids that have been seen."""

    def oldest_pending_build(self) -> Deferred[int | None]:
        """Return the lowest id of the builds that have a delivery still to be sent."""


@define
class _Progress:
    """How far catch-up has come; kept in the master's database, since an outbox can be lost.

    Args:
        since: When the reporter first ran, in whole seconds since the epoch, like build times.
        build: Builds up to this id need not be looked at again.
    """

    since: int
    build: int


_UNKNOWN = _Progress(0, 0)


class Catchup:
    """Finds builds whose announcement is missing, and has it made.

    Args:
        master: The Buildbot master.
        name: The reporter's name.
        outbox: Tells what has been announced.
        announce: Puts an event through the reporter's generators into the outbox.
        wants: Tells whether a generator wants events of a routing key.
        log: Where lines go.
    """

    def __init__(
        self,
        master: Any,
        name: str,
        outbox: Source,
        announce: Announce,
        wants: Callable[[tuple[str, str, str]], bool],
        log: Logger,
    ) -> None:
        self._master = master
        self._name = name
        self._outbox = outbox
        self._announce = announce
        self._wants = wants
        self._log = log
        self._progress = _UNKNOWN
        self._seen = 0
        self._unsettled: dict[int, int] = {}
        self._timer: IDelayedCall | None = None
        self._scan: Deferred[None] | None = None
        self._stopped = False

    async def prepare(self) -> None:
        """Find out where to begin, before the first event comes; where that fails, later."""
        try:
            await self._begin()
        except Exception as trouble:  # the database's own; a master starts all the same
            self._failed(Failure(trouble))

    async def settle_unfinished_requests(self) -> None:
        """Announce what the latest builds owe to build requests that will get another build.

        To be awaited before builds start: what is announced later comes after the next build of
        the same request. A crash leaves such builds, ended with RETRY when the master starts.
        """
        try:
            await self._settle(await self._of_unfinished_requests())
        except Exception as trouble:  # the database's own; a master starts all the same
            self._failed(Failure(trouble))

    async def _of_unfinished_requests(self) -> list[Build]:
        newer = [Filter("buildid", "gt", [self._progress.build])]
        latest = await self._master.data.get(
            ("builds",), filters=newer, order=["-buildid"], limit=PAGE
        )
        requests = {build["buildrequestid"] for build in latest}
        unfinished = [
            Filter("buildrequestid", "eq", list(requests)),
            Filter("complete", "eq", [False]),
        ]
        found = await self._master.data.get(("buildrequests",), filters=unfinished)
        going_on = {request["buildrequestid"] for request in found}
        return [
            build
            for build in reversed(latest)
            if build["complete"] and build["buildrequestid"] in going_on
        ]

    def start(self) -> None:
        """Look now, and every few minutes from now on."""
        self._schedule(0)

    def soon(self) -> None:
        """Look again in a few seconds: something could not be announced."""
        self._schedule(SOON)

    def forget(self) -> None:
        """Look at everything again that may have been pending: the outbox was lost."""
        self._seen = self._progress.build
        self._unsettled.clear()
        self._schedule(0)

    async def stop(self) -> None:
        """Look no more, and wait for what is being announced just now."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._scan is not None:
            await self._scan

    def _schedule(self, wait: float) -> None:
        if self._stopped:
            return
        if self._timer is not None and self._timer.active():
            wait = min(wait, self._timer.getTime() - self._master.reactor.seconds())
            self._timer.cancel()
        self._timer = self._master.reactor.callLater(max(wait, 0), self._look)

    def _look(self) -> None:
        if self._scan is not None:
            self._schedule(SOON)
            return
        self._scan = ensureDeferred(self.scan())
        self._scan.addErrback(self._failed)
        self._scan.addCallback(self._looked)

    def _failed(self, failure: Failure) -> float:
        self._log.warn(
            "{name}: the master's database can't be asked now which builds to announce "
            "({trouble}); trying again in {wait:.0f} s",
            name=self._name,
            trouble=failure.getErrorMessage(),
            wait=SOON * 6,
        )
        return SOON * 6

    def _looked(self, wait: float | None) -> None:
        self._scan = None
        self._schedule(wait or INTERVAL)

    async def scan(self) -> None:
        """Look once at every build that may lack an announcement."""
        await self._begin()
        for build_id in list(self._unsettled):
            await self._look_again(build_id)
        while page := await self._page():
            await self._settle(page)
            self._seen = page[-1]["buildid"]
        if not self._stopped:
            await self._save()

    async def _look_again(self, build_id: int) -> None:
        build = await self._build(build_id)
        if build is None:  # somebody has deleted it
            del self._unsettled[build_id]
        else:
            await self._settle([build])

    async def _begin(self) -> None:
        if self._progress is _UNKNOWN:
            self._progress = await self._load()
            self._seen = self._progress.build

    def _build(self, build_id: int) -> Deferred[Build | None]:
        build: Deferred[Build | None] = self._master.data.get(("builds", build_id))
        return build

    async def _page(self) -> list[Build]:
        if self._stopped:
            return []
        newer = [Filter("buildid", "gt", [self._seen])]
        return list(
            await self._master.data.get(("builds",), filters=newer, order=["buildid"], limit=PAGE)
        )

    async def _settle(self, builds: list[Build]) -> None:
        due = {build["buildid"]: self._due(build) for build in builds}
        ids = {
            build["buildid"]: build_event_id(self._name, event, build)
            for build in builds
            if (event := due[build["buildid"]])
        }
        known = await self._outbox.known(ids.values())
        for build in builds:
            if self._stopped:
                return
            build_id = build["buildid"]
            missing = build_id in ids and ids[build_id] not in known
            done = await self._announced(build_id) if missing else True
            if done and build["complete"]:
                self._unsettled.pop(build_id, None)
            else:
                self._unsettled.setdefault(build_id, 0)

    def _due(self, build: Build) -> str | None:
        """Return which event of a build should have been announced by now."""
        event, moment = (FINISHED, "complete_at") if build["complete"] else (NEW, "started_at")
        if _epoch(build[moment]) < self._progress.since:
            return None
        if event == NEW and self._is_told(build["buildid"]):
            return None
        return event if self._wants(_key(event, build)) else None

    def _is_told(self, build_id: int) -> bool:
        """Tell whether a running build is not to be announced once more.

        While the outbox stands in memory, it does not know what it knew.
        """
        tries = self._unsettled.get(build_id)
        return tries is not None and (tries >= TRIES or not self._outbox.durable)

    async def _announced(self, build_id: int) -> bool:
        """Announce what is true of a build now, and tell whether that is done with."""
        build = await self._build(build_id)
        name = self._due(build) if build else None
        if build is None or name is None:
            return True
        event = await self._announce(Event(_key(name, build), build))
        if event.failed:
            return False
        if event.sent:
            return True
        # No report: not wanted, or a generator failed in a way that it did not tell.
        tries = TRIES if event.settled else self._unsettled.get(build_id, 0) + 1
        self._unsettled[build_id] = tries
        return tries >= TRIES

    async def _load(self) -> _Progress:
        found = await self._master.db.state.getState(await self._object(), "progress", None)
        if found is not None:
            return _Progress(**found)
        progress = _Progress(int(self._master.reactor.seconds()), await self._first_build())
        await self._write(progress)
        return progress

    async def _first_build(self) -> int:
        """Return where to begin: before the builds that are running, after all that ended."""
        latest = await self._master.data.get(("builds",), order=["-buildid"], limit=PAGE)
        running: list[int] = [build["buildid"] for build in latest if not build["complete"]]
        if running:
            return min(running) - 1
        return latest[0]["buildid"] if latest else 0

    async def _save(self) -> None:
        """Note how far everything is settled, unless a part of the outbox is out of sight."""
        pending = await self._outbox.oldest_pending_build()
        opened = [*self._unsettled, *([pending] if pending is not None else [])]
        progress = _Progress(self._progress.since, min(opened, default=self._seen + 1) - 1)
        if progress != self._progress and self._outbox.durable:
            await self._write(progress)
            self._progress = progress

    async def _write(self, progress: _Progress) -> None:
        value = {"since": progress.since, "build": progress.build}
        await self._master.db.state.setState(await self._object(), "progress", value)

    def _object(self) -> Deferred[int]:
        found: Deferred[int] = self._master.db.state.getObjectId(
            f"{self._name} {self._master.name}", STATE_CLASS
        )
        return found


def _key(event: str, build: Build) -> tuple[str, str, str]:
    return ("builds", str(build["buildid"]), event.rpartition(".")[2])


def _epoch(moment: datetime | int) -> int:
    return moment if isinstance(moment, int) else int(moment.timestamp())
