"""The SQL that the board runs again and again, each statement on an index.

Built once, with parameters: SQLAlchemy takes longer to build a statement than to run it. What each
status needs is prepared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from buildbot_http_status_push.board.model import RECENT, Filter
from buildbot_http_status_push.board.store.merging import LOOKED_AT
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS
from buildbot_http_status_push.board.store.tables import (
    RUNNING,
    among,
    bodies,
    builders,
    builds,
    masters,
    position,
    revisions,
    updates,
)
from buildbot_http_status_push.prepared import Prepared
from buildbot_http_status_push.results import BAD, CONCLUSIVE, GOOD

MOST_RUNNING = 100
"""How many running builds of one builder are shown."""

CHANNEL = "board_updates"
"""Where boards on one PostgreSQL server tell each other that something was committed."""
NOTIFY = Prepared(lambda: sa.select(sa.func.pg_notify(CHANNEL, "")))

FIRST_PLACE = (-1, -1, -1)
"""Before all builds."""
LAST_PLACE = (2**62, 2**62, 2**62)
"""After all builds."""

_b = builds.c
_given = sa.bindparam
_order = (_b.started_at, _b.number, _b.id)
_newest_first = tuple(each.desc() for each in _order)
_place = sa.tuple_(*_order)
_given_place = sa.tuple_(_given("started_at"), _given("number"), _given("id"))


def at(place: Iterable[int]) -> dict[str, int]:
    """Return the parameters of queries that begin or end at a place in the order of builds."""
    return dict(zip(("started_at", "number", "id"), place, strict=True))


_of_builder = _b.builder == _given("of_builder")

POSITION = Prepared(lambda: sa.select(position.c.epoch, position.c.sequence))
MOVE = Prepared(lambda: position.update().values(sequence=_given("to_sequence")))

MASTERS = sa.select(masters).order_by(masters.c.name)
MASTER_BY_NAME = Prepared(
    lambda: sa.select(masters.c.id).where(masters.c.name == _given("of_name"))
)
INSERT_MASTER = Prepared(masters.insert)
_the_master = masters.update().where(masters.c.id == _given("of_id"))
RENAME_MASTER = Prepared(lambda: _the_master.values(name=_given("to_name")))
HEARD = Prepared(
    lambda: _the_master.where(masters.c.heard_at < _given("at")).values(heard_at=_given("at"))
)

BUILDERS_AFTER = sa.select(builders).where(builders.c.sequence > _given("after"))
BUILDER_BY_NAME = Prepared(
    lambda: sa.select(builders.c.id).where(
        builders.c.master == _given("of_master"), builders.c.name == _given("of_name")
    )
)
INSERT_BUILDER = Prepared(builders.insert)
SETTLE_BUILDER = Prepared(
    lambda: (
        builders.update()
        .where(builders.c.id == _given("of_builder"))
        .values(state=_given("to_state"), sequence=_given("to_sequence"))
    )
)

KNOWN = Prepared(
    lambda: sa.select(
        _b.id, _b.builder, _b.revision_id, _b.complete_at, _b.results, _b.size, _b.digest
    ).where(
        _b.master == _given("of_master"),
        _b.buildid == _given("of_buildid"),
        _b.started_at == _given("of_start"),
    )
)
INSERT_BUILD = Prepared(builds.insert)

# What identifies a build never changes.
_KEPT = frozenset({"id", "master", "buildid", "started_at"})
_REPLACED = [name for name in _b.keys() if name not in _KEPT]  # noqa: SIM118  a column collection
# The columns' own names are taken by what an UPDATE sets.
REPLACE = Prepared(
    lambda: (
        builds.update()
        .where(_b.id == _given("of_build"))
        .values({name: _given(f"to_{name}") for name in _REPLACED})
    )
)
REPLACE_BODY = Prepared(
    lambda: (
        bodies.update().where(bodies.c.build == _given("of_build")).values(body=_given("to_body"))
    )
)


def to(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of ``REPLACE`` for a build's row."""
    return {f"to_{name}": row[name] for name in _REPLACED}


