"""A real Buildbot master in a temporary folder, whose statuses are shown as they arrive.

The master's data API starts the builds and says how they ended; what has arrived must agree.
With a board it then goes on, so that there is something to watch.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, frozen
from twisted.internet import defer
from twisted.internet.task import deferLater

from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.commands.console import DONE, FAILED
from buildbot_http_status_push.commands.demo_destinations import (
    Destination,
    Elsewhere,
    OwnBoard,
    OwnReceiver,
)
from buildbot_http_status_push.commands.demo_master import SCHEDULER, WAIT_STEP, DemoError, Master
from buildbot_http_status_push.commands.demo_verdict import (
    Build,
    advice,
    undelivered,
)
from buildbot_http_status_push.commands.terminal import Output, Say, Tone
from buildbot_http_status_push.results import RETRY

POLL_INTERVAL = 0.1
BUILDING_LIMIT = 40.0  # and a second more for each build
ARRIVAL_LIMIT = 15.0
BETWEEN_BUILDS = 5.0
"""Seconds from one build to the next one while somebody watches the board."""

FOR_BOARD = {"detail": "board", "want_excerpts": True, "want_tests": True}
"""The reporter's arguments for all that a board shows."""


@frozen
class Settings:
    """What a person asked for.

    Args:
        builds: How many builds to start.
        server_url: Where to send the statuses; ``None`` for a receiver of the demo's own.
        board: Whether that is a board, to be looked at until Ctrl-C.
        auth: User and password, where the receiver requires them.
        headers: Headers to add.
        keys: The keys to sign with, which the demo's own receiver checks.
        show_body: Whether the last finished build is shown as it arrived.
        keep: Whether the master's folder stays.
    """

    builds: int
    server_url: str | None = None
    board: bool = False
    auth: tuple[str, str] | None = None
    headers: Mapping[str, str] = Factory(dict)
    keys: tuple[str, ...] = ()
    show_body: bool = False
    keep: bool = False

    def reporter(self, url: str) -> dict[str, object]:
        """Return the reporter's arguments for sending to a URL."""
        given = {
            "serverUrl": url,
            "auth": self.auth,
            "headers": dict(self.headers),
            "signing_secret": list(self.keys),
            **(FOR_BOARD if self.board else {}),
        }
        return {name: value for name, value in given.items() if value}

    def destination(self, reactor: Any, say: Say) -> Destination:
        """Return where the statuses go."""
        if self.board:
            senders = dict([self.auth]) if self.auth else {}
            return OwnBoard(reactor, Access(keys=self.keys, senders=senders), say)
        if self.server_url:
            return Elsewhere(self.server_url, say)
        return OwnReceiver(reactor, self.keys, say, show_body=self.show_body)


