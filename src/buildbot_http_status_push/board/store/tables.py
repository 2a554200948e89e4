"""The board's tables, their versions, and the token that names the order of updates.

Speaks what SQLAlchemy 1.4 and 2.1 both know, for SQLite and PostgreSQL. All names begin with
``board_``, so that the tables may stand in a database that holds others.
"""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.database import Database, Schema, Snapshots
from buildbot_http_status_push.results import BAD, CONCLUSIVE, GOOD

metadata = sa.MetaData()

# SQLite counts only a plain INTEGER key up by itself.
_Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _index(name: str, *columns: str, where: str | None = None, unique: bool = False) -> sa.Index:
    condition = None if where is None else sa.text(where)
    return sa.Index(
        f"board_{name}",
        *columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def among(results: frozenset[int]) -> str:
    """Return the condition that a result is one of some, as the indexes have it.

    The planner takes a partial index only where a query has the same condition, word for word.
    """
    return f"results IN ({', '.join(map(str, sorted(results)))})"


RUNNING = "complete_at IS NULL"

position = sa.Table(
    "board_position",
    metadata,
    sa.Column("epoch", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)

masters = sa.Table(
    "board_masters",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("heard_at", sa.Float(53), nullable=False),
)

builders = sa.Table(
    "board_builders",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    # What its builds say of it, worked out at each write: a page of all builders is one query.
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    _index("builder_by_name", "master", "name", unique=True),
    _index("builder_by_sequence", "sequence"),
)

builds = sa.Table(
    "board_builds",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    sa.Column("master", sa.BigInteger, nullable=False),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("buildid", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("request", sa.BigInteger),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("complete_at", sa.BigInteger),
    sa.Column("results", sa.Integer),
    sa.Column("state_string", sa.Text, nullable=False),
    sa.Column("submitted_at", sa.BigInteger),
    sa.Column("worker", sa.Text),
    sa.Column("branch", sa.Text),
    sa.Column("revision", sa.Text),
    sa.Column("project", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("revision_id", sa.BigInteger),
    sa.Column("parent", sa.BigInteger),
    sa.Column("parent_started_at", sa.BigInteger),
    sa.Column("about_builder", sa.Text, nullable=False),
    sa.Column("changes", sa.Text),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    _index("build_by_identity", "master", "buildid", "started_at", unique=True),
    _index("build_by_start", "started_at", "number", "id"),
    _index("build_by_builder", "builder", "started_at", "number", "id"),
    _index("build_by_branch", "branch", "started_at", "number", "id"),
    _index("build_by_worker", "worker", "started_at", "number", "id"),
    _index("build_by_owner", "owner", "started_at", "number", "id"),
    _index("build_by_results", "results", "started_at", "number", "id"),
    _index("build_by_revision", "revision_id", "started_at", "number", "id"),
    _index("build_by_request", "master", "request"),
    _index("build_by_parent", "master", "parent"),
    _index("running_build", "builder", "started_at", "number", "id", where=RUNNING),
    *(
        _index(f"{name}_build", "builder", "started_at", "number", "id", where=among(results))
        for name, results in (("conclusive", CONCLUSIVE), ("good", GOOD), ("bad", BAD))
    ),
    # Links are permanent: the number of a build that was pruned is not given to another.
    sqlite_autoincrement=True,
)

bodies = sa.Table(
    "board_bodies",
    metadata,
    sa.Column("build", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

revisions = sa.Table(
    "board_revisions",
    metadata,
    sa.Column("id", _Key, primary_key=True),
    # Empty where there is none: NULL is equal to nothing, and would come twice.
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("branch", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("author", sa.Text),
    sa.Column("comment", sa.Text),
    _index("revision_by_name", "revision", "branch", "project", unique=True),
    _index("revision_by_start", "first_at", "id"),
    _index("revision_by_branch", "branch", "first_at", "id"),
)

updates = sa.Table(
    "board_updates",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("build", sa.BigInteger, nullable=False),
    sa.Column("builder", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)

versions = sa.Table("board_schema", metadata, sa.Column("version", sa.Integer, primary_key=True))

SCHEMA = Schema("the board's database", metadata, versions)

LOCK_NUMBER = 0x626F617264
"""Any number that all boards agree on."""


def prepare(connection: Connection) -> None:
    """Make the tables or bring them up to date, and begin the order of updates where it is new.

    Raises:
        StorageError: A newer version of this package has been here.
    """
    SCHEMA.prepare(connection)
    if connection.execute(sa.select(position)).first() is None:
        connection.execute(position.insert().values(epoch=secrets.token_hex(8), sequence=0))


def open_database(url: str) -> Database:
    """Open a board's database for writing, and make what tables it lacks.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    return Database(url, prepare, LOCK_NUMBER)


def open_snapshots(url: str) -> Snapshots:
    """Open a board's database for reading.

    Args:
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    # It may have been deleted meanwhile: what is not there can't be read.
    open_database(url).close()
    return Snapshots(url)
