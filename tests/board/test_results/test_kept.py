"""What is kept of builds' tests and read again, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from support.commands import temporary_folder
from support.outboxes import result
from support.postgres import server
from support.results import results_key
from support.statuses import NOW, a_status
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Build, Builder, FailingTests, Filter
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.tables import TEST_TABLES
from buildbot_http_status_push.board.test_results.query import QueryOfTests
from buildbot_http_status_push.board.test_results.results import NamedTest
from buildbot_http_status_push.board.test_results.words import words_of
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import FAILURE, SUCCESS

Case = SynchronousTestCase if TYPE_CHECKING else object
LATER = NOW + 10**6


class Contract(Case):
    """What holds for every store."""

    def setUp(self) -> None:
        """Open an empty one."""
        self.url = self.new_url()
        clock = Clock()
        clock.advance(NOW)
        self.store = Store(clock, maybeDeferred, self.url)
        result(Deferred.fromCoroutine(self.store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(self.store.close())))

    def new_url(self) -> str:
        """Return where an empty store may be."""
        raise NotImplementedError

    def put(self, number: int, *failed: str, code: str = "", **more: Any) -> None:
        """Keep a build with failed tests, of a revision of its own."""
        key = more.pop("key", None) or results_key(failed)
        results = FAILURE if key["failures"] else SUCCESS
        revision = code or f"r{number}"
        result(self.store.put(a_status(number, results, tests=key, revision=revision, **more)))

    def builder(self) -> Builder:
        """Return the builder."""
        [found] = result(self.store.builders(Filter()))
        return found

    def build(self, number: int) -> Build:
        """Return a build."""
        [found] = [each for each in result(self.store.builds(Filter())) if each.number == number]
        return found

    def words(self, number: int, name: str) -> str:
        """Return what is said of a test that failed in a build."""
        test = NamedTest("unit", name)
        _, found = result(self.store.build_and_tests(self.build(number).id))
        return words_of(found[test]) if found else ""

    def failing(self, text: str = "", **chosen: Any) -> dict[str, list[str]]:
        """Return what is said of the tests that fail now."""
        found = result(self.store.failing_tests(Filter(**chosen), QueryOfTests(name=text), 10))
        return {
            each.test.name: [f"{at.builder.name}: {words_of(at.verdict)}" for at in each.places]
            for each in found
        }

    def rows(self) -> list[int]:
        """Return how many rows each table has."""
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                count = sa.func.count()
                statements = [sa.select(count).select_from(each) for each in TEST_TABLES]
                return [connection.execute(each).scalar_one() for each in statements]
        finally:
            engine.dispose()

    def test_first_time(self) -> None:
        """A test that passed before has failed for the first time, then fails since that build."""
        self.put(1)
        self.put(2, "a")
        self.put(3, "a", "b")
        self.assertEqual(self.words(2, "a"), "failed here for the first time")
        self.assertEqual(self.words(3, "a"), "fails since #2")
        self.assertEqual(
            self.builder().tests,
            FailingTests(build=self.build(3).id, count=2, new=1, flaky=0, names=("b", "a")),
        )

    def test_no_earlier_result(self) -> None:
        """Nothing is called new where no earlier result is known."""
        self.put(1, "a")
        self.assertEqual(self.words(1, "a"), "no earlier result here")
        self.put(2, "a")
        self.assertEqual(self.words(2, "a"), "fails since #1 at least")
        tests = self.builder().tests
        assert tests is not None
        self.assertEqual((tests.count, tests.new), (2 - 1, 0))

    def test_flaky(self) -> None:
        """A test that failed and passed with nothing changed is flaky, and its rate is told."""
        for number in range(1, 6):
            self.put(number)
        self.put(6, "a", code="same")
        self.put(7, code="same")
        self.put(8, "a")
        self.assertEqual(self.words(8, "a"), "flaky: 2 of 8, passed when repeated")
        tests = self.builder().tests
        assert tests is not None
        self.assertEqual((tests.new, tests.flaky), (0, 1))

    def test_passed_beside(self) -> None:
        """A test is flaky where it passed when repeated, though another failed then."""
        self.put(1)
        self.put(2, "a", code="same")
        self.put(3, "b", code="same")
        self.put(4, "a", "b")
        self.assertIn("flaky", self.words(4, "a"))
        self.assertEqual(self.words(4, "b"), "fails since #3")

    def test_broken_though_flaky(self) -> None:
        """A real break of a flaky test is not hidden by its being flaky."""
        for number in range(1, 10):
            self.put(number)
        self.put(10, "a", code="same")
        self.put(11, code="same")
        for number in range(12, 16):
            self.put(number, "a")
        self.assertEqual(self.words(15, "a"), "fails 4 of 4 since #12, was 1 of 11")

    def test_suite_did_not_run(self) -> None:
        """Where its suite did not run a test has not passed, and still fails."""
        told = "failed here for the first time"
        self.put(1, key=results_key([], {"unit": 3, "other": 3}))
        self.put(2, key=results_key(["other::a"], {"unit": 3, "other": 3}))
        self.put(3, key=results_key([], {"unit": 3}))
        self.assertEqual(self.failing(), {"a": [f"linux: {told}; not run since #2"]})
        self.put(4, key=results_key([], {"unit": 3, "other": 3}))
        self.assertEqual(self.failing(), {})

    def test_omitted(self) -> None:
        """Where failed tests were left out, no other one is said to have passed."""
        self.put(1, "a")
        self.put(2, key=results_key(["b"], omitted=600))
        self.put(3, "a")
        self.assertEqual(self.words(3, "a"), "fails since #1 at least")

    def test_out_of_order(self) -> None:
        """In whatever order builds come, the same is said of them."""
        self.put(3, "a", code="two")
        self.put(1)
        self.put(4, code="two")
        self.put(5, "a", code="three")
        self.put(2)
        self.assertEqual(self.words(5, "a"), "flaky: 2 of 5, passed when repeated")
        self.assertEqual(self.words(3, "a"), "failed here for the first time")

    def test_newest_first(self) -> None:
        """A repetition stays known when many older builds arrive after it, newest first."""
        self.put(40, "a", code="same")
        self.put(41, code="same")
        self.put(42, "a")
        for number in range(39, 10, -1):
            self.put(number)
        self.assertIn("passed when repeated", self.words(42, "a"))

    def test_builders(self) -> None:
        """A test that fails on several builders is one; filters and names choose."""
        for name in ("linux", "mac"):
            for number in (1, 2):
                buildid = 1000 * (name == "mac") + number
                failed = ("a", "b") if name == "mac" else ("a",)
                self.put(number, *failed[: 2 * number - 2], builder=name, buildid=buildid)
        told = "failed here for the first time"
        self.assertEqual(
            self.failing(), {"a": [f"linux: {told}", f"mac: {told}"], "b": [f"mac: {told}"]}
        )
        self.assertEqual(self.failing("B"), {"b": [f"mac: {told}"]})
        self.assertEqual(self.failing(builder="linux"), {"a": [f"linux: {told}"]})
        self.assertEqual(self.failing(branch="other"), {})
        self.assertEqual(
            result(self.store.tests_like(QueryOfTests(name="A"), 5)), [NamedTest("unit", "a")]
        )
        self.assertEqual(result(self.store.tests_like(QueryOfTests(name="%"), 5)), [])

    def test_patches(self) -> None:
        """What fails with a patch says nothing of the branch."""
        self.put(1)
        stamp = {"branch": "main", "revision": "r2", "patch": {"body": "x"}, "codebase": ""}
        self.put(2, "a", buildset={"sourcestamps": [stamp]})
        self.assertEqual(self.failing(), {})

    def test_rates(self) -> None:
        """How often a test failed is counted over the builds that ran its suite."""
        for number in range(1, 11):
            self.put(number, *(("a",) if number > 7 else ()))
        self.put(11, key=results_key([], {"other": 3}))
        [rate] = result(self.store.test_rates(Filter(branch="main"), "a", 0))
        self.assertEqual((rate.failed, rate.ran, rate.builder.name), (3, 10, "linux"))
        [rate] = result(self.store.test_rates(Filter(), "a", NOW + 900))
        self.assertEqual((rate.failed, rate.ran), (2, 2))
        self.assertEqual(result(self.store.test_rates(Filter(branch="none"), "a", 0)), [])
        at = result(self.store.failures_at("a", "r8"))
        self.assertEqual(at, {(NamedTest("unit", "a"), 1): True})

    def test_replaced(self) -> None:
        """What a later status says of a build stands in place of what an earlier one said."""
        self.put(1)
        self.put(2, "a")
        self.put(2, "b", complete_at=NOW + 400)
        self.assertEqual([*self.failing()], ["b"])
        self.assertEqual(self.rows(), [1, 1, 1, 2, 1])

    def test_pruned(self) -> None:
        """Test results go with their builds; no test, suite or branch is left that none has."""
        for number in range(1, 40):
            branch = {"sourcestamps": [{"branch": f"b{number}", "revision": "r", "codebase": ""}]}
            self.put(number, f"test {number}", buildset=branch)
        self.assertEqual(self.rows(), [39, 1, 39, 39, 39])
        result(Deferred.fromCoroutine(self.store.prune(LATER)))
        kept, _, *_ = self.rows()
        self.assertLess(kept, 3)
        self.assertEqual(self.rows(), [kept, 1, kept, kept, kept])

    def test_hostile_names(self) -> None:
        """Names of any length and characters are kept, clipped, and told from each other."""
        long = "x" * 100_000
        names = ["\u202e<script>", long, "\U0001f600" * 600, "nul \x00 \ud800", "  "]
        self.put(1)
        self.put(2, *names)
        found = self.failing()
        self.assertEqual(len(found), 5)
        self.assertLessEqual(max(map(len, found)), 500)


class SqliteTest(Contract, SynchronousTestCase):
    """On SQLite."""

    def new_url(self) -> str:
        """Return the URL of a file."""
        return file_url(temporary_folder(self) / "board.sqlite")


class PostgresTest(Contract, SynchronousTestCase):
    """On PostgreSQL."""

    def new_url(self) -> str:
        """Return the URL of an empty database."""
        server().clear()
        return server().url()
