"""Opens the board's database, and brings the tables of older versions up to date. Blocking."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import BodyError, Status, read
from buildbot_http_status_push.board.store.rows import body_of, new_row
from buildbot_http_status_push.board.store.tables import (
    CLUSTER_TABLES,
    INCIDENT_TABLES,
    TEST_TABLES,
    bodies,
    builds,
    built,
    failures,
    lines,
    metadata,
    position,
    revisions,
    signatures,
    signing,
    source_changes,
    versions,
)
from buildbot_http_status_push.board.store.writing import Writing
from buildbot_http_status_push.board.store.writing_failures import sign_anew
from buildbot_http_status_push.database import Database, Schema, Snapshots

AT_ONCE = 500
"""How many builds are read at once."""


def _keep_branches(connection: Connection) -> None:
    """Version 2: what builds say of their builder is kept by branch, and all sources."""
    for index in ("build_by_revision", "conclusive_build", "good_build", "bad_build"):
        connection.exec_driver_sql(f"DROP INDEX board_{index}")
    # The row of a revision had no codebase, and a build had one revision: its column stays
    # without use, because SQLite before 3.35 can't drop it.
    connection.exec_driver_sql("DROP TABLE board_revisions")
    for column in (
        "line TEXT NOT NULL DEFAULT ''",
        "judges INTEGER NOT NULL DEFAULT 1",
        "sources TEXT NOT NULL DEFAULT '[]'",
        "has_several INTEGER NOT NULL DEFAULT 0",
        "step TEXT",
    ):
        connection.exec_driver_sql(f"ALTER TABLE board_builds ADD COLUMN {column}")
    connection.exec_driver_sql("ALTER TABLE board_masters ADD COLUMN title TEXT")
    connection.exec_driver_sql("UPDATE board_builds SET line = COALESCE(branch, '')")
    for table in (lines, revisions, built):
        table.create(connection)
    for missing in builds.indexes:
        missing.create(connection, checkfirst=True)


def _keep_failures(connection: Connection) -> None:
    """Version 3: why builds failed is kept."""
    for table in (failures, signatures, signing):
        table.create(connection)


def _keep_tests(connection: Connection) -> None:
    """Version 4: which tests failed is kept."""
    for table in TEST_TABLES:
        table.create(connection)


def _index_failures(connection: Connection) -> None:
    """Version 5: failed builds have indexes; what the table holds is worked out anew."""
    failures.drop(connection)
    failures.create(connection)


def _keep_changes(connection: Connection) -> None:
    """Version 6: changes are kept by their own revision, whether that was built or not."""
    source_changes.create(connection)


def _keep_cluster(connection: Connection) -> None:
    """Version 7: requests, workers and builders are kept."""
    for table in CLUSTER_TABLES:
        table.create(connection)


def _keep_incidents(connection: Connection) -> None:
    """Version 8: incidents are kept."""
    for table in INCIDENT_TABLES:
        table.create(connection)


def _index_lines(connection: Connection) -> None:
    """Version 9: lines of several branches have an index."""
    for missing in lines.indexes:
        missing.create(connection, checkfirst=True)


SCHEMA = Schema(
    "the board's database",
    metadata,
    versions,
    (
        _keep_branches,
        _keep_failures,
        _keep_tests,
        _index_failures,
        _keep_changes,
        _keep_cluster,
        _keep_incidents,
        _index_lines,
    ),
)

LOCK_NUMBER = 0x626F617264
"""Any number that all boards agree on."""


def prepare(connection: Connection) -> None:
    """Make the tables or bring them up to date, and begin the order of updates where it is new.

    What is worked out of bodies is worked out again where a table is of an older version.

    Raises:
        StorageError: A newer version of this package has been here.
    """
    versions.create(connection, checkfirst=True)
    found = connection.execute(sa.select(sa.func.max(versions.c.version))).scalar() or 0
    SCHEMA.prepare(connection)
    if 0 < found < SCHEMA.version:
        _work_out(connection)
    sign_anew(connection)
    if connection.execute(sa.select(position)).first() is None:
        connection.execute(position.insert().values(epoch=secrets.token_hex(8), sequence=0))


def _work_out(connection: Connection) -> None:
    """Work out anew what the columns of builds, revisions and states of builders say."""
    for table in (lines, built, revisions, source_changes, failures, signatures, *TEST_TABLES):
        connection.execute(table.delete())
    writing = Writing(connection, {})
    for build, master, builder, status in _statuses(connection):
        values = {name: value for name, value in new_row(status).items() if name in builds.c}
        connection.execute(builds.update().where(builds.c.id == build).values(values))
        writing.link(build, master, status)
        writing.remembering.remember(build, builder, status)
        writing.keeping.remember(build, builder, status)
    writing.settle_all()


def _statuses(connection: Connection) -> Iterator[tuple[int, int, int, Status]]:
    last = 0
    while rows := _bodies_after(connection, last):
        for row in rows:
            try:
                status = read(body_of(row.body))
            except BodyError:  # it was taken by an older version: its row stays as it is
                continue
            if status is not None:
                yield row.build, row.master, row.builder, status
        last = rows[-1].build


def _bodies_after(connection: Connection, last: int) -> list[Any]:
    both = sa.select(bodies, builds.c.master, builds.c.builder).join(
        builds, builds.c.id == bodies.c.build
    )
    statement = both.where(bodies.c.build > last).order_by(bodies.c.build)
    return list(connection.execute(statement.limit(AT_ONCE)))


def open_database(url: str) -> Database:
    """Open a board's database for writing, and make what tables it lacks.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    return Database(url, prepare, LOCK_NUMBER)


def open_snapshots(url: str) -> Snapshots:
    """Open a board's database for reading.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    # It may have been deleted meanwhile: what is not there can't be read.
    open_database(url).close()
    return Snapshots(url)
