"""Live connections over real sockets, with a client that is not of autobahn."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from ssl import create_default_context
from typing import Any

import trustme
from attrs import frozen
from OpenSSL import SSL
from support.fakes import LogBook
from support.watching import MemoryStore, VersionRenderer
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from zope.interface import implementer

from buildbot_http_status_push.board.http.connections import Outgoing
from buildbot_http_status_push.board.live import browsers, websocket
from buildbot_http_status_push.board.live import hub as live
from buildbot_http_status_push.board.live.hub import Hub
from buildbot_http_status_push.board.live.websocket import (
    LiveConnection,
    LiveFactory,
    LiveResource,
    position_in,
    write_at_once,
)

reactor: Any = global_reactor  # Twisted types it as less than it is

KIBIBYTE = 1024
SMALL = 4 * KIBIBYTE
"""What systems keep of a connection that is not read, where they are told to keep little."""
PATIENCE = 60.0
"""Ends a test that hangs, in seconds; no test waits that long."""


class LiveTest(TestCase):
    """A hub on a real port, whose store is a list."""

    max_browsers = 10
    origins: tuple[str, ...] = ()

    async def setUp(self) -> None:
        """Serve."""
        self.store = MemoryStore(reactor)
        self.renderer = VersionRenderer(self.store)
        self.book = LogBook()
        self.factory = LiveFactory(reactor, self.max_browsers, self.origins, self.book.log)
        self.hub = Hub(reactor, self.store, self.renderer, self.factory.prepare)
        self.factory.hub = self.hub
        await self.hub.start()
        root = Resource()
        self.outgoing = Outgoing(reactor)
        root.putChild(b"live", LiveResource(self.factory, self.outgoing.send))
        root.putChild(b"page", Page())
        self.listening = reactor.listenTCP(0, Site(root), interface="127.0.0.1")
        # Connections have it of the port. Else the system takes megabytes, more and more of them.
        self.listening.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.port = self.listening.getHost().port

    async def tearDown(self) -> None:
        """Lose all connections and end."""
        self.hub.stop()
        await self.listening.stopListening()
        await self.until(lambda: self.factory.countConnections == 0)
        # Twisted's HTTP server closes kept connections in its own time.
        await self.until(lambda: not [each for each in reactor.getReaders() if is_served(each)])

    def address(self, since: int = 0, epoch: str = "first") -> str:
        """Return where to connect."""
        return f"ws://127.0.0.1:{self.port}/live?epoch={epoch}&since={since}"

    async def connect(self, since: int = 0, **options: Any) -> ClientConnection:
        """Connect and be let in."""
        return await self.connect_to(self.address(since), **options)

    async def watch(self) -> ClientConnection:
        """Connect, and have been told what there is."""
        client = await self.connect()
        await self.receive(client)
        return client

    async def connect_to(self, address: str, **options: Any) -> ClientConnection:
        """Connect to an address, until the test ends."""
        stack = ExitStack()
        self.addCleanup(deferToThread, stack.close)
        client: ClientConnection = await deferToThread(
            lambda: stack.enter_context(
                connect(address, open_timeout=PATIENCE, close_timeout=PATIENCE, **options)
            )
        )
        return client

    async def receive(self, client: ClientConnection) -> dict[str, Any]:
        """Return the next frame."""
        text = await deferToThread(client.recv, PATIENCE)
        frame: dict[str, Any] = json.loads(text)
        return frame

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until something is true; the test's timeout is the end of patience."""
        while not condition():
            await deferLater(reactor, 0.01)

    async def refusal(self, **options: Any) -> int:
        """Connect, and return the status of the refusal."""
        try:
            client = await self.connect(**options)
        except InvalidStatus as refused:
            return refused.response.status_code
        await deferToThread(client.close)
        return 0

    def raw(self, head: str) -> socket.socket:
        """Connect without any library and say something."""
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", self.port))
        client.sendall(head.replace("\n", "\r\n").encode())
        return client


