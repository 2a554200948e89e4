"""Decides which deliveries have failed for too long, though the clock may have been wrong.

A state machine without clock or storage; the relay feeds it.
"""

from __future__ import annotations

import math

from attrs import define

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

        Args:
            now: The time, in seconds since the epoch.
            give_up_after: Seconds after which a delivery that always failed is given up.

        Returns:
            Seconds since the epoch; before all time as long as nothing is to be given up.
        """
        if not 0 <= now - self._last <= GAP_MOST:
            self._watched_since = now
        self._last = now
        if now - self._watched_since < min(give_up_after, DAY):
            return -math.inf
        return now - give_up_after