class Demo:
    """One run of the demo.

    Args:
        reactor: The running reactor.
        settings: What is asked for.
        output: Where it is shown.
    """

    def __init__(self, reactor: Any, settings: Settings, output: Output) -> None:
        self._reactor = reactor
        self._settings = settings
        self._output = output
        self._destination = settings.destination(reactor, self._say)
        self._master: Master | None = None
        self._names: dict[int, str] = {}
        self._ended = 0
        self._interrupted = False

    async def work(self) -> int:
        """Run master and builds to their end.

        Returns:
            The exit code: 0 if all statuses have arrived, else 1.
        """
        try:
            await self._destination.open()
            given = self._settings.reporter(self._destination.url)
            self._master = Master(self._reactor, given)
            return await self._play(self._master)
        except defer.CancelledError:
            self._interrupted = True
            self._output.say("Interrupted; stopping the master.")
        except DemoError as trouble:
            self._say(str(trouble), "bad")
            self._say(advice(None))
        return FAILED

    async def clean_up(self) -> None:
        """Stop the master and its receiver, and remove the folder unless it is to stay."""
        master = self._master
        try:
            if master is not None:
                await master.stop()
        finally:
            if master is not None and not self._settings.keep:
                shutil.rmtree(master.folder)
            await self._destination.close()

    async def _play(self, master: Master) -> int:
        stays = ", which is kept" if self._settings.keep else ""
        self._say(f"Starting a Buildbot master in {master.folder}{stays}")
        await master.start()
        self._names = {each["builderid"]: each["name"] for each in await master.get("builders")}
        with self._output.progress("builds") as self._advance:
            await self._watch(master)
            for number in range(self._settings.builds):
                await self._force(master, number)
            limit = BUILDING_LIMIT + self._settings.builds
            if not await self._until(master, lambda: _is_idle(master), limit):
                raise DemoError(f"The builds did not end in {limit:g} s:\n{master.log_end()}")
            builds = await self._finished(master)
            count = 2 * len(builds)
            await self._until(master, lambda: _is_through(master, count), ARRIVAL_LIMIT)
        code = await self._report(master, builds)
        if self._destination.stays:
            await self._go_on(master)
        return code

    async def _go_on(self, master: Master) -> None:
        """Start a build now and then, until Ctrl-C."""
        self._say(f"Starting a build every {BETWEEN_BUILDS:g} s, until Ctrl-C.")
        with contextlib.suppress(defer.CancelledError):
            for number in itertools.count(self._settings.builds):
                await self._force(master, number)
                await deferLater(self._reactor, BETWEEN_BUILDS)
        self._say("Stopping the master.")

    async def _watch(self, master: Master) -> None:
        def stop(key: Sequence[str], step: Mapping[str, Any]) -> None:
            if step["name"] == WAIT_STEP:
                reason = {"reason": "the demo's Stop button"}
                master.control("stop", reason, "builds", step["buildid"])

        await master.consume(stop, "steps", None, "started")
        await master.consume(self._note, "builds", None, "new")
        await master.consume(self._note, "builds", None, "finished")

    async def _force(self, master: Master, number: int) -> None:
        names = (await master.get("forceschedulers", SCHEDULER))["builder_names"]
        wanted = {
            "owner": "the demo",
            "reason": "the demo's Force button",
            "builderNames": [names[number % len(names)]],
        }
        await master.control("force", wanted, "forceschedulers", SCHEDULER)

    async def _until(
        self, master: Master, ready: Callable[[], Awaitable[bool]], limit: float
    ) -> bool:
        """Wait until something is ready; False if it is not within the limit, in seconds."""
        end = self._reactor.seconds() + limit
        while not (is_ready := await ready()) and self._reactor.seconds() <= end:
            self._destination.show_new(master.outbox)
            await deferLater(self._reactor, POLL_INTERVAL)
        self._destination.show_new(master.outbox)
        return is_ready

    async def _finished(self, master: Master) -> list[Build]:
        return [
            Build(
                each["buildid"],
                f"{self._names[each['builderid']]} #{each['number']}",
                each["results"],
            )
            for each in await master.get("builds")
        ]

    def _note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        builder = {"name": self._names[build["builderid"]]}
        self._destination.note(key, {**build, "builder": builder})
        # A build that is to be tried once more is not the end of what was asked for.
        self._ended += build["complete"] and build["results"] != RETRY
        self._advance(self._ended, self._settings.builds)

    def _say(self, text: str, tone: Tone = "") -> None:
        if not self._interrupted:
            self._output.say(text, tone)

    async def _report(self, master: Master, builds: Sequence[Build]) -> int:
        outbox = [(entry.state.value, entry.outcome) for entry in master.outbox()]
        arrived, count = await self._destination.check(builds)
        faults = [*undelivered(outbox, 2 * len(builds)), *arrived]
        states = Counter(state for state, _ in outbox)
        counts = [f"{len(builds)} builds", f"{len(outbox)} statuses"]
        counts += [f"{number} {state}" for state, number in states.items()]
        for fault in faults:
            self._say(fault, "bad")
        if faults:
            self._say(advice(self._settings.server_url))
        verdict = "That is wrong" if faults else "All is well"
        counts += filter(None, [count])
        self._say(f"{', '.join(counts)}. {verdict}.", "bad" if faults else "good")
        return FAILED if faults else DONE


async def _is_idle(master: Master) -> bool:
    return all(each["complete"] for each in await master.get("buildrequests"))


async def _is_through(master: Master, count: int) -> bool:
    outbox = [(entry.state.value, entry.outcome) for entry in master.outbox()]
    return not undelivered(outbox, count)
