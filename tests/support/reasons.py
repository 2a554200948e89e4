"""Bodies of builds that say why they failed."""

from __future__ import annotations

from typing import Any


def excerpts(*lines: str, step: str = "test", **more: Any) -> dict[str, Any]:
    """Return the key of a body with one excerpt in which all lines matter but the first.

    Args:
        lines: The lines that matter.
        step: The step's name.
        more: What is otherwise in the excerpt.
    """
    excerpt = {
        "stepid": 3,
        "step": step,
        "log": "stdio",
        "url": "https://ci.example.org/#/builders/7/builds/1/steps/2/logs/stdio",
        "first_line": 117,
        "lines": ["collected 12 items", *lines],
        "matched": [number for number, _ in enumerate(lines, 1)],
        "rule": "pytest",
        "cut": False,
    }
    return {"excerpts": [{**excerpt, **more}]}


def failed_tests(*names: str, suite: str = "unit") -> dict[str, Any]:
    """Return the key of a body with some failed tests."""
    failed = [
        {"suite": suite, "name": name, "kind": "failure", "message": "assert 3 == 4"}
        for name in names
    ]
    return {"tests": {"failures": failed, "omitted": 0}}
