"""Texts as services count and read them: cut to a length, made harmless, made a link.

Pure. Knows no service.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import TypeAlias
from urllib.parse import quote

import idna

from buildbot_http_status_push.redaction import one_line

ELLIPSIS = "…"
URL_MOST = 300
IN_URLS = "%/:=&?~#+!$,;'@*"
"""What stays as it is in a link: all else, brackets above all, could end the link early."""

WEB_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<user>[^/?#]*@)?(?P<host>\[[^\[\]]*\]|[^/?#@:\[\]]+)"
    r"(?::(?P<port>[0-9]{0,5}))?(?P<rest>[/?#].*)?",
    re.IGNORECASE | re.DOTALL,
)
HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+")
HOST_MOST = 253
"""Characters; RFC 1035 allows no longer name."""

Table: TypeAlias = dict[int, str]


def length(text: str) -> int:
    """Return a text's length in UTF-16 units, the largest of the ways to count characters."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def clip(text: str | None, most: int) -> str:
    """Return a text as one line that is not too long, and says so where it was cut.

    Args:
        text: The text; None is an empty one.
        most: Characters.
    """
    line = one_line(text or "")
    if length(line) <= most:
        return line
    kept = line[: most - 1]
    while length(kept) > most - 1:
        kept = kept[:-1]  # a sign beyond the first plane counts twice
    return kept + ELLIPSIS


def link(url: str | None, table: Table | None = None, *, dotted: bool = False) -> str | None:
    """Return a URL as it may stand in a link, None where it may not.

    Args:
        url: The URL, or None.
        table: What the service requires escaped in URLs.
        dotted: Whether the service requires a dot in the host: a domain or an IPv4 address.
    """
    parts = WEB_ADDRESS.fullmatch(url.strip()) if url else None
    host = _host(parts["host"]) if parts else None
    if parts is None or host is None or not 0 < int(parts["port"] or 80) <= 0xFFFF:
        return None
    if dotted and "." not in host.strip("."):
        return None
    port = f":{parts['port']}" if parts["port"] else ""
    before, after = (
        quote(parts[each] or "", IN_URLS, errors="replace") for each in ("user", "rest")
    )
    safe = f"{parts['scheme']}://{before}{host}{port}{after}".translate(table or {})
    return safe if len(safe) <= URL_MOST else None


def _host(written: str) -> str | None:
    """Return a host in ASCII (RFC 5890), an IPv6 address without its scope ID (RFC 6874)."""
    try:
        if written.startswith("["):
            return f"[{IPv6Address(written[1:-1].partition('%')[0])}]"
        if not written.isascii() and len(written) <= HOST_MOST:
            written = idna.encode(written, uts46=True).decode("ascii")
    except ValueError:  # of which idna's errors are some
        return None
    return written if HOST_NAME.fullmatch(written) else None


def escapes(signs: str) -> Table:
    """Return a table for ``str.translate`` that puts a backslash before each of the signs."""
    return {ord(sign): f"\\{sign}" for sign in signs}


def plural(count: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
