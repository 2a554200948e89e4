"""Buildbot's result codes and their words.

They stand here once more because most of this package starts without importing Buildbot, and
these numbers are stored in databases. Knows no other module.
"""

from __future__ import annotations

RESULTS = ("success", "warnings", "failure", "skipped", "exception", "retry", "cancelled")
"""Buildbot's result codes are indexes into this list."""

SUCCESS, WARNINGS, FAILURE, SKIPPED, EXCEPTION, RETRY, CANCELLED = range(7)

GOOD = frozenset({SUCCESS, WARNINGS})
BAD = frozenset({FAILURE, EXCEPTION})
CONCLUSIVE = GOOD | BAD
"""The results that say whether the code is good: a cancelled build leaves that open."""


def result_word(code: object) -> str:
    """Return the word for one of Buildbot's result codes."""
    if isinstance(code, int) and 0 <= code < len(RESULTS):
        return RESULTS[code]
    return f"result {code}"
