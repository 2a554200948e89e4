"""What the board remembers of why builds fail."""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import sqlalchemy as sa
from support.outboxes import result
from support.reasons import excerpts, failed_tests
from support.statuses import NOW, a_body, a_status, as_bytes
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.failures.lines import LINE, REASONS
from buildbot_http_status_push.board.model import Builder, Filter, Memory
from buildbot_http_status_push.board.store import writing_failures
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.tables import (
    CLUSTER_TABLES,
    INCIDENT_TABLES,
    TEST_TABLES,
    failures,
    signatures,
    signing,
    source_changes,
)
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import EXCEPTION, FAILURE, RETRY, SUCCESS

BROKEN = "E   assert 3 == 4"
OTHER = "E   NameError: name 'frobnicate' is not defined"
DAY = 86_400

KEPT = [
    each.name
    for each in (
        *(failures, signatures, signing, source_changes),
        *(*TEST_TABLES, *CLUSTER_TABLES, *INCIDENT_TABLES),
    )
]
"""What a store of schema version 2 lacks."""


class MemoryCase(SynchronousTestCase):
    """A store, asked for what it remembers."""

    def setUp(self) -> None:
        """Open an empty one."""
        self.url = file_url(self.mktemp())
        self.store = self.opened()

    def opened(self) -> Store:
        """Open the store."""
        clock = Clock()
        clock.advance(NOW)
        store = Store(clock, maybeDeferred, self.url)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        return store

    def put(self, number: int, *lines: str, results: int | None = None, **more: Any) -> None:
        """Keep a build, a bad one where it has lines."""
        ended = results if results is not None else FAILURE if lines else SUCCESS
        body = {**(excerpts(*lines) if lines else {}), "revision": f"r{number}", **more}
        result(self.store.put(a_status(number, ended, **body)))

    def builder(self, name: str = "linux") -> Builder:
        """Return a builder as pages show it."""
        [found] = [each for each in result(self.store.builders(Filter())) if each.name == name]
        return found

    def memory(self, name: str = "linux") -> Memory:
        """Return what is remembered of why a builder is red."""
        memory = self.builder(name).memory
        assert memory is not None
        return memory


class StatesTest(MemoryCase):
    """New, ongoing, recurring, and another reason than before."""

    def test_new(self) -> None:
        """A line is new where the builder was good before, and it was never seen."""
        self.put(1)
        self.put(2, BROKEN)
        memory = self.memory()
        self.assertEqual((memory.state, memory.in_a_row, memory.earlier), ("new", 1, 0))
        [reason] = memory.reasons
        self.assertEqual((reason.step, reason.text, reason.rule), ("test", BROKEN, "pytest"))

    def test_never_good(self) -> None:
        """Nothing is new on a builder that was never good: memory does not reach back."""
        self.put(1, BROKEN)
        self.assertEqual(self.memory().state, "unknown")

    def test_no_lines(self) -> None:
        """A bad build without excerpts has no reasons, and is not called new."""
        self.put(1)
        self.put(2, results=FAILURE)
        self.assertEqual(self.memory(), Memory())

    def test_ongoing(self) -> None:
        """Builds that share a line are counted, those that lack lines in common are not."""
        self.put(1)
        self.put(2, OTHER)
        self.put(3, BROKEN)
        self.put(4, OTHER, BROKEN)
        memory = self.memory()
        self.assertEqual((memory.state, memory.in_a_row), ("ongoing", 2))

    def test_another_reason(self) -> None:
        """A builder that was red already and fails otherwise is red for another reason."""
        self.put(1)
        self.put(2, BROKEN)
        self.put(3, OTHER)
        memory = self.memory()
        self.assertEqual((memory.state, memory.in_a_row), ("new reason", 1))

    def test_lines_around(self) -> None:
        """Of a report of pytest the line that says what failed comes first, not those around it."""
        self.put(
            1,
            "F   [100%]",
            "=== FAILURES ===",
            "____ test_sum ____",
            "def test_sum():",
            "> assert a == b",
            BROKEN,
        )
        self.assertEqual([each.text for each in self.memory().reasons], [BROKEN])

    def test_changing_numbers(self) -> None:
        """Lines are the same but for what changes from run to run."""
        self.put(1)
        self.put(2, "E   ConnectionError: 127.0.0.1:51234 took 3.21 s at 0x7f3a5c00")
        self.put(3, "E   ConnectionError: 127.0.0.1:42345 took 12.9 s at 0x7fee1b80")
        self.assertEqual(self.memory().state, "ongoing")

    def test_tests(self) -> None:
        """A failed test is a reason, as a line is."""
        self.put(1)
        self.put(2, results=FAILURE, **failed_tests("test_login", "test_logout"))
        self.put(3, results=FAILURE, **failed_tests("test_logout"))
        memory = self.memory()
        self.assertEqual(memory.state, "ongoing")
        [reason] = memory.reasons
        self.assertEqual((reason.rule, reason.step, reason.text), ("test", "unit", "test_logout"))

    def test_an_exception(self) -> None:
        """A build that ends in an exception has its reasons on its own page."""
        self.put(1, "process killed by signal 9", results=EXCEPTION)
        [build] = result(self.store.builds(Filter()))
        detail = result(self.store.build(build.id))
        assert detail is not None
        assert detail.memory is not None
        self.assertEqual(
            [each.text for each in detail.memory.reasons], ["process killed by signal 9"]
        )


