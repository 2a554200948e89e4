"""Masters and the names that they are shown by. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from buildbot_http_status_push.board.model import Master

DEFAULT_TITLE = "Buildbot"
"""The title of a master whose configuration has none."""


def shown_masters(rows: Sequence[Any]) -> dict[int, Master]:
    """Return the masters by their number, each under a name of its own.

    That is the one of the board's settings, else the title of its configuration where that is not
    Buildbot's default, else its host; with its path where another has the same.
    """
    wanted = {row.id: _name_of(row) for row in rows}
    counts = Counter(wanted.values())
    names = {
        row.id: name if counts[name] == 1 else _address_of(row)
        for row, name in zip(rows, wanted.values(), strict=True)
    }
    made = [
        Master(id=row.id, name=names[row.id], url=row.url, heard_at=row.heard_at) for row in rows
    ]
    return {each.id: each for each in sorted(made, key=lambda each: each.name)}


def _name_of(row: Any) -> str:
    if row.name != row.url:
        return str(row.name)
    title = row.title if row.title not in (None, DEFAULT_TITLE) else None
    return str(title or urlsplit(row.url).netloc or row.name)


def _address_of(row: Any) -> str:
    """Return a name that no other master has."""
    if row.name != row.url:
        return str(row.name)
    parts = urlsplit(row.url)
    return f"{parts.netloc}{parts.path}".rstrip("/")
