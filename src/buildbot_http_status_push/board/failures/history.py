"""What the builds of the past say of a build's reasons. Pure.

Knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import pairwise, takewhile

from attrs import define, evolve, field, frozen

from buildbot_http_status_push.board.model import GOOD, Build, Memory, Reason
from buildbot_http_status_push.results import RETRY

AGAIN_WITHIN = 7 * 86_400
"""Seconds between two builds of the same code within which the second is a rebuild."""
COMMON = 3
"""A reason that came with this many others in front of it, and never in front, says little."""
ONE_BREAKAGE = 86_400
"""Seconds between the failures of two builders within which they are of one breakage."""


@frozen(kw_only=True)
class Occurrence:
    """A reason in a build.

    Args:
        signature: The reason's signature.
        lead: The signature of the build's first reason.
        build: The build.
        builder: Its builder.
        line: Its branch.
        at: When it began, in seconds since the epoch.
        since: The last good build of the builder and branch before, 0 where there is none.
        passed_again: Whether the next build of the same code was good; None where there is no
            such build, or where it failed otherwise.
        judges: Whether the build is about its branch.
    """

    signature: str
    lead: str
    build: int
    builder: int
    line: str
    at: int
    since: int
    passed_again: bool | None
    judges: bool

    @property
    def breakage(self) -> tuple[int, str, int]:
        """What all builds between two good ones of a builder and a branch share."""
        return (self.builder, self.line, self.since)


def built_again(builds: Iterable[Build]) -> dict[int, Build]:
    """Find bad builds whose code was built again with nothing changed in any codebase.

    The next conclusive build must have begun within ``AGAIN_WITHIN``, and no build between may
    have been retried: what a worker's loss did is no judgement on the code.

    Args:
        builds: Builds of one builder and one branch, oldest first; patches do not count.

    Returns:
        The conclusive build that followed, by the bad build's number on the board.
    """
    found: dict[int, Build] = {}
    bad: Build | None = None
    for build in builds:
        if not build.judges:
            continue
        if build.results == RETRY:
            bad = None
        elif build.is_conclusive:
            is_soon = bad is not None and build.started_at - bad.started_at <= AGAIN_WITHIN
            if bad is not None and is_soon and _is_same_code(bad, build):
                found[bad.id] = build
            bad = build if build.is_bad else None
    return found


def has_flaked(builds: Iterable[Build]) -> bool:
    """Return whether a bad build was good when built again with nothing changed."""
    return any(each.results in GOOD for each in built_again(builds).values())


def _is_same_code(one: Build, other: Build) -> bool:
    code, also = (
        [(each.codebase, each.branch, each.revision) for each in build.sources]
        for build in (one, other)
    )
    return bool(code) and all(revision for _, _, revision in code) and code == also


def memory_of(
    reasons: Sequence[Reason],
    own: Sequence[Occurrence],
    occurrences: Collection[Occurrence],
    older_of: Callable[[Sequence[Occurrence]], str | None],
    *,
    is_cut: bool = False,
    is_bounded: bool = False,
) -> Memory:
    """Return what is remembered of why a build is bad.

    Args:
        reasons: The build's reasons.
        own: All reasons of this build and of those before it in the same breakage of its builder,
            this build's first and then back in time.
        occurrences: The reasons' occurrences on all builders.
        older_of: Returns the revision of the first of some occurrences that is of older code than
            this breakage, None where none is.
        is_cut: Whether the build had more reasons.
        is_bounded: Whether there were more occurrences.
    """
    if not reasons or not own:
        return Memory(reasons=tuple(reasons), is_cut=is_cut)
    memory = Memory(reasons=tuple(reasons), is_cut=is_cut, common=_common(occurrences))
    telling = memory.telling
    builds = _by_build(own)
    alike = (newer & older - memory.common for newer, older in pairwise(builds))
    in_a_row = 1 + sum(1 for _ in takewhile(bool, alike))
    judged = [each for each in occurrences if each.judges and each.signature in telling]
    breakage, began_at = own[0].breakage, min(each.at for each in own)
    clusters = _breakages(judged)
    mine = next((each for each in clusters if breakage in each.runs), _Breakage())
    earlier = [each for each in clusters if each is not mine and each.first_at < began_at]
    passed, rebuilt = _rate(telling, judged)
    others = {run[0] for run in mine.runs if run[0] != breakage[0]}
    beside = mine.runs - {breakage}
    earlier_beside = [each for each in judged if each.at < began_at and each.breakage in beside]
    before = older_of(sorted(earlier_beside, key=lambda each: each.at, reverse=True))
    if in_a_row > 1:
        state = "ongoing"
    elif len(builds) > 1:
        state = "new reason"
    elif earlier or before:
        state = "recurring"
    else:
        state = "new" if own[0].since else "unknown"
    return evolve(
        memory,
        state=state,
        in_a_row=in_a_row,
        earlier=len(earlier),
        earlier_since=min((each.first_at for each in earlier), default=None),
        is_bounded=is_bounded,
        builders=len(others),
        before=before,
        rebuilt=rebuilt,
        passed=passed,
    )


def _common(occurrences: Iterable[Occurrence]) -> frozenset[str]:
    leads: dict[str, set[str]] = {}
    for each in occurrences:
        leads.setdefault(each.signature, set()).add(each.lead)
    return frozenset(
        signature
        for signature, others in leads.items()
        if len(others) >= COMMON and signature not in others
    )


@define
class _Breakage:
    """A reason's occurrences that are of one breakage, on whatever builders."""

    runs: set[tuple[int, str, int]] = field(factory=set)
    first_at: int = 2**62
    last_at: int = -(2**62)


def _by_build(own: Iterable[Occurrence]) -> list[set[str]]:
    found: dict[int, set[str]] = {}
    for each in own:
        found.setdefault(each.build, set()).add(each.signature)
    return list(found.values())


def _breakages(occurrences: Iterable[Occurrence]) -> list[_Breakage]:
    """Put occurrences together: a builder's between two good builds, and other builders' near.

    A builder breaks once in a breakage: when it breaks again after it was good, that is another.
    """
    runs: dict[tuple[int, str, int], tuple[int, int]] = {}
    for each in occurrences:
        first, last = runs.get(each.breakage, (each.at, each.at))
        runs[each.breakage] = (min(first, each.at), max(last, each.at))
    found: list[_Breakage] = []
    for run, (first, last) in sorted(runs.items(), key=lambda item: (item[1], item[0])):
        fit = next((each for each in reversed(found) if _is_near(each, run, first)), None)
        if fit is None:
            fit = _Breakage()
            found.append(fit)
        fit.runs.add(run)
        fit.first_at, fit.last_at = min(fit.first_at, first), max(fit.last_at, last)
    return found


def _is_near(breakage: _Breakage, run: tuple[int, str, int], first_at: int) -> bool:
    is_there = any(each[:2] == run[:2] for each in breakage.runs)
    return not is_there and first_at <= breakage.last_at + ONE_BREAKAGE


def _rate(signatures: Iterable[str], judged: Iterable[Occurrence]) -> tuple[int, int]:
    """Return how often the reason that went away least did so, and of how many rebuilds."""
    counts: dict[str, list[int]] = {each: [0, 0] for each in signatures}
    for each in judged:
        if each.passed_again is not None and each.signature in counts:
            counts[each.signature][0] += each.passed_again
            counts[each.signature][1] += 1
    passed, rebuilt = min(counts.values(), key=lambda pair: (pair[0], -pair[1]))
    return passed, rebuilt