class BreakagesTest(MemoryCase):
    """Earlier breakages, other builders, older code."""

    def test_breakages_not_builds(self) -> None:
        """Builds between two good ones are one breakage, on however many builders."""
        for name in ("linux", "mac", "windows"):
            self.put(1, builder=name, buildid=name_id(name, 1))
            self.put(2, BROKEN, builder=name, buildid=name_id(name, 2))
            self.put(3, BROKEN, builder=name, buildid=name_id(name, 3))
            self.put(4, builder=name, buildid=name_id(name, 4))
        self.put(5, BROKEN, buildid=name_id("linux", 5))
        memory = self.memory()
        self.assertEqual((memory.state, memory.earlier), ("recurring", 1))
        self.assertEqual(memory.earlier_since, NOW + 200)

    def test_each_time(self) -> None:
        """A builder that breaks again after it was good breaks once more."""
        for number in range(1, 8):
            self.put(number, *([] if number % 2 else [BROKEN]))
        self.put(8, BROKEN)
        self.assertEqual(self.memory().earlier, 3)

    def test_other_builders(self) -> None:
        """Builders that fail alike at the same time are one breakage, not earlier ones."""
        for name in ("linux", "mac", "windows"):
            self.put(1, builder=name, buildid=name_id(name, 1))
            self.put(2, BROKEN, builder=name, buildid=name_id(name, 2))
        memory = self.memory("mac")
        self.assertEqual((memory.builders, memory.earlier, memory.state), (2, 0, "new"))

    def test_older_code(self) -> None:
        """A revision that failed alike on another builder, and is older, is named."""
        for name, failing in (("mac", 10), ("linux", 12)):
            for change in (9, failing):
                self.put(
                    change,
                    *([BROKEN] if change == failing else []),
                    builder=name,
                    buildid=name_id(name, change),
                    changes=[{"changeid": change, "author": "Ada", "comments": "x"}],
                )
        self.assertEqual(self.memory("linux").before, "r10")
        self.assertIsNone(self.memory("mac").before)

    def test_patches(self) -> None:
        """Builds of patches and pull requests are no breakages of the branch."""
        pull = {"branch": "refs/pull/3/merge", "revision": "p", "project": "", "codebase": ""}
        self.put(1)
        self.put(2, BROKEN, buildset={"sourcestamps": [pull]})
        self.put(3, BROKEN)
        memory = self.memory()
        self.assertEqual((memory.state, memory.earlier), ("new", 0))

    def test_order(self) -> None:
        """What is remembered does not depend on the order in which statuses arrive."""
        story = [(number, number % 4 in (2, 3)) for number in range(1, 16)]
        self.put_all(story)
        expected = self.memory()
        self.assertEqual((expected.in_a_row, expected.earlier), (2, 3))
        for seed in range(5):
            shuffled = random.Random(seed).sample(story, len(story))  # noqa: S311  any order will do
            self.url = file_url(self.mktemp())
            self.store = self.opened()
            self.put_all(shuffled)
            self.assertEqual(self.memory(), expected, seed)

    def put_all(self, story: list[tuple[int, bool]]) -> None:
        """Keep builds, some of them bad, pairwise of one revision."""
        for number, is_bad in story:
            self.put(number, *([BROKEN] if is_bad else []), revision=f"r{number // 2}")


