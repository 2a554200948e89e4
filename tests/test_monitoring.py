"""What docs/monitoring holds, checked by Prometheus's own tool and against what is measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.boards import BoardCase
from support.fakes import a_delivery
from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.meter import Meter
from buildbot_http_status_push.model import Accepted, State, Unreachable
from buildbot_http_status_push.outbox.inspection import Stats
from buildbot_http_status_push.outbox.openmetrics import openmetrics

MONITORING = Path(__file__).parents[1] / "docs" / "monitoring"
RULES = MONITORING / "alerts.yml"
DASHBOARD = MONITORING / "dashboard.json"
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


def queries() -> list[str]:
    """Return all that the dashboard asks for."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


class PromtoolTests(SynchronousTestCase):
    """What Prometheus says of rules, queries and the textfile collector's input."""

    def test_rules(self) -> None:
        """It takes the alert rules."""
        self.assertIn("2 rules found", promtool("check", "rules", RULES))

    def test_dashboard(self) -> None:
        """It takes the dashboard's queries."""
        rules = [
            {"record": "query", "expr": query, "labels": {"number": str(number)}}
            for number, query in enumerate(queries())
        ]
        file = Path(self.mktemp())
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        self.assertIn(f"{len(rules)} rules found", promtool("check", "rules", file))

    def test_textfile_collector(self) -> None:
        """The older parser that the textfile collector has reads the outbox's metrics too."""
        told = promtool("check", "metrics", given=openmetrics([STATS]), good=REMARK)
        # The older format has the counter's help under the counter's whole name.
        self.assertEqual(told, "http_status_push_produced_total no help text\n")

    def test_metrics_server(self) -> None:
        """It has no remarks on what a reporter serves to tools that ask for no format."""
        meter = Meter("push", lambda: 1_700_000_001.0)
        for outcome in (Accepted(200), Unreachable("no")):
            meter.measured(lambda _, outcome=outcome: succeed(outcome))(a_delivery(created_at=0.0))
        meter.found()
        document, _ = meter.document(STATS, "*/*", paused=False)
        self.assertEqual(promtool("check", "metrics", given=document.decode()), "")


class NamesTests(BoardCase):
    """Which metrics rules and dashboard ask for."""

    async def test_are_there(self) -> None:
        """All of them are measured."""
        await self.put()
        texts = (openmetrics([STATS]), (await self.get("/metrics")).text)
        measured = {
            sample.name
            for text in texts
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        for asker in (RULES.read_text(), " ".join(queries())):
            asked = set(re.findall(r"\b(?:http_status_push|buildbot_board)_\w+", asker))
            self.assertGreaterEqual(len(asked), 2)
            self.assertEqual(asked - measured, set())
