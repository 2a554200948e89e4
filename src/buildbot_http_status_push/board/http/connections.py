"""The board's connections, and what each may cost: time to send a request, memory, patience.

Whatever a stranger sends or does not read is bounded here, before anything looks at what it says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol
from weakref import WeakSet

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from zope.interface import implementer

from buildbot_http_status_push.board.http.documents import SECURITY, Document, answer, sentence
from buildbot_http_status_push.raw_requests import RawRequest

HEAD_WITHIN = 20.0
"""Seconds within which a request's line and headers have to arrive."""
BODY_WITHIN = 30.0
"""Seconds that a body has in addition, and one more for each ``BODY_RATE`` bytes that came."""
BODY_RATE = 16 * 1024
MOST_ARRIVING = 128 * 1024 * 1024
"""Bytes of bodies that may be arriving at once, over all connections."""
MOST_DROPPED = 64 * 1024 * 1024
"""Bytes of a refused body that are read and dropped, so that its sender reads the answer."""
PIECE = 64 * 1024
"""Bytes that are handed to a connection at once; the next piece waits until they are gone."""
MOST_HELD = 128 * 1024 * 1024
"""Bytes of answers that may be kept for readers that have not taken them, over all of them."""
READ_WITHIN = 60.0
"""Seconds within which a reader has to take something of an answer."""
RETRY_AFTER = 10
NO_DESCRIPTOR = ("EMFILE encountered", "Could not accept new connection")
"""How Twisted's lines begin when a connection can't be accepted."""
CALM = 10.0
"""Seconds without such a line, after which accepting works again."""


@implementer(ILogObserver)
@define(eq=False)
class AcceptErrors:
    """Logs when the system has no descriptor for another connection, and when it has again.

    Twisted copes with that by itself, and says so in its log only, once for each connection.
    """

    _seconds: Callable[[], float]
    _log: Logger
    _failed_at: float | None = field(default=None, init=False)

    def __call__(self, event: LogEvent) -> None:
        """Look at an event of Twisted's."""
        if not str(event.get("log_format", "")).startswith(NO_DESCRIPTOR):
            return
        if self._failed_at is None:
            self._log.error(
                "accepting connections failed: no file descriptor is left; raise the limit of "
                "open files (ulimit -n, or LimitNOFILE= of systemd)"
            )
        self._failed_at = self._seconds()

    def accepted(self) -> None:
        """Note that a connection was accepted."""
        if self._failed_at is not None and self._seconds() - self._failed_at > CALM:
            self._failed_at = None
            self._log.info("accepting connections works again")


@implementer(IPushProducer)
@define(eq=False)
class _Sending:
    """An answer on its way to a reader.

    Args:
        request: Whom it is sent to.
        body: All of it; no copy is made, many readers share one.
        moved: Called when the reader has taken something.
        done: Called when nothing is left to send, or the reader has gone.
    """

    request: Request
    body: bytes
    moved: Callable[[_Sending], None]
    done: Callable[[_Sending], None]
    stalled: IDelayedCall | None = field(default=None, init=False)
    _sent: int = field(default=0, init=False)
    _is_paused: bool = field(default=False, init=False)

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Send until the connection's buffer is full."""
        self.moved(self)
        self._is_paused = False
        while not self._is_paused and self._sent < len(self.body):
            piece = self.body[self._sent : self._sent + PIECE]
            self._sent += len(piece)
            self.request.write(piece)
        if not self._is_paused:
            self.done(self)
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Wait until the reader has taken what it was sent."""
        self._is_paused = True

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: the request says when its connection is lost."""


