"""How times, durations, results and people are told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.builders import build
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.pages import wording
from buildbot_http_status_push.results import FAILURE, RESULTS, SUCCESS

UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}


class SpanTest(SynchronousTestCase):
    """How long something takes."""

    def test_words(self) -> None:
        """It is told in its two largest units, and in one where the second tells nothing."""
        told = {
            -3: "0 s", 0.9: "0 s", 59: "59 s", 60: "1 min", 200: "3 min 20 s", 599: "9 min 59 s",
            600: "10 min", 3599: "59 min", 3600: "1 h", 7500: "2 h 5 min", 86_399: "23 h 59 min",
            86_400: "1 d", 360_000: "4 d 4 h",
        }  # fmt: skip
        self.assertEqual({seconds: wording.span(seconds) for seconds in told}, told)

    @given(st.integers(0, 10**9))
    def test_truth(self, seconds: int) -> None:
        """What is told is never more than it is, and less by the smallest unit told at most."""
        words = wording.span(seconds).split()
        parts = [int(number) * UNITS[unit] for number, unit in zip(*[iter(words)] * 2, strict=True)]
        self.assertLessEqual(sum(parts), seconds)
        self.assertLessEqual(seconds - sum(parts), max(seconds // 9, 0))

    def test_ago(self) -> None:
        """How long ago something was is told in one unit; a time to come is now."""
        told = {
            -60: "just now", 4: "just now", 5: "5 s ago", 59: "59 s ago", 60: "1 min ago",
            3599: "59 min ago", 3600: "1 h ago", 86_400: "1 d ago", 10**7: "115 d ago",
        }  # fmt: skip
        self.assertEqual({seconds: wording.ago(seconds) for seconds in told}, told)


class TimeTest(SynchronousTestCase):
    """Moments."""

    def test_exact(self) -> None:
        """They are told in UTC, for people and for machines."""
        self.assertEqual(wording.utc(1_769_853_723.9), "2026-01-31 10:02:03 UTC")
        self.assertEqual(wording.iso(1_769_853_723.9), "2026-01-31T10:02:03Z")


class DueTest(SynchronousTestCase):
    """When a build should end."""

    def told(self, elapsed: float, usual: float = 600) -> str:
        """Return what is told of a build that has run for a while."""
        due = wording.due(build(10, None), usual)
        assert due is not None
        return due.remaining(600 + elapsed)

    def test_words(self) -> None:
        """What is left is told in minutes, then that it is due, and then how late it is."""
        told = {
            0: "about 10 min left", 359: "about 4 min left", 540: "about 1 min left",
            541: "under 1 min left", 600: "due now", 749: "due now", 750: "overdue by 2 min 30 s",
        }  # fmt: skip
        self.assertEqual({elapsed: self.told(elapsed) for elapsed in told}, told)

    def test_short_builds(self) -> None:
        """A minute more than usual is never strange."""
        self.assertEqual(self.told(62, usual=3), "due now")
        self.assertEqual(self.told(63, usual=3), "overdue by 1 min")

    def test_unknown(self) -> None:
        """Nothing is told where nothing is known, and of a build that has ended."""
        self.assertIsNone(wording.due(build(1, None), None))
        self.assertIsNone(wording.due(build(1, SUCCESS), 600))


class WordTest(SynchronousTestCase):
    """Results, revisions, people."""

    def test_results(self) -> None:
        """Each result has a word and a shape of its own; one that is not known says so."""
        builds = [build(1, code) for code in range(len(RESULTS))]
        self.assertEqual([wording.symbol(each) for each in builds], list(RESULTS))
        self.assertEqual([wording.word(each) for each in builds], list(RESULTS))
        self.assertEqual(wording.symbol(build(1, 99)), "unknown")
        self.assertEqual(wording.word(build(1, None)), "running")

    def test_revisions(self) -> None:
        """Hashes are shortened; what is no hash is left as it is."""
        self.assertEqual(wording.short_revision("0123456789abcdef0123"), "0123456789")
        self.assertEqual(
            wording.short_revision("release-2026-01-31-final"), "release-2026-01-31-final"
        )
        self.assertEqual(wording.short_revision("r1234"), "r1234")

    def test_people(self) -> None:
        """An author is told by name, and by address where that is all there is."""
        self.assertEqual(wording.person("Ada Novak <ada@example.org>"), "Ada Novak")
        self.assertEqual(wording.person("<ada@example.org>"), "<ada@example.org>")
        self.assertEqual(wording.person("ada"), "ada")

    def test_bad_is_told(self) -> None:
        """A failure is told as one."""
        self.assertEqual(wording.word(build(1, FAILURE)), "failure")
