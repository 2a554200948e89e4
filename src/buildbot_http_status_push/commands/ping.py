"""The sub-command ``ping``: sends a test status and says what happened, step by step."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from buildbot_http_status_push.commands.console import number, run_reactor
from buildbot_http_status_push.commands.credentials import (
    add_credentials,
    add_proxy,
    make_target,
    server_url,
)

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.ping_steps import Settings
    from buildbot_http_status_push.commands.terminal import Output


def add_ping(commands: SubParsers) -> None:
    """Add ``ping``: tries out a receiver before a master relies on it."""
    parser = commands.add_parser(
        "ping",
        help="send a test status and report each step",
        description='Send one test status, marked "test": true, as the reporter sends statuses, '
        "and report each step. Exit code 0 if the receiver accepted it.",
    )
    parser.add_argument(
        "--server-url", metavar="URL", type=server_url, required=True, help="the receiver's URL"
    )
    add_credentials(parser)
    add_proxy(parser)
    _add_tls(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=number(float, 0.1, 86400, "a timeout in seconds"),
        default=30.0,
        help="deadline for the first connection, and again for the attempt (default: %(default)g)",
    )
    parser.set_defaults(run=partial(run_ping, parser))


def _add_tls(parser: argparse.ArgumentParser) -> None:
    verify = parser.add_mutually_exclusive_group()
    verify.add_argument(
        "--verify",
        metavar="PATH",
        type=Path,
        default=True,
        help="PEM file, or a directory of PEM files, with the certificates to trust",
    )
    verify.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="do not check the receiver's certificate",
    )
    parser.add_argument(
        "--cert", metavar="PATH", type=Path, help="PEM file with the client certificate"
    )
    parser.add_argument(
        "--key",
        metavar="PATH",
        type=Path,
        help="PEM file with the key of --cert, if not in the same file",
    )


def run_ping(parser: argparse.ArgumentParser, arguments: argparse.Namespace, output: Output) -> int:
    """Send a test status; report unusable files as argparse reports errors."""
    from twisted.internet import reactor

    from buildbot_http_status_push.commands.ping_steps import Ping
    from buildbot_http_status_push.wire.tls_errors import TLSFileError

    if arguments.key and not arguments.cert:
        parser.error("argument --key: it needs --cert, the certificate's file")
    try:
        ping = Ping(reactor, make_settings(arguments), f"ping_{uuid4().hex}", output.say)
    except TLSFileError as fault:
        parser.error(f"argument --{fault}")
    return run_reactor(reactor, output, ping.work, ping.clean_up)


def make_settings(arguments: argparse.Namespace) -> Settings:
    """Make of the parsed arguments what a ping needs."""
    from buildbot_http_status_push.commands.ping_steps import Settings

    cert = (arguments.cert, arguments.key) if arguments.key else arguments.cert
    target = make_target(arguments)
    return Settings(target, arguments.verify, cert, arguments.timeout)
