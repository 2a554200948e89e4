"""What docs/monitoring holds, checked by Prometheus's own tool."""

from __future__ import annotations

import re
import shutil
import subprocess
import unittest
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands.outbox_metrics import openmetrics
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.inspection import Stats

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
STATS = Stats("push", 5, dict.fromkeys(State, 1), 1_700_000_000.5)


REMARK = 3
"""The exit code of promtool where it could read metrics, and would name one otherwise."""


def promtool(*arguments: str | Path, given: str = "", good: int = 0) -> str:
    """Run it, see how it ends, and return what it says."""
    program = shutil.which("promtool")
    if program is None:
        raise unittest.SkipTest("apt-get install prometheus")
    done = subprocess.run(
        [program, *arguments], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == good, done.stdout + done.stderr
    return done.stdout + done.stderr


class MonitoringTests(SynchronousTestCase):
    """Alert rules and the textfile collector's input."""

    def test_rules(self) -> None:
        """Prometheus takes the alert rules."""
        self.assertIn("2 rules found", promtool("check", "rules", MONITORING / "alerts.yml"))

    def test_names(self) -> None:
        """The rules ask for metrics that there are."""
        asked = set(re.findall(r"\w+_timestamp_seconds", (MONITORING / "alerts.yml").read_text()))
        told = {each.name for each in text_string_to_metric_families(openmetrics([STATS]))}
        told.add("buildbot_board_master_heard_timestamp_seconds")  # whose own test is the board's
        self.assertEqual(asked - told, set())
        self.assertEqual(len(asked), 2)

    def test_textfile_collector(self) -> None:
        """The older parser that the textfile collector has reads the outbox's metrics too."""
        told = promtool("check", "metrics", given=openmetrics([STATS]), good=REMARK)
        # The older format has the counter's help under the counter's whole name.
        self.assertEqual(told, "http_status_push_produced_total no help text\n")
