"""Opens the database that an outbox lives in, and runs transactions on it.

Blocking: whoever calls this does so off the reactor's thread.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Connection, Engine, make_url
from sqlalchemy.pool import StaticPool

from buildbot_http_status_push import schema

MEMORY = "sqlite://"
LOCK_PATIENCE = 2.0
CONNECT_PATIENCE = 3

Operation: TypeAlias = Callable[[Connection], Any]

FOREIGN = (exc.SQLAlchemyError, sqlite3.Error, OSError, ImportError)


class StorageError(Exception):
    """The outbox can't be read or written now; the text says why."""


class CorruptStorageError(StorageError):
    """The outbox's file holds no database, or a broken one."""


class Database:
    """A database with the outbox's tables.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database; missing tables are made.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = _engine(url)
            self.transact([schema.prepare])
        except FOREIGN as trouble:
            raise explain(trouble) from trouble
        except schema.SchemaTooNewError as trouble:
            self.close()
            raise StorageError(str(trouble)) from trouble

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run operations in one transaction: all of them count, or none.

        Returns:
            What each operation returned.

        Raises:
            StorageError: The transaction failed.
        """
        try:
            with self._engine.begin() as connection:
                return [operation(connection) for operation in operations]
        except FOREIGN as trouble:
            raise explain(trouble) from trouble

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def explain(trouble: Exception) -> StorageError:
    """Turn a foreign exception into one of ours, in words."""
    original = getattr(trouble, "orig", None) or trouble
    words = f"{type(original).__name__}: {original}".splitlines()[0]
    # Its subclasses tell of other trouble: a locked file, a full disk.
    if type(original) is sqlite3.DatabaseError:
        return CorruptStorageError(words)
    return StorageError(words)


def file_url(path: str | os.PathLike[str]) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{Path(path).absolute()}"


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for another database."""
    parts = make_url(url)
    is_file = parts.get_backend_name() == "sqlite" and parts.database not in (None, "", ":memory:")
    return Path(str(parts.database)) if is_file else None


def _engine(url: str) -> Engine:
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    patience = {"connect_timeout": CONNECT_PATIENCE}
    return sa.create_engine(parts, pool_size=1, pool_pre_ping=True, connect_args=patience)


def _sqlite_engine(url: str) -> Engine:
    path = file_of(url)
    if path is not None:
        # SQLite gives its side files the mode of the database file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = sa.create_engine(
        url,
        poolclass=StaticPool,
        connect_args={"check_same_thread": False, "timeout": LOCK_PATIENCE},
    )
    sa.event.listen(engine, "connect", _on_connect)
    sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _: object) -> None:
    # The driver's own transactions begin too late to keep two writers apart: ours begin by hand.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _on_begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def resolve(url: str, folder: Path) -> str:
    """Return the URL with a relative SQLite file taken from a folder."""
    path = file_of(url)
    return url if path is None or path.is_absolute() else file_url(folder / path)
