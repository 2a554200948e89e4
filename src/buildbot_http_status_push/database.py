"""Opens SQLite and PostgreSQL databases, brings their tables up to date, and runs transactions.

Blocking: whoever calls this does so off the reactor's thread. Knows no table of its own.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy import exc
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.pool import NullPool, StaticPool

from buildbot_http_status_push.redaction import HIDDEN, mask_url

MEMORY = "sqlite://"
LOCK_PATIENCE = 2.0
CONNECT_PATIENCE = 3
SILENCE_PATIENCE_MS = 10_000

Operation: TypeAlias = Callable[[Connection], Any]

FOREIGN = (exc.SQLAlchemyError, sqlite3.Error, OSError)

# One transaction at a time, as on SQLite: nobody waits for a row in a circle, and what is
# committed later has the higher sequence. A process that stands still is cut off by the server
# before the others lose their patience.
BEGIN_ON_POSTGRESQL = (
    "SELECT set_config('lock_timeout', '10s', true), "
    "set_config('idle_in_transaction_session_timeout', '5s', true), "
    "pg_advisory_xact_lock({lock_number})"
)
READ_ON_POSTGRESQL = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class StorageError(Exception):
    """The database can't be read or written now; the text says why."""


class UnstorableError(StorageError):
    """The database does not take a value, and would take others."""


class LostStorageError(StorageError):
    """What the file held is not to be had any more."""


class CorruptStorageError(LostStorageError):
    """The file holds no database, or a broken one."""


class ReplacedStorageError(LostStorageError):
    """The file is gone, or it is another one than the one that was opened."""


@frozen
class Schema:
    """Tables with a version, and how those of an older version become the present ones.

    Args:
        what: What the tables make up, in words.
        metadata: The tables.
        versions: The table of the versions that they have had, with the column ``version``.
        upgrades: What leads from version 1 to 2, from 2 to 3, and so on.
    """

    what: str
    metadata: sa.MetaData
    versions: sa.Table
    upgrades: tuple[Operation, ...] = ()

    @property
    def version(self) -> int:
        """The present version."""
        return 1 + len(self.upgrades)

    def prepare(self, connection: Connection) -> None:
        """Create the tables, or bring them to the present version, in the running transaction.

        Raises:
            StorageError: A newer version of this package has been here.
        """
        self.versions.create(connection, checkfirst=True)
        found = connection.execute(sa.select(sa.func.max(self.versions.c.version))).scalar() or 0
        if found > self.version:
            raise StorageError(
                f"{self.what} has schema version {found}, this version of "
                f"buildbot-http-status-push knows up to {self.version}: install the newer version "
                f"again, or set {self.what} aside"
            )
        if found == self.version:
            return
        if found == 0:
            self.metadata.create_all(connection)
        else:
            for upgrade in self.upgrades[found - 1 :]:
                upgrade(connection)
        connection.execute(self.versions.insert().values(version=self.version))


class Transactions:
    """Runs transactions on a database that is there.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.
        begin: Begins a transaction, for each kind of database.
        read_only: Whether a SQLite file is opened without the right to write.

    Raises:
        StorageError: It can't be opened.
    """

    def __init__(
        self, url: str, begin: Mapping[str, Operation], *, read_only: bool = False
    ) -> None:
        self._path = file_of(url)
        try:
            self._engine = _engine(_parsed(url), begin, self._path if read_only else None)
            driver: Any = self._engine.dialect.dbapi
            self._foreign = (*FOREIGN, driver.Error)
            self._file = _identity(self._path)
        except (*FOREIGN, ImportError) as trouble:
            raise explain(trouble) from trouble

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run operations in one transaction: all of them count, or none.

        Returns:
            What each operation returned.

        Raises:
            StorageError: The transaction failed.
        """
        self._check_file()
        try:
            with self._engine.begin() as connection:
                return [operation(connection) for operation in operations]
        except self._foreign as trouble:
            self._check_file()
            raise explain(trouble) from trouble

    def _check_file(self) -> None:
        """See that the file has not been set aside: another process may use it too."""
        if _identity(self._path) != self._file:
            raise ReplacedStorageError("the file was removed or replaced")

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


class Database(Transactions):
    """A database with tables of ours, to be written to: one transaction at a time, of all users.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.
        prepare: Makes the tables, or brings them up to date.
        lock_number: Any number that all who use these tables agree on, and nobody else.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """

    def __init__(self, url: str, prepare: Operation, lock_number: int) -> None:
        begin_on_postgresql = partial(_begin_on_postgresql, lock_number)
        super().__init__(url, {"sqlite": _begin_on_sqlite, "postgresql": begin_on_postgresql})
        try:
            self.transact([prepare])
        except StorageError:
            self.close()
            raise


class Snapshots(Transactions):
    """A database that is only read; each transaction sees it as it stands at one moment.

    Raises:
        StorageError: It can't be opened.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, {"sqlite": _read_on_sqlite, "postgresql": _read_on_postgresql})


