"""One HTTP exchange: one deadline over all of it, and a cap on what is read.

Knows Twisted's agents; must not know deliveries, retries or Buildbot.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from hyperlink import URL
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS, IResponse

from buildbot_http_status_push.auth import BytesProducer

ANSWER_MOST = 64 * 1024
CONNECTION_IDLE = 30


@frozen
class Request:
    """What goes out.

    Args:
        url: The absolute URL, without user info.
        headers: The header fields.
        body: The bytes to send.
        method: The HTTP method.
    """

    url: str
    headers: Headers = field(factory=Headers)
    body: bytes = b""
    method: str = "POST"


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
    return Agent(reactor, contextFactory=policy, pool=pool), pool


def exchange(
    reactor: IReactorTime, agent: IAgent, request: Request, timeout: float
) -> Deferred[Answer]:
    """Send a request and read its answer, redirects not followed.

    Args:
        reactor: The clock of the deadline.
        agent: The agent that sends.
        request: What to send.
        timeout: Seconds for the whole exchange: connecting, sending, answer and body.

    Returns:
        The answer. Where a status came but its body stalls or breaks off, what was read until
        then: the status is what counts.
    """
    answer = ensureDeferred(_exchange(agent, request))
    return answer.addTimeout(timeout, reactor)


async def _exchange(agent: IAgent, request: Request) -> Answer:
    response = await agent.request(
        request.method.encode("ascii"),
        to_uri(request.url).encode("ascii"),
        request.headers,
        BytesProducer(request.body),
    )
    return Answer(response.code, response.headers, await _read(response))


def to_uri(url: str) -> str:
    """Return the URL as it stands on the wire: as written, non-ASCII parts encoded (RFC 3987)."""
    return url if url.isascii() else URL.from_text(url).to_uri().to_text()


def _read(response: IResponse) -> Deferred[bytes]:
    reader = _Reader()
    response.deliverBody(reader)
    return reader.finished


class _Reader(Protocol):
    """Collects the first bytes of a body; what is more, or never comes, is cut off."""

    def __init__(self) -> None:
        self._read = bytearray()
        self.finished: Deferred[bytes] = Deferred(self._cancel)

    def dataReceived(self, data: bytes) -> None:
        self._read += data[: ANSWER_MOST - len(self._read)]
        if len(self._read) >= ANSWER_MOST:
            self._cut()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        self._finish()

    def _cancel(self, _: Deferred[bytes]) -> None:
        self._cut()

    def _cut(self) -> None:
        self._finish()
        abort(self.transport)

    def _finish(self) -> None:
        if not self.finished.called:
            self.finished.callback(bytes(self._read))


def abort(transport: Any) -> None:
    """Close a connection without a goodbye, which a silent TLS peer would never answer."""
    # Twisted hands a body's reader a proxy that can only say goodbye.
    inner = getattr(transport, "_producer", None) or transport
    getattr(inner, "abortConnection", inner.loseConnection)()
