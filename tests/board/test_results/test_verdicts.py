"""What a test's runs say of it, compared with simple loops over the runs."""

from __future__ import annotations

from itertools import takewhile

from attrs import evolve, frozen
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.test_results.history import CHANCE, Run, Verdict, Window
from buildbot_http_status_push.board.test_results.results import suite_number


@frozen
class Drawn:
    """What a run was to a test.

    Args:
        has_failed: Whether the test is among those that failed.
        has_run: Whether its suite ran.
        is_whole: Whether all that failed are known.
        is_repeated: Whether the next run was of the same code.
    """

    has_failed: bool
    has_run: bool
    is_whole: bool
    is_repeated: bool

    @property
    def outcome(self) -> bool | None:
        """Whether the test failed, None where that is not known."""
        if self.has_failed:
            return True
        return False if self.has_run and self.is_whole else None


RUNS = st.lists(st.builds(Drawn, *[st.booleans()] * 4), max_size=70)
FLAKED = Drawn(has_failed=True, has_run=True, is_whole=True, is_repeated=True)
PASSED = evolve(FLAKED, has_failed=False)


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
    @example([PASSED] * 9 + [FLAKED] + [PASSED] * 9 + [FLAKED] * 9, False).via("flaky, then broken")
    def test_rules(self, drawn: list[Drawn], failed_earlier: bool) -> None:
        """A verdict is what a loop over the runs computes."""
        window = Window(
            [
                a_run(
                    number,
                    *(["unit"] if each.has_run else ["web"]),
                    is_whole=each.is_whole,
                    again=10 * (number + 1) if each.is_repeated else None,
                )
                for number, each in enumerate(drawn)
            ]
        )
        failed_in = sum(window.bits[10 * n] for n, each in enumerate(drawn) if each.has_failed)
        ended_in = window.whole(["unit"])["unit"] | failed_in
        verdict = Verdict(window, ended_in, failed_in, failed_earlier)
        outcomes = [each.outcome for each in drawn]
        known = [n for n, each in enumerate(outcomes) if each is not None]
        row = [*takewhile(lambda n: outcomes[n], reversed(known))]
        failed, in_a_row = outcomes.count(True), len(row)
        self.assertEqual([each for _, each in verdict.outcomes], outcomes)
        self.assertEqual((verdict.failed, verdict.ran), (failed, len(known)))
        self.assertEqual((verdict.in_a_row, verdict.fails), (in_a_row, bool(row)))
        self.assertEqual(verdict.first_bad, window.runs[row[-1]] if row else None)
        self.assertEqual(verdict.last, window.runs[known[-1]] if known else None)
        self.assertEqual(verdict.passed_before, False in outcomes)
        self.assertEqual(verdict.failed_before, failed_earlier or failed > in_a_row)
        evidence = [
            (n, n + 1)
            for n, each in enumerate(drawn[:-1])
            if each.has_failed and each.is_repeated and outcomes[n + 1] is False
        ]
        self.assertEqual([(a.number, b.number) for a, b in verdict.evidence], evidence)
        rate = (failed - in_a_row + 1) / (len(known) - in_a_row + 2)
        is_flaky = bool(evidence) and not (row and rate**in_a_row < CHANCE)
        self.assertEqual(verdict.is_flaky, is_flaky)
        self.assertEqual(verdict.is_new, in_a_row == 1 and False in outcomes and not is_flaky)

    def test_suites(self) -> None:
        """A run with all its failures says of each test of the suites that it ran how it ended."""
        window = Window(
            [a_run(0, "unit", "web"), a_run(1, "web"), a_run(2, "unit", is_whole=False)]
        )
        self.assertEqual(
            window.whole(["unit", "web", "docs"]), {"unit": 0b001, "web": 0b011, "docs": 0}
        )
