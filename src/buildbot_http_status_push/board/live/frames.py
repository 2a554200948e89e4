"""The frames that browsers are sent, as JSON texts: pure functions of values.

Knows no connection, no store and no template.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, frozen

from buildbot_http_status_push.board.model import Builder, Master, Position


@frozen
class Fragment:
    """A piece of a page that stands for one thing.

    Args:
        region: The part of a page that it belongs into.
        key: Names it among all fragments.
        html: What to show, None where nothing is to be shown any more.
    """

    region: str
    key: str
    html: str | None


@frozen(kw_only=True)
class Change:
    """What has changed at one builder.

    Args:
        builder: The builder as it is now.
        builds: The builds that have changed, by the board's numbers.
        fragments: The pieces of pages that have changed with them.
    """

    builder: Builder
    builds: tuple[int, ...]
    fragments: tuple[Fragment, ...]


@frozen
class Summary:
    """The whole board in numbers, for titles and icons.

    Args:
        red: How many builders' last conclusive build is bad.
        good: How many builders' last conclusive build is good.
        running: How many builds run.
        builders: How many builders there are.
        causes: How many causes the red ones have.
        known: How many builders are red for known reasons only; ``red`` is without them.
    """

    red: int
    good: int
    running: int
    builders: int
    causes: int
    known: int


def updates(
    since: int,
    position: Position,
    changes: Iterable[Change],
    fragments: Iterable[Fragment],
    summary: Summary,
    now: float,
    is_storing: bool = True,
) -> bytes:
    """Return the frame of what has changed.

    Args:
        since: The sequence that a browser must have reached to go on with this.
        position: The browser's afterwards.
        changes: What has changed in between, one a builder.
        fragments: The pieces of the overview that stand for no single builder.
        summary: The board in numbers.
        now: The board's time in seconds since the epoch.
        is_storing: Whether the board can write what it is sent.

    Returns:
        The frame's text.
    """
    changes = tuple(changes)
    return _text(
        _headed("updates", position, now)
        | {
            "from": since,
            "changes": [_change(change) for change in changes],
            "fragments": [asdict(fragment) for fragment in fragments],
            "masters": _masters(change.builder.master for change in changes),
            "summary": asdict(summary),
            "storing": is_storing,
        }
    )


def snapshot(position: Position, now: float) -> bytes:
    """Return the frame that makes a browser fetch its page again."""
    return _text(_headed("snapshot", position, now) | {"recovered": False})


def heard(
    position: Position, masters: Iterable[Master], now: float, is_storing: bool = True
) -> bytes:
    """Return the sign of life: the board runs, and when each master was last heard of."""
    told = {"masters": _masters(masters), "storing": is_storing}
    return _text(_headed("heard", position, now) | told)


def _headed(kind: str, position: Position, now: float) -> dict[str, Any]:
    return {
        "type": kind,
        "epoch": position.epoch,
        "sequence": position.sequence,
        "now": round(now, 3),
    }


def _change(change: Change) -> dict[str, Any]:
    builder = change.builder
    return {
        "builder": builder.id,
        "name": builder.name,
        "tags": builder.tags,
        "master": builder.master.name,
        "project": builder.project,
        "builds": change.builds,
        "fragments": [asdict(fragment) for fragment in change.fragments],
    }


def _masters(masters: Iterable[Master]) -> list[dict[str, Any]]:
    latest: dict[str, float] = {}
    for master in masters:
        latest[master.name] = max(master.heard_at, latest.get(master.name, 0.0))
    return [{"name": name, "heard_at": heard_at} for name, heard_at in latest.items()]


def _text(frame: Mapping[str, Any]) -> bytes:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode()
