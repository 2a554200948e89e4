"""What the board answers: documents, and the headers that all answers have.

Knows HTTP; must not know where documents come from.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias
from urllib.parse import quote

from attrs import evolve, frozen
from twisted.web.server import Request

PLAIN = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"

LATEST = "no-cache"
"""May be kept, and is asked for again each time: mostly the answer is that it has not changed."""
FOREVER = "public, max-age=31536000, immutable"
"""For what has another address when it is another."""

URL_CHARACTERS = "/?&=%:#+,;~!$'()*@"
"""What stands for itself in a URL that a browser is sent to."""

WORTHWHILE = 1000
"""From how many bytes on a body is compressed: a packet holds as much."""
GZIP_LEVEL = 3
"""Takes half the time of level 5, and makes pages a tenth larger."""

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer: what is shown comes from whoever can push a branch."""


@frozen(kw_only=True)
class Document:
    """An answer.

    Args:
        body: The bytes.
        content_type: The value of the ``Content-Type`` header.
        status: The HTTP status.
        etag: The same for the same document, in quotes as HTTP has it; empty for none.
        caching: The value of the ``Cache-Control`` header.
        location: Where the browser is sent, None where it stays.
        retry_after: Seconds after which to ask again, None where that would not help.
        is_for_other_sites: Whether pages of other sites may show it.
        gzipped: The body, compressed once for all that take it so; None where it is sent as it is.
    """

    body: bytes
    content_type: str = PLAIN
    status: int = HTTPStatus.OK
    etag: str = ""
    caching: str = LATEST
    location: str | None = None
    retry_after: int | None = None
    is_for_other_sites: bool = False
    gzipped: bytes | None = None


@frozen(kw_only=True)
class RouteRequest:
    """What somebody asks for.

    Args:
        path: The path, decoded.
        query: What stood after ``?``, as it came.
        address: The board's public address, else as the asker wrote it; with a slash at the end.
        reader: Who asks, on pages where people can act, if that is known.
    """

    path: str
    query: str
    address: str
    reader: str | None = None


Route: TypeAlias = Callable[[RouteRequest], Awaitable[Document]]
"""Makes the document of some paths; may raise ``StorageError``."""


def sentence(status: int, text: str, retry_after: int | None = None) -> Document:
    """Return a document of one line that is not to be kept."""
    return Document(
        body=f"{text}\n".encode(), status=status, caching="no-store", retry_after=retry_after
    )


def with_etag(document: Document, level: int = GZIP_LEVEL) -> Document:
    """Return the document with a tag that is the same for the same bytes, and compressed."""
    return evolve(document, etag=tag(document.body), gzipped=gzipped(document.body, level))


def tag(body: bytes) -> str:
    """Return the ETag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:20]}"'


def gzipped(body: bytes, level: int) -> bytes | None:
    """Return a body compressed, None where that would save next to nothing."""
    return gzip.compress(body, level, mtime=0) if len(body) >= WORTHWHILE else None


def answer(request: Request, document: Document, send: Callable[[Request, bytes], object]) -> None:
    """Send a document, or only say that it is still the same."""
    is_gzipped = document.gzipped is not None and _takes_gzip(request)
    # One tag would stand for two different bodies (RFC 9110, 8.8.3.3).
    etag = f'{document.etag[:-1]}-gzip"' if is_gzipped and document.etag else document.etag
    headers = {
        "Content-Type": document.content_type,
        "Cache-Control": document.caching,
        "ETag": etag or None,
        "Vary": "Accept-Encoding" if document.gzipped is not None else None,
        "Location": document.location and quote(document.location, safe=URL_CHARACTERS),
        "Retry-After": document.retry_after,
        "Cross-Origin-Resource-Policy": "cross-origin" if document.is_for_other_sites else None,
    }
    for name, value in headers.items():
        if value is not None:
            request.setHeader(name, str(value))
    if etag in _known_to(request) and document.status == HTTPStatus.OK:
        request.setResponseCode(HTTPStatus.NOT_MODIFIED)
        send(request, b"")
    else:
        request.setResponseCode(document.status)
        body = document.body
        if is_gzipped and document.gzipped is not None:
            body = document.gzipped
            request.setHeader("Content-Encoding", "gzip")
        request.setHeader("Content-Length", str(len(body)))
        send(request, body)


def _takes_gzip(request: Request) -> bool:
    for each in (request.getHeader("Accept-Encoding") or "").lower().split(","):
        name, _, quality = each.replace(" ", "").partition(";q=")
        if name == "gzip":
            return quality.strip("0.") != "" if quality else True
    return False


def _known_to(request: Request) -> set[str]:
    """Return the tags of what the asker has already."""
    given = request.getHeader("If-None-Match") or ""
    # A proxy that compresses makes a tag weak; for reading that is as good (RFC 9110, 13.1.2).
    return {each.strip().removeprefix("W/") for each in given.split(",")} - {""}
