"""Sends the ends of past builds once more, as a person has asked for in the outbox.

A new receiver begins empty, and delivered bodies are gone: they are made anew from the master's
database, with the ids that they had. Must not know HTTP, nor how an outbox keeps anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.outbox.backfill_request import Backfill, Stage
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.builds import PAGE, Build, BuildQueries
from buildbot_http_status_push.report.encoding import epoch_seconds
from buildbot_http_status_push.report.events import Event

LOOK_EVERY = 10.0
"""Seconds after which what is asked for is taken up at the latest."""
WAITING_MOST = 20
"""So few statuses wait at a time at most: what builds send meanwhile comes through beside them."""
PATIENCE = 0.5

Announce: TypeAlias = Callable[[Event], "Deferred[Event]"]


class Backfiller:
    """Carries out what is asked for."""

    def __init__(
        self,
        master: Any,
        outbox: Outbox,
        announce: Announce,
        ownership: BuildOwnership,
        log: Logger,
    ) -> None:
        self._reactor = master.reactor
        self._outbox = outbox
        self._announce = announce
        self._ownership = ownership
        self._log = log
        self._master = master
        self._builds = BuildQueries(master)
        self._polling = LoopingCall(lambda: Deferred.fromCoroutine(self._poll_safely()))
        self._polling.clock = master.reactor
        self._ended: Deferred[Any] | None = None
        self._stopped = False

    def start(self) -> None:
        """Look now and then for what is asked for, unless that is being done."""
        if not self._polling.running:
            self._ended = self._polling.start(LOOK_EVERY)

    async def stop(self) -> None:
        """Look no more, and wait for what is being announced just now."""
        self._stopped = True
        if self._polling.running:
            self._polling.stop()
        if self._ended is not None:
            await self._ended

    async def _poll_safely(self) -> None:
        try:
            await self.poll()
        except Exception:  # of the database: it is tried again from where it was
            self._log.failure("backfill interrupted by an error; trying again", Failure())

    async def poll(self) -> None:
        """Carry out what is asked for, if anything is."""
        asked = await self._outbox.backfill()
        if asked is None or asked.stage is Stage.DONE or not await self._ownership.is_leader():
            return
        # Whoever waits for that sees that it has begun: to find the builds may take minutes.
        if not await self._outbox.advance_backfill(evolve(asked, stage=Stage.RUNNING)):
            return
        ids = await self._find(asked)
        total = asked.done + len(ids)
        begun = evolve(asked, total=total, stage=Stage.DONE if asked.only_count else Stage.RUNNING)
        if await self._outbox.advance_backfill(begun) and not asked.only_count:
            await self._send(begun, ids)

    async def _find(self, asked: Backfill) -> list[int]:
        """Return the ids of the builds that are still to be sent, in order."""
        await self._ownership.refresh()
        builder = await self._builder_id(asked.builder)
        found: list[int] = []
        page, before = await self._builds.older_than(None), 0
        while page and not self._stopped:
            found += [each["buildid"] for each in page if self._is_wanted(each, asked, builder)]
            before = page[-1]["buildid"]
            if before <= asked.place or all(_is_older(each, asked.since) for each in page):
                break
            page = await self._builds.older_than(before)
        return sorted(each for each in found if each > asked.place)

    async def _builder_id(self, name: str | None) -> int | None:
        if name is None:
            return None
        every = await self._master.data.get(("builders",))
        return next((each["builderid"] for each in every if each["name"] == name), -1)

    def _is_wanted(self, build: Build, asked: Backfill, builder: int | None) -> bool:
        is_there = build["complete"] and not _is_older(build, asked.since)
        return (
            is_there and builder in (None, build["builderid"]) and self._ownership.includes(build)
        )

    async def _send(self, backfill: Backfill, ids: list[int]) -> None:
        for first in range(0, len(ids), PAGE):
            for build in await self._builds.several(ids[first : first + PAGE]):
                await self._make_room()
                if self._stopped:
                    return
                key = ("builds", str(build["buildid"]), "finished")
                await self._announce(Event(key, build, again=True))
                backfill = evolve(backfill, place=build["buildid"], done=backfill.done + 1)
                if not await self._outbox.advance_backfill(backfill):
                    return
        done = evolve(backfill, stage=Stage.DONE, total=backfill.done)
        await self._outbox.advance_backfill(done)

    async def _make_room(self) -> None:
        while not self._stopped and await self._outbox.waiting() >= WAITING_MOST:
            await deferLater(self._reactor, PATIENCE)


def _is_older(build: Build, since: float) -> bool:
    return build["complete"] and epoch_seconds(build["complete_at"]) < since
