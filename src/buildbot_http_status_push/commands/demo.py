"""A real Buildbot master in a temporary folder, whose statuses are shown as they arrive.

The master's data API starts the builds and says how they ended; what has arrived must agree.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from attrs import Factory, frozen
from twisted.internet import defer
from twisted.internet.task import deferLater

from buildbot_http_status_push.commands.console import DONE, FAILED
from buildbot_http_status_push.commands.demo_arrivals import Arrivals
from buildbot_http_status_push.commands.demo_master import SCHEDULER, WAIT_STEP, DemoError, Master
from buildbot_http_status_push.commands.demo_verdict import (
    Build,
    advice,
    disagreements,
    tone_of,
    undelivered,
)
from buildbot_http_status_push.commands.terminal import Output, Tone
from buildbot_http_status_push.receiver.description import describe, parse
from buildbot_http_status_push.receiver.receiver import Behaviour, Received, Receiver
from buildbot_http_status_push.results import RETRY

POLL_INTERVAL = 0.1
BUILDING_LIMIT = 40.0  # and a second more for each build
ARRIVAL_LIMIT = 15.0


@frozen
class Settings:
    """What a person asked for.

    Args:
        builds: How many builds to start.
        server_url: Where to send the statuses; ``None`` for a receiver of the demo's own.
        auth: User and password, where the receiver wants some.
        headers: Headers to add.
        keys: The keys to sign with, which the demo's own receiver checks.
        show_body: Whether the last finished build is shown as it arrived.
        keep: Whether the master's folder stays.
    """

    builds: int
    server_url: str | None = None
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
        }
        return {name: value for name, value in given.items() if value}


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
        self._receiver = Receiver(reactor, Behaviour(keys=settings.keys), on_status=self._show)
        self._arrivals = Arrivals(self._say)
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
            url = self._settings.server_url
            url = url or f"http://127.0.0.1:{await self._receiver.listen()}"
            self._master = Master(self._reactor, self._settings.reporter(url))
            return await self._play(self._master)
        except defer.CancelledError:
            self._interrupted = True
            self._output.say("Interrupted; stopping the master.")
        except DemoError as trouble:
            self._say(str(trouble), "bad")
            self._say(advice(None))
        return FAILED

    async def clean_up(self) -> None:
        """Stop the master and the receiver, and remove the folder unless it is to stay."""
        master = self._master
        if master is None:
            return
        try:
            await master.stop()
            await self._receiver.stop()
        finally:
            if not self._settings.keep:
                shutil.rmtree(master.folder)

    async def _play(self, master: Master) -> int:
        stays = ", which stays" if self._settings.keep else ""
        self._say(f"Starting a Buildbot master in {master.folder}{stays}")
        await master.start()
        self._names = {each["builderid"]: each["name"] for each in await master.get("builders")}
        with self._output.progress("builds") as self._advance:
            await self._watch(master)
            await self._force(master)
            limit = BUILDING_LIMIT + self._settings.builds
            if not await self._until(master, lambda: _is_idle(master), limit):
                raise DemoError(f"The builds did not end in {limit:g} s:\n{master.log_end()}")
            builds = await self._finished(master)
            count = 2 * len(builds)
            await self._until(master, lambda: _is_through(master, count), ARRIVAL_LIMIT)
        return self._report(master, builds)

    async def _watch(self, master: Master) -> None:
        def stop(key: Sequence[str], step: Mapping[str, Any]) -> None:
            if step["name"] == WAIT_STEP:
                reason = {"reason": "the demo's Stop button"}
                master.control("stop", reason, "builds", step["buildid"])

        await master.consume(stop, "steps", None, "started")
        await master.consume(self._note, "builds", None, "new")
        await master.consume(self._note, "builds", None, "finished")

    async def _force(self, master: Master) -> None:
        names = (await master.get("forceschedulers", SCHEDULER))["builder_names"]
        for number in range(self._settings.builds):
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
            self._look(master)
            await deferLater(self._reactor, POLL_INTERVAL)
        self._look(master)
        return is_ready

    def _look(self, master: Master) -> None:
        if self._settings.server_url:
            self._arrivals.look(master.outbox())

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
        self._arrivals.note(key, {**build, "builder": builder})
        # A build that is to be tried once more is not the end of what was asked for.
        self._ended += build["complete"] and build["results"] != RETRY
        self._advance(self._ended, self._settings.builds)

    def _show(self, received: Received) -> None:
        self._say(describe(received), tone_of(parse(received)))

    def _say(self, text: str, tone: Tone = "") -> None:
        if not self._interrupted:
            self._output.say(text, tone)

    def _report(self, master: Master, builds: Sequence[Build]) -> int:
        outbox = [(entry.state.value, entry.outcome) for entry in master.outbox()]
        faults = undelivered(outbox, 2 * len(builds))
        states = Counter(state for state, _ in outbox)
        counts = [f"{len(builds)} builds", f"{len(outbox)} statuses"]
        counts += [f"{count} {state}" for state, count in states.items()]
        if not self._settings.server_url:
            faults += self._compare(builds)
            counts.append(f"{len(self._receiver.received)} received")
        for fault in faults:
            self._say(fault, "bad")
        if faults:
            self._say(advice(self._settings.server_url))
        verdict = "That is wrong" if faults else "All is well"
        self._say(f"{', '.join(counts)}. {verdict}.", "bad" if faults else "good")
        return FAILED if faults else DONE

    def _compare(self, builds: Sequence[Build]) -> list[str]:
        statuses = [parse(received) for received in self._receiver.received]
        finished = [status for status in statuses if status["complete"]]
        if finished and self._settings.show_body:
            self._say("The last finished build, as it arrived:")
            self._say(json.dumps(finished[-1], indent=2))
        return disagreements(builds, statuses)


async def _is_idle(master: Master) -> bool:
    return all(each["complete"] for each in await master.get("buildrequests"))


async def _is_through(master: Master, count: int) -> bool:
    outbox = [(entry.state.value, entry.outcome) for entry in master.outbox()]
    return not undelivered(outbox, count)
