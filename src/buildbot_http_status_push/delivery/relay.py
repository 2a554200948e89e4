"""Sends what the outbox holds: order within a lane, concurrency, pause and probe, stop.

Knows neither SQL nor HTTP: both come in through the constructor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from buildbot_http_status_push.delivery.endpoint import Attempt, Endpoint, ProbeAllowed
from buildbot_http_status_push.delivery.notices import Notices
from buildbot_http_status_push.delivery.retry import decide
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
PREFETCH = 20
HELD_BYTES = 8 * 1024 * 1024
LEASE_MARGIN = 60.0

T = TypeVar("T")
Send: TypeAlias = Callable[[Delivery], "Deferred[Outcome]"]


class Source(Protocol):
    """What the relay needs of an outbox."""

    def claim(self, limit: int, lease: float, probe: Probe | None = None) -> Deferred[list[Claim]]:
        """Take deliveries that may be sent now."""

    def release(self, sequences: list[int] | None = None) -> Deferred[None]:
        """Give claimed deliveries back untried."""

    def record(self, claim: Claim, verdict: Verdict) -> Deferred[State | None]:
        """Write down what becomes of a delivery."""

    def waiting(self) -> Deferred[int]:
        """Return how many deliveries are still to be sent."""


@frozen
class Settings:
    """How the relay works.

    Args:
        concurrency: How many attempts may be under way at once.
        timeout: Seconds that an attempt takes at most.
        give_up_after: Seconds after which a delivery that always failed is dead.
    """

    concurrency: int = 10
    timeout: float = 30.0
    give_up_after: float = 7 * 86400.0

    @property
    def lease(self) -> float:
        """Seconds after which another master may take what this one has claimed."""
        return self.timeout + 2 * LEASE_MARGIN

    @property
    def least_lease(self) -> float:
        """Seconds that a lease must still last when an attempt begins."""
        return self.timeout + LEASE_MARGIN


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
        self._endpoint = Endpoint()
        self._ready: deque[Claim] = deque()
        self._largest = HELD_BYTES
        self._in_flight: dict[str, Deferred[Any]] = {}
        self._behind: set[str] = set()
        self._last_lane = ""
        self._claiming = False
        self._may_have_more = True
        self._timer: IDelayedCall | None = None
        self._stopping = False

    def start(self) -> None:
        """Give back what an earlier run of this master had claimed, and begin."""
        self._outbox.release().addErrback(self._notices.failed, "releasing deliveries")
        self._tick()

    def poke(self, lane: str | None = None) -> None:
        """Look at the outbox now: something may have come.

        Args:
            lane: Where it has come; None if that is not known.
        """
        if lane is not None and (self._claiming or self._is_held(lane)):
            self._behind.add(lane)
        self._may_have_more = True
        self._pump()

    def _is_held(self, lane: str) -> bool:
        return lane in self._in_flight or any(each.delivery.lane == lane for each in self._ready)

    def use(self, send: Send, settings: Settings) -> None:
        """Make all attempts from now on in another way; what was paused is tried at once."""
        self._send, self._settings = send, settings
        self._endpoint = Endpoint(accepted=self._endpoint.accepted)
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
        self._ready.clear()
        await self._outbox.release()

    def _cut(self) -> None:
        for attempt in list(self._in_flight.values()):
            attempt.cancel()

    def _tick(self) -> None:
        """Look again and again: other masters and people change the outbox, retries come due."""
        self._timer = None
        self.poke()
        self._sleep()

    def _sleep(self) -> None:
        if self._stopping:
            return
        wait = POLL_INTERVAL
        until_probe = self._endpoint.probe_at - self._reactor.seconds()
        if until_probe > 0:
            wait = min(wait, max(until_probe, 0.01))
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._reactor.callLater(wait, self._tick)

    def _pump(self) -> None:
        if self._stopping:
            return
        if self._endpoint.is_open:
            self._flow()
        else:
            self._give_back()
            self._probe()

    def _flow(self) -> None:
        self._give_back_late_ones()
        while len(self._in_flight) < self._settings.concurrency and (claim := self._next_ready()):
            self._begin(claim, probe=False)
        room = self._room()
        wanted = room - len(self._ready) - len(self._in_flight)
        # While half of them are sent, the other half is claimed.
        if self._may_have_more and wanted * 2 > room:
            self._claim(wanted, None)

    def _next_ready(self) -> Claim | None:
        """Take the first delivery whose lane is free.

        An outbox that went over to memory knows nothing of what is under way from the database.
        """
        for claim in self._ready:
            if claim.delivery.lane not in self._in_flight:
                self._ready.remove(claim)
                return claim
        return None

    def _room(self) -> int:
        """Return how many deliveries to hold: fewer where bodies are large."""
        concurrency = self._settings.concurrency
        return min(max(HELD_BYTES // self._largest, 2 * concurrency), concurrency * PREFETCH)

    def _give_back_late_ones(self) -> None:
        """A slow receiver, or a machine that slept: others may soon take what is held."""
        least = self._reactor.seconds() + self._settings.least_lease
        if self._ready and self._ready[0].lease_until < least:
            self._may_have_more = True
            self._give_back()

    def _give_back(self) -> None:
        if self._ready:
            released = self._outbox.release([claim.sequence for claim in self._ready])
            released.addErrback(self._notices.failed, "releasing deliveries")
            self._ready.clear()

    def _probe(self) -> None:
        allowed = self._endpoint.probe_allowed(self._reactor.seconds(), self._in_flight)
        if allowed is not ProbeAllowed.NONE:
            strict = allowed is ProbeAllowed.OTHER_LANE
            newer = self._endpoint.in_doubt and not strict
            self._claim(1, Probe(self._draw(), self._last_lane, strict, newer))

    def _claim(self, limit: int, probe: Probe | None) -> None:
        if self._claiming:
            return
        self._claiming = True
        self._may_have_more = False
        claimed = self._outbox.claim(limit, self._settings.lease, probe)
        claimed.addBoth(self._claim_ended)
        claimed.addCallback(self._claimed, limit, probe)
        claimed.addErrback(self._notices.failed, "claiming deliveries")

    def _claim_ended(self, claims: T) -> T:
        self._claiming = False
        return claims

    def _claimed(self, claims: list[Claim], limit: int, probe: Probe | None) -> None:
        self._may_have_more |= len(claims) == limit
        if claims:
            self._largest = max(1, *(len(claim.delivery.body) for claim in claims))
        if probe is not None and not self._stopping and not self._endpoint.is_open:
            for claim in claims:
                if claim.delivery.lane in self._in_flight:
                    self._ready.append(claim)  # to be given back
                else:
                    self._begin(claim, probe=True)
            return
        self._ready.extend(claims)
        self._behind = set(filter(self._is_held, self._behind))
        if claims or self._may_have_more:
            self._pump()

    def _begin(self, claim: Claim, *, probe: bool) -> None:
        delivery = claim.delivery
        self._last_lane = delivery.lane
        attempt = Attempt(delivery.id, delivery.lane, self._endpoint.accepted, probe)
        sent = self._send(delivery)
        self._in_flight[delivery.lane] = sent
        sent.addErrback(self._unforeseen)
        sent.addCallback(self._finished, claim, attempt)
        sent.addErrback(self._notices.failed, "recording an attempt")

    def _unforeseen(self, failure: Failure) -> Outcome:
        self._notices.failed(failure, "sending")
        return Unreachable(f"an error in the program itself: {type(failure.value).__name__}")

    def _finished(self, outcome: Outcome, claim: Claim, attempt: Attempt) -> None:
        del self._in_flight[claim.delivery.lane]
        if self._stopping and not isinstance(outcome, Accepted):
            return  # it may have been cut off: the release at the end gives it back untried
        now = self._reactor.seconds()
        was_in_trouble = self._endpoint.in_trouble
        lone = self._endpoint.observe(outcome, attempt, now, self._draw())
        verdict = self._decide(outcome, claim, lone=lone, now=now)
        recorded = self._outbox.record(claim, verdict)
        recorded.addErrback(self._notices.failed, "recording a verdict")
        self._tell(outcome, claim, verdict, was_in_trouble)
        # An outbox that has just been looked through is not asked for what it can't have.
        is_plain = verdict.state is State.DELIVERED and not attempt.probe
        self._may_have_more |= claim.more or attempt.lane in self._behind or not is_plain
        self._behind.discard(attempt.lane)
        self._pump()
        if attempt.probe or not self._endpoint.is_open:
            self._sleep()

    def _decide(self, outcome: Outcome, claim: Claim, *, lone: bool, now: float) -> Verdict:
        return decide(
            outcome,
            lone=lone,
            attempts=claim.attempts + 1,
            created_at=claim.created_at,
            now=now,
            give_up_after=self._settings.give_up_after,
            draw=self._draw(),
        )

    def _tell(self, outcome: Outcome, claim: Claim, verdict: Verdict, was_in_trouble: bool) -> None:
        title = claim.delivery.title
        if verdict.state is State.DELIVERED:
            self._notices.accepted(self._outbox.waiting, again=claim.attempts > 0)
        elif verdict.state is State.DEAD:
            self._notices.given_up(verdict.outcome, title)
        elif verdict.state is State.RETRYING:
            self._notices.refused(outcome, title)
        elif self._endpoint.in_trouble and not was_in_trouble:
            self._notices.stopped_accepting(outcome, title)

    @property
    def paused(self) -> bool:
        """Whether the receiver does not accept anything."""
        return not self._endpoint.is_open
