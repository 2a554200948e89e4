"""Reads from which builds a builder's habits are. Blocking: runs in the reader's thread."""

from __future__ import annotations

from collections import defaultdict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.cluster.quiet import OWN, Habits, OwnBuild, habits
from buildbot_http_status_push.board.store.tables import builds, built, revisions
from buildbot_http_status_push.prepared_statements import Prepared

MOST_REVISIONS = 2000
"""How many revisions of a branch are counted."""

MOST_BUILT = 20_000
"""How many rows of builders and revisions are read at once."""

_b, _r = builds.c, revisions.c
_given = sa.bindparam

OWN_BUILDS = Prepared(
    lambda: (
        sa.select(_b.id, _b.started_at, _b.submitted_at)
        .where(_b.builder == _given("of_builder"), _b.line == _given("of_line"))
        .order_by(_b.started_at.desc(), _b.number.desc(), _b.id.desc())
        .limit(OWN)
    )
)
REVISIONS_OF = Prepared(lambda **names: sa.select(built).where(built.c.build.in_(names["some"])))
BUILDERS_OF = Prepared(
    lambda **names: (
        sa.select(built.c.revision, _b.builder, sa.func.min(_b.started_at).label("began"))
        .select_from(built.join(builds, _b.id == built.c.build))
        .where(built.c.revision.in_(names["some"]))
        .group_by(built.c.revision, _b.builder)
        .limit(MOST_BUILT)
    )
)
OF_BRANCH = Prepared(
    lambda: (
        sa.select(_r.id, _r.first_at)
        .where(
            _r.branch == _given("of_branch"),
            _r.first_at > _given("after"),
            _r.first_at < _given("until"),
        )
        .order_by(_r.first_at.desc())
        .limit(MOST_REVISIONS)
    )
)


def habits_of(
    connection: Connection, builder: int, line: str, known: dict[int, dict[int, int]]
) -> Habits:
    """Return how a builder usually follows the changes of a branch.

    Args:
        connection: A transaction's connection.
        builder: The builder's number on the board.
        line: The branch, as tables have it.
        known: Which builders built which revisions, and since when, as far as it was read before.
    """
    rows = OWN_BUILDS.rows(connection, {"of_builder": builder, "of_line": line})[::-1]
    if not rows:
        return Habits()
    of_build: dict[int, set[int]] = defaultdict(set)
    for row in REVISIONS_OF.rows(connection, {"some": [each.id for each in rows]}):
        of_build[row.build].add(row.revision)
    own_revisions = {each for some in of_build.values() for each in some}
    missing = sorted(own_revisions - known.keys())
    known.update((each, {}) for each in missing)
    for row in BUILDERS_OF.rows(connection, {"some": missing}) if missing else ():
        known[row.revision][row.builder] = row.began
    began = {each: known[each] for each in own_revisions}
    window = {"after": rows[0].started_at, "until": rows[-1].started_at}
    of_branch = OF_BRANCH.rows(connection, {"of_branch": line, **window})
    own = [
        OwnBuild(
            started_at=row.started_at,
            submitted_at=row.submitted_at,
            revisions=frozenset(of_build[row.id]),
        )
        for row in rows
    ]
    left_out = [row.first_at for row in of_branch if row.id not in own_revisions]
    return habits(own, began, left_out, builder)
