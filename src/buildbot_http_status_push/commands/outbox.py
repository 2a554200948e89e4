"""The sub-command ``outbox``: shows what a master has still to send, and changes it on request.

The master may run or not. Never makes an outbox where there is none.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands import outbox_backfill as backfill
from buildbot_http_status_push.commands import outbox_edits as edits
from buildbot_http_status_push.commands import outbox_output
from buildbot_http_status_push.commands import outbox_queries as queries
from buildbot_http_status_push.commands.console import number
from buildbot_http_status_push.commands.outbox_access import Action, Refuse, refuse, run_outbox
from buildbot_http_status_push.commands.outbox_selection import (
    add_selection,
    parse_age,
    parse_time,
)

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers


TIMES = "Times are seconds since the epoch."
FOLLOW = ("--follow", "show what changes, until Ctrl-C")


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
    _add_export(actions)
    _add_check(actions)
    _add_redeliver(actions)
    _add_drop(actions)
    _add_move(actions)
    _add_backfill(actions)


def _add_action(
    actions: SubParsers,
    name: str,
    act: Action,
    words: str,
    keys: Sequence[str] = (),
    other_output: Sequence[tuple[str, str]] = (),
    refuse: Refuse = refuse,
    to_write: bool = False,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=f"--json prints one document. Its keys: {', '.join(keys)}. {TIMES}"
        if keys
        else None,
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
    if keys:
        other_output = (("--json", "print JSON, for programs"), *other_output)
    _add_flags(parser, other_output)
    parser.set_defaults(run=partial(run_outbox, act, refuse, to_write=to_write))
    return parser


def _add_flags(parser: argparse.ArgumentParser, outputs: Sequence[tuple[str, str]]) -> None:
    if outputs:  # help can't tell of a group without any
        group = parser.add_mutually_exclusive_group()
        for flag, what in outputs:
            group.add_argument(flag, action="store_true", help=what)


def _add_stats(actions: SubParsers) -> None:
    words = (
        "count the deliveries by their state, and say what is not well; exit code 1 if any is not "
        "accounted for"
    )
    counts = f"all and each of reporters with {', '.join(outbox_output.STATS_KEYS)}"
    keys = ("holds", counts)
    openmetrics = ("--openmetrics", "print the OpenMetrics format, for Prometheus")
    _add_action(actions, "stats", queries.stats, words, keys, [openmetrics, FOLLOW])


def _add_list(actions: SubParsers) -> None:
    words = (
        "list deliveries, the oldest first, by default those that are not delivered or superseded"
    )
    keys = ("more", "total", "causes", "deliveries", *outbox_output.ENTRY_KEYS)
    parser = _add_action(actions, "list", queries.list_deliveries, words, keys, [FOLLOW])
    add_selection(parser)
    parser.add_argument("--newest", action="store_true", help="the newest first")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=number(int, 1, 1_000_000, "a number of deliveries"),
        default=50,
        help="N at most (%(default)s)",
    )
    parser.add_argument(
        "--page",
        metavar="N",
        type=number(int, 1, 1_000_000, "a page"),
        default=1,
        help="the N-th page of so many (%(default)s)",
    )


def _add_show(actions: SubParsers) -> None:
    words = "show all about one delivery, with its body"
    keys = (*outbox_output.ENTRY_KEYS, "body")
    _add_id(_add_action(actions, "show", queries.show, words, keys))


def _add_export(actions: SubParsers) -> None:
    keys = ", ".join((*outbox_output.ENTRY_KEYS, "body"))
    words = (
        "print deliveries with their bodies, by default all of them: a line of JSON for each, "
        f"with the keys {keys}. {TIMES[:-1]}"
    )
    add_selection(_add_action(actions, "export", queries.export, words))


def _add_check(actions: SubParsers) -> None:
    words = (
        "say in one line whether all is well, as plugins for Nagios and its like do: exit code 0 "
        "if so, 1 if more were given up than wanted, 2 if one waits for too long or is not "
        "accounted for, 3 if the outbox can't be read"
    )
    keys = ("status", "waiting", "oldest", "given_up", "reason where the status is 3")
    parser = _add_action(actions, "check", queries.check, words, keys, refuse=queries.unknown)
    parser.add_argument(
        "--max-age",
        metavar="TIME",
        type=parse_age,
        default="10m",
        help="how long one may wait, such as 30s, 10m or 2h (%(default)s)",
    )
    parser.add_argument(
        "--max-dead",
        metavar="N",
        type=number(int, 0, 1_000_000, "a number of deliveries"),
        default=0,
        help="how many may have been given up (%(default)s)",
    )


def _add_redeliver(actions: SubParsers) -> None:
    words = "have deliveries sent again, from a running master within seconds"
    parser = _add_action(
        actions, "redeliver", edits.redeliver, words, ("redelivered",), to_write=True
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?", help="the one whose id begins like this")
    which.add_argument("--dead", action="store_true", help="all that were given up")
    which.add_argument(
        "--since",
        metavar="TIME",
        type=parse_time,
        help="all dead and retrying ones that came since: an age such as 2h or 3d, or a time "
        "such as 2026-01-31T08:00 (ISO 8601; the local time zone unless it names one)",
    )


def _add_drop(actions: SubParsers) -> None:
    words = "never send deliveries, and forget their bodies"
    parser = _add_action(actions, "drop", edits.drop, words, ("dropped",), to_write=True)
    parser.add_argument("id", metavar="ID", nargs="?", help="the one whose id begins like this")
    parser.add_argument("--reporter", metavar="NAME", help="all of this reporter")
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=parse_time,
        help="all that came before: an age such as 7d, or a time such as 2026-01-31T08:00",
    )
    _add_yes(parser)


def _add_move(actions: SubParsers) -> None:
    words = "give what is to be sent, or dead, of a reporter that was renamed to another one"
    parser = _add_action(actions, "move", edits.move, words, ("moved",), to_write=True)
    parser.add_argument("--from", dest="of", metavar="OLD", required=True, help="whose they are")
    parser.add_argument("--to", metavar="NEW", required=True, help="who is to send them")
    _add_yes(parser)


def _add_backfill(actions: SubParsers) -> None:
    words = (
        "have a running master send the ends of past builds once more, made anew from its "
        "database, with the ids that they had"
    )
    keys = ("stage", "done", "total")
    parser = _add_action(actions, "backfill", backfill.backfill, words, keys, to_write=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--since",
        metavar="TIME",
        type=parse_time,
        help="of builds that ended since: an age such as 30d, or a time such as 2026-01-31T08:00",
    )
    what.add_argument("--stop", action="store_true", help="end the one that is under way")
    parser.add_argument("--builder", metavar="NAME", help="only of this builder")
    parser.add_argument(
        "--reporter", metavar="NAME", help="of which reporter, where there are several"
    )
    parser.add_argument("--dry-run", action="store_true", help="only count them")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask before many are changed")


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
