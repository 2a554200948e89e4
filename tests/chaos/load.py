"""What keeps the master busy: builds that end in every way, asked for at a seeded rhythm.

Imported by ``master.cfg``.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from operator import itemgetter
from pathlib import Path
from typing import Any

from buildbot.process import results
from buildbot.process.buildstep import BuildStep
from buildbot.util.service import BuildbotService
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater

SHORTEST = 0.1
SHORTEST_PAUSE = 0.01
RETRIES = 2
DONE_FILE = "load.done"
WAITING = "-waiting"
"""How the names of builders end that never start a build."""
CANCELLED_SHARE = 0.3
"""How many of their requests are cancelled."""


class Work(BuildStep):  # type: ignore[misc]  # Buildbot has no types
    """Takes a while, and ends with a result.

    Args:
        result: The result's name. ``retry`` becomes ``success`` at the third try.
        seed: With the build request's id, it says how long the step takes.
        longest: How long that is at most, in seconds.
    """

    name = "work"

    def __init__(self, result: str, seed: int, longest: float) -> None:
        super().__init__(haltOnFailure=True)
        self._result = result
        self._seed = seed
        self._longest = longest
        self._waiting: Deferred[None] | None = None

    @inlineCallbacks
    def run(self) -> Generator[Any, Any, Any]:
        """Wait, and end."""
        request = self.build.requests[0].id
        drawn = random.Random(f"{self._seed}-{request}")  # noqa: S311 - no secret
        self._waiting = deferLater(self.master.reactor, drawn.uniform(SHORTEST, self._longest))
        try:
            yield self._waiting
        except CancelledError:
            return results.CANCELLED
        tries = yield self.master.data.get(("buildrequests", request, "builds"))
        retried_enough = self._result == "retry" and len(tries) > RETRIES
        return results.SUCCESS if retried_enough else results.Results.index(self._result)

    def interrupt(self, reason: Any) -> Any:
        """End at once."""
        if self._waiting is not None:
            self._waiting.cancel()
        return super().interrupt(reason)


class Load(BuildbotService):  # type: ignore[misc]  # Buildbot has no types
    """Asks for builds until there are enough.

    Args:
        seed: Says which builders are asked for builds, and when.
        builds: How many builds to ask for.
        pause: Seconds between two requests, on average.
        ballast: Characters that a property adds to each status.
    """

    name = "load"

    def __init__(self, **numbers: int | float) -> None:
        super().__init__(**numbers)
        self._timer: IDelayedCall | None = None

    def reconfigService(self, seed: int, builds: int, pause: float, ballast: int) -> None:
        """Take over the numbers; a reconfiguration does not begin anew."""
        if self.running:
            return
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._left, self._pause, self._ballast = builds, pause, ballast
        self._next()

    def _next(self) -> None:
        if self._left:
            wait = SHORTEST_PAUSE + self._pause * 2 * self._chance.random()
            self._timer = self.master.reactor.callLater(wait, self._submit)
        else:
            Path(self.master.basedir, DONE_FILE).touch()

    @inlineCallbacks
    def _submit(self) -> Generator[Any, Any, None]:
        # Buildbot 4.0 takes no requests for builders that are not configured yet.
        master = yield self.master.data.get(("masters", self.master.masterid))
        if master["active"]:
            self._left -= 1
            yield self._ask_for_one()
        self._next()

    @inlineCallbacks
    def _ask_for_one(self) -> Generator[Any, Any, None]:
        found = yield self.master.data.get(("builders",))
        own = {each.name for each in self.master.config.builders}
        # By name: ids depend on the order in which a new master comes to know its builders.
        named = sorted((each for each in found if each["name"] in own), key=itemgetter("name"))
        builder = self._chance.choice(named)
        stamp = {"codebase": "", "repository": "", "branch": None, "revision": None, "project": ""}
        _, requests = yield self.master.data.updates.addBuildset(
            waited_for=False,
            builderids=[builder["builderid"]],
            sourcestamps=[stamp],
            properties={"ballast": ("x" * self._ballast, "load")},
            reason="load",
        )
        if builder["name"].endswith(WAITING) and self._chance.random() < CANCELLED_SHARE:
            path = ("buildrequests", requests[builder["builderid"]])
            yield self.master.data.control("cancel", {"reason": "load"}, path)

    def stopService(self) -> Any:
        """Ask no more."""
        self._left = 0
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        return super().stopService()
