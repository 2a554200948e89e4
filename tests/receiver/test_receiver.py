"""The receiver over real connections: what it takes, refuses, drops and how it misbehaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import treq
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool, ResponseNeverReceived

from buildbot_http_status_push.receiver.description import describe
from buildbot_http_status_push.receiver.receiver import Answer, Behaviour, Received, Receiver
from buildbot_http_status_push.results import result_word
from buildbot_http_status_push.signing import sign

KEY = "a key for tests"
JSON_VALUES = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        6,
        7,
        1.5,
        "",
        "\x1b[2J",
        "\ud800",
        [],
        [1],
        {},
        {"name": None},
        {"name": 3},
    ]
)
BUILD = {"number": 7, "complete": False, "builder": {"name": "docs"}, "results": None}


class ManualReactor(Clock):
    """Real connections, and a clock that only moves when told."""

    def listenTCP(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - Twisted's name
        """Listen on a real port."""
        return reactor.listenTCP(*args, **kwargs)


class WatchedReceiver(Receiver):
    """Tells when the first request was worked on, and how much of each body was kept."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.handled: Deferred[None] = Deferred()
        self.kept: list[int] = []

    def handle(self, request: Any) -> None:
        """Work on a request, then tell."""
        self.kept.append(request.content.seek(0, 2))
        request.content.seek(0)
        super().handle(request)
        if not self.handled.called:
            self.handled.callback(None)


