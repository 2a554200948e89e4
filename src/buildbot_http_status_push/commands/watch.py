"""The sub-command ``watch``: waits until all builders have finished a revision."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.board_settings import seconds
from buildbot_http_status_push.commands.credentials import add_auth, board_url

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


def add_watch(commands: SubParsers) -> None:
    """Add ``watch``: what a release script or a bot calls instead of polling a master."""
    parser = commands.add_parser(
        "watch",
        help="wait for the result of a revision",
        description="Wait until all builders have finished a revision, and print each result. Exit "
        "code 0 if all are good or red for known reasons only, 1 if one is red otherwise, 2 if "
        "the result is unknown.",
    )
    parser.add_argument("revision", metavar="SHA", help="revision, or its beginning")
    parser.add_argument(
        "--board",
        metavar="URL",
        type=board_url,
        required=True,
        help="the board's URL, e.g. https://board.example.org/",
    )
    parser.add_argument(
        "--builders",
        metavar="GLOB",
        help="only these builders: a part of their names, or a glob with * and ?",
    )
    parser.add_argument(
        "--until",
        choices=("first-failure", "all"),
        default="all",
        help="end at the first red builder that is not known, or when all have ended "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=seconds,
        default="1h",
        help="end after this time, e.g. 45m, with 1 if a builder is red by then, else with 2 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object at the end, and nothing else"
    )
    add_auth(parser)
    parser.set_defaults(run=run_watch)


def run_watch(arguments: argparse.Namespace, output: Output) -> int:
    """Watch until the verdict is there."""
    import time

    from buildbot_http_status_push.commands.watching import BoardClient, Watch

    client = BoardClient(arguments.board, arguments.revision, arguments.builders, arguments.auth)
    watch = Watch(
        client.ask,
        output,
        time.monotonic,
        time.sleep,
        until=arguments.until,
        timeout=arguments.timeout,
        is_json=arguments.json,
    )
    return watch.run(arguments.revision)
