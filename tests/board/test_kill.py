"""A board that is killed loses no status that it has acknowledged.

Run as a program, this file is the process that is killed.
"""

from __future__ import annotations

import os
import random
import sys
from itertools import count
from typing import NoReturn

import pytest
import sqlalchemy as sa
from support.killing import Killer, say, serve
from support.postgres import server
from support.statuses import NOW, a_status
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.reading import Reading
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.writing import Arrival, Writing
from buildbot_http_status_push.database import Database, file_url

pytestmark = pytest.mark.once

KILLS = int(os.environ.get("HTTP_STATUS_PUSH_KILLS", "15"))


def work(url: str, seed: int) -> NoReturn:
    """Keep statuses for ever, some at a time, and tell what has been committed."""
    chance = random.Random(seed)  # noqa: S311 - it must be repeatable
    database = open_database(url)
    for number in count():
        numbers = [seed * 100_000 + number * 3 + nth for nth in range(chance.randint(1, 3))]
        results = chance.choice([None, 0, 2])
        text = "x" * chance.choice([10, 1000, 30_000])
        statuses = [a_status(each, results, state_string=text) for each in numbers]
        arrivals = [Arrival(each, NOW) for each in statuses]
        database.transact([lambda connection, some=arrivals: Writing(connection, {}).write(some)])
        say("kept", *numbers)


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
            [there] = database.transact([numbers_and_updates])
            kept, sequences = there
            self.assertEqual(sequences, [*range(1, len(sequences) + 1)])
            self.assertEqual(len(kept), len(sequences))
            self.assertEqual(set(killer.words("kept")) - kept, set())
        self.assertGreater(len(killer.words("kept")), kills)
        return database

    def test_sqlite(self) -> None:
        """All that was acknowledged is there, no number is missing, and the file is sound."""
        database = self.check(file_url(self.mktemp()), KILLS)
        sound = sa.text("PRAGMA integrity_check")
        self.assertEqual("ok", database.transact([lambda one: one.execute(sound).scalar()])[0])

    def test_postgres(self) -> None:
        """All that was acknowledged is there, and no number is missing."""
        server().clear()
        self.check(server().url(), KILLS // 5)


def numbers_and_updates(connection: sa.engine.Connection) -> tuple[set[str], list[int]]:
    """Return the numbers of all builds, and those of all updates."""
    reading = Reading(connection, BuilderCache(), 0.0)
    found = reading.builds(Filter(), None, 1_000_000, None)
    updates = reading.updates(0, 1_000_000)
    assert updates is not None
    return {str(each.number) for each in found}, [each.sequence for each in updates]


if __name__ == "__main__":
    serve(work, sys.argv[1])
