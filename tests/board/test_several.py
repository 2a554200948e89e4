"""Several boards on one PostgreSQL database, behind a load balancer."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest
from support.boards import ask
from support.commands import Command, temporary_folder
from support.following import Follower
from support.nginx import Nginx
from support.outboxes import result
from support.postgres import server
from support.statuses import NOW, a_body, as_bytes
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.results import FAILURE, SUCCESS

pytestmark = pytest.mark.once

PATIENCE = 60.0
BUILDS = 20


class SeveralTests(SynchronousTestCase):
    """Two boards, each a process of its own."""

    def setUp(self) -> None:
        """Start them."""
        server().clear()
        self.commands: dict[int, Command] = {}
        self.ports = [self.start_board(0) for _ in range(2)]
        self.posted: list[bytes] = []

    def start_board(self, port: int) -> int:
        """Start a board, and return its port."""
        command = Command("board", "--port", str(port), "--database", server().url())
        self.addCleanup(command.kill)
        port = int(command.line().partition("127.0.0.1:")[2].partition("/")[0])
        self.commands[port] = command
        return port

    def follow(self, port: int) -> Follower:
        """Let a browser follow."""
        follower = Follower(port)
        self.addCleanup(follower.stop)
        follower.start()
        return follower

    def post(self, port: int, body: bytes) -> bool:
        """Send a status once; tell whether it was taken."""
        try:
            return ask(port, "POST", "/", body).status == 200
        except OSError:
            return False

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for other processes."""
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "it takes too long")
            time.sleep(0.02)

    def position(self) -> int:
        """Return how many changes there have been."""
        return self.read(lambda store: store.latest.sequence)

    def read(self, what: Callable[[Store], object]) -> object:
        """Read the database as a board does."""
        clock = Clock()
        clock.advance(NOW)
        store = Store(clock, maybeDeferred, server().url())
        result(Deferred.fromCoroutine(store.open()))
        try:
            return what(store)
        finally:
            result(Deferred.fromCoroutine(store.close()))

    def test_one_tells_the_other(self) -> None:
        """What one takes, browsers on the other see at once, and its pages show it."""
        one, other = self.ports
        follower = self.follow(other)
        took = []
        for number in range(1, 4):
            began = time.monotonic()
            self.assertTrue(self.post(one, as_bytes(a_body(number))))
            self.assertIn(f'data-sequence="{number}"', ask(other, "GET", "/").text)
            self.until(lambda number=number: follower.sequence == number)
            took.append(time.monotonic() - began)
        # A loaded machine may make one of them late.
        self.assertLess(min(took), 2.0, "it was polled for")
        self.assertEqual((follower.faults, follower.snapshots), ([], 0))

    def test_same_delivery(self) -> None:
        """What is delivered to both is stored once."""
        answers = [ask(port, "POST", "/", as_bytes(a_body())).text for port in self.ports]
        self.assertEqual(answers, ["stored\n", "known already\n"])
        self.assertEqual(self.position(), 1)

    def test_trouble(self) -> None:
        """Behind a load balancer, a killed board and a restarted server leave no hole."""
        folder = temporary_folder(self)
        balancer = Nginx(folder, self.ports)
        self.addCleanup(balancer.stop)
        balancer.start(None)
        followers = [self.follow(balancer.port) for _ in range(6)]
        port = balancer.port
        for number in range(1, BUILDS + 1):
            self.send_surely(port, number, None)
            if number == BUILDS // 4:
                self.commands[self.ports[0]].interrupt(signal.SIGKILL)
            if number == BUILDS // 2:
                server().stop()
                server().start()
            if number == BUILDS * 3 // 4:
                self.start_board(self.ports[0])
            self.send_surely(port, number, FAILURE if number % 3 == 0 else SUCCESS)
        self.check(followers)

    def send_surely(self, port: int, number: int, results: int | None) -> None:
        """Send a status until it is taken, and once more, as after a lost answer."""
        body = as_bytes(a_body(number, results, builder=f"builder {number % 3}"))
        self.until(lambda: self.post(port, body))
        self.post(port, body)

    def check(self, followers: list[Follower]) -> None:
        """Check that the database has all, and that each browser was told all."""
        # One builder is bad from its first build on: one incident is opened, once.
        changes = 2 * BUILDS + 1
        self.until(lambda: self.position() == changes)
        builds = self.read(lambda store: result(store.builds(Filter())))
        wanted = {
            number: FAILURE if number % 3 == 0 else SUCCESS for number in range(1, BUILDS + 1)
        }
        self.assertEqual({each.number: each.results for each in builds}, wanted)
        self.until(lambda: all(each.sequence == changes for each in followers))
        self.assertEqual([each.faults for each in followers], [[]] * len(followers))
        self.assertEqual({each.snapshots for each in followers}, {0})
        self.assertGreater(sum(each.losses for each in followers), 0)
