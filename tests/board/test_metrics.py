"""The board's metrics: read by the parser of ``prometheus_client``, and scraped by Prometheus."""

from __future__ import annotations

import json
import sys
from typing import Any
from unittest.mock import patch

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.boards import BoardCase
from support.commands import temporary_folder
from support.prometheus import Prometheus
from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.live.update_log import UpdateLog
from buildbot_http_status_push.board.model import Position, Update
from buildbot_http_status_push.results import FAILURE

reactor: Any = global_reactor


class MetricsTests(BoardCase):
    """``/metrics``."""

    async def samples(self) -> dict[str, float]:
        """Return all samples as the parser of the format reads them."""
        answer = await self.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertIn("application/openmetrics-text", answer.headers["Content-Type"])
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        families = text_string_to_metric_families(answer.text)
        return {
            each.name + json.dumps(each.labels, sort_keys=True): each.value
            for family in families
            for each in family.samples
        }

    async def test_statuses(self) -> None:
        """Statuses are counted by what became of them, builds by their result."""
        await self.put(1, FAILURE)
        await self.put(2, None)
        await self.ask("POST", "/", b"{")
        told = await self.samples()
        name = "buildbot_board_statuses_total"
        self.assertEqual(told[f'{name}{{"code": "200", "outcome": "taken"}}'], 2)
        self.assertEqual(told[f'{name}{{"code": "400", "outcome": "refused"}}'], 1)
        builds = {
            result: told[f'buildbot_board_builds{{"result": "{result}"}}']
            for result in ("failure", "running", "success")
        }
        self.assertEqual(builds, {"failure": 1, "running": 1, "success": 0})

    async def test_masters(self) -> None:
        """It is told when each master was last heard of."""
        await self.put()
        told = await self.samples()
        (master,) = await self.board.store.masters()
        heard = told[f'buildbot_board_master_heard_timestamp_seconds{{"master": "{master.name}"}}']
        self.assertEqual(heard, master.heard_at)

    async def test_lag(self) -> None:
        """Each change that browsers are told is counted with how long that took."""
        await self.put(1)
        await self.get("/live/updates?epoch=x&since=0")  # answered once changes are told
        told = await self.samples()
        self.assertEqual(told["buildbot_board_lag_seconds_count{}"], 1)
        self.assertLess(told["buildbot_board_lag_seconds_sum{}"], 60.0)
        self.assertEqual(told["buildbot_board_browsers{}"], 0)

    async def test_prometheus(self) -> None:
        """A real Prometheus scrapes the board and finds its samples."""
        prometheus = Prometheus(temporary_folder(self), self.port)
        self.addCleanup(prometheus.stop)
        await self.put(1, FAILURE)
        query = 'buildbot_board_builds{result="failure"}'
        while not (found := await deferToThread(prometheus.found, query)):
            await deferLater(reactor, 0.1)
        self.assertEqual(found, ["1"])
        self.assertEqual(await deferToThread(prometheus.found, "up"), ["1"])


class UpdateLogTests(SynchronousTestCase):
    """Which changes browsers were not told before."""

    def test_accepted_after(self) -> None:
        """What came after a position is told, and nothing of another order."""
        log = UpdateLog(Position("e", 0))
        log.add(Update(sequence=n, build=1, builder=1, at=10.0 * n) for n in (1, 2, 3))
        self.assertEqual(log.accepted_after(Position("e", 1)), [20.0, 30.0])
        self.assertEqual(log.accepted_after(Position("other", 1)), [])


class UnmeasuredTests(BoardCase):
    """A board where the extra is not installed."""

    async def setUp(self) -> None:
        """Start a board whose module that needs the extra can't be imported."""
        missing = patch.dict(
            sys.modules, {"buildbot_http_status_push.board.programs.metrics": None}
        )
        with missing:
            await super().setUp()

    async def test_says_so(self) -> None:
        """Statuses are accepted, and /metrics says what to install."""
        self.assertEqual((await self.put(1)).status, 200)
        answer = await self.get("/metrics")
        self.assertEqual(answer.status, 501)
        self.assertIn(b"[metrics]", answer.body)
