"""Bodies about requests, workers and builders: the documented examples, made otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.statuses import MASTER, NOW

EXAMPLES = Path(__file__).parents[2] / "docs" / "reference" / "examples"


def an_example(event: str, at: float, **more: Any) -> dict[str, Any]:
    """Return a documented body, of the master whose builds ``a_body`` has.

    Args:
        event: Such as ``requests.new``.
        at: When it was reported, in seconds since ``NOW``.
        more: What is otherwise.
    """
    body = json.loads((EXAMPLES / f"{event.replace('.', '-')}.json").read_text())
    return {**body, "url": MASTER, "reported_at": NOW + at, **more}


def a_request(
    event: str, number: int, at: float = 0.0, builder: str = "linux", **more: Any
) -> dict[str, Any]:
    """Return what is reported of a request, by default submitted at ``NOW``."""
    body = an_example(event, at, **{"buildrequestid": number, "submitted_at": NOW, **more})
    body["builder"]["name"] = builder
    return body


def a_worker(event: str, name: str, at: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return what is reported of a worker, by default of the builder ``linux``."""
    builders = [{"builderid": 7, "name": "linux"}]
    return an_example(event, at, name=name, **{"builders": builders, **more})


def a_builder(event: str, name: str, at: float = 0.0, **more: Any) -> dict[str, Any]:
    """Return what is reported of a builder."""
    return an_example(event, at, name=name, **more)
