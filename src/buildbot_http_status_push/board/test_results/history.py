"""What a test's runs on a builder and branch say of it. Pure.

A test passed in a build whose suite ran and whose failed tests are all known, if it is not among
them. Knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder
from buildbot_http_status_push.board.test_results.results import NamedTest, suite_number

WINDOW = 60
"""How many builds with test results are looked at."""
CHANCE = 0.01
"""A flaky test is broken where this many failures in a row are less likely at its old rate."""


@frozen(kw_only=True)
class Run:
    """A build with test results.

    Args:
        build: Its number on the board.
        number: Its number among the builder's builds.
        at: When it began, in seconds since the epoch.
        suites: The suites that ran, each by ``suite_number``.
        is_whole: Whether all of its failed tests are known.
        again: The next build with test results, where that was of the same code.
    """

    build: int
    number: int
    at: int
    suites: frozenset[int]
    is_whole: bool
    again: int | None = None


@frozen(kw_only=True)
class Verdict:
    """What the latest runs of a test say of it, on one builder and branch.

    Args:
        runs: The runs, oldest first.
        ran_in: The builds in which it is known to have ended, by their numbers on the board.
        failed_in: Those of them in which it failed.
        in_a_row: How many times it has failed since it last passed; 0 where it passed last.
        first_bad: The first of these failures.
        last: The last run in which it is known how it ended.
        failed: How many times it failed.
        ran: How many times it ran.
        passed_before: Whether it is known to have passed before its last failures in a row.
        failed_before: Whether it failed before these, as far as builds are kept.
        evidence: Failures, each with the run of the same code in which it passed.
    """

    runs: Sequence[Run] = ()
    ran_in: frozenset[int] = frozenset()
    failed_in: frozenset[int] = frozenset()
    in_a_row: int = 0
    first_bad: Run | None = None
    last: Run | None = None
    failed: int = 0
    ran: int = 0
    passed_before: bool = False
    failed_before: bool = False
    evidence: tuple[tuple[Run, Run], ...] = ()

    @property
    def outcomes(self) -> list[tuple[Run, bool | None]]:
        """Whether it failed in each run, None where it did not run or that is not known."""
        return [
            (run, run.build in self.failed_in if run.build in self.ran_in else None)
            for run in self.runs
        ]

    @property
    def fails(self) -> bool:
        """Whether it failed when it last ran."""
        return self.in_a_row > 0

    @property
    def earlier_failed(self) -> int:
        """How many times it failed before its last failures in a row."""
        return self.failed - self.in_a_row

    @property
    def earlier_ran(self) -> int:
        """How many times it ran before its last failures in a row."""
        return self.ran - self.in_a_row

    @property
    def is_broken(self) -> bool:
        """Whether it fails more often in a row than its earlier rate explains."""
        rate = (self.earlier_failed + 1) / (self.earlier_ran + 2)
        return self.fails and rate**self.in_a_row < CHANCE

    @property
    def is_flaky(self) -> bool:
        """Whether it failed and passed with nothing changed, and is not broken since."""
        return bool(self.evidence) and not self.is_broken

    @property
    def is_new(self) -> bool:
        """Whether it has begun to fail in the last run, and is not flaky."""
        return self.in_a_row == 1 and self.passed_before and not self.is_flaky


def whole_runs(runs: Iterable[Run], suites: Iterable[str]) -> dict[str, frozenset[int]]:
    """Return for each suite the builds that say of each of its tests how it ended."""
    # Most runs are of the same suites.
    alike: dict[frozenset[int], list[int]] = {}
    for run in runs:
        if run.is_whole:
            alike.setdefault(run.suites, []).append(run.build)
    return {
        suite: frozenset().union(
            *(ran for numbers, ran in alike.items() if suite_number(suite) in numbers)
        )
        for suite in suites
    }


def verdict(
    runs: Sequence[Run],
    whole: frozenset[int],
    failed: frozenset[int],
    *,
    failed_earlier: bool = False,
) -> Verdict:
    """Say what a test's runs on a builder and branch say of it.

    Args:
        runs: Builds with test results, oldest first.
        whole: Those that say of each test of its suite how it ended.
        failed: Those in which the test failed.
        failed_earlier: Whether it failed in an older build than these, too.
    """
    # A build's page has hundreds of tests of many runs: what is done for each run costs the most.
    known = whole | failed
    in_a_row = 0
    first_bad = last = None
    for run in reversed(runs):
        if run.build not in known:
            continue
        last = last or run
        if run.build not in failed:
            break
        in_a_row, first_bad = in_a_row + 1, run
    repeated = [(run, run.again) for run in runs if run.again and run.build in failed]
    by_build = {run.build: run for run in runs if run.build in whole} if repeated else {}
    return Verdict(
        runs=runs,
        ran_in=known,
        failed_in=failed,
        in_a_row=in_a_row,
        first_bad=first_bad,
        last=last,
        failed=len(failed),
        ran=len(known),
        passed_before=len(known) > in_a_row,
        failed_before=failed_earlier or len(failed) > in_a_row,
        evidence=tuple(
            (run, by_build[again])
            for run, again in repeated
            if again in by_build and again not in failed
        ),
    )


def deciding(runs: Iterable[Run]) -> dict[int, frozenset[int]]:
    """Return which runs say how each suite's tests are now: for each suite the last that ran it.

    Args:
        runs: Builds with test results, newest first.

    Returns:
        The suites that a run decides, by the build's number on the board.
    """
    seen: set[int] = set()
    found: dict[int, frozenset[int]] = {}
    for each in runs:
        if each.suites - seen:
            found[each.build] = each.suites - seen
            seen |= each.suites
    return found


@frozen(kw_only=True)
class TestPlace:
    """A test on a builder.

    Args:
        builder: The builder.
        branch: The branch that was looked at.
        verdict: What its runs say.
        first_bad: The build in which it began to fail, where it fails now.
    """

    builder: Builder
    branch: str | None
    verdict: Verdict
    first_bad: Build | None


@frozen(kw_only=True)
class TestPlaces:
    """A test on all builders.

    Args:
        test: The test.
        count: On how many builders.
        places: These builders, as far as they were asked for.
    """

    test: NamedTest
    count: int
    places: tuple[TestPlace, ...]


@frozen(kw_only=True)
class TestRate:
    """How often a test failed on a builder.

    Args:
        test: The test.
        builder: The builder.
        branch: The branch that was looked at.
        failed: How many times it failed.
        ran: How many times it ran.
    """

    test: NamedTest
    builder: Builder
    branch: str | None
    failed: int
    ran: int
