"""The sub-command ``ping``: sends a test status and says what happened, step by step."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from buildbot_http_status_push.commands.console import number, run_reactor, say
from buildbot_http_status_push.signing import parse_key

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.ping_steps import Settings

T = TypeVar("T")

SECRET_LEAST = 4
"""Any header may hold a secret; a shorter value is none, and hiding it would garble the lines."""


def add_ping(commands: SubParsers) -> None:
    """Add ``ping``: tries out a receiver before a master relies on it."""
    parser = commands.add_parser(
        "ping",
        help="send a test status and say what happened",
        description='Send a test status once, marked "test": true, just as the reporter sends, '
        "and say what happened step by step. Exit code 0 if the receiver accepted it.",
    )
    parser.add_argument(
        "--server-url", metavar="URL", type=_url, required=True, help="where to send it"
    )
    _add_credentials(parser)
    _add_tls(parser)
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=number(float, 0.1, 86400, "a timeout in seconds"),
        default=30.0,
        help="how long to wait for a connection, and for an answer (%(default)g)",
    )
    parser.set_defaults(run=partial(run_ping, parser))


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    auth = parser.add_mutually_exclusive_group()
    auth.add_argument(
        "--auth", metavar="USER:PASSWORD", type=_pair, help="credentials for Basic authentication"
    )
    auth.add_argument(
        "--auth-env",
        metavar="NAME",
        dest="auth",
        type=_pair_from_environment,
        help="the environment variable that holds USER:PASSWORD",
    )
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="a header to add; may be given several times",
    )
    parser.add_argument(
        "--secret",
        metavar="KEY",
        type=_key,
        action="append",
        default=[],
        help="the signing key: whsec_ and base64, or any text; may be given several times",
    )


def _add_tls(parser: argparse.ArgumentParser) -> None:
    verify = parser.add_mutually_exclusive_group()
    verify.add_argument(
        "--verify",
        metavar="PATH",
        type=Path,
        default=True,
        help="a PEM file, or a directory of such files, with the certificates to trust",
    )
    verify.add_argument(
        "--no-verify",
        dest="verify",
        action="store_false",
        help="do not check the receiver's certificate",
    )
    parser.add_argument(
        "--cert", metavar="PATH", type=Path, help="a PEM file with the client's certificate"
    )
    parser.add_argument(
        "--key", metavar="PATH", type=Path, help="its key's PEM file, if not in the same one"
    )


def _told(check: Callable[[str], T], text: str) -> T:
    try:
        return check(text)
    except ValueError as fault:
        # Any other exception would make argparse print the text, which may hold a secret.
        raise argparse.ArgumentTypeError(str(fault)) from None


def _url(text: str) -> str:
    from buildbot_http_status_push.configuration.options import check_url

    return _told(check_url, text)


def _pair(text: str) -> tuple[str, str]:
    from buildbot_http_status_push.wire.auth import fault

    user, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write USER:PASSWORD")
    if words := fault((user, password), lambda _: False):
        raise argparse.ArgumentTypeError(words)
    return user, password


def _pair_from_environment(name: str) -> tuple[str, str]:
    if name not in os.environ:
        raise argparse.ArgumentTypeError(f"the environment has no variable {name!r}")
    return _pair(os.environ[name])


def _header(text: str) -> dict[str, str]:
    from buildbot_http_status_push.configuration.options import check_headers

    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write 'Name: value'")
    header = {name.strip(): value.strip()}
    return _told(lambda _: check_headers(header), text)


def _key(text: str) -> str:
    _told(parse_key, text)
    return text


def run_ping(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> int:
    """Send a test status; wrong files are told in argparse's way."""
    from twisted.internet import reactor

    from buildbot_http_status_push.commands.ping_steps import Ping
    from buildbot_http_status_push.wire.tls_errors import TLSFileError

    if arguments.key and not arguments.cert:
        parser.error("argument --key: it needs --cert, the certificate's file")
    try:
        ping = Ping(reactor, make_settings(arguments), f"ping_{uuid4().hex}", say)
    except TLSFileError as fault:
        parser.error(f"argument --{fault}")
    return run_reactor(reactor, ping.work, ping.clean_up)


def make_settings(arguments: argparse.Namespace) -> Settings:
    """Make of the parsed arguments what a ping needs."""
    from buildbot_http_status_push.commands.ping_steps import Settings
    from buildbot_http_status_push.wire.target import Target

    headers = {name: value for each in arguments.header for name, value in each.items()}
    # A scheme such as Bearer is no secret, what follows it may come back by itself.
    parts = {part for value in headers.values() for part in (value, *value.split()[1:])}
    secrets = {*arguments.secret, *(part for part in parts if len(part) >= SECRET_LEAST)}
    if arguments.auth:
        secrets.add(arguments.auth[1])
    cert = (arguments.cert, arguments.key) if arguments.key else arguments.cert
    target = Target(
        arguments.server_url,
        arguments.auth,
        headers,
        frozenset(secrets),
        tuple(arguments.secret),
    )
    return Settings(target, arguments.verify, cert, arguments.timeout)
