"""The SQL that the board runs again and again, each statement on an index.

Built once, with parameters: SQLAlchemy takes longer to build a statement than to run it. What each
status needs is prepared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from buildbot_http_status_push.board.model import BAD, CONCLUSIVE, GOOD, RECENT, Filter
from buildbot_http_status_push.board.store.merging import LOOKED_AT
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS
from buildbot_http_status_push.board.store.tables import (
    RUNNING,
    SEVERAL_BRANCHES,
    bodies,
    builders,
    builds,
    built,
    judging,
    lines,
    masters,
    position,
    revisions,
    updates,
)
from buildbot_http_status_push.prepared_statements import Prepared

MOST_RUNNING = 100
"""How many running builds of one builder are shown."""

CHANNEL = "board_updates"
"""The channel on which boards of one PostgreSQL server notify each other of commits."""
NOTIFY = Prepared(lambda: sa.select(sa.func.pg_notify(CHANNEL, "")))

FIRST_PLACE = (-1, -1, -1)
"""Before all builds."""
LAST_PLACE = (2**62, 2**62, 2**62)
"""After all builds."""

_b = builds.c
_given = sa.bindparam
_order = (_b.started_at, _b.number, _b.id)
newest_first = tuple(each.desc() for each in _order)
_place = sa.tuple_(*_order)
given_place = sa.tuple_(_given("started_at"), _given("number"), _given("id"))


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
TITLE_MASTER = Prepared(lambda: _the_master.values(title=_given("to_title")))
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
        _b.id, _b.number, _b.builder, _b.line, _b.complete_at, _b.results, _b.size, _b.digest
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
_newest = _builds.where(_of_builder).order_by(*newest_first)
_of_line = _newest.where(_b.line == _given("of_line"))
NEWEST_BUILD = Prepared(lambda: _newest.limit(1))
RUNNING_BUILDS = Prepared(lambda: _newest.where(sa.text(RUNNING)).limit(MOST_RUNNING))
# All that say something of a builder's branch, but for the first bad ones of a long row.
TELLING_BUILDS = Prepared(
    lambda: _builds.where(
        _b.id.in_(
            sa.union(
                *(
                    sa.select(some.with_only_columns(_b.id).subquery())
                    for some in (
                        _of_line.limit(RECENT),
                        _of_line.where(sa.text(judging(CONCLUSIVE))).limit(LOOKED_AT),
                        _of_line.where(sa.text(judging(GOOD))).limit(LOOKED_AT),
                    )
                )
            )
        )
    )
)
# Some of them may be of older code than was judged before.
FIRST_BAD_BUILDS = Prepared(
    lambda: (
        _builds.where(
            _of_builder,
            _b.line == _given("of_line"),
            sa.text(judging(BAD)),
            _place > given_place,
        )
        .order_by(*_order)
        .limit(LOOKED_AT)
    )
)

MOST_COUNTED = 1000
"""Up to how many builds of a branch are counted, to know which has most."""
MOST_BRANCHES = 20
"""How many branches of a builder are named."""
COUNT_OF_LINE = Prepared(
    lambda: sa.select(sa.func.count()).select_from(
        sa.select(_b.id)
        .where(_of_builder, _b.line == _given("of_line"))
        .limit(MOST_COUNTED)
        .subquery()
    )
)
_the_line = sa.and_(lines.c.builder == _given("of_builder"), lines.c.line == _given("of_line"))
SETTLE_LINE = Prepared(
    lambda: (
        lines.update().where(_the_line).values(state=_given("to_state"), builds=_given("to_builds"))
    )
)
INSERT_LINE = Prepared(lines.insert)
DROP_LINE = Prepared(lambda: lines.delete().where(_the_line))
STATE_OF_LINE = Prepared(lambda: sa.select(lines.c.state).where(_the_line))
BRANCHES_OF_BUILDER = Prepared(
    lambda: (
        sa.select(lines.c.line, lines.c.builds)
        .where(lines.c.builder == _given("of_builder"))
        .order_by(lines.c.builds.desc(), lines.c.line)
        .limit(MOST_BRANCHES)
    )
)
LINES_OF_BUILDER = Prepared(lambda: sa.select(_b.line).where(_of_builder).distinct())
LINES_OF_BRANCH = Prepared(
    # Each part has an index of its own, which an OR and an order would not use.
    lambda: sa.union_all(
        sa.select(lines).where(lines.c.line == _given("of_branch")),
        # Of several codebases that differ; the caller looks closer.
        sa.select(lines).where(
            sa.text(SEVERAL_BRANCHES), lines.c.line.like(_given("like_branch"), escape="\\")
        ),
    )
)
EXTRA = Prepared(lambda: sa.select(_b.about_builder, _b.changes).where(_b.id == _given("of_build")))

REVISION_BY_NAME = Prepared(
    lambda: sa.select(revisions.c.id).where(
        revisions.c.revision == _given("of_revision"),
        revisions.c.branch == _given("of_branch"),
        revisions.c.project == _given("of_project"),
        revisions.c.codebase == _given("of_codebase"),
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
    lambda: (
        sa.select(sa.func.min(_b.started_at))
        .select_from(built.join(builds, _b.id == built.c.build))
        .where(built.c.revision == _given("of_id"))
    )
)
REVISIONS_OF_BUILD = Prepared(
    lambda: sa.select(built.c.revision).where(built.c.build == _given("of_build"))
)
LINK = Prepared(built.insert)
UNLINK = Prepared(lambda: built.delete().where(built.c.build == _given("of_build")))
SETTLE_REVISION = Prepared(
    lambda: revisions.update().where(_the_revision).values(first_at=_given("to_first_at"))
)
DROP_REVISION = Prepared(lambda: revisions.delete().where(_the_revision))

RESULTS = sa.select(_b.results, sa.func.count()).group_by(_b.results)

BUILDS_BY_ID = Prepared(lambda **names: _builds.where(_b.id.in_(names["some"])))
BUILD = _builds.where(_b.id == _given("of_build"))
BODY = sa.select(bodies.c.body).where(bodies.c.build == _given("of_build"))
BODY_OF = Prepared(lambda: BODY)
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
# The reader chooses the builder's and sorts them: with either in the statement, SQLite would go
# through all builds of the builder.
SAME_REQUEST = _builds.where(
    _b.master == _given("of_master"), _b.request == _given("of_request")
).limit(1000)

OLDEST_UPDATE = sa.select(sa.func.min(updates.c.sequence))
UPDATES = (
    sa.select(updates)
    .where(updates.c.sequence > _given("after"))
    .order_by(updates.c.sequence)
    .limit(_given("most"))
)


def builds_before(chosen: Filter, way: Any) -> Any:
    """Return the query of builds before a place, newest first."""
    wanted = [
        getattr(_b, name) == getattr(chosen, name) for name in ("worker",) if getattr(chosen, name)
    ]
    if chosen.results:
        wanted.append(_b.results.in_(sorted(chosen.results)))
    return _builds.where(way, *wanted, _place < given_place).order_by(*newest_first)


def fitting(chosen: Filter) -> list[Any]:
    """Return the conditions of builds that fit, as far as it is about single builds."""
    wanted = [_b.worker == chosen.worker] if chosen.worker else []
    if chosen.results:
        wanted.append(_b.results.in_(sorted(chosen.results)))
    if chosen.branch:
        wanted.append(sa.or_(*on_branch(chosen.branch)))
    if chosen.owner:
        wanted.append(sa.or_(*of_owner(chosen.owner)))
    return wanted


SEARCHED = 20_000
"""In how many of the newest revisions authors and comments are looked through."""
REVISIONS_FROM = Prepared(
    lambda: (
        sa.select(revisions)
        .where(revisions.c.revision >= _given("of_first"), revisions.c.revision < _given("of_end"))
        .order_by(revisions.c.revision)
        .limit(_given("most"))
    )
)


def _searched() -> Any:
    newest = sa.select(revisions).order_by(revisions.c.first_at.desc()).limit(SEARCHED).subquery()
    texts = (sa.func.lower(newest.c.author), sa.func.lower(newest.c.comment))
    return (
        sa.select(newest)
        .where(sa.or_(*(each.like(_given("like_text"), escape="\\") for each in texts)))
        .order_by(newest.c.first_at.desc())
        .limit(_given("most"))
    )


REVISIONS_ABOUT = Prepared(_searched)

OF_REVISION = (
    _builds.select_from(built.join(builds, _b.id == built.c.build))
    .where(built.c.revision == _given("of_revision"))
    .order_by(*newest_first)
    .limit(1000)
)


def on_branch(branch: str) -> tuple[Any, Any]:
    """Return the conditions of builds of a branch: of one codebase or alike ones, and of others."""
    pair = json.dumps(branch, ensure_ascii=False)
    differing = sa.and_(
        sa.text("has_several = 1"),
        sa.or_(_b.branch != branch, _b.branch.is_(None)),
        _b.sources.like(f"%,{like(pair)},%", escape="\\"),
    )
    return _b.branch == branch, differing


def of_owner(owner: str) -> tuple[Any, Any]:
    """Return the conditions of an owner's builds: as it was sent, and with an address behind."""
    return _b.owner == owner, sa.and_(_b.owner >= f"{owner} <", _b.owner < f"{owner} =")


def like(text: str) -> str:
    """Return a text as a pattern of LIKE has it, where a backslash escapes."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def revisions_of(chosen: Filter) -> Any:
    """Return the query of revisions, newest first."""
    wanted = [revisions.c.branch == chosen.branch] if chosen.branch else []
    return (
        sa.select(revisions)
        # A condition lets the index be searched even where all are wanted.
        .where(*wanted, revisions.c.first_at < LAST_PLACE[0])
        .order_by(revisions.c.first_at.desc(), revisions.c.id.desc())
    )
