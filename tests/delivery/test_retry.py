"""What an attempt's outcome means, and how long to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.retry import (
    asked_delay,
    concerns_receiver,
    decide,
    group_delay,
    may_have_arrived,
    own_delay,
    pace,
    probe_delay,
)
from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    Accepted,
    Disposition,
    Outcome,
    Refused,
    State,
    Unreachable,
)

WEEK = 7 * 86400.0
draws = st.floats(0, 1)
counts = st.integers(1, 10**9)
statuses = st.integers(300, 599)
waits = st.none() | st.floats(0, 1e12)
refusals = st.builds(Refused, statuses, retry_after=waits)
outcomes: st.SearchStrategy[Outcome] = (
    st.builds(Accepted, st.integers(200, 299)) | refusals | st.builds(Unreachable, st.text())
)


def disposition(
    outcome: Outcome, *, failures: int = 0, attempts: int = 1, age: float = 0
) -> Disposition:
    """Decide, with the jitter in its middle, at second 1000 plus the delivery's age."""
    return decide(
        outcome,
        failures=failures,
        attempts=attempts,
        created_at=1000.0,
        now=1000.0 + age,
        given_up_before=1000.0 + age - WEEK,
        draw=0.5,
    )


class DelayTest(SynchronousTestCase):
    """How long to wait."""

    def test_values(self) -> None:
        """A group that fails waits 1 s doubling to 60, a delivery with own troubles to 3600."""
        group = [group_delay(count, 0.5) for count in (0, 1, 2, 3, 6, 7, 8)]
        self.assertEqual(group, [0, 1, 2, 4, 32, 60, 60])
        refused = [group_delay(count, 0.5, is_refusal=True) for count in (0, 1, 2, 3, 5, 6, 99)]
        self.assertEqual(refused, [0, 0, 1, 2, 8, 15, 15])
        own = [own_delay(count, 0.5) for count in (1, 2, 3, 4, 5, 12, 13, 14)]
        self.assertEqual(own, [1, 2, 4, 8, 16, 2048, 3600, 3600])

    def test_down(self) -> None:
        """A receiver is probed after as long as it has been down, 1 s to 8, later after 25."""
        probes = [probe_delay(lasted, 0.5) for lasted in (0, 1, 3, 8, 599, 600, 10**6)]
        self.assertEqual(probes, [1, 1, 3, 8, 8, 25, 25])
        self.assertEqual([pace(lasted) for lasted in (0, 59, 60, 10**6)], [1, 1, 3, 3])

    @given(counts, draws)
    def test_bounds(self, count: int, draw: float) -> None:
        """Jitter is 20 % at most, and no count of failures breaks the bounds."""
        self.assertTrue(0.799 < group_delay(count, draw) < 72.001)
        self.assertTrue(0.799 < probe_delay(count, draw) < 30.001)
        self.assertTrue(0.799 < own_delay(count, draw) < 4320.001)
        for delay in (group_delay, probe_delay, own_delay):
            plain = delay(count, 0.5)
            self.assertTrue(0.799 * plain <= delay(count, draw) <= 1.201 * plain)

    @given(counts, draws)
    def test_never_shorter(self, count: int, draw: float) -> None:
        """With the same draw another failure never makes the wait shorter, nor doubles it twice."""
        for delay in (group_delay, own_delay):
            before, after = delay(count, draw), delay(count + 1, draw)
            self.assertTrue(before <= after <= 2.001 * before)

    @given(outcomes)
    def test_asked_delay(self, outcome: Outcome) -> None:
        """What a receiver asks for counts up to an hour, and only where it asked."""
        asked = outcome.retry_after if isinstance(outcome, Refused) else None
        self.assertEqual(asked_delay(outcome), min(asked or 0, 3600))


