"""What this machine and the master's configuration tell of the options."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from support.commands import temporary_folder
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.configuration.runtime_checks import (
    SECRETS_LIMIT,
    file_faults,
    log_unmatched,
    log_unrendered,
    unmatched_names,
)
from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.model import Unreachable
from buildbot_http_status_push.report.default_generator import DefaultGenerator

CONFIG = SimpleNamespace(
    builders=[SimpleNamespace(name="linux", tags=["unix"]), SimpleNamespace(name="mac", tags=None)],
    schedulers={"nightly": object()},
)


class FilesTest(SynchronousTestCase):
    """The files of verify= and cert=."""

    def test_missing(self) -> None:
        """A file that is not there is told with the option and its path."""
        for given in (
            {"verify": "/no/such.pem"},
            {"cert": "/no/such.pem"},
            {"cert": ("/no/such.pem", "/no/such.key")},
        ):
            (fault,) = file_faults(given)
            self.assertTrue(fault.startswith(f"{next(iter(given))}: '/no/such.pem' "), fault)

    def test_useless(self) -> None:
        """A file that holds no certificate is told."""
        file = temporary_folder(self) / "empty.pem"
        file.touch()
        (fault,) = file_faults({"verify": str(file)})
        self.assertIn(str(file), fault)

    def test_left_alone(self) -> None:
        """No file, a relative path, and a shape that is wrong anyway are not looked at."""
        for given in ({}, {"verify": False}, {"verify": "ca.pem"}, {"cert": 7}, {"verify": 1.5}):
            self.assertEqual(file_faults(given), [])


class NamesTest(SynchronousTestCase):
    """Names in filters."""

    def unmatched(self, **filters: Any) -> list[tuple[str, str]]:
        """Those of a generator's names that nothing is called."""
        return list(unmatched_names([DefaultGenerator(**filters)], CONFIG))

    def test_unmatched(self) -> None:
        """A name that nothing has is found, those beside it are not."""
        self.assertEqual(self.unmatched(builders=["linux", "lunix"]), [("builders", "lunix")])
        self.assertEqual(self.unmatched(tags=["unix", "vms"]), [("tags", "vms")])
        self.assertEqual(self.unmatched(schedulers=["nightly", "x"]), [("schedulers", "x")])

    def test_matched(self) -> None:
        """No filter names nothing, and a branch may come with any change."""
        self.assertEqual(self.unmatched(), [])
        self.assertEqual(self.unmatched(branches=["release"]), [])


class StartTest(SynchronousTestCase):
    """The lines of a start."""

    def setUp(self) -> None:
        """Keep what is logged."""
        self.lines: list[str] = []
        self.clock = Clock()

        def observe(event: LogEvent) -> None:
            self.lines.append(formatEvent(event))

        self.log = Logger(observer=observe)

    def tell(self, target: Deferred[Any], **filters: Any) -> None:
        """Start a reporter."""
        master = SimpleNamespace(config=CONFIG, reactor=self.clock)
        generators = [DefaultGenerator(**filters)]
        reporter = SimpleNamespace(name="Push", generators=generators, master=master)
        log_unmatched(reporter, self.log)
        log_unrendered(reporter, self.log, target)

    def test_nothing_wrong(self) -> None:
        """Where nothing is wrong, nothing is told."""
        self.tell(succeed(None), builders=["linux"])
        self.assertEqual(self.lines, [])

    def test_name(self) -> None:
        """A builder that does not exist is told in one line."""
        self.tell(succeed(None), builders=["lunix"])
        (line,) = self.lines
        self.assertIn(
            "builders contains 'lunix', but this master's configuration has no such", line
        )

    def test_secret(self) -> None:
        """A secret that no provider has is told in one line, the reason in it."""
        self.tell(fail(LookupError("no provider has 'x'")))
        (line,) = self.lines
        self.assertEqual(
            line, "Push: statuses cannot be sent until this is fixed: no provider has 'x'"
        )

    def test_slow_provider(self) -> None:
        """A provider that does not answer is told after half a minute."""
        self.tell(Deferred())
        self.clock.advance(SECRETS_LIMIT)
        self.assertEqual(len(self.lines), 1)

    def test_attempt(self) -> None:
        """An attempt that fails on this side is not said to be the receiver's doing."""
        operator_log = OperatorLog(self.clock, "Push", self.log)
        trouble = Unreachable("verify: '/no/such.pem' is not there", here=True)
        operator_log.stopped_accepting(trouble, "build docs#1")
        operator_log = OperatorLog(self.clock, "Push", self.log)
        operator_log.stopped_accepting(Unreachable("connection refused"), "build docs#1")
        self.assertIn("statuses cannot be sent: verify: '/no/such.pem'", self.lines[0])
        self.assertIn("the receiver does not accept statuses: connection", self.lines[1])
