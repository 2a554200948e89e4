"""Writes statuses: a build's row, the body, and the number of the change, in one transaction.

What a builder's builds say of it is worked out once at the end, for each builder and branch that
was touched: from its builds alone, so that the order in which statuses came makes no difference.
Blocking: runs in the writer's thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa
from attrs import define, evolve, field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.cluster.states import State
from buildbot_http_status_push.board.judgements import place
from buildbot_http_status_push.board.model import GOOD, Build, Position, Source
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.cluster import ClusterKeeping
from buildbot_http_status_push.board.store.merging import rank, state_of, suspects_of
from buildbot_http_status_push.board.store.reading_test_results import failing_of
from buildbot_http_status_push.board.store.rows import (
    About,
    build_of,
    changes_in,
    line_of,
    new_row,
    packed,
    packed_builder,
    packed_state,
)
from buildbot_http_status_push.board.store.source_changes import ChangeKeeping
from buildbot_http_status_push.board.store.tables import bodies, builders, built, updates
from buildbot_http_status_push.board.store.writing_failures import Remembering
from buildbot_http_status_push.board.store.writing_test_results import Keeping


class Stored(Enum):
    """What became of a status."""

    NEW = "stored"
    REPEAT = "known already"
    OLDER = "not stored: a later status of this build is known"


@frozen
class Arrival:
    """A status that came."""

    status: Status | State
    at: float


@define(eq=False)
class Writing:
    """One transaction of statuses."""

    _connection: Connection
    _names: Mapping[str, str]
    _sequence: int = field(default=0, init=False)
    _masters: dict[str, int] = field(factory=dict, init=False)
    _titles: set[tuple[str, str]] = field(factory=set, init=False)
    _heard: dict[int, float] = field(factory=dict, init=False)
    _builders: dict[tuple[int, str], int] = field(factory=dict, init=False)
    _touched: dict[int, int] = field(factory=dict, init=False)
    _lines: set[tuple[int, str]] = field(factory=set, init=False)
    _revisions: set[int] = field(factory=set, init=False)
    _bodies: dict[int, bytes] = field(factory=dict, init=False)
    _built: list[dict[str, int]] = field(factory=list, init=False)
    _updates: list[dict[str, Any]] = field(factory=list, init=False)
    _changes: ChangeKeeping = field(init=False)
    _cluster: ClusterKeeping = field(init=False)
    remembering: Remembering = field(init=False)
    keeping: Keeping = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._changes = ChangeKeeping(self._connection)
        self._cluster = ClusterKeeping(self._connection)
        self.remembering = Remembering(self._connection)
        self.keeping = Keeping(self._connection)

    def write(self, arrivals: Sequence[Arrival]) -> tuple[list[Stored], Position]:
        """Write statuses.

        Returns:
            What became of each, and where the order of updates stands then.
        """
        began = self._begin()
        stored = [self._put(each) for each in arrivals]
        return stored, self._end(began)

    def settle(self, builder: int, lines: Iterable[str], build: int, at: float) -> Position:
        """Work out anew what a builder's builds say of it."""
        began = self._begin()
        for line in lines:
            self._touch(builder, line)
        self._change(builder, build, self._next(), at)
        return self._end(began)

    def touch(self, some: Mapping[int, int], at: float) -> Position:
        """Give builders a place in the order of updates, though no status came."""
        began = self._begin()
        for builder, build in some.items():
            self._change(builder, build, self._next(), at)
        return self._end(began)

    def settle_all(self) -> None:
        """Work out anew what all builds say of their builders, as if nothing had changed."""
        self._link_gathered()
        self._changes.settle()
        self.remembering.settle(0)
        self.keeping.settle()
        for row in self._connection.execute(sa.select(builders.c.id, builders.c.sequence)).all():
            for found in sql.LINES_OF_BUILDER.rows(self._connection, {"of_builder": row.id}):
                self._settle_line(row.id, found.line)
            self._settle_builder(row.id, row.sequence)
        for revision in self._revisions:
            self._settle_revision(revision)

    def link(self, build: int, master: int, status: Status) -> None:
        """Note which revisions a build has built, and which changes it had."""
        self._changes.note(master, status)
        for source in status.sources:
            if source.revision:
                self._built.append({"revision": self._revision(source, status), "build": build})

    def _begin(self) -> Position:
        found = sql.POSITION.first(self._connection, {})
        self._sequence = found.sequence
        return Position(found.epoch, found.sequence)

    def _end(self, began: Position) -> Position:
        self._insert_gathered()
        self.remembering.settle(self._sequence)
        self.keeping.settle()
        for builder, line in sorted(self._lines):
            self._settle_line(builder, line)
        self._cluster.settle(self._sequence)
        for builder, sequence in self._touched.items():
            self._settle_builder(builder, sequence)
        for revision in self._revisions:
            self._settle_revision(revision)
        for master, at in self._heard.items():
            sql.HEARD.run(self._connection, {"of_id": master, "at": at})
        if self._sequence != began.sequence:
            sql.MOVE.run(self._connection, {"to_sequence": self._sequence})
            if self._connection.dialect.name == "postgresql":
                sql.NOTIFY.run(self._connection, {})
        return evolve(began, sequence=self._sequence)

    def _insert_gathered(self) -> None:
        """Insert what nothing else of the transaction reads, all of it at once."""
        self._link_gathered()
        self._changes.settle()
        kept = [{"build": build, "body": body} for build, body in self._bodies.items()]
        for table, rows in ((bodies, kept), (updates, self._updates)):
            if rows:
                self._connection.execute(table.insert(), rows)

    def _link_gathered(self) -> None:
        if self._built:
            self._connection.execute(built.insert(), self._built)
            self._built.clear()

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _put(self, arrival: Arrival) -> Stored:
        status = arrival.status
        master = self._master(status)
        self._heard[master] = max(arrival.at, self._heard.get(master, 0.0))
        if not isinstance(status, Status):
            return self._put_state(status, master, arrival.at)
        identity = {
            "of_master": master,
            "of_buildid": status.buildid,
            "of_start": status.started_at,
        }
        known = sql.KNOWN.first(self._connection, identity)
        if known is not None:
            old = rank(known.complete_at, known.results, known.size, known.digest)
            new = rank(status.complete_at, status.results, len(status.body), status.digest)
            if new <= old:
                return Stored.REPEAT if new == old else Stored.OLDER
        self._store(status, arrival.at, master, known)
        return Stored.NEW

    def _put_state(self, state: State, master: int, at: float) -> Stored:
        kept = self._cluster.put(state, master, lambda name: self._builder(master, name))
        if kept is None:
            return Stored.OLDER
        for builder in kept.shown:
            self._touched[builder] = self._note(builder, at)
        for builder in kept.mentioned:
            self._note(builder, at)
        return Stored.NEW

    def _note(self, builder: int, at: float) -> int:
        """Note that something but a build has changed at a builder."""
        sequence = self._next()
        self._updates.append({"sequence": sequence, "build": 0, "builder": builder, "at": at})
        return sequence

    def _store(self, status: Status, at: float, master: int, known: Any) -> None:
        sequence = self._next()
        builder = self._builder(master, status.builder)
        row = {**new_row(status), "master": master, "builder": builder, "sequence": sequence}
        if known is None:
            build = sql.INSERT_BUILD.insert(self._connection, row)
            self._bodies[build] = packed(status.body)
        else:
            build = known.id
            self._replace(known, row, status, at)
        self.link(build, master, status)
        self.remembering.remember(build, builder, status)
        self.keeping.remember(build, builder, status)
        self._touch(builder, line_of(status))
        self._cluster.note_build(master, status)
        self._change(builder, build, sequence, at)

    def _touch(self, builder: int, line: str) -> None:
        self._lines.add((builder, line))

    def _change(self, builder: int, build: int, sequence: int, at: float) -> None:
        self._touched[builder] = sequence
        self._updates.append({"sequence": sequence, "build": build, "builder": builder, "at": at})

    def _replace(self, known: Any, row: Mapping[str, Any], status: Status, at: float) -> None:
        self._touch(known.builder, known.line)
        if known.builder != row["builder"]:  # it was moved to another name
            self._change(known.builder, known.id, self._next(), at)
        of_build, body = {"of_build": known.id}, packed(status.body)
        self._unlink(known.id)
        if known.complete_at is not None:
            self.remembering.forget(known.id)
            self.keeping.forget(known.id)
            was_at = (status.started_at, known.number, known.id)
            self.remembering.look_around(known.builder, known.line, was_at)
        sql.REPLACE.run(self._connection, {**of_build, **sql.to(row)})
        if known.id in self._bodies:
            self._bodies[known.id] = body
        else:
            sql.REPLACE_BODY.run(self._connection, {**of_build, "to_body": body})

    def _unlink(self, build: int) -> None:
        self._link_gathered()
        of_build = {"of_build": build}
        found = sql.REVISIONS_OF_BUILD.rows(self._connection, of_build)
        self._revisions.update(row.revision for row in found)
        sql.UNLINK.run(self._connection, of_build)

    def _master(self, status: Status | State) -> int:
        url = status.master_url
        if url not in self._masters:
            name = self._names.get(url) or url or "a master without a URL"
            self._masters[url] = self._found_master(name, url)
        if status.master_title and (url, status.master_title) not in self._titles:
            self._titles.add((url, status.master_title))
            titled = {"of_id": self._masters[url], "to_title": status.master_title}
            sql.TITLE_MASTER.run(self._connection, titled)
        return self._masters[url]

    def _found_master(self, name: str, url: str) -> int:
        named = sql.MASTER_BY_NAME.scalar(self._connection, {"of_name": name})
        if named is not None:
            return int(named)
        # It may have been known by its URL before it was given a name.
        known = sql.MASTER_BY_NAME.scalar(self._connection, {"of_name": url})
        if known is not None:
            sql.RENAME_MASTER.run(self._connection, {"of_id": known, "to_name": name})
            return int(known)
        new = {"name": name, "url": url, "heard_at": 0.0}
        return sql.INSERT_MASTER.insert(self._connection, new)

    def _builder(self, master: int, name: str) -> int:
        key = (master, name)
        if key not in self._builders:
            of_name = {"of_master": master, "of_name": name}
            known = sql.BUILDER_BY_NAME.scalar(self._connection, of_name)
            self._builders[key] = self._new_builder(*key) if known is None else int(known)
        return self._builders[key]

    def _new_builder(self, master: int, name: str) -> int:
        new = {"master": master, "name": name, "state": "", "sequence": 0}
        builder = sql.INSERT_BUILDER.insert(self._connection, new)
        self._touched[builder] = self._sequence + 1  # that of what names it
        return builder

    def _revision(self, source: Source, status: Status) -> int:
        key = {
            "revision": str(source.revision),
            "codebase": source.codebase,
            "branch": source.branch or "",
            "project": source.project or "",
        }
        of_key = {f"of_{name}": value for name, value in key.items()}
        known = sql.REVISION_BY_NAME.scalar(self._connection, of_key)
        if known is None:
            new = {**key, "first_at": status.started_at}
            known = sql.INSERT_REVISION.insert(self._connection, new)
        self._revisions.add(known)
        self._blame(known, source, status)
        return int(known)

    def _blame(self, revision: int, source: Source, status: Status) -> None:
        fit = (each for each in status.changes if each.revision == source.revision)
        made = next(fit, None)
        if made is not None:
            told = {"of_id": revision, "to_author": made.author, "to_comment": made.comment}
            sql.BLAME.run(self._connection, told)

    def _settle_builder(self, builder: int, sequence: int) -> None:
        of_builder = {"of_builder": builder}
        newest = sql.NEWEST_BUILD.first(self._connection, of_builder)
        said = json.loads(self._extra(newest.id).about_builder) if newest else {}
        # A state names no builder: it is a builder's own.
        rows = sql.RUNNING_BUILDS.rows(self._connection, of_builder)
        running = [build_of(row, "") for row in rows]
        branches = sql.BRANCHES_OF_BUILDER.rows(self._connection, of_builder)
        kept = packed_builder(
            newest and build_of(newest, ""),
            running[::-1],
            [(row.line, row.builds) for row in branches],
            About(**said),
        )
        values = {"of_builder": builder, "to_state": kept, "to_sequence": sequence}
        sql.SETTLE_BUILDER.run(self._connection, values)

    def _settle_line(self, builder: int, line: str) -> None:
        of_line = {"of_builder": builder, "of_line": line}
        found = self._telling(of_line)
        if not found:
            sql.DROP_LINE.run(self._connection, of_line)
            return
        state = state_of(found)
        if state.first_bad is not None:
            good = None if state.last_good is None else self._extra(state.last_good.id).changes
            first_bad = changes_in(self._extra(state.first_bad.id).changes)
            suspects, suspected = suspects_of(first_bad, changes_in(good))
            state = evolve(state, suspects=suspects, suspected=suspected)
        state = evolve(state, tests=failing_of(self._connection, builder, line))
        count = sql.COUNT_OF_LINE.scalar(self._connection, of_line)
        kept = packed_state(state)
        values = {**of_line, "to_state": kept, "to_builds": count}
        if not sql.SETTLE_LINE.run(self._connection, values):
            new = {"builder": builder, "line": line, "state": kept, "builds": count}
            sql.INSERT_LINE.run(self._connection, new)

    def _telling(self, of_line: Mapping[str, Any]) -> list[Build]:
        """Return the builds that say all that there is to say of a builder's branch."""
        rows = sql.TELLING_BUILDS.rows(self._connection, of_line)
        builds = {row.id: build_of(row, "") for row in rows}
        good = (place(each) for each in builds.values() if each.results in GOOD and each.judges)
        after = max(good, default=sql.FIRST_PLACE)
        if any(each.is_bad and place(each) > after for each in builds.values()):
            found = sql.FIRST_BAD_BUILDS.rows(self._connection, {**of_line, **sql.at(after)})
            builds.update((row.id, build_of(row, "")) for row in found)
        return list(builds.values())

    def _extra(self, build: int) -> Any:
        return sql.EXTRA.first(self._connection, {"of_build": build})

    def _settle_revision(self, revision: int) -> None:
        of_id = {"of_id": revision}
        first_at = sql.FIRST_OF_REVISION.scalar(self._connection, of_id)
        if first_at is None:
            sql.DROP_REVISION.run(self._connection, of_id)
        else:
            sql.SETTLE_REVISION.run(self._connection, {**of_id, "to_first_at": first_at})
