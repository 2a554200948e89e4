"""What is known of a failing test, in words that claim no more than that. Pure."""

from __future__ import annotations

from buildbot_http_status_push.board.test_results.history import Verdict


def words_of(verdict: Verdict) -> str:
    """Say since when a test fails on a builder, and whether it is flaky.

    Returns:
        Such as ``failed here for the first time``, ``fails since #1431``, ``flaky: 7 of 60, passed
        when repeated`` or ``fails 9 of 9 since #104, was 1 of 10``; empty where nothing is known.
    """
    last = verdict.last
    is_late = verdict.fails and last is not verdict.window.runs[-1]
    return _words(verdict) + (f"; not run since #{last.number}" if last and is_late else "")


def _words(verdict: Verdict) -> str:
    if verdict.is_flaky:
        return f"flaky: {verdict.failed} of {verdict.ran}, passed when repeated"
    first = verdict.first_bad
    if first is None:
        return "passed when it last ran" if verdict.ran else ""
    if verdict.earlier_failed and verdict.is_broken:
        row, earlier = verdict.in_a_row, f"{verdict.earlier_failed} of {verdict.earlier_ran}"
        return f"fails {row} of {row} since #{first.number}, was {earlier}"
    if verdict.in_a_row > 1:
        return f"fails since #{first.number}" + ("" if verdict.passed_before else " at least")
    if not verdict.passed_before:
        return "no earlier result here"
    if verdict.failed_before:
        return f"failed again, {verdict.failed} of {verdict.ran}"
    return "failed here for the first time"
