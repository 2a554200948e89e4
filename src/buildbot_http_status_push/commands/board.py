"""The sub-command ``board``: a status front end outside Buildbot.

The board itself is imported when the command runs, since that takes a while.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from buildbot_http_status_push.commands import board_settings as values
from buildbot_http_status_push.commands.board_check import add_check
from buildbot_http_status_push.commands.board_notify_test import add_notify_test
from buildbot_http_status_push.commands.board_replay import add_replay
from buildbot_http_status_push.commands.console import (
    DONE,
    complain,
    number,
    run_reactor,
)
from buildbot_http_status_push.commands.credentials import signing_key

if TYPE_CHECKING:
    from twisted.logger import ILogObserver

    from buildbot_http_status_push.board.server import Settings
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output


def add_board(commands: SubParsers) -> None:
    """Add ``board``: takes statuses, keeps them, and shows them live."""
    parser = commands.add_parser(
        "board",
        help="show all builds in any number of browsers, live",
        description="Receive statuses from reporters, store them, and show them live in any number "
        "of browsers, without queries to a master.",
    )
    _add_place(parser)
    _add_senders(parser)
    _add_readers(parser)
    _add_hosts(parser)
    _add_known(parser)
    _add_limits(parser)
    parser.set_defaults(run=run_board)
    actions = parser.add_subparsers(metavar="ACTION", help="default: serve the board")
    add_check(actions)
    add_notify_test(actions)
    add_replay(actions)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        metavar="P",
        type=number(int, 0, 65535, "a port"),
        default=8020,
        help="port to listen on (default: %(default)s); 0 for any free one",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s); others than loopback need a key or "
        "--user",
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="SQLAlchemy URL of a SQLite file or a PostgreSQL database "
        f"(default: {values.FILE} in the current directory)",
    )
    parser.add_argument(
        "--master",
        metavar="NAME=URL",
        type=values.master,
        action="append",
        default=[],
        help="name of the master with this buildbotURL; repeatable. URLs with one name are one "
        "master",
    )
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="branch whose builds give a builder its colour (default: the one of most builds)",
    )


def _add_senders(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--secret",
        metavar="KEY",
        type=signing_key,
        action="append",
        default=[],
        help="signing key that statuses require: whsec_ and base64, or any text; repeatable. "
        "Other users of the machine can read it in the list of processes, so prefer a file or "
        f"the environment variable {values.SECRET_VARIABLE}",
    )
    parser.add_argument(
        "--secret-file",
        metavar="FILE",
        type=values.file_of_key,
        action="append",
        default=[],
        help="file with a signing key that statuses require; repeatable",
    )
    parser.add_argument("--user", help="user that statuses require (Basic authentication)")
    parser.add_argument(
        "--password",
        help=f"password of --user; prefer the environment variable {values.PASSWORD_VARIABLE}",
    )


def _add_readers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--read-auth",
        metavar="USER:FILE",
        type=values.reader,
        action="append",
        default=[],
        help="user that readers need, and the file with the password; repeatable",
    )
    parser.add_argument(
        "--user-header",
        metavar="NAME",
        type=values.header_name,
        help="header with the reader's name, set by an authenticating proxy, e.g. X-Remote-User; "
        "readers can then claim incidents",
    )
    parser.add_argument(
        "--trust-proxy",
        metavar="ADDRESS",
        type=values.ip,
        action="append",
        default=[],
        help="address of a proxy whose --user-header is accepted; repeatable (default: 127.0.0.1 "
        "and ::1)",
    )
    parser.add_argument(
        "--origin",
        metavar="URL",
        type=values.origin,
        action="append",
        default=[],
        help="other site whose pages may read live changes, e.g. https://wall.example.org; "
        "repeatable",
    )


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="host name that a board with neither a key nor --user answers to, e.g. "
        "board.example.org; repeatable (default: loopback names, --host and the host of "
        "--public-url)",
    )
    parser.add_argument(
        "--public-url",
        metavar="URL",
        type=values.public_url,
        help="address that readers open, e.g. https://ci.example.org/board/; links in feeds and "
        "messages begin with it (default: the host of each request)",
    )


def _add_known(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--known",
        metavar="DIRECTORY",
        type=values.directory,
        help="directory of known failures, one TOML file for each; changed files are read again",
    )
    parser.add_argument(
        "--verdicts",
        metavar="FILE",
        type=values.existing_file,
        help="TOML file with the rules of /verdicts; a changed file is read again",
    )
    parser.add_argument(
        "--notify",
        metavar="FILE",
        type=Path,
        help="TOML file with destinations and rules of notifications; a changed file is read "
        "again; needs --public-url",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep",
        metavar="TIME",
        type=values.seconds,
        help="age from which builds are deleted, e.g. 90d, except each builder's latest, first red "
        "and last good ones (default: never)",
    )
    parser.add_argument(
        "--max-body",
        metavar="SIZE",
        type=values.size,
        default="16M",
        help="size of the largest status to accept (default: %(default)s)",
    )
    parser.add_argument(
        "--max-browsers",
        metavar="N",
        type=number(int, 1, 1_000_000, "a number of browsers"),
        default=10_000,
        help="number of browsers with live changes at once (default: %(default)s)",
    )


def run_board(arguments: argparse.Namespace, output: Output) -> int:
    """Show the board until Ctrl-C or SIGTERM."""
    try:
        settings = values.settings(arguments, os.environ)
    except values.SettingsError as fault:
        return complain(str(fault))
    from twisted.internet import reactor
    from twisted.logger import globalLogBeginner

    globalLogBeginner.beginLoggingTo([_log_observer()], redirectStandardIO=False)
    serving = _Serving(reactor, settings, output)

    def reload(*_: object) -> None:
        reactor.callFromThread(serving.reload, arguments)  # type: ignore[attr-defined]

    signal.signal(signal.SIGHUP, reload)
    return run_reactor(reactor, output, serving.work, serving.end)


def _log_observer() -> ILogObserver:
    """Return what prints log lines, without those of Twisted's reactor about itself."""
    from twisted.logger import (
        FilteringLogObserver,
        LogLevel,
        LogLevelFilterPredicate,
        textFileLogObserver,
    )

    levels = LogLevelFilterPredicate()
    for namespace in ("twisted.internet", "log_legacy"):  # the latter in older Twisteds
        levels.setLogLevelForNamespace(namespace, LogLevel.warn)
    return FilteringLogObserver(textFileLogObserver(sys.stderr), [levels])


