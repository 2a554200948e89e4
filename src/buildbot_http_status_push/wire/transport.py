"""One HTTP exchange: a request goes out, its answer is read up to a cap, redirects not followed.

Knows Twisted's agents; must not know deliveries, retries or Buildbot.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from buildbot_http_status_push.wire.auth import BytesProducer

ANSWER_MOST = 64 * 1024
CONNECTION_IDLE = 30


@frozen
class Request:
    """What goes out.

    Args:
        url: The absolute URL as it stands on the wire, without user info.
        headers: The header fields.
        body: The bytes to send.
    """

    url: str
    headers: Headers = field(factory=Headers)
    body: bytes = b""


@frozen
class Answer:
    """What came back.

    Args:
        status: The HTTP status code.
        headers: The header fields.
        body: The answer's first 64 KiB at most.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's first value, None where there is none."""
        values = self.headers.getRawHeaders(name.encode("ascii"))
        return values[0].decode("utf-8", "replace") if values else None


def make_agent(
    reactor: object, policy: IPolicyForHTTPS, connections: int
) -> tuple[Agent, HTTPConnectionPool]:
    """Make the innermost agent, with a pool of kept-alive connections.

    Args:
        reactor: The reactor that connects.
        policy: How TLS connections are made and checked.
        connections: How many idle connections are kept at most.
    """
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = CONNECTION_IDLE
    return Agent.usingEndpointFactory(reactor, _Endpoints(reactor, policy), pool), pool


@implementer(IAgentEndpointFactory)
@frozen
class _Endpoints:
    """Says where requests go, at next to no cost where a kept-alive connection serves them.

    Twisted's own factory encodes the host name and sets TLS up for every request.
    """

    reactor: Any
    policy: IPolicyForHTTPS

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802 - Twisted's name
        return _Endpoint(self.reactor, self.policy, uri)


@implementer(IStreamClientEndpoint)
@frozen
class _Endpoint:
    """Is made in full when it connects."""

    reactor: Any
    policy: IPolicyForHTTPS
    uri: URI

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self.reactor, self.uri.host, self.uri.port
        )
        if self.uri.scheme == b"https":
            creator = self.policy.creatorForNetloc(self.uri.host, self.uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        # A connection's begin and end are no news for the master's log.
        cast(Any, protocolFactory).noisy = False
        return endpoint.connect(protocolFactory)


async def exchange(agent: IAgent, request: Request) -> Answer:
    """POST a request and read its answer.

    Args:
        agent: The agent that sends.
        request: What to send.

    Returns:
        The answer. Where a status came but its body breaks off, or is still coming when the
        exchange is cancelled, what was read until then: the status is what counts.
    """
    response = await agent.request(
        b"POST", request.url.encode("ascii"), request.headers, BytesProducer(request.body)
    )
    return Answer(response.code, response.headers, await _read(response))


def _read(response: IResponse) -> Deferred[bytes]:
    reader = _Reader()
    response.deliverBody(reader)
    return reader.finished


class _Reader(Protocol):
    """Collects the first bytes of a body; what is more, or never comes, is cut off."""

    def __init__(self) -> None:
        self._read = bytearray()
        self.finished: Deferred[bytes] = Deferred(lambda _: self._cut())

    def dataReceived(self, data: bytes) -> None:
        self._read += data[: ANSWER_MOST - len(self._read)]
        if len(self._read) >= ANSWER_MOST:
            self._cut()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        self._finish()

    def _cut(self) -> None:
        self._finish()
        _abort(self.transport)

    def _finish(self) -> None:
        if not self.finished.called:
            self.finished.callback(bytes(self._read))


def _abort(transport: Any) -> None:
    """Close a connection without a goodbye, which a silent TLS peer would never answer."""
    # Twisted hands a body's reader a proxy that can only say goodbye.
    inner = getattr(transport, "_producer", None) or transport
    getattr(inner, "abortConnection", inner.loseConnection)()
