"""Which status of a build stands, and what builds say of their builder, in whatever order."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from support.statuses import NOW, a_body, a_status, as_bytes
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import Status, read
from buildbot_http_status_push.board.model import RECENT, Build, Filter
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.merging import State, rank, state_of
from buildbot_http_status_push.board.store.reading import Reading
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.writing import Arrival, Stored, Writing
from buildbot_http_status_push.database import MEMORY
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)


def a_build(number: int, results: int | None, **more: Any) -> Build:
    """Return a build; later ones began later."""
    status = a_status(number, results)
    known = {
        name: getattr(status, name)
        for name in (
            "buildid", "number", "request", "started_at", "complete_at", "results",
            "state_string", "submitted_at", "worker", "branch", "revision", "project", "owner",
            "url", "sources", "judges", "step",
        )
    }  # fmt: skip
    known.update(id=number, master=1, builder=1, builder_name="linux", sequence=number)
    return Build(**{**known, **more})


def builds(*results: int | None) -> list[Build]:
    """Return builds with results, oldest first."""
    return [a_build(number, each) for number, each in enumerate(results, start=1)]


def rank_of(status: Status) -> Any:
    """Return how much a status counts."""
    return rank(status.complete_at, status.results, len(status.body), status.digest)


class RankTests(SynchronousTestCase):
    """Of two statuses of a build one stands."""

    def test_finish(self) -> None:
        """A start never overwrites a finish, however much it says."""
        start = a_status(1, None, state_string="x" * 5000)
        for results in range(7):
            self.assertGreater(rank_of(a_status(1, results)), rank_of(start))

    def test_later_finish(self) -> None:
        """Of two finishes the later one stands, whatever its result."""
        first = a_status(1, SUCCESS, complete_at=NOW + 200)
        self.assertGreater(rank_of(a_status(1, FAILURE, complete_at=NOW + 201)), rank_of(first))

    def test_given_up(self) -> None:
        """A finish by a master that gave the build up loses to its own at the same second."""
        given_up = a_status(1, RETRY, state_string="retry: its master seemed to be dead")
        self.assertGreater(rank_of(a_status(1, FAILURE)), rank_of(given_up))

    def test_more_is_told(self) -> None:
        """Of two that say the same moment the one that tells more stands."""
        full = a_status(1, SUCCESS, steps=[{"name": "compile"}])
        self.assertGreater(rank_of(full), rank_of(a_status(1, SUCCESS)))

    def test_repeat(self) -> None:
        """The same body counts the same; any other counts otherwise, so that all choose alike."""
        self.assertEqual(rank_of(a_status(1)), rank_of(a_status(1)))
        self.assertNotEqual(
            rank_of(a_status(1, revision="abc")), rank_of(a_status(1, revision="abd"))
        )


class StateTests(SynchronousTestCase):
    """What a builder's builds say of it."""

    def state(self, *results: int | None) -> State:
        """Return what builds with such results, oldest first, say of their builder."""
        return state_of(builds(*results))

    def numbers(self, *found: Build | None) -> list[int | None]:
        """Return the builds' numbers."""
        return [each and each.number for each in found]

    def test_nothing(self) -> None:
        """No build says nothing."""
        self.assertEqual(state_of([]), State())

    def test_red(self) -> None:
        """A red builder names its last bad build, the first one, and the last good one."""
        state = self.state(FAILURE, SUCCESS, FAILURE, FAILURE, FAILURE)
        self.assertEqual(self.numbers(state.last, state.first_bad, state.last_good), [5, 3, 2])

    def test_never_good(self) -> None:
        """A builder that never passed is red from its first bad build on."""
        state = self.state(CANCELLED, FAILURE, FAILURE)
        self.assertEqual(self.numbers(state.last, state.first_bad, state.last_good), [3, 2, None])

    def test_green_again(self) -> None:
        """A builder that passed, with warnings too, has no first bad build."""
        for good in (SUCCESS, WARNINGS):
            state = self.state(FAILURE, good)
            self.assertEqual(self.numbers(state.last, state.first_bad), [2, None])

    def test_inconclusive(self) -> None:
        """Builds that decide nothing, and running ones, leave the last result as it is."""
        for results in (FAILURE, SUCCESS):
            state = self.state(results, SKIPPED, RETRY, CANCELLED, EXCEPTION, 9, None)
            self.assertEqual(self.numbers(state.last), [1])
            self.assertEqual(self.numbers(*state.recent), [7, 6, 5, 4, 3, 2, 1])

    def test_recent(self) -> None:
        """The latest builds are shown, and no more than fit."""
        state = self.state(*[SUCCESS] * (RECENT + 3))
        self.assertEqual(self.numbers(*state.recent), [*range(RECENT + 3, 3, -1)])

    def test_usual(self) -> None:
        """How long it takes is the median of good builds; bad ones end early."""
        durations = (10, 30, 20, 1)
        done = [
            evolve(a_build(number, SUCCESS), complete_at=NOW + 100 * number + duration)
            for number, duration in enumerate(durations, start=1)
        ]
        done[3] = evolve(done[3], results=FAILURE)
        self.assertEqual(state_of(done).usual, 20.0)
        self.assertIsNone(self.state(FAILURE, None).usual)

    def test_flaky(self) -> None:
        """Passed and failed on the same revision is flaky; on another branch it is another."""
        self.assertTrue(self.state(FAILURE, SUCCESS).flaky)
        self.assertFalse(self.state(FAILURE, CANCELLED, FAILURE).flaky)
        apart = {"revision": ("abc", "def"), "branch": ("main", "next")}
        for name, (one, other) in apart.items():
            bad = evolve(a_build(1, FAILURE), sources=(), **{name: one})
            good = evolve(a_build(2, SUCCESS), sources=(), **{name: other})
            self.assertFalse(state_of([bad, good]).flaky)

    @given(st.lists(st.sampled_from([*range(7), None]), max_size=40), st.randoms())
    def test_any_order(self, results: list[int | None], chance: Any) -> None:
        """The order in which builds are looked at makes no difference."""
        known = builds(*results)
        shuffled = [*known]
        chance.shuffle(shuffled)
        self.assertEqual(state_of(shuffled), state_of(known))


