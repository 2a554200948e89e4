"""Bodies of requests and of answers: how they are sent, how much is read, and their text."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import Any

from attrs import Factory, field, frozen
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import GzipDecoder, ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer, IResponse
from zope.interface import implementer

ANSWER_MOST = 64 * 1024
WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""What zlib needs for each content coding (RFC 9110, 8.4.1)."""

CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


@implementer(IBodyProducer)
@frozen
class BytesProducer:
    """A request body that is at hand in full, so that it can be signed and sent again."""

    body: bytes
    length: int = field(init=False, default=Factory(lambda self: len(self.body), takes_self=True))

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Write all bytes at once."""
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""


class BodyReader(Protocol):
    """Collects the first 64 KiB of an answer's body, and cuts the connection where there is more.

    Attributes:
        body: What was read until now.
        reason: Why the body ended, once it has.
        finished: Fires at the end, whatever the reason; cancelling it cuts the connection.
    """

    transport: Any  # a body's reader is connected before anything else
    reason: Failure

    def __init__(self) -> None:
        self.body = bytearray()
        self.finished: Deferred[None] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        """Collect bytes."""
        self.body += data[: ANSWER_MOST - len(self.body)]
        if len(self.body) >= ANSWER_MOST:
            self._abort()
            self._finish(Failure(ResponseDone()))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        """Note the end."""
        self._finish(reason)

    def _finish(self, reason: Failure) -> None:
        if not self.finished.called:
            self.reason = reason
            self.finished.callback(None)

    def _abort(self) -> None:
        """Close the connection without a goodbye, which a silent TLS peer would never answer."""
        # Twisted hands a body's reader a proxy that can only say goodbye.
        inner = getattr(self.transport, "_producer", None) or self.transport
        getattr(inner, "abortConnection", inner.loseConnection)()


@frozen
class Answer:
    """What came back.

    Args:
        status: The HTTP status code.
        headers: The header fields.
        body: The answer's first 64 KiB at most, compressed if it came so.
        coding: In which content coding the body is, empty where it is in none.
    """

    status: int
    headers: Headers
    body: bytes
    coding: str = ""

    def header(self, name: str) -> str | None:
        """Return a header's first value, None where there is none."""
        values = self.headers.getRawHeaders(name.encode("ascii"))
        return values[0].decode("utf-8", "replace") if values else None

    @property
    def text(self) -> str:
        """The body as people read it; where its coding is not known, that and its size."""
        return as_text(self.body, self.coding, self.header("Content-Type") or "")


def as_text(body: bytes, coding: str, content_type: str) -> str:
    """Return a body as people read it; where its coding is not known, that and its size."""
    decoded = _decoded(body, coding.lower())
    if decoded is None:
        return f"({len(body)} bytes in the coding {coding!r})"
    named = CHARSET.search(content_type)
    # Not everything that Python can decode is a text, and some codecs know no replacement.
    with suppress(LookupError, ValueError):
        return decoded.decode(named[1] if named else "utf-8", "replace")
    return decoded.decode("utf-8", "replace")


async def receive(response: Any) -> Answer:
    """Read an answer.

    Returns:
        The answer. Where its body breaks off, or is still coming when this is cancelled, what
        was read until then: the status is what counts.
    """
    reader = BodyReader()
    codings = response.headers.getRawHeaders("Content-Encoding", [])
    plain, was_decoder = _undecoded(response.original)
    if was_decoder:
        codings = [*codings, "gzip"]  # treq takes out of the header what it would decode
    plain.deliverBody(reader)
    with suppress(CancelledError):
        await reader.finished
    return Answer(response.code, response.headers, bytes(reader.body), ", ".join(codings))


def _decoded(body: bytes, coding: str) -> bytes | None:
    """Return a body decompressed, no more than is read of a plain one, or None."""
    if coding in ("", "identity"):
        return body
    if coding not in WINDOWS:
        return None
    try:
        return zlib.decompressobj(WINDOWS[coding]).decompress(body, ANSWER_MOST)
    except zlib.error:
        return None


def _undecoded(response: IResponse) -> tuple[IResponse, bool]:
    """Return a response without treq's decoder, and whether it had one.

    That decoder knows no bound, and takes no body that breaks off.
    """
    if isinstance(response, GzipDecoder):
        return response.original, True
    return response, False
