"""One exchange over loopback: what is read, what is cut off, and what a cancellation leaves."""

from __future__ import annotations

import tracemalloc
from functools import partial
from typing import Any, cast

from support.servers import (
    HEAD_ONLY,
    OK,
    Connection,
    Server,
    ServerTestCase,
    Telling,
    TLSContext,
    endless,
    never,
    reactor,
    write,
    write_and_close,
)
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.internet.task import deferLater
from twisted.internet.tcp import Client
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.iweb import IAgent
from zope.interface import implementer

from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.bodies import Answer, receive
from buildbot_http_status_push.wire.requester import NO_COOKIES, OurHeaders, Requester
from buildbot_http_status_push.wire.target import Target
from buildbot_http_status_push.wire.transport import Connections


class ExchangeTestCase(ServerTestCase):
    """A test case that exchanges."""

    def exchange(
        self,
        server: Server,
        scheme: str = "http",
        agent: IAgent | None = None,
        body: bytes = b"body",
    ) -> Deferred[Answer]:
        """Begin an exchange."""
        target = Target(f"{scheme}://127.0.0.1:{server.port}/submit")
        found = agent or self.agent()
        requester = Requester(reactor, lambda _: found, partial(succeed, target))
        headers = OurHeaders({"X-Test": ["1"]})
        more: dict[str, Any] = {"headers": headers, "data": body, "unbuffered": True}
        sent = requester.request(target, Mask(), "POST", target.url, NO_COOKIES, **more)
        return Deferred.fromCoroutine(exchange(sent))


async def exchange(sent: Deferred[Any]) -> Answer:
    """Wait for an answer, and read it."""
    return await receive(await sent)


class AnswerTest(ExchangeTestCase):
    """Answers as they come."""

    async def test_whole(self) -> None:
        """The request goes out as it is, and the answer's status, headers and body come back."""
        server = self.serve(
            write(b"HTTP/1.1 418 Teapot\r\nX-Note: h\xff\r\nContent-Length: 5\r\n\r\nshort")
        )
        answer = await self.exchange(server)
        self.assertEqual((answer.status, answer.body), (418, b"short"))
        self.assertEqual(answer.header("x-note"), "h\ufffd")
        self.assertIsNone(answer.header("X-Other"))
        [request] = server.requests
        self.assertEqual(request.line, "POST /submit HTTP/1.1")
        self.assertEqual(request.values("X-Test"), ["1"])
        self.assertEqual(request.values("Host"), [f"127.0.0.1:{server.port}"])
        self.assertEqual(request.values("Content-Length"), ["4"])
        self.assertEqual(request.body, b"body")

    async def test_no_content(self) -> None:
        """204 and 205 have no body to wait for."""
        for head in (
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        ):
            answer = await self.exchange(self.serve(write(head)))
            self.assertIn(answer.status, (204, 205))
            self.assertEqual(answer.body, b"")

    async def test_interim_answers(self) -> None:
        """1xx answers come before the final one, and are not it."""
        server = self.serve(
            write(
                b"HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
                OK,
            )
        )
        answer = await self.exchange(server)
        self.assertEqual((answer.status, answer.body), (200, b"ok"))

    async def test_chunked(self) -> None:
        """A body in chunks is put together."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        server = self.serve(write(head, b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"))
        self.assertEqual((await self.exchange(server)).body, b"abcde")

    async def test_until_the_end(self) -> None:
        """A body of no known length ends with the connection."""
        server = self.serve(write_and_close(b"HTTP/1.0 200 OK\r\n\r\nall of it"))
        self.assertEqual((await self.exchange(server)).body, b"all of it")

    async def test_breaks_off(self) -> None:
        """Where the connection breaks within the body, the status counts all the same."""
        server = self.serve(write_and_close(HEAD_ONLY + b"half"))
        answer = await self.exchange(server)
        self.assertEqual((answer.status, answer.body), (200, b"half"))

    async def test_breaks_off_within_the_head(self) -> None:
        """Where it breaks within the head, the status line counts, if it has come."""
        server = self.serve(write_and_close(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-"))
        answer = await self.exchange(server)
        self.assertEqual((answer.status, answer.header("X-A"), answer.body), (200, "1", b""))
        server = self.serve(write_and_close(b"HTTP/1.1 200"))
        await self.assertFailure(self.exchange(server), ResponseNeverReceived)

    async def test_closes(self) -> None:
        """Where it is closed without a byte, no answer was received."""
        await self.assertFailure(self.exchange(self.serve(Connection.close)), ResponseNeverReceived)

    async def test_kept_alive(self) -> None:
        """A connection serves one request after the other."""
        server = self.serve(write(OK))
        agent = self.agent()
        for _ in range(3):
            await self.exchange(server, agent=agent)
        self.assertEqual([each.served for each in server.connections], [3])

    def test_pool(self) -> None:
        """As many connections are kept as may be used at once, for half a minute."""
        pool = Connections(reactor, tls.make_policy(None, None), 7).pool
        self.assertEqual((pool.maxPersistentPerHost, pool.cachedConnectionTimeout), (7, 30))


@implementer(IHostnameResolver)
class EverythingHere:
    """Resolves every name to loopback, and keeps the names."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def resolveHostName(  # noqa: N802 - Twisted's name
        self, receiver: IResolutionReceiver, name: str, **options: Any
    ) -> IHostResolution:
        """Resolve a name."""
        self.names.append(name)
        resolution: Any = object()
        receiver.resolutionBegan(resolution)
        receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", options["portNumber"]))
        receiver.resolutionComplete()
        return cast(IHostResolution, resolution)


