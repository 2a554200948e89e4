"""Which groups pass and which fail, whether the receiver is down, whose fault a failure is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.fakes import a_delivery
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.circuit_breaker import (
    REMEMBERED,
    Attempt,
    CircuitBreaker,
    is_past,
)
from buildbot_http_status_push.model import Accepted, LeasedDelivery, Outcome, Refused, Unreachable

OK, DOWN, BROKEN, REFUSED = Accepted(200), Unreachable("refused"), Refused(500), Refused(400)
outcomes = st.sampled_from([OK, DOWN, BROKEN, REFUSED, Refused(429), Refused(503, "", 90.0)])


class BreakerTestCase(SynchronousTestCase):
    """One receiver."""

    def setUp(self) -> None:
        """Begin with a receiver of which nothing is known."""
        self.breaker = CircuitBreaker()
        self.number = 0

    def begin(
        self, group: str, delivery: str = "", tried: int = 0, now: float = 0.0, lane: str = ""
    ) -> Attempt:
        """Begin an attempt with a new delivery, or with a certain one."""
        self.number += 1
        what = a_delivery(self.number, lane or f"lane {self.number}", group=group)
        if delivery:
            what = a_delivery(self.number, lane or group, group=group, id=delivery)
        claim = LeasedDelivery(what, 0.0, tried, self.number, 0.0, more=False)
        return self.breaker.begin(claim, now, 0.5)

    def end(self, attempt: Attempt, outcome: Outcome, now: float = 0.0) -> int:
        """End an attempt, with the jitter in its middle."""
        return self.breaker.observe(outcome, attempt, now, 0.5)

    def attempt(self, group: str, outcome: Outcome, now: float = 0.0, delivery: str = "") -> int:
        """Make an attempt that ends at once."""
        return self.end(self.begin(group, delivery, now=now), outcome, now)

    def turns(self, now: float = 0.0, *busy: str) -> list[str]:
        """Return the groups whose turn it is."""
        return [turn.group for turn in self.breaker.turns(now, busy)]

    def may_pass(self, now: float) -> bool:
        """Tell whether a group that passes may send something."""
        return is_past(self.breaker.passing_at(now), now)


class GroupTest(BreakerTestCase):
    """One group that fails among others."""

    def test_passing(self) -> None:
        """At first all groups pass, and as long as they are accepted."""
        self.attempt("a", OK)
        self.assertEqual(list(self.breaker.failing), [])
        self.assertTrue(self.may_pass(0.0))
        self.assertEqual(self.breaker.accepted, 1)

    def test_backing_off(self) -> None:
        """A group that fails among others is tried after 2 s, 4 s and so on, up to 60 s."""
        self.attempt("a", BROKEN)
        self.attempt("b", OK)
        # What failed while nothing else was answered is tried once more at once.
        self.assertEqual(self.turns(), ["a"])
        waits, now = [], 0.0
        for _ in range(7):
            self.attempt("a", BROKEN, now)
            self.attempt("b", OK, now)
            due = self.breaker.next_moment(now)
            assert due is not None
            self.assertEqual(self.turns(due - 0.1), [])
            self.assertEqual(self.turns(due), ["a"])
            waits.append(due - now)
            now = due
        self.assertEqual(waits, [2, 4, 8, 16, 32, 60, 60])

    def test_others_go_on(self) -> None:
        """The groups that pass are not held up by one that fails, whatever is asked for."""
        self.attempt("b", OK)
        for outcome in (BROKEN, DOWN, Refused(429), Refused(503, "", 60.0)):
            self.attempt("a", outcome)
            self.attempt("b", OK)
            self.assertTrue(self.may_pass(0.0))
            self.assertEqual(list(self.breaker.failing), ["a"])

    def test_recovery(self) -> None:
        """What is accepted lets its group pass again, with nothing remembered."""
        for _ in range(5):
            self.attempt("a", BROKEN)
        self.attempt("a", OK)
        self.assertEqual(list(self.breaker.failing), [])
        self.attempt("a", BROKEN, 100.0)
        self.assertEqual(self.breaker.next_moment(100.0), 101.0)

    def test_one_slot(self) -> None:
        """A group that fails has no second attempt under way."""
        self.attempt("b", OK)
        self.attempt("a", BROKEN)
        self.assertEqual(self.turns(1.0), ["a"])
        self.assertEqual(self.turns(1.0, "a"), [])

    def test_in_turn(self) -> None:
        """The group that was tried least recently comes first."""
        for group in "abc":
            self.attempt(group, BROKEN)
        self.attempt("d", OK)
        self.assertEqual(self.turns(), ["a", "b", "c"])
        self.begin("a")
        self.assertEqual(self.turns(), ["b", "c", "a"])

    def test_asked_to_wait(self) -> None:
        """A group that was asked to wait does, for an hour at most."""
        self.attempt("b", OK)
        self.attempt("a", Refused(429, "", 90.0))
        self.attempt("b", OK)
        self.assertEqual(self.turns(89.0), [])
        self.assertEqual(self.turns(90.0), ["a"])
        self.attempt("a", Refused(429, "", 1e9), 100.0)
        self.assertEqual(self.turns(3699.0), [])
        self.assertEqual(self.turns(3700.0), ["a"])

    def test_poison(self) -> None:
        """One status that always fails does not hold up new ones of its group for long."""
        self.attempt("b", OK)
        for number in range(9):
            self.end(self.begin("a", "poison", number), BROKEN)
            self.attempt("b", OK)
        self.assertEqual(self.turns(0.5), [])
        [turn] = self.breaker.turns(1.0)
        self.assertTrue(turn.untried)
        [turn] = self.breaker.turns(60.0)
        self.assertFalse(turn.untried)

    def test_refusal(self) -> None:
        """After one status is refused for its content the next follows at once, then later."""
        waits = []
        for _ in range(8):
            self.attempt("a", REFUSED)
            due = self.breaker.next_moment(0.0)
            waits.append(0.0 if self.turns() else due)
        self.assertEqual(waits, [0, 1, 2, 4, 8, 15, 15, 15])

    def test_places(self) -> None:
        """A turn tells where in its backlog a group was tried, so that another one comes next."""
        for _ in range(2):
            self.attempt("a", BROKEN)
        self.end(self.begin("a", now=0.0), REFUSED)
        [turn] = self.breaker.turns(60.0)
        self.assertEqual((turn.last, turn.highest), (3, 3))

    def test_doubt(self) -> None:
        """From the fifth on every other 500 may be about what was sent; no other failure may."""
        doubts = []
        for status in (500, 500, 500, 500, 500, 500, 500, 503, 500):
            self.attempt("a", Refused(status), delivery="same")
            [turn] = self.breaker.turns(60.0)
            doubts.append(turn.newer_in)
        self.assertEqual(doubts, [""] * 4 + ["a", "", "a", "", "a"])

    def test_nothing_there(self) -> None:
        """A group that had nothing to send is asked again in 5 s, or once something is added."""
        self.attempt("b", OK)
        self.attempt("a", BROKEN)
        self.breaker.found_nothing(["a", "unknown"], 2.0)
        self.assertEqual(self.turns(6.9), [])
        self.assertEqual(self.turns(7.0), ["a"])
        self.breaker.found_nothing(["a"], 7.0)
        self.breaker.added("a")
        self.assertEqual(self.turns(7.0), ["a"])

    def test_nothing_new_there(self) -> None:
        """Where it had nothing new to send, what was tried before comes when that is due."""
        self.attempt("b", OK)
        for number in range(3):
            self.end(self.begin("a", "same", number), BROKEN)
        self.attempt("b", OK)
        self.end(self.begin("a", "same", 3), BROKEN)
        self.breaker.found_nothing(["a"], 1.0)
        self.breaker.found_nothing(["a"], 6.0)
        self.assertEqual(self.turns(7.9), [])
        self.assertEqual(self.turns(8.0), ["a"])

    def test_clock_set_back(self) -> None:
        """A moment that lies further ahead than any wait is no reason to wait."""
        self.attempt("b", OK)
        self.attempt("a", Refused(503, "", 3600.0), now=10.0**6)
        self.assertEqual(self.turns(10.0**6), [])
        self.assertEqual(self.turns(0.0), ["a"])

    def test_memory(self) -> None:
        """It remembers the thousand groups that failed last, not more."""
        for number in range(REMEMBERED + 1):
            self.attempt(str(number), BROKEN)
        self.assertEqual(len(self.breaker.failing), REMEMBERED)
        self.assertNotIn("0", self.breaker.failing)


class DownTest(BreakerTestCase):
    """The receiver as a whole."""

    def take_down(self) -> None:
        """Let the receiver fail twice."""
        for group in "ab":
            self.attempt(group, DOWN)

    def test_second_failure(self) -> None:
        """It is down from the second failure on: the first may be one status's own."""
        self.attempt("a", DOWN)
        self.assertFalse(self.breaker.is_down)
        self.assertTrue(self.may_pass(0.0))
        self.attempt("b", DOWN)
        self.assertTrue(self.breaker.is_down)

    def test_one_group(self) -> None:
        """It is so for a receiver that only one group uses."""
        self.attempt("a", DOWN)
        self.attempt("a", DOWN)
        self.assertTrue(self.breaker.is_down)

    def test_one_group_after_acceptance(self) -> None:
        """It is so though attempts under way were accepted while the first one failed."""
        slow = self.begin("a")
        self.attempt("a", OK)
        self.end(slow, DOWN)
        self.attempt("a", DOWN)
        self.attempt("a", DOWN)
        self.assertTrue(self.breaker.is_down)

    def test_known(self) -> None:
        """A group that failed while others were accepted says nothing about the receiver."""
        self.attempt("a", DOWN)
        self.attempt("b", OK)
        for _ in range(9):
            self.attempt("a", DOWN)
        self.assertFalse(self.breaker.is_down)

    def test_pace(self) -> None:
        """Of groups that pass one attempt a second is made, after a minute one in 3 s."""
        self.take_down()
        self.assertFalse(self.may_pass(0.9))
        self.assertTrue(self.may_pass(1.0))
        self.attempt("c", DOWN, 70.0)
        self.assertFalse(self.may_pass(72.9))
        self.assertTrue(self.may_pass(73.0))

    def test_probes(self) -> None:
        """It is probed after as long as it has been down: 1 s to 8, after ten minutes 25."""
        self.take_down()
        waits, now = [], 0.0
        while now < 700:
            probe = next(at / 4 for at in range(int(now * 4), 4000) if self.turns(at / 4))
            waits.append(probe - now)
            now = probe
            self.attempt("a", DOWN, now)
        self.assertEqual(waits[:6], [1, 1, 2, 4, 8, 8])
        self.assertEqual({*waits[6:-4]}, {8})
        self.assertEqual(waits[-2:], [25, 25])

    def test_least_recently(self) -> None:
        """The group that was tried least recently probes, also while another one does."""
        self.take_down()
        self.assertEqual(self.turns(1.0), ["a", "b"])
        self.begin("a", now=1.0)
        self.assertEqual(self.turns(1.5, "a"), [])
        self.assertEqual(self.turns(2.0, "a"), ["b", "a"])

    def test_asked_to_wait(self) -> None:
        """A receiver that asks for time is not probed by what failed: all of it waits."""
        self.attempt("a", Refused(503, "", 90.0))
        self.attempt("b", DOWN)
        self.assertEqual(self.turns(89.0), [])
        self.assertEqual(self.turns(90.0), ["a", "b"])

    def test_end(self) -> None:
        """When anything is accepted it is up, and what failed meanwhile is tried at once."""
        self.take_down()
        self.attempt("c", OK, 100.0)
        self.assertFalse(self.breaker.is_down)
        self.assertTrue(self.may_pass(100.0))
        self.assertEqual(self.turns(100.0), ["a", "b"])
        self.attempt("a", DOWN, 100.0)
        self.attempt("c", OK, 100.0)
        self.assertEqual(self.turns(100.0), ["b"])

    def test_refusal(self) -> None:
        """An answer that refuses one delivery shows that the receiver is there."""
        self.take_down()
        self.attempt("c", REFUSED)
        self.assertFalse(self.breaker.is_down)

    def test_under_way_when_it_stopped(self) -> None:
        """Attempts that were under way when it stopped accepting don't make the wait longer."""
        attempts = [self.begin(group) for group in "abcde"]
        for attempt in attempts:
            self.end(attempt, DOWN)
        self.assertEqual(self.turns(0.9), [])
        self.assertEqual(len(self.turns(1.0)), 5)

    @given(st.lists(st.tuples(st.sampled_from("abc"), outcomes, st.floats(0, 100)), max_size=30))
    def test_any_history(self, history: list[tuple[str, Outcome, float]]) -> None:
        """Whatever happens, within an hour what fails is tried, and within 3 s what passes."""
        self.setUp()
        now = 0.0
        for group, outcome, seconds in history:
            now += seconds
            self.attempt(group, outcome, now)
            if isinstance(outcome, Accepted):
                self.assertFalse(self.breaker.is_down)
                self.assertNotIn(group, self.breaker.failing)
            self.assertTrue(self.may_pass(now + 3.0))
            self.assertEqual({*self.turns(now + 3600.0)}, {*self.breaker.failing})


