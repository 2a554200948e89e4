"""Serves a reporter's metrics over HTTP, to whom the endpoint lets in.

Must not know what is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

Document: TypeAlias = Callable[[str], Awaitable[tuple[bytes, str]]]
"""Makes the document in a format that an ``Accept`` header allows, and names its content type."""

TRY_AGAIN = 30.0
NO_BODIES = (
    b"HTTP/1.1 405 Method Not Allowed\r\n"
    b"Allow: GET, HEAD\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class MetricsServer:
    """Listens at one place, or at none."""

    def __init__(self, reactor: Any, name: str, document: Document, log: Logger) -> None:
        self._reactor = reactor
        self._name = name
        self._site = _site(document)
        self._log = log
        self._place: str | None = None
        self._port: Any = None
        self._retry: IDelayedCall | None = None

    async def listen(self, place: str | None) -> None:
        """Listen at a place, and no longer where that was before.

        Args:
            place: A server endpoint's description, such as ``tcp:9118:interface=127.0.0.1``;
                None for nowhere.
        """
        if place == self._place:
            return
        await self.stop()
        self._place = place
        if place is not None:
            await self._try(place)

    async def _try(self, place: str, *, told: bool = False) -> None:
        try:
            self._port = await serverFromString(self._reactor, place).listen(self._site)
        except Exception as trouble:  # of the network, or of a certificate's file
            if not told:
                self._tell(place, trouble)
            self._retry = self._reactor.callLater(
                TRY_AGAIN, lambda: ensureDeferred(self._try(place, told=True))
            )

    def _tell(self, place: str, trouble: Exception) -> None:
        self._log.error(
            "{name}: metrics: can't listen at {place}: {trouble}; trying again every {wait:g} s",
            wait=TRY_AGAIN,
            name=self._name,
            place=place,
            trouble=trouble,
        )

    async def stop(self) -> None:
        """Listen no more."""
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        port, self._port, self._place = self._port, None, None
        if port is not None:
            await port.stopListening()


def _site(document: Document) -> Site:
    root = _Root()  # type: ignore[no-untyped-call]  # Twisted's, not typed
    root.putChild(b"metrics", _Metrics(document))
    return _QuietSite(root)  # type: ignore[no-untyped-call]  # Twisted's, not typed


class _Root(Resource):
    """Has nothing but what is put there."""

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: N802 - Twisted's name
        """Say that there is no such page."""
        return notFound()


class _HeadsOnly(HTTPChannel):
    """A connection that reads no bodies: Twisted would keep and parse any, in the reactor."""

    def allHeadersReceived(self) -> None:  # noqa: N802 - Twisted's name
        """Process a request, or reject it where a body follows."""
        if self.length == 0:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        else:
            self.write(NO_BODIES)  # type: ignore[no-untyped-call]  # likewise
            self.loseConnection()  # type: ignore[no-untyped-call]  # likewise


class _QuietSite(Site):
    """Writes no line for each request: who asks each quarter of a minute is no news."""

    noisy = False
    protocol: Any = _HeadsOnly

    def log(self, request: HTTPRequest) -> None:
        """Write nothing."""


class _Metrics(Resource):
    """The document."""

    isLeaf = True

    def __init__(self, document: Document) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._document = document

    def render_GET(self, request: Request) -> int:
        answering = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addErrback(self._failed, request)
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> None:
        body, content_type = await self._document(request.getHeader("Accept") or "")
        request.setHeader("Content-Type", content_type)
        request.setHeader("Cache-Control", "no-store")
        request.write(body)
        request.finish()

    def _failed(self, failure: Failure, request: Request) -> None:
        if not failure.check(CancelledError):  # whoever asked has gone
            request.setResponseCode(503)
            request.write(f"{failure.getErrorMessage()}\n".encode())
            request.finish()
