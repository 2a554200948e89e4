"""A build's test results as its body has them, bounded.

Pure: takes what JSON gives and trusts none of it. Must not know what is kept of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from operator import add
from typing import Any

from attrs import astuple, frozen

from buildbot_http_status_push.board.changes import MOST, NAME, objects, text

MESSAGE = 2100
"""Characters of a message that are shown."""
SUITES = 600
"""How many suites of a build are kept."""
FAILURES = 500
"""How many failed tests of a build are kept."""
PROBLEMS = 20
"""How many problems of a build's reports are shown."""
UNNAMED = "(without a name)"
KINDS = ("failure", "error")


@frozen
class Totals:
    """How many tests ended how.

    Args:
        passed: How many passed.
        failed: How many failed.
        errors: How many broke otherwise.
        skipped: How many did not run.
        seconds: How long all of them took.
    """

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(*map(add, astuple(self), astuple(other)))

    @property
    def bad(self) -> int:
        """How many failed or broke otherwise."""
        return self.failed + self.errors

    @property
    def ran(self) -> int:
        """How many ran."""
        return self.passed + self.bad


@frozen(order=True)
class NamedTest:
    """What identifies a test on all builders.

    Args:
        suite: Its suite, empty where it has none.
        name: Its name within the suite.
    """

    suite: str
    name: str

    @property
    def digest(self) -> str:
        """The key by which tests are told apart."""
        return hashlib.sha256(json.dumps([self.suite, self.name]).encode()).hexdigest()[:32]


@frozen(kw_only=True)
class FailedTest:
    """A test that failed in a build.

    Args:
        test: Its name.
        kind: ``failure`` for a failed assertion, else ``error``; with its file and the line in it
            where they are known, such as ``failure in tests/test_login.py:12``.
        message: What it said.
    """

    test: NamedTest
    kind: str
    message: str


@frozen(kw_only=True)
class BuildTests:
    """The test results of a build.

    Args:
        totals: Of all tests.
        suites: Of each suite's tests; suites of one name in several logs are one.
        failures: The tests that failed, each once.
        omitted: How many more failed.
        problems: What was wrong with the reports.
    """

    totals: Totals
    suites: Mapping[str, Totals]
    failures: tuple[FailedTest, ...]
    omitted: int
    problems: tuple[str, ...]

    @property
    def ran_suites(self) -> frozenset[str]:
        """The suites of which at least one test ran."""
        failed = frozenset(each.test.suite for each in self.failures)
        return failed | {name for name, totals in self.suites.items() if totals.ran}


def suite_number(name: str) -> int:
    """Return a number that stands for a suite: the same one for its name everywhere."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def results_of(body: Mapping[str, Any]) -> BuildTests | None:
    """Return a build's test results.

    Args:
        body: A status's JSON; ``tests`` as the reporter's ``want_tests`` sends it.

    Returns:
        The results, None where none were sent.
    """
    tests = body.get("tests")
    if not isinstance(tests, dict):
        return None
    failures: dict[NamedTest, FailedTest] = {}
    left_out = 0
    for each in objects(tests.get("failures")):
        failed = _failed_test(each)
        if failed.test in failures:
            continue
        if len(failures) < FAILURES:
            failures[failed.test] = failed
        else:
            left_out += 1
    return BuildTests(
        totals=_totals(tests.get("totals")),
        suites=_suites(tests.get("suites")),
        failures=tuple(failures.values()),
        omitted=_count(tests.get("omitted")) + left_out,
        problems=tuple(_problems(tests.get("problems"))),
    )


def _suites(value: object) -> dict[str, Totals]:
    found: dict[str, Totals] = {}
    for each in objects(value):
        name = text(each.get("name"), NAME) or ""
        if name not in found and len(found) >= SUITES:
            break
        totals = _totals(each)
        found[name] = found[name] + totals if name in found else totals
    return found


def _totals(value: object) -> Totals:
    given = value if isinstance(value, dict) else {}
    return Totals(
        passed=_count(given.get("passed")),
        failed=_count(given.get("failed")),
        errors=_count(given.get("errors")),
        skipped=_count(given.get("skipped")),
        seconds=_seconds(given.get("seconds")),
    )


def _failed_test(value: Mapping[str, Any]) -> FailedTest:
    name = (text(value.get("name")) or "").strip()[:NAME]
    return FailedTest(
        test=NamedTest(text(value.get("suite"), NAME) or "", name or UNNAMED),
        kind=_kind(value),
        message=text(value.get("message"), MESSAGE) or "",
    )


def _kind(value: Mapping[str, Any]) -> str:
    kind, file, line = value.get("kind"), text(value.get("file"), NAME), _count(value.get("line"))
    place = f" in {file}" + (f":{line}" if line else "") if file else ""
    return (kind if kind in KINDS else KINDS[0]) + place


def _problems(value: object) -> Iterator[str]:
    given = value if isinstance(value, list) else []
    for each in given[:PROBLEMS]:
        if isinstance(each, str) and each:
            yield each[:NAME]


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        return 0
    return value if 0 <= value < MOST else 0


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < MOST:
        return 0.0
    return float(value)
