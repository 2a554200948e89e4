"""The command ``buildbot-http-status-push``: what a person may type.

Buildbot is imported, and the global reactor installed, only by sub-commands that need them.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from buildbot_http_status_push import __version__
from buildbot_http_status_push.commands.board import add_board
from buildbot_http_status_push.commands.console import FAILED, complain, number, run_reactor, say
from buildbot_http_status_push.commands.outbox import add_outbox
from buildbot_http_status_push.commands.ping import add_ping
from buildbot_http_status_push.commands.receive import add_receive

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run a sub-command.

    Args:
        argv: The arguments after the program's name; those of the process when ``None``.

    Returns:
        The exit code: 0, 1 or 2.
    """
    arguments = make_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        # Before the reactor runs, which takes Ctrl-C for itself; nothing has begun yet.
        return FAILED


def make_parser() -> argparse.ArgumentParser:
    """Make the parser with all sub-commands."""
    parser = argparse.ArgumentParser(
        prog="buildbot-http-status-push",
        description="Tools around Buildbot's HttpStatusPush reporter.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add_command in COMMANDS:
        add_command(commands)
    return parser


def add_demo(commands: SubParsers) -> None:
    """Add ``demo``: a real master whose statuses are shown as they arrive."""
    parser = commands.add_parser(
        "demo",
        help="run a real Buildbot master and show its statuses arriving",
        description="Run a real Buildbot master in a temporary folder, with builds that end in "
        "every way, and show their statuses as they arrive. Exit code 0 if all have arrived.",
    )
    parser.add_argument(
        "--builds",
        metavar="N",
        type=number(int, 1, 1000, "a number of builds"),
        default=12,
        help="how many builds to start (%(default)s)",
    )
    parser.add_argument(
        "--server-url",
        metavar="URL",
        help="send the statuses there, instead of to a receiver of the demo's own",
    )
    parser.add_argument("--keep", action="store_true", help="leave the master's folder")
    parser.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace) -> int:
    """Run the demo."""
    if importlib.util.find_spec("buildbot_worker") is None:
        return complain("the demo runs workers: pip install 'buildbot-http-status-push[demo]'")
    from twisted.internet import reactor

    from buildbot_http_status_push.commands.demo import Demo, Settings

    settings = Settings(arguments.builds, arguments.server_url, arguments.keep)
    demo = Demo(reactor, settings, say)
    return run_reactor(reactor, demo.work, demo.clean_up)


COMMANDS: tuple[Callable[[SubParsers], None], ...] = (
    add_demo,
    add_board,
    add_receive,
    add_ping,
    add_outbox,
)
"""Each adds one sub-command, whose ``run`` takes the arguments and returns the exit code.

A new sub-command has its place here; what is slow to import, it imports when it runs.
"""
