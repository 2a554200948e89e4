"""Whether the receiver's clock agrees with ours: a signature's time counts within minutes."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from attrs import define, field
from twisted.logger import Logger

TOLERATED = 120.0


@define
class ClockCheck:
    """Warns once when the clocks differ so much that signatures will soon be refused.

    Args:
        log: Where the warning goes.
    """

    log: Logger = field(factory=Logger)
    _warned: bool = field(default=False, init=False)

    def check(self, date: str | None, now: float) -> None:
        """Compare the clocks.

        Args:
            date: The answer's ``Date`` header (RFC 9110, 6.6.1), if it has one.
            now: Our time, in seconds since the epoch.
        """
        theirs = _seconds(date)
        if self._warned or theirs is None or abs(theirs - now) <= TOLERATED:
            return
        self._warned = True
        self.log.warn(
            "the receiver's clock is {off:.0f} s {direction} of this machine's: set one of them "
            "right, or the receiver will refuse signatures as too old or too new",
            off=abs(theirs - now),
            direction="ahead" if theirs > now else "behind",
        )


def _seconds(date: str | None) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() if date else None
    except (TypeError, ValueError):
        return None