@define(eq=False)
class Outgoing:
    """Sends answers, and bounds what is kept for readers that do not read.

    Args:
        clock: The time.
        most: The most bytes that are kept; readers that took nothing for longest are cut off.
    """

    _clock: IReactorTime
    _most: int = MOST_HELD
    _sendings: dict[_Sending, None] = field(factory=dict, init=False)
    _readers: Counter[int] = field(factory=Counter, init=False)
    held: int = field(default=0, init=False)

    def send(self, request: Request, body: bytes) -> None:
        """Send the body of an answer whose headers are set, and finish it."""
        if len(body) <= PIECE:
            request.write(body)  # which Twisted leaves out where only the head was asked for
            request.finish()
            return
        sending = _Sending(request, body, self._moved, self._done)
        self._sendings[sending] = None
        self._readers[id(body)] += 1
        if self._readers[id(body)] == 1:
            self.held += len(body)
        request.notifyFinish().addErrback(lambda _: self._done(sending))
        while self.held > self._most and len(self._sendings) > 1:
            self._cut_off(next(iter(self._sendings)))
        request.registerProducer(sending, True)
        sending.resumeProducing()

    def _moved(self, sending: _Sending) -> None:
        del self._sendings[sending]
        self._sendings[sending] = None  # at the end: the first one took nothing for longest
        if sending.stalled is not None:
            sending.stalled.reset(READ_WITHIN)
        else:
            sending.stalled = self._clock.callLater(READ_WITHIN, self._cut_off, sending)

    def _done(self, sending: _Sending) -> None:
        if sending not in self._sendings:
            return
        del self._sendings[sending]
        if sending.stalled is not None and sending.stalled.active():
            sending.stalled.cancel()
        self._readers[id(sending.body)] -= 1
        if not self._readers[id(sending.body)]:
            del self._readers[id(sending.body)]
            self.held -= len(sending.body)

    def _cut_off(self, sending: _Sending) -> None:
        self._done(sending)
        channel: Any = sending.request.channel
        channel.transport.abortConnection()


class BoardRequest(RawRequest):
    """A request that can be refused before its body has come.

    A refused one is answered at once. What still comes of its body is dropped, so that a sender
    that reads only when it has written all does not lose the answer.
    """

    refusal: Document | None = None
    site: BoardSite
    _kept = 0
    _dropped = 0

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Look at the headers, which are complete."""
        super().gotLength(length)
        channel: Any = self.channel
        # Twisted gives these to a request only with the whole body.
        self.method, self.uri, self.clientproto = channel._command, channel._path, channel._version
        self.site = channel.site
        self.notifyFinish().addBoth(lambda _: self._release())
        if self.method != b"POST":
            self._left = 0  # nothing else has a body that is looked at
        if document := self.site.judge.judge(self, length):
            self.refuse(document, has_more=length != 0)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a part of the body, or drop it."""
        if self.refusal is not None or self.exceeded:
            self._dropped += len(data)
            if self._dropped > MOST_DROPPED:
                channel: Any = self.channel
                channel.transport.abortConnection()
            return
        self._kept += len(data)
        self.site.arriving += len(data)
        super().handleContentChunk(data)
        if self.method != b"POST":
            return
        if self.exceeded:
            self.refuse(self.site.judge.too_large(self))
        elif self.site.arriving > MOST_ARRIVING:
            busy = "too much is being sent to the board at once, try again later"
            self.refuse(sentence(HTTPStatus.SERVICE_UNAVAILABLE, busy, RETRY_AFTER))

    def refuse(self, document: Document, *, has_more: bool = True) -> None:
        """Answer now, and keep nothing of the body."""
        self.refusal = document
        self._release()
        if has_more:
            channel: Any = self.channel
            channel.persistent = False
            self.responseHeaders.setRawHeaders("Connection", ["close"])
            # Nobody shall be asked to send what will be dropped.
            self.requestHeaders.removeHeader("Expect")
            self._secure()
            answer(self, document, Request.write)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802 - likewise
        """Process the request, or finish it where it was answered already."""
        if self.startedWriting:
            self.finish()  # type: ignore[no-untyped-call]  # likewise
        else:
            super().requestReceived(command, self.site.below_root(path), version)

    def process(self) -> None:
        """Answer, with the headers that all answers have."""
        self._secure()
        if self.refusal is None:
            super().process()  # type: ignore[no-untyped-call]  # likewise
        else:
            answer(self, self.refusal, self.site.outgoing.send)

    def _secure(self) -> None:
        for name, value in SECURITY.items():
            self.responseHeaders.setRawHeaders(name, [value])

    def _release(self) -> None:
        self.site.arriving -= self._kept
        self._kept = 0


