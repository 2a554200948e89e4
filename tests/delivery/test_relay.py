"""Order within lanes, concurrency, pause and probe, stop, and what is said of it in the log."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.fakes import LogBook, MemoryOutbox, Sends, a_delivery
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.delivery.relay import Relay
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import (
    PENDING,
    Accepted,
    Delivery,
    Outcome,
    Refused,
    State,
    Unreachable,
)

OK, DOWN, BROKEN, REFUSED = Accepted(200), Unreachable("no answer"), Refused(500), Refused(400)


class Setting:
    """A relay between an outbox and a receiver that the test plays."""

    def __init__(
        self,
        *,
        eager: bool = True,
        concurrency: int = 3,
        draw: Callable[[], float] = lambda: 0.5,
        give_up_after: float = 7 * 86400.0,
    ) -> None:
        self.clock = Clock()
        self.outbox = MemoryOutbox(self.clock, eager)
        self.sends = Sends()
        self.book = LogBook()
        operator_log = OperatorLog(self.clock, "push", self.book.log)
        self.relay = Relay(
            self.clock,
            self.outbox,
            self.sends,
            SenderSettings(concurrency, give_up_after=give_up_after),
            draw,
            operator_log,
        )

    def put(self, *deliveries: Delivery) -> None:
        """Bring deliveries, as the reporter does."""
        self.outbox.put(*deliveries)
        for each in deliveries:
            self.relay.added(each)

    def answer(self, outcome: Outcome, *deliveries: Delivery) -> None:
        """Answer some deliveries, or all that are under way now."""
        for each in deliveries or self.sends.under_way:
            self.sends.answer(each, outcome)


class RelayTestCase(SynchronousTestCase):
    """A test case with a started relay."""

    def setUp(self) -> None:
        """Start."""
        self.begin()

    def begin(self, **options: Any) -> None:
        """Start a relay of one's own making."""
        self.setting = Setting(**options)
        self.clock, self.outbox = self.setting.clock, self.setting.outbox
        self.sends, self.relay = self.setting.sends, self.setting.relay
        self.relay.start()

    def lanes(self, count: int) -> list[Delivery]:
        """Bring one delivery each to several new lanes."""
        begin = 100 + len(self.outbox.rows)
        made = [a_delivery(number, f"lane {number}") for number in range(begin, begin + count)]
        self.setting.put(*made)
        return made


