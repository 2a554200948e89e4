"""What every outbox does, whether it is a SQLite file, a PostgreSQL database or memory."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from support.fakes import a_delivery
from support.outboxes import LEASE, NOW, Box, of_lane, result
from support.postgres import DRIVERS, server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import Operation, StorageError, file_url
from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    Delivery,
    Disposition,
    LeasedDelivery,
    State,
    Turn,
)
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.repository import KEPT_FOR, TIDIED_AT_ONCE, DeliveryRepository
from buildbot_http_status_push.outbox.schema import open_database

Case = SynchronousTestCase if TYPE_CHECKING else object


class Contract(Case):
    """What holds for every outbox."""

    def setUp(self) -> None:
        """Make an outbox, and count what it holds after the test."""
        self.box = Box(self.new_url())
        self.addCleanup(self.box.close)
        self.addCleanup(self.check_accounts)

    def new_url(self) -> str | None:
        """Return where an empty outbox may be."""
        raise NotImplementedError

    def check_accounts(self) -> None:
        """Check what is true after every test."""
        self.assertTrue(self.box.holds(), "produced = delivered + pending + dead + superseded")
        self.assertEqual([], self.box.book.lines)

    # keeping

    def test_put(self) -> None:
        """An id is kept once, whoever brings it again."""
        self.assertEqual([True, True, False], self.box.put(1, 2, 1))
        other = self.box.beside(owner="another master")
        self.assertEqual([False, True], other.put(2, 3))
        self.assertEqual(3, self.box.ask(inspection.stats)[0].produced)

    def test_known(self) -> None:
        """Ids are known from the first moment until long after they were sent."""
        self.box.put(1, 2)
        self.box.send()
        known = self.successResultOf(self.box.outbox.known(["msg_1", "msg_2", "msg_3"]))
        self.assertEqual({"msg_1", "msg_2"}, known)
        self.assertEqual(set(), self.successResultOf(self.box.outbox.known([])))

    def test_contents(self) -> None:
        """What is sent is what was put, to the byte."""
        body = bytes(range(256)) * 300
        given = a_delivery(1, "Lane ü", title="Bau läuft 🚧", content_type="x/y", body=body)
        empty = a_delivery(2, "other", body=b"", build=None)
        self.box.put(given, empty)
        self.assertEqual([given, empty], [claim.delivery for claim in self.box.claim()])

    def test_claim_facts(self) -> None:
        """A claim tells when a delivery came and how often it was tried."""
        self.box.put(1)
        self.box.clock.advance(5)
        self.box.send(State.WAITING)
        [claim] = self.box.claim()
        self.assertEqual((NOW, 1), (claim.created_at, claim.attempts))
        self.assertEqual(NOW, claim.delivery.created_at)

    def test_unstorable_text(self) -> None:
        """NUL and lone surrogates, from a property or an answer, do no harm."""
        self.box.put(a_delivery(1, "l\0\ud800", subject="s\0", title="t\0", event="e\udfff"))
        [claim] = self.box.claim()
        self.assertEqual("l\ufffd?", claim.delivery.lane)
        self.box.put(*of_lane("l\0\ud800", 2))
        self.assertEqual([], self.box.claim(), "it is the same lane still")
        outcome = self.box.outbox.record(claim, Disposition(State.DEAD, "answer: \0\ud800"))
        self.assertEqual(State.DEAD, self.successResultOf(outcome))
        self.assertEqual("answer: \ufffd?", self.box.entry(1).outcome)

    def test_reporters_apart(self) -> None:
        """Two reporters share an outbox, not their deliveries, lanes and subjects."""
        other = self.box.beside(reporter="second")
        self.box.put(*of_lane("lane", 1, subject="build"))
        other.put(*of_lane("lane", 2, 3, subject="build"))
        self.assertEqual(["msg_1"], self.box.claim_ids())
        self.assertEqual(["msg_2"], other.send())
        self.assertEqual(["msg_3"], other.send())
        self.assertEqual(State.WAITING, self.box.states()["msg_1"])
        self.assertEqual(0, self.successResultOf(other.outbox.waiting()))

    # order

    def test_lane_order(self) -> None:
        """A lane's deliveries are handed out one at a time, in the order they came."""
        self.box.put(*of_lane("lane", 3, 1, 2))
        sent = [self.box.send() for _ in range(4)]
        self.assertEqual([["msg_3"], ["msg_1"], ["msg_2"], []], sent)

    def test_lane_locked(self) -> None:
        """A lane is locked while one of its deliveries is handed out."""
        self.box.put(*of_lane("lane", 1, 2))
        [claim] = self.box.claim()
        self.assertEqual([], self.box.claim())
        self.assertEqual([], self.box.beside(owner="another master").claim())
        self.box.record(claim, State.WAITING)
        self.assertEqual(["msg_1"], self.box.claim_ids())

    def test_lanes_apart(self) -> None:
        """Lanes do not wait for each other; the oldest go first."""
        self.box.put(*of_lane("a", 1, 2), *of_lane("b", 3), *of_lane("c", 4))
        self.assertEqual(["msg_1", "msg_3"], self.box.claim_ids(limit=2))
        self.assertEqual(["msg_4"], self.box.claim_ids())

    def test_long_lane(self) -> None:
        """Lanes behind a long one are found, while that one is free and while it is not."""
        self.box.put(*of_lane("long", *range(1000, 1450)), *of_lane("a", 1), *of_lane("b", 2))
        self.assertEqual(["msg_1000", "msg_1"], self.box.claim_ids(limit=2))
        self.assertEqual(["msg_2"], self.box.claim_ids(limit=2))

    # what becomes of a delivery

    def test_delivered(self) -> None:
        """An accepted delivery keeps its row and loses its body."""
        self.box.put(1)
        self.box.clock.advance(1)
        self.box.send()
        entry = self.box.entry(1)
        self.assertEqual((State.DELIVERED, None), (entry.state, entry.size))
        self.assertEqual((1, "delivered"), (entry.attempts, entry.outcome))
        self.assertEqual((NOW, NOW + 1), (entry.created_at, entry.updated_at))
        self.assertEqual((None, 0.0), (entry.owner, entry.lease_until))
        self.assertEqual([], self.box.claim())

    def test_dead(self) -> None:
        """A dead delivery keeps its body, and its lane goes on."""
        self.box.put(*of_lane("lane", 1, 2))
        self.box.send(State.DEAD)
        self.assertEqual(State.DEAD, self.box.entry(1).state)
        self.assertEqual(a_delivery(1).body, self.box.ask(inspection.body, "msg_1"))
        self.assertEqual(["msg_2"], self.box.claim_ids())

    def test_retry_beside_lane(self) -> None:
        """A retry lets its lane go on, and comes when it is due and nothing waits there."""
        self.box.put(*of_lane("lane", 1, 2))
        self.box.send(State.RETRYING)
        self.assertEqual(["msg_2"], self.box.send(State.WAITING))
        self.box.clock.advance(30)
        self.assertEqual(["msg_2"], self.box.send(State.DEAD))
        self.assertEqual(["msg_1"], self.box.claim_ids())

    def test_retry_due(self) -> None:
        """A retry is not handed out before its time."""
        self.box.put(1)
        self.box.send(State.RETRYING)
        self.box.clock.advance(29.9)
        self.assertEqual([], self.box.claim())
        self.box.clock.advance(0.1)
        self.assertEqual(["msg_1"], self.box.send())
        self.assertIsNone(self.box.entry(1).next_attempt)

    def test_keeping_the_lane(self) -> None:
        """What is to be tried again soon keeps its lane until then, for other masters too."""
        self.box.put(*of_lane("lane", 1, 2))
        [claim] = self.box.claim()
        soon = Disposition(State.WAITING, "oops", NOW + 2)
        self.assertEqual(State.WAITING, result(self.box.outbox.record(claim, soon)))
        self.box.clock.advance(1.9)
        self.assertEqual([], self.box.claim())
        self.assertEqual([], self.box.beside("other").claim())
        self.assertEqual([], self.box.turn(Turn("lane")))
        self.box.clock.advance(0.1)
        [claim] = self.box.claim()
        self.assertEqual(("msg_1", 1), (claim.delivery.id, claim.attempts))

    def test_not_keeping_the_lane_over_a_restart(self) -> None:
        """A master that starts tries again at once, and takes nothing for sent in the meantime."""
        self.box.put(*of_lane("lane", 1, 2, subject="build"))
        [begin] = self.box.claim()
        self.box.record(begin, State.RETRYING)
        [end] = self.box.claim()
        result(self.box.outbox.record(end, Disposition(State.WAITING, "oops", NOW + 8)))
        result(self.box.outbox.release())
        self.assertEqual(State.RETRYING, self.box.entry(1).state)
        self.assertEqual(["msg_2"], self.box.claim_ids())

    def test_retry_order(self) -> None:
        """Of retries that are due, the one whose time came first goes first, in a lane too."""
        self.box.put(1, *of_lane("lane", 2, 3))
        for wait in (50.0, 40.0, 30.0):
            self.box.record(self.box.claim(limit=1)[0], State.RETRYING, wait)
        self.box.clock.advance(50)
        self.assertEqual(["msg_3", "msg_1"], self.box.send())
        self.assertEqual(["msg_2"], self.box.send())

    def test_retry_locks_lane(self) -> None:
        """While a retry is under way, nothing else of its lane is."""
        self.box.put(*of_lane("lane", 1, 2))
        self.box.send(State.RETRYING)
        self.box.send(State.RETRYING)
        self.box.clock.advance(30)
        self.assertEqual(["msg_1"], self.box.claim_ids())
        self.box.put(*of_lane("lane", 3))
        self.assertEqual([], self.box.claim())

    def test_waiting_before_retries(self) -> None:
        """What waits in its lane goes before retries, which fill up what is left."""
        self.box.put(1)
        self.box.send(State.RETRYING)
        self.box.clock.advance(30)
        self.box.put(2, 3)
        self.assertEqual(["msg_2", "msg_3", "msg_1"], self.box.claim_ids(limit=3))

    def test_superseded(self) -> None:
        """An accepted status makes older ones of its subject superfluous, no others."""
        older = of_lane("lane", 1, 2, subject="build-1")
        others = [*of_lane("lane", 3), *of_lane("lane", 4, 5, subject="build-1")]
        self.box.put(*older, *others)
        for _ in range(3):
            self.box.send(State.RETRYING)
        self.box.send()
        states = self.box.states()
        self.assertEqual([State.SUPERSEDED] * 2, [states["msg_1"], states["msg_2"]])
        self.assertEqual([State.RETRYING, State.WAITING], [states["msg_3"], states["msg_5"]])
        entry = self.box.entry(1)
        self.assertEqual((None, None), (entry.size, entry.next_attempt))
        self.assertEqual("a newer status (builds.finished) was accepted", entry.outcome)

    def test_not_superseded(self) -> None:
        """A newer status changes nothing about older ones that have come to an end."""
        self.box.put(*of_lane("lane", 1, 2, 3, subject="build-1"))
        for state in (State.DEAD, State.DELIVERED, State.DELIVERED):
            self.box.send(state)
        self.assertEqual(
            [State.DEAD, State.DELIVERED, State.DELIVERED], list(self.box.states().values())
        )

    def test_never_late(self) -> None:
        """A failed status is not tried again where a newer one of its subject was accepted."""
        earlier = Box(None)
        self.addCleanup(earlier.close)
        for number, state in enumerate(PENDING):
            subject = f"build-{number}"
            earlier.put(*of_lane(subject, number, subject=subject))
            [claim] = earlier.claim()
            self.box.put(*of_lane(subject, number + 10, subject=subject))
            self.assertEqual(1, len(self.box.send()))
            self.assertEqual(State.SUPERSEDED, self.box.record(claim, state))
            self.assertEqual(State.DELIVERED, self.box.states()[f"msg_{number + 10}"])

    def test_acceptances_first(self) -> None:
        """Of what ended at the same time, an older status that failed counts as superseded."""
        old, new = a_delivery(1, "a", subject="build-1"), a_delivery(2, "b", subject="build-1")
        earlier = Box(None)
        self.addCleanup(earlier.close)
        for box in (earlier, self.box):
            box.put(old, new)
        failed, accepted = (
            Disposition(State.RETRYING, "", NOW + 1),
            Disposition(State.DELIVERED, ""),
        )
        ended = list(zip(earlier.claim(), (failed, accepted), strict=True))
        found = self.box.ask(self.box.repository.record_all, ended, NOW)
        self.assertEqual([None, State.DELIVERED], found)
        self.assertEqual(
            (State.SUPERSEDED, 0), (self.box.entry(1).state, self.box.entry(1).attempts)
        )

    def test_legal_moves(self) -> None:
        """An outcome that comes too late changes nothing, unless it is an acceptance."""
        numbers = itertools.count(1)
        for state, found in itertools.product(State, State):
            with self.subTest(f"{state} to {found}"):
                number = next(numbers)
                claim = self.bring_to(state, number)
                before = evolve(self.box.entry(number), owner=None, lease_until=0.0)
                by_person = state not in PENDING and found in PENDING
                if found in MOVES[state] and not by_person:
                    self.assertEqual(found, self.box.record(claim, found))
                    self.assertEqual(found, self.box.entry(number).state)
                else:
                    self.assertIsNone(self.box.record(claim, found))
                    self.assertEqual(before, self.box.entry(number))
                self.send_all()

    def bring_to(self, state: State, number: int) -> LeasedDelivery:
        """Put a delivery, bring it to a state, and return a claim of it from before."""
        self.box.put(number)
        [claim] = self.box.claim()
        if state is State.SUPERSEDED:
            self.box.put(a_delivery(number + 1000, "other", subject=f"build-{number}"))
            self.box.send()
        else:
            self.box.record(claim, state)
        return claim

    def send_all(self) -> None:
        """Leave nothing to be sent."""
        self.box.clock.advance(LEASE)
        while self.box.send():
            pass

    def test_accounts(self) -> None:
        """Everything that was produced is delivered, pending, dead or superseded."""
        self.box.put(*of_lane("a", 1, 2, subject="s"), 3, 4, 5)
        for state in (State.RETRYING, State.DELIVERED, State.DEAD):
            [claim] = self.box.claim(limit=1)
            self.box.record(claim, state)
        [stats] = self.box.ask(inspection.stats)
        wanted = {State.SUPERSEDED: 1, State.DELIVERED: 1, State.DEAD: 1, State.WAITING: 2}
        self.assertEqual({**wanted, State.RETRYING: 0}, stats.states)
        self.assertEqual((5, 2), (stats.produced, stats.pending))

    def test_counts(self) -> None:
        """What waits is counted, and the oldest build known that has something to wait for."""
        outbox = self.box.outbox
        self.assertEqual(0, self.successResultOf(outbox.waiting()))
        self.assertIsNone(self.successResultOf(outbox.oldest_pending_build()))
        self.box.put(a_delivery(1, "a", build=None), 7, 8, 9)
        for state in (State.DEAD, State.DELIVERED, State.RETRYING):
            self.box.record(self.box.claim(limit=1)[0], state)
        self.assertEqual(2, self.successResultOf(outbox.waiting()))
        self.assertEqual(8, self.successResultOf(outbox.oldest_pending_build()))

    # leases

    def test_release_all(self) -> None:
        """What a master took and did not try is free again, what others took is not."""
        other = self.box.beside(owner="another master")
        self.box.put(1, 2, 3)
        self.box.claim(limit=1)
        other.claim(limit=1)
        self.successResultOf(self.box.outbox.release())
        self.assertEqual(["msg_1", "msg_3"], self.box.claim_ids())

    def test_release_some(self) -> None:
        """Some of what a master took can be given back."""
        other = self.box.beside(owner="another master")
        self.box.put(1, 2, 3)
        claims = self.box.claim()
        sequences = [claim.sequence for claim in claims[1:]]
        self.successResultOf(other.outbox.release(sequences))
        self.assertEqual([], self.box.claim())
        self.successResultOf(self.box.outbox.release(sequences))
        self.assertEqual(["msg_2", "msg_3"], self.box.claim_ids())

    def test_lease_ends(self) -> None:
        """What a master took and never came back with is taken over by another one."""
        other = self.box.beside(owner="another master")
        self.box.put(*of_lane("lane", 1, 2))
        self.box.claim()
        self.box.clock.advance(LEASE - 0.1)
        self.assertEqual([], other.claim())
        self.box.clock.advance(0.1)
        self.assertEqual(["msg_1"], other.claim_ids())

    def test_renewed(self) -> None:
        """What a master renews stays its own; what another one has taken over does not."""
        other = self.box.beside(owner="another master")
        self.box.put(1, 2)
        sequences = [claim.sequence for claim in self.box.claim()]
        self.box.clock.advance(LEASE - 0.1)
        until = self.successResultOf(self.box.outbox.renew(sequences[:1], LEASE))
        self.assertEqual(self.box.clock.seconds() + LEASE, until)
        self.box.clock.advance(0.1)
        self.assertEqual(["msg_2"], other.claim_ids())
        taken = self.box.entry(2)
        self.assertEqual("another master", taken.owner)
        self.box.clock.advance(1)
        self.successResultOf(self.box.outbox.renew(sequences, LEASE))
        self.assertEqual(taken, self.box.entry(2))
        self.assertEqual(self.box.clock.seconds() + LEASE, self.box.entry(1).lease_until)

    def test_taken_over(self) -> None:
        """A master that comes back too late does not free what another one is sending."""
        other = self.box.beside(owner="another master")
        self.box.put(*of_lane("lane", 1, 2))
        [claim] = self.box.claim()
        self.box.clock.advance(LEASE)
        [taken] = other.claim()
        self.assertIsNone(self.box.record(claim, State.RETRYING))
        self.assertEqual("another master", self.box.entry(1).owner)
        self.assertEqual(State.DELIVERED, self.box.record(claim, State.DELIVERED))
        self.assertIsNone(other.record(taken, State.DELIVERED))
        self.assertEqual(["msg_2"], self.box.claim_ids())

    # groups that fail

    def test_held(self) -> None:
        """Nothing of the groups that are held is taken; the others come in order, then retries."""
        self.box.put(*(a_delivery(number, f"lane {number}", group="bad") for number in (1, 2)))
        self.box.put(a_delivery(3, "lane 3", group="a"))
        self.box.record(self.box.claim(held=["bad"])[0], State.RETRYING)
        self.box.put(a_delivery(4, "lane 4", group="b"), a_delivery(5, "lane 5", group="a"))
        self.box.clock.advance(30)
        held = ["bad", "unknown"]
        self.assertEqual(["msg_4", "msg_5", "msg_3"], self.box.claim_ids(held=held))
        self.assertEqual(["msg_1", "msg_2"], self.box.claim_ids())

    def test_held_lane(self) -> None:
        """What follows one of another group in its lane waits for it, and a retry for both."""
        self.box.put(*(a_delivery(each, "lane", group="a") for each in (1, 2)))
        self.box.record(self.box.claim()[0], State.RETRYING)
        self.box.put(a_delivery(3, "lane", group="b"))
        self.box.clock.advance(30)
        self.assertEqual([], self.box.claim_ids(held=["a"]))
        self.assertEqual(["msg_2"], self.box.claim_ids(held=["b"]))

    def test_turns(self) -> None:
        """One of each group is taken, of as many as are asked for, with and without a backlog."""
        self.box.put(*(a_delivery(each, f"lane {each}", group=f"g{each % 3}") for each in range(9)))
        turns = Turn("none"), Turn("g2"), Turn("g0"), Turn("g1")
        self.assertEqual(["msg_2", "msg_0"], self.box.turn(*turns, limit=2))
        self.assertEqual(["msg_5", "msg_3", "msg_1"], self.box.turn(*turns))

    def test_turn_order(self) -> None:
        """A group tries first what it never tried, then its lanes in turn, each lane's first."""
        self.box.put(*(a_delivery(each, f"lane {each % 2}", group="g") for each in range(1, 5)))
        self.box.put(a_delivery(5, "lane 5", group="g"))
        self.assertEqual(["msg_1"], self.turn(Turn("g")))
        self.assertEqual(["msg_2"], self.turn(Turn("g", last=1, highest=1)))
        self.assertEqual(["msg_5"], self.turn(Turn("g", last=2, highest=2)))
        self.assertEqual(["msg_1"], self.turn(Turn("g", last=5, highest=5)))
        self.assertEqual(["msg_2"], self.turn(Turn("g", last=1, highest=5)))
        self.assertEqual([], self.turn(Turn("g", last=1, highest=5, untried=True)))
        self.assertEqual(["msg_5"], self.turn(Turn("g", last=1, highest=2, untried=True)))

    def test_turn_busy_lane(self) -> None:
        """Lanes that have an attempt under way are left alone."""
        self.box.put(*(a_delivery(each, f"lane {each}", group="g") for each in (1, 2)))
        self.box.claim(limit=1)
        self.assertEqual(["msg_2"], self.turn(Turn("g")))

    def test_turn_retry(self) -> None:
        """Where nothing waits a retry that is due is tried, unless it must be a new one."""
        self.box.put(a_delivery(1, "lane", group="g"))
        self.box.send(State.RETRYING)
        self.assertEqual([], self.turn(Turn("g")))
        self.box.clock.advance(30)
        self.assertEqual([], self.turn(Turn("g", untried=True)))
        self.assertEqual(["msg_1"], self.turn(Turn("g")))

    def test_turn_newer(self) -> None:
        """In doubt the newest of the build that heads the lane is tried, if it is not alone."""
        same = of_lane("a", 1, 2, 3, subject="build-1")
        self.box.put(*(evolve(each, group="g") for each in (*same, *of_lane("a", 4))))
        self.box.put(a_delivery(5, "b", group="g"))
        self.assertEqual(["msg_3"], self.turn(Turn("g", newer_in="a")))
        self.assertEqual(["msg_1"], self.turn(Turn("g", newer_in="b")))
        self.box.claim(limit=1)
        self.assertEqual(["msg_5"], self.turn(Turn("g", newer_in="a")))

    def turn(self, turn: Turn) -> list[str]:
        """Return what a group's turn takes, and give it back."""
        claims = result(self.box.outbox.claim(1, LEASE, turns=[turn]))
        self.successResultOf(self.box.outbox.release([claim.sequence for claim in claims]))
        return [claim.delivery.id for claim in claims]

    # the end

    def test_give_up(self) -> None:
        """What waited too long in a group that fails is dead, with its body; the rest waits."""
        self.box.put(*of_lane("lane", 1, 2))
        self.box.send(State.RETRYING)
        self.box.put(4)
        self.box.clock.advance(1)
        self.box.put(3)
        self.successResultOf(self.box.outbox.give_up(["lane", "lane-3"], created_before=NOW + 1))
        self.assertEqual(
            [State.DEAD, State.DEAD, State.WAITING, State.WAITING], [*self.box.states().values()]
        )
        entry = self.box.entry(1)
        self.assertEqual((len(a_delivery().body), None), (entry.size, entry.next_attempt))
        self.assertIn("could not be reached", str(entry.outcome))

    def test_given_up_under_way(self) -> None:
        """An attempt that ends after its delivery was given up frees the lane."""
        self.box.put(*of_lane("lane", 1))
        [claim] = self.box.claim()
        self.box.clock.advance(1)
        self.box.put(*of_lane("lane", 2))
        self.successResultOf(self.box.outbox.give_up(["lane"], created_before=NOW + 1))
        self.assertEqual([], self.box.claim())
        self.assertIsNone(self.box.record(claim, State.WAITING))
        self.assertEqual(State.DEAD, self.box.entry(1).state)
        self.assertEqual(["msg_2"], self.box.claim_ids())

    def test_pull_back(self) -> None:
        """Times that lie further ahead than any can are now; the others stay."""
        self.box.clock.advance(400 * 86400.0)
        self.box.put(1, 2)
        self.box.send(State.RETRYING)
        self.box.beside(owner="another master").put(3)
        self.box.beside(owner="another master").claim()
        self.box.clock.rightNow = NOW  # type: ignore[misc]  # a clock that is set back
        self.box.put(4)
        self.box.record(self.box.claim(limit=1)[0], State.RETRYING)
        self.assertEqual([], self.box.claim_ids())
        self.successResultOf(self.box.outbox.clamp_future_times(wait=3600.0, lease=300.0))
        self.assertEqual([NOW] * 4, [self.box.entry(each).created_at for each in range(1, 5)])
        self.assertEqual(["msg_3", "msg_1", "msg_2"], self.box.claim_ids())
        self.assertEqual(NOW + 30, self.box.entry(4).next_attempt)

    def test_tidy(self) -> None:
        """What ended is kept for 30 days, and counted for ever."""
        self.box.put(1, 2, *of_lane("lane", 3, 4, subject="s"), 5)
        for state in (State.DELIVERED, State.DEAD, State.RETRYING, State.DELIVERED):
            self.box.record(self.box.claim(limit=1)[0], state)
        before = self.box.ask(inspection.stats)
        self.box.clock.advance(KEPT_FOR)
        self.assertFalse(self.successResultOf(self.box.outbox.tidy()))
        self.assertEqual(5, len(self.box.states()))
        self.box.clock.advance(1)
        self.assertFalse(self.successResultOf(self.box.outbox.tidy()))
        self.assertEqual({"msg_5": State.WAITING}, self.box.states())
        [counted] = before
        self.assertEqual([evolve(counted, given_up=0)], self.box.ask(inspection.stats))

    def test_tidy_all_reporters(self) -> None:
        """What a reporter left behind that was renamed is tidied by the others."""
        renamed = self.box.beside(reporter="old name")
        renamed.put(1)
        renamed.send()
        self.box.clock.advance(KEPT_FOR + 1)
        self.assertFalse(self.successResultOf(self.box.outbox.tidy()))
        [stats] = self.box.ask(inspection.stats)
        self.assertEqual(("old name", 1), (stats.reporter, stats.states[State.DELIVERED]))

    def test_tidy_in_portions(self) -> None:
        """Much is tidied in portions, so that others get their turn."""
        numbers = range(TIDIED_AT_ONCE + 1)
        self.box.put(*(a_delivery(number, f"lane-{number}", group="g") for number in numbers))
        self.successResultOf(self.box.outbox.give_up(["g"], created_before=NOW + 1))
        self.box.clock.advance(KEPT_FOR + 1)
        tidied = [self.successResultOf(self.box.outbox.tidy()) for _ in range(2)]
        self.assertEqual([True, False], tidied)
        self.assertEqual({}, self.box.states())

    # from one outbox to another

    def test_unknown_attempts(self) -> None:
        """The attempts that were made for a lost outbox count."""
        earlier = Box(None)
        self.addCleanup(earlier.close)
        earlier.put(1)
        earlier.send(State.WAITING)
        [claim] = earlier.claim()
        self.box.record(claim, State.RETRYING)
        self.assertEqual(2, self.box.entry(1).attempts)

    def test_unknown_claim(self) -> None:
        """A delivery from an outbox that was lost is kept, and is older than all others."""
        earlier = Box(None)
        self.addCleanup(earlier.close)
        earlier.put(1, 2)
        start, other = earlier.claim()
        finish = a_delivery(3, "lane-1", subject="build-1")
        self.box.put(finish)
        self.assertEqual(State.DELIVERED, self.box.record(start, State.DELIVERED))
        self.assertEqual(State.WAITING, self.box.record(other, State.WAITING))
        self.assertEqual(State.WAITING, self.box.states()["msg_3"])
        self.assertEqual(["msg_2", "msg_3"], self.box.claim_ids())
        self.assertEqual([True, False], self.box.put(4, 1))


