"""A process that is killed loses nothing that it has acknowledged.

Run as a program, this file is the process that is killed.
"""

from __future__ import annotations

import os
import random
import sys
from itertools import count
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from support.fakes import a_delivery
from support.killing import Killer, say, serve
from support.outboxes import Box
from support.postgres import server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import Database, file_url
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.schema import open_database

pytestmark = pytest.mark.once

KILLS = int(os.environ.get("HTTP_STATUS_PUSH_KILLS", "15"))


def work(url: str, seed: int) -> NoReturn:
    """Put, claim and record for ever, and tell what has been committed."""
    chance = random.Random(seed)  # noqa: S311 - it must be repeatable
    box = Box(url)
    box.outbox.release()
    for number in count():
        body = chance.randbytes(chance.choice([10, 1000, 30_000]))
        lane = f"lane-{chance.randrange(5)}"
        names = [f"msg_{seed}-{number}-{nth}" for nth in range(chance.randint(1, 3))]
        puts = [a_delivery(seed, lane, id=name, subject=lane, body=body) for name in names]
        box.storage.transact([putting(box, each) for each in puts])
        say("put", *names)
        for claim in box.claim(limit=chance.randint(1, 3)):
            state = chance.choice([State.DELIVERED, State.DEAD, State.RETRYING, State.WAITING])
            if box.record(claim, state, wait=0.0) is State.DELIVERED:
                say("delivered", claim.delivery.id)
        if box.book.lines:
            say("trouble", *box.book.lines)


def putting(box: Box, delivery: Any) -> Any:
    """Return the operation that keeps a delivery."""
    return lambda connection: box.repository.put(connection, delivery, box.clock.seconds())


@pytest.mark.timeout(120 + KILLS)
class KillTests(SynchronousTestCase):
    """Kills at random moments."""

    def check(self, url: str, kills: int) -> Database:
        """Kill workers, and look after each what there is."""
        killer = Killer(__file__, url)
        self.addCleanup(killer.close)
        database = open_database(url)
        self.addCleanup(database.close)
        for seed in range(kills):
            killer.kill_one(seed)
            self.assertTrue(all(each.holds for each in database.transact([inspection.stats])[0]))
        acknowledged = killer.words("put")
        states = {entry.id: entry.state for entry in database.transact([inspection.entries])[0]}
        self.assertEqual(set(), set(acknowledged) - states.keys())
        self.assertEqual({State.DELIVERED}, {states[each] for each in killer.words("delivered")})
        self.assertGreater(len(acknowledged), kills)
        return database

    def test_sqlite(self) -> None:
        """No row is lost that was acknowledged, all is accounted for, and the file is sound."""
        database = self.check(file_url(self.mktemp()), KILLS)
        sound = sa.text("PRAGMA integrity_check")
        self.assertEqual("ok", database.transact([lambda one: one.execute(sound).scalar()])[0])

    def test_postgres(self) -> None:
        """No row is lost that was acknowledged, and all is accounted for."""
        server().clear()
        self.check(server().url(), KILLS // 5)


if __name__ == "__main__":
    serve(work, sys.argv[1])
