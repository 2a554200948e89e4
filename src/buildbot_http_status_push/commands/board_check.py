"""The sub-command ``board check``: reports the faults of the board's files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import DONE, FAILED

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


def add_check(actions: SubParsers) -> None:
    """Add ``check``."""
    parser = actions.add_parser(
        "check",
        help="report the faults of the board's files",
        description="Report the faults of the board's files, each with its line and key. Exit "
        "codes: 0 without a fault, 1 with one.",
    )
    parser.add_argument(
        "files",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="a file of --notify or --verdicts, of a known failure, or a directory of those",
    )
    parser.set_defaults(run=check)


def check(arguments: argparse.Namespace, output: Output) -> int:
    """Print the faults of files."""
    from buildbot_http_status_push.board.failures.known_files import read_known
    from buildbot_http_status_push.board.toml_files import FileFault, read_rules, read_toml
    from buildbot_http_status_push.board.verdicts.rules import rules_of

    code = DONE
    for each in arguments.files:
        if each.is_dir() and not any(each.glob("*.toml")):
            code = FAILED
            output.say(f"{each}: the directory has no *.toml file")
    for path in _files(arguments.files):
        try:
            keys = read_toml(path).content.keys()
            if keys & {"rule", "to"}:
                from buildbot_http_status_push.board.notify.notify_file import notify_of

                read_rules(path, notify_of)
            elif "verdict" in keys:
                read_rules(path, rules_of)
            else:
                read_known(path)
        except FileFault as fault:
            code = FAILED
            output.say(f"{path}: {fault}")
        else:
            output.say(f"{path}: no faults")
    return code


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.toml")) if path.is_dir() else (path,)
