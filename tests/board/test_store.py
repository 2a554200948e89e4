"""What the store does, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from attrs import evolve
from support.fakes import LogBook
from support.outboxes import result
from support.postgres import server
from support.statuses import MASTER, NOW, a_status
from support.threads import LaterThread
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Builder, Filter, Position
from buildbot_http_status_push.board.store import listening, pruning, schema
from buildbot_http_status_push.board.store.listening import Listener
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.writing import Arrival, Stored, Writing
from buildbot_http_status_push.database import StorageError, UnstorableError, file_url
from buildbot_http_status_push.results import CANCELLED, FAILURE, RETRY, SUCCESS

Case = SynchronousTestCase if TYPE_CHECKING else object
T = TypeVar("T")

EVERYTHING = Filter()
PATIENCE = 60.0


class StoreContract(Case):
    """What holds for every store."""

    def setUp(self) -> None:
        """Open an empty one."""
        self.url = self.new_url()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.thread = LaterThread()
        self.book = LogBook()
        self.store = self.opened()
        self.calls = 0
        self.store.subscribe(self.called)

    def new_url(self) -> str:
        """Return where an empty store may be."""
        raise NotImplementedError

    def called(self) -> None:
        """Count how often there was something new."""
        self.calls += 1

    def opened(self, **names: str) -> Store:
        """Open the store once more, as another process does."""
        store = Store(self.clock, self.thread, self.url, names, self.book.log)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        return store

    def put(self, number: int = 1, results: int | None = SUCCESS, **more: Any) -> Stored:
        """Keep a status."""
        return result(self.store.put(a_status(number, results, **more)))

    def builder(self, name: str = "linux") -> Builder:
        """Return a builder."""
        [found] = [each for each in result(self.store.builders(EVERYTHING)) if each.name == name]
        return found

    def numbers(self, chosen: Filter = EVERYTHING, **more: Any) -> list[int]:
        """Return the numbers of the builds that fit."""
        return [each.number for each in result(self.store.builds(chosen, **more))]

    def execute(self, statement: str) -> Any:
        """Run some SQL on the database."""
        engine = sa.create_engine(self.url)
        try:
            with engine.begin() as connection:
                return connection.execute(sa.text(statement))
        finally:
            engine.dispose()

    def hold(self) -> None:
        """Let nothing run until the test steps on."""
        self.thread.is_held = True
        self.addCleanup(setattr, self.thread, "is_held", False)

    # what can't be stored

    def test_culprit(self) -> None:
        """Of statuses that are committed together only one that can't be stored is refused."""
        good = [a_status(number) for number in range(1, 6)]
        for poison in ({"number": 2**70}, {"branch": "\ud800"}):
            culprit = evolve(a_status(9), **poison)
            self.thread.is_held = True
            first = self.store.put(a_status(8))
            answers = [self.store.put(each) for each in (*good[:3], culprit, *good[3:])]
            self.thread.is_held = False
            self.thread.step()
            self.assertIn(result(first), (Stored.NEW, Stored.REPEAT))
            self.failureResultOf(answers.pop(3), UnstorableError)
            for answer in answers:
                self.assertIn(result(answer), (Stored.NEW, Stored.REPEAT))
        self.assertEqual(self.numbers(), [8, 5, 4, 3, 2, 1])
        self.assertEqual(self.book.lines, [])

    # the order of updates

    def test_sequence(self) -> None:
        """Each change has the next number; a repeat has none, and wakes nobody."""
        for results, stored in (
            (None, Stored.NEW),
            (None, Stored.REPEAT),
            (SUCCESS, Stored.NEW),
            (None, Stored.OLDER),
            (SUCCESS, Stored.REPEAT),
        ):
            self.assertEqual(self.put(1, results), stored)
        self.assertEqual(self.store.latest.sequence, 2)
        self.assertEqual(self.calls, 2)
        updates = result(self.store.updates(0, 10))
        assert updates is not None
        self.assertEqual([(each.sequence, each.build) for each in updates], [(1, 1), (2, 1)])
        self.assertEqual([each.at for each in updates], [NOW, NOW])

    def test_updates(self) -> None:
        """Updates are told from any place on, some at a time, and none from beyond the last."""
        for number in range(1, 6):
            self.put(number)
        for after, limit, wanted in ((0, 2, [1, 2]), (3, 10, [4, 5]), (5, 10, [])):
            updates = result(self.store.updates(after, limit))
            assert updates is not None
            self.assertEqual([each.sequence for each in updates], wanted)
        self.assertIsNone(result(self.store.updates(6, 10)))

    def test_forgotten_updates(self) -> None:
        """Updates too far back are forgotten, and that is told."""
        for number in range(1, 6):
            self.put(number)
        before, pruning.UPDATES_KEPT = pruning.UPDATES_KEPT, 2
        self.addCleanup(setattr, pruning, "UPDATES_KEPT", before)
        result(Deferred.fromCoroutine(self.store.prune_updates()))
        self.assertIsNone(result(self.store.updates(2, 10)))
        updates = result(self.store.updates(3, 10))
        assert updates is not None
        self.assertEqual([each.sequence for each in updates], [4, 5])

    def test_epoch(self) -> None:
        """Another process, or the same after a restart, goes on in the same order of updates."""
        self.put()
        again = self.opened()
        self.assertTrue(again.latest.epoch)
        self.assertEqual(again.latest, self.store.latest)

    def test_another_writer(self) -> None:
        """What another process has committed is known after the next look, and told of once."""
        result(self.opened().put(a_status()))
        self.assertEqual(self.store.latest.sequence, 0)
        for _ in range(2):
            self.assertEqual(self.numbers(), [1])
            self.assertEqual((self.store.latest.sequence, self.calls), (1, 1))
        self.assertEqual(self.put(), Stored.REPEAT)

    def test_slow_reader(self) -> None:
        """A reader that began before a commit and ends after it brings nothing back."""
        self.hold()
        reading, writing = self.store.position(), self.store.put(a_status())
        (read_in_thread, read_done), (write_in_thread, write_done) = self.thread.waiting
        old = read_in_thread()
        write_done.callback(write_in_thread())
        self.assertEqual(self.successResultOf(writing), Stored.NEW)
        read_done.callback(old)
        self.assertEqual(self.successResultOf(reading).sequence, 0)
        self.assertEqual((self.store.latest.sequence, self.calls), (1, 1))
        self.thread.waiting.clear()

    def test_reader_leaves(self) -> None:
        """Who leaves frees nothing that a thread still uses; what is not begun is left out."""
        self.put()
        self.hold()
        begun, waiting, last = (self.store.masters() for _ in range(3))
        for each in (begun, waiting):
            each.cancel()
            self.failureResultOf(each, CancelledError)
        self.assertEqual(len(self.thread.waiting), 1)
        self.thread.step()
        self.assertNoResult(last)
        self.thread.step()
        self.assertEqual([each.url for each in self.successResultOf(last)], [MASTER])
        self.assertEqual(self.thread.waiting, [])

    def test_moved_build(self) -> None:
        """A build that a later status tells of under another name changes both builders."""
        self.put(1, None, builder="old name")
        self.put(1, SUCCESS, builder="new name")
        self.assertEqual(self.builder("old name").running, ())
        self.assertEqual(self.builder("new name").recent[0].number, 1)
        updates = result(self.store.updates(1, 10))
        assert updates is not None
        changed = {each.builder for each in updates}
        self.assertEqual(changed, {self.builder("old name").id, self.builder("new name").id})

    # commits

    def test_group_commit(self) -> None:
        """What comes while a transaction is under way is committed by the next one, all of it."""
        self.hold()
        asked = [self.store.put(a_status(number)) for number in range(1, 6)]
        for transaction in (asked[:1], asked[1:]):
            for each in transaction:
                self.assertNoResult(each)
            self.thread.step()
            for each in transaction:
                self.assertEqual(self.successResultOf(each), Stored.NEW)
        self.assertEqual(self.thread.waiting, [])
        self.assertEqual((self.store.latest.sequence, self.calls), (5, 2))

    def test_repeat_in_one_commit(self) -> None:
        """A status that came twice at the same time is stored once."""
        self.hold()
        asked = [self.store.put(a_status(number)) for number in (1, 2, 2)]
        self.thread.step()
        self.thread.step()
        stored = [self.successResultOf(each) for each in asked]
        self.assertEqual(stored, [Stored.NEW, Stored.NEW, Stored.REPEAT])

    def test_close(self) -> None:
        """What was asked for before is kept when it closes."""
        self.hold()
        asked = [self.store.put(a_status(number)) for number in (1, 2)]
        closing = Deferred.fromCoroutine(self.store.close())
        while self.thread.waiting:
            self.thread.step()
        self.successResultOf(closing)
        self.thread.is_held = False  # it is opened again
        self.assertEqual([self.successResultOf(each) for each in asked], [Stored.NEW] * 2)
        self.assertEqual(self.numbers(), [2, 1])

    def test_several_writers(self) -> None:
        """Writers at the same time give each number once, and see a delivery to both once."""
        stored: list[Stored] = []

        def work() -> None:
            database = schema.open_database(self.url)
            try:
                for number in range(1, 21):
                    arrivals = [Arrival(a_status(number), NOW)]
                    [(told, _)] = database.transact(
                        [lambda connection, some=arrivals: Writing(connection, {}).write(some)]
                    )
                    stored.extend(told)
            finally:
                database.close()

        threads = [Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([stored.count(each) for each in Stored], [20, 40, 0])
        updates = result(self.store.updates(0, 100))
        assert updates is not None
        self.assertEqual([each.sequence for each in updates], [*range(1, 21)])

    # what is shown

    def test_round_trip(self) -> None:
        """What was sent is read as it was sent, and links to builds stay."""
        self.put(1, FAILURE, builder="bau ü🚧", state_string="failed <b>")
        detail = result(self.store.build(1))
        assert detail is not None
        self.assertEqual((detail.build.builder_name, detail.build.results), ("bau ü🚧", FAILURE))
        self.assertEqual(detail.body["state_string"], "failed <b>")
        self.assertEqual(detail.builder.last, detail.build)
        self.assertIsNone(result(self.store.build(2)))

    def test_relations(self) -> None:
        """A build knows what triggered it, what it triggered, and the others of its request."""
        begun = NOW + 100
        self.put(1, None)
        self.put(2, builder="windows", parentbuild={"buildid": 1001, "started_at": begun})
        self.put(3, RETRY, buildrequestid=77, buildrequest={"submitted_at": NOW})
        self.put(4, SUCCESS, buildrequestid=77, buildrequest={"submitted_at": NOW})
        details = [result(self.store.build(number)) for number in (1, 2, 3, 4)]
        one, two, three, four = (each for each in details if each is not None)
        self.assertEqual([each.number for each in one.triggered], [2])
        self.assertEqual(two.parent, one.build)
        self.assertEqual(three.same_request, (four.build,))
        self.assertEqual(four.same_request, (three.build,))

    def test_parent_of_another_database(self) -> None:
        """A master's database made anew counts from 1 again: times tell its builds apart."""
        self.put(1, started_at=NOW - 9000)
        self.put(1)
        self.put(2, parentbuild={"buildid": 1001, "started_at": NOW - 9000})
        self.assertEqual(self.numbers(), [2, 1, 1])
        detail = result(self.store.build(3))
        assert detail is not None
        assert detail.parent is not None
        self.assertEqual(detail.parent.started_at, NOW - 9000)

    def test_pages_of_builds(self) -> None:
        """Builds come newest first by their begin, a page after the other, whatever came when."""
        for number in (3, 1, 5, 2, 4):
            self.put(number)
        first = result(self.store.builds(EVERYTHING, limit=2))
        self.assertEqual([each.number for each in first], [5, 4])
        self.assertEqual(self.numbers(limit=2, before=first[-1].id), [3, 2])
        self.assertEqual(self.numbers(before=999), [])

    def test_filters(self) -> None:
        """Builds are found by all that a filter may ask for."""
        self.put(1, FAILURE)
        self.put(2, SUCCESS, builder="windows", revision="def")
        self.put(3, CANCELLED, properties={"workername": ["w2", "x"], "owner": ["Bob", "x"]})
        self.put(4, SUCCESS, buildset={"sourcestamps": [{"branch": "next", "project": "docs"}]})
        wanted = {
            Filter(builder="lin*"): [4, 3, 1],
            Filter(tags=frozenset(["stable"]), results=frozenset([SUCCESS])): [4, 2],
            Filter(tags=frozenset(["other"])): [],
            Filter(branch="next"): [4],
            Filter(worker="w2"): [3],
            Filter(owner="Bob", results=frozenset([FAILURE])): [],
            Filter(results=frozenset([FAILURE, CANCELLED])): [3, 1],
            Filter(master="ci.example.org", builder="windows"): [2],
        }
        for chosen, numbers in wanted.items():
            self.assertEqual(self.numbers(chosen), numbers, str(chosen))
        self.assertEqual(self.numbers(builder=self.builder("windows").id), [2])

    def test_revisions(self) -> None:
        """All builds of a revision stand together, the newest of each builder."""
        change = {"author": "Ada", "comments": "Mend it\nmore", "revision": "abc"}
        self.put(1, FAILURE)
        self.put(2, SUCCESS, changes=[change])
        self.put(3, SUCCESS, builder="windows")
        self.put(4, SUCCESS, revision="def")
        newest, oldest = result(self.store.revisions(EVERYTHING, 10))
        self.assertEqual((newest.revision, newest.first_at), ("def", NOW + 400))
        self.assertEqual((oldest.author, oldest.comment), ("Ada", "Mend it"))
        self.assertEqual(sorted(each.number for each in oldest.builds), [2, 3])

    def test_masters(self) -> None:
        """Masters are told apart by their URL, and one of several URLs by its name."""
        self.put(1)
        self.put(1, url="https://b.example.org/#/builders/1/builds/1")
        names = [each.name for each in result(self.store.masters())]
        self.assertEqual(names, ["b.example.org", "ci.example.org"])
        named = {MASTER: "main", "https://c.example.org/": "main"}
        self.store = self.opened(**named)
        self.clock.advance(5)
        self.put(2)
        self.put(3, url="https://c.example.org/#/builders/1/builds/1")
        masters = result(self.store.masters())
        self.assertEqual([each.name for each in masters], ["b.example.org", "main"])
        self.assertEqual(masters[1].heard_at, NOW + 5)
        self.assertEqual(self.numbers(Filter(master="main")), [3, 2, 1])

    # pruning

    def test_prune(self) -> None:
        """What is too old goes, with all that belongs to it, but nothing that a state names."""
        results = [FAILURE, *[SUCCESS] * 40, FAILURE, FAILURE]
        for number, each in enumerate(results, start=1):
            self.put(number, each, revision=f"r{number}")
        self.put(50, SUCCESS, builder="rare")
        self.assertEqual(self.prune(NOW + 10_000), 13)
        self.assertEqual(self.numbers(), [50, *range(43, 13, -1)])
        linux = self.builder()
        assert linux.first_bad is not None
        self.assertEqual(linux.first_bad.number, 42)
        self.assertEqual(len(result(self.store.revisions(EVERYTHING, 100))), 31)
        self.assertIsNone(result(self.store.build(1)))
        self.assertEqual(self.prune(NOW + 10_000), 0)

    def test_prune_keeps_the_young(self) -> None:
        """What is younger stays, and numbers of builds that are gone are not given again."""
        for number in range(1, 41):
            self.put(number)
        self.assertEqual(self.prune(NOW + 100 * 5), 4)
        self.put(41)
        self.assertEqual(result(self.store.builds(EVERYTHING, limit=1))[0].id, 41)

    def test_prune_lost(self) -> None:
        """A build that still runs after so long never ends: it is shown no longer, and told of."""
        self.put(1, None)
        self.put(2)
        before = self.store.latest.sequence
        self.assertEqual(self.prune(NOW + 150), 1)
        self.assertEqual(self.builder().running, ())
        self.assertEqual(self.store.latest.sequence, before + 1)

    def prune(self, before: float) -> int:
        """Delete what began before, and return how much that was."""
        return result(Deferred.fromCoroutine(self.store.prune(before)))

    # versions

    def test_newer_version(self) -> None:
        """Tables of a newer version are left alone, in words that say what to do."""
        self.execute("INSERT INTO board_schema VALUES (99)")
        refusal = self.assertRaises(StorageError, self.opened)
        self.assertIn("the board's database has schema version 99", str(refusal))
        self.assertIn("install the newer version again", str(refusal))

    def test_upgrade(self) -> None:
        """Tables of an older version are brought up to date once, and keep what they hold."""
        self.put()
        upgrade = sa.text("ALTER TABLE board_masters ADD COLUMN motto TEXT")
        upgrades = (*schema.SCHEMA.upgrades, lambda connection: connection.execute(upgrade))
        self.patch(schema, "SCHEMA", evolve(schema.SCHEMA, upgrades=upgrades))
        for _ in range(2):
            again = self.opened()
            self.assertEqual(again.latest, self.store.latest)
        self.execute("SELECT motto FROM board_masters")

    # trouble

    def check_back(self, before: Position) -> None:
        """Check that all works again after the trouble, on the same order of updates."""
        self.assertEqual(self.put(2), Stored.NEW)
        self.assertEqual(self.numbers(), [2, 1])
        self.assertEqual(self.store.latest, evolve(before, sequence=before.sequence + 1))

    def check_trouble(self) -> None:
        """Check that whoever asks is told that the database is out of order."""
        self.failureResultOf(self.store.put(a_status(2)), StorageError)
        self.failureResultOf(self.store.builds(EVERYTHING), StorageError)
        self.failureResultOf(self.store.position(), StorageError)


class SqliteTests(StoreContract, SynchronousTestCase):
    """A SQLite file."""

    def new_url(self) -> str:
        """Return the URL of a file that is not there yet."""
        self.file = Path(self.mktemp())
        return file_url(self.file)

    def test_gone_and_back(self) -> None:
        """A file that was moved away and comes back is used again, without a restart."""
        self.put()
        before = self.store.latest
        away = self.file.with_suffix(".away")
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").rename(f"{away}{suffix}")
        self.file.mkdir()  # nothing can be opened there
        for _ in range(2):
            self.check_trouble()
        self.file.rmdir()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{away}{suffix}").rename(f"{self.file}{suffix}")
        self.check_back(before)

    def test_deleted(self) -> None:
        """A file that was deleted begins anew, in another order of updates, for readers too."""
        self.put()
        before = self.store.latest
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.file}{suffix}").unlink()
        self.failureResultOf(self.store.builds(EVERYTHING), StorageError)
        self.assertEqual(result(self.store.builds(EVERYTHING)), [])
        self.failureResultOf(self.store.put(a_status(2)), StorageError)
        self.put()
        self.assertNotEqual(self.store.latest.epoch, before.epoch)
        self.assertEqual(self.numbers(), [1])

    def test_nothing_to_hear(self) -> None:
        """Nobody listens where there is no server."""
        Listener(self.url, self.fail).listen()

    def test_private(self) -> None:
        """Only its owner can read the file."""
        self.assertEqual(self.file.stat().st_mode & 0o077, 0)


class PostgresTests(StoreContract, SynchronousTestCase):
    """A PostgreSQL database."""

    def new_url(self) -> str:
        """Return the URL of the database, emptied."""
        server().clear()
        return server().url()

    def test_listening(self) -> None:
        """Who listens hears of each commit, and of those that may have been missed."""
        heard: Queue[None] = Queue()
        listener = Listener(self.url, partial(heard.put, None))
        thread = Thread(target=listener.listen)
        thread.start()
        try:
            heard.get(timeout=PATIENCE)  # it begins
            self.put(1)
            heard.get(timeout=PATIENCE)
            self.patch(listening, "RETRY", 0.0)
            server().stop()
            server().start()
            heard.get(timeout=PATIENCE)  # it begins anew
            self.put(2)
            heard.get(timeout=PATIENCE)
            self.put(2)
        finally:
            listener.stop()
            thread.join()
        self.assertTrue(heard.empty(), "a repeat is no news")

    def test_gone_and_back(self) -> None:
        """A server that was away is used again when it is back, without a restart."""
        self.put()
        before = self.store.latest
        server().stop()
        try:
            for _ in range(2):
                self.check_trouble()
        finally:
            server().start()
        self.check_back(before)
