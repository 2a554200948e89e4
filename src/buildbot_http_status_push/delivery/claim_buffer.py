"""Claims deliveries ahead of their attempts, so that no attempt waits for the outbox.

Knows neither SQL nor HTTP, nor when an attempt may be made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred

from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.model import Disposition, LeasedDelivery, State, Turn

PREFETCH = 20
HELD_BYTES = 8 * 1024 * 1024
LEASE = 45.0
"""Seconds after which another master may take what this one has claimed, and no longer renews."""
RENEW_INTERVAL = 15.0

T = TypeVar("T")


class Source(Protocol):
    """What the relay needs of an outbox."""

    def claim(
        self,
        limit: int,
        lease: float,
        held: Collection[str] = (),
        turns: Sequence[Turn] | None = None,
    ) -> Deferred[list[LeasedDelivery]]:
        """Take deliveries that may be sent now."""

    def renew(self, sequences: list[int], lease: float) -> Deferred[float]:
        """Lengthen leases, and return until when they last."""

    def release(self, sequences: list[int] | None = None) -> Deferred[None]:
        """Give claimed deliveries back untried."""

    def clamp_future_times(self, wait: float, lease: float) -> Deferred[None]:
        """Believe no time that lies too far ahead: the clock has been set back since."""

    def record(self, claim: LeasedDelivery, disposition: Disposition) -> Deferred[State | None]:
        """Write down what becomes of a delivery."""

    def waiting(self) -> Deferred[int]:
        """Return how many deliveries are still to be sent."""


class ClaimBuffer:
    """The deliveries that are claimed and not yet being sent.

    Attributes:
        claiming: Whether something is being claimed now.
        worth_asking: Whether the outbox may have something that can be claimed now.
    """

    def __init__(self, outbox: Source, operator_log: OperatorLog) -> None:
        self._outbox = outbox
        self._operator_log = operator_log
        self._queue: deque[LeasedDelivery] = deque()
        self._held_until = 0.0
        self._largest_body = HELD_BYTES
        self.claiming = False
        self._lanes_with_more: set[str] = set()
        self.worth_asking = True

    def added(self, lane: str | None, in_flight: Collection[str]) -> None:
        """Take note that something was put into the outbox."""
        if lane is not None and (self.claiming or self._is_busy(lane, in_flight)):
            self._lanes_with_more.add(lane)
        self.worth_asking = True

    def _is_busy(self, lane: str, in_flight: Collection[str]) -> bool:
        return lane in in_flight or any(each.delivery.lane == lane for each in self._queue)

    def next(self, in_flight: Collection[str]) -> LeasedDelivery | None:
        """Take the first delivery whose lane is free."""
        for claim in self._queue:
            if claim.delivery.lane not in in_flight:
                self._queue.remove(claim)
                return claim
        return None

    def wanted(self, concurrency: int, in_flight: int) -> int:
        """Return how many deliveries to claim now: the one half while the other one is sent."""
        room = self._room(concurrency)
        missing = room - len(self._queue) - in_flight
        return missing if self.worth_asking and missing * 2 > room else 0

    def _room(self, concurrency: int) -> int:
        """Return how many deliveries to hold: fewer where bodies are large."""
        most = concurrency * PREFETCH
        return min(max(HELD_BYTES // self._largest_body, 2 * concurrency), most)

    def claim(self, limit: int, held: Collection[str]) -> Deferred[list[LeasedDelivery]] | None:
        """Claim deliveries of the groups that pass, unless something is being claimed already."""
        if self.claiming:
            return None
        self.claiming = True
        self.worth_asking = False
        claimed = self._outbox.claim(limit, LEASE, held=frozenset(held))
        claimed.addBoth(self._claim_ended)
        claimed.addCallback(self._claimed, limit)
        return claimed

    def claim_turns(
        self, limit: int, turns: Sequence[Turn]
    ) -> Deferred[list[LeasedDelivery]] | None:
        """Claim one delivery each of groups that fail, unless another claim is under way."""
        if self.claiming:
            return None
        self.claiming = True
        claimed = self._outbox.claim(limit, LEASE, turns=turns)
        claimed.addBoth(self._claim_ended)
        return claimed

    def _claim_ended(self, result: T) -> T:
        self.claiming = False
        return result

    def _claimed(self, claims: list[LeasedDelivery], limit: int) -> list[LeasedDelivery]:
        self.worth_asking |= len(claims) == limit
        if claims:
            self._largest_body = max(1, *(len(claim.delivery.body) for claim in claims))
        return claims

    def hold(self, claims: list[LeasedDelivery], in_flight: Collection[str]) -> None:
        """Keep deliveries until it is their turn, and give back those whose lane is taken.

        An outbox that went over to memory, or came back, does not know what is claimed from the
        other one: what is first in a lane there may be older than what is sent from here.
        """
        late = [claim for claim in claims if self._is_busy(claim.delivery.lane, in_flight)]
        first_ends = min((claim.lease_until for claim in claims), default=self._held_until)
        self._held_until = min(first_ends, self._held_until) if self._queue else first_ends
        self._queue.extend(claim for claim in claims if claim not in late)
        self.give_back(late)
        self._lanes_with_more.update(claim.delivery.lane for claim in late)
        lanes = self._lanes_with_more
        self._lanes_with_more = {lane for lane in lanes if self._is_busy(lane, in_flight)}

    def attempted(self, claim: LeasedDelivery, *, drained: bool) -> None:
        """Take note that an attempt has ended.

        Args:
            claim: What was sent.
            drained: Whether the outbox has nothing new for that reason alone: one that has just
                been looked through is not asked for what it can't have.
        """
        lane = claim.delivery.lane
        self.worth_asking |= claim.more or lane in self._lanes_with_more or not drained
        self._lanes_with_more.discard(lane)

    def renew(self, in_flight: Collection[LeasedDelivery]) -> None:
        """Keep what is claimed from other masters."""
        sequences = [claim.sequence for claim in (*in_flight, *self._queue)]
        if sequences:
            renewed = self._outbox.renew(sequences, LEASE)
            renewed.addCallback(self._renewed)
            renewed.addErrback(self._operator_log.failed, "keeping deliveries")

    def _renewed(self, until: float) -> None:
        self._held_until = until

    def release_late(self, now: float) -> None:
        """Give all back if others may take the first one too soon: the machine slept."""
        if self._queue and self._held_until < now + RENEW_INTERVAL:
            self.worth_asking = True
            self.release()

    def release(self, group: str | None = None) -> None:
        """Give all back untried, or all of one group."""
        self.give_back([each for each in self._queue if group in (None, each.delivery.group)])
        kept = (each for each in self._queue if group not in (None, each.delivery.group))
        self._queue = deque(kept)

    def give_back(self, claims: Collection[LeasedDelivery]) -> None:
        """Give deliveries back untried."""
        if claims:
            released = self._outbox.release([claim.sequence for claim in claims])
            released.addErrback(self._operator_log.failed, "releasing deliveries")
