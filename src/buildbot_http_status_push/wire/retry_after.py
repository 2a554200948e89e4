"""The ``Retry-After`` header (RFC 9110, 10.2.3): a pure function. Must not know what is retried."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime

SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3).

    Args:
        value: The header's value: seconds or an HTTP date. The RFC knows whole seconds only,
            but services that count in fractions send these.
        now: The time, in seconds since the epoch.

    Returns:
        Seconds from now, at least 0; None where there is none or it can't be read.
    """
    if value is None:
        return None
    text = value.strip()
    if SECONDS.fullmatch(text):
        return float(text)
    moment = _read_date(text)
    return None if moment is None else max(moment - now, 0.0)


def _read_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    # The oldest of the three forms (RFC 9110, 5.6.7) names no zone and is in UTC like the others.
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
