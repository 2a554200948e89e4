"""Raw servers on loopback, whose every byte a test decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import trustme
from attrs import frozen
from OpenSSL import SSL
from support.fakes import LogBook, a_delivery
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IOpenSSLContextFactory, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.model import Outcome
from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.client import Client
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Target
from buildbot_http_status_push.wire.transport import Connections

reactor: Any = global_reactor  # Twisted types it as less than it is

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD_ONLY = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
TIMEOUT = 10.0
GIBIBYTE = 2**30
CHUNK = 2**16


@frozen
class Request:
    """A request as it crossed the wire.

    Args:
        head: The request line and the header lines.
        body: The body.
    """

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n")[0].decode("latin-1")

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        lines = (line.split(b":", 1) for line in self.head.split(b"\r\n")[1:])
        return [
            value.strip().decode("utf-8")
            for found, value in lines
            if found.lower() == name.lower().encode()
        ]


class Connection(Protocol):
    """One connection; each whole request that it brings is answered as the test says."""

    transport: Any  # a TCP or a TLS one, between which Twisted has no common interface

    def __init__(self, server: Server) -> None:
        self.server = server
        self.served = 0
        self.lost: Deferred[None] = Deferred()
        self._received = b""

    def connectionMade(self) -> None:
        """Tell the server."""
        self.server.connections.append(self)
        if self.server.on_connect is not None:
            self.server.on_connect(self)

    def dataReceived(self, data: bytes) -> None:
        """Collect requests."""
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if not end:
            return  # nor is it read yet: a client that begins TLS sends anything
        sizes = Request(head, b"").values("Content-Length")
        size = int(sizes[0]) if sizes else 0
        if len(rest) < size:
            return
        self._received = rest[size:]
        self.served += 1
        self.server.got(self, Request(head, rest[:size]))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        """Note it."""
        self.lost.callback(None)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def close(self) -> None:
        """End the connection in an orderly way."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """End the connection at once."""
        self.transport.abortConnection()


Answer: TypeAlias = Callable[[Connection], None]


def write(*pieces: bytes) -> Answer:
    """Return an answer that writes pieces, each by itself."""

    def answer(connection: Connection) -> None:
        for piece in pieces:
            connection.write(piece)

    return answer


def write_and_close(data: bytes) -> Answer:
    """Return an answer that writes bytes and closes the connection."""

    def answer(connection: Connection) -> None:
        connection.write(data)
        connection.close()

    return answer


def never(_: Connection) -> None:
    """Answer nothing, ever."""


@implementer(IPushProducer)
class Endless:
    """Writes a gibibyte, as fast as it is read, and counts what it has written."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.paused = True

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Write on."""
        self.paused = False
        while not self.paused and self.connection.server.written < GIBIBYTE:
            self.connection.server.written += CHUNK
            self.connection.write(b"x" * CHUNK)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Wait until there is room again."""
        self.paused = True

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Stop."""
        self.paused = True


def endless(status: int) -> Answer:
    """Return an answer with a body of a gibibyte, made while it is sent."""

    def answer(connection: Connection) -> None:
        head = f"HTTP/1.1 {status} Much\r\nContent-Length: {GIBIBYTE}\r\n\r\n"
        connection.write(head.encode())
        producer = Endless(connection)
        connection.transport.registerProducer(producer, True)
        producer.resumeProducing()

    return answer


class Server(Factory):
    """Listens on loopback.

    Args:
        answer: What is done with each request.
    """

    noisy = False

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.on_connect: Answer | None = None
        self.connections: list[Connection] = []
        self.requests: list[Request] = []
        self._awaited: Deferred[Request] | None = None
        self.port = 0
        self.written = 0

    def buildProtocol(self, addr: object) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    def got(self, connection: Connection, request: Request) -> None:
        """Keep a request, and answer it."""
        self.requests.append(request)
        self.answer(connection)
        if self._awaited is not None:
            awaited, self._awaited = self._awaited, None
            awaited.callback(request)

    def next_request(self) -> Deferred[Request]:
        """Return the request that comes next, once it was answered."""
        self._awaited = Deferred()
        return self._awaited


@implementer(IOpenSSLContextFactory)
class TLSContext:
    """What a server needs to speak TLS, with a certificate of an authority that nobody knows."""

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted's name
        """Make OpenSSL's context."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
        return context


@implementer(IAgent)
class Telling:
    """Tells when an answer's head has come and its body is being read."""

    def __init__(self, agent: IAgent) -> None:
        self.agent = agent
        self.answered: Deferred[None] = Deferred()

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Pass it on."""
        sent: Deferred[IResponse] = self.agent.request(method, uri, headers, bodyProducer)
        return sent.addCallback(self._tell)

    def _tell(self, response: IResponse) -> IResponse:
        # In the next turn, when whoever asked has begun to read.
        reactor.callLater(0, self.answered.callback, None)
        return response


class ServerTestCase(TestCase):
    """A test case with servers, and clients for them, that are gone at its end."""

    timeout = 60

    def serve(
        self, answer: Answer, interface: str = "127.0.0.1", tls_context: TLSContext | None = None
    ) -> Server:
        """Start a server."""
        server = Server(answer)
        if tls_context is None:
            port = reactor.listenTCP(0, server, interface=interface)
        else:
            port = reactor.listenSSL(0, server, tls_context, interface=interface)
        server.port = port.getHost().port

        async def stop() -> None:
            await port.stopListening()
            for connection in server.connections:
                if not connection.lost.called:
                    connection.reset()
            await gatherResults([each.lost for each in server.connections])

        self.addCleanup(lambda: Deferred.fromCoroutine(stop()))
        return server

    def agent(self) -> IAgent:
        """Return an agent with kept-alive connections, that checks no certificates."""
        connections = Connections(reactor, tls.make_policy(False, None), 10)
        self.addCleanup(connections.pool.closeCachedConnections)
        return connections.agent()

    def client(
        self,
        target: Target | str,
        *,
        agent: IAgent | None = None,
        clock: Clock | None = None,
        timeout: float = TIMEOUT,
    ) -> Client:
        """Return a client with connections of its own, that logs all into ``self.book``."""
        known = Target(target) if isinstance(target, str) else target
        self.book = LogBook()
        found = agent or self.agent()
        requester = Requester(
            clock or reactor,
            lambda _: found,
            lambda: succeed(known),
            debug=True,
            log=self.book.log,
        )
        return Client(requester, timeout)

    def post(self, server: Server, **options: Any) -> Deferred[Outcome]:
        """Send one status with a client of its own."""
        return self.client(f"http://127.0.0.1:{server.port}/", **options).send(a_delivery())
