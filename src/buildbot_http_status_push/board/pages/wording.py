"""How times, durations and results are worded: pure functions of numbers.

The script in the browser words times by the same rules. Knows no template and no database.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timezone
from urllib.parse import quote

from attrs import frozen

from buildbot_http_status_push.board.model import Build
from buildbot_http_status_push.durations import DAY, HOUR, MINUTE, duration
from buildbot_http_status_push.results import RESULTS, result_word


def word(build: Build) -> str:
    """Return the word for a build's result."""
    return "running" if build.is_running else result_word(build.results)


def symbol(build: Build) -> str:
    """Return the name of the shape that stands for a build's result."""
    return "running" if build.is_running else result_symbol(build.results)


def result_symbol(results: object) -> str:
    """Return the name of the shape that stands for a result code."""
    return result_word(results) if result_word(results) in RESULTS else "unknown"


def span(seconds: float) -> str:
    """Return how long something takes, in its two largest units.

    Args:
        seconds: How long; less than none is none.

    Returns:
        Such as ``12 s``, ``3 min 20 s``, ``45 min``, ``2 h 5 min`` or ``3 d 4 h``.
    """
    whole = max(int(seconds), 0)
    if 10 * MINUTE <= whole < HOUR:
        whole -= whole % MINUTE
    return duration(whole)


def ago(seconds: float) -> str:
    """Return how long ago something was, in its largest unit.

    Args:
        seconds: How long ago; a time to come is now.

    Returns:
        Such as ``just now``, ``12 s ago``, ``3 min ago``, ``5 h ago`` or ``4 d ago``.
    """
    whole = max(int(seconds), 0)
    if whole < 5:
        return "just now"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if whole >= unit:
            return f"{whole // unit} {name} ago"
    return f"{whole} s ago"


def utc(at: float) -> str:
    """Return a time exactly, such as ``2026-01-31 10:02:03 UTC``.

    Args:
        at: Seconds since the epoch.
    """
    return f"{_moment(at):%Y-%m-%d %H:%M:%S} UTC"


def iso(at: float) -> str:
    """Write a time as machines read it, such as ``2026-01-31T10:02:03Z``.

    Args:
        at: Seconds since the epoch.
    """
    return f"{_moment(at):%Y-%m-%dT%H:%M:%S}Z"


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), timezone.utc)


def short_revision(revision: str) -> str:
    """Shorten a revision that is a hash; leave any other as it is."""
    is_hash = len(revision) >= 20 and all(each in "0123456789abcdef" for each in revision.lower())
    return revision[:10] if is_hash else revision


LONG = 18
"""From how many characters on a name may be clipped."""
TAIL = 10
"""How many characters of its end are shown then."""


def halves(name: str) -> tuple[str, str]:
    """Return a name in two parts, of which the first may be clipped; one part if it is short.

    Args:
        name: The name. No character is parted from the marks and joiners that belong to it.
    """
    if len(name) <= LONG:
        return name, ""
    cut = len(name) - TAIL
    while cut > 0 and (_belongs_before(name[cut]) or name[cut - 1] == JOINER):
        cut -= 1
    return name[:cut], name[cut:]


JOINER = "\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


def _belongs_before(character: str) -> bool:
    is_mark = unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf")
    return is_mark or ord(character) in _SKIN_TONES


def test_address(name: str) -> str:
    """Return the address of a test's page below the board's root; its name is one part of it."""
    return "tests/" + quote(name, safe="")


def person(author: str) -> str:
    """Leave out the address of an author such as ``Ada Novak <ada@example.org>``."""
    name = author.partition("<")[0].strip()
    return name or author


@frozen
class Due:
    """When a build that runs should end.

    Args:
        at: When it ends if it takes as long as usual, in seconds since the epoch.
        overdue_at: From when on it takes strangely long.
    """

    at: int
    overdue_at: int

    def is_over(self, now: float) -> bool:
        """Return whether it takes strangely long."""
        return now >= self.overdue_at

    def remaining(self, now: float) -> str:
        """Return what is left.

        Args:
            now: Seconds since the epoch.

        Returns:
            Such as ``about 5 min left``, ``under 1 min left``, ``due now`` or ``overdue by 7 min``.
        """
        if self.is_over(now):
            return f"overdue by {span(now - self.at)}"
        if now >= self.at:
            return "due now"
        minutes = int((self.at - now) // MINUTE)
        return f"about {span(minutes * MINUTE)} left" if minutes else "under 1 min left"


def due(build: Build, usual: float | None) -> Due | None:
    """Return when a build should end.

    Args:
        build: A build that runs.
        usual: The seconds that its builder's builds take, None while unknown.

    Returns:
        None where that is not known. A quarter more than usual, and a minute at least, is
        nothing strange: half of all builds take longer than the median.
    """
    if usual is None or not build.is_running:
        return None
    grace = max(usual / 4, MINUTE)
    return Due(int(build.started_at + usual), int(build.started_at + usual + grace))