class Page(Resource):
    """A small page."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """Answer."""
        return b"page"


def is_served(reader: Any) -> bool:
    """Tell whether a reader is a connection that a server here has accepted."""
    return type(reader).__name__ == "Server"


HANDSHAKE = """GET /live?epoch=first&since=0 HTTP/1.1
Host: board.example
Upgrade: websocket
Connection: Upgrade
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
Sec-WebSocket-Version: 13

"""


class ConnectionTest(LiveTest):
    """Browsers that do what they should."""

    async def test_stream(self) -> None:
        """A browser hears at once where it stands, and then every change."""
        client = await self.connect()
        welcome = await self.receive(client)
        self.store.change(7)
        change = await self.receive(client)
        self.assertEqual((welcome["type"], welcome["sequence"]), ("updates", 0))
        self.assertEqual((change["from"], change["sequence"]), (0, 1))

    async def test_resume(self) -> None:
        """It tells in the address where it stood, and hears what it missed."""
        for builder in (1, 2, 3):
            self.store.change(builder)
        client = await self.connect(since=1)
        frame = await self.receive(client)
        self.assertEqual([change["builder"] for change in frame["changes"]], [2, 3])

    async def test_nowhere(self) -> None:
        """One that does not say where it stands is told to fetch its page."""
        client = await self.connect_to(f"ws://127.0.0.1:{self.port}/live")
        frame = await self.receive(client)
        self.assertEqual((frame["type"], frame["recovered"]), ("snapshot", False))

    async def test_leaving(self) -> None:
        """A browser that leaves, or whose connection breaks, is forgotten."""
        polite, rude = await self.connect(), self.raw(HANDSHAKE)
        await self.until(lambda: len(self.hub.browsers) == 2)
        rude.close()
        await deferToThread(polite.close)
        await self.until(lambda: len(self.hub.browsers) == 0)

    async def test_after_a_page(self) -> None:
        """A connection that was kept alive after a page can become a live one."""
        client = self.raw("GET /page HTTP/1.1\nHost: board.example\n\n")
        answer = await deferToThread(read_until, client, b"page")
        self.assertIn(b"200 OK", answer)
        client.sendall(HANDSHAKE.replace("\n", "\r\n").encode())
        answer = await deferToThread(read_until, client, b'"changes":')
        self.assertIn(b"101 Switching Protocols", answer)

    async def test_head_of_the_answer(self) -> None:
        """The answer tells no version of the server, and agrees on no compression."""
        client = await self.connect(compression="deflate")
        assert client.response is not None
        headers = client.response.headers
        self.assertNotIn("Server", headers)
        self.assertNotIn("Sec-WebSocket-Extensions", headers)

    async def test_in_pieces(self) -> None:
        """A handshake that comes in pieces is understood."""
        client = self.raw(HANDSHAKE[:40])
        await deferLater(reactor, 0.05)
        client.sendall(HANDSHAKE[40:].replace("\n", "\r\n").encode())
        answer = await deferToThread(read_until, client, b'"changes":')
        self.assertIn(b"101 Switching Protocols", answer)

    async def test_what_browsers_say(self) -> None:
        """What browsers say is of no interest; small messages do no harm."""
        client = await self.watch()
        await deferToThread(client.send, "hello")
        self.store.change(1)
        self.assertEqual((await self.receive(client))["sequence"], 1)


class Listening(Protocol):
    """A server that keeps its connection, and notes when it has lost it.

    Args:
        tls: Starts TLS with it, if given.
    """

    def __init__(self, tls: Any = None) -> None:
        self.tls = tls
        self.made: Deferred[Any] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Keep it."""
        if self.tls:
            self.transport.startTLS(self.tls)  # type: ignore[union-attr]  # a TCP connection
        self.made.callback(self.transport)

    def connectionLost(self, *_: object) -> None:
        """Note it."""
        self.lost.callback(None)


