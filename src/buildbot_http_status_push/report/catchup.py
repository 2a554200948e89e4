"""What the master's database says should have been sent, and was not.

The database is the truth, an event only a hint: a master that is killed between the row and the
event never emits it again. Must not know HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.builds import PAGE, Build, BuildQueries
from buildbot_http_status_push.report.encoding import epoch_seconds
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import FINISHED, NEW, build_event_id
from buildbot_http_status_push.report.progress import Progress, ProgressStore

INTERVAL = 60.0
"""Seconds after which builds without an event are found at the latest."""
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
        """Scan after a while at the latest."""
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


TRIES = 2

PREPARED_BY_BUILDBOT = frozenset({"created", "starting"})
"""The states of a running build whose properties Buildbot is still storing.

Their start is left to its event: it comes once they are there, and if the master dies before,
Buildbot ends the build.
"""

Announce: TypeAlias = Callable[[Event], "Deferred[Event]"]


class Catchup:
    """Finds builds whose announcement is missing, and has it made."""

    def __init__(
        self,
        master: Any,
        name: str,
        outbox: Outbox,
        announce: Announce,
        wants: Callable[[tuple[str, str, str]], bool],
        ownership: BuildOwnership,
        log: Logger,
    ) -> None:
        self._reactor = master.reactor
        self._name = name
        self._outbox = outbox
        self._announce = announce
        self._wants = wants
        self._ownership = ownership
        self._log = log
        self._builds = BuildQueries(master)
        self._store = ProgressStore(master, name, shared=ownership.for_all_masters)
        self._timer = ScanTimer(master.reactor, self.scan, self._failed)
        self._progress: Progress | None = None
        self._scanned = 0
        self._unsettled: dict[int, int] = {}
        self._stopped = False
        self.on_found: Callable[[], None] = lambda: None
        """Called for each build that was announced without an event."""

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
            progress = await self._begin()
            await self._settle(await self._builds.of_unfinished_requests(progress.build))
        except Exception as trouble:  # the database's own; a master starts all the same
            self._failed(Failure(trouble))

    def start(self) -> None:
        """Scan now, and every minute from now on."""
        self._timer.after(0)

    def soon(self) -> None:
        """Scan again in a few seconds: something could not be announced."""
        self._timer.after(SOON)

    def outbox_lost(self) -> None:
        """Scan everything again that may have been pending."""
        self._scanned = self._progress.build if self._progress else 0
        self._unsettled.clear()
        self._timer.after(0)

    async def stop(self) -> None:
        """Scan no more, and wait for what is being announced just now."""
        self._stopped = True
        await self._timer.stop()

    def _failed(self, failure: Failure) -> None:
        self._log.warn(
            "{name}: looking for unreported builds in the master's database failed ({trouble}); "
            "trying again in {wait:.0f} s",
            name=self._name,
            trouble=failure.getErrorMessage(),
            wait=AFTER_FAILURE,
        )

    async def scan(self) -> None:
        """Look once at every build that may lack an announcement."""
        progress = await self._begin()
        await self._ownership.refresh()
        unsettled = sorted(self._unsettled)
        for first in range(0, len(unsettled), PAGE):
            await self._scan_again(unsettled[first : first + PAGE])
        while not self._stopped and (page := await self._builds.newer_than(self._scanned)):
            await self._settle(page)
            self._scanned = page[-1]["buildid"]
        if not self._stopped:
            await self._save(progress)

    async def _scan_again(self, build_ids: list[int]) -> None:
        builds = await self._builds.several(build_ids)
        for deleted in set(build_ids).difference(build["buildid"] for build in builds):
            del self._unsettled[deleted]
        await self._settle(builds)

    async def _begin(self) -> Progress:
        if self._progress is None:
            self._progress = await self._store.load() or await self._first_start()
            self._scanned = self._progress.build
        if self._progress.since > self._reactor.seconds():
            # The clock has been set back. What ended before the first start is decided by its id.
            self._progress = evolve(self._progress, since=0)
        return self._progress

    async def _first_start(self) -> Progress:
        """Begin before the builds that are running, after all that ended."""
        latest = await self._builds.latest()
        running = [build["buildid"] - 1 for build in latest if not build["complete"]]
        newest = latest[0]["buildid"] if latest else 0
        progress = Progress(int(self._reactor.seconds()), min(running, default=newest))
        await self._store.save(progress)
        return progress

    async def _settle(self, builds: list[Build]) -> None:
        due = {build["buildid"]: self._due(build) for build in builds}
        ids = {
            build["buildid"]: build_event_id(self._name, event, build)
            for build in builds
            if (event := due[build["buildid"]])
        }
        known = await self._outbox.known(ids.values()) if ids else set[str]()
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
        if self._progress is None or epoch_seconds(build[moment]) < self._progress.since:
            return None
        if not self._ownership.includes(build):
            return None
        if event == NEW and not self._is_start_due(build):
            return None
        return event if self._wants(_key(event, build)) else None

    def _is_start_due(self, build: Build) -> bool:
        """Return whether a running build may lack an announcement that can be made now.

        An outbox in memory does not know what it knew.
        """
        if build["state_string"] in PREPARED_BY_BUILDBOT:
            return False
        tries = self._unsettled.get(build["buildid"])
        return tries is None or (tries < TRIES and self._outbox.durable)

    async def _announced(self, build_id: int) -> bool:
        """Announce what is true of a build now, and return whether that is done with."""
        build = await self._builds.get(build_id)
        name = self._due(build) if build else None
        if build is None or name is None:
            return True
        event = await self._announce(Event(_key(name, build), build))
        if event.failed:
            return False
        if event.sent:
            self.on_found()
            return True
        # No report: not wanted, or a generator failed in a way that it did not report.
        tries = TRIES if event.settled else self._unsettled.get(build_id, 0) + 1
        self._unsettled[build_id] = tries
        return tries >= TRIES

    async def _save(self, progress: Progress) -> None:
        """Note how far everything is settled, unless a part of the outbox is out of sight."""
        pending = await self._outbox.oldest_pending_build()
        opened = [*self._unsettled, *([pending] if pending is not None else [])]
        reached = evolve(progress, build=min(opened, default=self._scanned + 1) - 1)
        if reached != progress and self._outbox.durable:
            await self._store.save(reached)
            self._progress = reached


def _key(event: str, build: Build) -> tuple[str, str, str]:
    return ("builds", str(build["buildid"]), event.rpartition(".")[2])
