"""PostgreSQL behind PgBouncer in transaction mode: outboxes, boards and masters share a pooler.

A transaction may run on another of the server's connections than the one before it, and what a
session has prepared or listens for is met there by other clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from buildbot.process.results import SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.boards import ask
from support.commands import Command
from support.following import Follower
from support.master import EndWith, Master, ReporterTestCase, configuration, create_database
from support.outboxes import Box
from support.pgbouncer import PgBouncer
from support.postgres import DRIVERS, server
from support.statuses import a_body, as_bytes
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.outbox.schema import deliveries
from buildbot_http_status_push.reporter import HttpStatusPush

pytestmark = pytest.mark.once

PATIENCE = 60.0
ROUNDS = 8
"""More than the five uses after which psycopg 3 prepares a statement by itself."""
NAMES = ("one", "two")


class PoolerTests(SynchronousTestCase):
    """What runs in this process, or in processes that this one waits for."""

    def setUp(self) -> None:
        """Start a pooler before an empty database."""
        server().clear()
        self.pooler = PgBouncer(server().socket_folder)
        self.addCleanup(self.pooler.stop)

    def test_outboxes(self) -> None:
        """Two masters' outboxes keep, claim and settle through it, with every driver."""
        for driver in DRIVERS:
            boxes = [Box(self.pooler.url(driver), owner=name, reporter=name) for name in NAMES]
            for number in range(1, len(boxes) * ROUNDS + 1):
                box = boxes[number % len(boxes)]
                self.assertEqual(box.put(number), [True])
                self.assertEqual(box.send(), [f"msg_{number}"])
            for box in boxes:
                self.assertEqual((box.book.lines, box.losses), ([], 0), driver)
                box.close()
            server().clear()

    def test_boards(self) -> None:
        """Two boards take statuses through it, and show each other's within a few seconds."""
        ports = [self.start_board() for _ in NAMES]
        follower = Follower(ports[1])
        self.addCleanup(follower.stop)
        follower.start()
        for number in range(1, len(ports) * ROUNDS + 1):
            port = ports[number % len(ports)]
            body = as_bytes(a_body(number, SUCCESS))
            self.assertEqual(ask(port, "POST", "/", body).text, "stored\n")
            self.assertEqual(ask(port, "GET", "/").status, 200)
        last = Follower(ports[0]).sequence
        self.until(lambda: follower.sequence == last)
        self.assertEqual((follower.faults, follower.snapshots), ([], 0))
        self.assertEqual(self.listening(), [])

    def start_board(self) -> int:
        """Start a board, and return its port."""
        command = Command("board", "--port", "0", "--database", self.pooler.url(DRIVERS[-1]))
        self.addCleanup(command.kill)
        return int(command.line().partition("127.0.0.1:")[2].partition("/")[0])

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for other processes."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "it takes too long")
            time.sleep(0.02)

    def listening(self) -> list[str]:
        """Return what the pool's connections to the server listen for: others would be told."""
        engine = sa.create_engine(self.pooler.url("psycopg2"))
        # Two transactions at once have both of them.
        with engine.connect() as one, engine.connect() as other:
            statement = sa.text("SELECT pg_listening_channels()")
            found = [*one.execute(statement).scalars(), *other.execute(statement).scalars()]
        engine.dispose()
        return found


class MastersTests(ReporterTestCase):
    """Two masters with one outbox."""

    timeout = 110

    @async_to_deferred
    async def test_one_outbox(self) -> None:
        """Each status goes out once, and is kept in the database behind the pooler."""
        server().clear()
        pooler = PgBouncer(server().socket_folder)
        self.addCleanup(pooler.stop)
        create_database(server().url())
        inbox, url = await self.open_inbox()
        masters = [
            await self.start(name, HttpStatusPush(url, outbox=pooler.url())) for name in NAMES
        ]
        for number in range(1, ROUNDS + 1):
            for name, master in zip(NAMES, masters, strict=True):
                await master.build(name)
            await inbox.until(4 * number)
        self.assertEqual(len(set(inbox.seen())), 4 * ROUNDS)
        self.assertEqual(inbox.receiver.tally.repeated, 0)
        engine = sa.create_engine(server().url())
        with engine.begin() as connection:
            count = sa.select(sa.func.count()).select_from(deliveries)
            self.assertEqual(connection.execute(count).scalar_one(), 4 * ROUNDS)
        engine.dispose()

    async def start(self, name: str, reporter: HttpStatusPush) -> Master:
        """Start one of the masters, whose own database is reached directly."""
        config = configuration([reporter], {name: [EndWith(SUCCESS)]})
        config |= {"multiMaster": True, "db": {"db_url": server().url()}}
        config["schedulers"][0].name = f"scheduler of {name}"
        folder = self.folder / name
        folder.mkdir()
        (folder / "state.sqlite").touch()  # its tables are elsewhere
        return await self.start_master(config, folder)
