"""How the sub-command ``outbox`` opens an outbox, and the context of its actions.

Never makes an outbox where there is none. SQLAlchemy is imported when it is needed, since that
takes a while.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

from buildbot_http_status_push.commands import outbox_output
from buildbot_http_status_push.commands.console import complain

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.terminal import Output
    from buildbot_http_status_push.database import Reader, Transactions

OUTBOX_FILE = "http_status_push.sqlite"
"""The outbox's name in the master's folder, as the reporter has it."""


@frozen
class CommandContext:
    """An open outbox and the arguments of one command."""

    database: Transactions
    arguments: argparse.Namespace
    output: Output
    now: float

    def ask(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Return what an operation yields in a transaction of its own."""
        [answer] = self.database.transact([lambda connection: operation(connection, *arguments)])
        return answer

    def answer(self, document: object, lines: Sequence[str], troubles: Sequence[str] = ()) -> None:
        """Print lines and what is not well, or with ``--json`` a document."""
        if self.arguments.json:
            self.output.say(outbox_output.to_json(document))
            return
        self.output.say("\n".join(lines))
        for trouble in troubles:
            self.output.say(trouble, "bad")


Action: TypeAlias = Callable[[CommandContext], int]
Refuse: TypeAlias = Callable[[str, argparse.Namespace, "Output"], int]

NAMES = {"reporter": "--reporter", "of": "--from", "to": "--to"}
"""The arguments that name a reporter, and the options that they are given with."""


def refuse(why: str, *_: object) -> int:
    """Say why something can't be done, and return the exit code."""
    return complain(why)


def run_outbox(
    act: Action, refuse: Refuse, arguments: argparse.Namespace, output: Output, *, to_write: bool
) -> int:
    """Open the outbox, do what is asked for, and close it."""
    from buildbot_http_status_push.database import StorageError
    from buildbot_http_status_push.outbox.inspection import NotPossibleError

    try:
        database = open_outbox(arguments.basedir, arguments.url, to_write=to_write)
    except StorageError as trouble:
        return refuse(str(trouble), arguments, output)
    try:
        ctx = CommandContext(database, arguments, output, time.time())
        _check_names(ctx)
        return act(ctx)
    except (StorageError, NotPossibleError) as trouble:
        return refuse(str(trouble), arguments, output)
    finally:
        database.close()


def _check_names(ctx: CommandContext) -> None:
    """Refuse names of reporters that the outbox does not have."""
    from buildbot_http_status_push.outbox.inspection import NotPossibleError, reporters

    given = {NAMES[key]: name for key, name in vars(ctx.arguments).items() if key in NAMES}
    if all(name is None for name in given.values()):
        return
    known = ctx.ask(reporters)
    for option, name in given.items():
        if name is not None and name not in known:
            there_is = f"known: {', '.join(known)}" if known else "none has used this outbox yet"
            raise NotPossibleError(f"{option}: unknown reporter {name!r} ({there_is})")


def open_outbox(folder: Path, url: str | None, *, to_write: bool) -> Transactions:
    """Open an outbox that exists; its schema is left to the master.

    Raises:
        StorageError: There is none, or it can't be opened.
    """
    from buildbot_http_status_push.database import Reader, StorageError, file_of, file_url, masked
    from buildbot_http_status_push.outbox.schema import open_database

    try:
        if url is None and not _is_there(folder):
            raise StorageError(f"--basedir: no such directory: {str(folder)!r}")
        url = url or file_url(folder / OUTBOX_FILE)
        file = file_of(url)
        where = str(file) if file else masked(url)
        if file and not _is_there(file):
            raise StorageError(
                f"no outbox at {where!r}: give the master's directory with --basedir, or the URL "
                "of the outbox= option with --url"
            )
    except OSError as trouble:
        raise StorageError(f"cannot read the outbox: {trouble}") from trouble
    try:
        reader = Reader(url)
        try:
            _check_schema(reader, to_write=to_write)
        except StorageError:
            reader.close()
            raise
        if not to_write:
            return reader
        reader.close()
        return open_database(url)
    except StorageError as trouble:
        raise StorageError(f"cannot open the outbox {where!r}: {trouble}") from trouble


def _is_there(path: Path) -> bool:
    """Return whether a path exists; from Python 3.14 on, pathlib's tests hide a refused access."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _check_schema(reader: Reader, *, to_write: bool) -> None:
    """Refuse an outbox whose schema lacks what this version needs."""
    from buildbot_http_status_push.database import StorageError
    from buildbot_http_status_push.outbox import inspection
    from buildbot_http_status_push.outbox.schema import SCHEMA, version_of

    [version] = reader.transact([version_of])
    if not version:
        raise StorageError("it has no outbox tables")
    if version == SCHEMA.version:
        return
    if to_write or reader.transact([inspection.missing]) != [[]]:
        raise StorageError(
            f"its schema version is {version}, this version of buildbot-http-status-push has "
            f"{SCHEMA.version}: run the command of the version that the master runs, or start the "
            "master with this version"
        )
