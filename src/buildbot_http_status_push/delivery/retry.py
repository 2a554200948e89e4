"""Decides what an attempt's outcome means: pure functions without clock, chance or storage."""

from __future__ import annotations

from buildbot_http_status_push.model import (
    Accepted,
    Disposition,
    Outcome,
    Refused,
    State,
    Unreachable,
)

FIRST = 1.0
"""Seconds that the first of all waits lasts, and the shortest one between two probes."""
GROUP_MOST, REFUSED_MOST, OWN_MOST = 60.0, 15.0, 3600.0
PROBE_MOST, LATE_PROBE_MOST = 8.0, 25.0
LATE = 600.0
"""Seconds after which a receiver that is down is probed less often."""
PACE, LATER_PACE = 1.0, 3.0
LATER = 60.0
"""Seconds after which attempts at a receiver that is down are fewer."""
QUICK_RETRIES = 4
QUICK_MOST = 10.0
"""Seconds that a delivery may hold up its lane before its next attempt."""
RETRY_AFTER_MOST = 3600.0
JITTER = 0.2
LONGEST_WAIT = OWN_MOST * (1 + JITTER)
"""Seconds that lie between two attempts at most."""
GONE = 410
TOO_MANY_REQUESTS = 429
INTERNAL_ERROR = 500
GATEWAY_STATUSES = frozenset({502, 504})
"""What a gateway says that has had no answer of its own (RFC 9110, 15.6.3 and 15.6.5)."""
RECEIVER_STATUSES = frozenset({408, 425, TOO_MANY_REQUESTS})
ADDRESS_STATUSES = frozenset({401, 403, 404, 405, 407, 421, 451})
"""Who may say what to whom: as long as nothing else is accepted it is no status's content."""


def concerns_receiver(outcome: Outcome) -> bool:
    """Return whether a failure says something about the receiver, not about one delivery.

    Returns:
        True for no answer at all, for 408 (RFC 9110), 425 (RFC 8470), 429 (RFC 6585) and 5xx, and
        for what an address answers whatever it is sent: redirects, and 401, 403, 404, 405, 407,
        421 (RFC 9110) and 451 (RFC 7725).
    """
    if not isinstance(outcome, Refused):
        return isinstance(outcome, Unreachable)
    status = outcome.status
    is_redirect = 300 <= status < 400
    return status >= 500 or is_redirect or status in RECEIVER_STATUSES | ADDRESS_STATUSES


def may_have_arrived(outcome: Outcome) -> bool:
    """Return whether the receiver may have taken what was sent, though it did not say so.

    Returns:
        True where the request may have gone out, and no answer of the receiver came back.
    """
    if isinstance(outcome, Refused):
        return outcome.status in GATEWAY_STATUSES
    return isinstance(outcome, Unreachable) and not (outcome.unsent or outcome.here)


def group_delay(failures: int, draw: float, *, is_refusal: bool = False) -> float:
    """Return how long a group that fails waits before its next attempt.

    Args:
        failures: How many attempts in a row failed.
        draw: A random number from 0 to 1, for the jitter.
        is_refusal: Whether the last one was refused for its content: others may be accepted.

    Returns:
        Seconds: 1 doubling to 60, 20 % less or more; after a refusal one failure less counts, and
        15 is the most.
    """
    count, most = (failures - 1, REFUSED_MOST) if is_refusal else (failures, GROUP_MOST)
    return _doubling(most, count, draw) if count > 0 else 0.0


def probe_delay(lasted: float, draw: float) -> float:
    """Return how long to wait before a receiver that is down is probed again.

    Returns:
        Seconds: as long as it has lasted, but at least 1 and at most 8, after ten minutes 25;
        20 % less or more.
    """
    most = PROBE_MOST if lasted < LATE else LATE_PROBE_MOST
    return min(max(lasted, FIRST), most) * _jitter(draw)


def pace(lasted: float) -> float:
    """Return how many seconds lie between attempts at a receiver that is down: 1, later 3."""
    return PACE if lasted < LATER else LATER_PACE


def own_delay(failures: int, draw: float) -> float:
    """Return how long a delivery with troubles of its own waits before its next attempt.

    Returns:
        Seconds: 1 doubling to an hour, 20 % less or more.
    """
    return _doubling(OWN_MOST, failures, draw)


def asked_delay(outcome: Outcome) -> float:
    """Return how long the receiver asked to wait, in seconds: up to an hour counts."""
    asked = outcome.retry_after if isinstance(outcome, Refused) else None
    return min(asked or 0.0, RETRY_AFTER_MOST)


def _doubling(most: float, count: int, draw: float) -> float:
    # The exponent is clamped: a power of a large count would overflow.
    return min(FIRST * 2.0 ** min(count - 1, 30), most) * _jitter(draw)


def _jitter(draw: float) -> float:
    return 1 - JITTER + 2 * JITTER * draw


def decide(
    outcome: Outcome,
    *,
    failures: int,
    attempts: int,
    created_at: float,
    now: float,
    given_up_before: float,
    draw: float,
) -> Disposition:
    """Say what becomes of a delivery.

    Args:
        outcome: What came of the attempt.
        failures: How many times in a row it failed for reasons of its own; 0 where this failure
            is its group's or the receiver's.
        attempts: How many attempts were made, this one included.
        created_at: When the delivery entered the outbox, in seconds since the epoch.
        now: The time, in seconds since the epoch.
        given_up_before: What entered the outbox before that, or then, is dead when it fails.
        draw: A random number from 0 to 1, for the jitter.

    Returns:
        The disposition. While its group or the receiver fails a delivery stays ``WAITING``: when to
        try again is then the circuit breaker's question.
    """
    words, uncertain = str(outcome), may_have_arrived(outcome)
    if isinstance(outcome, Accepted):
        return Disposition(State.DELIVERED, words)
    if isinstance(outcome, Refused) and outcome.status == GONE:
        return Disposition(State.DEAD, words)
    if created_at <= given_up_before:
        words = f"{words}; given up after {attempts} attempts"
        return Disposition(State.DEAD, words, may_have_arrived=uncertain)
    if not failures:
        return Disposition(State.WAITING, words, may_have_arrived=uncertain)
    delay = max(own_delay(failures, draw), asked_delay(outcome))
    keeps_lane = concerns_receiver(outcome) and failures <= QUICK_RETRIES and delay <= QUICK_MOST
    state = State.WAITING if keeps_lane else State.RETRYING
    return Disposition(state, words, now + delay, uncertain)
