"""What is remembered of a build's reasons, in words that claim no more than is known. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from buildbot_http_status_push.board.model import REASONS, Memory

SHORT = 12
"""Characters of a revision that is a hash."""


def words_of(memory: Memory, *, is_grouped: bool = False) -> tuple[str, ...]:
    """Return what is remembered, the most telling first.

    Returns:
        Such as ``("seen in 11 earlier breakages since 2026-11-03", "3 builds in a row")``.
    """
    return tuple(_words(memory, is_grouped=is_grouped))


def _words(memory: Memory, *, is_grouped: bool) -> Iterator[str]:
    if memory.state == "known":
        titles = "; ".join(
            f"{each.title} ({each.owner})" if each.owner else each.title for each in memory.known
        )
        yield f"known: {titles}"
    elif memory.state in ("new", "new reason"):
        yield REASONS[memory.state]
    # A card has no room for all: what passed when built again is the most telling.
    if memory.is_flaky:
        yield _rebuilt(memory)
    if memory.earlier and memory.earlier_since is not None:
        count = f"{memory.earlier}{'+' if memory.is_bounded else ''}"
        noun = "earlier breakage" if count == "1" else "earlier breakages"
        day = datetime.fromtimestamp(memory.earlier_since, timezone.utc).date()
        yield f"seen in {count} {noun} since {day}"
    if memory.in_a_row > 1:
        yield f"{memory.in_a_row} builds in a row"
    if memory.builders and not is_grouped:
        yield f"also on {memory.builders} {'builder' if memory.builders == 1 else 'builders'}"
    if memory.before:
        yield f"also failed at {memory.before[:SHORT]}, before this change"
    if memory.rebuilt and not memory.is_flaky:
        yield _rebuilt(memory)


def _rebuilt(memory: Memory) -> str:
    return (
        "passed when built again with nothing changed in any codebase: "
        f"{memory.passed} of {memory.rebuilt}"
    )
