"""Heads of answers without what Twisted can't read: once a status line has come, it counts.

Other clients pass over lines that are no header, and so do the services that send them. Must not
know what is asked, nor what an answer means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure

LINE_MOST = 16_000
"""Twisted closes the connection at a line of 16 KiB."""

HEAD_MOST = 256 * 1024
END_OF_HEAD = re.compile(rb"\n\r?\n")
FOLD = re.compile(rb"\r?\n[ \t]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
INTERIM = re.compile(rb"HTTP/[0-9.]+ 1[0-9][0-9]\b")
STATUS_LINE = re.compile(rb"HTTP/[0-9]\.[0-9] [1-9][0-9][0-9](?: [^\n]*|\r?)")
USUAL = re.compile(
    rb"HTTP/1\.[01] [2-5][0-9][0-9] [^\r\n]{0,99}"
    rb"(?:\r\n(?!content-length|transfer-encoding)[!#$%&'*+.^_`|~0-9a-z-]+:[^\r\n]{0,4000})*"
    rb"(?:\r\ncontent-length: ?[0-9]{1,9})?",
    re.IGNORECASE,
)
"""What most heads look like: nothing in them needs a closer look."""

TLS_ALERT = b"\x15\x03"
CODING = b"transfer-encoding"

Field: TypeAlias = "tuple[bytes, bytes]"


class NotHTTPError(Exception):
    """What came back does not begin as an answer does; the text shows its beginning."""

    def __init__(self, data: bytes) -> None:
        # Not cut here: it may quote a secret, and half of one would not be recognised.
        found = data.partition(b"\n")[0].decode("utf-8", "replace")
        hint = ": it may need https" if data.startswith(TLS_ALERT) else ""
        super().__init__(f"what answers does not speak HTTP, it begins with {found!r}{hint}")


def could_be_http(head: bytes) -> bool:
    """Return whether what has come is the beginning of an answer, or may become one."""
    line, newline, _ = head.partition(b"\n")
    if newline:
        return STATUS_LINE.fullmatch(line) is not None
    return b"HTTP/".startswith(line[:5]) and len(line) <= HEAD_MOST


def readable(head: bytes, *, is_whole: bool) -> bytes:
    """Return an answer's head with the header lines that can be read.

    Args:
        head: The status line and what follows of the head, without the empty line at its end.
        is_whole: Whether all of it has come.

    Returns:
        The head, its empty line included. Where the body's length is not known reliably, it
        lasts until the connection's end.
    """
    if is_whole and USUAL.fullmatch(head):
        return head + b"\r\n\r\n"
    # A line that begins with a space goes on with the one before (RFC 9112, 5.2).
    status, *lines = re.split(rb"\r?\n", FOLD.sub(b" ", head))
    fields = list(_fields(lines))
    framing = _framing(fields) if is_whole else [(b"Connection", b"close")]
    others = [each for each in fields if each[0].lower() not in (b"content-length", CODING)]
    named = (name + b": " + value for name, value in (*others, *framing))
    return b"\r\n".join((status[:LINE_MOST], *named, b"", b""))


def _fields(lines: Iterable[bytes]) -> Iterator[Field]:
    for line in lines:
        field = FIELD.fullmatch(line)
        if field and len(line) <= LINE_MOST:
            yield field[1], field[2]


def _framing(fields: Iterable[Field]) -> list[Field]:
    """Return what says how long the body is (RFC 9112, 6.3), nothing where that is doubtful."""
    codings = [each for each in _values(fields, CODING) if each.lower() != b"identity"]
    if codings:
        return [(CODING, b"chunked")] if codings[-1].lower() == b"chunked" else []
    lengths = set(_values(fields, b"content-length"))
    length = lengths.pop() if len(lengths) == 1 else b""
    return [(b"Content-Length", length)] if re.fullmatch(rb"[0-9]{1,18}", length) else []


def _values(fields: Iterable[Field], wanted: bytes) -> list[bytes]:
    joined = b",".join(value for name, value in fields if name.lower() == wanted)
    return [each.strip() for each in joined.split(b",")] if joined else []


class AnswerHeads(ProtocolWrapper):
    """Stands between a connection and Twisted's HTTP client, and hands it heads it can read.

    A head that breaks off, at the connection's end or when the request is given up, is handed on
    as far as it has come, once its status line is there.
    """

    transport: Any  # of TCP or TLS, connected before anything else
    wrappedProtocol: Any  # noqa: N815 - Twisted's name and Twisted's client, until it is closed

    def __init__(self, factory: WrappingFactory[Any], client: IProtocol) -> None:
        super().__init__(factory, client)
        self._head = b""
        self._in_head = True
        self._trouble: NotHTTPError | None = None

    def dataReceived(self, data: bytes) -> None:
        """Collect a head, and hand on what follows it."""
        # What comes unasked makes Twisted close the connection.
        if not self._in_head or self.wrappedProtocol.state == "QUIESCENT":
            self.wrappedProtocol.dataReceived(data)
            return
        self._head += data
        end = END_OF_HEAD.search(self._head)
        if self._trouble is None and not could_be_http(self._head):
            self._trouble = NotHTTPError(self._head)
            self.transport.abortConnection()
        elif end:
            self._hand_on(self._head[: end.start()], self._head[end.end() :])
        elif len(self._head) > HEAD_MOST:
            self._break_off()

    def _hand_on(self, head: bytes, rest: bytes) -> None:
        self._head = b""
        self._in_head = INTERIM.match(head) is not None
        self.wrappedProtocol.dataReceived(readable(head, is_whole=True))
        if rest:
            self.dataReceived(rest)

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Read on; Twisted's client does so too when it is ready for the next request."""
        self._in_head = self._in_head or self.wrappedProtocol.state == "QUIESCENT"
        self.transport.resumeProducing()

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Close the connection: the request is given up."""
        self._break_off()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        """Hand on the connection's end."""
        self._break_off()
        ProtocolWrapper.connectionLost(self, Failure(self._trouble) if self._trouble else reason)

    def _break_off(self) -> None:
        lines, newline, _ = self._head.rpartition(b"\n")
        if newline and self._trouble is None:
            self._head = b""
            self._in_head = False
            self.wrappedProtocol.dataReceived(readable(lines, is_whole=False))


class AnswerHeadsFactory(WrappingFactory):
    """Makes connections whose answers' heads can be read."""

    protocol = AnswerHeads
    noisy = False

    def __init__(self, factory: IProtocolFactory) -> None:
        super().__init__(factory)  # type: ignore[no-untyped-call]  # Twisted's has no types
