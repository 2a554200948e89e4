"""Texts as services count and read them: cut to a length, made harmless, made a link.

Pure. Knows no service.
"""

from __future__ import annotations

from typing import TypeAlias
from urllib.parse import quote

from buildbot_http_status_push.redaction import one_line

ELLIPSIS = "…"
URL_MOST = 300
IN_URLS = "%/:=&?~#+!$,;'@*"
"""What stays as it is in a link: all else, brackets above all, could end the link early."""

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


def link(url: str | None, table: Table | None = None) -> str | None:
    """Return a URL as it may stand in a link, None where it may not.

    Args:
        url: The URL, or None.
        table: What the service wants escaped in URLs.
    """
    if url is None or not url.lower().startswith(("http://", "https://")):
        return None
    safe = quote(url.strip(), safe=IN_URLS, errors="replace").translate(table or {})
    return safe if len(safe) <= URL_MOST else None


def escapes(signs: str) -> Table:
    """Return a table for ``str.translate`` that puts a backslash before each of the signs."""
    return {ord(sign): f"\\{sign}" for sign in signs}


def plural(count: int, noun: str) -> str:
    """Write a number with its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
