"""A real master with one reporter, or none: what its builds' statuses cost it.

Builds are made through the data API, without workers, so that the reporter's share is visible, or
as a scheduler has them made: a few for each line that is read. Prints processor time, calls and the
times of the events as one JSON object for each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from functools import wraps
from typing import Any

from buildbot.config.master import MasterConfig
from buildbot.data.connector import DataConnector
from buildbot.db.pool import DBThreadPool
from buildbot.interfaces import IConfigLoader
from buildbot.master import BuildMaster
from buildbot.plugins import schedulers, util, worker
from buildbot.process.properties import Properties
from buildbot.process.results import SUCCESS
from buildbot.reporters.http import HttpStatusPush as BuiltIn
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from bench.plain import CONFIGURATION, PlainBuilds
from bench.running import run, sleep
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.reporter import HttpStatusPush

VARIANTS: dict[str, Any] = {
    "none": lambda url: [],
    "built-in": lambda url: [BuiltIn(serverUrl=url)],
    "this one": lambda url: [HttpStatusPush(serverUrl=url)],
}
CHANGES = 3
OWNER = "developer0 <developer0@example.org>"
SETTLING = 0.3


class Counts:
    """How often functions are called."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}

    def count(self, name: str, owner: type, *methods: str) -> None:
        """Count calls of a class's methods under a name, from now on."""
        self.calls.setdefault(name, 0)
        for method in methods:
            setattr(owner, method, self._counted(name, getattr(owner, method)))

    def _counted(self, name: str, function: Any) -> Any:
        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return function(*args, **kwargs)

        return counted

    def reset(self) -> None:
        """Begin again at zero."""
        self.calls = dict.fromkeys(self.calls, 0)


@implementer(IConfigLoader)
class Loader:
    """Loads a configuration with these services.

    Args:
        services: The services.
        more: What else is to be in it.
    """

    def __init__(self, services: list[Any], more: dict[str, Any] | None = None) -> None:
        self._services = services
        self._more = more or {}

    def loadConfig(self) -> MasterConfig:  # noqa: N802 - Buildbot's name
        """Return the parsed configuration."""
        content = {
            "buildbotURL": "http://localhost:8010/",
            "buildbotNetUsageData": None,
            "protocols": {"pb": {"port": "tcp:0:interface=127.0.0.1"}},
            "workers": [worker.Worker("idle", "password")],
            "schedulers": [],
            "builders": [
                util.BuilderConfig("runtests", workernames=["idle"], factory=util.BuildFactory())
            ],
            "services": self._services,
            "db": {"db_url": "sqlite:///state.sqlite"},
            **self._more,
        }
        names = [each.name for each in content["builders"]]
        content["schedulers"] = [schedulers.Triggerable("any", builderNames=names)]
        return MasterConfig.loadFromDict(content, "master.cfg")


class Events:
    """Notes when a master's queue gets the events of builds.

    Args:
        master: The master.
    """

    def __init__(self, master: BuildMaster) -> None:
        self.events: list[tuple[int, bool, float]] = []
        self._produce = master.mq.produce
        master.mq.produce = self._noting

    def _noting(self, key: tuple[str, ...], message: dict[str, Any]) -> Any:
        if key[0] == "builds" and key[-1] in ("new", "finished"):
            self.events.append((message["buildid"], message["complete"], time.time()))
        return self._produce(key, message)