class BoardChannel(HTTPChannel):
    """A connection on which a request has to arrive in time.

    Twisted's own timeout begins anew with each byte, so that one byte in a while holds a
    connection for ever.
    """

    callLater: Callable[..., IDelayedCall]
    transport: Any
    _deadline: IDelayedCall | None = None
    _is_answering = False

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; the first ones of a request begin its time."""
        if self._deadline is None and not self._is_answering:
            self._deadline = self.callLater(HEAD_WITHIN, self.transport.abortConnection)
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's, not typed

    def allHeadersReceived(self) -> None:  # noqa: N802 - likewise
        """Give the body its time."""
        self._add(BODY_WITHIN)
        super().allHeadersReceived()  # type: ignore[no-untyped-call]  # likewise

    def rawDataReceived(self, data: bytes) -> None:  # noqa: N802 - likewise
        """Take a part of a body, which earns it more time."""
        self._add(len(data) / BODY_RATE)
        super().rawDataReceived(data)

    def allContentReceived(self) -> None:  # noqa: N802 - likewise
        """Take it that the request is here: from now on it is the board's turn."""
        self._end_deadline()
        self._is_answering = True
        super().allContentReceived()  # type: ignore[no-untyped-call]  # likewise

    def requestDone(self, request: Request) -> None:  # noqa: N802 - likewise
        """Be ready for the next request."""
        self._is_answering = False
        super().requestDone(request)  # type: ignore[no-untyped-call]  # likewise

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the deadline."""
        self._end_deadline()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # likewise

    def _add(self, seconds: float) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.delay(seconds)

    def _end_deadline(self) -> None:
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()


class Judge(Protocol):
    """Says what is not to be read."""

    def judge(self, request: BoardRequest, length: int | None) -> Document | None:
        """Return the answer to a request that is refused by its headers, None for others."""

    def too_large(self, request: BoardRequest) -> Document:
        """Return the answer to a body with more bytes than are taken."""


class BoardSite(Site):
    """Serves the board, writes no line for each request, and ends its connections on request."""

    noisy = False
    # Without TLS there is no other protocol to choose, and what would choose hides its transport.
    protocol: Any = BoardChannel
    arriving = 0
    """Bytes of bodies that are kept for requests that are not answered yet."""

    def __init__(
        self,
        root: Resource,
        max_body: int,
        judge: Judge,
        outgoing: Outgoing,
        accept_errors: AcceptErrors,
        reactor: Any,
        path: str = "/",
    ) -> None:
        self._max_body = max_body
        self.judge = judge
        self.outgoing = outgoing
        self._accept_errors = accept_errors
        self._path = path.encode()
        self._connections: WeakSet[Any] = WeakSet()
        super().__init__(  # type: ignore[no-untyped-call]  # Twisted's, not typed
            root, requestFactory=self._make_request, reactor=reactor
        )

    def _make_request(self, channel: object, *_: object) -> Request:
        return BoardRequest(channel, self._max_body)

    def below_root(self, uri: bytes) -> bytes:
        """Return a URI without the public address's path, which some proxies leave in it."""
        path, mark, query = uri.partition(b"?")
        if (path + b"/").startswith(self._path):
            path = path[len(self._path) - 1 :] or b"/"
        return path + mark + query

    def log(self, request: object) -> None:
        """Write nothing: that is what a proxy's access log is for."""

    def buildProtocol(self, addr: Any) -> Any:
        """Make a connection."""
        self._accept_errors.accepted()
        connection: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call]  # likewise
        self._connections.add(connection)
        return connection

    async def drop(self, clock: IReactorTime) -> None:
        """End all connections; those that became WebSockets have another owner."""
        for connection in tuple(self._connections):
            if connection.transport is not None:
                connection.transport.abortConnection()
        await deferLater(clock, 0)  # Twisted ends them in the next turn
