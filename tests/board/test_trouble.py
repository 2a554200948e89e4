"""A board that can't write: what it logs, what it says to programs, and what browsers see."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from support.boards import BoardCase
from support.disks import new_disk
from support.fakes import LogBook
from support.outboxes import result
from support.statuses import NOW, a_status
from support.threads import LaterThread
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.writing import Stored
from buildbot_http_status_push.database import StorageError, file_of, file_url

FAILED = "storing statuses failed: "
AGAIN = "storing statuses works again"


class DiskTest(SynchronousTestCase):
    """A board whose disk can be full."""

    def test_full(self) -> None:
        """A full disk is logged once, whatever comes; that it is over too."""
        disk, clock, book = new_disk(self), Clock(), LogBook()
        clock.advance(NOW)
        url = file_url(disk.folder / "board.sqlite")
        store = Store(clock, LaterThread(), url, {}, book.log)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        self.assertEqual(result(store.put(a_status(1))), Stored.NEW)
        disk.fill()
        for number in range(2, 6):
            self.failureResultOf(store.put(a_status(number)), StorageError)
        self.assertEqual((len(book.lines), store.is_storing), (1, False))
        self.assertIn(FAILED, book.lines[0])
        disk.free()
        for number in range(2, 6):
            self.assertEqual(result(store.put(a_status(number))), Stored.NEW)
        self.assertEqual((book.lines[1:], store.is_storing), ([AGAIN], True))
        self.assertEqual(book.levels, ["error", "info"])


class LockedTests(BoardCase):
    """A board whose database somebody else has locked."""

    async def test_locked(self) -> None:
        """Senders, metrics, the log and browsers are told, once each, and that it is over."""
        await self.put(1)
        path, here = file_of(self.url), self.board.store.latest
        polled = f"/live/updates?epoch={here.epoch}&since={here.sequence}"
        self.assertEqual((await self.get(polled)).status, 204)
        self.assertIn("buildbot_board_storing 1", (await self.get("/metrics")).text)
        with closing(sqlite3.connect(str(path))) as db:
            db.execute("BEGIN IMMEDIATE")
            for _ in range(2):
                self.assertEqual((await self.put(2)).status, 503)
            self.assertIn("buildbot_board_storing 0", (await self.get("/metrics")).text)
            frame = json.loads((await self.get(polled)).text)
            self.assertEqual((frame["sequence"], frame["storing"]), (here.sequence, False))
        self.assertEqual((await self.put(2)).status, 200)
        frame = json.loads((await self.get(polled)).text)
        self.assertEqual((frame["sequence"], frame["storing"]), (here.sequence + 1, True))
        self.assertEqual(
            [line.partition(":")[0] for line in self.book.lines], [FAILED.partition(":")[0], AGAIN]
        )

    async def test_metrics_without_database(self) -> None:
        """What the process knows by itself is measured though the database can't be read."""
        await self.put(1)
        path = file_of(self.url)
        assert path is not None
        path.unlink()
        path.mkdir()
        told = await self.get("/metrics")
        self.assertEqual(told.status, 200)
        self.assertIn("buildbot_board_browsers 0", told.text)
        self.assertNotIn("buildbot_board_builds{", told.text)
        path.rmdir()
