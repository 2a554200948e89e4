"""The receiver's own state: when it is paused, who may probe it, whose fault a failure is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.circuit_breaker import (
    REMEMBERED,
    Attempt,
    CircuitBreaker,
    ProbeAllowed,
)
from buildbot_http_status_push.model import Accepted, Outcome, Refused, Unreachable

OK, DOWN, BROKEN, REFUSED = Accepted(200), Unreachable("refused"), Refused(500), Refused(400)
outcomes = st.sampled_from([OK, DOWN, BROKEN, REFUSED, Refused(429), Refused(503, "", 90.0)])


class CircuitBreakerTest(SynchronousTestCase):
    """One receiver."""

    def setUp(self) -> None:
        """Begin with a receiver of which nothing is known."""
        self.breaker = CircuitBreaker()

    def begin(self, lane: str, delivery: str = "", tried: int = 0) -> Attempt:
        """Begin an attempt."""
        probe = not self.breaker.is_closed
        return Attempt(delivery or f"of {lane}", lane, self.breaker.accepted, tried, probe)

    def end(self, attempt: Attempt, outcome: Outcome, now: float = 0.0) -> int:
        """End an attempt, with the jitter in its middle."""
        return self.breaker.observe(outcome, attempt, now, 0.5)

    def try_lane(self, lane: str, outcome: Outcome, now: float = 0.0) -> int:
        """Make an attempt that ends at once."""
        return self.end(self.begin(lane), outcome, now)

    def may_probe(self, now: float = 0.0, *in_flight: str) -> ProbeAllowed:
        """Ask who may probe."""
        return self.breaker.probe_allowed(now, in_flight)

    def test_clock_set_back(self) -> None:
        """A moment that lies further ahead than any wait is no reason to wait."""
        for lane in ("a", "b"):
            self.try_lane(lane, Refused(503, "", 3600.0), now=10.0**6)
        self.assertIs(self.may_probe(10.0**6), ProbeAllowed.NONE)
        self.assertIs(self.may_probe(0.0), ProbeAllowed.ANY_LANE)

    def test_open(self) -> None:
        """It is open at first, and while it answers."""
        self.assertTrue(self.breaker.is_closed)
        self.try_lane("a", OK)
        self.assertTrue(self.try_lane("b", REFUSED))
        self.assertTrue(self.breaker.is_closed)
        self.assertEqual(self.breaker.accepted, 1)

    def test_pause(self) -> None:
        """A failure pauses it; only a second one says that it is in trouble."""
        self.assertFalse(self.try_lane("a", DOWN))
        self.assertFalse(self.breaker.is_closed)
        self.assertFalse(self.breaker.in_trouble)
        self.try_lane("b", DOWN)
        self.assertTrue(self.breaker.in_trouble)

    def test_first_failure(self) -> None:
        """After the first failure another lane may ask at once, the failed one has to wait."""
        self.try_lane("a", DOWN)
        self.assertIs(self.may_probe(), ProbeAllowed.OTHER_LANE)
        self.assertIs(self.may_probe(0.0, "b"), ProbeAllowed.NONE)
        self.assertIs(self.may_probe(1.0), ProbeAllowed.ANY_LANE)

    def test_a_silent_lane(self) -> None:
        """While the one lane that failed is asked again, another one may ask, but not a third."""
        self.try_lane("a", DOWN)
        self.assertIs(self.may_probe(1.0, "a"), ProbeAllowed.OTHER_LANE)
        self.assertIs(self.may_probe(1.0, "a", "b"), ProbeAllowed.NONE)

    def test_second_failure(self) -> None:
        """After two lanes failed, nobody may ask before its time, and then one at a time."""
        self.try_lane("a", DOWN)
        self.try_lane("b", DOWN)
        self.assertIs(self.may_probe(1.9), ProbeAllowed.NONE)
        self.assertIs(self.may_probe(2.0), ProbeAllowed.ANY_LANE)
        self.assertIs(self.may_probe(2.0, "c"), ProbeAllowed.NONE)

    def test_backing_off(self) -> None:
        """Each probe in vain doubles the wait, up to a minute."""
        now, waits = 0.0, []
        for number in range(9):
            self.try_lane(str(number), DOWN, now)
            waits.append(self.breaker.probe_at - now)
            now = self.breaker.probe_at
        self.assertEqual(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60])

    def test_recovery(self) -> None:
        """One accepted probe opens it, and the next trouble begins with a short wait again."""
        for lane in "abcdef":
            self.try_lane(lane, DOWN)
        self.try_lane("g", OK, 100.0)
        self.assertTrue(self.breaker.is_closed)
        self.try_lane("h", DOWN, 101.0)
        self.assertEqual(self.breaker.probe_at, 102.0)
        self.assertIs(self.may_probe(101.0), ProbeAllowed.OTHER_LANE)

    def test_refusal_opens(self) -> None:
        """An answer that refuses one delivery shows that the receiver is there."""
        self.try_lane("a", DOWN)
        self.try_lane("b", REFUSED)
        self.assertTrue(self.breaker.is_closed)

    def test_asked_to_wait(self) -> None:
        """Who asks for time is not probed before, by no lane; an hour is the most."""
        self.try_lane("a", Refused(503, "", 90.0))
        self.assertIs(self.may_probe(89.0), ProbeAllowed.NONE)
        self.assertIs(self.may_probe(90.0), ProbeAllowed.ANY_LANE)
        self.try_lane("a", Refused(503, "", 1e9), 100.0)
        self.assertEqual(self.breaker.probe_at, 3700.0)

    def test_doubt(self) -> None:
        """From the fifth on every other 500 may be about what was sent; no other failure may."""
        doubts = []
        for status in (500, 500, 500, 500, 500, 500, 500, 503, 500):
            self.try_lane("a", Refused(status))
            doubts.append(self.breaker.suspects_content)
        self.assertEqual(doubts, [False] * 4 + [True, False, True, False, True])
        self.try_lane("a", OK)
        self.assertFalse(self.breaker.suspects_content)

    def test_too_many_requests(self) -> None:
        """429 is about all lanes, though it says no time."""
        self.try_lane("a", Refused(429))
        self.assertIs(self.may_probe(0.5), ProbeAllowed.NONE)

    def test_an_old_wish_ends_with_an_answer(self) -> None:
        """Once something was accepted, a time asked for before means nothing."""
        waiting = self.begin("b")
        self.try_lane("a", Refused(503, "", 3600.0))
        self.end(waiting, OK, 1.0)
        self.try_lane("c", DOWN, 2.0)
        self.assertEqual(self.breaker.probe_at, 3.0)

    def test_under_way_when_it_stopped(self) -> None:
        """Attempts that were under way when it stopped accepting don't make the pause longer."""
        attempts = [self.begin(lane) for lane in "abcde"]
        for attempt in attempts:
            self.end(attempt, DOWN)
        self.assertEqual(self.breaker.failures, 1)
        self.assertEqual(self.breaker.probe_at, 1.0)

    def test_lone_failure_among_others(self) -> None:
        """Who fails while others are accepted has troubles of its own."""
        slow = self.begin("a")
        self.try_lane("b", OK)
        self.assertTrue(self.end(slow, BROKEN))
        self.assertTrue(self.breaker.is_closed)

    def test_poison(self) -> None:
        """Who fails, and fails again after others were accepted, has troubles of its own."""
        self.assertFalse(self.try_lane("a", BROKEN))
        self.try_lane("b", OK)
        self.assertTrue(self.try_lane("a", BROKEN))
        self.assertTrue(self.breaker.is_closed)

    def test_counting(self) -> None:
        """It counts the failures in a row that are a delivery's own, not those of the receiver."""
        self.assertEqual([self.try_lane("a", DOWN) for _ in range(3)], [0, 0, 0])
        counts = []
        for outcome in (DOWN, REFUSED, BROKEN):
            self.try_lane("b", OK)
            counts.append(self.try_lane("a", outcome))
        self.assertEqual(counts, [1, 2, 3])
        self.assertEqual(self.try_lane("a", OK), 0)
        self.assertEqual(self.try_lane("a", REFUSED), 1)

    def test_alone_afterwards(self) -> None:
        """Who failed for reasons of its own goes on so when nothing else comes, up to a minute."""
        self.try_lane("a", BROKEN)
        self.try_lane("b", OK)
        self.assertEqual([self.try_lane("a", BROKEN) for _ in range(9)], [*range(1, 8), 7, 7])
        self.assertTrue(self.breaker.is_closed)
        self.try_lane("b", OK)
        self.assertEqual(self.try_lane("a", BROKEN), 8)

    def test_counting_after_a_restart(self) -> None:
        """Of a delivery that it does not know yet, all attempts count as the delivery's own."""
        self.assertEqual(self.end(self.begin("a", tried=5), REFUSED), 6)

    def test_poison_among_refusals(self) -> None:
        """Refusals of others prove nothing: only an accepted one shows whose fault it is."""
        self.try_lane("a", BROKEN)
        self.try_lane("b", REFUSED)
        self.assertFalse(self.try_lane("a", BROKEN))

    def test_cured(self) -> None:
        """A delivery that was accepted at last is not remembered as troubled."""
        self.try_lane("a", BROKEN)
        self.try_lane("b", OK)
        self.try_lane("a", OK)
        self.assertFalse(self.try_lane("a", BROKEN))

    def test_memory(self) -> None:
        """It remembers the thousand deliveries that failed last, not more."""
        for number in (*range(REMEMBERED), 0, REMEMBERED):
            self.end(self.begin("a", str(number)), DOWN)
        self.try_lane("b", OK)
        self.assertTrue(self.end(self.begin("a", "0"), DOWN))
        self.assertFalse(self.end(self.begin("a", "1"), DOWN))

    @given(st.lists(st.tuples(st.sampled_from("abc"), outcomes, st.floats(0, 100)), max_size=30))
    def test_any_history(self, history: list[tuple[str, Outcome, float]]) -> None:
        """Whatever happens, a pause ends: within an hour and a bit somebody may probe."""
        self.breaker, now = CircuitBreaker(), 0.0
        for lane, outcome, seconds in history:
            now += seconds
            was_open = self.breaker.is_closed
            isolated = self.try_lane(lane, outcome, now)
            if isinstance(outcome, Accepted) or (was_open and isolated):
                self.assertTrue(self.breaker.is_closed)
            self.assertIs(self.may_probe(now + 3600.0), ProbeAllowed.ANY_LANE)
            self.assertIs(self.may_probe(now + 3600.0, "x", "y"), ProbeAllowed.NONE)