class MadeBuilds:
    """Makes builds on a running master through its data API.

    Args:
        master: The master.
    """

    def __init__(self, master: BuildMaster) -> None:
        self.master = master
        self._numbers = itertools.count()

    async def prepare(self, count: int) -> list[int]:
        """Return claimed build requests, each with changes of its own."""
        builders = await self.master.data.get(("builders",))
        builder = builders[0]["builderid"]
        requests = [await self._request(builder, next(self._numbers)) for _ in range(count)]
        worker_id = await self.master.db.workers.findWorkerId("idle")
        self._ids = {"builderid": builder, "workerid": worker_id}
        return requests

    async def _request(self, builder: int, number: int) -> int:
        for nth in range(CHANGES):
            revision = f"{number:030d}{nth:010d}"
            await self.master.data.updates.addChange(
                files=["src/main.py", "README.md"],
                comments="Mend what was broken",
                author=f"developer{nth} <developer{nth}@example.org>",
                revision=revision,
                branch="main",
                repository="https://example.org/project.git",
                project="project",
            )
        stamp = {
            "branch": "main",
            "revision": revision,
            "repository": "https://example.org/project.git",
            "project": "project",
            "codebase": "",
        }
        _, requests = await self.master.data.updates.addBuildset(
            waited_for=False, builderids=[builder], sourcestamps=[stamp], reason="bench"
        )
        await self.master.data.updates.claimBuildRequests(list(requests.values()))
        request: int = next(iter(requests.values()))
        return request

    async def begin(self, request: int) -> int:
        """Begin a build, and return its id."""
        updates = self.master.data.updates
        build, number = await updates.addBuild(buildrequestid=request, **self._ids)
        properties = _properties(number)
        await updates.setBuildProperties(build, properties)
        await updates.generateNewBuildEvent(build)
        # Like Buildbot, which knows the owners only now.
        properties.setProperty("owners", [OWNER], "Build")
        await updates.setBuildProperties(build, properties)
        await updates.setBuildStateString(build, "preparing worker")
        return int(build)

    async def build(self, request: int, interval: float) -> None:
        """Begin and end a build, and wait some seconds after either."""
        build = await self.begin(request)
        await sleep(interval)
        await self.master.data.updates.finishBuild(build, SUCCESS)
        await sleep(interval)


def _properties(number: int) -> Properties:
    """Return about as many properties as a usual build has."""
    properties = Properties()
    for name, value in {
        "branch": "main",
        "builddir": "/srv/worker/runtests",
        "buildername": "runtests",
        "buildnumber": number,
        "codebase": "",
        "got_revision": "0" * 40,
        "owner": OWNER,
        "project": "project",
        "repository": "https://example.org/project.git",
        "revision": "0" * 40,
        "scheduler": "main",
        "virtual_builder_name": "runtests",
        "virtual_builder_tags": ["tests", "main"],
        "workername": "idle",
    }.items():
        properties.setProperty(name, value, "bench")
    return properties


LOADS: dict[str, tuple[Any, dict[str, Any]]] = {
    "made": (MadeBuilds, {}),
    "plain": (PlainBuilds, CONFIGURATION),
}
"""How builds come about, and what the master's configuration has for that."""


async def measure(
    basedir: str, services: list[Any], load: str, builds: int, interval: float
) -> dict[str, Any]:
    """Run a master, which has some builds for each line of the standard input.

    Args:
        basedir: The master's folder, with a database.
        services: The reporters to run it with.
        load: One of ``LOADS``.
        builds: How many builds each time.
        interval: Seconds from one status to the next one.
    """
    counts = Counts()
    counts.count("data API calls", DataConnector, "get_with_resultspec")
    counts.count("database calls", DBThreadPool, "do", "do_with_transaction", "do_with_engine")
    counts.count("outbox transactions", FallbackDatabase, "transact")
    make, more = LOADS[load]
    master = BuildMaster(basedir, reactor=reactor, config_loader=Loader(services, more))
    await master.startService()
    bench, events = make(master), Events(master)
    while await deferToThread(sys.stdin.readline):
        requests = await bench.prepare(builds)
        await sleep(SETTLING)
        events.events.clear()
        counts.reset()
        began = time.process_time()
        for request in requests:
            await bench.build(request, interval)
        await sleep(SETTLING)
        processor = time.process_time() - began
        print(json.dumps({"processor": processor, **counts.calls, "events": events.events}))
        sys.stdout.flush()
    await master.stopService()
    return {}


def main() -> None:
    """Measure one variant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("basedir")
    parser.add_argument("url")
    parser.add_argument("load", choices=LOADS)
    parser.add_argument("builds", type=int)
    parser.add_argument("interval", type=float)
    given = parser.parse_args()
    services = VARIANTS[given.variant](given.url)
    run(measure(given.basedir, services, given.load, given.builds, given.interval))


if __name__ == "__main__":
    main()
