"""Hours in which no message is sent. Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen

from buildbot_http_status_push.board.toml_files import FileFault

KEY = "quiet_hours"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = f'e.g. {KEY} = "22:00-07:00 Europe/Berlin", or "Sat-Sun 00:00-24:00 UTC"'
_DAY = "|".join(DAYS)
_WRITTEN = re.compile(
    rf"(?:({_DAY})(?:-({_DAY}))? )?([0-9]{{2}}):([0-5][0-9])-([0-9]{{2}}):([0-5][0-9]) (\S+)"
)


@frozen
class QuietHours:
    """Hours of some days.

    Args:
        days: The days on which they begin, 0 for Monday.
        begin: When they begin, in minutes of the day.
        end: When they end; where that is not after ``begin``, on the next day.
        zone: The time zone.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: ZoneInfo

    def until(self, now: float) -> float | None:
        """Return when the quiet hours that ``now`` is in are over, None where it is in none."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today - timedelta(days=1), today):
            last = day if self.begin < self.end else day + timedelta(days=1)
            end = self._moment(last, self.end)
            if day.weekday() in self.days and self._moment(day, self.begin) <= now < end:
                return end
        return None

    def _moment(self, day: date, minutes: int) -> float:
        # By the wall clock, which a day of 23 hours shows too.
        return (datetime.combine(day, time(), self.zone) + timedelta(minutes=minutes)).timestamp()


def over_at(hours: tuple[QuietHours, ...], now: float) -> float | None:
    """Return when it is no longer quiet, None where it is not quiet now."""
    moment = now
    while ends := [end for each in hours if (end := each.until(moment)) is not None]:
        moment = max(ends)
        if moment > now + WEEK:  # it is always quiet
            break
    return moment if moment > now else None


WEEK = 7 * 86_400.0


def quiet_hours_of(value: str) -> QuietHours:
    """Read quiet hours.

    Args:
        value: Such as ``Sat-Sun 22:00-07:00 Europe/Berlin``; without days they are daily.

    Raises:
        FileFault: It is none.
    """
    found = _WRITTEN.fullmatch(value)
    if not found:
        raise FileFault(f"{KEY} is {value!r:.60}: must be hours and a time zone, {EXAMPLE}")
    first, last, *clock, name = found.groups()
    begin, end = (int(clock[at]) * 60 + int(clock[at + 1]) for at in (0, 2))
    if max(begin, end) > 24 * 60 or begin == end:
        raise FileFault(f"{KEY} is {value!r:.60}: must be two times of a day, {EXAMPLE}")
    days = _days(first or "Mon", last or first or "Sun")
    return QuietHours(days, begin, end, _zone(name, value))


def _days(first: str, last: str) -> frozenset[int]:
    begin, end = DAYS.index(first), DAYS.index(last)
    return frozenset((begin + each) % 7 for each in range((end - begin) % 7 + 1))


def _zone(name: str, value: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as fault:  # one of zoneinfo's own errors is a KeyError
        raise FileFault(f"{KEY} is {value!r:.60}: must have a time zone, {EXAMPLE}") from fault
    except KeyError as fault:
        raise FileFault(
            f"{KEY} is {value!r:.60}: must have a time zone that this machine knows, {EXAMPLE}"
        ) from fault
