"""Answers: what is read of them. Must not know what they are answers to."""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError
from twisted.web.client import GzipDecoder
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from buildbot_http_status_push.wire.bodies import ANSWER_MOST, BodyReader

WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
"""What zlib wants to know of each content coding (RFC 9110, 8.4.1)."""

CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)


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
    """Return a body as people read it; where its coding is not known, that and its size.

    Args:
        body: The bytes as they came.
        coding: The value of Content-Encoding, empty where there is none.
        content_type: The value of Content-Type, likewise.
    """
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

    Args:
        response: treq's response, unbuffered.

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
