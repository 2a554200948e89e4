"""HTTP requests whose bodies stay bytes, up to a limit. Must not know what is served.

A request of Twisted's own parses the body of a POST that claims to be a form, in the reactor's
thread and before any resource is asked: megabytes of ``&`` block it for seconds.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.web.server import Request


class RawRequest(Request):
    """A request that parses no form, and keeps no more of its body than a limit.

    What exceeds the limit is read and dropped: a sender that is cut off while it writes would
    not read the answer that says why. ``content`` holds the body from its first byte; ``args``
    is always empty, also with a query in the URI.

    Args:
        channel: The connection.
        limit: The most bytes of a body that are kept, 0 or more.

    Attributes:
        exceeded: Whether the body had more bytes than the limit; then ``content`` is not whole.
    """

    def __init__(self, channel: object, limit: int) -> None:
        super().__init__(channel)  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._left = limit
        self.exceeded = False

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Keep the body in memory: a temporary file needs a disk that can be written to."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        """Keep a part of the body."""
        self.exceeded = self.exceeded or len(data) > self._left
        self._left -= len(data)
        if not self.exceeded:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]  # likewise

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:  # noqa: N802 - likewise
        """Process the request once its body has been read, instead of parsing that body."""
        content: Any = self.content
        content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path = path.partition(b"?")[0]
        self.args = {}
        self.process()  # type: ignore[no-untyped-call]  # likewise
