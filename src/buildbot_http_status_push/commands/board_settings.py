"""What a person asks of a board, read from arguments, files and the environment.

The types of the arguments raise ``argparse.ArgumentTypeError``, which names the argument.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from buildbot_http_status_push.commands.credentials import first_line, key_file
from buildbot_http_status_push.durations import read_duration
from buildbot_http_status_push.signing import KeyFormatError, parse_key

if TYPE_CHECKING:
    from buildbot_http_status_push.board.http.access import Access
    from buildbot_http_status_push.board.server import Settings

FILE = "board.sqlite"
"""The database in the current folder, where none is named."""
SECRET_VARIABLE = "HTTP_STATUS_PUSH_BOARD_SECRET"  # noqa: S105  a variable's name
PASSWORD_VARIABLE = "HTTP_STATUS_PUSH_BOARD_PASSWORD"  # noqa: S105  likewise

EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104  compared with, not listened on
PUBLIC_URL = r"""(?ax) https?:// ([\w.-]+ | \[[\da-fA-F:.]+\]) (:\d{1,5})?
    (?P<path> (/ [\w~-][\w.~-]*)* /? )"""
OWN_PATHS = (
    "api", "badge", "builders", "builds", "cctray.xml", "failures", "favicon.ico", "favicon.svg",
    "feed.atom", "grid", "incidents", "incidents.atom", "known", "live", "metrics", "queue",
    "revisions", "robots.txt", "search", "static", "tests", "verdicts", "workers",
)  # fmt: skip
"""What the board's addresses begin with."""
BYTES = {"": 1, "K": 1024, "M": 1024**2}


class SettingsError(Exception):
    """What is asked for can't be had; the text names the argument, and says what would be right."""


def settings(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Return what is asked for.

    Raises:
        SettingsError: It makes no sense, or is not safe.
    """
    from buildbot_http_status_push.board.server import Settings
    from buildbot_http_status_push.database import file_url

    asked = access(arguments, environment)
    if asked.is_open and not _is_loopback(arguments.host):
        raise SettingsError(
            f"--host {arguments.host}: anyone who reaches the board there could send statuses. "
            "Give --secret-file or --user, or listen on 127.0.0.1, behind a proxy"
        )
    if arguments.notify is not None:
        _check_notify(arguments.notify, arguments.public_url)
    return Settings(
        database=arguments.database or file_url(FILE),
        host=arguments.host,
        port=arguments.port,
        access=asked,
        names={url: name for name, url in arguments.master},
        branch=arguments.branch,
        keep=arguments.keep,
        max_body=arguments.max_body,
        max_browsers=arguments.max_browsers,
        origins=tuple(arguments.origin),
        known=arguments.known,
        verdicts=arguments.verdicts,
        notify=arguments.notify,
        hosts=tuple(arguments.allow_host),
        public_url=arguments.public_url,
    )


def _check_notify(path: Path, public_url: str | None) -> None:
    if public_url is None:
        raise SettingsError(
            "--notify: needs --public-url, for the links in messages, e.g. "
            "--public-url https://board.example.com/"
        )
    try:
        from buildbot_http_status_push.board.notify.notify_file import notify_of
        from buildbot_http_status_push.board.toml_files import FileFault, read_rules
    except ModuleNotFoundError as trouble:
        raise SettingsError(
            f"--notify: {trouble.name} is not installed: "
            "pip install 'buildbot-http-status-push[board]'"
        ) from trouble
    try:
        read_rules(path, notify_of)
    except FileFault as fault:
        raise SettingsError(f"--notify {path}: {fault}") from fault


def access(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Access:
    """Read what is asked of senders and readers, from files too.

    Raises:
        SettingsError: A file can't be read, or holds what makes no sense.
    """
    from buildbot_http_status_push.board.http.access import LOOPBACK, Access

    try:
        keys = (*arguments.secret, *map(key_file, arguments.secret_file))
        readers = {user: _password(path) for user, path in arguments.read_auth}
    except argparse.ArgumentTypeError as fault:
        raise SettingsError(str(fault)) from fault
    if given := environment.get(SECRET_VARIABLE):
        keys += (_key_in_environment(given),)
    return Access(
        keys=keys,
        senders=_senders(arguments.user, arguments.password, environment),
        readers=readers,
        user_header=arguments.user_header,
        proxies=frozenset(arguments.trust_proxy) or LOOPBACK,
    )


def _key_in_environment(text: str) -> str:
    try:
        parse_key(text)
    except KeyFormatError as fault:
        raise SettingsError(f"{SECRET_VARIABLE}: {fault}") from None
    return text


def _senders(
    user: str | None, password: str | None, environment: Mapping[str, str]
) -> dict[str, str]:
    password = password or environment.get(PASSWORD_VARIABLE)
    if user and password:
        return {user: password}
    if user:
        raise SettingsError(f"--user {user}: its password is missing: set {PASSWORD_VARIABLE}")
    if password:
        raise SettingsError("a password is given, and no --user whose it is")
    return {}


def address(host: str, port: int) -> str:
    """Return the URL at which a board that listens there can be opened."""
    if host in EVERYWHERE:
        return f"http://{socket.gethostname()}:{port}/ and all other addresses of this machine"
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reader(text: str) -> tuple[str, str]:
    """Take ``USER:FILE``: a reader and the file that the password is in."""
    user, _, path = text.partition(":")
    if not (user and path):
        raise argparse.ArgumentTypeError(f"write USER:FILE, not {text!r}")
    _password(path)
    return user, path


def header_name(text: str) -> str:
    """Read the name of a header."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,60}", text):
        raise argparse.ArgumentTypeError(
            f"{text[:60]!r} is no name of a header: must be such as X-Remote-User"
        )
    return text


