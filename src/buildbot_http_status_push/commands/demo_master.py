"""The demo's master: its folder, its configuration, its log, its start and its stop.

It runs in this process, so that its data API is at hand, and no other process can be left
behind. Must not know what the demo does with it.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from buildbot.master import BuildMaster
from buildbot.scripts.create_master import createDB
from twisted.internet import defer
from twisted.logger import globalLogBeginner, globalLogPublisher, textFileLogObserver

from buildbot_http_status_push.configuration.placement import OUTBOX_FILE
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.inspection import Entry
from buildbot_http_status_push.outbox.schema import open_database

CONFIGURATION = "demo_master.cfg"
DATABASE = "sqlite:///state.sqlite"
LOG_FILE = "twistd.log"
LOG_LINES = 30
STOP_LIMIT = 10.0

SCHEDULER = "force"
"""The ForceScheduler of all builders."""

WAIT_STEP = "wait for the Stop button"
"""The step that does not end by itself."""

T = TypeVar("T")


class DemoError(Exception):
    """The master did not do what it was to do; the text says what."""


def _configuration(reporter: Mapping[str, object]) -> str:
    template = Template(files(__package__).joinpath(CONFIGURATION).read_text(encoding="utf-8"))
    arguments = ", ".join(f"{name}={value!r}" for name, value in reporter.items())
    return template.substitute(reporter=arguments, scheduler=SCHEDULER, wait_step=WAIT_STEP)


class Master:
    """A master in a new folder, run by this process.

    Args:
        reactor: The running reactor.
        reporter: The reporter's arguments.
    """

    def __init__(self, reactor: Any, reporter: Mapping[str, object]) -> None:
        self._reactor = reactor
        self.folder = Path(tempfile.mkdtemp(prefix="buildbot-demo-"))
        (self.folder / "master.cfg").write_text(_configuration(reporter), encoding="utf-8")
        self._log = (self.folder / LOG_FILE).open("w", encoding="utf-8")
        self._observer = textFileLogObserver(self._log)
        globalLogBeginner.beginLoggingTo([self._observer], redirectStandardIO=False)
        self._lock = defer.DeferredLock()
        self._service: Any = None

    def start(self) -> defer.Deferred[None]:
        """Make the database and start; fails with ``DemoError`` if the master doesn't come up."""
        return shielded(self._lock.run(self._start))

    async def _start(self) -> None:
        await createDB({"basedir": str(self.folder), "db": DATABASE, "quiet": True})
        self._service = BuildMaster(str(self.folder), reactor=self._reactor)
        own_handler = signal.getsignal(signal.SIGTERM)
        await self._service.startService()
        # The master takes SIGTERM for itself, but here it must end the demo.
        signal.signal(signal.SIGTERM, own_handler)
        if "BuildMaster is running" not in self._read_log():
            raise DemoError(f"The master did not start:\n{self.log_end()}")

    def get(self, *path: str) -> defer.Deferred[Any]:
        """Return what the master's data API has at a path."""
        return shielded(self._service.data.get(path))

    def consume(
        self, callback: Callable[[Any, Any], object], *key: str | None
    ) -> defer.Deferred[object]:
        """Have a callback called with each event of a routing key."""
        return shielded(self._service.mq.startConsuming(callback, key))

    def control(
        self, action: str, arguments: dict[str, Any], *path: object
    ) -> defer.Deferred[object]:
        """Do what a person does with a button."""
        return shielded(self._service.data.control(action, arguments, path))

    def outbox(self) -> list[Entry]:
        """Return the deliveries of builds in the reporter's outbox."""
        database = open_database(file_url(self.folder / OUTBOX_FILE))
        try:
            (found,) = database.transact([inspection.entries])
        finally:
            database.close()
        return [each for each in found if each.event.startswith("builds.")]

    def log_end(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self._read_log().splitlines()[-LOG_LINES:])

    def _read_log(self) -> str:
        return (self.folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")

    def stop(self) -> defer.Deferred[None]:
        """Stop, as soon as the start is over; builds are ended, and their processes with them."""
        return self._lock.run(self._stop)

    async def _stop(self) -> None:
        try:
            if self._service is not None:
                await self._service.stopService().addTimeout(STOP_LIMIT, self._reactor)
        finally:
            globalLogPublisher.removeObserver(self._observer)
            self._log.close()


def shielded(deferred: defer.Deferred[T]) -> defer.Deferred[T]:
    """Let who waits be cancelled, but not what it waits for: Buildbot calls that an error."""
    shield: defer.Deferred[T] = defer.Deferred()
    deferred.chainDeferred(shield)
    return shield
