"""The outbox's tables, their versions, and how an older version becomes the present one.

Speaks what SQLAlchemy 1.4 and 2.1 both know, for SQLite and PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.database import Database, StorageError

LOCK_NUMBER = 0x68747073
"""Any number that all masters agree on."""

metadata = sa.MetaData()


def _index(name: str, *columns: str, where: str | None = None) -> sa.Index:
    condition = None if where is None else sa.text(where)
    return sa.Index(
        f"http_status_push_{name}", *columns, sqlite_where=condition, postgresql_where=condition
    )


deliveries = sa.Table(
    "http_status_push_deliveries",
    metadata,
    # SQLite counts only a plain INTEGER key up by itself.
    sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("reporter", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("build", sa.BigInteger),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float(53), nullable=False),
    sa.Column("updated_at", sa.Float(53), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt", sa.Float(53)),
    sa.Column("outcome", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", sa.Float(53), nullable=False),
    _index("by_state", "reporter", "state", "sequence", "lane"),
    _index("by_lane", "reporter", "lane", "state", "sequence"),
    _index("by_subject", "reporter", "subject"),
    _index("by_age", "state", "updated_at"),
    _index(
        "by_retry",
        "reporter",
        "next_attempt",
        "sequence",
        where="next_attempt IS NOT NULL",
    ),
    _index("by_owner", "reporter", "owner", where="owner IS NOT NULL"),
    sqlite_autoincrement=True,
)

totals = sa.Table(
    "http_status_push_totals",
    metadata,
    sa.Column("reporter", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

versions = sa.Table(
    "http_status_push_schema", metadata, sa.Column("version", sa.Integer, primary_key=True)
)

UPGRADES: tuple[Callable[[Connection], None], ...] = ()
"""What leads from version 1 to 2, from 2 to 3, and so on."""

VERSION = 1 + len(UPGRADES)


class SchemaTooNewError(StorageError):
    """The outbox was written by a newer version of this package."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the outbox has schema version {found}, this version of buildbot-http-status-push "
            f"knows up to {VERSION}: install the newer version again, or set the outbox aside"
        )


def open_database(url: str) -> Database:
    """Open an outbox's database, and make what tables it lacks.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    return Database(url, prepare, LOCK_NUMBER)


def prepare(connection: Connection) -> None:
    """Create the tables, or bring them to the present version, in the running transaction.

    Raises:
        SchemaTooNewError: A newer version of this package has been here.
    """
    versions.create(connection, checkfirst=True)
    found = connection.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0
    if found > VERSION:
        raise SchemaTooNewError(found)
    if found == VERSION:
        return
    if found == 0:
        metadata.create_all(connection)
    else:
        for upgrade in UPGRADES[found - 1 :]:
            upgrade(connection)
    connection.execute(versions.insert().values(version=VERSION))


def count_on_from(connection: Connection, sequence: int) -> None:
    """Let a new SQLite outbox give out higher sequences than this one.

    Claims from the outbox that it stands in for then never name a delivery of its own.
    """
    counters = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    if connection.execute(counters.select()).first() is None:
        connection.execute(counters.insert().values(name=deliveries.name, seq=sequence))
