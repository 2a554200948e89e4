"""Deletes what is older than wanted, but never what a builder's state still names.

Blocking: runs in the writer's thread, little by little, so that statuses need not wait long.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.model import Position
from buildbot_http_status_push.board.store.rows import ids_in
from buildbot_http_status_push.board.store.tables import (
    bodies,
    builders,
    builds,
    revisions,
    updates,
)
from buildbot_http_status_push.board.store.writing import Writing

AT_ONCE = 500
"""How many builds are deleted in one transaction."""
UPDATES_KEPT = 100_000
"""How many updates back the order of updates is kept."""


def builder_ids(connection: Connection) -> list[int]:
    """Return the numbers of all builders."""
    return list(connection.execute(sa.select(builders.c.id)).scalars())


def prune(
    connection: Connection, builder: int, before: float, now: float
) -> tuple[int, Position | None]:
    """Delete some of a builder's builds.

    Args:
        connection: A transaction's connection.
        builder: The builder.
        before: When a build must have begun to be deleted, in seconds since the epoch.
        now: The time.

    Returns:
        How many were deleted, and where the order of updates stands if that changed the builder.
    """
    state = connection.execute(
        sa.select(builders.c.state).where(builders.c.id == builder)
    ).scalar_one()
    # A build that still runs after so long was lost with its master: it will never end.
    lost = _lost(connection, builder, before)
    kept = frozenset(ids_in(state)) - frozenset(lost)
    old = connection.execute(
        sa.select(builds.c.id, builds.c.revision_id)
        .where(builds.c.builder == builder, builds.c.started_at < int(before))
        .where(builds.c.id.not_in(sorted(kept)))
        .order_by(builds.c.started_at)
        .limit(AT_ONCE)
    ).all()
    _delete(connection, [row.id for row in old])
    _delete_revisions(connection, {row.revision_id for row in old} - {None})
    moved = Writing(connection, {}).settle(builder, lost[0], now) if lost else None
    return len(old), moved


def _lost(connection: Connection, builder: int, before: float) -> list[int]:
    statement = sa.select(builds.c.id).where(
        builds.c.builder == builder,
        builds.c.complete_at.is_(None),
        builds.c.started_at < int(before),
    )
    return list(connection.execute(statement.limit(AT_ONCE)).scalars())


def _delete(connection: Connection, ids: list[int]) -> None:
    connection.execute(bodies.delete().where(bodies.c.build.in_(ids)))
    connection.execute(builds.delete().where(builds.c.id.in_(ids)))


def _delete_revisions(connection: Connection, ids: set[Any]) -> None:
    left = sa.exists().where(builds.c.revision_id == revisions.c.id)
    connection.execute(revisions.delete().where(revisions.c.id.in_(sorted(ids)), ~left))


def prune_updates(connection: Connection) -> None:
    """Delete updates that no browser asks for any more."""
    latest = connection.execute(sa.select(sa.func.max(updates.c.sequence))).scalar() or 0
    connection.execute(updates.delete().where(updates.c.sequence <= latest - UPDATES_KEPT))
