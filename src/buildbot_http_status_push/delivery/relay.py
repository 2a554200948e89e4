"""Sends what the outbox holds: order within a lane, concurrency, turns of what fails, stop.

Knows neither SQL nor HTTP: both come in through the constructor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias, TypeVar

from attrs import define
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from buildbot_http_status_push.delivery.circuit_breaker import Attempt, CircuitBreaker, is_past
from buildbot_http_status_push.delivery.claim_buffer import (
    LEASE,
    RENEW_INTERVAL,
    ClaimBuffer,
    Source,
)
from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.delivery.retry import LONGEST_WAIT, decide
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import (
    Accepted,
    Delivery,
    Disposition,
    LeasedDelivery,
    Outcome,
    State,
    Turn,
    Unreachable,
)

DAY = 86400.0
GAP_MOST = 60.0
"""Seconds between two looks: after more the clock was changed, or the machine slept."""


@define
class Expiry:
    """Says which deliveries are to be given up.

    A delivery's age is the difference of two readings of the clock. One that was set in between
    makes all of them old in one stroke. So nothing is given up before time has been seen to pass
    for a day: since the start, and since the clock last jumped.
    """

    _watched_since: float = math.inf
    _last: float = -math.inf

    def given_up_before(self, now: float, give_up_after: float) -> float:
        """Look at the clock, and return since when a delivery must have failed to be given up.

        Returns:
            Seconds since the epoch; before all time as long as nothing is to be given up.
        """
        if not 0 <= now - self._last <= GAP_MOST:
            self._watched_since = now
        self._last = now
        if now - self._watched_since < min(give_up_after, DAY):
            return -math.inf
        return now - give_up_after


POLL_INTERVAL = 5.0
STOP_PATIENCE = 3.0
SHORTEST_WAIT = 0.01

Send: TypeAlias = Callable[[Delivery], "Deferred[Outcome]"]
T = TypeVar("T")


class Relay:
    """Carries deliveries from the outbox to the receiver."""

    def __init__(
        self,
        reactor: IReactorTime,
        outbox: Source,
        send: Send,
        settings: SenderSettings,
        draw: Callable[[], float],
        operator_log: OperatorLog,
    ) -> None:
        self._reactor = reactor
        self._outbox = outbox
        self._send = send
        self._settings = settings
        self._draw = draw
        self._operator_log = operator_log
        self._breaker = CircuitBreaker()
        self._expiry = Expiry()
        self._buffer = ClaimBuffer(outbox, operator_log)
        self._in_flight: dict[str, Deferred[Any]] = {}
        self._sending: dict[str, LeasedDelivery] = {}
        self._renewed_at = 0.0
        self._turns_claimed = 0
        self._turns_from = 0.0
        self._delivered = 0
        self._retries: list[tuple[float, str]] = []
        self._timer: IDelayedCall | None = None
        self._stopping = False

    def start(self) -> None:
        """Give back what an earlier run of this master had claimed, and begin."""
        self._outbox.release().addErrback(self._operator_log.failed, "releasing deliveries")
        self._clamp_future_times()
        self._tick()

    def _clamp_future_times(self) -> None:
        pulled = self._outbox.clamp_future_times(LONGEST_WAIT, 2 * LEASE)
        pulled.addErrback(self._operator_log.failed, "looking at the times of deliveries")

    def added(self, delivery: Delivery) -> None:
        """Look at the outbox now: a delivery was put into it."""
        self._breaker.added(delivery.group)
        self._look(delivery.lane)
        if self._breaker.failing:
            self._sleep()

    def _look(self, lane: str | None = None) -> None:
        self._buffer.added(lane, self._in_flight)
        self._pump()
        if self._timer and self._timer.getTime() > self._reactor.seconds() + POLL_INTERVAL:
            self._clock_was_set_back()

    def _clock_was_set_back(self) -> None:
        """Wait for no moment that is far away now; Twisted's own timers do."""
        self._clamp_future_times()
        self._sleep()

    def use(self, send: Send, settings: SenderSettings) -> None:
        """Make all attempts from now on in another way; what failed is tried at once."""
        self._send, self._settings = send, settings
        self._breaker = CircuitBreaker(accepted=self._breaker.accepted)
        self._look()

    def stop(self) -> Deferred[None]:
        """Begin nothing new, give what is under way up to 3 seconds, give the rest back."""
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        attempts = list(self._in_flight.values())
        cut = self._reactor.callLater(STOP_PATIENCE, self._cut)
        await DeferredList(attempts)
        if cut.active():
            cut.cancel()
        self._buffer.release()
        await self._outbox.release()

    def _cut(self) -> None:
        for attempt in list(self._in_flight.values()):
            attempt.cancel()

    def _tick(self) -> None:
        """Look again and again: other masters and people change the outbox, retries come due."""
        self._timer = None
        self.given_up_before()
        self._renew()
        self._let_retry()
        self._look()
        self._sleep()

    def _let_retry(self) -> None:
        """Know that what rested has a delivery to send again."""
        now = self._reactor.seconds()
        for moment, group in self._retries:
            if moment <= now:
                self._breaker.added(group)
        self._retries = [(moment, group) for moment, group in self._retries if moment > now]

    def _renew(self) -> None:
        now = self._reactor.seconds()
        if not 0 <= now - self._renewed_at < RENEW_INTERVAL:
            self._renewed_at = now
            self._buffer.renew(self._sending.values())

    def _sleep(self) -> None:
        if self._stopping:
            return
        now = self._reactor.seconds()
        moments = [now + POLL_INTERVAL, *(moment for moment, _ in self._retries)]
        if (change := self._breaker.next_moment(now)) is not None:
            moments.append(change)
        if self._turns_from > now:
            moments.append(self._turns_from)
        if self._timer is not None:
            self._timer.cancel()
        wait = max(min(moments) - now, SHORTEST_WAIT)
        self._timer = self._reactor.callLater(wait, self._tick)

    def _pump(self) -> None:
        if self._stopping:
            return
        if self._breaker.is_down:
            self._buffer.release()
            self._probe()
        else:
            self._take_turns()
            self._flow()

    def _flow(self) -> None:
        """Send what passes, as much at once as is allowed."""
        self._buffer.release_late(self._reactor.seconds())
        most, in_flight = self._settings.concurrency - self._turns_claimed, self._in_flight
        while len(in_flight) < most and (claim := self._buffer.next(in_flight)):
            self._begin(claim)
        if wanted := self._buffer.wanted(most, len(in_flight)):
            self._claim(wanted)

    def _probe(self) -> None:
        """Send one delivery to a receiver that is down, if it is time: first of what passes."""
        if self._buffer.worth_asking and self._may_send_passing():
            self._claim(1)
        else:
            self._take_turns()

    def _may_send_passing(self) -> bool:
        now, room = self._reactor.seconds(), self._settings.concurrency - len(self._in_flight)
        return room > 0 and is_past(self._breaker.passing_at(now), now)

    def _take_turns(self) -> None:
        """Send what fails, in its own slots: one of a group, or of all if the receiver is down."""
        now = self._reactor.seconds()
        groups = [claim.delivery.group for claim in self._sending.values()]
        busy = [group for group in groups if group in self._breaker.failing]
        room = self._settings.concurrency - len(groups)
        own_slots = max(1, self._settings.concurrency // 2)
        most = min(room, own_slots - len(busy), 1 if self._breaker.is_down else room)
        turns = (
            self._breaker.turns(now, busy) if most > 0 and is_past(self._turns_from, now) else []
        )
        claimed = self._buffer.claim_turns(most, turns) if turns else None
        if claimed is not None:
            self._turns_claimed = most
            claimed.addBoth(self._turns_ended)
            claimed.addCallback(self._turns_found, turns, most)
            claimed.addErrback(self._operator_log.failed, "claiming deliveries")

    def _turns_ended(self, result: T) -> T:
        self._turns_claimed = 0
        return result

    def _turns_found(self, claims: list[LeasedDelivery], turns: Sequence[Turn], most: int) -> None:
        if len(claims) < most:
            found = {claim.delivery.group for claim in claims}
            empty = [turn.group for turn in turns if turn.group not in found]
            self._breaker.found_nothing(empty, self._reactor.seconds())
        for claim in claims:
            if self._stopping or claim.delivery.lane in self._in_flight:
                self._buffer.give_back([claim])
            else:
                self._begin(claim)
        self._pump()
        self._sleep()

    def _claim(self, limit: int) -> None:
        claimed = self._buffer.claim(limit, self._breaker.failing)
        if claimed is not None:
            claimed.addCallback(self._claimed)
            claimed.addErrback(self._operator_log.failed, "claiming deliveries")

    def _claimed(self, claims: list[LeasedDelivery]) -> None:
        # What passed when it was claimed may fail by now.
        failing = [each for each in claims if each.delivery.group in self._breaker.failing]
        passing = [each for each in claims if each.delivery.group not in self._breaker.failing]
        self._buffer.hold(passing, self._in_flight)
        self._buffer.give_back(failing)
        may_send = self._breaker.is_down and not self._stopping and self._may_send_passing()
        if may_send and (claim := self._buffer.next(self._in_flight)):
            self._begin(claim)
        if claims or self._buffer.worth_asking or self._breaker.is_down:
            self._pump()

    def _begin(self, claim: LeasedDelivery) -> None:
        delivery = claim.delivery
        attempt = self._breaker.begin(claim, self._reactor.seconds(), self._draw())
        sent = self._send(delivery)
        self._in_flight[delivery.lane], self._sending[delivery.lane] = sent, claim
        sent.addErrback(self._unforeseen)
        sent.addCallback(self._finished, attempt)
        sent.addErrback(self._operator_log.failed, "recording an attempt")

    def _unforeseen(self, failure: Failure) -> Outcome:
        self._operator_log.failed(failure, "sending")
        return Unreachable(f"an error in the program itself: {type(failure.value).__name__}")

    def _finished(self, outcome: Outcome, attempt: Attempt) -> None:
        claim = attempt.claim
        del self._in_flight[claim.delivery.lane], self._sending[claim.delivery.lane]
        if self._stopping and not isinstance(outcome, Accepted):
            return  # it may have been cut off: the release at the end gives it back untried
        now = self._reactor.seconds()
        failures = self._breaker.observe(outcome, attempt, now, self._draw())
        disposition = self._decide(outcome, claim, failures, now)
        self._notify(outcome, claim, disposition)
        recorded = self._outbox.record(claim, disposition)
        recorded.addCallback(self._recorded)
        recorded.addErrback(self._operator_log.failed, "recording a disposition")
        self._buffer.attempted(claim, drained=disposition.state is State.DELIVERED)
        if attempt.group in self._breaker.failing:
            self._buffer.release(attempt.group)
            if attempt.is_turn and self._settings.concurrency == 1:
                # They take turns with the others, which have as much time.
                self._turns_from = now + (now - attempt.began_at)
        self._pump()
        if (
            disposition.next_attempt is not None
            and disposition.next_attempt < now + POLL_INTERVAL * 2
        ):
            self._retries.append((disposition.next_attempt, attempt.group))
        if attempt.is_turn or self._breaker.failing or self._retries:
            self._sleep()

    def _recorded(self, state: State | None) -> None:
        self._delivered += state is State.DELIVERED

    def _decide(
        self, outcome: Outcome, claim: LeasedDelivery, failures: int, now: float
    ) -> Disposition:
        return decide(
            outcome,
            failures=failures,
            attempts=claim.attempts + 1,
            created_at=claim.created_at,
            now=now,
            given_up_before=self.given_up_before(),
            draw=self._draw(),
        )

    def _notify(self, outcome: Outcome, claim: LeasedDelivery, disposition: Disposition) -> None:
        title = claim.delivery.title
        if disposition.state is State.DELIVERED:
            self._operator_log.accepted(self._count_waiting, again=claim.attempts > 0)
        elif disposition.state is State.DEAD:
            self._operator_log.given_up(disposition.outcome, title)
        elif disposition.state is State.RETRYING:
            self._operator_log.refused(outcome, title)
        elif self._breaker.is_down and disposition.next_attempt is None:
            self._operator_log.stopped_accepting(outcome, title)

    async def _count_waiting(self) -> int:
        """Count what waits now, though some may be gone when the outbox has counted."""
        before = self._delivered
        return await self._outbox.waiting() + self._delivered - before

    def given_up_before(self) -> float:
        """Return since when a delivery must have failed to be given up now."""
        now = self._reactor.seconds()
        return self._expiry.given_up_before(now, self._settings.give_up_after)

    @property
    def paused(self) -> bool:
        """Whether the receiver does not accept anything."""
        return self._breaker.is_down

    @property
    def failing(self) -> Collection[str]:
        """The groups of which the receiver does not accept anything."""
        return self._breaker.failing
