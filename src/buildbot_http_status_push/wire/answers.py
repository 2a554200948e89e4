"""Answers: what is read of them. Must not know what they are answers to."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from attrs import frozen
from twisted.internet.defer import CancelledError
from twisted.web.client import GzipDecoder
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from buildbot_http_status_push.wire.bodies import BodyReader


@frozen
class Answer:
    """What came back.

    Args:
        status: The HTTP status code.
        headers: The header fields.
        body: The answer's first 64 KiB at most.
    """

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's first value, None where there is none."""
        values = self.headers.getRawHeaders(name.encode("ascii"))
        return values[0].decode("utf-8", "replace") if values else None


async def receive(response: Any) -> Answer:
    """Read an answer.

    Args:
        response: treq's response, unbuffered.

    Returns:
        The answer. Where its body breaks off, or is still coming when this is cancelled, what
        was read until then: the status is what counts.
    """
    reader = BodyReader()
    _undecoded(response.original).deliverBody(reader)
    with suppress(CancelledError):
        await reader.finished
    return Answer(response.code, response.headers, bytes(reader.body))


def _undecoded(response: IResponse) -> IResponse:
    """Return a response without treq's decoder, which knows no bound and takes no broken bytes."""
    while isinstance(response, GzipDecoder):
        response = response.original
    return response