class MemoryContractTests(Contract, SynchronousTestCase):
    """Memory only."""

    def new_url(self) -> None:
        """Name nothing."""


class SqliteContractTests(Contract, SynchronousTestCase):
    """A SQLite file."""

    def new_url(self) -> str:
        """Name a file that does not exist."""
        return file_url(self.mktemp())


class PostgresContractTests(Contract, SynchronousTestCase):
    """A PostgreSQL database, with the driver that SQLAlchemy takes if none is named."""

    driver = ""

    def new_url(self) -> str:
        """Name an empty database."""
        server().clear()
        return server().url(self.driver)


class Psycopg2ContractTests(PostgresContractTests):
    """A PostgreSQL database, with psycopg2."""

    driver = "psycopg2"


if "psycopg" in DRIVERS:

    class PsycopgContractTests(PostgresContractTests):
        """A PostgreSQL database, with psycopg 3."""

        driver = "psycopg"


ATTEMPTS = 5
"""How often a master begins a transaction, each time waiting for the lock as the outbox does."""


class Master(Thread):
    """A master that puts deliveries, takes whatever there is, and sends it.

    Args:
        name: Its name.
        url: The outbox that it shares with others.
        puts: What it puts, one after the other.
        receiver: Whom it sends to.
    """

    def __init__(self, name: str, url: str, puts: list[Delivery], receiver: Receiver) -> None:
        super().__init__(name=name)
        self.trouble: Exception | None = None
        self._repository = DeliveryRepository("push", name)
        self._database = open_database(url)
        self._puts = puts
        self._receiver = receiver

    def run(self) -> None:
        """Work until all that was put anywhere is delivered."""
        try:
            for delivery in self._puts:
                self._transact(partial(self._repository.put, delivery=delivery, now=NOW))
                self._send()
            while not self._receiver.is_done():
                self._send()
        except Exception as trouble:
            self.trouble = trouble
            self._receiver.is_given_up = True
        finally:
            self._database.close()

    def _send(self) -> None:
        claim = partial(self._repository.claim, now=NOW, lease=LEASE, limit=3)
        disposition = Disposition(State.DELIVERED, "accepted")
        for each in self._transact(claim):
            self._receiver.begin(each)
            self._transact(self._repository.waiting)  # some time passes
            self._receiver.end(each)
            record = partial(self._repository.record, claim=each, disposition=disposition, now=NOW)
            self._transact(record)

    def _transact(self, operation: Operation) -> Any:
        """Run a transaction; again where the others, on a slow disk, hold the lock for long."""
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(StorageError):
                [result] = self._database.transact([operation])
                return result
        [result] = self._database.transact([operation])
        return result


