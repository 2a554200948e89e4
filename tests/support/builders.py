"""Builders and builds as the board knows them, made of little."""

from __future__ import annotations

from typing import Any

from buildbot_http_status_push.board.model import Build, Builder, Master
from buildbot_http_status_push.results import SUCCESS

MASTER = Master(id=1, name="main", url="https://ci.example.org/", heard_at=1_700_000_000.0)

STARS = (
    ("*a" * 40 + "b", "a" * 400),
    ("*?" * 40 + "!", "a" * 400),
    ("*?*?a" * 40 + "!", "a" * 400),
    ("*" * 400 + "b", "a" * 400),
)
"""Globs that don't fit a name, which an expression needs ages to find out."""


def build(number: int, results: int | None = SUCCESS, **more: Any) -> Build:
    """Return a build that began at ``number`` minutes and took one; it runs if it has no result."""
    known: dict[str, Any] = {
        "id": number, "master": 1, "builder": 7, "builder_name": "linux", "buildid": 100 + number,
        "number": number, "request": 200 + number, "started_at": 60 * number,
        "complete_at": None if results is None else 60 * number + 60, "results": results,
        "state_string": "finished", "submitted_at": 60 * number - 5, "worker": "w1",
        "branch": "main", "revision": "abc", "project": None, "owner": None, "url": None,
        "sequence": number,
    }  # fmt: skip
    return Build(**{**known, **more})


def builder(*builds: Build, **more: Any) -> Builder:
    """Return a builder with builds, the newest first."""
    conclusive = [each for each in builds if each.is_conclusive]
    known: dict[str, Any] = {
        "id": 7, "master": MASTER, "name": "linux", "recent": builds,
        "running": tuple(each for each in reversed(builds) if each.is_running),
        "last": conclusive[0] if conclusive else None,
    }  # fmt: skip
    return Builder(**{**known, **more})
