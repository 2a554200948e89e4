"""The arguments that say where to send and as whom, for the sub-commands that send.

Errors in them are reported without showing what may be secret.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from buildbot_http_status_push.signing import parse_key

if TYPE_CHECKING:
    from buildbot_http_status_push.wire.target import Target

T = TypeVar("T")

SECRET_LEAST = 4
"""Any header may hold a secret; a shorter value is none, and hiding it would garble the lines."""


def add_auth(parser: argparse.ArgumentParser) -> None:
    """Add the options for user and password."""
    auth = parser.add_mutually_exclusive_group()
    auth.add_argument(
        "--auth", metavar="USER:PASSWORD", type=_pair, help="credentials for Basic authentication"
    )
    auth.add_argument(
        "--auth-env",
        metavar="NAME",
        dest="auth",
        type=_pair_from_environment,
        help="environment variable that holds USER:PASSWORD",
    )


def add_credentials(parser: argparse.ArgumentParser) -> None:
    """Add the options for credentials, headers and signing keys."""
    add_auth(parser)
    parser.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        type=_header,
        action="append",
        default=[],
        help="header to add; repeatable",
    )
    parser.add_argument(
        "--secret",
        metavar="KEY",
        type=signing_key,
        action="append",
        default=[],
        help="signing key: whsec_ and base64, or any text; repeatable. Other users of the machine "
        "can read it in the list of processes, so prefer a file or the environment",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        dest="secret",
        type=key_file,
        action="append",
        default=[],
        help="file whose first line is the signing key; repeatable",
    )
    parser.add_argument(
        "--secret-env",
        metavar="NAME",
        dest="secret",
        type=_key_from_environment,
        action="append",
        default=[],
        help="environment variable that holds the signing key; repeatable",
    )


def add_proxy(parser: argparse.ArgumentParser) -> None:
    """Add ``--proxy``."""
    parser.add_argument(
        "--proxy",
        metavar="URL",
        type=_proxy,
        help="HTTP proxy, e.g. http://user:password@proxy.example.com:3128, or 'environment' for "
        "http_proxy, https_proxy, all_proxy and no_proxy",
    )


def _proxy(text: str) -> str:
    from buildbot_http_status_push.configuration.options import check_proxy

    return _told(check_proxy, text)


def _told(check: Callable[[str], T], text: str) -> T:
    try:
        return check(text)
    except ValueError as fault:
        # Any other exception would make argparse print the text, which may hold a secret.
        raise argparse.ArgumentTypeError(str(fault)) from None


def server_url(text: str) -> str:
    """Read a URL that statuses can be posted to."""
    from buildbot_http_status_push.configuration.options import check_url

    return _told(check_url, text)


def board_url(text: str) -> str:
    """Read a board's URL, and return it without a slash at the end."""
    if "@" in text:
        raise argparse.ArgumentTypeError("has a user in it: give user and password with --auth-env")
    try:
        parts = urlsplit(text)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_whole = urlsplit(""), False
    if not is_whole or parts.scheme not in ("http", "https") or parts.query:
        raise argparse.ArgumentTypeError(
            f"is {text!r}: must be a board's URL, e.g. https://board.example.org/"
        )
    return text.rstrip("/")


def _pair(text: str) -> tuple[str, str]:
    from buildbot_http_status_push.wire.auth import fault

    user, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write USER:PASSWORD")
    if words := fault((user, password), lambda _: False):
        raise argparse.ArgumentTypeError(words)
    return user, password


def _pair_from_environment(name: str) -> tuple[str, str]:
    return _pair(_variable(name))


def _variable(name: str) -> str:
    if name not in os.environ:
        raise argparse.ArgumentTypeError(f"the environment has no variable {name!r}")
    return os.environ[name]


def _header(text: str) -> dict[str, str]:
    from buildbot_http_status_push.configuration.options import check_headers

    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write 'Name: value'")
    header = {name.strip(): value.strip()}
    return _told(lambda _: check_headers(header), text)


def signing_key(text: str) -> str:
    """Read a signing key."""
    _told(parse_key, text)
    return text


def key_file(path: str) -> str:
    """Read the signing key that is the first line of a file."""
    return signing_key(first_line(path))


def _key_from_environment(name: str) -> str:
    return signing_key(_variable(name))


def first_line(path: str) -> str:
    """Read a secret: the first line of a file, without white space around it."""
    try:
        return Path(path).read_text("utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as trouble:
        raise argparse.ArgumentTypeError(f"{path} can't be read: {trouble}") from trouble


def headers_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the headers that were asked for; of those with one name the last."""
    return {name: value for each in arguments.header for name, value in each.items()}


def make_target(arguments: argparse.Namespace) -> Target:
    """Make of the parsed arguments what a client sends to, with all that must stay secret."""
    from buildbot_http_status_push.wire.proxy_choice import find_proxy
    from buildbot_http_status_push.wire.target import Target

    headers = headers_of(arguments)
    # A scheme such as Bearer is no secret, what follows it may come back by itself.
    parts = {part for value in headers.values() for part in (value, *value.split()[1:])}
    secrets = {*arguments.secret, *(part for part in parts if len(part) >= SECRET_LEAST)}
    if arguments.auth:
        secrets.add(arguments.auth[1])
    proxy = find_proxy(arguments.proxy, arguments.server_url, os.environ)
    return Target(
        arguments.server_url,
        arguments.auth,
        headers,
        frozenset(secrets) | (proxy.secrets if proxy else frozenset()),
        tuple(arguments.secret),
        proxy=proxy,
    )