class Receiver:
    """Notes what it is sent, and whether two of a lane come at once.

    Args:
        wanted: How many deliveries there will be.
    """

    def __init__(self, wanted: int) -> None:
        self.received: list[LeasedDelivery] = []
        self.collisions: list[LeasedDelivery] = []
        self.is_given_up = False
        self._wanted = wanted
        self._busy_lanes: set[str] = set()
        self._lock = Lock()

    def begin(self, claim: LeasedDelivery) -> None:
        """Begin to receive a delivery."""
        with self._lock:
            self.received.append(claim)
            if claim.delivery.lane in self._busy_lanes:
                self.collisions.append(claim)
            self._busy_lanes.add(claim.delivery.lane)

    def end(self, claim: LeasedDelivery) -> None:
        """Accept it."""
        with self._lock:
            self._busy_lanes.discard(claim.delivery.lane)

    def is_done(self) -> bool:
        """Tell whether everything came, or never will."""
        with self._lock:
            return self.is_given_up or len(self.received) >= self._wanted


@pytest.mark.timeout(300)
class SharedTests(SynchronousTestCase):
    """Several masters with one outbox."""

    def check(self, url: str) -> None:
        """Let three masters put and send at the same time, in the same lanes."""
        receiver = Receiver(wanted=60)
        puts = [[a_delivery(20 * n + i, f"lane-{i % 5}") for i in range(20)] for n in range(3)]
        masters = [Master(f"master-{n}", url, puts[n], receiver) for n in range(3)]
        for master in masters:
            master.start()
        for master in masters:
            master.join()
        self.assertEqual([None] * 3, [master.trouble for master in masters])
        ids = [claim.delivery.id for claim in receiver.received]
        self.assertEqual(60, len(set(ids)), "each is sent")
        self.assertEqual(60, len(ids), "none is sent twice")
        self.assertEqual([], receiver.collisions)
        for lane in range(5):
            places = [c.sequence for c in receiver.received if c.delivery.lane == f"lane-{lane}"]
            self.assertEqual(sorted(places), places)

    def test_sqlite(self) -> None:
        """No delivery is sent twice and no lane out of order, from a shared file."""
        self.check(file_url(self.mktemp()))

    def test_postgres(self) -> None:
        """No delivery is sent twice and no lane out of order, from a shared database."""
        for driver in DRIVERS:
            server().clear()
            self.check(server().url(driver))