def ip(text: str) -> str:
    """Read an IP address."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as fault:
        raise argparse.ArgumentTypeError(
            f"{text[:60]!r} is no IP address: must be such as 10.0.0.5"
        ) from fault


def _password(path: str) -> str:
    password = first_line(path)
    if not password:
        raise argparse.ArgumentTypeError(f"{path} holds no password in its first line")
    return password


def file_of_key(path: str) -> str:
    """Take a file that a signing key is in; it may be read again later."""
    key_file(path)
    return path


def master(text: str) -> tuple[str, str]:
    """Take ``NAME=URL``: a name for the master with this buildbot URL."""
    name, _, url = text.partition("=")
    if not name.strip() or not _is_web_address(url):
        raise argparse.ArgumentTypeError(
            f"write NAME=URL with the master's buildbotURL, such as "
            f"main=https://ci.example.org/, not {text!r}"
        )
    return name.strip(), url if url.endswith("/") else f"{url}/"


def origin(text: str) -> str:
    """Take a site's address without a path, as browsers name it."""
    if not _is_web_address(text) or urlsplit(text).path not in ("", "/"):
        raise argparse.ArgumentTypeError(
            f"write a site's scheme and host, such as https://wall.example.org, not {text!r}"
        )
    return text.rstrip("/")


def public_url(text: str) -> str:
    """Take the address that readers open, such as ``https://ci.example.org/board/``."""
    found = re.fullmatch(PUBLIC_URL, text)
    if not found:
        raise argparse.ArgumentTypeError(
            "write scheme, host and a path of letters, digits, '-', '_', '~' and '.', such as "
            f"https://ci.example.org/board/, not {text!r}"
        )
    # A proxy may take the path away or leave it: /builds/1 would be read in two ways.
    if (first := found["path"].strip("/").split("/")[0]) in OWN_PATHS:
        raise argparse.ArgumentTypeError(
            f"the board's own addresses begin with /{first}: use another path, such as /board/, "
            f"not {text!r}"
        )
    return text if text.endswith("/") else f"{text}/"


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def directory(text: str) -> Path:
    """Take a directory that exists."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"is {text}: must be a directory, e.g. known-failures")
    return path


def existing_file(text: str) -> Path:
    """Take a file that exists."""
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"is {text}: must be a file, e.g. verdicts.toml")
    return path


def seconds(text: str) -> float:
    """Take a time such as ``90d``."""
    found = read_duration(text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"write a number with s, m, h, d or w, such as 90d, not {text!r}"
        )
    return float(found)


def size(text: str) -> int:
    """Take a number of bytes such as ``16M``."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([KM]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(
            f"write a number of bytes, or one with K or M, such as 16M, not {text!r}"
        )
    return int(found[1]) * BYTES[found[2]]
