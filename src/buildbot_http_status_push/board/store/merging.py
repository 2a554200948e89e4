"""Which of two statuses of a build stands, and what a builder's builds say of it. Pure.

Statuses come in any order, and some more than once. Whatever the order, the same stands in the
end: nothing here looks at when a status came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import TypeAlias

from attrs import evolve, frozen

from buildbot_http_status_push.board.failures.history import has_flaked
from buildbot_http_status_push.board.model import (
    GOOD,
    RECENT,
    SUSPECTS,
    Build,
    Changes,
    FailingTests,
    Source,
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
    tells more; the digest only makes the choice the same each time.

    Args:
        complete_at: When the build ended, None while it runs.
        results: Its result code.
        size: The body's length in bytes.
        digest: The body's digest.
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


def place(build: Build) -> tuple[int, int, int]:
    """Return a build's place in the order of all builds: by its times, whenever it was told."""
    return (build.started_at, build.number, build.id)


def state_of(builds: Iterable[Build]) -> State:
    """Say what all builds of a builder and a branch say of the builder.

    Args:
        builds: All of them, in any order.
    """
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


def judgements(newest: Iterable[Build]) -> list[Build]:
    """Return the builds that judge their branch: not those of code older than was judged before.

    Args:
        newest: A branch's builds, newest first by their begin.

    Returns:
        Those that judge, newest first.
    """
    reached: dict[str, Source] = {}
    before: Build | None = None
    judged: list[Build] = []
    for build in sorted((each for each in newest if each.is_conclusive and each.judges), key=place):
        # A master's database that was made anew counts its changes from 1 again.
        if before is not None and build.buildid < before.buildid and build.number < before.number:
            reached.clear()
        before = build
        if is_older(build.sources, reached):
            continue
        judged.append(build)
        for source in build.sources:
            known = reached.get(source.codebase)
            reached[source.codebase] = source if known is None else _furthest(known, source)
    return judged[::-1]


def is_older(sources: Iterable[Source], reached: Mapping[str, Source]) -> bool:
    """Tell whether code is older than some other: in one codebase at least, and newer in none.

    Args:
        sources: The code.
        reached: The other one, by codebase.
    """
    signs = {_sign(each, reached.get(each.codebase)) for each in sources}
    return -1 in signs and 1 not in signs


def _sign(source: Source, known: Source | None) -> int:
    """Return -1 where a source is older than what is known of its codebase, 1 where newer."""
    if known is None:
        return 0
    for own, other in ((source.change, known.change), (source.stamp, known.stamp)):
        if own is not None and other is not None:
            return (own > other) - (own < other)
    return 0


def _furthest(one: Source, other: Source) -> Source:
    return evolve(
        other, change=_most(one.change, other.change), stamp=_most(one.stamp, other.stamp)
    )


def _most(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)


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
    """Return how long a build takes, in seconds, None while that is unknown.

    Args:
        good: The builder's latest good builds.
    """
    durations = [each.duration for each in good if each.duration is not None]
    return float(median(durations)) if durations else None
