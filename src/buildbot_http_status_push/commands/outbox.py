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


TIMES = "Times are seconds since the epoch"
ENTRY = ", ".join(outbox_output.ENTRY_KEYS)
FOLLOW = ("--follow", "show changes until Ctrl-C")


def add_outbox(commands: SubParsers) -> None:
    """Add ``outbox`` with its own sub-commands."""
    parser = commands.add_parser(
        "outbox",
        help="list, inspect, redeliver and drop deliveries",
        description="Inspect and change the reporter's outbox, whether or not the master is "
        "running.",
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
    keys: str = "",
    other_output: Sequence[tuple[str, str]] = (),
    refuse: Refuse = refuse,
    to_write: bool = False,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=f"--json prints one document. Its keys: {keys}." if keys else None,
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--basedir",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="the master's directory (default: the current one)",
    )
    where.add_argument(
        "--url", type=_url, help="SQLAlchemy URL of the outbox, as in the reporter's outbox= option"
    )
    if keys:
        other_output = (("--json", "print JSON"), *other_output)
    _add_flags(parser, other_output)
    parser.set_defaults(run=partial(run_outbox, act, refuse, to_write=to_write))
    return parser


def _add_flags(parser: argparse.ArgumentParser, outputs: Sequence[tuple[str, str]]) -> None:
    if outputs:  # help can't show an empty group
        group = parser.add_mutually_exclusive_group()
        for flag, what in outputs:
            group.add_argument(flag, action="store_true", help=what)


def _add_stats(actions: SubParsers) -> None:
    words = "count deliveries by state and report problems; exit code 1 if the counts do not add up"
    counts = f"all and each of reporters with {', '.join(outbox_output.STATS_KEYS)}"
    keys = f"holds, {counts}. {TIMES}"
    openmetrics = ("--openmetrics", "print the OpenMetrics format, for Prometheus")
    _add_action(actions, "stats", queries.stats, words, keys, [openmetrics, FOLLOW])


def _add_list(actions: SubParsers) -> None:
    words = (
        "list deliveries, oldest first (default: those that are neither delivered nor superseded)"
    )
    keys = f"more, total, causes, deliveries, {ENTRY}. {TIMES}"
    parser = _add_action(actions, "list", queries.list_deliveries, words, keys, [FOLLOW])
    add_selection(parser)
    parser.add_argument("--newest", action="store_true", help="newest first")
    parser.add_argument(
        "--limit",
        metavar="N",
        type=number(int, 1, 1_000_000, "a number of deliveries"),
        default=50,
        help="deliveries on a page (default: %(default)s)",
    )
    parser.add_argument(
        "--page",
        metavar="N",
        type=number(int, 1, 1_000_000, "a page"),
        default=1,
        help="page number (default: %(default)s)",
    )


def _add_show(actions: SubParsers) -> None:
    words = "show one delivery with its body"
    keys = f"{ENTRY}, body. {TIMES}"
    _add_id(_add_action(actions, "show", queries.show, words, keys))


def _add_export(actions: SubParsers) -> None:
    words = (
        "print deliveries with their bodies as JSON lines (default: all deliveries). The keys of "
        f"a line: {ENTRY}, body. {TIMES}"
    )
    add_selection(_add_action(actions, "export", queries.export, words))


def _add_check(actions: SubParsers) -> None:
    words = (
        "check outbox health (Nagios plugin format). Exit codes: 0 OK, 1 more than --max-dead "
        "dead, 2 oldest over --max-age or counts inconsistent, 3 outbox unreadable"
    )
    keys = "status, waiting, oldest (age in seconds), given_up, reason where the status is 3"
    parser = _add_action(actions, "check", queries.check, words, keys, refuse=queries.unknown)
    parser.add_argument(
        "--max-age",
        metavar="TIME",
        type=parse_age,
        default="10m",
        help="greatest age of a pending delivery, e.g. 30s, 10m or 2h (default: %(default)s)",
    )
    parser.add_argument(
        "--max-dead",
        metavar="N",
        type=number(int, 0, 1_000_000, "a number of deliveries"),
        default=0,
        help="greatest number of dead deliveries whose body is kept (default: %(default)s)",
    )


def _add_redeliver(actions: SubParsers) -> None:
    words = "send deliveries again; a running master starts within seconds"
    parser = _add_action(actions, "redeliver", edits.redeliver, words, "redelivered", to_write=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?", help="delivery ID or a unique prefix")
    which.add_argument("--dead", action="store_true", help="all dead deliveries")
    which.add_argument(
        "--since",
        metavar="TIME",
        type=parse_time,
        help="all dead and retrying deliveries since TIME: an age, e.g. 2h or 3d, or an ISO 8601 "
        "time, e.g. 2026-01-31T08:00 (default time zone: the local one)",
    )


def _add_drop(actions: SubParsers) -> None:
    words = "mark deliveries dead and delete their bodies; they are not sent"
    parser = _add_action(actions, "drop", edits.drop, words, "dropped", to_write=True)
    parser.add_argument("id", metavar="ID", nargs="?", help="delivery ID or a unique prefix")
    parser.add_argument("--reporter", metavar="NAME", help="all deliveries of this reporter")
    parser.add_argument(
        "--older-than",
        metavar="TIME",
        type=parse_time,
        help="all deliveries before TIME: an age, e.g. 7d, or a time, e.g. 2026-01-31T08:00",
    )
    _add_yes(parser)


def _add_move(actions: SubParsers) -> None:
    words = "reassign pending and dead deliveries to a renamed reporter"
    parser = _add_action(actions, "move", edits.move, words, "moved", to_write=True)
    parser.add_argument(
        "--from", dest="of", metavar="OLD", required=True, help="the reporter's old name"
    )
    parser.add_argument("--to", metavar="NEW", required=True, help="the reporter's new name")
    _add_yes(parser)


def _add_backfill(actions: SubParsers) -> None:
    words = (
        "have a running master send the finishes of past builds again, rebuilt from its database, "
        "with their original IDs"
    )
    keys = "stage, done, total"
    parser = _add_action(actions, "backfill", backfill.backfill, words, keys, to_write=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--since",
        metavar="TIME",
        type=parse_time,
        help="builds that finished since TIME: an age, e.g. 30d, or a time, e.g. 2026-01-31T08:00",
    )
    what.add_argument("--stop", action="store_true", help="stop the current backfill")
    parser.add_argument("--builder", metavar="NAME", help="only builds of this builder")
    parser.add_argument(
        "--reporter", metavar="NAME", help="reporter that sends them (required if several exist)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only count the builds")


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="delivery ID or a unique prefix")


def _url(text: str) -> str:
    # The text is not shown: it may hold a password.
    if not re.match(r"(sqlite|postgresql)(\+\w+)?://", text):
        raise argparse.ArgumentTypeError(
            "write a SQLAlchemy URL such as sqlite:////directory/file or "
            "postgresql://user@host/database"
        )
    return text
