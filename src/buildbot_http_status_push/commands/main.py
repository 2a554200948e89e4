"""The command ``buildbot-http-status-push``: what a person may type.

Buildbot is imported, and the global reactor installed, only by sub-commands that need them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from buildbot_http_status_push import __version__
from buildbot_http_status_push.commands.board import add_board
from buildbot_http_status_push.commands.claim import add_claim
from buildbot_http_status_push.commands.console import DONE, FAILED, UNREAD
from buildbot_http_status_push.commands.demo_arguments import add_demo
from buildbot_http_status_push.commands.outbox import add_outbox
from buildbot_http_status_push.commands.parser import Parser
from buildbot_http_status_push.commands.ping import add_ping
from buildbot_http_status_push.commands.receive import add_receive
from buildbot_http_status_push.commands.terminal import Output, forget_stdout
from buildbot_http_status_push.commands.watch import add_watch

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run a sub-command.

    Args:
        argv: The arguments after the program's name; those of the process when ``None``.

    Returns:
        The exit code: 0, 1, 2, or 141 where who read the output has gone away.
    """
    output = Output()
    try:
        return _run(argv, output)
    finally:
        _flush()


def _run(argv: Sequence[str] | None, output: Output) -> int:
    try:
        arguments = make_parser().parse_args(argv)
    except BrokenPipeError:  # of what --help prints; newer Pythons than 3.10 pass over it
        return DONE
    try:
        code = int(arguments.run(arguments, output))
    except KeyboardInterrupt:
        # Before the reactor runs, which takes Ctrl-C for itself; nothing has begun yet.
        return FAILED
    except BrokenPipeError:
        return UNREAD
    return UNREAD if output.closed else code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # of what --help has printed
        forget_stdout()


def make_parser() -> argparse.ArgumentParser:
    """Make the parser with all sub-commands."""
    parser: argparse.ArgumentParser = Parser(
        prog="buildbot-http-status-push",
        description="Tools around Buildbot's HttpStatusPush reporter.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(commands)
    return parser


COMMANDS: tuple[Callable[[SubParsers], None], ...] = (
    add_demo,
    add_board,
    add_claim,
    add_receive,
    add_ping,
    add_outbox,
    add_watch,
)
"""Each adds one sub-command, whose ``run`` takes arguments and output, and returns the exit code.

A new sub-command has its place here; what is slow to import, it imports when it runs.
"""
