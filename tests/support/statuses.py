"""Bodies of statuses as this reporter sends them, small, and what the board reads in them."""

from __future__ import annotations

import json
from typing import Any

from buildbot_http_status_push.board.body import Status, read
from buildbot_http_status_push.results import SUCCESS

MASTER = "https://ci.example.org/"
NOW = 1_700_000_000


def a_body(number: int = 1, results: int | None = SUCCESS, **more: Any) -> dict[str, Any]:
    """Return the body of a build of the builder ``linux``.

    Args:
        number: Its number; later ones began later.
        results: Its result, None where it has just begun.
        more: What is otherwise; ``builder`` may be a name, ``revision`` that of its source.
    """
    began = NOW + 100 * number
    builder, revision = more.pop("builder", "linux"), more.pop("revision", "abc")
    named = {"builderid": 7, "name": builder, "tags": ["stable"], "description": None}
    stamp = {"branch": "main", "revision": revision, "project": "runtime", "codebase": ""}
    body = {
        "buildid": 1000 + number,
        "number": number,
        "builderid": 7,
        "buildrequestid": 2000 + number,
        "started_at": began,
        "complete_at": None if results is None else began + 60,
        "complete": results is not None,
        "results": results,
        "state_string": "building" if results is None else "finished",
        "properties": {"workername": ["w1", "Worker"], "owner": ["Ada", "Scheduler"]},
        "url": f"{MASTER}#/builders/7/builds/{number}",
        "builder": named if isinstance(builder, str) else builder,
        "buildrequest": {"submitted_at": began - 5},
        "buildset": {"sourcestamps": [stamp]},
        "parentbuild": None,
    }
    return {**body, **more}


def as_bytes(body: object) -> bytes:
    """Return what is sent."""
    return json.dumps(body).encode()


def a_status(number: int = 1, results: int | None = SUCCESS, **more: Any) -> Status:
    """Return what the board reads in ``a_body``."""
    status = read(as_bytes(a_body(number, results, **more)))
    assert status is not None
    return status
