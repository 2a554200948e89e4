"""The sub-command ``demo``: a real master whose statuses are shown as they arrive."""

from __future__ import annotations

import argparse
import importlib.util
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import complain, number, run_reactor
from buildbot_http_status_push.commands.credentials import (
    add_credentials,
    headers_of,
    server_url,
)

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


def add_demo(commands: SubParsers) -> None:
    """Add ``demo``."""
    parser = commands.add_parser(
        "demo",
        help="run a real Buildbot master and show its statuses arriving",
        description="Run a real Buildbot master in a temporary directory, with builds of every "
        "result, and show their statuses as they arrive. Exit code 0 if all have arrived.",
    )
    parser.add_argument(
        "--builds",
        metavar="N",
        type=number(int, 1, 1000, "a number of builds"),
        default=12,
        help="number of builds to start (default: %(default)s); Buildbot repeats one that ends as "
        "retry",
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--board",
        action="store_true",
        help="show the builds on a board, and start another one now and then until Ctrl-C",
    )
    places.add_argument(
        "--server-url",
        metavar="URL",
        type=server_url,
        help="URL of the receiver (default: one that the demo starts)",
    )
    add_credentials(parser)
    parser.add_argument(
        "--show-body", action="store_true", help="show the last finished build's JSON"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the master's directory, whose master.cfg holds the credentials given here",
    )
    parser.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace, output: Output) -> int:
    """Run the demo."""
    if importlib.util.find_spec("buildbot_worker") is None:
        return complain("the demo runs workers: pip install 'buildbot-http-status-push[demo]'")
    from twisted.internet import reactor

    from buildbot_http_status_push.commands.demo import Demo, Settings

    settings = Settings(
        builds=arguments.builds,
        server_url=arguments.server_url,
        board=arguments.board,
        auth=arguments.auth,
        headers=headers_of(arguments),
        keys=tuple(arguments.secret),
        show_body=arguments.show_body,
        keep=arguments.keep,
    )
    demo = Demo(reactor, settings, output)
    return run_reactor(reactor, output, demo.work, demo.clean_up)
