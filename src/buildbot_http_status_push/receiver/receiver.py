"""A small real receiver: for trying things out, for the demo, and for tests that need faults.

Knows HTTP's server side and the signatures; must not know Buildbot, whose import alone takes
half a second. It also lives with the built-in reporter, which sends no webhook headers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, execute, gatherResults, succeed
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from buildbot_http_status_push.raw_requests import RawRequest
from buildbot_http_status_push.signing import ID_HEADER, SignatureError, verify

EVENT_HEADER = "buildbot-event"


class Reactor(Protocol):
    """What is needed of a Twisted reactor."""

    def seconds(self) -> float:
        """Return the time in seconds since the epoch."""

    def callLater(self, delay: float, function: Callable[..., object], *args: object) -> Any:
        """Call a function later."""

    def listenTCP(self, port: int, factory: Any, **options: Any) -> Any:  # noqa: N802 - Twisted's
        """Listen on a port."""


def _tuple(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(keys)


@frozen
class Behaviour:
    """How a receiver answers.

    Args:
        keys: Signing keys. Where there are any, a request that is signed with none of them is
            answered 401.
        fail: The status that answers every request, where it is to fail.
        fail_rate: The share of requests that is answered 503, from 0 to 1.
        delay: Seconds until an answer.
        hang: Whether no request is ever answered.
        body_limit: The most bytes that a body may have; a longer one is answered 413.
    """

    keys: tuple[str, ...] = field(default=(), converter=_tuple)
    fail: int | None = None
    fail_rate: float = 0.0
    delay: float = 0.0
    hang: bool = False
    body_limit: int = 64 * 1024 * 1024


@frozen
class Received:
    """A delivery that came for the first time.

    Args:
        id: The ``webhook-id``, where there is one.
        event: The event's name, such as ``builds.finished``, where the sender names it.
        body: The bytes as they came.
        headers: The request's headers, their names in lower case.
        at: When it came, in seconds since the epoch.
    """

    id: str | None
    event: str | None
    body: bytes
    headers: Mapping[str, str]
    at: float


@frozen
class Answer:
    """What a request is answered: the HTTP status code and the body, one line."""

    status: int
    text: str


@define
class Tally:
    """How many requests came to which end."""

    received: int = 0
    repeated: int = 0
    refused: int = 0
    unanswered: int = 0

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.received} received, {self.repeated} duplicate, "
            f"{self.refused} rejected, {self.unanswered} unanswered"
        )


class Receiver:
    """An HTTP server that takes deliveries, each one once.

    Args:
        reactor: The network and the clock.
        behaviour: How to answer; the attribute may be replaced at any time.
        on_status: Called with each delivery that came for the first time. If it raises, the
            answer is 500 and the delivery counts as not received.
        on_refused: Called with the answer of each request that was refused.
        draw: Yields random numbers from 0 to 1, for ``fail_rate``.

    Attributes:
        received: The deliveries that came, in order, repeats left out; may be emptied.
        tally: How many requests came to which end.
    """

    def __init__(
        self,
        reactor: Reactor,
        behaviour: Behaviour | None = None,
        on_status: Callable[[Received], object] = lambda received: None,
        on_refused: Callable[[Answer], object] = lambda answer: None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.received: list[Received] = []
        self.tally = Tally()
        self._reactor = reactor
        self._on_status = on_status
        self._on_refused = on_refused
        self._draw = draw
        self._ids: set[str] = set()
        self._port: Any = None
        site = Site(_Page(self), requestFactory=self._make_request, reactor=reactor)
        self._connections = _Connections(site)

    def listen(self, port: int = 0, host: str = "127.0.0.1") -> Deferred[int]:
        """Begin to listen.

        Args:
            port: The port; 0 for any free one.
            host: The IPv4 or IPv6 address to listen on.

        Returns:
            The port. Fails with ``twisted.internet.error.CannotListenError`` if it is taken.
        """
        return execute(self._listen, port, host)

    def _listen(self, port: int, host: str) -> int:
        listening = self._reactor.listenTCP(port, self._connections, interface=host)
        self._port = listening
        return int(listening.getHost().port)

    def stop(self) -> Deferred[list[None]]:
        """Stop listening and drop all connections; it may listen again afterwards."""
        port, self._port = self._port, None
        silent = succeed(None) if port is None else port.stopListening()
        return gatherResults([silent, self._connections.drop()])

    def _make_request(self, channel: object, *_: object) -> RawRequest:
        return RawRequest(channel, self.behaviour.body_limit)

    def handle(self, request: RawRequest) -> None:
        """Answer a request, now, later or never."""
        if self.behaviour.hang:
            self.tally.unanswered += 1
            return
        answer = self._decide(request)
        if answer.status != HTTPStatus.OK:
            self.tally.refused += 1
            self._on_refused(answer)
        if self.behaviour.delay:
            later = self._reactor.callLater(self.behaviour.delay, _reply, request, answer)
            request.notifyFinish().addErrback(lambda gone: later.cancel())
        else:
            _reply(request, answer)

    def _decide(self, request: RawRequest) -> Answer:
        if request.method != b"POST":
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, "only POST is taken here")
        if request.exceeded:
            limit = self.behaviour.body_limit
            return Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit} bytes")
        if self.behaviour.fail is not None:
            return Answer(self.behaviour.fail, "failing on request")
        if self._draw() < self.behaviour.fail_rate:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, "failing by chance, on request")
        return self._take(_read(request, self._reactor.seconds()))

    def _take(self, received: Received) -> Answer:
        try:
            if self.behaviour.keys:
                verify(received.headers, received.body, self.behaviour.keys, now=received.at)
        except SignatureError as refusal:
            return Answer(HTTPStatus.UNAUTHORIZED, str(refusal))
        if received.id in self._ids:
            self.tally.repeated += 1
            return Answer(HTTPStatus.OK, "a repeat")
        self._on_status(received)
        self._remember(received)
        return Answer(HTTPStatus.OK, "received")

    def _remember(self, received: Received) -> None:
        self.tally.received += 1
        self.received.append(received)
        if received.id is not None:
            self._ids.add(received.id)


def _read(request: Any, now: float) -> Received:
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    body = request.content.read()
    # An empty id would make all its deliveries repeats of the first one.
    return Received(headers.get(ID_HEADER) or None, headers.get(EVENT_HEADER), body, headers, now)


def _reply(request: Any, answer: Answer) -> None:
    request.setResponseCode(answer.status)
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        request.setHeader("Allow", "POST")
    request.write(f"{answer.text}\n".encode())
    request.finish()


class _Page(Resource):
    """Hands every request to the receiver, whatever its path."""

    isLeaf = True

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._receiver = receiver

    def render(self, request: Any) -> int:
        self._receiver.handle(request)
        return NOT_DONE_YET


class _Connections(WrappingFactory):
    """Knows the open connections, to be able to close them."""

    def __init__(self, factory: Site) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]  # likewise
        self._all_gone: Deferred[None] | None = None

    def drop(self) -> Deferred[None]:
        """Close every connection; fires when the last one is gone."""
        if not self.protocols:
            return succeed(None)
        self._all_gone = Deferred()
        for protocol in list(self.protocols):
            protocol.transport.abortConnection()
        return self._all_gone

    def unregisterProtocol(self, protocol: ProtocolWrapper) -> None:  # noqa: N802 - Twisted's name
        super().unregisterProtocol(protocol)  # type: ignore[no-untyped-call]  # likewise
        if self._all_gone is not None and not self.protocols:
            all_gone, self._all_gone = self._all_gone, None
            all_gone.callback(None)
