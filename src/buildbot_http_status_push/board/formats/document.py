"""What a format hands to whoever serves it."""

from __future__ import annotations

from attrs import frozen


@frozen
class Document:
    """An answer's content.

    Args:
        content_type: The value of the ``Content-Type`` header.
        body: The bytes to send.
        status: The HTTP status code.
    """

    content_type: str
    body: bytes
    status: int = 200
