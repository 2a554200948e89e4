"""What a test's runs on a builder and branch say of it. Pure.

A test passed in a build whose suite ran and whose failed tests are all known, if it is not among
them. Knows no database and no template.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

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


@frozen
class Window:
    """The builds with test results that are looked at, on one builder and branch.

    Sets of them are bitmasks, with bit 0 for the oldest build: a page judges hundreds of tests, and
    bit operations are cheap.

    Args:
        runs: The builds, oldest first.

    Attributes:
        bits: The bit of each build, by its number on the board.
        repeated: Pairs of indexes into ``runs``: a build, and the next one, of the same code.
    """

    runs: Sequence[Run] = ()
    bits: Mapping[int, int] = field(init=False, eq=False, repr=False)
    repeated: Sequence[tuple[int, int]] = field(init=False, eq=False, repr=False)

    @bits.default
    def _bits(self) -> dict[int, int]:
        return {run.build: 1 << place for place, run in enumerate(self.runs)}

    @repeated.default
    def _repeated(self) -> list[tuple[int, int]]:
        places = {run.build: place for place, run in enumerate(self.runs)}
        return [
            (place, places[run.again]) for place, run in enumerate(self.runs) if run.again in places
        ]

    def whole(self, suites: Iterable[str]) -> dict[str, int]:
        """Return for each suite the builds that say of all of its tests how they ended."""
        # Most runs are of the same suites.
        alike: dict[frozenset[int], int] = defaultdict(int)
        for run in self.runs:
            if run.is_whole:
                alike[run.suites] |= self.bits[run.build]
        numbers = {suite: suite_number(suite) for suite in suites}
        return {
            suite: sum(bits for ran, bits in alike.items() if number in ran)
            for suite, number in numbers.items()
        }


@frozen
class Verdict:
    """What the latest runs of a test say of it, on one builder and branch.

    Args:
        window: The runs.
        ended_in: Those in which it is known how it ended, as a bitmask.
        failed_in: Those of them in which it failed, as a bitmask.
        failed_earlier: Whether it failed in an older build than these, too.
    """

    window: Window = field(factory=Window)
    ended_in: int = 0
    failed_in: int = 0
    failed_earlier: bool = False

    @property
    def outcomes(self) -> list[tuple[Run, bool | None]]:
        """Whether it failed in each run, None where it did not run or that is not known."""
        return [
            (run, bool(self.failed_in >> place & 1) if self.ended_in >> place & 1 else None)
            for place, run in enumerate(self.window.runs)
        ]

    @property
    def failed(self) -> int:
        """How many times it failed."""
        return self.failed_in.bit_count()

    @property
    def ran(self) -> int:
        """How many times it ran."""
        return self.ended_in.bit_count()

    @property
    def _passed_in(self) -> int:
        return self.ended_in & ~self.failed_in

    @property
    def _last_failures(self) -> int:
        last_passed = self._passed_in.bit_length()
        return self.failed_in >> last_passed << last_passed

    @property
    def in_a_row(self) -> int:
        """How many times it has failed since it last passed; 0 where it passed last."""
        return self._last_failures.bit_count()

    @property
    def first_bad(self) -> Run | None:
        """The first of these failures."""
        failures = self._last_failures
        lowest = failures & -failures
        return self.window.runs[lowest.bit_length() - 1] if failures else None

    @property
    def last(self) -> Run | None:
        """The last run in which it is known how it ended."""
        return self.window.runs[self.ended_in.bit_length() - 1] if self.ended_in else None

    @property
    def fails(self) -> bool:
        """Whether it failed when it last ran."""
        return self.in_a_row > 0

    @property
    def passed_before(self) -> bool:
        """Whether it is known to have passed before its last failures in a row."""
        return self._passed_in > 0

    @property
    def earlier_failed(self) -> int:
        """How many times it failed before its last failures in a row."""
        return self.failed - self.in_a_row

    @property
    def earlier_ran(self) -> int:
        """How many times it ran before its last failures in a row."""
        return self.ran - self.in_a_row

    @property
    def failed_before(self) -> bool:
        """Whether it failed before these, as far as builds are kept."""
        return self.failed_earlier or self.earlier_failed > 0

    @property
    def evidence(self) -> list[tuple[Run, Run]]:
        """Failures, each with the run of the same code in which it passed."""
        return [
            (self.window.runs[failure], self.window.runs[repetition])
            for failure, repetition in self.window.repeated
            if self.failed_in >> failure & 1 and self._passed_in >> repetition & 1
        ]

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