@implementer(IOpenSSLContextFactory)
@frozen
class Certificates:
    """What a server shows in TLS, as Twisted asks for it."""

    context: SSL.Context

    def getContext(self) -> SSL.Context:  # noqa: N802  Twisted's name
        """Return it."""
        return self.context


class WritingTest(TestCase):
    """Frames that go to the system at once, on real connections."""

    async def serve(self, server: Listening) -> tuple[socket.socket, Any]:
        """Return a client and the transport of its server."""
        factory = Factory.forProtocol(lambda: server)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        self.addCleanup(port.stopListening)
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port.getHost().port))
        self.addCleanup(lambda: server.lost)
        self.addCleanup(client.close)
        return client, await server.made

    async def test_at_once(self) -> None:
        """What the system takes is sent without a turn of the reactor."""
        client, transport = await self.serve(Listening())
        write_at_once(transport, b"frame")
        self.assertNotIn(transport, reactor.getWriters())
        self.assertEqual(client.recv(100), b"frame")

    async def test_rest(self) -> None:
        """What the system does not take follows, and nothing overtakes it."""
        client, transport = await self.serve(Listening())
        frames = [b"%d" % number * 100_000 for number in range(5)]
        for frame in frames:
            write_at_once(transport, frame)
        found = await deferToThread(read_until, client, b"4" * 100_000)
        self.assertEqual(found, b"".join(frames))

    async def test_behind_what_waits(self) -> None:
        """Nothing overtakes what was written before, such as a ping."""
        client, transport = await self.serve(Listening())
        transport.write(b"ping")
        write_at_once(transport, b"frame")
        self.assertEqual(await deferToThread(read_until, client, b"frame"), b"pingframe")

    async def test_full(self) -> None:
        """A producer is paused as with any write."""
        client, transport = await self.serve(Listening())
        producer = Producer()
        transport.registerProducer(producer, True)
        while not producer.is_paused:
            write_at_once(transport, b"x" * 10_000)
        self.assertLess(len(transport.dataBuffer) + transport._tempDataLen, 128 * KIBIBYTE)
        client.close()

    async def test_closing(self) -> None:
        """A connection that is being closed gets what any write to it gets."""
        server = Listening()
        client, transport = await self.serve(server)
        transport.write(b"last")
        transport.loseConnection()
        write_at_once(transport, b"later")
        self.assertEqual(await deferToThread(read_all, client), b"lastlater")
        await server.lost

    async def test_lost(self) -> None:
        """Where the other side is gone, the reactor ends the connection."""
        server = Listening()
        client, transport = await self.serve(server)
        transport.pauseProducing()  # only writing shows it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        while not server.lost.called:
            write_at_once(transport, b"frame")
            await deferLater(reactor, 0)

    async def test_gone(self) -> None:
        """Nothing is written to a connection that the reactor has ended."""
        server = Listening()
        client, transport = await self.serve(server)
        client.close()
        await server.lost
        write_at_once(transport, b"too late")
        self.assertNotIn(transport, reactor.getWriters())

    async def test_tls(self) -> None:
        """With TLS nothing goes out in the clear."""
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        shown = SSL.Context(SSL.TLS_METHOD)
        certificate.configure_cert(shown)
        client, transport = await self.serve(Listening(Certificates(shown)))
        context = create_default_context()
        authority.configure_trust(context)
        write_at_once(transport, b"secret")
        secure = await deferToThread(context.wrap_socket, client, server_hostname="127.0.0.1")
        self.addCleanup(secure.close)
        write_at_once(transport, b" frame")
        self.assertEqual(await deferToThread(read_until, secure, b"frame"), b"secret frame")


@implementer(IPushProducer)
class Producer:
    """Notes whether it was paused."""

    is_paused = False

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """Note it."""
        self.is_paused = True

    def resumeProducing(self) -> None:  # noqa: N802  Twisted's name
        """Do nothing."""

    def stopProducing(self) -> None:  # noqa: N802  Twisted's name
        """Do nothing."""