class FlowTest(RelayTestCase):
    """While the receiver accepts."""

    def test_at_once(self) -> None:
        """What comes is sent at once, and written down when it is accepted."""
        [delivery] = self.lanes(1)
        self.assertEqual(self.sends.under_way, [delivery])
        self.setting.answer(OK)
        self.assertEqual(self.outbox.states(), [State.DELIVERED])

    def test_what_was_there_before(self) -> None:
        """What an earlier run had claimed is given back and sent at the start."""
        setting = Setting()
        setting.outbox.put(a_delivery())
        setting.outbox.rows[0].leased = True
        setting.relay.start()
        self.assertEqual(setting.sends.under_way, [a_delivery()])

    def test_order(self) -> None:
        """Of one lane one delivery is under way, and the next follows when it has ended."""
        first, second, third = (a_delivery(number) for number in range(3))
        self.setting.put(first, second, third)
        for each in (first, second, third):
            self.assertEqual(self.sends.under_way, [each])
            self.setting.answer(OK)
        self.assertEqual(self.sends.log, [first, second, third])

    def test_an_outbox_that_forgets(self) -> None:
        """The order holds though the outbox, now in memory, hands out what comes next too early."""
        first, second = a_delivery(1), a_delivery(2)
        self.setting.put(first, second)
        self.outbox.rows[0].state, self.outbox.rows[0].leased = State.DELIVERED, False
        self.clock.advance(5)
        self.assertEqual(self.sends.under_way, [first])
        self.setting.answer(OK)
        self.assertEqual(self.sends.under_way, [second])

    def test_behind_what_is_under_way(self) -> None:
        """What comes while its lane is busy follows at once."""
        first, second = a_delivery(1), a_delivery(2)
        self.setting.put(first)
        self.outbox.put(second)
        self.relay.added(second)
        self.setting.answer(OK)
        self.assertEqual(self.sends.under_way, [second])

    def test_nothing_behind(self) -> None:
        """Where nothing else can wait, the outbox is not asked for it."""
        self.lanes(1)
        before = self.outbox.claims
        self.setting.answer(OK)
        self.assertEqual(self.outbox.claims, before)

    def test_concurrency(self) -> None:
        """Lanes share the allowed number of attempts, and nobody waits for a free place."""
        made = self.lanes(10)
        self.assertEqual(self.sends.under_way, made[:3])
        self.setting.answer(OK, made[1])
        self.assertEqual(self.sends.under_way, [made[0], made[2], made[3]])
        while self.sends.under_way:
            self.setting.answer(OK)
        self.assertEqual(self.sends.log, made)

    def test_a_slow_lane(self) -> None:
        """A lane whose delivery is slow holds up no other one."""
        slow, behind = a_delivery(1, "slow"), a_delivery(2, "slow")
        self.setting.put(slow, behind)
        others = self.lanes(20)
        while len(self.sends.under_way) > 1:
            self.setting.answer(OK, self.sends.under_way[1])
        self.assertEqual(self.sends.log, [slow, *others])

    def test_held(self) -> None:
        """What is sent next is claimed ahead, of large bodies hardly more than is being sent."""
        held = []
        for size in (10, 8 * 1024 * 1024):
            self.begin(concurrency=1)
            bodies = [
                a_delivery(number, f"lane {number}", body=b"x" * size) for number in range(30)
            ]
            self.setting.put(*bodies)
            self.setting.answer(OK)
            held.append(sum(each.leased for each in self.outbox.rows))
        self.assertEqual(held, [19, 1])

    def test_lease(self) -> None:
        """Of what is claimed by a master that is gone, others wait less than a minute."""
        self.lanes(1)
        self.assertEqual(self.outbox.leases, {45.0})

    def test_lease_is_renewed(self) -> None:
        """What a master is slow with stays its own, under way or not."""
        self.lanes(5)
        for _ in range(60):
            self.clock.advance(5)
            now = self.clock.seconds()
            self.assertTrue(all(each.lease_until >= now + 25 for each in self.outbox.rows))

    def test_lease_runs_out(self) -> None:
        """What waited while the machine slept may be another master's: it is claimed anew."""
        first, second, *_ = self.lanes(6)
        for slept, answered, until in ((29.0, first, 45.0), (2.0, second, 31.0 + 45.0)):
            self.clock.rightNow += slept
            self.setting.answer(OK, answered)
            self.assertEqual({each.lease_until for each in self.outbox.rows[5:]}, {until})

    def test_looking_again(self) -> None:
        """What others bring into the outbox, or a retry that is due, is found within 5 s."""
        self.outbox.put(a_delivery())
        self.clock.advance(5)
        self.assertEqual(self.sends.under_way, [a_delivery()])

    def test_own_trouble(self) -> None:
        """A refused delivery is tried again on its own schedule, while its lane goes on."""
        first, second = a_delivery(1), a_delivery(2)
        self.setting.put(first, second)
        self.setting.answer(REFUSED)
        self.assertEqual(self.sends.under_way, [second])
        self.setting.answer(OK)
        self.clock.advance(0.9)
        self.assertEqual(self.sends.under_way, [])
        self.clock.advance(0.1)
        self.assertEqual(self.sends.under_way, [first])
        self.setting.answer(OK)
        self.assertEqual(self.outbox.states(), [State.DELIVERED] * 2)

    def test_quick_retries(self) -> None:
        """What fails among others is tried again soon, and its lane waits behind it for a while."""
        first, second = a_delivery(1), a_delivery(2)
        self.setting.put(first, second)
        waits = []
        while second not in self.sends.under_way:
            self.setting.answer(OK, *self.lanes(1))
            self.setting.answer(BROKEN, first)
            begun = self.clock.seconds()
            while not self.sends.under_way:
                self.clock.advance(0.25)
            waits.append(self.clock.seconds() - begun)
        self.assertEqual(waits, [1, 2, 4, 8, 1])

    def test_superseded(self) -> None:
        """A refused start is not sent any more once its build's finish was accepted."""
        start = a_delivery(1, subject="build-1")
        finish = a_delivery(2, subject="build-1")
        self.setting.put(start, finish)
        self.setting.answer(REFUSED)
        self.setting.answer(OK)
        self.clock.pump([5] * 100)
        self.assertEqual(self.outbox.states(), [State.SUPERSEDED, State.DELIVERED])
        self.assertEqual(self.sends.log, [start, finish])

    def test_gone(self) -> None:
        """What the receiver says it never wants is given up, and its lane goes on."""
        self.setting.put(a_delivery(1), a_delivery(2))
        self.setting.answer(Refused(410))
        self.setting.answer(OK)
        self.assertEqual(self.outbox.states(), [State.DEAD, State.DELIVERED])

    def test_broken_send(self) -> None:
        """An error of the program itself is logged, and counts as an attempt."""
        [delivery] = self.lanes(1)
        self.sends.break_down(delivery, ZeroDivisionError("s3cret"))
        self.assertIs(self.outbox.rows[0].state, State.WAITING)
        self.assertEqual(
            self.outbox.rows[0].outcome, "an error in the program itself: ZeroDivisionError"
        )
        self.assertIn("push: sending failed", self.setting.book.lines)

    def test_broken_outbox(self) -> None:
        """An outbox that failed is asked again."""
        self.outbox.broken = OSError("disk full")
        [delivery] = self.lanes(1)
        self.assertEqual(self.setting.book.lines, ["push: claiming deliveries failed"])
        self.outbox.broken = None
        self.clock.advance(5)
        self.assertEqual(self.sends.under_way, [delivery])

    def test_verdict_not_written_down(self) -> None:
        """A disposition that could not be written down is told, and other lanes go on."""
        first, second = self.lanes(2)
        self.outbox.broken = OSError("disk full")
        self.setting.answer(OK, first)
        self.outbox.broken = None
        self.assertIn("push: recording a disposition failed", self.setting.book.lines)
        self.setting.answer(OK, second)
        self.assertIs(self.outbox.row(second).state, State.DELIVERED)


