"""What a test's runs say of it: arithmetic on sets of runs, against rules that go one by one."""

from __future__ import annotations

from itertools import takewhile

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.test_results.history import Run, Verdict, Window
from buildbot_http_status_push.board.test_results.results import suite_number

RUNS = st.lists(st.tuples(st.sampled_from([True, False, None]), st.booleans()), max_size=70)
"""Whether the test failed in each run, None where that is not known, and whether the next run was
of the same code."""


def a_run(number: int, *suites: str, is_whole: bool = True, again: int | None = None) -> Run:
    """Return a run; a build's number on the board is ten times its own."""
    return Run(
        build=10 * number,
        number=number,
        at=number,
        suites=frozenset(map(suite_number, suites)),
        is_whole=is_whole,
        again=again,
    )


class VerdictTest(SynchronousTestCase):
    """The verdict on one test."""

    @given(RUNS, st.booleans())
    def test_rules(self, drawn: list[tuple[bool | None, bool]], failed_earlier: bool) -> None:
        """A verdict says of all runs what going through them says."""
        failed = [has_failed for has_failed, _ in drawn]
        window = Window(
            [
                a_run(n, "unit", is_whole=each is False, again=10 * (n + 1) if again else None)
                for n, (each, again) in enumerate(drawn)
            ]
        )
        failed_in = sum(window.bits[10 * n] for n, each in enumerate(failed) if each)
        ended_in = window.whole(["unit"])["unit"] | failed_in
        verdict = Verdict(window, ended_in, failed_in, failed_earlier)
        known = [n for n, each in enumerate(failed) if each is not None]
        row = [*takewhile(lambda n: failed[n], reversed(known))]
        self.assertEqual([each for _, each in verdict.outcomes], failed)
        self.assertEqual((verdict.failed, verdict.ran), (failed.count(True), len(known)))
        self.assertEqual((verdict.in_a_row, verdict.fails), (len(row), bool(row)))
        self.assertEqual(verdict.first_bad, window.runs[row[-1]] if row else None)
        self.assertEqual(verdict.last, window.runs[known[-1]] if known else None)
        self.assertEqual(verdict.passed_before, False in failed)
        self.assertEqual(verdict.failed_before, failed_earlier or failed.count(True) > len(row))
        self.assertEqual(
            [(bad.number, good.number) for bad, good in verdict.evidence],
            [
                (n, n + 1)
                for n, (each, again) in enumerate(drawn[:-1])
                if each and again and failed[n + 1] is False
            ],
        )

    def test_suites(self) -> None:
        """A run with all its failures says of each test of the suites that it ran how it ended."""
        window = Window(
            [a_run(0, "unit", "web"), a_run(1, "web"), a_run(2, "unit", is_whole=False)]
        )
        self.assertEqual(
            window.whole(["unit", "web", "docs"]), {"unit": 0b001, "web": 0b011, "docs": 0}
        )
