"""A real Buildbot master in a temporary folder, whose statuses are shown as they arrive.

The master's data API starts the builds and says how they ended; what has arrived must agree.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from twisted.internet import defer
from twisted.internet.task import deferLater

from buildbot_http_status_push.commands.demo_master import SCHEDULER, WAIT_STEP, DemoError, Master
from buildbot_http_status_push.model import State
from buildbot_http_status_push.receiver.receiver import (
    Received,
    Receiver,
    build_words,
    describe,
    local_time,
    parse,
)
from buildbot_http_status_push.results import result_word

SETTLED = (State.DELIVERED.value, State.SUPERSEDED.value)
POLL_INTERVAL = 0.1
BUILDING_LIMIT = 40.0  # and a second more for each build
ARRIVAL_LIMIT = 15.0


@frozen
class Build:
    """A finished build as the master's database knows it.

    Args:
        id: Its number among all builds.
        title: Its builder's name and its number there.
        results: Its result code.
    """

    id: int
    title: str
    results: int


def disagreements(builds: Sequence[Build], statuses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Compare what has arrived with what the database says.

    Args:
        builds: All builds of the master, each one finished.
        statuses: The content of the statuses that arrived, in their order.

    Returns:
        A sentence for each build that does not have just two statuses, the first new and the
        last finished with the database's result.
    """
    return [
        sentence
        for build in builds
        if (sentence := _fault(build, [each for each in statuses if each["buildid"] == build.id]))
    ]


def _fault(build: Build, statuses: Sequence[Mapping[str, Any]]) -> str | None:
    expected = ["new", f"finished: {result_word(build.results)}"]
    arrived = [
        f"finished: {result_word(each['results'])}" if each["complete"] else "new"
        for each in statuses
    ]
    if arrived == expected:
        return None
    return f"{build.title}: expected {', '.join(expected)}; arrived {', '.join(arrived) or 'none'}"


def undelivered(outbox: Sequence[tuple[str, str | None]], expected: int) -> list[str]:
    """Return a sentence if deliveries are missing, else nothing.

    Args:
        outbox: State and outcome of each delivery.
        expected: How many there must be.
    """
    trouble = [outcome for state, outcome in outbox if state not in SETTLED]
    missing = expected - len(outbox) + len(trouble)
    if not missing:
        return []
    reason = next(filter(None, trouble), "not tried yet")
    return [f"{missing} of {expected} statuses are not delivered: {reason}"]


@frozen
class Settings:
    """What a person asked for.

    Args:
        builds: How many builds to start.
        server_url: Where to send the statuses; ``None`` for a receiver of the demo's own.
        keep: Whether the master's folder stays.
    """

    builds: int
    server_url: str | None = None
    keep: bool = False


class Demo:
    """One run of the demo.

    Args:
        reactor: The running reactor.
        settings: What is asked for.
        say: Prints a line.
    """

    def __init__(self, reactor: Any, settings: Settings, say: Callable[[str], object]) -> None:
        self._reactor = reactor
        self._settings = settings
        self._say = say
        self._receiver = Receiver(reactor, on_status=self._show)
        self._master: Master | None = None
        self._names: dict[int, str] = {}
        self._interrupted = False

    async def work(self) -> int:
        """Run master and builds to their end.

        Returns:
            The exit code: 0 if all statuses have arrived, else 1.
        """
        try:
            url = self._settings.server_url
            url = url or f"http://127.0.0.1:{await self._receiver.listen()}"
            self._master = Master(self._reactor, url)
            return await self._play(self._master)
        except defer.CancelledError:
            self._interrupted = True
            self._say("Interrupted; stopping the master.")
        except DemoError as trouble:
            self._say(str(trouble))
        return 1

    async def clean_up(self) -> None:
        """Stop the master and the receiver, and remove the folder."""
        master = self._master
        if master is None:
            return
        try:
            await master.stop()
            await self._receiver.stop()
        finally:
            if self._settings.keep:
                self._say(f"The master's folder is {master.folder}")
            else:
                shutil.rmtree(master.folder)

    async def _play(self, master: Master) -> int:
        self._say(f"Starting a Buildbot master in {master.folder}")
        await master.start()
        self._names = {each["builderid"]: each["name"] for each in await master.get("builders")}
        await self._watch(master)
        await self._force(master)
        limit = BUILDING_LIMIT + self._settings.builds
        if not await self._until(lambda: _is_idle(master), limit):
            raise DemoError(f"The builds did not end in {limit:g} s:\n{master.log_end()}")
        builds = await self._finished(master)
        await self._until(lambda: _is_through(master, 2 * len(builds)), ARRIVAL_LIMIT)
        return self._report(master, builds)

    async def _watch(self, master: Master) -> None:
        def stop(key: Sequence[str], step: Mapping[str, Any]) -> None:
            if step["name"] == WAIT_STEP:
                reason = {"reason": "the demo's Stop button"}
                master.control("stop", reason, "builds", step["buildid"])

        await master.consume(stop, "steps", None, "started")
        if self._settings.server_url:
            await master.consume(self._show_event, "builds", None, "new")
            await master.consume(self._show_event, "builds", None, "finished")

    async def _force(self, master: Master) -> None:
        names = (await master.get("forceschedulers", SCHEDULER))["builder_names"]
        for number in range(self._settings.builds):
            wanted = {
                "owner": "the demo",
                "reason": "the demo's Force button",
                "builderNames": [names[number % len(names)]],
            }
            await master.control("force", wanted, "forceschedulers", SCHEDULER)

    async def _until(self, ready: Callable[[], Awaitable[bool]], limit: float) -> bool:
        """Wait until something is ready; False if it is not within the limit, in seconds."""
        end = self._reactor.seconds() + limit
        while not await ready():
            if self._reactor.seconds() > end:
                return False
            await deferLater(self._reactor, POLL_INTERVAL)
        return True

    async def _finished(self, master: Master) -> list[Build]:
        return [
            Build(
                each["buildid"],
                f"{self._names[each['builderid']]} #{each['number']}",
                each["results"],
            )
            for each in await master.get("builds")
        ]

    def _show(self, received: Received) -> None:
        self._show_line(describe(received))

    def _show_event(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        builder = {"name": self._names[build["builderid"]]}
        at = local_time(self._reactor.seconds())
        self._show_line(f"{at}  {build_words({**build, 'builder': builder})}")

    def _show_line(self, line: str) -> None:
        if not self._interrupted:
            self._say(line)

    def _report(self, master: Master, builds: Sequence[Build]) -> int:
        outbox = master.outbox()
        faults = undelivered(outbox, 2 * len(builds))
        states = Counter(state for state, _ in outbox)
        counts = [f"{len(builds)} builds", f"{len(outbox)} statuses"]
        counts += [f"{count} {state}" for state, count in states.items()]
        if not self._settings.server_url:
            faults += self._compare(builds)
            counts.append(f"{len(self._receiver.received)} received")
        for fault in faults:
            self._say(fault)
        self._say(f"{', '.join(counts)}. {'That is wrong' if faults else 'All is well'}.")
        return 1 if faults else 0

    def _compare(self, builds: Sequence[Build]) -> list[str]:
        statuses = [parse(received) for received in self._receiver.received]
        finished = [status for status in statuses if status["complete"]]
        if finished:
            self._say("The last finished build, as it arrived:")
            self._say(json.dumps(finished[-1], indent=2))
        return disagreements(builds, statuses)


async def _is_idle(master: Master) -> bool:
    return all(each["complete"] for each in await master.get("buildrequests"))


async def _is_through(master: Master, count: int) -> bool:
    return not undelivered(master.outbox(), count)