class _Serving:
    """A board that runs until it is interrupted."""

    def __init__(self, reactor: Any, settings: Settings, output: Output) -> None:
        from twisted.internet.threads import deferToThreadPool

        from buildbot_http_status_push.board.server import Board

        def in_thread(function: Any, *arguments: Any) -> Deferred[Any]:
            return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

        self._settings = settings
        self._say = output.say
        self._listens = False
        self._log = Logger()
        self.board = Board(reactor, settings, in_thread)

    async def work(self) -> int:
        from buildbot_http_status_push.database import StorageError, masked

        settings = self._settings
        where = f"--host {settings.host} --port {settings.port}"
        try:
            port = await self.board.start()
        except CannotListenError as trouble:
            return complain(f"{where}: can't listen there: {trouble.socketError}")
        except StorageError as trouble:
            return complain(f"--database {masked(settings.database)}: {trouble}")
        self._listens = True
        address = values.address(settings.host, port)
        self._say(f"The board is at {address}, and accepts statuses there. Ctrl-C ends it.")
        if settings.access.is_open:
            self._say(
                "No --secret-file or --user: accepting unauthenticated statuses, on this machine "
                "only."
            )
        with contextlib.suppress(CancelledError):
            await Deferred[None]()
        return DONE

    def reload(self, arguments: argparse.Namespace) -> None:
        """Read keys and passwords again from their files."""
        try:
            access = values.access(arguments, os.environ)
        except values.SettingsError as fault:
            self._log.error(
                "reloading keys and passwords failed: {fault}; the previous ones stay in force",
                fault=fault,
            )
            return
        self.board.use(access)
        self._log.info("keys and passwords reloaded")
        self.board.read_files_again()

    async def end(self) -> None:
        await self.board.stop()
        if self._listens:
            self._say("The board has ended.")
