"""The board's HTTP side: requests with bounded bodies, routes, and connections that can be ended.

Proxies' ``X-Forwarded-…`` headers are trusted for no decision: whether a WebSocket's Origin is the
board's own is told by ``Host``. ``X-Forwarded-Proto`` tells feeds what to write into their links.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote
from weakref import WeakSet

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from buildbot_http_status_push.board.http.access import Access, AccessError
from buildbot_http_status_push.board.http.documents import (
    SECURITY,
    Document,
    Route,
    RouteRequest,
    answer,
    sentence,
)
from buildbot_http_status_push.board.http.intake import Delivery, Intake
from buildbot_http_status_push.database import StorageError

RETRY_AFTER = 10
"""Seconds after which a browser may try again when the database is out of order."""
PRIVATE = 'Basic realm="board", charset="UTF-8"'


class BoardRequest(Request):
    """A request that keeps no more of its body than it may have.

    What is more is read and dropped: a sender that is cut off while it writes would never read
    the answer that tells it why.
    """

    def __init__(self, channel: object, limit: int) -> None:
        super().__init__(channel)  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._left = limit
        self.exceeded = False

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a part of the body."""
        self.exceeded = self.exceeded or len(data) > self._left
        self._left -= len(data)
        if not self.exceeded:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]  # likewise

    def process(self) -> None:
        """Answer, with the headers that all answers have."""
        for name, value in SECURITY.items():
            self.responseHeaders.setRawHeaders(name, [value])
        super().process()  # type: ignore[no-untyped-call]  # likewise


class BoardSite(Site):
    """Serves the board, writes no line for each request, and ends its connections when told to."""

    noisy = False
    # Without TLS there is no other protocol to choose, and what would choose hides its transport.
    protocol: Any = HTTPChannel

    def __init__(self, root: Resource, max_body: int, reactor: Any) -> None:
        self._max_body = max_body
        self._connections: WeakSet[Any] = WeakSet()
        super().__init__(  # type: ignore[no-untyped-call]  # likewise
            root, requestFactory=self._make_request, reactor=reactor
        )

    def _make_request(self, channel: object, *_: object) -> Request:
        return BoardRequest(channel, self._max_body)

    def log(self, request: object) -> None:
        """Write nothing: that is what a proxy's access log is for."""

    def buildProtocol(self, addr: Any) -> Any:
        """Make a connection."""
        connection: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call]  # likewise
        self._connections.add(connection)
        return connection

    async def drop(self, clock: IReactorTime) -> None:
        """End all connections; those that became WebSockets have another owner."""
        for connection in tuple(self._connections):
            if connection.transport is not None:
                connection.transport.abortConnection()
        await deferLater(clock, 0)  # Twisted ends them in the next turn


@define(eq=False)
class Routes:
    """Which documents are where.

    Args:
        routes: Patterns of whole paths and what makes their documents; the first that fits counts.
        other: Makes all other documents, also what says that there is none.
    """

    _routes: Sequence[tuple[str, Route]]
    _other: Route

    def document(self, asked: RouteRequest) -> Awaitable[Document]:
        """Make the document that is asked for; may raise ``StorageError``."""
        for pattern, route in self._routes:
            if re.fullmatch(pattern, asked.path):
                return route(asked)
        return self._other(asked)


@define(eq=False)
class Answers:
    """Makes answers of whatever goes well or wrong.

    Args:
        intake: Takes statuses.
        routes: Makes documents.
        access: Says who may read.
        taken: Called with the HTTP status that a status is answered with.
        log: Where mistakes of ours are told.
    """

    _intake: Intake
    _routes: Routes
    _access: Access
    _taken: Callable[[int], None]
    _log: Logger = field(factory=Logger)

    def may_read(self, request: Request) -> bool:
        """Tell whether somebody may read the board."""
        try:
            self._access.check_reader(request.getHeader("Authorization"))
        except AccessError:
            return False
        return True

    async def take(self, request: BoardRequest) -> Document:
        """Take a status."""
        document = await self._intake.take(_delivery(request, is_whole=not request.exceeded))
        self._taken(document.status)
        if document.status == HTTPStatus.UNAUTHORIZED:
            _ask_for_password(request)
        return document

    async def show(self, request: BoardRequest) -> Document:
        """Show a document."""
        try:
            document = await self._routes.document(_asked(request))
        except StorageError:
            return sentence(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The board's database is out of order. Nothing is lost: it is tried again.",
                RETRY_AFTER,
            )
        is_private = self._access.readers and document.caching.startswith("public")
        return evolve(document, caching="private, no-cache") if is_private else document

    def begin(
        self, request: BoardRequest, make: Callable[[BoardRequest], Awaitable[Document]]
    ) -> int:
        """Answer a request, now or later.

        Args:
            request: Whom to answer.
            make: Makes the answer.
        """

        async def work() -> None:
            answer(request, await make(request))

        working = Deferred.fromCoroutine(work())
        request.notifyFinish().addErrback(lambda _: working.cancel())
        working.addErrback(self._fail, request)
        return NOT_DONE_YET

    def _fail(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):  # whoever asked has gone
            return
        self._log.failure("{uri} could not be answered", failure, uri=request.uri)
        if not request.startedWriting:
            answer(request, sentence(500, "The board made a mistake, which is in its log."))


class Root(Resource):
    """Says which resource answers a request."""

    def __init__(self, answers: Answers, live: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._answers = answers
        self._live = live

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:  # noqa: N802 - Twisted's
        """Return what answers a request."""
        if request.method == b"POST":
            return _Leaf(self._answers, self._answers.take)
        if request.method not in (b"GET", b"HEAD"):
            return _Leaf(self._answers, _wrong_method)
        if not self._answers.may_read(request):
            return _Leaf(self._answers, _private)
        return self._live if path == b"live" else _Leaf(self._answers, self._answers.show)


class _Leaf(Resource):
    isLeaf = True

    def __init__(
        self, answers: Answers, make: Callable[[BoardRequest], Awaitable[Document]]
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._answers = answers
        self._make = make

    def render(self, request: Any) -> int:
        return self._answers.begin(request, self._make)


async def _wrong_method(request: Request) -> Document:
    request.setHeader("Allow", "GET, HEAD, POST")
    return sentence(
        HTTPStatus.METHOD_NOT_ALLOWED, "Read the board with GET, send statuses with POST."
    )


async def _private(request: Request) -> Document:
    _ask_for_password(request)
    return sentence(HTTPStatus.UNAUTHORIZED, "This board is private: it wants user and password.")


def _ask_for_password(request: Request) -> None:
    request.setHeader("WWW-Authenticate", PRIVATE)


def _delivery(request: Request, *, is_whole: bool) -> Delivery:
    headers = {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    content: Any = request.content
    content.seek(0)  # Twisted has read it where it looks like a form
    body = content.read() if is_whole else None
    client: Any = request.getClientAddress()
    return Delivery(headers=headers, body=body, sender=getattr(client, "host", "nowhere"))


def _asked(request: Request) -> RouteRequest:
    path, _, query = request.uri.decode("ascii", "replace").partition("?")
    host = request.getHeader("Host") or "localhost"
    return RouteRequest(
        # Two slashes at the beginning would name another host where a browser is sent there.
        path="/" + unquote(path, errors="replace").lstrip("/"),
        query=query,
        address=f"{_scheme(request)}://{host}/",
    )


def _scheme(request: Request) -> str:
    is_secure = request.isSecure() or request.getHeader("X-Forwarded-Proto") == "https"
    return "https" if is_secure else "http"
