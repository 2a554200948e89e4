"""The changes that builds had: also those that no build was of by itself.

Blocking: runs in the writer's thread and in the reader's.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from attrs import asdict, define, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.model import Build, SourceChange
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import (
    BUILD_COLUMNS,
    CHANGES,
    build_of,
    changes_in,
    cut_change,
    line_of,
)
from buildbot_http_status_push.board.store.tables import builds, lines, source_changes
from buildbot_http_status_push.prepared_statements import Prepared, portions
from buildbot_http_status_push.results import RETRY

LOOKED_AT = 50
"""How many of a builder's builds are looked at for one that has a change."""
MOST_BUILDERS = 1000
"""How many builders are asked for one."""

_c, _b = source_changes.c, builds.c
_given = sa.bindparam

KNOWN = Prepared(
    lambda **names: sa.select(_c.number, _c.seen_at).where(
        _c.master == _given("of_master"), _c.number.in_(names["some"])
    )
)
SEEN_EARLIER = Prepared(
    lambda: (
        source_changes.update()
        .where(_c.master == _given("of_master"), _c.number == _given("of_number"))
        .values(seen_at=_given("to_seen_at"))
    )
)
OF_REVISION = Prepared(
    lambda: (
        sa.select(source_changes)
        .where(_c.revision >= _given("of_first"), _c.revision < _given("of_end"))
        .order_by(_c.revision, _c.number, _c.master)
        .limit(_given("most"))
    )
)
BUILDERS_ON = Prepared(
    lambda: (
        sa.select(lines.c.builder)
        .where(lines.c.line == _given("of_line"))
        .order_by(lines.c.builder)
        .limit(MOST_BUILDERS)
    )
)
BUILDS_FROM = Prepared(
    lambda: (
        sa.select(*BUILD_COLUMNS)
        .where(
            _b.builder == _given("of_builder"),
            _b.line == _given("of_line"),
            _b.started_at >= _given("since"),
        )
        .order_by(_b.started_at, _b.number, _b.id)
        .limit(LOOKED_AT)
    )
)


@define(eq=False)
class ChangeKeeping:
    """Keeps the changes of builds, in the running transaction."""

    _connection: Connection
    _found: dict[tuple[int, int], dict[str, Any]] = field(factory=dict, init=False)

    def note(self, master: int, status: Status) -> None:
        """Note the changes of a status that have a revision, the newest ones."""
        branches = {each.codebase: each.branch or "" for each in status.sources}
        named = [each for each in status.changes if each.id is not None and each.revision]
        for each in sorted(named, key=lambda change: change.id or 0)[-CHANGES:]:
            key = (master, int(each.id or 0))
            known = self._found.get(key)
            if known is not None and known["seen_at"] <= status.started_at:
                continue
            self._found[key] = {
                "master": master,
                "number": key[1],
                "codebase": each.codebase,
                "revision": str(each.revision),
                "branch": branches.get(each.codebase, ""),
                "line": line_of(status),
                "seen_at": status.started_at,
                "shown": json.dumps(asdict(cut_change(each)), ensure_ascii=False),
            }

    def settle(self) -> None:
        """Write what was noted."""
        by_master: dict[int, list[int]] = {}
        for master, number in self._found:
            by_master.setdefault(master, []).append(number)
        for master, numbers in by_master.items():
            for some in portions(numbers):
                given = {"of_master": master, "some": some}
                for row in KNOWN.rows(self._connection, given):
                    new = self._found.pop((master, row.number))
                    if new["seen_at"] < row.seen_at:
                        earlier = {"of_number": row.number, "to_seen_at": new["seen_at"]}
                        SEEN_EARLIER.run(self._connection, {"of_master": master, **earlier})
        if self._found:
            self._connection.execute(source_changes.insert(), [*self._found.values()])
        self._found.clear()


def changes_named(connection: Connection, first: str, end: str, most: int) -> list[Any]:
    """Return the rows of changes whose revision is between two texts."""
    return OF_REVISION.rows(connection, {"of_first": first, "of_end": end, "most": most})


def change_of(row: Any) -> SourceChange:
    """Return a change by its row."""
    return SourceChange(**json.loads(row.shown))


def first_builds_with(connection: Connection, row: Any, without: Collection[int]) -> list[Build]:
    """Return each builder's first build that has a change; of those to be built again the next."""
    builders = (each.builder for each in BUILDERS_ON.rows(connection, {"of_line": row.line}))
    found = (_first_with(connection, row, each) for each in builders if each not in without)
    return [each for each in found if each]


def _first_with(connection: Connection, row: Any, builder: int) -> Build | None:
    given = {"of_builder": builder, "of_line": row.line, "since": row.seen_at}
    for found in BUILDS_FROM.rows(connection, given):
        build = build_of(found, "")
        if build.master != row.master:
            return None
        if build.results != RETRY and _reaches(build, row):
            extra = sql.EXTRA.first(connection, {"of_build": build.id})
            if row.number in changes_in(extra.changes).ids:
                return build
    return None


def _reaches(build: Build, row: Any) -> bool:
    newest = (each.change for each in build.sources if each.codebase == row.codebase)
    return any(each is not None and each >= row.number for each in newest)


def drop_changes(connection: Connection, before: float) -> None:
    """Delete the changes that were first built before a moment."""
    connection.execute(source_changes.delete().where(_c.seen_at < int(before)))
