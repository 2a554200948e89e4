"""A process that is killed loses nothing that it has acknowledged.

Run as a program, this file is the process that is killed: it waits for seeds, and forks a worker
for each, since to import everything anew for every kill would take most of the time.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import pytest
import sqlalchemy as sa
from support.fakes import a_delivery
from support.outboxes import Box
from support.postgres import server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import Database, file_url
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.schema import open_database

KILLS = int(os.environ.get("HTTP_STATUS_PUSH_KILLS", "15"))
ENDED = "ended"
MOST_ACKNOWLEDGED = 8
LONGEST_DELAY = 0.004
PATIENCE = 60.0
TESTS = str(Path(__file__).parents[1])


def main(url: str) -> None:
    """Fork a worker for each seed that is read; end with the input."""
    for seed in sys.stdin:
        worker = os.fork()
        if worker == 0:
            work(url, int(seed))
        say("worker", worker)
        os.waitpid(worker, 0)
        say(ENDED)


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
    return lambda connection: box.ledger.put(connection, delivery, box.clock.seconds())


def say(*words: object) -> None:
    """Write a line at once; one of a pipe's writers at a time is enough for that."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Killer:
    """Has workers, and kills them.

    Args:
        url: The outbox that they work with.
    """

    def __init__(self, url: str) -> None:
        self.acknowledged: list[str] = []
        self.delivered: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, __file__, url],
            env={**os.environ, "PYTHONPATH": TESTS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def kill_one(self, seed: int) -> None:
        """Let a worker work for some time, and kill it."""
        chance = random.Random(seed)  # noqa: S311 - it must be repeatable
        print(seed, file=self._process.stdin)
        worker = int(self._line()[1])
        for _ in range(chance.randrange(MOST_ACKNOWLEDGED)):
            self._note(self._line())
        time.sleep(chance.uniform(0, LONGEST_DELAY))  # any moment is the right one
        os.kill(worker, signal.SIGKILL)
        while (line := self._line()) != [ENDED]:
            self._note(line)

    def _line(self) -> list[str]:
        line = self._process.stdout.readline().split()
        if not line:
            raise EOFError("the process ended by itself")
        return line

    def _note(self, line: list[str]) -> None:
        if line[0] == "trouble":
            raise AssertionError(line)
        (self.acknowledged if line[0] == "put" else self.delivered).extend(line[1:])

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=PATIENCE)


@pytest.mark.timeout(120 + KILLS)
class KillTests(SynchronousTestCase):
    """Kills at random moments."""

    def check(self, url: str, kills: int) -> Database:
        """Kill workers, and look after each what there is."""
        killer = Killer(url)
        self.addCleanup(killer.close)
        database = open_database(url)
        self.addCleanup(database.close)
        for seed in range(kills):
            killer.kill_one(seed)
            self.assertTrue(all(each.holds for each in database.transact([inspection.stats])[0]))
        states = {entry.id: entry.state for entry in database.transact([inspection.entries])[0]}
        self.assertEqual(set(), set(killer.acknowledged) - states.keys())
        self.assertEqual({State.DELIVERED}, {states[each] for each in killer.delivered})
        self.assertGreater(len(killer.acknowledged), kills)
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
    main(sys.argv[1])
