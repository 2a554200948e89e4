"""Builds as plain as they come: one step of the master's own, on a local worker, no changes."""

from __future__ import annotations

from typing import Any

from buildbot.plugins import steps, util, worker
from twisted.internet.defer import Deferred, maybeDeferred

from bench.running import sleep

NAME = "plain"
STAMP = {"codebase": "", "repository": "", "branch": None, "revision": None, "project": ""}

CONFIGURATION = {
    "protocols": {"null": {}},
    "workers": [worker.LocalWorker("local")],
    "builders": [
        util.BuilderConfig(
            NAME,
            workernames=["local"],
            factory=util.BuildFactory([steps.MasterShellCommand(command=["true"])]),
        )
    ],
}
"""What differs from a master whose builds are made through the data API."""


class PlainBuilds:
    """Has a master build.

    Args:
        master: The master.
    """

    def __init__(self, master: Any) -> None:
        self._master = master

    async def prepare(self, count: int) -> list[int]:
        """Return the builder's id, so often."""
        [builder] = await self._master.data.get(("builders",))
        return [builder["builderid"]] * count

    async def build(self, builder: int, interval: float) -> None:
        """Ask for a build, wait until it has ended, and some seconds for each status."""
        ended: Deferred[Any] = Deferred()
        consumer = await self._master.mq.startConsuming(
            lambda key, build: ended.callback(None), ("builds", None, "finished")
        )
        await self._master.data.updates.addBuildset(
            waited_for=False, builderids=[builder], sourcestamps=[STAMP], reason="bench"
        )
        await ended
        await maybeDeferred(consumer.stopConsuming)
        await sleep(2 * interval)
