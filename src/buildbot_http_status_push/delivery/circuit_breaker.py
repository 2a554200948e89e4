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
    LONGEST_WAIT,
    TOO_MANY_REQUESTS,
    asked_delay,
    concerns_receiver,
    probe_delay,
)
from buildbot_http_status_push.model import Accepted, Outcome, Refused

REMEMBERED = 1000
UNPROVEN_MOST = 7
"""So many failures in a row are counted as a delivery's own without others being accepted."""
CONTENT_SUSPECTED_FROM = 5
"""So many failures in a row, and it may be the content that a receiver stumbles over."""


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
        attempts_before: How many attempts of this delivery were made before this one.
        probe: Whether it was made while the circuit breaker was open.
    """

    id: str
    lane: str
    accepted_before: int
    attempts_before: int
    probe: bool


@frozen
class _Failure:
    """What is remembered of a delivery that failed.

    Args:
        accepted: The value of ``CircuitBreaker.accepted`` when it failed last.
        own: How many times in a row it failed for reasons of its own.
    """

    accepted: int
    own: int


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
            time that the receiver goes on to answer with 500.
    """

    accepted: int = 0
    failures: int = 0
    probe_at: float = 0.0
    suspects_content: bool = False
    _asked_to_wait: bool = False
    _failed_lanes: set[str] = field(factory=set)
    _recent_failures: OrderedDict[str, _Failure] = field(factory=OrderedDict)

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
        is_due = not now < self.probe_at <= now + LONGEST_WAIT  # the clock may be set back
        if is_due and not lanes_in_flight:
            return ProbeAllowed.ANY_LANE
        # One failed lane proves little: another one may ask at once, unless asked to wait.
        one_lane = len(self._failed_lanes) == 1 and not self._asked_to_wait
        if one_lane and self._failed_lanes.issuperset(lanes_in_flight):
            return ProbeAllowed.OTHER_LANE
        return ProbeAllowed.NONE

    def observe(self, outcome: Outcome, attempt: Attempt, now: float, draw: float) -> int:
        """Take note of an attempt's outcome.

        Args:
            outcome: What came of it.
            attempt: The attempt.
            now: The time, in seconds since the epoch.
            draw: A random number from 0 to 1, for the jitter.

        Returns:
            How many times in a row that delivery has failed for reasons of its own; 0 where it
            was accepted, or the failure is the receiver's.
        """
        if not concerns_receiver(outcome):
            self._close()
        if isinstance(outcome, Accepted):
            self.accepted += 1
            self._recent_failures.pop(attempt.id, None)
            return 0
        before = self._recent_failures.pop(attempt.id, None)
        own = self._own_failures(outcome, attempt, before)
        if own is None:
            self._pause(outcome, attempt, now, draw)
        known = own or (before.own if before else attempt.attempts_before)
        self._remember(attempt.id, _Failure(self.accepted, known))
        return own or 0

    def _own_failures(
        self, outcome: Outcome, attempt: Attempt, before: _Failure | None
    ) -> int | None:
        """Count a delivery's own failures with this one; None where this one is the receiver's."""
        # What is not remembered any more goes on where it was; all its attempts count.
        own = before.own if before else attempt.attempts_before
        since = before.accepted if before else attempt.accepted_before
        if not concerns_receiver(outcome) or self.accepted > since:
            return own + 1
        # It was its own last time, and nothing else has been tried since. Perhaps the receiver
        # has trouble by now: the waits may not become long.
        if before and before.own and not attempt.probe:
            return max(own, min(own + 1, UNPROVEN_MOST))
        return None

    def _close(self) -> None:
        self.failures = 0
        self.probe_at = 0.0
        self.suspects_content = False
        self._failed_lanes.clear()

    def _remember(self, delivery: str, failure: _Failure) -> None:
        self._recent_failures[delivery] = failure
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
        self.suspects_content = (
            _has_status(outcome, INTERNAL_ERROR)
            and self.failures >= CONTENT_SUSPECTED_FROM
            and not self.suspects_content
        )
        self.probe_at = max(self.probe_at, now + probe_delay(self.failures, draw, asked))


def _has_status(outcome: Outcome, status: int) -> bool:
    return isinstance(outcome, Refused) and outcome.status == status