class NamesTest(ExchangeTestCase):
    """Names of hosts."""

    async def test_as_written(self) -> None:
        """What is ASCII goes to the resolver and into the request as it is written."""
        resolver = EverythingHere()
        former = reactor.installNameResolver(resolver)
        self.addCleanup(reactor.installNameResolver, former)
        server = self.serve(write(OK))
        names = ["qa--site.example", "r3---sn.example", "status_receiver", "host.example."]
        for name in names:
            target = Target(f"http://{name}:{server.port}/")
            agent = self.agent()
            requester = Requester(reactor, lambda _, agent=agent: agent, partial(succeed, target))
            sent = requester.request(target, Mask(), "GET", target.url, unbuffered=True)
            await exchange(sent)
        self.assertEqual(resolver.names, names)
        hosts = [each.values("Host")[0] for each in server.requests]
        self.assertEqual(hosts, [f"{name}:{server.port}" for name in names])


class TooMuchTest(ExchangeTestCase):
    """Answers longer than anyone wants to read."""

    async def test_a_gibibyte(self) -> None:
        """64 KiB are read, the connection is cut, and memory stays small."""
        server = self.serve(endless(500))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        answer = await self.exchange(server)
        self.assertEqual((answer.status, answer.body), (500, b"x" * 65536))
        await server.connections[0].lost
        _, most = tracemalloc.get_traced_memory()
        self.assertLess(most, 2**23)
        self.assertLess(server.written, 2**26)

    async def test_a_gibibyte_over_tls(self) -> None:
        """Over TLS it is the same: nobody waits for the server to say goodbye."""
        server = self.serve(endless(500), tls_context=TLSContext())
        answer = await self.exchange(server, "https")
        self.assertEqual(len(answer.body), 65536)
        await server.connections[0].lost
        self.assertLess(server.written, 2**26)


class CancelTest(ExchangeTestCase):
    """Exchanges that are given up."""

    async def test_no_answer(self) -> None:
        """Without an answer it ends as cancelled, and the connection is closed."""
        server = self.serve(never)
        requested = server.next_request()
        exchanged = self.exchange(server)
        await requested
        exchanged.cancel()
        await self.assertFailure(exchanged, CancelledError, ResponseFailed)
        await server.connections[0].lost

    async def test_within_the_body(self) -> None:
        """With a status at hand it ends with that, and the connection is closed."""
        server = self.serve(write(HEAD_ONLY, b"half"))
        agent = Telling(self.agent())
        exchanged = self.exchange(server, agent=agent)
        await agent.answered
        exchanged.cancel()
        answer = await exchanged
        self.assertEqual(answer.status, 200)
        self.assertTrue(b"half".startswith(answer.body))
        await server.connections[0].lost

    async def test_a_deaf_server(self) -> None:
        """A server that reads nothing more can't keep a connection open, with TLS or without."""

        def answer_and_read_no_more(connection: Connection) -> None:
            connection.write(HEAD_ONLY + b"half")
            connection.transport.pauseProducing()

        plain = self.serve(never)
        plain.on_connect = answer_and_read_no_more
        encrypted = self.serve(answer_and_read_no_more, tls_context=TLSContext())
        for server, scheme, size in ((plain, "http", 2**24), (encrypted, "https", 4)):
            agent = Telling(self.agent())
            exchanged = self.exchange(server, scheme, agent, b"x" * size)
            await agent.answered
            self.assertEqual(connections_to(server), 1)
            exchanged.cancel()
            await exchanged
            await deferLater(reactor, 0)
            self.assertEqual(connections_to(server), 0)


def connections_to(server: Server) -> int:
    """Count the connections that are open at the client's side."""
    transports = {*reactor.getReaders(), *reactor.getWriters()}
    peers = [each.getPeer() for each in transports if isinstance(each, Client)]
    return [peer.port for peer in peers].count(server.port)


class QuietTest(ExchangeTestCase):
    """What the master's log is spared."""

    async def test_connections(self) -> None:
        """A connection's begin and end are not logged."""
        told: list[str] = []

        def observe(event: LogEvent) -> None:
            told.append(eventAsText(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        await self.exchange(self.serve(write_and_close(b"HTTP/1.0 200 OK\r\n\r\nbye")))
        self.assertEqual([each for each in told if "factory" in each], [])
