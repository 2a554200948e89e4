"""A circuit breaker: whether the receiver accepts, when to probe it, whose fault a failure is.

A state machine without clock, network or storage; the relay feeds it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from enum import Enum

from attrs import define, field, frozen

from buildbot_http_status_push.delivery.retry import (
    INTERNAL_ERROR,
    TOO_MANY_REQUESTS,
    asked_delay,
    concerns_receiver,
    probe_delay,
)
from buildbot_http_status_push.model import Accepted, Outcome, Refused

REMEMBERED = 1000


class ProbeAllowed(Enum):
    """Who may ask a paused receiver whether it accepts again."""

    NONE = "none"
    ANY_LANE = "any lane"
    OTHER_LANE = "a lane that has not failed"


@frozen
class Attempt:
    """What the circuit breaker must know of an attempt.

    Args:
        id: The delivery's id.
        lane: The delivery's lane.
        accepted_before: The value of ``CircuitBreaker.accepted`` when the attempt began.
        probe: Whether it was made while the circuit breaker was open.
    """

    id: str
    lane: str
    accepted_before: int
    probe: bool


@define
class CircuitBreaker:
    """Keeps deliveries from a receiver that does not accept any.

    While it is closed, deliveries flow. A failure that is not one delivery's own opens it: then
    it lets single deliveries through as probes, until one of them is accepted or refused.

    Attributes:
        accepted: How many deliveries it has accepted: the clock by which failures are told apart.
        failures: How many times in a row it was tried in vain; 0 while it accepts.
        probe_at: When it may be probed next, in seconds since the epoch.
        suspects_content: Whether the last failure may have its cause in what was sent: every other
            time that the receiver answers with 500.
    """

    accepted: int = 0
    failures: int = 0
    probe_at: float = 0.0
    suspects_content: bool = False
    _asked_to_wait: bool = False
    _failed_lanes: set[str] = field(factory=set)
    _recent_failures: OrderedDict[str, int] = field(factory=OrderedDict)

    @property
    def is_closed(self) -> bool:
        """Whether deliveries flow."""
        return self.failures == 0

    @property
    def in_trouble(self) -> bool:
        """Whether more than one attempt says so: the first failure may be one delivery's own."""
        return self.failures > 1

    def probe_allowed(self, now: float, lanes_in_flight: Collection[str]) -> ProbeAllowed:
        """Tell whether a delivery may be sent while the circuit breaker is open.

        Args:
            now: The time, in seconds since the epoch.
            lanes_in_flight: The lanes of the attempts that are under way.
        """
        if now >= self.probe_at and not lanes_in_flight:
            return ProbeAllowed.ANY_LANE
        # One failed lane proves little: another one may ask at once, unless asked to wait.
        one_lane = len(self._failed_lanes) == 1 and not self._asked_to_wait
        if one_lane and self._failed_lanes.issuperset(lanes_in_flight):
            return ProbeAllowed.OTHER_LANE
        return ProbeAllowed.NONE

    def observe(self, outcome: Outcome, attempt: Attempt, now: float, draw: float) -> bool:
        """Take note of an attempt's outcome.

        Args:
            outcome: What came of it.
            attempt: The attempt.
            now: The time, in seconds since the epoch.
            draw: A random number from 0 to 1, for the jitter.

        Returns:
            Whether a failure is that delivery's own: others were accepted while this attempt
            was under way, or since this delivery failed the last time.
        """
        if not concerns_receiver(outcome):
            self._answered(outcome, attempt)
            return True
        isolated = self.accepted > self._recent_failures.get(attempt.id, attempt.accepted_before)
        self._remember(attempt.id)
        if not isolated:
            self._pause(outcome, attempt, now, draw)
        return isolated

    def _answered(self, outcome: Outcome, attempt: Attempt) -> None:
        self.accepted += isinstance(outcome, Accepted)
        self.failures = 0
        self.probe_at = 0.0
        self.suspects_content = False
        self._failed_lanes.clear()
        self._recent_failures.pop(attempt.id, None)

    def _remember(self, delivery: str) -> None:
        self._recent_failures[delivery] = self.accepted
        self._recent_failures.move_to_end(delivery)
        if len(self._recent_failures) > REMEMBERED:
            self._recent_failures.popitem(last=False)

    def _pause(self, outcome: Outcome, attempt: Attempt, now: float, draw: float) -> None:
        if len(self._failed_lanes) < 2:
            self._failed_lanes.add(attempt.lane)
        # What was under way when the pause began says nothing new about how long it lasts.
        if self.is_closed or attempt.probe:
            self.failures += 1
        asked = asked_delay(outcome)
        self._asked_to_wait = asked > 0 or _has_status(outcome, TOO_MANY_REQUESTS)
        self.suspects_content = _has_status(outcome, INTERNAL_ERROR) and not self.suspects_content
        self.probe_at = max(self.probe_at, now + probe_delay(self.failures, draw, asked))


def _has_status(outcome: Outcome, status: int) -> bool:
    return isinstance(outcome, Refused) and outcome.status == status
