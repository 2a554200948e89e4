"""How the sub-command ``outbox`` comes to an outbox, and what its actions are given.

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
    from sqlalchemy.engine import Engine

    from buildbot_http_status_push.commands.terminal import Output
    from buildbot_http_status_push.database import Database

OUTBOX_FILE = "http_status_push.sqlite"
"""The outbox's name in the master's folder, as the reporter has it."""


@frozen
class CommandContext:
    """What a person asks of an outbox.

    Args:
        database: The open outbox.
        arguments: The parsed arguments.
        output: Where the answer is printed.
        now: The time, in seconds since the epoch.
    """

    database: Database
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


def run_outbox(act: Action, refuse: Refuse, arguments: argparse.Namespace, output: Output) -> int:
    """Open the outbox, do what is asked for, and close it.

    Args:
        act: Does it.
        refuse: Says why that can't be done, and returns the exit code.
        arguments: The parsed arguments.
        output: Where the answer is printed.
    """
    from buildbot_http_status_push.database import StorageError
    from buildbot_http_status_push.outbox.inspection import NotPossibleError

    try:
        database = open_outbox(arguments.basedir, arguments.url)
    except StorageError as trouble:
        return refuse(str(trouble), arguments, output)
    try:
        asked = CommandContext(database, arguments, output, time.time())
        _check_names(asked)
        return act(asked)
    except (StorageError, NotPossibleError) as trouble:
        return refuse(str(trouble), arguments, output)
    finally:
        database.close()


def _check_names(asked: CommandContext) -> None:
    """See that the reporters that are named are known: a typo is told, and changes nothing."""
    from buildbot_http_status_push.outbox.inspection import NotPossibleError, reporters

    given = {NAMES[key]: name for key, name in vars(asked.arguments).items() if key in NAMES}
    if all(name is None for name in given.values()):
        return
    known = asked.ask(reporters)
    for option, name in given.items():
        if name is not None and name not in known:
            there_is = f"there is {' and '.join(known)}" if known else "no reporter has used it yet"
            raise NotPossibleError(
                f"{option} {name!r}: no reporter of this outbox is called so; {there_is}"
            )


def open_outbox(folder: Path, url: str | None) -> Database:
    """Open an outbox that exists.

    Args:
        folder: The master's folder, where there is no URL.
        url: A SQLAlchemy URL.

    Raises:
        StorageError: There is none, or it can't be opened.
    """
    from buildbot_http_status_push.database import StorageError, file_of, file_url, masked
    from buildbot_http_status_push.outbox.schema import open_database

    if url is None and not folder.is_dir():
        raise StorageError(f"--basedir: there is no folder {str(folder)!r}")
    url = url or file_url(folder / OUTBOX_FILE)
    file = file_of(url)
    where = str(file) if file else masked(url)
    if file and not file.is_file():
        raise StorageError(
            f"there is no outbox {where!r}: name the master's folder with --basedir, or the "
            "outbox= option's URL with --url"
        )
    try:
        if _holds_outbox(url):
            return open_database(url)
    except StorageError as trouble:
        raise StorageError(f"the outbox {where!r} can't be opened: {trouble}") from trouble
    raise StorageError(f"{where!r} is no outbox: it has none of an outbox's tables")


def _holds_outbox(url: str) -> bool:
    """Tell whether there are an outbox's tables, which opening it would make."""
    import sqlalchemy as sa

    from buildbot_http_status_push.database import FOREIGN, StorageError, explain
    from buildbot_http_status_push.outbox.schema import versions

    try:
        engine = _engine(url)
        try:
            return bool(sa.inspect(engine).has_table(versions.name))
        finally:
            engine.dispose()
    except (sa.exc.ArgumentError, ValueError):
        # Their texts may show a password.
        raise StorageError("SQLAlchemy can't read this URL") from None
    except (*FOREIGN, ImportError) as trouble:
        raise explain(trouble) from trouble


def _engine(url: str) -> Engine:
    import sqlalchemy as sa

    from buildbot_http_status_push.database import CONNECT_PATIENCE

    patience = {} if url.startswith("sqlite") else {"connect_timeout": CONNECT_PATIENCE}
    return sa.create_engine(url, connect_args=patience)
