"""A circuit breaker for each group of deliveries, and for the receiver as a whole.

A state machine without clock, network or storage; the relay feeds it. There are two states of a
group (a builder) and two of the receiver:

- A group **passes**, or it **fails**: from a failure until something of it is accepted. While it
  fails, one delivery is tried at a time, after a wait that doubles with each failure.
- The receiver is **up**, or it is **down**: from the second failure in a row until it accepts
  anything, or refuses anything for its content. A failure counts for that only if its group passed
  when the receiver answered last: a group that failed before says nothing new. While the receiver
  is down, attempts are paced: first the groups that pass, then the one tried least recently.

Groups that pass are not kept: all that is known is how and since when others fail.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from attrs import define, field, frozen

from buildbot_http_status_push.delivery.retry import (
    INTERNAL_ERROR,
    LONGEST_WAIT,
    asked_delay,
    concerns_receiver,
    group_delay,
    pace,
    probe_delay,
)
from buildbot_http_status_push.model import Accepted, LeasedDelivery, Outcome, Refused, Turn

REMEMBERED = 1000
UNPROVEN_MOST = 7
"""So many failures in a row are counted as a delivery's own without others being accepted."""
CONTENT_SUSPECTED_FROM = 5
"""So many failures in a row, and it may be the content that a receiver stumbles over."""
EMPTY_FOR = 5.0
"""Seconds until a group that had nothing to send is looked at again, if nothing is added."""

T = TypeVar("T")


@frozen
class Attempt:
    """What the circuit breaker must know of an attempt.

    Args:
        claim: What is sent.
        accepted_before: The value of ``CircuitBreaker.accepted`` when the attempt began.
        began_at: When it began, in seconds since the epoch.
        was_down: Whether the receiver was down then.
        is_turn: Whether its group failed then.
    """

    claim: LeasedDelivery
    accepted_before: int
    began_at: float
    was_down: bool
    is_turn: bool

    @property
    def group(self) -> str:
        """Whose failures count together."""
        return self.claim.delivery.group


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
class _Failing:
    """What is remembered of a group that fails. Times are in seconds since the epoch.

    Args:
        failures: How many attempts in a row failed.
        newly: How many of them were the first ones of their deliveries.
        is_known: Whether the receiver has answered another group since: it is not what fails.
        due: When any of its deliveries may be tried.
        due_untried: When one that was never tried may be: one bad status holds up no other long.
        asked_until: Until when the receiver asked to wait.
        empty_until: Until when the outbox is not asked for it, since it had nothing.
        lane: The lane tried last.
        last: The sequence tried last.
        highest: The highest sequence that was tried.
        suspects_content: Whether the receiver may stumble over what was sent last: every other time
            that it goes on to answer with 500.
    """

    failures: int = 0
    newly: int = 0
    is_known: bool = False
    due: float = 0.0
    due_untried: float = 0.0
    asked_until: float = 0.0
    empty_until: float = 0.0
    lane: str = ""
    last: int = 0
    highest: int = 0
    suspects_content: bool = False

    def turn(self, group: str, *, untried: bool) -> Turn:
        """Return what of it is to be tried next."""
        newer_in = self.lane if self.suspects_content and not untried else ""
        return Turn(group, self.last, self.highest, untried, newer_in)


