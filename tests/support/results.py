"""The key ``tests`` of bodies, made of little."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def results_key(
    failed: Iterable[str] = (),
    suites: Mapping[str, int] | None = None,
    *,
    omitted: int = 0,
    message: str = "assert 1 == 2",
) -> dict[str, Any]:
    """Return the value of the key ``tests``.

    Args:
        failed: The names of failed tests, each ``suite::name`` or a name in the suite ``unit``.
        suites: How many tests of each suite ran; 10 of ``unit`` by default.
        omitted: How many more failed.
        message: What each failed test says.
    """
    split = [each.partition("::") for each in failed]
    pairs = [(suite, name) if name else ("unit", suite) for suite, _, name in split]
    counts = {"unit": 10} if suites is None else dict(suites)
    made = []
    for suite, count in counts.items():
        bad = sum(each[0] == suite for each in pairs)
        totals = {"passed": count - bad, "failed": bad, "errors": 0, "skipped": 0, "seconds": 1.5}
        made.append({"name": suite, "log": "junit", **totals})
    keys = ("passed", "failed", "errors", "skipped", "seconds")
    return {
        "totals": {key: sum(each[key] for each in made) for key in keys},
        "suites": made,
        "failures": [
            {
                "suite": suite,
                "name": name,
                "kind": "failure",
                "message": message,
                "seconds": 0.1,
                "file": "tests/test_unit.py",
                "line": 7,
            }
            for suite, name in pairs
        ],
        "omitted": omitted,
        "problems": [],
    }
