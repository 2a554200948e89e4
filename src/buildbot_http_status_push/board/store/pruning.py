"""Deletes what is older than wanted, but never what a builder's state still names.

Blocking: runs in the writer's thread, little by little, so that statuses need not wait long.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.model import Position
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import ids_in, newest_in
from buildbot_http_status_push.board.store.tables import (
    bodies,
    builders,
    builds,
    built,
    failures,
    lines,
    revisions,
    updates,
)
from buildbot_http_status_push.board.store.writing import Writing
from buildbot_http_status_push.board.store.writing_failures import Remembering
from buildbot_http_status_push.board.store.writing_test_results import drop_builds

AT_ONCE = 500
"""How many builds are deleted in one transaction."""
UPDATES_KEPT = 100_000
"""How many updates back the order of updates is kept."""


def builder_ids(connection: Connection) -> list[int]:
    """Return the numbers of all builders."""
    return list(connection.execute(sa.select(builders.c.id)).scalars())


def prune(
    connection: Connection, builder: int, before: float, now: float, main: str
) -> tuple[int, Position | None]:
    """Delete some of a builder's builds.

    Returns:
        How many were deleted, and where the order of updates stands if that changed the builder.
    """
    # A build that still runs after so long was lost with its master: it will never end.
    lost = _lost(connection, builder, before)
    kept, over = _kept(connection, builder, int(before), main)
    kept -= {row.id for row in lost}
    old = connection.execute(
        sa.select(builds.c.id, builds.c.line)
        .where(builds.c.builder == builder, builds.c.started_at < int(before))
        .where(builds.c.id.not_in(sorted(kept)))
        .order_by(builds.c.started_at)
        .limit(AT_ONCE)
    ).all()
    _delete(connection, [row.id for row in old])
    # Nobody saw that a branch's builds are gone; what runs no longer is seen.
    changed = [*lost, *(row for row in old if row.line in over)]
    if not changed:
        return len(old), None
    touched = {row.line for row in changed}
    return len(old), Writing(connection, {}).settle(builder, touched, changed[0].id, now)


def _kept(
    connection: Connection, builder: int, before: int, main: str
) -> tuple[set[int], frozenset[str]]:
    """Return the builds that the states of a builder's branches name, and which are over.

    A branch is over once all its builds are too old, unless it is what a builder is shown by.
    """
    rows = connection.execute(
        sa.select(lines).where(lines.c.builder == builder).order_by(lines.c.builds.desc())
    ).all()
    shown = {main, rows[0].line} if rows else {main}
    newest = {row.line: newest_in(row.state) for row in rows}
    over = frozenset(line for line, at in newest.items() if at < before and line not in shown)
    return {each for row in rows if row.line not in over for each in ids_in(row.state)}, over


def _lost(connection: Connection, builder: int, before: float) -> list[Any]:
    statement = sa.select(builds.c.id, builds.c.line).where(
        builds.c.builder == builder,
        builds.c.complete_at.is_(None),
        builds.c.started_at < int(before),
    )
    return list(connection.execute(statement.limit(AT_ONCE)))


def _delete(connection: Connection, ids: list[int]) -> None:
    of_builds = built.c.build.in_(ids)
    revisions_then = connection.execute(sa.select(built.c.revision).where(of_builds).distinct())
    touched = sorted(revisions_then.scalars())
    failed = connection.execute(
        sa.select(failures.c.signature).where(failures.c.build.in_(ids)).distinct()
    )
    signatures = sorted(failed.scalars())
    for statement in (
        built.delete().where(of_builds),
        bodies.delete().where(bodies.c.build.in_(ids)),
        failures.delete().where(failures.c.build.in_(ids)),
        builds.delete().where(builds.c.id.in_(ids)),
    ):
        connection.execute(statement)
    drop_builds(connection, ids)
    left = sa.exists().where(built.c.revision == revisions.c.id)
    connection.execute(revisions.delete().where(revisions.c.id.in_(touched), ~left))
    sequence = sql.POSITION.first(connection, {}).sequence
    Remembering(connection).settle_signatures(signatures, sequence)


def prune_updates(connection: Connection) -> None:
    """Delete updates that no browser asks for any more."""
    latest = connection.execute(sa.select(sa.func.max(updates.c.sequence))).scalar() or 0
    connection.execute(updates.delete().where(updates.c.sequence <= latest - UPDATES_KEPT))