@define
class CircuitBreaker:
    """Says which groups' deliveries may be sent, and whose fault a failure is.

    Attributes:
        accepted: How many deliveries it has accepted: the clock by which failures are told apart.
    """

    accepted: int = 0
    _row: int = 0
    _down_since: float = 0.0
    _began_at: float = 0.0
    _probe_at: float = 0.0
    _groups: OrderedDict[str, _Failing] = field(factory=OrderedDict)
    _recent_failures: OrderedDict[str, _Failure] = field(factory=OrderedDict)

    @property
    def is_down(self) -> bool:
        """Whether the receiver accepts nothing, as far as is known."""
        return self._row > 1

    @property
    def failing(self) -> Collection[str]:
        """The groups that fail."""
        return self._groups.keys()

    def added(self, group: str) -> None:
        """Take note that a group may have something to send."""
        if group in self._groups:
            self._groups[group].empty_until = 0.0

    def found_nothing(self, groups: Iterable[str], now: float) -> None:
        """Take note that the outbox had nothing of some groups that may be sent now."""
        for group in self._groups.keys() & set(groups):
            failing, until = self._groups[group], now + EMPTY_FOR
            # Until it is due, only what was never tried was looked for.
            is_due = self.is_down or is_past(failing.due, now)
            failing.empty_until = until if is_due else min(until, failing.due)

    def passing_at(self, now: float) -> float:
        """Return when a delivery of a group that passes may be sent: before ``now``, if now."""
        if not self.is_down:
            return 0.0
        return self._began_at + pace(now - self._down_since)

    def turns(self, now: float, busy: Collection[str] = ()) -> list[Turn]:
        """Return the turns of the failing groups that may be tried now, in order.

        Args:
            now: The time, in seconds since the epoch.
            busy: The groups that have attempts under way: one is enough, unless the receiver is
                down and silent.
        """
        if self.is_down:
            return [
                each.turn(name, untried=False)
                for name, each in self._groups.items()
                if is_past(max(self._probe_at, self._whole_asked_until(each)), now)
                and is_past(each.empty_until, now)
            ]
        return [
            each.turn(name, untried=not is_past(each.due, now))
            for name, each in self._groups.items()
            if name not in busy and is_past(max(each.due_untried, each.empty_until), now)
        ]

    def next_moment(self, now: float) -> float | None:
        """Return when time alone changes what may be sent, in seconds since the epoch."""
        return min((each for each in self._moments(now) if each > now), default=None)

    def _moments(self, now: float) -> Iterator[float]:
        if self.is_down:
            yield self.passing_at(now)
            yield self._probe_at
        for each in self._groups.values():
            moments = (each.asked_until,) if self.is_down else (each.due, each.due_untried)
            yield from (moment for moment in moments if moment >= each.empty_until)

    def _whole_asked_until(self, group: _Failing) -> float:
        """Return until when nothing of a group is sent: all that fail together wait together."""
        together = (each.asked_until for each in self._groups.values() if not each.is_known)
        return max(group.asked_until, *together, 0.0)

    def begin(self, claim: LeasedDelivery, now: float, draw: float) -> Attempt:
        """Take note that an attempt begins."""
        self._began_at = now
        self._probe_at = now + probe_delay(now - self._down_since, draw) if self.is_down else 0.0
        is_turn = claim.delivery.group in self._groups
        if is_turn:
            self._groups.move_to_end(claim.delivery.group)
        return Attempt(claim, self.accepted, now, self.is_down, is_turn)

    def observe(self, outcome: Outcome, attempt: Attempt, now: float, draw: float) -> int:
        """Take note of an attempt's outcome.

        Returns:
            How many times in a row that delivery has failed for reasons of its own; 0 where it
            was accepted, or the failure is its group's or the receiver's.
        """
        delivery = attempt.claim.delivery.id
        before = self._recent_failures.pop(delivery, None)
        if isinstance(outcome, Accepted):
            self.accepted += 1
            self._groups.pop(attempt.group, None)
            self._answered(attempt.group, now)
            return 0
        if not concerns_receiver(outcome):
            self._answered(attempt.group, now)
        own = self._own_failures(outcome, attempt, before)
        group = self._failed(outcome, attempt, now, draw)
        if own is None and not group.is_known:
            self._row += 1
            if self._row == 2:
                self._down_since = now
                self._probe_at = now + probe_delay(0.0, draw)
        known = own or (before.own if before else attempt.claim.attempts)
        _remember(self._recent_failures, delivery, _Failure(self.accepted, known))
        return own or 0

    def _answered(self, group: str, now: float) -> None:
        """Let the others that failed while the receiver answered nothing be tried once more."""
        if self._row:
            self._row = 0
            for name, each in self._groups.items():
                if name != group and not each.is_known:
                    each.is_known = True
                    each.due = each.due_untried = max(now, each.asked_until)

    def _failed(self, outcome: Outcome, attempt: Attempt, now: float, draw: float) -> _Failing:
        group = self._groups.pop(attempt.group, None) or _Failing()
        _remember(self._groups, attempt.group, group)
        claim, is_refusal = attempt.claim, not concerns_receiver(outcome)
        group.failures += 1
        group.newly += claim.attempts == 0
        group.empty_until = 0.0
        group.lane, group.last = claim.delivery.lane, claim.sequence
        group.highest = max(group.highest, claim.sequence)
        group.asked_until = max(group.asked_until, now + asked_delay(outcome))
        waits = (
            group_delay(failures, draw, is_refusal=is_refusal)
            for failures in (group.failures, group.newly)
        )
        group.due, group.due_untried = (max(now + wait, group.asked_until) for wait in waits)
        group.suspects_content = (
            isinstance(outcome, Refused)
            and outcome.status == INTERNAL_ERROR
            and group.failures >= CONTENT_SUSPECTED_FROM
            and not group.suspects_content
        )
        return group

    def _own_failures(
        self, outcome: Outcome, attempt: Attempt, before: _Failure | None
    ) -> int | None:
        """Count a delivery's own failures with this one; None where this one is the receiver's."""
        # What is not remembered any more goes on where it was; all its attempts count.
        own = before.own if before else attempt.claim.attempts
        since = before.accepted if before else attempt.accepted_before
        if not concerns_receiver(outcome) or self.accepted > since:
            return own + 1
        # It was its own last time, and nothing else has been tried since. Perhaps the receiver
        # has trouble by now: the waits may not become long.
        if before and before.own and not attempt.was_down:
            return max(own, min(own + 1, UNPROVEN_MOST))
        return None


def is_past(moment: float, now: float) -> bool:
    """Return whether a moment is over, or further ahead than any wait: the clock was set back."""
    return not now < moment <= now + LONGEST_WAIT


def _remember(memory: OrderedDict[str, T], name: str, known: T) -> None:
    memory[name] = known
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
