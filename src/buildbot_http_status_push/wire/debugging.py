"""The ``debug=`` option: logs each request and each response as they cross the wire, masked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime, ITransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.wire.bodies import as_text

EXCERPT = 2048
LOOKED_AT = 64 * 1024

OnEnd: TypeAlias = Callable[[bytes, int], None]


@implementer(IAgent)
@frozen
class DebugAgent:
    """Logs what it passes on to another agent, and what comes back."""

    agent: IAgent
    mask: Mask
    clock: IReactorTime
    log: Logger

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Log the request, send it, and log what comes of it."""
        name = f"{method.decode('ascii')} {self.mask.url(uri.decode('ascii'))}"
        body = bytes(getattr(bodyProducer, "body", b""))
        self.log.info(
            "request {name} [{headers}] {size} bytes: {body}",
            name=name,
            headers=self._headers(headers),
            size=len(body),
            body=self._excerpt(body[:LOOKED_AT].decode("utf-8", "replace")),
        )
        began = self.clock.seconds()
        sent: Deferred[IResponse] = self.agent.request(method, uri, headers, bodyProducer)
        return sent.addCallbacks(
            self._answered, self._failed, callbackArgs=(name, began), errbackArgs=(name, began)
        )

    def _answered(self, response: IResponse, name: str, began: float) -> IResponse:
        self.log.info(
            "response to {name}: {status} after {seconds:.3f} s [{headers}]",
            name=name,
            status=response.code,
            seconds=self.clock.seconds() - began,
            headers=self._headers(response.headers),
        )
        coding, kind = (_joined(response, name) for name in ("Content-Encoding", "Content-Type"))
        return _LoggedResponse(response, partial(self._log_body, name, began, coding, kind))

    def _log_body(
        self, name: str, began: float, coding: str, kind: str, body: bytes, size: int
    ) -> None:
        self.log.info(
            "response body of {name}: {size} bytes after {seconds:.3f} s: {body}",
            name=name,
            size=size,
            seconds=self.clock.seconds() - began,
            body=self._excerpt(as_text(body, coding, kind)),
        )

    def _failed(self, failure: Failure, name: str, began: float) -> Failure:
        self.log.info(
            "no response to {name} after {seconds:.3f} s: {kind}: {trouble}",
            name=name,
            seconds=self.clock.seconds() - began,
            kind=type(failure.value).__name__,
            trouble=self.mask.text(failure.getErrorMessage()),
        )
        return failure

    def _headers(self, headers: Headers | None) -> str:
        raw = headers.getAllRawHeaders() if headers else ()
        return self.mask.headers(
            (name.decode("latin-1"), value.decode("utf-8", "replace"))
            for name, values in raw
            for value in values
        )

    def _excerpt(self, text: str) -> str:
        # Masked before it is cut: half a secret would not be recognised.
        return self.mask.text(text)[:EXCERPT]


def _joined(response: IResponse, name: str) -> str:
    values: list[str] = response.headers.getRawHeaders(name, [])
    return ", ".join(values)


class _LoggedResponse(proxyForInterface(IResponse)):  # type: ignore[misc]  # a base made at run time
    """A response that logs its body when that has been read."""

    def __init__(self, original: IResponse, on_end: OnEnd) -> None:
        super().__init__(original)
        self._on_end = on_end

    def deliverBody(self, protocol: IProtocol) -> None:
        self.original.deliverBody(_Listener(protocol, self._on_end))


class _Listener(Protocol):
    """Hands a body on to its reader, and keeps its beginning."""

    transport: ITransport  # a body's reader is connected before anything else

    def __init__(self, reader: IProtocol, on_end: OnEnd) -> None:
        self._reader = reader
        self._on_end = on_end
        self._body = bytearray()
        self._size = 0

    def connectionMade(self) -> None:
        self._reader.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        self._size += len(data)
        self._body += data[: LOOKED_AT - len(self._body)]
        self._reader.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        self._on_end(bytes(self._body), self._size)
        self._reader.connectionLost(reason)