class ReceiverTests(TestCase):
    """A receiver on loopback, and a sender with kept-alive connections."""

    def setUp(self) -> None:
        """Begin with no receiver, and with a fresh pool of connections."""
        self.clock = ManualReactor()
        self.clock.advance(1_700_000_000)
        self.pool = HTTPConnectionPool(reactor)
        self.addCleanup(self.pool.closeCachedConnections)
        self.agent = Agent(reactor, pool=self.pool)
        self.refused: list[Answer] = []

    async def start(
        self,
        behaviour: Behaviour | None = None,
        on_status: Callable[[Received], object] = lambda received: None,
        draw: Callable[[], float] = lambda: 0.5,
    ) -> WatchedReceiver:
        """Start a receiver that is stopped after the test."""
        receiver = WatchedReceiver(self.clock, behaviour, on_status, self.refused.append, draw)
        self.addCleanup(receiver.stop)
        self.url = f"http://127.0.0.1:{await receiver.listen()}/hook"
        return receiver

    async def post(
        self, body: bytes = b"{}", headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, str]:
        """Send a request; return the answer's status and text."""
        client = treq.client.HTTPClient(self.agent)
        response = await client.request(
            method, self.url, headers=headers or {}, data=body, unbuffered=True
        )
        return response.code, (await response.text()).strip()

    def signed(self, body: bytes, message_id: str = "one", key: str = KEY) -> dict[str, str]:
        """The headers of a delivery signed at the clock's time."""
        now = int(self.clock.seconds())
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(key, message_id, now, body),
        }

    async def test_received(self) -> None:
        """A delivery is kept with its id, event, body, headers and time, and told."""
        told: list[Received] = []
        receiver = await self.start(on_status=told.append)
        headers = {"webhook-id": "one", "Buildbot-Event": "builds.new", "X-Other": "yes"}
        self.assertEqual(await self.post(b"{\xff", headers), (200, "received"))
        (received,) = receiver.received
        self.assertEqual(told, [received])
        self.assertEqual((received.id, received.event), ("one", "builds.new"))
        self.assertEqual(received.body, b"{\xff")
        self.assertEqual(received.headers["x-other"], "yes")
        self.assertEqual(received.at, 1_700_000_000)

    async def test_repeat(self) -> None:
        """A second delivery of the same id is answered 200, counted, and not told again."""
        receiver = await self.start()
        for message_id in ("one", "one", "two"):
            status, _ = await self.post(headers={"webhook-id": message_id})
            self.assertEqual(status, 200)
        self.assertEqual([received.id for received in receiver.received], ["one", "two"])
        self.assertEqual(str(receiver.tally), "2 received, 1 duplicate, 0 rejected, 0 unanswered")

    async def test_without_id(self) -> None:
        """Deliveries without an id, as the built-in reporter sends them, are all taken."""
        receiver = await self.start()
        for headers in ({}, {}, {"webhook-id": ""}, {"webhook-id": ""}):
            await self.post(headers=headers)
        self.assertEqual([received.id for received in receiver.received], [None] * 4)
        self.assertEqual(receiver.tally.repeated, 0)

    async def test_signature_good(self) -> None:
        """A request signed with one of the keys is taken."""
        receiver = await self.start(Behaviour(keys=("another", KEY)))
        self.assertEqual(await self.post(b"{}", self.signed(b"{}")), (200, "received"))
        self.assertEqual(receiver.tally.received, 1)

    async def test_signature_bad(self) -> None:
        """A request that is signed with no key of ours is answered 401 with the reason."""
        receiver = await self.start(Behaviour(keys=(KEY,)))
        for headers in ({}, self.signed(b"other"), self.signed(b"{}", key="another")):
            status, text = await self.post(b"{}", headers)
            self.assertEqual(status, 401)
            self.assertIn("webhook-", text)
        self.assertEqual(receiver.received, [])
        self.assertEqual([answer.status for answer in self.refused], [401] * 3)

    async def test_signature_before_repeat(self) -> None:
        """Nobody without a key learns which ids have come."""
        await self.start(Behaviour(keys=(KEY,)))
        await self.post(b"{}", self.signed(b"{}"))
        status, _ = await self.post(b"{}", self.signed(b"{}", key="another"))
        self.assertEqual(status, 401)

    async def test_old_timestamp(self) -> None:
        """A signature older than five minutes is refused by the receiver's own clock."""
        await self.start(Behaviour(keys=(KEY,)))
        headers = self.signed(b"{}")
        self.clock.advance(301)
        status, text = await self.post(b"{}", headers)
        self.assertEqual(status, 401)
        self.assertIn("too old", text)

    async def test_other_methods(self) -> None:
        """Any other method than POST is answered 405, with what is allowed."""
        receiver = await self.start()
        for method in ("GET", "HEAD", "PUT", "BREW"):
            response = await treq.client.HTTPClient(self.agent).request(method, self.url)
            await response.content()
            self.assertEqual(response.code, 405)
            self.assertEqual(response.headers.getRawHeaders("Allow"), ["POST"])
        self.assertEqual(receiver.tally.refused, 4)

    async def test_body_limit(self) -> None:
        """A body may be as long as the limit; a longer one is dropped and answered 413."""
        receiver = await self.start(Behaviour(body_limit=1000))
        self.assertEqual((await self.post(b"x" * 1000))[0], 200)
        self.assertEqual((await self.post(b"x" * 1001))[0], 413)
        self.assertEqual((await self.post(b"x" * 1_000_000))[0], 413)
        self.assertLessEqual(max(receiver.kept), 1000)
        self.assertEqual([len(received.body) for received in receiver.received], [1000])

    async def test_body_limit_chunked(self) -> None:
        """A body that doesn't tell its length beforehand is limited, too."""
        await self.start(Behaviour(body_limit=9))
        answer = Deferred[bytes]()
        port = int(self.url.split(":")[2].split("/")[0])
        await connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", port), Chunked(answer))
        self.assertIn(b" 413 ", (await answer).splitlines()[0])

    async def test_forms(self) -> None:
        """A body that claims to be a form is bytes like any other, valid as a form or not."""
        receiver = await self.start()
        bodies = {
            "application/x-www-form-urlencoded": b"state=success&state=&",
            "multipart/form-data; boundary=x": b"--y\r\nno form at all",
            "multipart/form-data": b"--x--",
        }
        for content_type, body in bodies.items():
            self.assertEqual(
                await self.post(body, {"Content-Type": content_type}), (200, "received")
            )
        self.assertEqual([each.body for each in receiver.received], list(bodies.values()))

    async def test_large_form(self) -> None:
        """Eight megabytes of ampersands cost the reactor less than a second of processor time."""
        await self.start()
        begin = time.process_time()
        await self.post(b"&" * 8_000_000, {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertLess(time.process_time() - begin, 1.0)

    async def test_fail(self) -> None:
        """A receiver told to fail answers every request so, until it is told otherwise."""
        receiver = await self.start(Behaviour(fail=507))
        self.assertEqual(await self.post(), (507, "failing on request"))
        receiver.behaviour = Behaviour()
        self.assertEqual((await self.post())[0], 200)
        self.assertEqual((receiver.tally.refused, receiver.tally.received), (1, 1))

    async def test_fail_rate(self) -> None:
        """A request is answered 503 where the number drawn is below the rate."""
        draws = iter([0.29, 0.3, 0.0, 0.99])
        await self.start(Behaviour(fail_rate=0.3), draw=lambda: next(draws))
        self.assertEqual([(await self.post())[0] for _ in range(4)], [503, 200, 503, 200])

    async def test_no_fail_rate(self) -> None:
        """Without a rate even the lowest draw does not fail."""
        await self.start(draw=lambda: 0.0)
        self.assertEqual((await self.post())[0], 200)

    async def test_delay(self) -> None:
        """A delivery is taken at once and answered after the delay."""
        receiver = await self.start(Behaviour(delay=2.0))
        answer = Deferred.fromCoroutine(self.post())
        await receiver.handled
        self.assertEqual(receiver.tally.received, 1)
        self.clock.advance(1.9)
        self.assertNoResult(answer)
        self.clock.advance(0.2)
        self.assertEqual((await answer)[0], 200)

    async def test_delay_and_gone(self) -> None:
        """A sender that has hung up is not answered any more."""
        receiver = await self.start(Behaviour(delay=2.0))
        answer = Deferred.fromCoroutine(self.post())
        await receiver.handled
        await receiver.stop()
        await self.assertFailure(answer, ResponseNeverReceived)
        self.clock.advance(2.0)

    async def test_hang(self) -> None:
        """A receiver told to hang never answers, and is ended all the same."""
        receiver = await self.start(Behaviour(hang=True))
        answer = Deferred.fromCoroutine(self.post())
        await receiver.handled
        self.assertNoResult(answer)
        await receiver.stop()
        await self.assertFailure(answer, ResponseNeverReceived)
        self.assertEqual((receiver.received, receiver.tally.unanswered), ([], 1))

    async def test_on_status_fails(self) -> None:
        """A delivery that can't be worked on is answered 500 and taken when it comes again."""
        troubles = [OSError("the disk is full")]

        def work(received: Received) -> None:
            if troubles:
                raise troubles.pop()

        receiver = await self.start(on_status=work)
        headers = {"webhook-id": "one"}
        self.assertEqual((await self.post(headers=headers))[0], 500)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(receiver.received, [])
        self.assertEqual(await self.post(headers=headers), (200, "received"))

    async def test_stop(self) -> None:
        """Stopping closes the port and the connections that are kept alive."""
        receiver = await self.start()
        await self.post()
        await receiver.stop()
        other = Receiver(self.clock)
        self.addCleanup(other.stop)
        port = int(self.url.split(":")[2].split("/")[0])
        self.assertEqual(await other.listen(port), port)

    async def test_listens_again(self) -> None:
        """A receiver that was stopped can listen again, and knows what it has received."""
        receiver = await self.start()
        port = int(self.url.split(":")[2].split("/")[0])
        await self.post(headers={"webhook-id": "one"})
        await receiver.stop()
        await self.pool.closeCachedConnections()
        await receiver.listen(port)
        await self.post(headers={"webhook-id": "one", "Connection": "close"})
        self.assertEqual((receiver.tally.received, receiver.tally.repeated), (1, 1))

    async def test_stop_unstarted(self) -> None:
        """A receiver that never listened can be stopped."""
        await Receiver(self.clock).stop()


class Chunked(Protocol):
    """Sends one chunked request by hand, and collects the answer until the connection ends."""

    def __init__(self, answer: Deferred[bytes]) -> None:
        self.answer = answer
        self.data = b""

    def connectionMade(self) -> None:
        """Send ten bytes in two chunks."""
        head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        chunks = b"5\r\nhello\r\n5\r\nthere\r\n0\r\n\r\n"
        self.transport.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)

    def dataReceived(self, data: bytes) -> None:
        """Collect the answer."""
        self.data += data

    def connectionLost(self, reason: Any) -> None:
        """Hand the answer over."""
        self.answer.callback(self.data)


def received(body: object, event: str | None = None, content_type: str = "text/x") -> Received:
    """A delivery as it came; a body that is no bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Received("one", event, raw, {"content-type": content_type}, 1_700_000_000.0)


class DescribeTests(SynchronousTestCase):
    """One line for each delivery."""

    def words(self, delivery: Received) -> str:
        """The line without its time, runs of spaces made one."""
        time, _, rest = describe(delivery).partition("  ")
        self.assertRegex(time, r"^\d\d:\d\d:\d\d$")
        return " ".join(rest.split())

    def test_new(self) -> None:
        """A build that is not complete is new."""
        self.assertEqual(self.words(received(BUILD)), "docs #7 new")

    def test_finished(self) -> None:
        """A complete build is finished, its result in words."""
        build = BUILD | {"complete": True, "results": 4}
        self.assertEqual(self.words(received(build)), "docs #7 finished: exception")

    def test_test_status(self) -> None:
        """A test status, which ping sends, is told as what it is."""
        content = {"number": 0, "complete": False, "builder": {"name": "ping"}, "test": True}
        self.assertEqual(self.words(received(content)), "a test status, no build")

    def test_without_builder_name(self) -> None:
        """A build without its builder's name is told by the builder's number."""
        build = {"number": 7, "complete": False, "builderid": 3}
        self.assertEqual(self.words(received(build)), "builder 3 #7 new")

    def test_other_json(self) -> None:
        """Other JSON is told by its event, its size and its beginning."""
        self.assertEqual(
            self.words(received({"worker": "w1"}, "workers.missing")),
            'workers.missing, 16 bytes: {"worker": "w1"}',
        )

    def test_text(self) -> None:
        """A text without an event is told by its type, and cut."""
        line = self.words(received(b"a" * 100, content_type="text/plain"))
        self.assertEqual(line, f"text/plain, 100 bytes: {'a' * 60}")

    def test_terminal(self) -> None:
        """Nothing that a sender writes steers the terminal."""
        line = describe(received(b"\x1b[2J\r\n\xff", event="\x07"))
        self.assertTrue(line.isprintable())

    @given(st.binary())
    def test_any_bytes(self, body: bytes) -> None:
        """Any body gives one printable line."""
        self.assertTrue(describe(received(body)).isprintable())

    @given(
        st.fixed_dictionaries(
            dict.fromkeys(BUILD, JSON_VALUES), optional={"builderid": JSON_VALUES}
        )
    )
    def test_any_build(self, content: dict[str, object]) -> None:
        """Anything that looks like a build gives one printable line."""
        self.assertTrue(describe(received(content)).isprintable())

    def test_result_words(self) -> None:
        """Result codes have Buildbot's own words, and an unknown one is told as it is."""
        from buildbot.process.results import Results

        self.assertEqual([result_word(code) for code in range(7)], Results)
        self.assertEqual(
            [result_word(code) for code in (7, -1, None)], ["result 7", "result -1", "result None"]
        )
