"""The outbox's tables, their versions, and how an older version becomes the present one.

Speaks what SQLAlchemy 1.4 and 2.1 both know, for SQLite and PostgreSQL.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.database import Database, Schema

LOCK_NUMBER = 0x68747073
"""Any number that all masters agree on."""

IS_WAITING = "state = 'waiting'"
"""In the very words of an index: databases use that index only for what is asked in these."""

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
    sa.Column("group", sa.Text, nullable=False, server_default=""),
    _index("by_state", "reporter", "state", "sequence", "lane"),
    _index("by_lane", "reporter", "lane", "state", "sequence"),
    _index("by_subject", "reporter", "subject"),
    _index("by_age", "state", "updated_at"),
    # The state is in it for SQLite's planner, which else takes by_state and reads it through.
    _index("by_group", "reporter", "group", "state", "sequence", "lane", where=IS_WAITING),
    _index(
        "by_retry",
        *("reporter", "group", "next_attempt", "sequence"),
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

backfills = sa.Table(
    "http_status_push_backfills",
    metadata,
    sa.Column("reporter", sa.Text, primary_key=True),
    sa.Column("since", sa.Float(53), nullable=False),
    sa.Column("builder", sa.Text),
    sa.Column("only_count", sa.Boolean, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger),
)

versions = sa.Table(
    "http_status_push_schema", metadata, sa.Column("version", sa.Integer, primary_key=True)
)


def _add_groups(connection: Connection) -> None:
    """Give each delivery a group; those that may still be sent the one that their title names."""
    connection.execute(
        sa.text(f"ALTER TABLE {deliveries.name} ADD COLUMN \"group\" TEXT NOT NULL DEFAULT ''")
    )
    named = deliveries.update().where(deliveries.c.state.in_(("waiting", "retrying", "dead")))
    # A title is such as "build linux#4".
    connection.execute(named.values(group=sa.func.rtrim(deliveries.c.title, "0123456789")))
    connection.execute(sa.text("DROP INDEX http_status_push_by_retry"))
    for index in sorted(deliveries.indexes, key=lambda each: str(each.name)):
        if "group" in index.columns:
            index.create(connection)


UPGRADES = (lambda connection: backfills.create(connection), _add_groups)
SCHEMA = Schema("the outbox", metadata, versions, UPGRADES)


def open_database(url: str) -> Database:
    """Open an outbox's database, and make what tables it lacks.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    return Database(url, SCHEMA.prepare, LOCK_NUMBER)


def version_of(connection: Connection) -> int:
    """Return the version of the tables, 0 where there are none."""
    if not sa.inspect(connection).has_table(versions.name):
        return 0
    return connection.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0


def count_on_from(connection: Connection, sequence: int) -> None:
    """Let a new SQLite outbox give out higher sequences than this one.

    Claims from the outbox that it replaces then never name a delivery of its own.
    """
    counters = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))
    if connection.execute(counters.select()).first() is None:
        connection.execute(counters.insert().values(name=deliveries.name, seq=sequence))
