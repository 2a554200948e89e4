"""Reads what pages show, each time as it all stands at one moment.

Builders are kept in memory once read: each change of one gives it a higher sequence, so that only
those are read again that have changed. Blocking: runs in the reader's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import nlargest
from typing import Any, TypeVar

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.filters import fits_build, fits_builder
from buildbot_http_status_push.board.model import (
    Build,
    BuildDetail,
    Builder,
    Filter,
    Master,
    Position,
    Revision,
    Update,
)
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.merging import place
from buildbot_http_status_push.board.store.rows import build_of, builder_of, unpacked, with_master
from buildbot_http_status_push.board.store.tables import builds

T = TypeVar("T")

LOOKED_THROUGH = 10
"""How many times as many revisions are looked at as are asked for, where builds must fit too."""


@define(eq=False)
class Cache:
    """The builders as they were last read."""

    epoch: str = ""
    sequence: int = -1
    builders: dict[int, Builder] = field(factory=dict)

    def forget(self, epoch: str) -> None:
        """Begin anew, with another order of updates."""
        self.epoch, self.sequence = epoch, -1
        self.builders.clear()


class Reading:
    """One transaction of reads.

    Args:
        connection: The transaction's connection.
        cache: The builders as they were last read.
    """

    def __init__(self, connection: Connection, cache: Cache) -> None:
        self._connection = connection
        self.position = _position(connection)
        self.masters = {row.id: Master(**row._mapping) for row in connection.execute(sql.MASTERS)}
        if cache.epoch != self.position.epoch or cache.sequence > self.position.sequence:
            cache.forget(self.position.epoch)
        self._refresh(cache)
        self._builders = cache.builders

    def _refresh(self, cache: Cache) -> None:
        if cache.sequence < self.position.sequence:
            for row in self._connection.execute(sql.BUILDERS_AFTER, {"after": cache.sequence}):
                cache.builders[row.id] = builder_of(row, self.masters[row.master])
            cache.sequence = self.position.sequence

    def builders(self, chosen: Filter) -> list[Builder]:
        """Return the builders that fit, by name."""
        every = map(self._with_master, self._builders.values())
        found = [each for each in every if fits_builder(chosen, each)]
        return sorted(found, key=lambda each: (each.name, each.id))

    def builders_by_id(self, ids: Iterable[int]) -> list[Builder]:
        """Return the builders of some numbers, as far as they are known."""
        known = (self._builders.get(each) for each in ids)
        return [self._with_master(each) for each in known if each is not None]

    def _with_master(self, builder: Builder) -> Builder:
        return with_master(builder, self.masters[builder.master.id])

    def builds(
        self, chosen: Filter, builder: int | None, limit: int, before: int | None
    ) -> list[Build]:
        """Return the builds that fit, newest first.

        Args:
            chosen: What must fit.
            builder: Whose builds, None for all builders that fit.
            limit: How many at most.
            before: Only builds older than this one, by its number on the board.
        """
        last = sql.LAST_PLACE if before is None else self._place(before)
        if last is None:
            return []
        if builder is not None:
            return self._some(chosen, builds.c.builder == builder, last, limit)
        if _is_about_builders(chosen):
            return self._of_builders(chosen, last, limit)
        if len(chosen.results) > 1 and not (chosen.branch or chosen.worker or chosen.owner):
            ways = [builds.c.results == each for each in sorted(chosen.results)]
            return _latest((self._some(chosen, way, last, limit) for way in ways), limit)
        return self._some(chosen, sa.true(), last, limit)

    def _of_builders(self, chosen: Filter, last: tuple[int, ...], limit: int) -> list[Build]:
        """Look through builders, those with the newest builds first, until no other can matter."""
        found: list[Build] = []
        for builder in sorted(self.builders(chosen), key=_newest, reverse=True):
            if len(found) == limit and _newest(builder) < place(found[-1]):
                break
            way = builds.c.builder == builder.id
            found = _latest((found, self._some(chosen, way, last, limit)), limit)
        return found

    def _some(self, chosen: Filter, way: Any, last: tuple[int, ...], limit: int) -> list[Build]:
        """Return builds on one way through an index."""
        statement = sql.builds_before(chosen, way).limit(limit)
        return self._found(statement, sql.at(last))

    def _place(self, build: int) -> tuple[int, ...] | None:
        row = self._connection.execute(sql.PLACE, {"of_build": build}).first()
        return None if row is None else tuple(row)

    def build(self, number: int) -> BuildDetail | None:
        """Return a build and all that is known of it."""
        of_build = {"of_build": number}
        found = self._found(sql.BUILD, of_build)
        body = self._connection.execute(sql.BODY, of_build).scalar()
        if not found or body is None:
            return None
        [build] = found
        [builder] = self.builders_by_id([build.builder])
        return BuildDetail(
            build=build,
            builder=builder,
            body=unpacked(bytes(body)),
            parent=self._parent(build),
            triggered=tuple(self._triggered(build)),
            same_request=tuple(self._same_request(build)),
        )

    def _parent(self, build: Build) -> Build | None:
        row = self._connection.execute(sql.PARENT_OF, {"of_build": build.id}).one()
        if row.parent is None:
            return None
        known = self._found(sql.PARENT, {"of_master": row.master, "of_parent": row.parent})
        # A database made anew counts from 1 again: the time tells which one it was.
        fit = [each for each in known if row.parent_started_at in (None, each.started_at)]
        return fit[0] if fit else None

    def _triggered(self, build: Build) -> list[Build]:
        values = {
            "of_master": build.master,
            "of_parent": build.buildid,
            "of_start": build.started_at,
        }
        return self._found(sql.TRIGGERED, values)

    def _same_request(self, build: Build) -> list[Build]:
        if build.request is None:
            return []
        values = {
            "of_master": build.master,
            "of_request": build.request,
            "of_builder": build.builder,
            "of_build": build.id,
        }
        found = self._found(sql.SAME_REQUEST, values)
        return [each for each in found if each.submitted_at == build.submitted_at]

    def revisions(self, chosen: Filter, limit: int) -> list[Revision]:
        """Return the revisions that have builds that fit, newest first."""
        rows = self._connection.execute(sql.revisions_of(chosen).limit(limit * LOOKED_THROUGH))
        found: list[Revision] = []
        for row in rows.all():
            newest = self._newest_of(row.id, chosen)
            if newest:
                found.append(_revision(row, newest))
            if len(found) == limit:
                break
        return found

    def _newest_of(self, revision: int, chosen: Filter) -> tuple[Build, ...]:
        """Return the newest build of each builder that fits."""
        every = self._found(sql.OF_REVISION, {"of_revision": revision})
        newest = {each.builder: each for each in reversed(every)}
        return tuple(
            each
            for each in newest.values()
            if fits_build(chosen, each) and fits_builder(chosen, self._builders[each.builder])
        )

    def results(self) -> dict[int | None, int]:
        """Count the builds by their result, None for those that run."""
        return {row[0]: row[1] for row in self._connection.execute(sql.RESULTS)}

    def updates(self, after: int, limit: int) -> list[Update] | None:
        """Return the updates after a sequence, None where they are no longer known."""
        oldest = self._connection.execute(sql.OLDEST_UPDATE).scalar()
        first = self.position.sequence + 1 if oldest is None else oldest
        if not first - 1 <= after <= self.position.sequence:
            return None
        rows = self._connection.execute(sql.UPDATES, {"after": after, "most": limit})
        return [Update(**row._mapping) for row in rows]

    def _found(self, statement: Any, values: Mapping[str, Any]) -> list[Build]:
        rows = self._connection.execute(statement, values)
        return [build_of(row, self._builders[row.builder].name) for row in rows]


def _position(connection: Connection) -> Position:
    found = sql.POSITION.first(connection, {})
    return Position(found.epoch, found.sequence)


def _is_about_builders(chosen: Filter) -> bool:
    return bool(chosen.builder or chosen.tags or chosen.master or chosen.project)


def _newest(builder: Builder) -> tuple[int, int, int]:
    return place(builder.recent[0]) if builder.recent else (-1, -1, -1)


def _latest(groups: Iterable[Iterable[Build]], limit: int) -> list[Build]:
    every: Iterator[Build] = (each for group in groups for each in group)
    return nlargest(limit, every, key=place)


def _revision(row: Any, newest: tuple[Build, ...]) -> Revision:
    return Revision(
        revision=row.revision,
        branch=row.branch or None,
        project=row.project or None,
        first_at=row.first_at,
        builds=newest,
        author=row.author,
        comment=row.comment,
    )


def read(connection: Connection, cache: Cache, what: Callable[[Reading], T]) -> tuple[T, Position]:
    """Read something.

    Args:
        connection: A transaction's connection.
        cache: The builders as they were last read.
        what: Takes the reading, and returns what was read.

    Returns:
        What was read, and where the order of updates stood.
    """
    reading = Reading(connection, cache)
    return what(reading), reading.position
