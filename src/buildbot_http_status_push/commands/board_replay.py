"""The sub-command ``board replay``: what rules would have sent of the stored history."""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from buildbot_http_status_push.commands import board_settings as values
from buildbot_http_status_push.commands.console import DONE, complain

if TYPE_CHECKING:
    from buildbot_http_status_push.board.failures.known import Entry
    from buildbot_http_status_push.board.notify.notify_file import Notify
    from buildbot_http_status_push.board.notify.rehearsing import Rehearsal
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output

DAY = 86_400.0


def add_replay(actions: SubParsers) -> None:
    """Add ``replay``."""
    parser = actions.add_parser(
        "replay",
        help="replay the stored history by the rules of --notify",
        description="Replay the stored history by the rules of a file, and print each message with "
        "its time, and why others were held back. Nothing is sent.",
    )
    parser.add_argument(
        "--notify", metavar="FILE", type=Path, required=True, help="TOML file of rules"
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=values.seconds,
        default="7d",
        help="age from which to replay, e.g. 30d (default: %(default)s)",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help=f"the board's database (default: {values.FILE} in the current directory)",
    )
    parser.add_argument(
        "--known",
        metavar="DIRECTORY",
        type=values.directory,
        help="directory of known failures",
    )
    parser.set_defaults(run=replay)


def replay(arguments: argparse.Namespace, output: Output) -> int:
    """Print what would have been sent."""
    from buildbot_http_status_push.board.failures.known_files import KnownFiles
    from buildbot_http_status_push.board.notify.notify_file import notify_of
    from buildbot_http_status_push.board.store.schema import open_snapshots
    from buildbot_http_status_push.board.toml_files import FileFault, read_rules
    from buildbot_http_status_push.database import StorageError, file_of, file_url, masked

    try:
        notify = read_rules(arguments.notify, notify_of)
    except FileFault as fault:
        return complain(f"--notify {arguments.notify}: {fault}")
    url = arguments.database or file_url(values.FILE)
    path = file_of(url)
    if path is not None and not os.path.exists(path):
        return complain(f"--database {masked(url)}: there is no such file")
    now = time.time()
    entries: tuple[Entry, ...] = ()
    little: tuple[str, ...] = ()
    if arguments.known is not None:
        known = KnownFiles(arguments.known)
        known.read()
        entries, little = known.entries, known.little
        for each in known.faults:
            output.say(f"--known {arguments.known}: {each}; ignoring this file", "warning")
    operation = partial(_rehearsed, notify, entries, little, now - arguments.since, now)
    try:
        database = open_snapshots(url)
        [found] = database.transact([operation])
        database.close()
    except StorageError as trouble:
        return complain(f"--database {masked(url)}: {trouble}")
    _print(found, now, arguments.since / DAY, output)
    return DONE


def _rehearsed(
    notify: Notify,
    entries: tuple[Entry, ...],
    little: tuple[str, ...],
    since: float,
    until: float,
    connection: Any,
) -> Rehearsal:
    from buildbot_http_status_push.board.notify.rehearsing import rehearse
    from buildbot_http_status_push.board.store.following import stored_history
    from buildbot_http_status_push.board.store.incidents import shown_incident

    engine, history = stored_history(connection, since, little)
    shown = partial(shown_incident, entries=entries, is_open=False)
    return rehearse(notify.rules, notify.destinations, engine, history, since, until, shown)


def _print(found: Rehearsal, now: float, days: float, output: Output) -> None:
    from buildbot_http_status_push.board.notify.announcing import KEPT_BACK
    from buildbot_http_status_push.board.notify.texts import headline_of, news_of

    for at, name, message in found.sent:
        clock = datetime.fromtimestamp(at, timezone.utc)
        headline = headline_of(news_of(message, "", at))
        output.say(f"{clock:%Y-%m-%d %H:%M} {name} {message.event.rpartition('.')[2]}: {headline}")
    for name, reasons in found.kept.items():
        for why, count in Counter(reasons.values()).most_common():
            output.say(f"{name}: held back: {count}: {KEPT_BACK[why]}")
    for name in found.kept:
        count = sum(to == name for _, to, _ in found.sent)
        output.say(f"{name}: {count} messages, {count / days:.1f} a day")
    unchanged, ended = found.ended_unchanged
    share = f" ({unchanged / ended:.0%})" if ended else ""
    output.say(f"{unchanged} of {ended} incidents ended without any change{share}")
