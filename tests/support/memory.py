"""An agent in memory that keeps what it is sent and answers it, and its answers."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import define, field
from support.digest import DigestServer
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.wire.auth import wrap
from buildbot_http_status_push.wire.bodies import BytesProducer

URL = "http://receiver.test/submit?from=ci"
BODY = b'{"state": "success"}'
DONE = Failure(ResponseDone())


@implementer(IResponse)
class Answer:
    """A response in memory, whose body comes in pieces and ends for a reason."""

    version = (b"HTTP", 1, 1)
    phrase = b"In memory"
    request = previousResponse = None  # noqa: N815 - Twisted's name

    def __init__(
        self,
        code: int = 200,
        challenge: str | None = None,
        *body: bytes,
        end: Failure | None = DONE,
    ) -> None:
        self.code = code
        self.headers = Headers({"WWW-Authenticate": [challenge]} if challenge else {})
        self.length = sum(map(len, body))
        self.body = body
        self.end = end
        self.transport = StringTransport()

    def deliverBody(self, protocol: Protocol) -> None:
        """Hand over the pieces until the reader wants no more."""
        protocol.makeConnection(self.transport)
        for piece in self.body:
            if self.transport.producerState == "producing":
                protocol.dataReceived(piece)
        if self.end is not None:
            protocol.connectionLost(self.end)

    def setPreviousResponse(self, response: object) -> None:  # noqa: N802 - Twisted's name
        """Nobody asks."""


@define
class Sent:
    """A request as it would cross the wire."""

    method: bytes
    uri: bytes
    headers: Headers
    producer: BytesProducer | None
    answer: Deferred[IResponse] = field(factory=Deferred)

    @property
    def body(self) -> bytes:
        """The body's bytes."""
        return self.producer.body if self.producer else b""

    def header(self, name: str) -> str | None:
        """Return the only value of a header."""
        values = self.headers.getRawHeaders(name)
        if values is None:
            return None
        [value] = values
        return value

    def judged_by(self, server: DigestServer) -> Answer:
        """Return what a Digest server answers."""
        parts = urlsplit(self.uri.decode())
        uri = f"{parts.path}?{parts.query}" if parts.query else parts.path
        challenge = server.judge(self.method.decode(), uri, self.header("Authorization"))
        return Answer(401, challenge, b"who are you?") if challenge else Answer(200)


@implementer(IAgent)
class Receiver:
    """Keeps what it is sent, and answers it at once or, without a rule, when it is told to."""

    def __init__(self, rule: Callable[[Sent], Answer] | None = None) -> None:
        self.rule = rule
        self.sent: list[Sent] = []

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Keep a request."""
        assert bodyProducer is None or isinstance(bodyProducer, BytesProducer)
        sent = Sent(method, uri, headers or Headers(), bodyProducer)
        self.sent.append(sent)
        if self.rule is not None:
            sent.answer.callback(self.rule(sent))
        return sent.answer

    def waiting(self) -> list[Sent]:
        """Return the requests that have no answer yet."""
        return [each for each in self.sent if not each.answer.called]


def always_ok(_: Sent) -> Answer:
    """Accept whatever comes."""
    return Answer(200)


def post(
    agent: IAgent, auth: object, url: str = URL, body: bytes | None = BODY, **headers: str
) -> Deferred[IResponse]:
    """Send a status the way the client does: the agent is wrapped for every attempt."""
    names = {name.replace("_", "-"): [value] for name, value in headers.items()}
    producer = None if body is None else BytesProducer(body)
    return wrap(agent, auth).request(b"POST", url.encode(), Headers(names), producer)