class PauseTest(RelayTestCase):
    """While the receiver has trouble."""

    def take_down(self, *outcomes: Outcome) -> None:
        """Let all fail that is under way, and what is begun thereby."""
        for outcome in outcomes or (DOWN, DOWN):
            self.setting.answer(outcome)

    def test_one_at_a_time(self) -> None:
        """After two failures one delivery is tried at a time: what passes, then all in turn."""
        self.lanes(8)
        self.take_down()
        probed: list[str] = []
        for _ in range(20):
            self.clock.advance(30)
            [delivery] = self.sends.under_way
            probed.append(delivery.lane)
            self.setting.answer(DOWN)
        self.assertEqual(len({*probed[:8]}), 8)
        self.assertEqual(probed[8:16], probed[:8])
        self.assertTrue(self.relay.paused)

    def test_silent(self) -> None:
        """A receiver that does not answer is probed all the same, in half of the slots."""
        self.begin(concurrency=10)
        self.lanes(20)
        self.clock.advance(30)
        self.take_down()
        for _ in range(100):
            self.clock.advance(0.5)
        self.assertEqual(len(self.sends.under_way), 10)

    def test_second_opinion(self) -> None:
        """After a first failure another lane is asked at once, and if it passes all flows."""
        self.begin(concurrency=1)
        [_, *others] = self.lanes(3)
        self.setting.answer(DOWN)
        [probe] = self.sends.under_way
        self.assertIn(probe, others)
        self.setting.answer(OK)
        self.setting.answer(OK)
        self.setting.answer(OK)
        self.assertEqual(self.outbox.states(), [State.DELIVERED] * 3)
        self.assertEqual(self.clock.seconds(), 0)

    def test_backing_off(self) -> None:
        """A receiver that is down is tried after 1 s, 2 s, 4 s, and every 8 s for ten minutes."""
        self.lanes(2)
        times: list[float] = []
        self.sends.on_begin = lambda _: times.append(self.clock.seconds())
        self.setting.answer(DOWN)
        for _ in range(7000):
            self.clock.advance(0.1)
            self.setting.answer(DOWN)
        waits = [round(after - before) for before, after in pairwise(times)]
        self.assertEqual(waits[:2], [1, 2])
        self.assertEqual({*waits[4:-5]}, {8})
        self.assertEqual(waits[-1], 25)

    def test_recovery(self) -> None:
        """When a probe passes, all flows again at once."""
        self.lanes(9)
        self.take_down()
        self.clock.advance(1)
        self.assertEqual(len(self.sends.under_way), 1)
        self.setting.answer(OK)
        self.assertFalse(self.relay.paused)
        self.assertEqual(len(self.sends.under_way), 3)
        for _ in range(9):
            self.setting.answer(OK)
        self.assertEqual(self.outbox.states(), [State.DELIVERED] * 9)
        self.assertEqual(self.clock.seconds(), 1.0)

    def test_wrong_address(self) -> None:
        """What all are rejected with pauses it: nothing leaves its place, a begin least of all."""
        for status in (307, 401, 403, 404, 405, 407, 421, 451):
            with self.subTest(status):
                self.begin()
                start, finish = (a_delivery(each, subject="build-1") for each in (1, 2))
                self.setting.put(start, finish)
                [other] = self.lanes(1)
                for _ in range(4):
                    self.setting.answer(Refused(status))
                    self.clock.advance(8)
                self.assertTrue(self.relay.paused)
                self.assertEqual(set(self.outbox.states()), {State.WAITING})
                while self.sends.under_way:
                    self.setting.answer(OK)
                self.assertEqual(set(self.outbox.states()), {State.DELIVERED})
                taken = [each for each in self.sends.log if each is not other]
                self.assertEqual(taken[-2:], [start, finish])

    def test_asked_to_wait(self) -> None:
        """A receiver that asks for time gets it, an hour at most."""
        self.lanes(2)
        self.setting.answer(Refused(503, "", 200.0))
        self.clock.pump([1] * 199)
        self.assertEqual(self.sends.under_way, [])
        self.clock.advance(1)
        self.assertEqual(len(self.sends.under_way), 1)

    def test_new_ones(self) -> None:
        """Of what comes while it is down, and has not failed, one is tried a second."""
        self.lanes(2)
        self.setting.answer(DOWN)
        came = self.lanes(3)
        self.assertEqual(self.sends.under_way, [])
        for each in came:
            self.clock.advance(1)
            self.assertEqual(self.sends.under_way, [each])
            self.setting.answer(DOWN)

    def test_asked_to_wait_new_ones(self) -> None:
        """Who was asked to wait does; a builder that has not failed need not wait for that."""
        self.lanes(2)
        self.setting.answer(Refused(429, "", 200.0))
        [other] = self.lanes(1)
        self.clock.advance(1)
        self.assertEqual(self.sends.under_way, [other])

    def test_others_may_take_them(self) -> None:
        """What was claimed and not begun when the pause came is given back."""
        self.lanes(9)
        self.assertTrue(any(each.leased for each in self.outbox.rows[3:]))
        self.take_down()
        self.assertFalse(any(each.leased for each in self.outbox.rows))

    def test_silence_is_cheap(self) -> None:
        """While a probe is under way, or nothing is to be sent, the outbox is hardly asked."""
        self.lanes(2)
        self.setting.answer(DOWN)
        self.clock.advance(1)
        self.assertEqual(len(self.sends.under_way), 1)
        before = self.outbox.claims
        for _ in range(300):
            self.clock.advance(0.1)
        self.assertLess(self.outbox.claims - before, 15)

    def test_nothing_left(self) -> None:
        """What fails and has nothing to send is looked for every 5 s, not more often."""
        [delivery] = self.lanes(1)
        self.setting.answer(DOWN)
        self.outbox.row(delivery).state = State.DEAD
        before = self.outbox.claims
        self.clock.pump([0.1] * 600)
        self.assertLess(self.outbox.claims - before, 30)

    def test_every_begin(self) -> None:
        """A receiver that breaks on the begin of every build gets the ends all the same."""
        begins = [a_delivery(each, f"lane {each}", subject=f"build {each}") for each in range(5)]
        ends = [evolve(each, id=f"end of {each.subject}") for each in begins]
        self.setting.put(*begins, *ends)
        for _ in range(60):
            for each in self.sends.under_way:
                self.setting.answer(OK if each in ends else BROKEN, each)
            self.clock.advance(5)
        self.assertEqual(self.outbox.states(), [State.SUPERSEDED] * 5 + [State.DELIVERED] * 5)

    def test_poison(self) -> None:
        """What is always answered with 500 holds up no other lane, and its own not for long."""
        poison, behind = a_delivery(1, "sick"), a_delivery(2, "sick")
        self.setting.put(poison, behind)
        others = self.lanes(30)
        self.play(poison, 100, 0)
        for each in others:
            self.assertIs(self.outbox.row(each).state, State.DELIVERED)
        self.play(poison, 140, 0.25)
        self.assertIs(self.outbox.row(behind).state, State.DELIVERED)
        self.assertIs(self.outbox.row(poison).state, State.RETRYING)

    def play(self, poison: Delivery, times: int, seconds: float) -> None:
        """Answer again and again, with time between."""
        for _ in range(times):
            for each in self.sends.under_way:
                self.setting.answer(BROKEN if each is poison else OK, each)
            self.clock.advance(seconds)

    def test_given_up(self) -> None:
        """What failed for too long is given up by its next attempt."""
        self.begin(give_up_after=3600.0)
        self.lanes(1)
        for _ in range(120):
            self.setting.answer(DOWN)
            self.assertEqual(self.outbox.states(), [State.WAITING])
            self.clock.advance(30)
        self.clock.advance(60)
        self.setting.answer(DOWN)
        self.assertEqual(self.outbox.states(), [State.DEAD])

    def test_another_way(self) -> None:
        """After a reconfiguration what waits is tried at once, in the new way."""
        self.lanes(5)
        self.take_down()
        self.assertEqual(self.sends.under_way, [])
        other = Sends()
        self.relay.use(other, SenderSettings(2))
        self.assertEqual(len(other.under_way), 2)
        self.assertFalse(self.relay.paused)


