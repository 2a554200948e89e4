"""Which request gets which answer: who may ask, routes, and what becomes of mistakes.

Proxies' ``X-Forwarded-…`` headers are trusted for no decision: whether a WebSocket's Origin is the
board's own is the one in ``Host``. ``X-Forwarded-Proto`` decides the scheme of links in feeds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from buildbot_http_status_push.board.filters import MOST_PARAMETERS, MOST_QUERY
from buildbot_http_status_push.board.http.access import Access, AccessError, is_own_name
from buildbot_http_status_push.board.http.acts import PATH, Acting
from buildbot_http_status_push.board.http.connections import BoardRequest, Outgoing
from buildbot_http_status_push.board.http.documents import (
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
HOST_SHOWN = 200
"""How many characters of a foreign host name an answer repeats."""
READING = (b"GET", b"HEAD")
PRIVATE = 'Basic realm="board", charset="UTF-8"'


@define(eq=False)
class Answers(Resource):
    """Answers all requests, whatever goes well or wrong.

    Args:
        live: Answers those for ``/live``.
        intake: Takes statuses.
        routes: Patterns of whole paths and what makes their documents; the first that fits counts.
        access: Says who may read.
        outgoing: Sends answers.
        hosts: Names that an open board may be called by, and one that believes a user header
            for acts, beside loopback ones.
        public_url: The board's address for readers; None for the one that each request names.
        acting: Takes what people do to incidents.
        log: Where mistakes of ours are logged.
    """

    _live: IResource
    _intake: Intake
    _routes: Sequence[tuple[str, Route]]
    _access: Access
    _outgoing: Outgoing
    _hosts: Collection[str]
    _acting: Acting
    _public_url: str | None = None
    _log: Logger = field(factory=Logger)
    on_status: Callable[[int], None] = field(default=lambda code: None, init=False)
    """Called with the HTTP status that a status is answered with."""

    def __attrs_pre_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:  # noqa: N802 - Twisted's
        """Return what answers a request."""
        if path == b"live" and request.method in READING and self._may_read(request):
            return self._live
        request.postpath = []  # no resource of another path is below this one
        return self

    def render(self, request: Any) -> int:
        """Answer a request, now or later."""
        working = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: working.cancel())
        working.addErrback(self._fail, request)
        return NOT_DONE_YET

    async def _answer(self, request: BoardRequest) -> None:
        answer(request, await self._document(request), self._outgoing.send)

    async def _document(self, request: BoardRequest) -> Document:
        if request.method == b"POST":
            return await self._take(request)
        if request.method not in READING:
            request.responseHeaders.setRawHeaders("Allow", ["GET, HEAD, POST"])
            return sentence(
                HTTPStatus.METHOD_NOT_ALLOWED, "Read the board with GET, send statuses with POST."
            )
        if not self._may_read(request):
            _ask_for_password(request)
            return sentence(HTTPStatus.UNAUTHORIZED, "This board requires user and password.")
        return await self._show(request)

    def _may_read(self, request: Request) -> bool:
        try:
            self._access.check_reader(request.getHeader("Authorization"))
        except AccessError:
            return False
        return True

    def judge(self, request: BoardRequest, length: int | None) -> Document | None:
        """Refuse a request by its headers, before its body has come.

        Returns:
            What to answer; None where the request is to be read.
        """
        host = request.getHeader("Host") or "localhost"
        if self._access.is_open and not is_own_name(host, self._hosts):
            return sentence(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This open board answers to loopback names only: start it with --allow-host NAME, "
                "or with --secret-file.",
            )
        if is_act(request) and self._access.user_header and not is_own_name(host, self._hosts):
            # A page that came by DNS rebinding from a trusted proxy's address could name anybody.
            return sentence(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"With --user-header the board takes acts only under names of its own, not under "
                f"{host[:HOST_SHOWN]!r}: start it with --allow-host NAME, or with --public-url.",
            )
        if request.method != b"POST":
            return _too_much_asked(request.uri)
        headers = _headers(request)
        if is_act(request):
            document = self._acting.judge(headers, length, _sender(request))
            if document is not None and document.status == HTTPStatus.UNAUTHORIZED:
                _ask_for_password(request)
            return document
        return self._answered(request, self._intake.judge(headers, length, _sender(request)))

    def too_large(self, request: BoardRequest) -> Document:
        """Refuse a body that turns out to be larger than is taken."""
        document = self._intake.too_large(_sender(request))
        self._answered(request, document)
        return document

    async def _take(self, request: BoardRequest) -> Document:
        """Take a status, or what a person does to an incident."""
        content: Any = request.content
        delivery = Delivery(headers=_headers(request), body=content.read(), sender=_sender(request))
        if is_act(request):
            return await self._acting.take(_path(request), delivery)
        document = await self._intake.take(delivery)
        self._answered(request, document)
        return document

    def _answered(self, request: BoardRequest, document: Document | None) -> Document | None:
        """Count the answer to a status, and ask for a password where one is missing."""
        if document is not None:
            self.on_status(document.status)
            if document.status == HTTPStatus.UNAUTHORIZED:
                _ask_for_password(request)
        return document

    async def _show(self, request: BoardRequest) -> Document:
        try:
            asked = _asked(request, self._public_url)
            if asked.path.startswith("/incidents/"):
                person = self._access.person(_headers(request), _sender(request))
                asked = evolve(asked, reader=person)
            makes = (make for path, make in self._routes if re.fullmatch(path, asked.path))
            document = await next(makes)(asked)
        except StorageError:
            return sentence(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "The board's database is out of order. Nothing is lost: it is tried again.",
                RETRY_AFTER,
            )
        if not self._access.readers:
            return document
        if document.caching.startswith("public"):
            return evolve(document, caching="private, no-cache")
        # How well it is compressed would betray its secrets to a page that has some of it reflected
        # (BREACH); files reflect nothing.
        return evolve(document, gzipped=None)

    def _fail(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):  # whoever asked has gone
            return
        self._log.failure("{uri} could not be answered", failure, uri=request.uri)
        if not request.startedWriting:
            mistake = sentence(500, "The board made a mistake, which is in its log.")
            answer(request, mistake, self._outgoing.send)


def is_act(request: Request) -> bool:
    """Return whether a request asks for something to be done to an incident."""
    return PATH.fullmatch(_path(request)) is not None


def _path(request: Request) -> str:
    path = request.uri.decode("ascii", "replace").partition("?")[0]
    # Two slashes at the beginning would name another host where a browser is sent there.
    return "/" + unquote(path, errors="replace").lstrip("/")


def _ask_for_password(request: Request) -> None:
    request.setHeader("WWW-Authenticate", PRIVATE)


def _headers(request: Request) -> Mapping[str, str]:
    return {
        name.decode("latin-1").lower(): b", ".join(values).decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }


def _sender(request: Request) -> str:
    return str(getattr(request.getClientAddress(), "host", "nowhere"))


def _too_much_asked(uri: bytes) -> Document | None:
    """Refuse an address whose parameters are more than any page has a use for."""
    query = uri.partition(b"?")[2]
    if len(query) <= MOST_QUERY and query.count(b"&") < MOST_PARAMETERS:
        return None
    return sentence(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        f"The address has more than {MOST_PARAMETERS} parameters or {MOST_QUERY} bytes of them.",
    )


def _asked(request: Request, public_url: str | None) -> RouteRequest:
    query = request.uri.decode("ascii", "replace").partition("?")[2]
    host = request.getHeader("Host") or "localhost"
    return RouteRequest(
        path=_path(request),
        query=query,
        address=public_url or f"{_scheme(request)}://{host}/",
    )


def _scheme(request: Request) -> str:
    # Each proxy adds the scheme that it was asked by: the first one is the reader's.
    forwarded = (request.getHeader("X-Forwarded-Proto") or "").partition(",")[0].strip().lower()
    return "https" if request.isSecure() or forwarded == "https" else "http"