class OwnFailuresTest(BreakerTestCase):
    """Whose fault a failure is."""

    def test_lone_failure_among_others(self) -> None:
        """Who fails while others are accepted has troubles of its own."""
        slow = self.begin("a")
        self.attempt("b", OK)
        self.assertTrue(self.end(slow, BROKEN))
        self.assertFalse(self.breaker.is_down)

    def test_poison(self) -> None:
        """Who fails, and fails again after others were accepted, has troubles of its own."""
        self.assertFalse(self.attempt("a", BROKEN, delivery="x"))
        self.attempt("b", OK)
        self.assertTrue(self.attempt("a", BROKEN, delivery="x"))

    def test_counting(self) -> None:
        """It counts the failures in a row that are a delivery's own, not those of the receiver."""
        found = [self.attempt("a", DOWN, delivery="x") for _ in range(3)]
        self.assertEqual(found, [0, 0, 0])
        counts = []
        for outcome in (DOWN, REFUSED, BROKEN):
            self.attempt("b", OK)
            counts.append(self.attempt("a", outcome, delivery="x"))
        self.assertEqual(counts, [1, 2, 3])
        self.assertEqual(self.attempt("a", OK, delivery="x"), 0)
        self.assertEqual(self.attempt("a", REFUSED, delivery="x"), 1)

    def test_alone_afterwards(self) -> None:
        """Who failed for reasons of its own goes on so when nothing else comes, up to a minute."""
        self.attempt("a", BROKEN, delivery="x")
        self.attempt("b", OK)
        found = [self.attempt("a", BROKEN, delivery="x") for _ in range(9)]
        self.assertEqual(found, [*range(1, 8), 7, 7])
        self.assertFalse(self.breaker.is_down)
        self.attempt("b", OK)
        self.assertEqual(self.attempt("a", BROKEN, delivery="x"), 8)

    def test_counting_after_a_restart(self) -> None:
        """Of a delivery that it does not know yet, all attempts count as the delivery's own."""
        self.assertEqual(self.end(self.begin("a", "x", tried=5), REFUSED), 6)

    def test_poison_among_refusals(self) -> None:
        """Refusals of others prove nothing: only an accepted one shows whose fault it is."""
        self.attempt("a", BROKEN, delivery="x")
        self.attempt("b", REFUSED)
        self.assertFalse(self.attempt("a", BROKEN, delivery="x"))

    def test_cured(self) -> None:
        """A delivery that was accepted at last is not remembered as troubled."""
        self.attempt("a", BROKEN, delivery="x")
        self.attempt("b", OK)
        self.attempt("a", OK, delivery="x")
        self.assertFalse(self.attempt("a", BROKEN, delivery="x"))

    def test_memory(self) -> None:
        """It remembers the thousand deliveries that failed last, not more."""
        for number in (*range(REMEMBERED), 0, REMEMBERED):
            self.attempt("a", DOWN, delivery=str(number))
        self.attempt("b", OK)
        self.assertTrue(self.attempt("a", DOWN, delivery="0"))
        self.assertFalse(self.attempt("a", DOWN, delivery="1"))