class CommonTest(MemoryCase):
    """Lines that come with whatever fails."""

    def test_common(self) -> None:
        """A line that follows many others does not make a new one look seen before."""
        follows = "make: *** [check] Error 1"
        for number, first in enumerate(("alpha is bad", "beta is bad", "gamma is bad")):
            self.put(2 * number + 1)
            self.put(2 * number + 2, first, follows)
        self.put(7)
        self.put(8, "delta is bad", follows)
        memory = self.memory()
        self.assertEqual((memory.state, memory.earlier), ("new", 0))
        self.assertEqual(len(memory.common), 1)

    def test_alone(self) -> None:
        """A line that stands alone says something, however often others were before it."""
        for number, lines in enumerate((["a b c", OTHER], ["d e f", OTHER], [OTHER])):
            self.put(2 * number + 1)
            self.put(2 * number + 2, *lines)
        self.assertEqual(self.memory().earlier, 2)


class FlakyTest(MemoryCase):
    """What passed when it was built again with nothing changed."""

    def test_rate(self) -> None:
        """The rate counts builds that failed so and whose code was built again."""
        for number, is_bad in enumerate([0, 1, 0, 1, 1, 0, 1], 1):
            self.put(number, *([BROKEN] if is_bad else []), revision="same")
        memory = self.memory()
        self.assertEqual((memory.passed, memory.rebuilt, memory.is_flaky), (2, 3, True))
        self.assertTrue(self.builder().flaky)

    def test_new_code(self) -> None:
        """A build that passes with other code says nothing of the line."""
        self.put(1)
        self.put(2, BROKEN)
        self.put(3)
        self.put(4, BROKEN)
        memory = self.memory()
        self.assertEqual((memory.passed, memory.rebuilt), (0, 0))
        self.assertFalse(self.builder().flaky)

    def test_second_codebase(self) -> None:
        """A change in a second codebase is a change."""

        def of(*revisions: str) -> dict[str, Any]:
            stamps = [
                {"branch": "main", "revision": each, "project": "", "codebase": name}
                for name, each in zip(("app", "lib"), revisions, strict=True)
            ]
            return {"buildset": {"sourcestamps": stamps}}

        self.put(1, BROKEN, **of("a", "1"))
        self.put(2, **of("a", "2"))
        self.put(3, BROKEN, **of("a", "3"))
        self.assertFalse(self.builder().flaky)
        self.put(4, **of("a", "3"))
        self.put(5, BROKEN, **of("a", "5"))
        self.assertTrue(self.builder().flaky)

    def test_retry_between(self) -> None:
        """A retry between says that the worker was at fault, not the line."""
        self.put(1, BROKEN, revision="same")
        self.put(2, results=RETRY, revision="same")
        self.put(3, revision="same")
        self.put(4, BROKEN)
        self.assertFalse(self.memory().is_flaky)

    def test_a_real_error(self) -> None:
        """A builder that is red for a line that never passed by itself is not flaky."""
        self.put(1, BROKEN, revision="same")
        self.put(2, revision="same")
        self.put(3, OTHER)
        self.assertFalse(self.builder().flaky)

    def test_among_others(self) -> None:
        """A flaky line beside one that is not excuses nothing."""
        self.put(1, BROKEN, revision="same")
        self.put(2, revision="same")
        self.put(3, BROKEN, OTHER)
        self.assertFalse(self.memory().is_flaky)

    def test_failed_otherwise(self) -> None:
        """A rebuild that fails otherwise hides the line, and does not count."""
        self.put(1, BROKEN, revision="same")
        self.put(2, OTHER, revision="same")
        self.put(3, BROKEN)
        self.assertEqual(self.memory().rebuilt, 0)


