"""The changes of a build, as far as its body has them.

Pure: takes what JSON gives and trusts none of it. Knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from buildbot_http_status_push.board.model import SourceChange
from buildbot_http_status_push.results import EXCEPTION, FAILURE

MOST = 2**53
"""Numbers of the master's database are below: what JSON and scripts can hold exactly."""
LATEST = 253402300800
"""The year 10000 in seconds since the epoch: no calendar here can show it."""

NAME = 500
"""Characters that are kept of names: more does not fit into an index of PostgreSQL."""
SENTENCE = 2000
"""Characters that are kept of other texts."""
SOURCES = 20
"""How many codebases of a build are kept and shown."""
OBJECTS = 10_000
"""How many objects of a list are looked at: of each of them something is made."""


def changes_of(body: Mapping[str, Any]) -> tuple[SourceChange, ...]:
    """Return the changes in a body, in its order; they are as Buildbot's data API gives them."""
    return tuple(map(_change, objects(body.get("changes"))))


def objects(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield the first objects of a JSON list; nothing where it is no list."""
    if isinstance(value, list):
        yield from islice((each for each in value if isinstance(each, dict)), OBJECTS)


def text(value: object, most: int | None = None) -> str | None:
    """Return the first characters of a text that says something, None where there is none."""
    return value[:most] if isinstance(value, str) and value else None


def moment(value: object) -> int | None:
    """Return a time in whole seconds since the epoch, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value < LATEST else None


def web_address(value: object) -> str | None:
    """Return a link that a browser may follow: http and https only."""
    if not isinstance(value, str) or len(value) > SENTENCE:  # half a link leads nowhere
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.netloc else None


def first_line(value: object) -> str:
    """Return the first line of a text that says something, as much of it as is kept."""
    lines = value.lstrip()[:SENTENCE].splitlines() if isinstance(value, str) else []
    return lines[0].strip() if lines else ""


def failing_step(body: Mapping[str, Any]) -> str | None:
    """Return the name of the step that a build failed at, None where no steps were sent."""
    for wanted in (FAILURE, EXCEPTION):
        for step in objects(body.get("steps")):
            name = step.get("name")
            if step.get("results") == wanted and isinstance(name, str) and name:
                return name
    return None


def _change(change: Mapping[str, Any]) -> SourceChange:
    number, stamp = change.get("changeid"), change.get("sourcestamp")
    is_id = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < MOST
    codebase = change.get("codebase") or (stamp.get("codebase") if isinstance(stamp, dict) else "")
    return SourceChange(
        author=text(change.get("author"), NAME) or text(change.get("who"), NAME) or "unknown",
        comment=first_line(change.get("comments")),
        at=moment(change.get("when_timestamp")),
        revision=text(change.get("revision"), NAME),
        url=web_address(change.get("revlink")),
        id=number if is_id else None,
        codebase=text(codebase, NAME) or "",
    )
