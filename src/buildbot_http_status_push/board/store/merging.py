"""Which of two statuses of a build stands, and what a builder's builds say of it. Pure.

Statuses come in any order, and some more than once. Whatever the order, the same stands in the
end: nothing here looks at when a status came.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median
from typing import TypeAlias

from attrs import frozen

from buildbot_http_status_push.board.model import RECENT, Build, SourceChange
from buildbot_http_status_push.results import BAD, GOOD, RETRY

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
    """What a builder's builds say of it; see ``Builder``."""

    last: Build | None = None
    first_bad: Build | None = None
    last_good: Build | None = None
    suspects: tuple[SourceChange, ...] = ()
    running: tuple[Build, ...] = ()
    recent: tuple[Build, ...] = ()
    usual: float | None = None
    flaky: bool = False


def place(build: Build) -> tuple[int, int, int]:
    """Return a build's place in the order of all builds: by its times, whenever it was told."""
    return (build.started_at, build.number, build.id)


def state_of(builds: Iterable[Build]) -> State:
    """Say what all builds of a builder say of it.

    Args:
        builds: All of its builds, in any order.
    """
    newest = sorted(builds, key=place, reverse=True)
    conclusive = [each for each in newest if each.is_conclusive]
    good = [each for each in conclusive if each.results in GOOD]
    bad = [each for each in conclusive if each.results in BAD]
    since = place(good[0]) if good else (-1, -1, -1)
    first_bad = next((each for each in reversed(bad) if place(each) > since), None)
    return State(
        last=conclusive[0] if conclusive else None,
        first_bad=first_bad,
        last_good=good[0] if good else None,
        running=tuple(each for each in reversed(newest) if each.is_running),
        recent=tuple(newest[:RECENT]),
        usual=usual(good[:LOOKED_AT]),
        flaky=is_flaky(conclusive[:LOOKED_AT]),
    )


def usual(good: Sequence[Build]) -> float | None:
    """Return how long a build takes, in seconds, None while that is unknown.

    Args:
        good: The builder's latest good builds.
    """
    durations = [each.duration for each in good if each.duration is not None]
    return float(median(durations)) if durations else None


def is_flaky(conclusive: Iterable[Build]) -> bool:
    """Tell whether the same revision has both passed and failed.

    Args:
        conclusive: The builder's latest conclusive builds.
    """
    verdicts: dict[tuple[str | None, str], set[bool]] = defaultdict(set)
    for build in conclusive:
        if build.revision:
            verdicts[build.branch, build.revision].add(build.is_bad)
    return any(len(each) > 1 for each in verdicts.values())
