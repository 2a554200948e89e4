"""Sends what the outbox holds: order within a lane, concurrency, pause and probe, stop.

Knows neither SQL nor HTTP: both come in through the constructor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from buildbot_http_status_push.delivery.circuit_breaker import (
    Attempt,
    CircuitBreaker,
    ProbeAllowed,
)
from buildbot_http_status_push.delivery.expiry import Expiry
from buildbot_http_status_push.delivery.notices import Notices
from buildbot_http_status_push.delivery.prefetch import (
    LEASE,
    RENEW_INTERVAL,
    Prefetch,
    Settings,
    Source,
)
from buildbot_http_status_push.delivery.retry import LONGEST_WAIT, decide
from buildbot_http_status_push.model import (
    Accepted,
    Claim,
    Delivery,
    Outcome,
    State,
    Unreachable,
    Verdict,
)
from buildbot_http_status_push.outbox.ledger import Probe

POLL_INTERVAL = 5.0
STOP_PATIENCE = 3.0
SHORTEST_WAIT = 0.01

Send: TypeAlias = Callable[[Delivery], "Deferred[Outcome]"]


class Relay:
    """Carries deliveries from the outbox to the receiver.

    Args:
        reactor: The clock.
        outbox: Where deliveries come from and verdicts go to.
        send: Makes one attempt.
        settings: How many at once, how long.
        draw: Yields random numbers from 0 to 1.
        notices: Tells people what happens.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        outbox: Source,
        send: Send,
        settings: Settings,
        draw: Callable[[], float],
        notices: Notices,
    ) -> None:
        self._reactor = reactor
        self._outbox = outbox
        self._send = send
        self._settings = settings
        self._draw = draw
        self._notices = notices
        self._breaker = CircuitBreaker()
        self._expiry = Expiry()
        self._prefetch = Prefetch(outbox, notices)
        self._in_flight: dict[str, Deferred[Any]] = {}
        self._sending: dict[str, Claim] = {}
        self._renewed_at = 0.0
        self._last_lane = ""
        self._delivered = 0
        self._retries: list[float] = []
        self._timer: IDelayedCall | None = None
        self._stopping = False

    def start(self) -> None:
        """Give back what an earlier run of this master had claimed, and begin."""
        self._outbox.release().addErrback(self._notices.failed, "releasing deliveries")
        self._pull_back()
        self._tick()

    def _pull_back(self) -> None:
        pulled = self._outbox.pull_back(LONGEST_WAIT, 2 * LEASE)
        pulled.addErrback(self._notices.failed, "looking at the times of deliveries")

    def poke(self, lane: str | None = None) -> None:
        """Look at the outbox now: something may have come.

        Args:
            lane: Where it has come; None if that is not known.
        """
        self._prefetch.added(lane, self._in_flight)
        self._pump()
        if self._timer and self._timer.getTime() > self._reactor.seconds() + POLL_INTERVAL:
            self._clock_was_set_back()

    def _clock_was_set_back(self) -> None:
        """Wait for no moment that is far away now; Twisted's own timers do."""
        self._pull_back()
        self._sleep()

    def use(self, send: Send, settings: Settings) -> None:
        """Make all attempts from now on in another way; what was paused is tried at once."""
        self._send, self._settings = send, settings
        self._breaker = CircuitBreaker(accepted=self._breaker.accepted)
        self.poke()

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
        self._prefetch.release()
        await self._outbox.release()

    def _cut(self) -> None:
        for attempt in list(self._in_flight.values()):
            attempt.cancel()

    def _tick(self) -> None:
        """Look again and again: other masters and people change the outbox, retries come due."""
        self._timer = None
        self.given_up_before()
        self._renew()
        self.poke()
        self._sleep()

    def _renew(self) -> None:
        now = self._reactor.seconds()
        if not 0 <= now - self._renewed_at < RENEW_INTERVAL:
            self._renewed_at = now
            self._prefetch.renew(self._sending.values())

    def _sleep(self) -> None:
        if self._stopping:
            return
        now = self._reactor.seconds()
        self._retries = [moment for moment in self._retries if moment > now]
        waits = [moment - now for moment in (*self._retries, self._breaker.probe_at)]
        wait = min([POLL_INTERVAL, *(max(each, SHORTEST_WAIT) for each in waits if each > 0)])
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.callLater(wait, self._tick)

    def _pump(self) -> None:
        if self._stopping:
            return
        if self._breaker.is_closed:
            self._flow()
        else:
            self._prefetch.release()
            self._probe()

    def _flow(self) -> None:
        self._prefetch.release_late(self._reactor.seconds())
        most, in_flight = self._settings.concurrency, self._in_flight
        while len(in_flight) < most and (claim := self._prefetch.next(in_flight)):
            self._begin(claim, probe=False)
        if wanted := self._prefetch.wanted(most, len(in_flight)):
            self._claim(wanted, None)

    def _probe(self) -> None:
        allowed = self._breaker.probe_allowed(self._reactor.seconds(), self._in_flight)
        if allowed is not ProbeAllowed.NONE:
            strict = allowed is ProbeAllowed.OTHER_LANE
            newer = self._breaker.suspects_content and not strict
            # What came last has hardly been refused before: every other probe is that.
            where = 1.0 if self._breaker.failures % 2 else self._draw()
            self._claim(1, Probe(where, self._last_lane, strict, newer))

    def _claim(self, limit: int, probe: Probe | None) -> None:
        claimed = self._prefetch.claim(limit, probe)
        if claimed is not None:
            done = claimed.addCallback(self._claimed, probe)
            done.addErrback(self._notices.failed, "claiming deliveries")

    def _claimed(self, claims: list[Claim], probe: Probe | None) -> None:
        if probe is None or self._stopping or self._breaker.is_closed:
            self._prefetch.hold(claims, self._in_flight)
            if claims or self._prefetch.worth_asking:
                self._pump()
            return
        busy = [claim for claim in claims if claim.delivery.lane in self._in_flight]
        self._prefetch.hold(busy, self._in_flight)  # to be given back
        for claim in claims:
            if claim not in busy:
                self._begin(claim, probe=True)

    def _begin(self, claim: Claim, *, probe: bool) -> None:
        delivery = claim.delivery
        self._last_lane = delivery.lane
        accepted = self._breaker.accepted
        attempt = Attempt(delivery.id, delivery.lane, accepted, claim.attempts, probe)
        sent = self._send(delivery)
        self._in_flight[delivery.lane], self._sending[delivery.lane] = sent, claim
        sent.addErrback(self._unforeseen)
        sent.addCallback(self._finished, claim, attempt)
        sent.addErrback(self._notices.failed, "recording an attempt")

    def _unforeseen(self, failure: Failure) -> Outcome:
        self._notices.failed(failure, "sending")
        return Unreachable(f"an error in the program itself: {type(failure.value).__name__}")

    def _finished(self, outcome: Outcome, claim: Claim, attempt: Attempt) -> None:
        del self._in_flight[claim.delivery.lane], self._sending[claim.delivery.lane]
        if self._stopping and not isinstance(outcome, Accepted):
            return  # it may have been cut off: the release at the end gives it back untried
        now = self._reactor.seconds()
        failures = self._breaker.observe(outcome, attempt, now, self._draw())
        verdict = self._decide(outcome, claim, failures, now)
        self._notify(outcome, claim, verdict)
        recorded = self._outbox.record(claim, verdict)
        recorded.addCallback(self._recorded)
        recorded.addErrback(self._notices.failed, "recording a verdict")
        drained = verdict.state is State.DELIVERED and not attempt.probe
        self._prefetch.attempted(claim, drained=drained)
        self._pump()
        if verdict.next_attempt is not None and verdict.next_attempt < now + POLL_INTERVAL * 2:
            self._retries.append(verdict.next_attempt)
        if attempt.probe or not self._breaker.is_closed or self._retries:
            self._sleep()

    def _recorded(self, state: State | None) -> None:
        self._delivered += state is State.DELIVERED

    def _decide(self, outcome: Outcome, claim: Claim, failures: int, now: float) -> Verdict:
        return decide(
            outcome,
            failures=failures,
            attempts=claim.attempts + 1,
            created_at=claim.created_at,
            now=now,
            given_up_before=self.given_up_before(),
            draw=self._draw(),
        )

    def _notify(self, outcome: Outcome, claim: Claim, verdict: Verdict) -> None:
        title = claim.delivery.title
        if verdict.state is State.DELIVERED:
            self._notices.accepted(self._count_waiting, again=claim.attempts > 0)
        elif verdict.state is State.DEAD:
            self._notices.given_up(verdict.outcome, title)
        elif verdict.state is State.RETRYING:
            self._notices.refused(outcome, title)
        elif self._breaker.in_trouble and verdict.next_attempt is None:
            self._notices.stopped_accepting(outcome, title)

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
        return not self._breaker.is_closed
