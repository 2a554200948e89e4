"""A real BuildMaster with real workers, in the test's own process and on the real reactor."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig
from buildbot.interfaces import IConfigLoader
from buildbot.master import BuildMaster
from buildbot.plugins import schedulers, util, worker
from buildbot.process.build import Build
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)
from support.inbox import Inbox
from twisted.internet import defer, reactor
from twisted.trial import unittest
from zope.interface import implementer


@cache
def new_basedir() -> Path:
    """Create a master's folder with its database once; tests copy it."""
    folder = Path(tempfile.mkdtemp(prefix="http-status-push-master-"))
    buildbot = Path(sys.executable).with_name("buildbot")
    command = [buildbot, "create-master", "--quiet", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def create_database(url: str) -> None:
    """Create a master's tables in a database that is there."""
    with tempfile.TemporaryDirectory(prefix="http-status-push-master-") as folder:
        buildbot = Path(sys.executable).with_name("buildbot")
        command = [buildbot, "create-master", "--quiet", f"--db={url}", folder]
        subprocess.run(command, check=True, capture_output=True)


class EndWith(BuildStep):
    """A step that ends with a result of one's choice, at once or when it is told to."""

    name = "end"

    def __init__(self, result: int, gate: defer.Deferred[None] | None = None) -> None:
        super().__init__(haltOnFailure=True, warnOnWarnings=True)
        self.result = result
        self.gate = gate

    @defer.inlineCallbacks
    def run(self) -> Any:
        """End."""
        if self.gate is not None:
            yield self.gate
        return self.result


class EndWithOnce(EndWith):
    """A step that ends with its result once, and with success from then on."""

    async def _run(self) -> int:
        return self.result

    def run(self) -> Any:
        """End."""
        build = self.build.number
        return defer.Deferred.fromCoroutine(self._run()) if build == 1 else SUCCESS


class SkippableBuild(Build):
    """A build that is skipped when all its steps are: Buildbot's own would be a success."""

    def buildFinished(self, text: list[str], results: int) -> None:  # noqa: N802 - Buildbot's name
        """End."""
        ours = [step for step in self.executedSteps if isinstance(step, EndWith)]
        if all(step.results == SKIPPED for step in ours):
            self.results = results = SKIPPED
        super().buildFinished(text, results)


def factory(made: list[Any]) -> util.BuildFactory:
    """Return a factory of builds with these steps."""
    result = util.BuildFactory(made)
    result.buildClass = SkippableBuild
    return result


@implementer(IConfigLoader)
class Loader:
    """Loads the configuration that the test has set."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def loadConfig(self) -> MasterConfig:  # noqa: N802 - Buildbot's name
        """Return the parsed configuration."""
        return MasterConfig.loadFromDict(self.config, "master.cfg")


def configuration(services: list[Any], builders: dict[str, list[Any]]) -> dict[str, Any]:
    """Return a complete configuration.

    Args:
        services: The value of ``c['services']``.
        builders: The steps of each builder, by its name.
    """
    return {
        "title": "tests",
        "buildbotURL": "http://localhost:8010/",
        "buildbotNetUsageData": None,
        "protocols": {"null": {}},
        "workers": [worker.LocalWorker("local", missing_timeout=0)],
        "builders": [
            util.BuilderConfig(name=name, workernames=["local"], factory=factory(made))
            for name, made in builders.items()
        ],
        "schedulers": [schedulers.Triggerable(name="any", builderNames=list(builders))],
        "services": services,
        "db": {"db_url": "sqlite:///state.sqlite"},
    }


class Master:
    """A running master.

    Args:
        basedir: The master's folder.
        config: The configuration to begin with.
    """

    def __init__(self, basedir: Path, config: dict[str, Any]) -> None:
        if not (basedir / "state.sqlite").exists():
            shutil.copytree(new_basedir(), basedir, dirs_exist_ok=True)
        self.basedir = basedir
        self.stopped = False
        self.loader = Loader(config)
        self.master = BuildMaster(str(basedir), reactor=reactor, config_loader=self.loader)

    async def start(self) -> None:
        """Start, and wait until everything runs."""
        await self.master.startService()

    async def stop(self) -> None:
        """Stop, unless that was done, and give back what the database holds open."""
        if self.stopped:
            return
        self.stopped = True
        await self.master.stopService()
        pool = self.master.db.pool
        # Buildbot 4.0 calls it shutdown, later ones stop; its threads outlive the test otherwise.
        await defer.maybeDeferred(pool.shutdown if hasattr(pool, "shutdown") else pool.stop)

    async def reconfigure(self, config: dict[str, Any]) -> None:
        """Do what ``buildbot reconfig`` does."""
        self.loader.config = config
        await self.master.doReconfig()

    async def submit(
        self, builder: str, stamp: Any = None, codebases: Sequence[str] = ("",), **more: Any
    ) -> int:
        """Ask for a build of some codebases, and return the id of its buildset."""
        [found] = [
            each["builderid"]
            for each in await self.master.data.get(("builders",))
            if each["name"] == builder
        ]
        empty = {"repository": "", "branch": None, "revision": None, "project": ""}
        buildset, _ = await self.master.data.updates.addBuildset(
            waited_for=False,
            builderids=[found],
            sourcestamps=[empty | {"codebase": each} | (stamp or {}) for each in codebases],
            reason="test",
            **more,
        )
        return buildset

    async def build(self, builder: str, **more: Any) -> None:
        """Ask for a build, and wait until it has ended."""
        done: defer.Deferred[None] = defer.Deferred()
        buildset: list[int] = []
        consumer = await self.master.mq.startConsuming(
            lambda _, message: done.callback(None) if message["bsid"] in buildset else None,
            ("buildsets", None, "complete"),
        )
        buildset.append(await self.submit(builder, **more))
        await done
        await defer.maybeDeferred(consumer.stopConsuming)


RESULTS = {
    "success": SUCCESS,
    "warnings": WARNINGS,
    "failure": FAILURE,
    "skipped": SKIPPED,
    "exception": EXCEPTION,
    "cancelled": CANCELLED,
}
BUILDERS = {name: [EndWith(result)] for name, result in RESULTS.items()}


PATCHED = {
    "patch_body": b"--- a\n+++ b\n",
    "patch_level": 1,
    "patch_subdir": "",
    "patch_author": "me",
    "patch_comment": "try",
}
"""The sourcestamp of a try build."""


class MasterTestCase(unittest.TestCase):
    """A test case with a folder, and masters that are stopped at its end."""

    timeout = 100

    def setUp(self) -> None:
        """Make a folder of the test's own."""
        self.folder = Path(tempfile.mkdtemp(prefix="http-status-push-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    async def start_master(self, config: dict[str, Any], folder: Path | None = None) -> Master:
        """Start a master that is stopped when the test ends."""
        master = Master(folder or self.folder / "master", config)
        await master.start()
        self.addCleanup(lambda: defer.ensureDeferred(master.stop()))
        return master


class ReporterTestCase(MasterTestCase):
    """A test case with an inbox that masters post to."""

    async def open_inbox(self) -> tuple[Inbox, str]:
        """Open an inbox that is closed when the test ends."""
        inbox = Inbox()
        url = await inbox.open()
        self.addCleanup(lambda: defer.ensureDeferred(inbox.close()))
        return inbox, url
