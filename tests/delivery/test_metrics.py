"""The sender's metrics: on a real master, read by the format's parser and by Prometheus."""

from __future__ import annotations

import socket
from typing import Any

from buildbot.process.results import SUCCESS
from buildbot.util.twisted import async_to_deferred
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.boards import Answer, ask
from support.commands import temporary_folder
from support.fakes import LogBook, a_delivery
from support.master import EndWith, Master, ReporterTestCase, configuration
from support.outboxes import NOW
from support.ports import free_port
from support.prometheus import Prometheus
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from buildbot_http_status_push.configuration import runtime_checks
from buildbot_http_status_push.configuration.runtime_checks import metrics_faults
from buildbot_http_status_push.delivery import metrics_server
from buildbot_http_status_push.delivery.meter import Meter
from buildbot_http_status_push.delivery.metrics_server import MetricsServer
from buildbot_http_status_push.model import Accepted, Outcome, Refused, State, Unreachable
from buildbot_http_status_push.outbox.inspection import Stats
from buildbot_http_status_push.outbox.openmetrics import NAME
from buildbot_http_status_push.reporter import HttpStatusPush

OPENMETRICS = "application/openmetrics-text"

BUILDERS = {"success": [EndWith(SUCCESS)]}


def samples(text: str) -> dict[str, float]:
    """Return all samples as the format's parser reads them, with their labels in order."""
    return {
        f"{each.name.removeprefix(NAME)} {' '.join(each.labels.values())}".rstrip(): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


class MeterTest(SynchronousTestCase):
    """What is counted."""

    def test_attempts(self) -> None:
        """Attempts are counted by outcome and code, acceptances by the time they took."""
        meter = Meter("push", lambda: NOW + 2.0)
        outcomes: list[Outcome] = [Accepted(200), Refused(503), Unreachable("no"), Accepted(202)]
        for outcome in outcomes:
            sent = meter.measured(lambda _, outcome=outcome: succeed(outcome))
            self.assertIs(self.successResultOf(sent(a_delivery(created_at=NOW))), outcome)
        meter.found()
        stats = Stats("push", 3, {**dict.fromkeys(State, 0), State.WAITING: 1}, NOW)
        document, content_type = meter.document(stats, OPENMETRICS, paused=True)
        self.assertTrue(content_type.startswith(OPENMETRICS), content_type)
        told = samples(document.decode())
        for labels in ("200 accepted", "202 accepted", "503 refused", " unreachable"):
            self.assertEqual(told[f"attempts_total {labels} push"], 1)
        self.assertEqual(told["acceptance_seconds_count push"], 2)
        self.assertEqual(told["acceptance_seconds_sum push"], 4)
        self.assertEqual(told["paused push"], 1)
        self.assertEqual(told["catchup_found_total push"], 1)
        self.assertEqual(told["deliveries push waiting"], 1)
        self.assertEqual(told["produced_total push"], 3)


class FaultsTest(SynchronousTestCase):
    """What is told at checkconfig."""

    def test_places(self) -> None:
        """What is no server endpoint is told with what would be one."""
        for place in ("tcp:9118", "tcp:9118:interface=127.0.0.1", "unix:/run/metrics", None):
            self.assertEqual(list(metrics_faults(place)), [])
        for place in (9118, "9118", "tcp:x", "", "nosuch:1"):
            [fault] = metrics_faults(place)
            self.assertTrue(fault.startswith(f"metrics is {place!r} ("), fault)
            self.assertTrue(fault.endswith("such as 'tcp:9118:interface=127.0.0.1'"), fault)

    def test_missing(self) -> None:
        """Where the extra is not installed, that is told."""
        self.patch(runtime_checks, "find_spec", lambda name: None)
        [fault] = metrics_faults("tcp:9118")
        self.assertIn("pip install 'buildbot-http-status-push[metrics]'", fault)


class ServerTest(SynchronousTestCase):
    """A place that is taken."""

    def test_taken(self) -> None:
        """It is one line, and tried again until it is free; who stops tries no more."""
        clock, book = Clock(), LogBook()
        server = MetricsServer(clock, "push", lambda _: succeed((b"", "")), book.log)
        # A clock can't listen: that is trouble as good as any.
        self.successResultOf(self.done(server.listen("tcp:1")))
        clock.advance(metrics_server.TRY_AGAIN)
        self.assertEqual(len(book.lines), 1)
        self.assertIn("push: metrics: can't listen at tcp:1: ", book.lines[0])
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        self.successResultOf(self.done(server.stop()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def done(self, work: Any) -> Any:
        """Return a coroutine's Deferred."""
        return Deferred.fromCoroutine(work)


class BodiesTest(TestCase):
    """Requests with bodies, which a metrics server has no use for."""

    timeout = 60

    async def test_rejected(self) -> None:
        """It answers 405 after the head, and closes the connection without reading a body."""
        served: list[None] = []

        async def document(accept: str) -> tuple[bytes, str]:
            served.append(None)
            return b"# EOF\n", "text/plain"

        server = MetricsServer(reactor, "push", document, LogBook().log)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        port = free_port()
        await server.listen(f"tcp:{port}:interface=127.0.0.1")
        form = "Content-Type: application/x-www-form-urlencoded"
        for method in ("POST", "PUT", "GET"):
            for length in (
                "Content-Length: 300000000",
                "Content-Length: 300000000\r\nExpect: 100-continue",
                "Transfer-Encoding: chunked",
            ):
                head = f"{method} /metrics HTTP/1.1\r\nHost: a\r\n{form}\r\n{length}\r\n\r\n"
                told = await deferToThread(self.until_closed, port, head.encode())
                self.assertTrue(told.startswith(b"HTTP/1.1 405 "), told)
                self.assertIn(b"\r\nAllow: GET, HEAD\r\n", told)
        self.assertEqual(served, [])
        self.assertEqual((await deferToThread(ask, port, "GET", "/metrics")).body, b"# EOF\n")

    def until_closed(self, port: int, head: bytes) -> bytes:
        """Send a head and nothing of its body; return what is read until the connection ends."""
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(head)
            with connection.makefile("rb") as answer:
                return answer.read()


class MasterTest(ReporterTestCase):
    """A master whose reporter is measured."""

    timeout = 60

    async def start(self, url: str, **options: Any) -> Master:
        """Start it."""
        return await self.start_master(configuration([HttpStatusPush(url, **options)], BUILDERS))

    async def get(self, port: int, path: str = "/metrics") -> Answer:
        """Ask for a page as Prometheus does."""
        headers = {"Accept": f"{OPENMETRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5"}
        answer: Answer = await deferToThread(ask, port, "GET", path, headers=headers)
        return answer

    @async_to_deferred
    async def test_served(self) -> None:
        """What a build's statuses came to is told, and the port goes with the option."""
        inbox, url = await self.open_inbox()
        port = free_port()
        place = f"tcp:{port}:interface=127.0.0.1"
        master = await self.start(url, metrics=place)
        await master.build("success")
        await inbox.until(2)
        name = "HttpStatusPush"
        while True:
            answer = await self.get(port)
            told = samples(answer.text)
            if told[f"deliveries {name} delivered"] == 2:
                break
        self.assertIn("application/openmetrics-text", str(answer.headers["Content-Type"]))
        self.assertEqual(told[f"attempts_total 200 accepted {name}"], 2)
        self.assertEqual(told[f"acceptance_seconds_count {name}"], 2)
        self.assertEqual(told[f"paused {name}"], 0)
        self.assertEqual((await self.get(port, "/")).status, 404)
        await master.reconfigure(
            configuration([HttpStatusPush(url, metrics=place, timeout=9)], BUILDERS)
        )
        await master.build("success")
        await inbox.until(4)
        told = samples((await self.get(port)).text)
        self.assertEqual(told[f"attempts_total 200 accepted {name}"], 4)
        await master.reconfigure(configuration([HttpStatusPush(url)], BUILDERS))
        with self.assertRaises(ConnectionRefusedError):
            await self.get(port)

    @async_to_deferred
    async def test_taken(self) -> None:
        """A master whose port is taken runs and sends; it is served once the port is free."""
        self.patch(metrics_server, "TRY_AGAIN", 0.05)
        inbox, url = await self.open_inbox()
        with socket.create_server(("127.0.0.1", 0)) as taken, capturedLogs() as lines:
            port = taken.getsockname()[1]
            master = await self.start(url, metrics=f"tcp:{port}:interface=127.0.0.1")
            await master.build("success")
            await inbox.until(2)
        told = [each for each in lines if "can't listen" in (each.get("log_format") or "")]
        self.assertEqual(len(told), 1)
        while True:
            try:
                self.assertEqual((await self.get(port)).status, 200)
                break
            except OSError:
                await deferLater(reactor, 0.05)

    @async_to_deferred
    async def test_prometheus(self) -> None:
        """A real Prometheus scrapes it."""
        inbox, url = await self.open_inbox()
        port = free_port()
        master = await self.start(url, metrics=f"tcp:{port}:interface=127.0.0.1")
        prometheus = Prometheus(temporary_folder(self), port)
        self.addCleanup(prometheus.stop)
        await master.build("success")
        await inbox.until(2)
        query = 'http_status_push_deliveries{state="delivered"}'
        while await deferToThread(prometheus.found, query) != ["2"]:
            await deferLater(reactor, 0.1)
        self.assertEqual(await deferToThread(prometheus.found, "http_status_push_paused"), ["0"])
