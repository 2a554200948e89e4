"""Arguments that select deliveries by state, reporter, builder, build and time.

SQLAlchemy is imported when a command runs, since that takes a while.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from buildbot_http_status_push.durations import read_duration
from buildbot_http_status_push.model import State

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Selection


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add what chooses deliveries by state, reporter, builder and build."""
    for state in State:
        parser.add_argument(
            f"--{state.value}",
            dest="states",
            action="append_const",
            const=state,
            help=f"{state.value} deliveries; may be combined with other states",
        )
    parser.add_argument("--reporter", metavar="NAME", help="deliveries of this reporter")
    parser.add_argument("--builder", metavar="NAME", help="deliveries about builds of this builder")
    parser.add_argument(
        "--build",
        metavar="BUILD",
        type=parse_build,
        help="deliveries about this build: BUILDER#NUMBER, or its ID in Buildbot's database",
    )


def selection_of(arguments: argparse.Namespace, states: Collection[State]) -> Selection:
    """Return what was chosen."""
    from buildbot_http_status_push.outbox.inspection import Selection

    build = arguments.build
    return Selection(
        states=frozenset(arguments.states or states),
        reporter=arguments.reporter,
        builder=arguments.builder,
        title=f"build {build}" if isinstance(build, str) else None,
        build=build if isinstance(build, int) else None,
    )


def parse_build(text: str) -> int | str:
    """Parse a build.

    Args:
        text: ``BUILDER#NUMBER``, or a build's id.

    Returns:
        The id as a number, else the text.

    Raises:
        ArgumentTypeError: It is neither.
    """
    if text.isdecimal():
        return int(text)
    if re.fullmatch(r".+#\d+", text):
        return text
    raise argparse.ArgumentTypeError(
        f"write BUILDER#NUMBER such as linux#4, or the build's id, not {text!r}"
    )


def parse_age(text: str) -> timedelta:
    """Parse a duration such as ``10m``, with one of the units s, m, h, d and w.

    Raises:
        ArgumentTypeError: It is none.
    """
    if (age := read_duration(text)) is not None:
        return timedelta(seconds=age)
    raise argparse.ArgumentTypeError(f"write a time such as 10m or 3d, not {text!r}")


def parse_time(text: str) -> datetime | timedelta:
    """Parse a point in time.

    Args:
        text: An age such as ``2h``, with one of the units s, m, h, d and w; or a time in ISO 8601,
            of the local time zone unless it names one.

    Raises:
        ArgumentTypeError: It is neither, or it has not come yet.
    """
    try:
        if (age := read_duration(text)) is not None:
            return timedelta(seconds=age)
        # Python 3.10 does not know that Z is a time zone.
        moment = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text)).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"write an age such as 2h or 3d, or a time such as 2026-01-31T08:00, not {text!r}"
        ) from None
    if moment > datetime.now(timezone.utc):
        raise argparse.ArgumentTypeError(f"{text} is in the future: write a time in the past")
    return moment


def seconds_of(moment: datetime | timedelta, now: float) -> float:
    """Return a time, or a time that long ago, in seconds since the epoch."""
    if isinstance(moment, timedelta):
        return now - moment.total_seconds()
    return moment.timestamp()