NUMBERS = st.integers(1, 4)


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    """Draw one of the statuses that a few builds of two builders may have."""
    number = draw(NUMBERS)
    results = draw(st.sampled_from([None, SUCCESS, FAILURE, RETRY]))
    builder = "linux" if number % 2 else "windows"
    more: dict[str, Any] = {"buildrequestid": 1} if number > 2 else {}
    if results is not None:
        more["complete_at"] = NOW + 100 * number + draw(st.integers(50, 51))
    body = a_body(number, results, builder=builder, revision=draw(st.sampled_from("ab")), **more)
    if draw(st.booleans()):
        body["steps"] = [{"name": "compile"}]
    status = read(as_bytes(body))
    assert status is not None
    return status


class ArrivalTests(SynchronousTestCase):
    """Statuses that come in any order, some of them again."""

    def kept(self, batches: list[list[Status]]) -> tuple[list[Any], int]:
        """Return what the board shows after statuses came, one transaction for each batch.

        Returns:
            Builders and revisions without the board's own numbers, and how many updates there were.
        """
        database = open_database(MEMORY)
        try:
            for batch in batches:
                arrivals = [Arrival(each, NOW) for each in batch]
                database.transact(
                    [lambda connection, some=arrivals: Writing(connection, {}).write(some)]
                )
            return database.transact([shown])[0]
        finally:
            database.close()

    @settings(max_examples=30, deadline=None)
    @given(st.lists(statuses(), min_size=1, max_size=10), st.data())
    def test_any_order(self, came: list[Status], data: st.DataObject) -> None:
        """Whatever the order, the repeats and the transactions, the same is shown in the end."""
        in_order, _ = self.kept([came])
        again = data.draw(st.lists(st.sampled_from(came), max_size=5))
        shuffled = data.draw(st.permutations(came + again))
        cut = data.draw(st.integers(0, len(shuffled)))
        shown_then, _ = self.kept([shuffled[:cut], shuffled[cut:]])
        self.assertEqual(shown_then, in_order)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(statuses(), min_size=1, max_size=10))
    def test_repeats_change_nothing(self, came: list[Status]) -> None:
        """What came before gives no update when it comes again."""
        self.assertEqual(self.kept([came, came]), self.kept([came]))

    def test_verdicts(self) -> None:
        """A sender is told what became of its status."""
        start, finish = a_status(1, None), a_status(1, SUCCESS)
        database = open_database(MEMORY)
        self.addCleanup(database.close)
        came = [Arrival(each, NOW) for each in (start, start, finish, start, finish)]
        [(stored, position)] = database.transact([lambda one: Writing(one, {}).write(came)])
        wanted = [Stored.NEW, Stored.REPEAT, Stored.NEW, Stored.OLDER, Stored.REPEAT]
        self.assertEqual((stored, position.sequence), (wanted, 2))


def shown(connection: Any) -> tuple[list[Any], int]:
    """Return all that is shown, without what the board has numbered itself."""
    reading = Reading(connection, BuilderCache(), 0.0)
    everything = Filter()
    said = [
        [plain(each) for each in reading.builders(everything)],
        [plain(each) for each in reading.revisions(everything, 100)],
        [reading.build(each.id).body for each in reading.builds(everything, None, 100, None)],
        [(each.url, each.name) for each in reading.masters()],
    ]
    return said, reading.position().sequence


OURS = {"id", "sequence", "builder", "master"}


def plain(value: Any) -> Any:
    """Return a value of the model as names and values, without the board's numbers."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if not hasattr(value, "__attrs_attrs__"):
        return value
    names = [each.name for each in value.__attrs_attrs__ if each.name not in OURS]
    return {name: plain(getattr(value, name)) for name in names}