class Reader(Transactions):
    """A database of somebody else, to look into: read access suffices, and nothing changes.

    It takes no write lock, creates no file and changes no table.

    Raises:
        StorageError: It can't be opened.
    """

    def __init__(self, url: str) -> None:
        begin = {"sqlite": _read_on_sqlite, "postgresql": _read_on_postgresql}
        super().__init__(url, begin, read_only=True)


def _identity(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found else None


def explain(trouble: Exception) -> StorageError:
    """Turn a foreign exception into one of ours, in words."""
    original = getattr(trouble, "orig", None) or trouble
    words = f"{type(original).__name__}: {original}".splitlines()[0]
    if isinstance(trouble, ImportError):
        return StorageError(
            f"{words}: install that driver, or pip install 'buildbot-http-status-push[postgresql]' "
            "and write postgresql+psycopg://"
        )
    # Its subclasses are other trouble: a locked file, a full disk.
    if type(original) is sqlite3.DatabaseError:
        return CorruptStorageError(words)
    # Each driver has classes of its own, whose names the DB-API prescribes (PEP 249).
    if {"DataError", "IntegrityError"} & {each.__name__ for each in type(original).__mro__}:
        return UnstorableError(words)
    return StorageError(words)


def masked(url: str) -> str:
    """Return a database's URL as it may be shown: without user, password and query values."""
    try:
        # SQLAlchemy knows best where a password ends that contains a slash.
        return mask_url(make_url(url).render_as_string(hide_password=True))
    except (exc.ArgumentError, ValueError):
        return f"{url.partition(':')[0]}://{HIDDEN}" if "://" in url else HIDDEN


def file_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of a SQLite file."""
    url = URL.create("sqlite", database=str(Path(path).absolute()))
    return url.render_as_string(hide_password=False)


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for another database or what is no URL."""
    try:
        parts = make_url(url)
    except (exc.ArgumentError, ValueError):
        return None
    is_file = parts.get_backend_name() == "sqlite" and parts.database not in (None, "", ":memory:")
    return Path(str(parts.database)) if is_file else None


def resolve(url: str, folder: Path) -> str:
    """Return the URL with a relative SQLite file taken from a folder."""
    path = file_of(url)
    if path is None or path.is_absolute():
        return url
    return make_url(url).set(database=str(folder / path)).render_as_string(hide_password=False)


def _parsed(url: str) -> URL:
    try:
        parts = make_url(url)
    except (exc.ArgumentError, ValueError):
        parts = None
    if parts is None or parts.get_backend_name() not in ("sqlite", "postgresql"):
        raise StorageError(
            f"the database's URL is {masked(url)!r}: write a SQLAlchemy URL such as "
            "sqlite:///file or postgresql://user@host/database"
        )
    return parts


def _engine(url: URL, begin: Mapping[str, Operation], to_read: Path | None = None) -> Engine:
    if to_read is not None:
        open_file = partial(_open_to_read, to_read)
        engine = sa.create_engine("sqlite://", creator=open_file, poolclass=NullPool)
    elif url.get_backend_name() == "sqlite":
        engine = _sqlite_engine(url)
    else:
        arguments = _postgresql_arguments(url)
        engine = sa.create_engine(url, pool_size=1, pool_pre_ping=True, connect_args=arguments)
    sa.event.listen(engine, "begin", begin[url.get_backend_name()])
    return engine


def _postgresql_arguments(url: URL) -> dict[str, Any]:
    patience = {"connect_timeout": CONNECT_PATIENCE, "tcp_user_timeout": SILENCE_PATIENCE_MS}
    if url.get_dialect().driver != "psycopg":
        return patience
    # psycopg 3 prepares what it has run five times, for the session. Behind a pooler a session
    # is shared: others meet the statement, and the next transaction may not.
    return {**patience, "prepare_threshold": None}


def _begin_on_postgresql(lock_number: int, connection: Connection) -> None:
    connection.exec_driver_sql(BEGIN_ON_POSTGRESQL.format(lock_number=lock_number))


def _read_on_postgresql(connection: Connection) -> None:
    connection.exec_driver_sql(READ_ON_POSTGRESQL)


def _begin_on_sqlite(connection: Connection) -> None:
    # By itself the driver begins only before the first change, too late to keep writers apart.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _read_on_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _sqlite_engine(url: URL) -> Engine:
    path = file_of(url.render_as_string(hide_password=False))
    if path is not None:
        _create(path)
    engine = sa.create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": LOCK_PATIENCE},
    )
    sa.event.listen(engine, "connect", _on_sqlite_connect)
    return engine


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a file anew for each transaction: whether a process uses it may change in between."""
    # Without a write-ahead log no process uses the file. SQLite would create one for reading too,
    # as this user, and the file's owner could not write to it.
    unused = "" if Path(f"{path}-wal").exists() else "&immutable=1"
    url = f"{path.absolute().as_uri()}?mode=ro{unused}"
    return sqlite3.connect(url, timeout=LOCK_PATIENCE, uri=True)


def _create(path: Path) -> None:
    """Create a file that only its owner can read; SQLite gives its side files the same mode.

    One that exists is not even opened: to close it again would cancel the locks that another
    user's SQLite holds on it in this process.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _on_sqlite_connect(connection: Any, _: object) -> None:
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error:
        connection.close()
        raise
