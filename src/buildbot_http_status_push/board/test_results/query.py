"""Which tests an address asks for, beside the builders to look at. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from urllib.parse import parse_qs

from attrs import frozen

from buildbot_http_status_push.board.changes import LATEST
from buildbot_http_status_push.board.filters import MOST_VALUE
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.board.test_results.results import FailedTest


@frozen(kw_only=True)
class QueryOfTests:
    """Which tests are asked for.

    Args:
        name: A part of their names, in whatever case; empty for all.
        message: A part of what they said when they failed, in whatever case; empty for all.
        since: When the build must have begun in which they failed last, in seconds since the epoch.
    """

    name: str = ""
    message: str = ""
    since: int = 0

    def fits(self, failed: FailedTest) -> bool:
        """Return whether a failure's message is asked for."""
        return self.message.lower() in failed.message.lower()


def test_query(query: str) -> QueryOfTests:
    """Read which tests an address asks for.

    Raises:
        ValueError: A value is too long, or ``since`` is no time.
    """
    given = {name: values[-1].strip() for name, values in parse_qs(query).items()}
    for name in ("q", "text"):
        if len(given.get(name, "")) > MOST_VALUE:
            raise ValueError(f"{name} has more than {MOST_VALUE} characters")
    return QueryOfTests(
        name=storable(given.get("q", "")),
        message=storable(given.get("text", "")),
        since=moment_of(given.get("since", "")) or 0,
    )


def moment_of(text: str) -> int | None:
    """Return a time in seconds since the epoch: such a number, or a day in UTC; None where empty.

    Raises:
        ValueError: It is neither.
    """
    if not text:
        return None
    if re.fullmatch("[0-9]{1,19}", text) and int(text) <= LATEST:
        return int(text)
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        raise ValueError(
            f"since={text[:40]!r}: must be a day such as 2026-11-28, or seconds since 1970"
        ) from None
    return max(int(day.timestamp()), 0)