class StopTest(RelayTestCase):
    """The end."""

    def stop(self) -> Deferred[None]:
        """Stop, and see that nothing is begun afterwards."""
        stopped = self.relay.stop()

        def begun(delivery: Delivery) -> None:
            raise AssertionError(f"{delivery.title} is sent after the stop")

        self.sends.on_begin = begun
        return stopped

    def test_idle(self) -> None:
        """With nothing under way it is over at once, and no timer is left."""
        self.successResultOf(self.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_accepted_in_time(self) -> None:
        """What is accepted within 3 s is written down, and the stop waits no longer."""
        self.lanes(2)
        stopped = self.stop()
        self.clock.advance(2.9)
        self.assertNoResult(stopped)
        self.setting.answer(OK)
        self.successResultOf(stopped)
        self.assertEqual(self.outbox.states(), [State.DELIVERED] * 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_probe_that_passes(self) -> None:
        """A probe that is accepted while it stops begins nothing, not even a timer."""
        self.lanes(5)
        self.setting.answer(DOWN)
        self.setting.answer(DOWN)
        self.clock.advance(1)
        stopped = self.stop()
        self.setting.answer(OK)
        self.successResultOf(stopped)
        self.assertEqual(self.outbox.states().count(State.DELIVERED), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """What is still under way after 3 s is cut off, and given back untried."""
        made = self.lanes(9)
        stopped = self.stop()
        self.clock.advance(3)
        self.successResultOf(stopped)
        self.assertEqual(self.sends.cut, made[:3])
        for row in self.outbox.rows:
            self.assertEqual((row.state, row.attempts, row.leased), (State.WAITING, 0, False))

    def test_trouble_at_the_end(self) -> None:
        """What fails while it stops is given back untried: it may have been cut off."""
        self.lanes(1)
        stopped = self.stop()
        self.setting.answer(DOWN)
        self.successResultOf(stopped)
        [row] = self.outbox.rows
        self.assertEqual((row.state, row.attempts, row.leased), (State.WAITING, 0, False))

    def test_claimed_too_late(self) -> None:
        """What the outbox hands out after the stop is not sent, and is given back."""
        self.begin(eager=False)
        self.lanes(3)
        self.setting.outbox.step()
        stopped = self.stop()
        self.setting.outbox.settle()
        self.successResultOf(stopped)
        self.assertFalse(any(each.leased for each in self.outbox.rows))

    def test_probe_claimed_too_late(self) -> None:
        """Neither is a probe."""
        self.begin(eager=False)
        self.lanes(2)
        self.setting.outbox.settle()
        self.setting.answer(DOWN)
        self.setting.outbox.settle()
        self.clock.advance(1)
        stopped = self.stop()
        self.setting.outbox.settle()
        self.successResultOf(stopped)
        self.assertFalse(any(each.leased for each in self.outbox.rows))

    def test_poked_afterwards(self) -> None:
        """What comes after the stop stays where it is."""
        self.successResultOf(self.stop())
        self.lanes(2)
        self.clock.advance(100)
        self.assertEqual(self.outbox.states(), [State.WAITING] * 2)


class Interleavings(RuleBasedStateMachine):
    """Any order of statuses coming, calls to the outbox being done, and attempts ending."""

    CONCURRENCY = 3

    def __init__(self) -> None:
        super().__init__()
        draw = random.Random(0).random  # noqa: S311 - jitter need not be secret
        self.setting = Setting(eager=False, concurrency=self.CONCURRENCY, draw=draw)
        self.outbox, self.sends = self.setting.outbox, self.setting.sends
        self.sends.on_begin = self.begun
        self.poison: set[str] = set()
        self.stopped: Deferred[None] | None = None
        self.setting.relay.start()

    def begun(self, delivery: Delivery) -> None:
        """See whether a delivery may be begun now."""
        under_way = self.sends.under_way
        row = self.outbox.row(delivery)
        assert self.stopped is None, "begun after the stop"
        assert delivery.lane not in {each.lane for each in under_way}, "two of a lane"
        assert len(under_way) < self.CONCURRENCY, "too many at once"
        assert row.leased, "begun without being claimed"
        assert row.state in PENDING, "begun though it has ended"
        failing = self.setting.relay.failing
        if delivery.group in failing and not self.setting.relay.paused:
            assert delivery.group not in [each.group for each in under_way], "two slots"
        earlier = [
            each.delivery.subject
            for each in self.outbox.rows[: row.sequence - 1]
            if each.delivery.lane == delivery.lane and each.state is State.WAITING
        ]
        # A newer status of the same build may be tried in the turn of a group that fails.
        assert set(earlier) <= {delivery.subject}, "out of order"

    @precondition(lambda self: len(self.outbox.rows) < 12)
    @rule(lane=st.sampled_from("abcde"), poison=st.integers(0, 5), subject=st.integers(0, 5))
    def put(self, lane: str, poison: int, subject: int) -> None:
        """A status comes; one in six is one that the receiver breaks on."""
        number = len(self.outbox.rows)
        group = {"a": "x", "b": "x", "c": "y", "d": "y"}.get(lane, "z")
        delivery = a_delivery(number, lane, subject=f"{lane} {subject}", group=group)
        if not poison:
            self.poison.add(delivery.id)
        self.setting.put(delivery)

    @rule(count=st.integers(1, 5))
    def step(self, count: int) -> None:
        """The outbox does its next calls."""
        for _ in range(count):
            self.outbox.step()

    @precondition(lambda self: self.sends.under_way)
    @rule(which=st.integers(0, 10), outcome=st.sampled_from([OK, OK, DOWN, REFUSED, Refused(429)]))
    def end(self, which: int, outcome: Outcome) -> None:
        """An attempt ends."""
        delivery = self.sends.under_way[which % len(self.sends.under_way)]
        self.setting.answer(BROKEN if delivery.id in self.poison else outcome, delivery)

    @rule(seconds=st.sampled_from([0.5, 1, 5, 30, 100]))
    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.setting.clock.advance(seconds)

    @precondition(lambda self: self.stopped is None)
    @rule(chance=st.integers(0, 9))
    def stop(self, chance: int) -> None:
        """Now and then it is stopped, and must be over 3 s later."""
        if chance:
            return
        stopped = self.setting.relay.stop()
        self.stopped = stopped
        self.setting.clock.advance(3)
        self.outbox.settle()
        assert stopped.called, "the stop takes too long"
        assert not self.sends.under_way, "something is still under way after the stop"
        assert not any(each.leased for each in self.outbox.rows), "something is still claimed"

    @invariant()
    def nothing_in_the_log(self) -> None:
        """No error of the program itself."""
        assert "critical" not in self.setting.book.levels, self.setting.book.lines

    def teardown(self) -> None:
        """Once the receiver takes all but the poison, and builds go on, all else gets through."""
        if self.stopped is not None:
            return
        for number in range(100, 200):
            self.setting.put(a_delivery(number, f"lane {number}"))
            for _ in range(3):
                self.outbox.settle()
                for each in self.sends.under_way:
                    self.setting.answer(BROKEN if each.id in self.poison else OK, each)
            self.setting.clock.advance(100)
        for row in self.outbox.rows:
            assert row.delivery.id in self.poison or row.state not in PENDING, row
            assert row.state is not State.DEAD, row


class InterleavingsTest(SynchronousTestCase):
    """Every order of things."""

    def test_any_order(self) -> None:
        """Whatever comes first, lanes keep their order, and nothing is lost or held up."""
        run_state_machine_as_test(
            Interleavings,
            settings=settings(max_examples=50, stateful_step_count=40, deadline=None),
        )


class NoticesTest(SynchronousTestCase):
    """What an administrator reads."""

    def setUp(self) -> None:
        """Start a relay."""
        self.setting = Setting(concurrency=1)
        self.setting.relay.start()

    def test_trouble(self) -> None:
        """Trouble is told once when it begins, and once when it is over, with how many waited."""
        self.setting.put(*(a_delivery(number, f"lane {number}") for number in range(3)))
        for _ in range(9):
            self.setting.answer(DOWN)
            self.setting.clock.advance(60)
        self.setting.answer(OK)
        self.setting.answer(OK)
        self.assertEqual(
            self.setting.book.lines,
            [
                "push: the receiver does not accept statuses: no answer (build 1). "
                "They are kept, and sent when it recovers",
                "push: the receiver accepts statuses again after 480 s, 3 waited",
            ],
        )

    def test_advice(self) -> None:
        """An answer that tells where to look is told with that."""
        for status, words in ((401, "auth, headers"), (302, "serverUrl"), (407, "a proxy")):
            setting = Setting(concurrency=1)
            setting.relay.start()
            setting.put(a_delivery())
            for _ in range(2):
                setting.answer(Refused(status))
                setting.clock.advance(2)
            [line] = setting.book.lines
            self.assertIn(f"rejected with {status} (build 1); ", line)
            self.assertIn(words, line)

    def test_numbers(self) -> None:
        """It counts all that waited, though some are gone before the outbox has counted."""
        setting = Setting(eager=False)
        setting.relay.start()
        setting.put(*(a_delivery(number, f"lane {number}") for number in range(13)))
        setting.outbox.settle()
        for _ in range(4):
            setting.answer(DOWN)
            setting.outbox.settle()
            setting.clock.advance(60)
            setting.outbox.settle()
        while setting.sends.under_way:
            setting.answer(OK)
            setting.outbox.settle()
        self.assertIn("accepts statuses again after 240 s, 12 waited", setting.book.lines[1])

    def test_a_receiver_that_flips(self) -> None:
        """However often it stops accepting, a minute has one pair of lines at most."""
        self.setting.put(*(a_delivery(number, f"lane {number}") for number in range(200)))
        clock = self.setting.clock
        while clock.seconds() < 300:
            for outcome in (DOWN, DOWN, OK, OK):
                clock.advance(1)
                self.setting.answer(outcome)
                clock.advance(1)
        lines = self.setting.book.lines
        self.assertIn(len([each for each in lines if "does not accept" in each]), (4, 5))
        self.assertIn(len([each for each in lines if "accepts statuses again" in each]), (4, 5))

    def test_trouble_that_stays(self) -> None:
        """Trouble that comes soon after the last is told when it stays, and then with its end."""
        self.setting.put(*(a_delivery(number, f"lane {number}") for number in range(9)))
        clock = self.setting.clock
        for outcome in (DOWN, DOWN, OK, OK, *[DOWN] * 8):
            self.setting.answer(outcome)
            clock.advance(72)
        self.assertEqual(len(self.setting.book.lines), 3, self.setting.book.lines)

    def test_a_hiccup(self) -> None:
        """One failure that the next attempt makes good is not worth a line."""
        self.setting.put(a_delivery(1, "a"), a_delivery(2, "b"))
        self.setting.answer(DOWN)
        while self.setting.sends.under_way:
            self.setting.answer(OK)
        self.assertEqual(self.setting.book.lines, [])

    def test_refusals(self) -> None:
        """Refused deliveries are told every ten minutes, with how many there were since."""
        for number in range(4):
            self.setting.put(a_delivery(number, f"lane {number}"))
            self.setting.answer(Refused(400, "bad branch"))
        self.assertEqual(
            self.setting.book.lines,
            ["push: the receiver rejected build 0: rejected with 400: bad branch. "
             "Trying again later"],
        )  # fmt: skip
        self.setting.clock.advance(600)
        self.setting.answer(REFUSED)
        self.assertIn(
            "Trying again later; 3 more since the last such line", self.setting.book.lines[1]
        )

    def test_made_good(self) -> None:
        """When what was refused is accepted, that is told, too."""
        self.setting.put(a_delivery(1))
        self.setting.answer(REFUSED)
        self.setting.clock.advance(1)
        self.setting.answer(OK)
        self.assertEqual(
            self.setting.book.lines[1:],
            ["push: the receiver accepts statuses again after 1 s, 1 waited"],
        )

    def test_given_up(self) -> None:
        """What is given up is an error, with the commands that show it and send it."""
        self.setting.put(a_delivery(1))
        self.setting.answer(Refused(410, "gone"))
        self.assertEqual(
            self.setting.book.lines,
            [
                "push: build 1 will not be sent any more: rejected with 410: gone. "
                "'buildbot-http-status-push outbox list --dead' shows it, "
                "'outbox redeliver' sends it"
            ],
        )
        self.assertEqual(self.setting.book.levels, ["error"])
