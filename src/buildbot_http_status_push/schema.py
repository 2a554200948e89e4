"""The outbox's tables, their versions, and how an older version becomes the present one.

Speaks what SQLAlchemy 1.4 and 2.1 both know, for SQLite and PostgreSQL.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

VERSION = 1
LOCK = 0x68747073  # any number that all masters agree on

metadata = sa.MetaData()

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
    sa.Index("http_status_push_by_state", "reporter", "state", "sequence"),
    sa.Index("http_status_push_by_lane", "reporter", "lane", "state", "sequence"),
    sa.Index("http_status_push_by_subject", "reporter", "subject"),
    sa.Index("http_status_push_by_age", "state", "updated_at"),
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


class SchemaTooNewError(Exception):
    """The outbox was written by a newer version of this package."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"the outbox has schema version {found}, this version of buildbot-http-status-push "
            f"knows up to {VERSION}: install the newer version again, or set the outbox aside"
        )


def lock(connection: Connection) -> None:
    """Let one connection at a time go on, until its transaction ends.

    SQLite's transactions begin with such a lock. On PostgreSQL, even CREATE TABLE IF NOT EXISTS
    fails when two connections run it at once.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))


def prepare(connection: Connection) -> None:
    """Create the tables, or bring them to the present version, in the running transaction.

    Raises:
        SchemaTooNewError: A newer version of this package has been here.
    """
    lock(connection)
    metadata.tables[versions.name].create(connection, checkfirst=True)
    found = connection.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0
    if found > VERSION:
        raise SchemaTooNewError(found)
    for upgrade in UPGRADES[found:]:
        upgrade(connection)
    if found < VERSION:
        connection.execute(versions.insert().values(version=VERSION))


def _create(connection: Connection) -> None:
    metadata.create_all(connection)


UPGRADES: tuple[Any, ...] = (_create,)
"""What leads from each version to the next one; the first makes an outbox of nothing."""