_builds = sa.select(*BUILD_COLUMNS)
_newest = _builds.where(_of_builder).order_by(*_newest_first)
# All that say something of a builder, but for the first bad one of a long row; a build may come
# more than once.
TELLING_BUILDS = Prepared(
    lambda: sa.union_all(
        *(
            sa.select(some.subquery())
            for some in (
                _newest.limit(RECENT),
                _newest.where(sa.text(RUNNING)).limit(MOST_RUNNING),
                _newest.where(sa.text(among(CONCLUSIVE))).limit(LOOKED_AT),
                _newest.where(sa.text(among(GOOD))).limit(LOOKED_AT),
            )
        )
    )
)
FIRST_BAD_BUILD = Prepared(
    lambda: (
        _builds.where(_of_builder, sa.text(among(BAD)), _place > _given_place)
        .order_by(*_order)
        .limit(1)
    )
)
EXTRA = Prepared(lambda: sa.select(_b.about_builder, _b.changes).where(_b.id == _given("of_build")))

REVISION_BY_NAME = Prepared(
    lambda: sa.select(revisions.c.id).where(
        revisions.c.revision == _given("of_revision"),
        revisions.c.branch == _given("of_branch"),
        revisions.c.project == _given("of_project"),
    )
)
INSERT_REVISION = Prepared(revisions.insert)
_the_revision = revisions.c.id == _given("of_id")
BLAME = Prepared(
    lambda: (
        revisions.update()
        .where(_the_revision)
        .values(author=_given("to_author"), comment=_given("to_comment"))
    )
)
FIRST_OF_REVISION = Prepared(
    lambda: sa.select(sa.func.min(_b.started_at)).where(_b.revision_id == _given("of_id"))
)
SETTLE_REVISION = Prepared(
    lambda: revisions.update().where(_the_revision).values(first_at=_given("to_first_at"))
)
DROP_REVISION = Prepared(lambda: revisions.delete().where(_the_revision))

RESULTS = sa.select(_b.results, sa.func.count()).group_by(_b.results)

BUILD = _builds.where(_b.id == _given("of_build"))
BODY = sa.select(bodies.c.body).where(bodies.c.build == _given("of_build"))
PLACE = sa.select(*_order).where(_b.id == _given("of_build"))
PARENT_OF = sa.select(_b.master, _b.parent, _b.parent_started_at).where(_b.id == _given("of_build"))
PARENT = (
    _builds.where(_b.master == _given("of_master"), _b.buildid == _given("of_parent"))
    .order_by(_b.started_at.desc())
    .limit(20)
)
TRIGGERED = (
    _builds.where(
        _b.master == _given("of_master"),
        _b.parent == _given("of_parent"),
        sa.or_(_b.parent_started_at.is_(None), _b.parent_started_at == _given("of_start")),
    )
    .order_by(*_order)
    .limit(100)
)
SAME_REQUEST = (
    _builds.where(
        _b.master == _given("of_master"),
        _b.request == _given("of_request"),
        _b.builder == _given("of_builder"),
        _b.id != _given("of_build"),
    )
    .order_by(*_order)
    .limit(100)
)

OLDEST_UPDATE = sa.select(sa.func.min(updates.c.sequence))
UPDATES = (
    sa.select(updates)
    .where(updates.c.sequence > _given("after"))
    .order_by(updates.c.sequence)
    .limit(_given("most"))
)


def builds_before(chosen: Filter, way: Any) -> Any:
    """Return the query of builds before a place, newest first.

    Args:
        chosen: What must fit, as far as it is about single builds.
        way: A condition that an index begins with, which gives the builds in order.
    """
    wanted = [
        getattr(_b, name) == getattr(chosen, name)
        for name in ("branch", "worker", "owner")
        if getattr(chosen, name)
    ]
    if chosen.results:
        wanted.append(_b.results.in_(sorted(chosen.results)))
    return _builds.where(way, *wanted, _place < _given_place).order_by(*_newest_first)


OF_REVISION = (
    _builds.where(_b.revision_id == _given("of_revision")).order_by(*_newest_first).limit(1000)
)


def revisions_of(chosen: Filter) -> Any:
    """Return the query of revisions, newest first.

    Args:
        chosen: What must fit; what is about builds is not looked at.
    """
    wanted = [revisions.c.branch == chosen.branch] if chosen.branch else []
    return (
        sa.select(revisions)
        # A condition lets the index be searched even where all are wanted.
        .where(*wanted, revisions.c.first_at < LAST_PLACE[0])
        .order_by(revisions.c.first_at.desc(), revisions.c.id.desc())
    )
