"""Requests that an outbox gathers for one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.fakes import LogBook, a_delivery
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import Disposition, State
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository

GATHER = 0.5


class GatherTest(SynchronousTestCase):
    """An outbox that lets some time pass between transactions."""

    def setUp(self) -> None:
        """Make one that counts its transactions."""
        self.clock = Clock()
        self.sizes: list[int] = []
        repository = DeliveryRepository("push", "master")
        storage = FallbackDatabase(
            None, repository, self.clock.seconds, lambda: None, LogBook().log
        )
        self.outbox = Outbox(self.clock, self.in_thread, storage, repository, GATHER)

    def in_thread(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run it here, and note how many requests it carries out."""
        self.sizes += [len(each) for each in arguments]
        return maybeDeferred(function, *arguments)

    def test_one_transaction(self) -> None:
        """What is asked for in one go is one transaction, in the order of the asking."""
        put = self.outbox.put(a_delivery())
        claim = self.outbox.claim(10, 60.0)
        self.assertNoResult(put)
        self.clock.advance(0)
        self.assertTrue(self.successResultOf(put))
        [found] = self.successResultOf(claim)
        self.assertEqual((found.delivery, self.sizes), (a_delivery(), [2]))

    def test_next_transaction(self) -> None:
        """So is what is asked for before the time has passed."""
        self.outbox.put(a_delivery(1))
        self.clock.advance(0)
        puts = [self.outbox.put(a_delivery(2))]
        self.clock.advance(GATHER * 0.9)
        puts.append(self.outbox.put(a_delivery(3)))
        self.assertNoResult(puts[0])
        self.clock.advance(GATHER * 0.1)
        self.assertEqual([True, True], [self.successResultOf(put) for put in puts])
        self.assertEqual(self.sizes, [1, 2])

    def test_a_clock_that_is_put_back(self) -> None:
        """It never waits longer than that."""
        self.clock.advance(3600)
        self.outbox.put(a_delivery(1))
        self.clock.advance(0)
        self.clock.rightNow -= 3600
        put = self.outbox.put(a_delivery(2))
        self.clock.advance(GATHER)
        self.assertTrue(self.successResultOf(put))

    def test_outcomes(self) -> None:
        """What becomes of several deliveries is written down at once, before all else."""
        for number in range(2):
            self.outbox.put(a_delivery(number, f"lane {number}"))
        claimed = self.outbox.claim(10, 60.0)
        self.clock.advance(0)
        waiting = self.outbox.waiting()
        disposition = Disposition(State.DELIVERED, "accepted with 200")
        ended = [self.outbox.record(each, disposition) for each in self.successResultOf(claimed)]
        self.clock.advance(GATHER)
        self.assertEqual([State.DELIVERED] * 2, [self.successResultOf(each) for each in ended])
        self.assertEqual((self.successResultOf(waiting), self.sizes), (0, [3, 2]))

    def test_closing(self) -> None:
        """What is being gathered when the outbox is closed is still carried out."""
        put = self.outbox.put(a_delivery())
        closed = self.outbox.close()
        self.clock.advance(0)
        self.assertTrue(self.successResultOf(put))
        self.successResultOf(closed)
