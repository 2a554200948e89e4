"""Which of two statuses of a build stands, and what a builder's builds say of it. Pure.

Statuses come in any order, and some more than once. Whatever the order, the same stands in the
end: nothing here looks at when a status came.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TypeAlias

from attrs import frozen

from buildbot_http_status_push.board.failures.history import has_flaked
from buildbot_http_status_push.board.judgements import judgements, place
from buildbot_http_status_push.board.model import (
    GOOD,
    RECENT,
    SUSPECTS,
    Build,
    Changes,
    FailingTests,
    SourceChange,
)
from buildbot_http_status_push.results import RETRY

Rank: TypeAlias = "tuple[bool, int, bool, int, str]"

LOOKED_AT = 30
"""How many builds of a kind are looked at for what is usual and for what is flaky."""


def rank(complete_at: int | None, results: int | None, size: int, digest: str) -> Rank:
    """Say how much a status of a build counts: of two, the one with the higher rank stands.

    A finish counts more than a start, and of several the later one: with several masters one may
    finish a build for another that it believes dead. Of two that are equal so far the longer one
    says more; the digest only makes the choice the same each time.
    """
    return (complete_at is not None, complete_at or 0, results != RETRY, size, digest)


@frozen(kw_only=True)
class State:
    """What a builder's builds of one branch say of it; see ``Builder``."""

    last: Build | None = None
    first_bad: Build | None = None
    last_good: Build | None = None
    suspects: tuple[SourceChange, ...] = ()
    suspected: int = 0
    recent: tuple[Build, ...] = ()
    usual: float | None = None
    flaky: bool = False
    tests: FailingTests | None = None


def state_of(builds: Iterable[Build]) -> State:
    """Say what all builds of a builder and a branch say of the builder."""
    newest = sorted(builds, key=place, reverse=True)
    judged = judgements(newest)
    good = [each for each in judged if each.results in GOOD]
    since = place(good[0]) if good else (-1, -1, -1)
    bad = [each for each in judged if each.is_bad and place(each) > since]
    return State(
        last=judged[0] if judged else None,
        first_bad=bad[-1] if bad else None,
        last_good=good[0] if good else None,
        recent=tuple(newest[:RECENT]),
        usual=usual(good[:LOOKED_AT]),
        flaky=has_flaked(reversed(newest)),
    )


def suspects_of(first_bad: Changes, last_good: Changes) -> tuple[tuple[SourceChange, ...], int]:
    """Return the changes since the last good build.

    Args:
        first_bad: The changes of the first bad build since. Buildbot sends all since the last
            build without as much as a warning, some of which the last good one may have had.
        last_good: The changes of the last good build.

    Returns:
        The newest of them, and how many there are.
    """
    newest_good = max(last_good.ids, default=-1)
    left = sum(each > newest_good for each in first_bad.ids)
    known = tuple(each for each in first_bad.shown if each.id is None or each.id > newest_good)
    without_id = first_bad.count - len(first_bad.ids)
    return known[:SUSPECTS], max(left + without_id, len(known))


def usual(good: Sequence[Build]) -> float | None:
    """Return how long a build takes, in seconds, None while that is unknown."""
    durations = [each.duration for each in good if each.duration is not None]
    return float(median(durations)) if durations else None
