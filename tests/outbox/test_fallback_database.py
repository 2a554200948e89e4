"""The outbox on disk, in groups, off the reactor's thread; and what happens when it breaks."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from support.disks import Disk, new_disk
from support.fakes import LogBook, a_delivery
from support.outboxes import NOW, Box, new_clock, of_lane
from support.postgres import DRIVERS, server
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from buildbot_http_status_push import database
from buildbot_http_status_push.database import (
    StorageError,
    file_of,
    file_url,
    masked,
    resolve,
)
from buildbot_http_status_push.model import LeasedDelivery, State
from buildbot_http_status_push.outbox import inspection, schema
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.outbox import RESTORE_INTERVAL, Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.outbox.schema import open_database

AGAIN = "can be used again"
VISIT = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version'))"
NEWER = schema.versions.insert().values(version=99)


class GroupTests(SynchronousTestCase):
    """Group commit."""

    def setUp(self) -> None:
        """Make an outbox whose transactions end when the test says so."""
        self.jobs: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self.clock = new_clock()
        repository = DeliveryRepository("push", "master")
        storage = FallbackDatabase(
            None, repository, self.clock.seconds, lambda: None, LogBook().log
        )
        self.outbox = Outbox(self.clock, self.in_thread, storage, repository)
        self.addCleanup(storage.close)

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Keep a job for later."""
        done: Deferred[Any] = Deferred()
        self.jobs.append((done, function, arguments))
        return done

    def work(self) -> int:
        """Do the oldest job, and return how many operations it had."""
        done, function, arguments = self.jobs.pop(0)
        done.callback(function(*arguments))
        return len(arguments[0]) if arguments else 0

    def test_groups(self) -> None:
        """What arrives while a transaction is under way goes into the next one."""
        puts = [self.outbox.put(a_delivery(number)) for number in range(4)]
        self.assertEqual(1, len(self.jobs))
        self.assertEqual(1, self.work())
        self.assertEqual(True, self.successResultOf(puts[0]))
        for put in puts[1:]:
            self.assertNoResult(put)
        self.assertEqual(3, self.work())
        self.assertEqual([True] * 3, self.successResultOf(gatherResults(puts[1:])))
        self.assertEqual([], self.jobs)

    def test_close(self) -> None:
        """What was asked for before the end is done; what is asked for later is refused."""
        puts = [self.outbox.put(a_delivery(number)) for number in range(2)]
        closed = self.outbox.close()
        self.failureResultOf(self.outbox.put(a_delivery(3)), StorageError)
        self.assertEqual([1, 1, 0], [self.work() for _ in range(3)])
        self.assertEqual([True] * 2, self.successResultOf(gatherResults(puts)))
        self.successResultOf(closed)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_failure(self) -> None:
        """Who asked for something that fails is told."""
        put = self.outbox.put(a_delivery(1))
        self.jobs.pop(0)[0].errback(StorageError("even memory"))
        self.failureResultOf(put, StorageError)
        put = self.outbox.put(a_delivery(1))
        self.work()
        self.assertTrue(self.successResultOf(put))