class DecisionTest(SynchronousTestCase):
    """What becomes of a delivery."""

    def test_accepted(self) -> None:
        """Any 2xx is a delivery, however old."""
        for status in (200, 201, 202, 204, 205, 299):
            expected = Disposition(State.DELIVERED, f"accepted with {status}")
            self.assertEqual(disposition(Accepted(status), age=10 * WEEK), expected)

    def test_gone(self) -> None:
        """410 says that it is never wanted: it is given up at once."""
        self.assertEqual(disposition(Refused(410)), Disposition(State.DEAD, "rejected with 410"))

    def test_whose_trouble(self) -> None:
        """What has nothing to do with a delivery's content concerns the receiver."""
        redirects, addresses = (301, 304, 308), (401, 403, 404, 405, 407, 421, 451)
        statuses = (408, 425, 429, 500, 502, 503, 504, 599, *redirects, *addresses)
        troubles: list[Outcome] = [Unreachable("?"), *map(Refused, statuses)]
        for outcome in troubles:
            self.assertTrue(concerns_receiver(outcome))
            self.assertEqual(disposition(outcome).state, State.WAITING)
        for status in (400, 406, 409, 413, 415, 422, 431):
            self.assertFalse(concerns_receiver(Refused(status)))
            self.assertEqual(disposition(Refused(status), failures=1).state, State.RETRYING)
        self.assertFalse(concerns_receiver(Accepted(200)))

    def test_may_have_arrived(self) -> None:
        """What may have gone out and got no answer of the receiver's may have been taken."""
        for outcome in (Unreachable("no answer"), Refused(502), Refused(504)):
            for failures in (0, 1):
                self.assertTrue(disposition(outcome, failures=failures).may_have_arrived)
        unsent: list[Outcome] = [Unreachable("?", unsent=True), Unreachable("?", here=True)]
        answered = (Accepted(200), *map(Refused, (410, 422, 500, 503)))
        for outcome in (*unsent, *answered):
            self.assertFalse(may_have_arrived(outcome))

    def test_quick_retries(self) -> None:
        """Trouble of its own is tried again soon, in its lane, and beside it from the fifth on."""
        found = [disposition(Refused(500, "oops"), failures=count) for count in range(1, 7)]
        words = "rejected with 500: oops"
        self.assertEqual(
            found,
            [
                *(Disposition(State.WAITING, words, 1000 + wait) for wait in (1, 2, 4, 8)),
                *(Disposition(State.RETRYING, words, 1000 + wait) for wait in (16, 32)),
            ],
        )

    def test_refused_content(self) -> None:
        """What the receiver does not like holds up nobody: the next time is like this one."""
        found = disposition(Refused(422, "no"), failures=1)
        self.assertEqual(found, Disposition(State.RETRYING, "rejected with 422: no", 1001))

    def test_own_trouble_with_a_wish(self) -> None:
        """A delivery with troubles of its own waits as long as asked, beside its lane if long."""
        for asked, waited in ((0.5, 1), (7.0, 7), (300.0, 300), (10**6, 3600)):
            found = disposition(Refused(503, retry_after=asked), failures=1)
            self.assertEqual(found.next_attempt, 1000 + waited)
            self.assertEqual(found.state is State.WAITING, waited < 10)

    def test_given_up(self) -> None:
        """A delivery that always failed is dead when its time is over, and its end says why."""
        self.assertEqual(disposition(Refused(400), failures=1, age=WEEK - 1).state, State.RETRYING)
        found = disposition(Refused(400, "no"), attempts=12, age=WEEK)
        self.assertEqual(
            found, Disposition(State.DEAD, "rejected with 400: no; given up after 12 attempts")
        )

    @given(outcomes, st.just(0) | counts, counts, st.floats(0, 2 * WEEK), draws)
    def test_every_verdict(
        self, outcome: Outcome, failures: int, attempts: int, age: float, draw: float
    ) -> None:
        """Any disposition is a legal move; only accepted means delivered, retries have a time."""
        found = decide(
            outcome,
            failures=failures,
            attempts=attempts,
            created_at=0.0,
            now=age,
            given_up_before=age - WEEK,
            draw=draw,
        )
        for state in PENDING:
            self.assertIn(found.state, MOVES[state])
        self.assertEqual(found.state is State.DELIVERED, isinstance(outcome, Accepted))
        self.assertEqual(found.next_attempt is None, found.state not in PENDING or not failures)
        if found.next_attempt is not None:
            most = 4320.1 if found.state is State.RETRYING else 10.0
            self.assertTrue(age + 0.7 <= found.next_attempt <= age + most)
        self.assertTrue(found.outcome.startswith(str(outcome)))
