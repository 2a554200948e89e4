"""Builds as the default generator hands them to a ``format_fn``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

BEGAN = datetime(2030, 1, 31, 8, 0, tzinfo=timezone.utc)


def a_change(number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a change."""
    return {
        "changeid": number,
        "author": "Jo Doe <jo@example.com>",
        "comments": f"Change {number}\n\nAt length.",
        "revision": f"{number:040x}",
        "revlink": f"https://code.example.com/c/{number}",
        **more,
    }


def a_build(results: int | None = 2, **more: Any) -> dict[str, Any]:
    """Return build 7 of the builder ``linux``, which ended with a result unless it is None."""
    done = results is not None
    stamp = {"branch": "main", "revision": "abcdef0123456789", "repository": "", "project": ""}
    return {
        "buildid": 70,
        "number": 7,
        "builderid": 1,
        "builder": {"name": "linux"},
        "results": results,
        "complete": done,
        "started_at": BEGAN,
        "complete_at": BEGAN + timedelta(seconds=200) if done else None,
        "state_string": "failed compile (failure)",
        "url": "https://ci.example.com/#/builders/1/builds/7",
        "properties": {"branch": ["main", "Build"]},
        "buildset": {"sourcestamps": [stamp]},
        "changes": [],
        "compared_build": None,
        **more,
    }