class KeepingTest(MemoryCase):
    """Bounds, pruning, upgrades."""

    def test_bounds(self) -> None:
        """Of hostile excerpts a bounded part is kept, and the page says that lines are missing."""
        lines = [f"line{'x' * number}" for number in range(60)]
        body = excerpts(*lines, "y" * 100_000)
        body["excerpts"] *= 100
        self.put(1, "x", **{**body, "tests": {"failures": [{"name": 7}, 3, {"name": "z" * 9999}]}})
        memory = self.memory()
        self.assertEqual(len(memory.reasons), REASONS + 1)
        self.assertTrue(memory.is_cut)
        self.assertLessEqual(max(len(each.text) for each in memory.reasons), LINE)

    def test_nonsense(self) -> None:
        """Excerpts that are none are no fault."""
        for number, bad in enumerate([7, [7], [{}], [{"lines": 3, "matched": [True, -1, 2**70]}]]):
            body = a_body(number, FAILURE, excerpts=bad, tests=bad)
            status = read(as_bytes(body))
            assert status is not None
            self.assertEqual(status.failed, ())

    def test_replaced(self) -> None:
        """A later status of a build replaces its reasons."""
        self.put(1)
        self.put(2, BROKEN)
        self.put(2, OTHER, complete_at=NOW + 999)
        self.assertEqual([each.text for each in self.memory().reasons], [OTHER])
        self.put(2, complete_at=NOW + 1999)
        self.assertIsNone(self.builder().memory)

    def test_pruned(self) -> None:
        """Reasons go with their builds."""
        self.put(1)
        self.put(2, BROKEN)
        for number in range(3, 70):
            self.put(number)
        result(Deferred.fromCoroutine(self.store.prune(NOW + DAY)))
        self.put(70, BROKEN)
        self.assertEqual(self.memory().earlier, 0)

    def test_signed_anew(self) -> None:
        """What is kept is signed again where the rules are newer than it."""
        self.put(1)
        self.put(2, "E   assert x == 11")
        self.put(3)
        self.put(4, "E   assert x == 12")
        self.assertEqual(self.memory().earlier, 0)
        result(Deferred.fromCoroutine(self.store.close()))
        with (
            mock.patch.object(writing_failures, "SIGNATURE_VERSION", 99),
            mock.patch(
                "buildbot_http_status_push.board.failures.lines.signature",
                lambda *parts: "".join(each for each in "/".join(parts) if not each.isdigit()),
            ),
        ):
            self.store = self.opened()
            self.assertEqual(self.memory().earlier, 1)

    def test_version_2(self) -> None:
        """A store of schema version 2 gets the tables, and remembers from then on."""
        result(Deferred.fromCoroutine(self.store.close()))
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for name in KEPT:
                connection.exec_driver_sql(f"DROP TABLE {name}")
            connection.exec_driver_sql("UPDATE board_schema SET version = 2")
        engine.dispose()
        self.store = self.opened()
        self.put(1)
        self.put(2, BROKEN)
        self.assertEqual(self.memory().state, "new")

    def test_body_kept_before(self) -> None:
        """Test results in bodies of a store of version 2 are remembered after the upgrade."""
        self.put(1)
        self.put(2, results=FAILURE, **failed_tests("test_login"))
        result(Deferred.fromCoroutine(self.store.close()))
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            for name in KEPT:
                connection.exec_driver_sql(f"DROP TABLE {name}")
            connection.exec_driver_sql("UPDATE board_schema SET version = 2")
        engine.dispose()
        self.store = self.opened()
        self.assertEqual(self.memory().state, "new")


def name_id(name: str, number: int) -> int:
    """Return a build's id in the master's database."""
    return 10_000 * (1 + ("linux", "mac", "windows").index(name)) + number
