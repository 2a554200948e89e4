"""The sub-command ``outbox``: shows what a master has still to send, and changes it on request.

The master may run or not. Never makes an outbox where there is none. SQLAlchemy is imported
when a command runs, since that takes a while.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands import outbox_output as outbox_words
from buildbot_http_status_push.commands.console import DONE, FAILED, complain, number
from buildbot_http_status_push.commands.outbox_access import Action, Asked, run_outbox
from buildbot_http_status_push.commands.outbox_openmetrics import say_openmetrics
from buildbot_http_status_push.model import PENDING, State

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.outbox.inspection import Entry

OPEN_STATES = PENDING | {State.DEAD}
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
TAKEN_UP = "a running master takes this up within seconds"


def add_outbox(commands: SubParsers) -> None:
    """Add ``outbox`` with its own sub-commands."""
    parser = commands.add_parser(
        "outbox",
        help="show what is still to be sent, send it again, or drop it",
        description="Show and change what the reporter keeps until it is delivered, while the "
        "master runs or not.",
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_stats(actions)
    _add_list(actions)
    _add_show(actions)
    _add_redeliver(actions)
    _add_drop(actions)


def _add_action(
    actions: SubParsers,
    name: str,
    act: Action,
    words: str,
    keys: Sequence[str],
    other_output: Sequence[tuple[str, str]] = (),
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=f"--json prints one document. Its keys: {', '.join(keys)}. Times are seconds "
        "since the epoch.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--basedir",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="the master's folder (the current one)",
    )
    where.add_argument(
        "--url", type=_url, help="the outbox's SQLAlchemy URL, as in the reporter's outbox= option"
    )
    output = parser.add_mutually_exclusive_group()
    for flag, what in (("--json", "print JSON, for programs"), *other_output):
        output.add_argument(flag, action="store_true", help=what)
    parser.set_defaults(run=partial(run_outbox, act))
    return parser


def _add_stats(actions: SubParsers) -> None:
    words = "count the deliveries by their state; exit code 1 if any is not accounted for"
    keys = ("holds", "all", "reporters", *outbox_words.STATS_KEYS)
    openmetrics = ("--openmetrics", "print the OpenMetrics format, for Prometheus")
    _add_action(actions, "stats", _stats, words, keys, [openmetrics])


def _add_list(actions: SubParsers) -> None:
    words = "list deliveries, by default those that are not delivered or superseded"
    keys = ("more", "deliveries", *outbox_words.ENTRY_KEYS)
    parser = _add_action(actions, "list", _list, words, keys)
    for state in State:
        parser.add_argument(
            f"--{state.value}",
            dest="states",
            action="append_const",
            const=state,
            help=f"those that are {state.value}; may be combined with others",
        )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=number(int, 1, 1_000_000, "a number of deliveries"),
        default=50,
        help="the latest N at most (%(default)s)",
    )
    parser.add_argument("--reporter", metavar="NAME", help="those of this reporter")


def _add_show(actions: SubParsers) -> None:
    words = "show all about one delivery, with its body"
    parser = _add_action(actions, "show", _show, words, (*outbox_words.ENTRY_KEYS, "body"))
    _add_id(parser)


def _add_redeliver(actions: SubParsers) -> None:
    words = "have deliveries sent again, from a running master within seconds"
    parser = _add_action(actions, "redeliver", _redeliver, words, ("redelivered",))
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?", help="the one whose id begins like this")
    which.add_argument("--dead", action="store_true", help="all that were given up")
    which.add_argument(
        "--since",
        metavar="TIME",
        type=parse_time,
        help="all dead and retrying ones that came since: an age such as 2h or 3d, or a time "
        "such as 2030-01-31T08:00 (ISO 8601; the local time zone unless it names one)",
    )


def _add_drop(actions: SubParsers) -> None:
    words = "never send a delivery, and forget its body"
    _add_id(_add_action(actions, "drop", _drop, words, ("dropped",)))


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="its id, or as much of it as no other begins with")


def _url(text: str) -> str:
    # The text is not shown: it may hold a password.
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", text):
        raise argparse.ArgumentTypeError(
            "write a SQLAlchemy URL such as sqlite:////folder/file or "
            "postgresql://user@host/database"
        )
    return text


def parse_time(text: str) -> datetime | timedelta:
    """Read a point in time.

    Args:
        text: An age such as ``2h``, with one of the units s, m, h, d and w; or a time in ISO 8601,
            of the local time zone unless it names one.

    Raises:
        ArgumentTypeError: It is neither.
    """
    try:
        if age := re.fullmatch(r"(\d{1,6})([smhdw])", text):
            return timedelta(**{UNITS[age[2]]: int(age[1])})
        # Python 3.10 does not know that Z is a time zone.
        return datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text)).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"write an age such as 2h or 3d, or a time such as 2030-01-31T08:00, not {text!r}"
        ) from None


def _stats(asked: Asked) -> int:
    from buildbot_http_status_push.outbox import inspection

    each = asked.ask(inspection.stats)
    total = inspection.in_all(each)
    if asked.arguments.openmetrics:
        return say_openmetrics(each, asked.output)
    document = outbox_words.stats_document(each, total)
    asked.answer(document, outbox_words.stats_lines(each, total, asked.now))
    return DONE if document["holds"] else FAILED


def _list(asked: Asked) -> int:
    states = frozenset(asked.arguments.states or OPEN_STATES)
    found, more = _entries(asked, states, asked.arguments.reporter, int(asked.arguments.limit))
    document = {"more": more, "deliveries": [outbox_words.entry_document(each) for each in found]}
    asked.answer(
        document, outbox_words.list_lines(found, states, more, asked.now, asked.output.width)
    )
    return DONE


def _entries(
    asked: Asked, states: frozenset[State], reporter: str | None, limit: int
) -> tuple[list[Entry], bool]:
    from buildbot_http_status_push.outbox import inspection

    enough = None if reporter else limit + 1
    found = asked.ask(inspection.entries, states, enough)
    mine = [each for each in found if reporter in (None, each.reporter)]
    return mine[-limit:], len(mine) > limit


def _show(asked: Asked) -> int:
    from buildbot_http_status_push.outbox import inspection

    entry = asked.ask(inspection.show, asked.arguments.id)
    body = asked.ask(inspection.body, entry.id)
    content = outbox_words.readable(body, entry.content_type)
    document = {**outbox_words.entry_document(entry), "body": content}
    asked.answer(document, outbox_words.show_lines(entry, body, asked.now))
    return DONE


def _redeliver(asked: Asked) -> int:
    from buildbot_http_status_push.outbox import inspection

    if asked.arguments.id is not None:
        entry = asked.ask(inspection.redeliver, asked.arguments.id, asked.now)
        words = [f"{entry.id} ({entry.title}) is to be sent again: {TAKEN_UP}."]
        asked.answer({"redelivered": 1}, words)
        return DONE
    states = {State.DEAD} if asked.arguments.dead else {State.DEAD, State.RETRYING}
    since = 0.0 if asked.arguments.dead else seconds_of(asked.arguments.since, asked.now)
    count = asked.ask(inspection.redeliver_many, states, asked.now, since)
    if not count:
        kind = "dead" if asked.arguments.dead else "dead or retrying since then"
        complain(
            f"there is nothing to redeliver: none is {kind} whose body is kept and for which "
            "no newer status was accepted"
        )
        return FAILED
    many = "1 delivery is" if count == 1 else f"{count} deliveries are"
    asked.answer({"redelivered": count}, [f"{many} to be sent again: {TAKEN_UP}."])
    return DONE


def seconds_of(moment: datetime | timedelta, now: float) -> float:
    """Return a time, or a time that long ago, in seconds since the epoch."""
    if isinstance(moment, timedelta):
        return now - moment.total_seconds()
    return moment.timestamp()


def _drop(asked: Asked) -> int:
    from buildbot_http_status_push.outbox import inspection

    entry = asked.ask(inspection.drop, asked.arguments.id, asked.now)
    words = [f"{entry.id} ({entry.title}) will never be sent, and its body is forgotten."]
    asked.answer({"dropped": entry.id}, words)
    return DONE