class ThreadTests(TestCase):
    """Where transactions run."""

    async def test_off_the_reactor(self) -> None:
        """Transactions run in another thread than the reactor's."""
        seen = []

        class Seen(DeliveryRepository):
            """Notes the thread that it is used in."""

            def put(self, *arguments: Any, **named: Any) -> bool:
                seen.append(threading.get_ident())
                return super().put(*arguments, **named)

        repository = Seen("push", "master")
        storage = FallbackDatabase(
            file_url(self.mktemp()), repository, reactor.seconds, print, LogBook().log
        )

        def in_thread(function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
            return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

        outbox = Outbox(reactor, in_thread, storage, repository)
        self.assertTrue(await outbox.put(a_delivery(1)))
        self.assertNotIn(threading.get_ident(), seen)
        await outbox.close()


class FileTests(SynchronousTestCase):
    """The SQLite file."""

    def setUp(self) -> None:
        """Name a file."""
        self.path = Path(self.mktemp())

    def open(self) -> Box:
        """Open an outbox, to be closed after the test."""
        box = Box(file_url(self.path))
        self.addCleanup(box.close)
        return box

    def test_mode(self) -> None:
        """Only the master's user may read statuses."""
        former = os.umask(0)
        self.addCleanup(os.umask, former)
        self.open().put(1)
        files = sorted(self.path.parent.glob(f"{self.path.name}*"))
        self.assertEqual(3, len(files))
        self.assertEqual({0o600}, {stat.S_IMODE(file.stat().st_mode) for file in files})

    def test_durability(self) -> None:
        """A commit is on disk when it is done: WAL with full synchronisation."""
        box = self.open()

        def pragma(connection: Any, name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        self.assertEqual("wal", box.ask(pragma, "journal_mode"))
        self.assertEqual(2, box.ask(pragma, "synchronous"))

    def test_reopen(self) -> None:
        """What was put is there after a restart, what was taken is given back."""
        first = Box(file_url(self.path))
        first.put(1, 2)
        first.claim(limit=1)
        first.close()
        second = self.open()
        self.successResultOf(second.outbox.release())
        self.assertEqual(["msg_1", "msg_2"], second.send())
        self.assertEqual([False], second.put(1))
        self.assertEqual([], second.book.lines)

    def test_locks(self) -> None:
        """A second reporter of the master does not cancel the locks of the first one."""
        first, second = self.open(), self.open()
        first.put(1)
        second.put(2)
        log = self.path.with_name(f"{self.path.name}-wal")
        before = log.stat()
        subprocess.run([sys.executable, "-c", VISIT, self.path], check=True)
        self.assertTrue(os.path.samestat(before, log.stat()), "a visitor deleted the log")

    def test_all_or_nothing(self) -> None:
        """Of a transaction that fails, nothing counts."""
        box = self.open()
        box.put(1)

        def fail(connection: Any) -> None:
            box.repository.put(connection, a_delivery(2), NOW)
            raise ZeroDivisionError

        self.assertRaises(ZeroDivisionError, box.storage.transact, [fail])
        self.assertEqual(["msg_1"], [*box.states()])
        self.assertTrue(box.holds())

    def test_side_effects(self) -> None:
        """What is kept has no header, no URL, no secret: there is no column for any."""
        wanted = {"body", "content_type", "lane", "subject", "event", "title", "build", "outcome"}
        wanted |= {"sequence", "id", "reporter", "state", "created_at", "updated_at", "attempts"}
        wanted |= {"next_attempt", "owner", "lease_until", "group"}
        self.assertEqual(wanted, set(schema.deliveries.c.keys()))


class UrlTests(SynchronousTestCase):
    """Names of outboxes."""

    def test_relative(self) -> None:
        """A relative file is taken from the master's folder, with whatever the URL says more."""
        folder = Path("/srv/a 100% master")
        url = resolve("sqlite+pysqlite:///x.sqlite?timeout=9", folder)
        self.assertEqual(folder / "x.sqlite", file_of(url))
        self.assertIn("timeout=9", url)
        for other in (file_url("/x.sqlite"), "sqlite://", "postgresql://u:p@h/db", "nonsense"):
            self.assertEqual(other, resolve(other, folder))

    def test_masked(self) -> None:
        """A URL is shown without user, password and query values."""
        shown = {
            "postgresql://me:pa/ss@host/db": "postgresql://***@host/db",
            "postgresql://host/db?password=secret": "postgresql://host/db?password=***",
            "postgresql://me:secret@host:port/db": "postgresql://***",
            "secret": "***",
        }
        self.assertEqual(list(shown.values()), [masked(url) for url in shown])

    def test_unusable(self) -> None:
        """What names no database of ours is rejected with what would be right."""
        for url in ("mysql://me:secret@h/db", "postgresql://me:secret@h:port/db", "secret"):
            trouble = self.assertRaises(StorageError, open_database, url)
            self.assertIn("write a SQLAlchemy URL such as sqlite:///", str(trouble))
            self.assertNotIn("secret", str(trouble))

    def test_no_driver(self) -> None:
        """A missing driver is named, and what to do."""
        trouble = self.assertRaises(StorageError, open_database, "postgresql+pg8000://h/db")
        self.assertRegex(
            str(trouble), r"pg8000.*: install that driver, or pip install .*\[postgresql\]' and"
        )


class FaultCase(SynchronousTestCase):
    """Helpers of the tests below."""

    def setUp(self) -> None:
        """Name a file, and do not wait for locks."""
        self.patch(database, "LOCK_PATIENCE", 0.0)
        self.path = Path(self.mktemp())

    def open(self, url: str | None = None) -> Box:
        """Open an outbox, to be closed after the test."""
        box = Box(url or file_url(self.path))
        self.addCleanup(box.close)
        return box

    def lock(self) -> Callable[[], None]:
        """Lock the file as another program may; return what ends that."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        self.addCleanup(connection.close)
        return connection.close

    def wait_for_return(self, box: Box) -> None:
        """Let the time pass after which the database is tried again."""
        box.clock.advance(RESTORE_INTERVAL)

    def assert_told(self, box: Box, *words: str) -> None:
        """Check that one line for each of the words was logged since the last time."""
        self.assertEqual(len(words), len(box.book.lines), box.book.lines)
        for line, part in zip(box.book.lines, words, strict=True):
            self.assertIn(part, line)
        box.book.events.clear()


class MemoryStandsInTests(FaultCase):
    """The database is out for a while."""

    def test_locked(self) -> None:
        """While the file is locked, delivery goes on from memory; then all is brought back."""
        box = self.open()
        box.put(1)
        unlock = self.lock()
        self.assertEqual([True, True], box.put(2, 3))
        self.assertFalse(box.outbox.durable)
        self.assert_told(box, "locked): statuses are kept in memory and sent from there")
        self.assertEqual(["msg_2"], [c.delivery.id for c in self.deliver(box, 1)])
        self.wait_for_return(box)
        self.assertFalse(box.outbox.durable)
        unlock()
        self.wait_for_return(box)
        self.assertTrue(box.outbox.durable)
        wanted = {"msg_1": State.WAITING, "msg_2": State.DELIVERED, "msg_3": State.WAITING}
        self.assertEqual(wanted, box.states())
        self.assertTrue(box.holds())
        self.assert_told(box, AGAIN)
        self.assertEqual(0, box.losses)
        self.assertEqual([], box.clock.getDelayedCalls())

    def deliver(self, box: Box, limit: int) -> list[LeasedDelivery]:
        """Take some, and have them accepted."""
        claims = box.claim(limit)
        for claim in claims:
            box.record(claim, State.DELIVERED)
        return claims

    def test_from_the_start(self) -> None:
        """An outbox that can't be opened stops nothing; it is used when it can be."""
        self.path.write_text("a file where a folder should be")
        file = self.path / "outbox.sqlite"
        box = self.open(file_url(file))
        self.assertEqual([True], box.put(1))
        self.assert_told(box, "NotADirectoryError")
        self.path.unlink()
        self.path.mkdir()
        self.wait_for_return(box)
        self.assertEqual({"msg_1": State.WAITING}, box.states())
        self.assert_told(box, AGAIN)
        self.assertTrue(file.exists())

    def test_close(self) -> None:
        """At the end all that memory holds is brought back, if it can be."""
        unlock = self.lock()
        box = Box(file_url(self.path))
        box.put(1)
        unlock()
        box.close()
        self.assertEqual([], box.clock.getDelayedCalls())
        self.assertEqual({"msg_1": State.WAITING}, self.open().states())

    def test_close_in_vain(self) -> None:
        """At the end it is told how much only memory holds."""
        self.lock()
        box = Box(file_url(self.path))
        box.put(1, 2, 3)
        box.send(State.WAITING)
        self.deliver(box, 1)
        box.close()
        self.assert_told(box, "statuses are kept in memory", "2 statuses in memory are lost")
        self.assertEqual([], box.clock.getDelayedCalls())

    def test_told_once(self) -> None:
        """A disk that can be opened but not written is told of once, not again and again."""
        box = self.open()
        for number in range(3):
            unlock = self.lock()
            box.put(number)
            unlock()
            box.clock.advance(RESTORE_INTERVAL)
        self.assert_told(box, "kept in memory")
        box.put(1)
        self.assert_told(box, AGAIN)

    def test_memory_only(self) -> None:
        """Where memory is all that was asked for, what it refuses fails."""
        box = Box(None)
        self.addCleanup(box.close)

        def refuse(connection: Any) -> None:
            connection.execute(sa.text("SELECT nonsense"))

        self.assertRaises(StorageError, box.storage.transact, [refuse])
        self.assertEqual([True], box.put(1))
        self.assertTrue(box.outbox.durable)


class BroughtBackTests(FaultCase):
    """What memory knows and the database does not, and the other way round."""

    def setUp(self) -> None:
        """Open an outbox."""
        super().setUp()
        self.box = self.open()
        self.addCleanup(lambda: self.assertTrue(self.box.holds()))

    def leave(self) -> Callable[[], None]:
        """Make the database fail; return what brings it back."""
        unlock = self.lock()
        self.box.ask(inspection.stats)
        self.assertFalse(self.box.outbox.durable)

        def bring_back() -> None:
            unlock()
            self.wait_for_return(self.box)
            self.assertTrue(self.box.outbox.durable)

        return bring_back

    def test_outcome(self) -> None:
        """What came of an attempt while the database was out is written down."""
        self.box.put(1, 2, 3, 4)
        claims = self.box.claim()
        bring_back = self.leave()
        states = (State.DELIVERED, State.RETRYING, State.DEAD, State.WAITING)
        for claim, state in zip(claims, states, strict=True):
            self.assertEqual(state, self.box.record(claim, state))
        bring_back()
        self.assertEqual(list(states), list(self.box.states().values()))
        entries = self.box.ask(inspection.entries)
        self.assertEqual([1, 1, 1, 1], [entry.attempts for entry in entries])
        self.assertEqual([False, True, True, True], [entry.size is not None for entry in entries])
        self.box.clock.advance(30)
        self.assertEqual(["msg_4", "msg_2"], self.box.claim_ids())

    def test_under_way_from_memory(self) -> None:
        """An attempt that memory handed out is under way for the database too."""
        bring_back = self.leave()
        self.box.put(*of_lane("lane", 1, 2))
        [claim] = self.box.claim()
        bring_back()
        self.assertEqual([], self.box.claim())
        self.box.record(claim, State.DELIVERED)
        self.assertEqual(["msg_2"], self.box.claim_ids())

    def test_under_way_again(self) -> None:
        """A delivery that memory was given anew and hands out is taken in the database too."""
        self.box.put(1)
        bring_back = self.leave()
        self.assertEqual([True], self.box.put(1))
        [claim] = self.box.claim()
        bring_back()
        self.assertEqual([], self.box.claim())
        self.assertEqual(State.DELIVERED, self.box.record(claim, State.DELIVERED))

    def test_nothing_new(self) -> None:
        """A delivery that memory was given anew and did not try changes nothing."""
        self.box.put(1, 2)
        self.box.record(self.box.claim(limit=1)[0], State.DEAD)
        self.box.record(self.box.claim(limit=1)[0], State.RETRYING)
        before = self.box.ask(inspection.entries)
        bring_back = self.leave()
        self.box.put(1, 2)
        bring_back()
        self.assertEqual(before, self.box.ask(inspection.entries))

    def test_dead_stays_dead(self) -> None:
        """A dead delivery that memory was given anew and tried in vain stays dead."""
        self.box.put(1)
        self.box.send(State.DEAD)
        bring_back = self.leave()
        self.box.put(1)
        self.box.send(State.RETRYING)
        bring_back()
        self.assertEqual(State.DEAD, self.box.entry(1).state)

    def test_newer_from_memory(self) -> None:
        """A newer status that went out from memory supersedes older ones in the database."""
        self.box.put(*of_lane("lane", 1, subject="build"))
        bring_back = self.leave()
        self.box.put(*of_lane("lane", 2, subject="build"))
        self.assertEqual(["msg_2"], self.box.send())
        bring_back()
        wanted = {"msg_1": State.SUPERSEDED, "msg_2": State.DELIVERED}
        self.assertEqual(wanted, self.box.states())

    def test_newer_in_memory(self) -> None:
        """An older status that was under way as the database failed supersedes no newer one."""
        self.box.put(*of_lane("lane", 1, subject="build"))
        [claim] = self.box.claim()
        bring_back = self.leave()
        self.box.put(*of_lane("lane", 2, subject="build"))
        self.box.record(claim, State.DELIVERED)
        bring_back()
        self.assertEqual(["msg_2"], self.box.claim_ids())

    def test_superseded_in_memory(self) -> None:
        """What memory knows to be superfluous is not sent from the database."""
        self.box.put(*of_lane("lane", 1, subject="build"))
        [claim] = self.box.claim()
        bring_back = self.leave()
        self.box.put(*of_lane("lane", 2, subject="build"))
        self.box.send()
        self.assertEqual(State.SUPERSEDED, self.box.record(claim, State.RETRYING))
        bring_back()
        self.assertEqual(State.SUPERSEDED, self.box.entry(1).state)

    def test_order(self) -> None:
        """What memory was given comes after what the database holds, in order."""
        self.box.put(*of_lane("lane", 1))
        bring_back = self.leave()
        self.box.put(*of_lane("lane", 2, 3))
        bring_back()
        self.box.put(*of_lane("lane", 4))
        sent = [self.box.send() for _ in range(4)]
        self.assertEqual([["msg_1"], ["msg_2"], ["msg_3"], ["msg_4"]], sent)

    def test_release(self) -> None:
        """What is given back of memory's is not mistaken for something of the database's."""
        self.box.put(1)
        self.box.claim()
        bring_back = self.leave()
        self.box.put(2)
        claims = self.box.claim()
        bring_back()
        self.successResultOf(self.box.outbox.release([claim.sequence for claim in claims]))
        self.assertEqual([], self.box.claim())


class BrokenFileTests(FaultCase):
    """The file is no database any more."""

    def new_file(self) -> int:
        """Make an outbox with much in it, and return its size."""
        box = Box(file_url(self.path))
        box.put(*(a_delivery(number, f"lane-{number}", body=bytes(9000)) for number in range(50)))
        box.close()
        return self.path.stat().st_size

    def check_begun_anew(self) -> None:
        """Check that the broken file is set aside, and a new one in use."""
        content = self.path.read_bytes()
        box = self.open()
        self.assertEqual([True], box.put(1))
        self.assert_told(box, f"broken-{int(NOW)}, created a new one")
        self.assertEqual(1, box.losses)
        self.assertTrue(box.outbox.durable)
        aside = self.path.with_name(f"{self.path.name}.broken-{int(NOW)}")
        self.assertEqual(content, aside.read_bytes())
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
        box.close()
        self.assertEqual({"msg_1": State.WAITING}, self.open().states())

    def test_noise(self) -> None:
        """A file of noise is set aside."""
        self.path.write_bytes(noise(50_000))
        self.check_begun_anew()

    def test_text(self) -> None:
        """A file that is something else is set aside."""
        self.path.write_text("not a database\n")
        self.check_begun_anew()

    def test_truncated(self) -> None:
        """A file that ends in the middle is set aside."""
        os.truncate(self.path, self.new_file() // 2)
        self.check_begun_anew()

    def test_truncated_early(self) -> None:
        """A file that ends within its first page is set aside."""
        self.new_file()
        os.truncate(self.path, 1000)
        self.check_begun_anew()

    def test_empty(self) -> None:
        """An empty file is a new outbox."""
        self.path.touch()
        box = self.open()
        self.assertEqual([True], box.put(1))
        self.assert_told(box)

    def test_while_in_use(self) -> None:
        """A file that breaks while it is in use is set aside; what was under way is kept."""
        box = self.open()
        body = bytes(100_000)
        box.put(*(a_delivery(number, f"lane-{number}", body=body) for number in range(50)))
        claims = box.claim(limit=2)
        for suffix in ("", "-wal"):
            file = self.path.with_name(self.path.name + suffix)
            with file.open("r+b") as stream:
                stream.write(noise(file.stat().st_size))
        self.assertEqual([], box.claim(limit=50))
        self.assert_told(box, "created a new one")
        self.assertEqual(State.RETRYING, box.record(claims[0], State.RETRYING))
        self.successResultOf(box.outbox.release([claims[1].sequence]))
        self.assertEqual({"msg_0": State.RETRYING}, box.states())

    def test_two_reporters(self) -> None:
        """Two reporters of a broken file go on together in one new file."""
        boxes = [Box(file_url(self.path)) for _ in range(2)]
        boxes[0].put(*range(10, 20))
        boxes[1].put(*range(20, 30))
        for suffix in ("", "-wal"):
            self.path.with_name(self.path.name + suffix).write_bytes(noise(100_000))
        for number, box in enumerate(boxes * 2):
            self.assertEqual([True], box.put(number))
        self.assert_told(boxes[0], f"broken-{int(NOW)}, created a new one")
        self.assert_told(boxes[1], "removed or replaced): created a new one")
        self.assertEqual([1, 1], [box.losses for box in boxes])
        boxes[1].close()
        boxes[0].put(4)
        boxes[0].close()
        wanted = {f"msg_{number}": State.WAITING for number in range(5)}
        self.assertEqual(wanted, self.open().states())

    def test_removed(self) -> None:
        """A file that somebody deletes is begun anew, and closing the old one does no harm."""
        boxes = [self.open(), self.open()]
        for box in boxes:
            box.put(1)
        self.path.unlink()
        for number, box in enumerate(boxes * 2):
            self.assertEqual([True], box.put(number))
        for box in boxes:
            self.assert_told(box, "removed or replaced): created a new one")
            self.assertEqual(1, box.losses)
        wanted = {f"msg_{number}": State.WAITING for number in range(4)}
        self.assertEqual(wanted, self.open().states())

    def test_old_log(self) -> None:
        """The log of the broken file, which another reporter holds, is set aside with it."""
        self.new_file()
        first, second = self.open(), self.open()
        second.put(98, 99)
        with self.path.open("r+b") as stream:
            stream.seek(4096)
            stream.write(noise(400_000))
        self.assertEqual([], first.claim(limit=50))
        self.assertEqual([True], first.put(1))
        self.assertEqual({"msg_1": State.WAITING}, first.states())
        self.assertTrue(self.path.with_name(f"{self.path.name}.broken-{int(NOW)}-wal").exists())

    def test_log_is_whole(self) -> None:
        """A file that its own write-ahead log can mend is mended."""
        master = self.open()
        master.put(1)
        copy = self.path.with_name("copy")
        for suffix in ("", "-wal"):
            content = self.path.with_name(self.path.name + suffix).read_bytes()
            copy.with_name(copy.name + suffix).write_bytes(content if suffix else noise(8192))
        box = self.open(file_url(copy))
        self.assertEqual({"msg_1": State.WAITING}, box.states())
        self.assert_told(box)

    def test_twice(self) -> None:
        """A second broken file within a second does not replace the first that was set aside."""
        aside = self.path.with_name(f"{self.path.name}.broken-{int(NOW)}")
        aside.write_text("first")
        self.path.write_text("not a database")
        box = self.open()
        self.assertEqual([True], box.put(1))
        self.assert_told(box, "kept in memory")
        self.assertEqual("first", aside.read_text())
        self.wait_for_return(box)
        self.assertEqual({"msg_1": State.WAITING}, box.states())
        self.assert_told(box, f"broken-{int(NOW + RESTORE_INTERVAL)}", AGAIN)
        self.assertEqual(1, box.losses)

    def test_newer_version(self) -> None:
        """A file of a newer version is left as it is, and delivery goes on from memory."""
        self.new_file()
        newer = open_database(file_url(self.path))
        newer.transact([lambda connection: connection.execute(NEWER)])
        newer.close()
        before = self.path.read_bytes()
        box = Box(file_url(self.path))
        self.assertEqual([True], box.put(1))
        self.assertEqual(["msg_1"], box.send())
        self.assert_told(
            box,
            f"has schema version 99, this version of buildbot-http-status-push "
            f"knows up to {schema.SCHEMA.version}",
        )
        box.close()
        self.assertEqual(before, self.path.read_bytes())


class DiskTests(FaultCase):
    """The disk is full, or can't be written."""

    def setUp(self) -> None:
        """Make a small disk with an outbox."""
        super().setUp()
        self.disk: Disk = new_disk(self)
        self.box = self.open(file_url(self.disk.folder / "outbox.sqlite"))
        self.box.put(1)

    def check_memory_then_back(self) -> None:
        """Check that nothing is lost while the disk can't be written, nor afterwards."""
        big = a_delivery(2, "lane-2", body=bytes(50_000))
        self.assertEqual([True, True], self.box.put(big, 3))
        self.assertFalse(self.box.outbox.durable)
        self.box.record(self.box.claim(limit=1)[0], State.DELIVERED)
        self.wait_for_return(self.box)
        self.assertEqual([True], self.box.put(4))
        self.assert_told(self.box, "can't be used")
        self.disk.free()
        self.wait_for_return(self.box)
        wanted = [State.WAITING, State.DELIVERED, State.WAITING, State.WAITING]
        self.assertEqual(wanted, list(self.box.states().values()))
        self.assertTrue(self.box.outbox.durable)
        self.assertTrue(self.box.holds())
        self.assert_told(self.box, AGAIN)
        self.assertEqual(0, self.box.losses)

    def test_full(self) -> None:
        """While the disk is full, delivery goes on from memory."""
        self.disk.fill()
        self.check_memory_then_back()

    def test_read_only(self) -> None:
        """While the disk can't be written, delivery goes on from memory."""
        self.box.close()
        self.disk.protect()
        self.box = self.open(file_url(self.disk.folder / "outbox.sqlite"))
        self.check_memory_then_back()


class ServerTests(FaultCase):
    """The database server goes and comes back."""

    def each_driver(self) -> list[str]:
        """Return URLs of an empty database."""
        server().clear()
        return [server().url(driver) for driver in DRIVERS]

    def test_gone_and_back(self) -> None:
        """While the server is gone, delivery goes on from memory; then all is brought back."""
        for url in self.each_driver():
            server().clear()
            box = self.open(url)
            box.put(1)
            server().stop()
            try:
                self.assertEqual([True, True], box.put(2, 3))
                box.record(box.claim(limit=1)[0], State.DELIVERED)
                self.wait_for_return(box)
                self.assertFalse(box.outbox.durable)
            finally:
                server().start()
            self.assert_told(box, "statuses are kept in memory")
            self.wait_for_return(box)
            wanted = [State.WAITING, State.DELIVERED, State.WAITING]
            self.assertEqual(wanted, list(box.states().values()))
            self.assertTrue(box.holds())
            self.assert_told(box, AGAIN)

    def test_restarted(self) -> None:
        """A server that was restarted between two transactions is simply used again."""
        boxes = [self.open(url) for url in self.each_driver()]
        for number, box in enumerate(boxes):
            box.put(number)
        server().stop()
        server().start()
        for number, box in enumerate(boxes):
            self.assertEqual([False], box.put(number))
            self.assert_told(box)

    def test_cut_off(self) -> None:
        """A connection that breaks within a transaction loses nothing."""
        for number, url in enumerate(self.each_driver()):
            box = self.open(url)
            box.put(number)
            box.ask(cut_connection)
            self.assertFalse(box.outbox.durable)
            box.put(number + 10)
            self.wait_for_return(box)
            self.assertIn(f"msg_{number + 10}", box.states())

    def test_frozen_master(self) -> None:
        """A master that stands still amid a transaction is cut off, and the others go on."""
        url = self.each_driver()[0]
        self.hurry("5s", "500ms")
        box = self.open(url)
        frozen = open_database(url)
        self.addCleanup(frozen.close)
        stand_still = [lambda _: box.put(1), schema.SCHEMA.prepare]
        self.assertRaises(StorageError, frozen.transact, stand_still)
        self.assertEqual({"msg_1": State.WAITING}, box.states())
        self.assert_told(box)

    def test_busy_master(self) -> None:
        """While another master keeps the database busy, delivery goes on from memory."""
        url = self.each_driver()[0]
        box = self.open(url)
        box.put(1)
        self.hurry("10s", "200ms")
        busy = open_database(url)
        self.addCleanup(busy.close)
        busy.transact([lambda _: box.put(2)])
        self.assert_told(box, "lock timeout): statuses are kept in memory")
        self.wait_for_return(box)
        self.assertEqual(["msg_1", "msg_2"], [*box.states()])

    def hurry(self, long: str, short: str) -> None:
        """Shorten one of the times that a transaction begins with."""
        self.patch(
            database, "BEGIN_ON_POSTGRESQL", database.BEGIN_ON_POSTGRESQL.replace(long, short)
        )

    def test_refused(self) -> None:
        """What the server says is told in one line, without the password."""
        url = sa.engine.make_url(self.each_driver()[0])
        wrong = url.set(username="nobody", password="secret")
        box = self.open(wrong.render_as_string(hide_password=False))
        box.put(1)
        self.assertNotIn("secret", box.book.lines[0])
        self.assertNotIn("\n", box.book.lines[0])
        self.assert_told(box, "nobody")


def cut_connection(connection: Any) -> None:
    """Break a connection to a server, within the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))


def noise(size: int) -> bytes:
    """Return bytes without meaning, the same each time."""
    return hashlib.shake_128(b"noise").digest(size)