class LimitsTest(LiveTest):
    """Browsers that do what they should not."""

    max_browsers = 2
    origins = ("https://wall.example.org",)

    async def test_another_site(self) -> None:
        """A page of another site, or of no site, may not connect; the log tells what to do."""
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            self.assertEqual(await self.refusal(origin=origin), 403, origin)
        self.assertEqual(len(self.book.lines), 3)
        self.assertIn("--origin 'https://evil.example'", self.book.lines[0])

    async def test_own_site(self) -> None:
        """The board's own pages may, and those of a site that was named."""
        for origin in (f"http://127.0.0.1:{self.port}", "https://wall.example.org"):
            self.assertEqual(await self.refusal(origin=origin), 0, origin)
            await self.until(lambda: self.factory.countConnections == 0)

    async def test_most_browsers(self) -> None:
        """There are no more browsers than the board may have; who leaves makes room."""
        first = await self.connect()
        await self.connect()
        self.assertEqual(await self.refusal(), 503)
        await deferToThread(first.close)
        await self.until(lambda: self.factory.countConnections < 2)
        self.assertEqual(await self.refusal(), 0)

    async def test_long_message(self) -> None:
        """Who says more than browsers have to say is dropped; others are not."""
        client, other = await self.watch(), await self.watch()
        await deferToThread(client.send, "x" * (websocket.MOST_BYTES + 1))
        with self.assertRaises(ConnectionClosed):
            await self.receive(client)
        self.store.change(1)
        self.assertEqual((await self.receive(other))["sequence"], 1)

    async def test_no_handshake(self) -> None:
        """A request that is no handshake is answered with what would be right, and no page."""
        client = self.raw("GET /live HTTP/1.1\nHost: board.example\n\n")
        answer = await deferToThread(read_all, client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 426 "), answer)
        self.assertNotIn(b"utobahn", answer)

    async def test_no_pong(self) -> None:
        """Who does not answer pings is dropped."""
        # Autobahn's timer cuts times to whole seconds, and fails on shorter ones.
        self.factory.protocol.autoPingInterval = 1
        self.factory.protocol.autoPingTimeout = 1
        client = self.raw(HANDSHAKE)
        await self.until(lambda: len(self.hub.browsers) == 1)
        await deferToThread(read_until, client, b"\x89")
        await self.until(lambda: len(self.hub.browsers) == 0)


class SlowReaderTest(LiveTest):
    """A browser that does not read what it is sent."""

    async def setUp(self) -> None:
        """Serve it as fast as can be, until it takes nothing more."""
        self.patch(live, "GATHER", 0.0)
        self.patch(live, "HEARD", 0.1)
        await super().setUp()
        self.client = self.raw(HANDSHAKE)
        await self.until(lambda: len(self.hub.browsers) == 1)
        await self.change_much()
        await self.until(lambda: self.hub.browsers.behind)

    async def change_much(self) -> None:
        """Change something that takes 100 KiB to tell."""
        self.renderer.padding = 100 * KIBIBYTE
        self.store.change(1)
        sequence = self.store.here.sequence
        await self.until(lambda: self.hub.position.sequence >= sequence)

    def buffered(self) -> int:
        """Return how many bytes wait in this process for browsers to take them."""
        served = [each for each in reactor.getReaders() if is_served(each)]
        return sum(len(each.dataBuffer) - each.offset + each._tempDataLen for each in served)

    async def test_memory(self) -> None:
        """What is kept for it is bounded, however much there is."""
        for _ in range(20):
            await self.change_much()
        # The high-water mark, and the frame that went beyond it.
        self.assertLess(self.buffered(), (64 + 110) * KIBIBYTE)

    async def test_pings(self) -> None:
        """What it pings meanwhile is not answered: the answers would be kept without end."""
        seen: list[bytes] = []
        answer = LiveConnection.onPing

        def count(connection: LiveConnection, payload: bytes) -> None:
            seen.append(payload)
            answer(connection, payload)

        self.patch(LiveConnection, "onPing", count)
        waits, ping = self.buffered(), b"\x89\xfd\0\0\0\0" + b"x" * 125
        await deferToThread(self.client.sendall, ping * 2000)
        await self.until(lambda: len(seen) == 2000)
        self.assertLessEqual(self.buffered(), waits)

    async def test_catching_up(self) -> None:
        """Once it reads on, it is told to fetch its page, and then hears every change."""
        await self.change_much()
        await deferToThread(read_until, self.client, b'"type":"snapshot"')
        self.renderer.padding = 0
        self.store.change(2)
        await deferToThread(read_until, self.client, b'"row/2"')
        self.assertEqual(self.hub.browsers.behind, 0)

    async def test_dropping(self) -> None:
        """After long it is dropped."""
        self.patch(browsers, "PATIENCE", 0.0)
        await self.until(lambda: self.factory.countConnections == 0)
        with self.assertRaises(ConnectionResetError):
            await deferToThread(read_all, self.client)


class PollingTest(LiveTest):
    """Browsers that WebSockets don't reach."""

    async def ask(self, query: str) -> tuple[bytes, bytes]:
        """Ask for what is new."""
        head = f"GET /live/updates?{query} HTTP/1.1\nHost: board.example\nConnection: close\n\n"
        answer: bytes = await deferToThread(read_all, self.raw(head))
        top, _, body = answer.partition(b"\r\n\r\n")
        return top, body

    async def test_news(self) -> None:
        """They get what has changed, in the same words."""
        self.store.change(1)
        head, body = await self.ask("epoch=first&since=0")
        self.assertIn(b"200 OK", head)
        self.assertIn(b"cache-control: no-store", head.lower())
        self.assertIn(b"content-type: application/json", head.lower())
        self.assertIn(b'"from":0', body)
        self.assertIn(b'"sequence":1', body)

    async def test_unread(self) -> None:
        """An answer that is not read counts among those whose memory is bounded."""
        self.renderer.padding = 1000 * KIBIBYTE
        self.store.change(1)
        client = self.raw("GET /live/updates?epoch=first&since=0 HTTP/1.1\nHost: a\n\n")
        await self.until(lambda: self.outgoing.held > self.renderer.padding)
        client.close()
        await self.until(lambda: self.outgoing.held == 0)

    async def test_nothing_new(self) -> None:
        """Where nothing is new they get nothing."""
        self.store.change(1)
        head, body = await self.ask("epoch=first&since=1")
        self.assertIn(b" 204 ", head)
        self.assertEqual(body, b"")

    async def test_another_epoch(self) -> None:
        """Where that can't be told they are told to fetch their page."""
        _, body = await self.ask("epoch=zeroth&since=1")
        self.assertIn(b'"type":"snapshot"', body)

    async def test_gone(self) -> None:
        """One that leaves before its answer is forgotten."""
        self.store.slowness = 0.2
        client = self.raw("GET /live/updates HTTP/1.1\nHost: board.example\n\n")
        await self.until(lambda: self.hub._requests)
        client.close()
        await self.until(lambda: not self.hub._requests)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_positions(self) -> None:
        """A position is an epoch and a number; whatever is no number is nowhere."""
        for since in ("", "x", "-1", "1" * 30, "٣"):
            self.assertIs(position_in({"epoch": ["e"], "since": [since]}), websocket.NOWHERE)


def read_until(client: socket.socket, end: bytes) -> bytes:
    """Read until some bytes have come, and return all."""
    found = b""
    while end not in found:
        piece = client.recv(2**16)
        assert piece, found
        found += piece
    return found


def read_all(client: socket.socket) -> bytes:
    """Read to the end."""
    found = b""
    while piece := client.recv(2**16):
        found += piece
    return found
