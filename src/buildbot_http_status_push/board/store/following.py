"""Makes incidents of the builds that the board stored, in that order.

Each transaction reads some updates and writes what they make of the incidents together with how
far it has come: a second board, or a restart, goes on from there. Blocking: runs in the writer's
thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import define, evolve, field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.changes import objects
from buildbot_http_status_push.board.failures.lines import failed_of
from buildbot_http_status_push.board.incidents.acts import Act, perform
from buildbot_http_status_push.board.incidents.common_lines import has_stopped
from buildbot_http_status_push.board.incidents.engine import Engine, Key, Track, place_key
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import Incident, IncidentReason, Step
from buildbot_http_status_push.board.model import Memory, Position, Reason
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.incident_rows import (
    incident_row,
    place_text,
    step_row,
    track_of,
    track_text,
)
from buildbot_http_status_push.board.store.incidents import POSITION, open_incidents
from buildbot_http_status_push.board.store.masters import shown_masters
from buildbot_http_status_push.board.store.reading_failures import REASONS_OF, Memories
from buildbot_http_status_push.board.store.rows import (
    BUILD_COLUMNS,
    build_of,
    changes_in,
    marked_in,
    tags_in,
    unpacked,
)
from buildbot_http_status_push.board.store.tables import (
    bodies,
    builders,
    builds,
    configured,
    incident_places,
    incident_position,
    incident_steps,
    incident_tracks,
    incidents,
    lines,
    updates,
)
from buildbot_http_status_push.board.store.writing import Writing
from buildbot_http_status_push.board.test_results.results import results_of
from buildbot_http_status_push.database import StorageError
from buildbot_http_status_push.prepared_statements import Prepared
from buildbot_http_status_push.results import FAILURE, SUCCESS, WARNINGS

MORE = (builds.c.changes, builds.c.parent, builds.c.about_builder)
AT_ONCE = 500
"""How many updates are read in one transaction."""
MOST_TOUCHED = 1000
"""How many builders with changed incidents one transaction announces to browsers."""

_given = sa.bindparam
_p = incident_position.c

MOVE = Prepared(
    lambda: (
        incident_position.update()
        .where(_p.version == _given("of_version"))
        .values(sequence=_given("to_sequence"), version=_given("to_version"))
    )
)
UPDATED = Prepared(
    lambda: (
        sa.select(updates.c.sequence, updates.c.build, updates.c.builder, updates.c.at)
        .where(updates.c.sequence > _given("after"))
        .order_by(updates.c.sequence)
        .limit(AT_ONCE)
    )
)
ENDED = Prepared(
    lambda ids: sa.select(*BUILD_COLUMNS, *MORE).where(
        builds.c.id.in_(ids), builds.c.complete_at.is_not(None), builds.c.judges == 1
    )
)
REMOVED = Prepared(
    lambda ids: sa.select(configured.c.builder, configured.c.reported_at).where(
        configured.c.builder.in_(ids), configured.c.removed == 1
    )
)
BODY = Prepared(lambda: sa.select(bodies.c.body).where(bodies.c.build == _given("of_build")))
_the_track = sa.and_(
    incident_tracks.c.builder == _given("of_builder"), incident_tracks.c.line == _given("of_line")
)
SET_TRACK = Prepared(
    lambda: incident_tracks.update().where(_the_track).values(content=_given("to_content"))
)
INSERT_TRACK = Prepared(incident_tracks.insert)
DROP_TRACK = Prepared(lambda: incident_tracks.delete().where(_the_track))
_the_place = sa.and_(
    incident_places.c.incident == _given("of_incident"),
    incident_places.c.builder == _given("of_builder"),
    incident_places.c.line == _given("of_line"),
)
SET_PLACE = Prepared(
    lambda: (
        incident_places.update()
        .where(_the_place)
        .values(place=_given("to_place"), content=_given("to_content"))
    )
)
INSERT_PLACE = Prepared(incident_places.insert)
DROP_PLACE = Prepared(lambda: incident_places.delete().where(_the_place))
SET_INCIDENT = Prepared(
    lambda: (
        incidents.update()
        .where(incidents.c.id == _given("of_id"))
        .values(
            opened_at=_given("to_opened_at"),
            closed_at=_given("to_closed_at"),
            content=_given("to_content"),
        )
    )
)
INSERT_INCIDENT = Prepared(incidents.insert)


@frozen(kw_only=True)
class Followed:
    """What one transaction has made of the incidents.

    Args:
        version: The version of the incidents then.
        steps: The steps that it made.
        is_at_end: Whether there are no more updates to read.
        position: Where the order of updates stands, where that has changed.
    """

    version: int
    steps: tuple[Step, ...] = ()
    is_at_end: bool = True
    position: Position | None = None


@define(eq=False)
class Following:
    """The incidents, kept in memory from one transaction to the next.

    A transaction that fails, or another board that writes, has them read again.

    Args:
        little: Globs of lines that say little, beside those that everybody has.
    """

    little: tuple[str, ...] = ()
    _engine: Engine = field(factory=Engine, init=False)
    _version: int = field(default=-1, init=False)
    _written: int = field(default=-1, init=False)
    _memories: Memories = field(factory=Memories, init=False)
    _names: dict[int, str] = field(factory=dict, init=False)
    _masters: dict[int, str] = field(factory=dict, init=False)

    def confirm(self, followed: Followed) -> None:
        """Take it that a transaction has been committed."""
        if followed.version == self._written:
            self._version = followed.version

    def follow(self, connection: Connection, now: float) -> Followed:
        """Read some updates, and write what they make of the incidents."""
        known = POSITION.first(connection, {})
        if known is None:
            return self._first_look(connection, now)
        found = UPDATED.rows(connection, {"after": known.sequence})
        self._load(connection, known.version)
        is_at_end = len(found) < AT_ONCE
        steps = self._steps(connection, found, known.sequence, now)
        if is_at_end:
            steps += self._engine.advance(now)
        last = found[-1].sequence if found else known.sequence
        if last == known.sequence and not self._engine.changed:
            self._written = known.version
            return Followed(version=known.version)
        written = self._write(connection, steps, last, known.version, now)
        return evolve(written, is_at_end=is_at_end)

    def _steps(
        self, connection: Connection, found: Sequence[Any], after: int, now: float
    ) -> list[Step]:
        """Return what some updates make of the incidents."""
        ended = self._ended(connection, found)
        if found and found[0].sequence > after + 1:
            # Some were deleted before they were read: how builders stand says what is left of it.
            ended = [*self._standing(connection, now), *ended]
        steps = [step for each in ended for step in self._end(connection, each)]
        arrived = {row.builder: row.at for row in found}
        for row in self._removed(connection, found):
            at = int(min(row.reported_at, arrived[row.builder]))
            for builder, line in sorted(self._engine.tracks):
                if builder == row.builder:
                    steps += self._engine.remove(builder, line, at)
        return steps

    def act(self, connection: Connection, act: Act) -> Followed:
        """Do to an incident what a person asks for.

        Raises:
            ActError: It is not possible.
        """
        known = POSITION.first(connection, {})
        if known is None:
            raise StorageError("incidents have not been read yet; try again in a moment")
        self._load(connection, known.version)
        steps = perform(self._engine, act)
        return self._write(connection, steps, known.sequence, known.version, act.at)

    def prune(self, connection: Connection, before: float, now: float) -> Followed:
        """Delete what was closed before a time, and end what is on branches that are gone."""
        known = POSITION.first(connection, {})
        if known is None:
            return Followed(version=-1)
        old = sa.select(incidents.c.id).where(incidents.c.closed_at < before)
        for column in (incident_places.c.incident, incident_steps.c.incident):
            connection.execute(column.table.delete().where(column.in_(old)))
        connection.execute(incidents.delete().where(incidents.c.closed_at < before))
        tracks = incident_tracks.c
        is_there = sa.exists().where(lines.c.builder == tracks.builder, lines.c.line == tracks.line)
        gone = connection.execute(
            sa.select(tracks.builder, tracks.line).where(~is_there).limit(AT_ONCE)
        ).all()
        if not gone:
            return Followed(version=-1)
        self._load(connection, known.version)
        steps = [
            step for row in gone for step in self._engine.remove(row.builder, row.line, int(now))
        ]
        return self._write(connection, steps, known.sequence, known.version, now)

    def _first_look(self, connection: Connection, now: float) -> Followed:
        """Open what is red already, so that nothing is reported of it."""
        sequence = sql.POSITION.first(connection, {}).sequence
        self._engine = Engine()
        connection.execute(incident_position.insert().values(id=1, sequence=sequence, version=0))
        steps = [
            step
            for ended in self._standing(connection, now)
            for step in self._end(connection, ended, is_first_start=True)
        ]
        return self._write(connection, steps, sequence, 0, now)

    def _standing(self, connection: Connection, now: float) -> list[EndedBuild]:
        """Return the builds that say how builders stand, in the order that they ended in."""
        numbers: list[int] = []
        for row in connection.execute(sa.select(lines.c.state)):
            numbers += marked_in(row.state)
        found: list[EndedBuild] = []
        for first in range(0, len(numbers), AT_ONCE):
            found += self._ended_builds(connection, numbers[first : first + AT_ONCE])
        reported = [_ended_by(each, now) for each in found]
        return sorted(reported, key=lambda each: (each.at, each.build.id))

    def _removed(self, connection: Connection, found: Sequence[Any]) -> list[Any]:
        """Return the builders that updates report as removed from their configuration."""
        named = [row.builder for row in found if not row.build and row.builder]
        return REMOVED.rows(connection, {"ids": named}) if named else []

    def _ended(self, connection: Connection, found: Sequence[Any]) -> list[EndedBuild]:
        # Of several updates of one build the last one counts: its row is what it is now.
        latest = {row.build: row for row in found}
        ended = self._ended_builds(connection, list(latest))
        in_order = sorted(ended, key=lambda each: latest[each.build.id].sequence)
        return [_ended_by(each, latest[each.build.id].at) for each in in_order]

    def _ended_builds(self, connection: Connection, numbers: list[int]) -> list[EndedBuild]:
        rows = ENDED.rows(connection, {"ids": numbers}) if numbers else []
        if any(row.builder not in self._names for row in rows):
            self._name(connection)
        return [
            EndedBuild(
                build=build_of(row, self._names[row.builder]),
                cluster=self._masters[row.master],
                tags=tags_in(row.about_builder),
                changes=changes_in(row.changes),
                parent=row.parent,
                little=self.little,
            )
            for row in rows
        ]

    @property
    def engine(self) -> Engine:
        """What makes incidents of builds."""
        return self._engine

    def history(self, connection: Connection, since: float) -> Iterator[EndedBuild]:
        """Yield the builds that have ended since a time, in the order that they ended in.

        The clocks of masters are taken as they are.
        """
        columns = builds.c
        is_ours = sa.and_(columns.complete_at >= since, columns.judges == 1)
        ordered = sa.select(columns.id).where(is_ours).order_by(columns.complete_at, columns.id)
        numbers = list(connection.execute(ordered).scalars())
        for first in range(0, len(numbers), AT_ONCE):
            some = self._ended_builds(connection, numbers[first : first + AT_ONCE])
            for ended in sorted(some, key=lambda each: (each.at, each.build.id)):
                is_bad = ended.build.is_bad or ended.build.is_inconclusive
                yield self._with_reasons(connection, ended) if is_bad else ended

    def _name(self, connection: Connection) -> None:
        rows = connection.execute(sa.select(builders.c.id, builders.c.name))
        self._names = {row.id: row.name for row in rows}
        masters = shown_masters(connection.execute(sql.MASTERS).all())
        self._masters = {number: each.name for number, each in masters.items()}

    def _end(
        self, connection: Connection, ended: EndedBuild, *, is_first_start: bool = False
    ) -> list[Step]:
        if ended.build.is_bad or ended.build.is_inconclusive:
            ended = self._with_reasons(connection, ended)
        if is_first_start:
            # What was there before the board looked is new to nobody.
            reasons = (evolve(each, state=_old(each.state)) for each in ended.reasons)
            ended = evolve(ended, reasons=tuple(reasons))
        return self._engine.end(ended, is_first_start=is_first_start)

    def _with_reasons(self, connection: Connection, ended: EndedBuild) -> EndedBuild:
        rows = REASONS_OF.rows(connection, {"of_build": ended.build.id})
        reasons = [
            Reason(signature=row.signature, rule=row.rule, step=row.step, text=row.text)
            for row in rows
        ]
        known, is_red = self._engine.known(ended.key)
        memory, each_of = Memory(), dict[str, Memory]()
        if not known.issuperset(each.signature for each in reasons):
            memory, each_of = self._memories.each_of(connection, ended.build)
        return evolve(
            ended,
            reasons=tuple(_reason(each, each_of.get(each.signature, memory)) for each in reasons),
            common=memory.common,
            ran=self._ran(connection, ended, reasons) if is_red else frozenset(),
        )

    def _ran(
        self, connection: Connection, ended: EndedBuild, reasons: Iterable[Reason]
    ) -> frozenset[str]:
        kept = BODY.scalar(connection, {"of_build": ended.build.id})
        return frozenset() if kept is None else steps_run(unpacked(kept), reasons)

    def _load(self, connection: Connection, version: int) -> None:
        """Read the open incidents and what is remembered of builders, where they are others."""
        is_known = self._version == version
        self._version = -1  # until what follows is committed
        if is_known:
            return
        self._engine = Engine(
            incidents={each.id: each for each in open_incidents(connection)},
            tracks={
                (row.builder, row.line): track_of(row.content)
                for row in connection.execute(sa.select(incident_tracks))
            },
        )

    def _write(
        self,
        connection: Connection,
        steps: Sequence[Step],
        sequence: int,
        version: int,
        at: float,
    ) -> Followed:
        """Write what has changed, and how far the incidents have come."""
        engine = self._engine
        for incident in engine.changed.values():
            _put_incident(connection, incident)
        for number, key in sorted(engine.moved):
            _put_place(connection, engine.changed[number], key)
        for key in sorted(engine.tracked):
            _put_track(connection, key, engine.tracks.get(key))
        if steps:
            connection.execute(incident_steps.insert(), [*map(step_row, steps)])
        touched = _touched(steps, engine)
        position = Writing(connection, {}).touch(touched, at) if touched else None
        if position is not None and position.sequence - len(touched) == sequence:
            sequence = position.sequence  # nothing else is left to be read
        moved = {"to_sequence": sequence, "of_version": version, "to_version": version + 1}
        if MOVE.run(connection, moved) != 1:
            raise StorageError("another board has written incidents meanwhile")
        engine.settled()
        self._version, self._written = -1, version + 1
        self._memories = Memories()
        return Followed(version=version + 1, steps=tuple(steps), position=position)


WARM = 2 * 86_400
"""Seconds of a history before it is replayed, from which is known how builders stood."""


def stored_history(
    connection: Connection, since: float, little: tuple[str, ...] = ()
) -> tuple[Engine, Iterator[EndedBuild]]:
    """Return the builds that have ended since some time, with what makes incidents of them.

    Args:
        connection: A transaction's connection.
        since: Seconds since the epoch; the builds of some days before that come too.
        little: Globs of lines that say little.

    Returns:
        The engine, and the builds in the order that they ended in. Each must have been given to
        the engine before the next one is asked for.
    """
    following = Following(little=little)
    return following.engine, following.history(connection, since - WARM)


def steps_run(content: Mapping[str, Any], reasons: Iterable[Reason]) -> frozenset[str]:
    """Return the steps and test suites of a build that have run to their end.

    A step that failed has done so only where its lines are known, and none says that it stopped.
    """
    lines_of: dict[str, list[str]] = {}
    for reason in reasons:
        lines_of.setdefault(reason.step, []).append(reason.text)
    _, is_cut = failed_of(content)
    ran = set()
    for step in objects(content.get("steps")):
        name, ended = step.get("name"), step.get("results")
        said = lines_of.get(str(name), [])
        is_whole = bool(said) and not is_cut and not any(map(has_stopped, said))
        if ended in (SUCCESS, WARNINGS) or (ended == FAILURE and is_whole):
            ran.add(str(name))
    tests = results_of(content)
    if tests is not None and not tests.omitted:
        ran.update(tests.suites)
    return frozenset(ran)


def _put_incident(connection: Connection, incident: Incident) -> None:
    values = incident_row(incident)
    of_id = {"of_id": incident.id}
    if not SET_INCIDENT.run(connection, {**of_id, **{f"to_{k}": v for k, v in values.items()}}):
        INSERT_INCIDENT.run(connection, {"id": incident.id, **values})


def _put_place(connection: Connection, incident: Incident, key: Key) -> None:
    of_place = {"of_incident": incident.id, "of_builder": key[0], "of_line": key[1]}
    found = [(n, each) for n, each in enumerate(incident.places) if place_key(each) == key]
    if not found:
        DROP_PLACE.run(connection, of_place)
        return
    number, place = found[0]
    content = place_text(place)
    if not SET_PLACE.run(connection, {**of_place, "to_place": number, "to_content": content}):
        new = {"incident": incident.id, "builder": key[0], "line": key[1]}
        INSERT_PLACE.run(connection, {**new, "place": number, "content": content})


def _put_track(connection: Connection, key: Key, track: Track | None) -> None:
    of_track = {"of_builder": key[0], "of_line": key[1]}
    if track is None:
        DROP_TRACK.run(connection, of_track)
        return
    content = track_text(track)
    if not SET_TRACK.run(connection, {**of_track, "to_content": content}):
        INSERT_TRACK.run(connection, {"builder": key[0], "line": key[1], "content": content})


def _touched(steps: Iterable[Step], engine: Engine) -> dict[int, int]:
    """Return the builders that look otherwise after some steps, each with a build."""
    found: dict[int, int] = {}
    for number in dict.fromkeys(each.incident for each in steps):
        incident = engine.changed[number]
        keys = {key for other, key in engine.moved if other == number}
        places = [each for each in incident.places if place_key(each) in keys]
        found.update({each.builder: each.last_bad.id for each in places or incident.places[:1]})
    return dict([*found.items()][:MOST_TOUCHED])


def _ended_by(ended: EndedBuild, at: float) -> EndedBuild:
    """Return the build with a time of its end that is not after ``at``.

    The clock of its master may be ahead.
    """
    if ended.at <= at:
        return ended
    return evolve(ended, build=evolve(ended.build, complete_at=int(at)))


def _reason(reason: Reason, memory: Memory) -> IncidentReason:
    return IncidentReason(
        reason=reason,
        state=memory.state,
        earlier=memory.earlier,
        earlier_since=memory.earlier_since,
        rebuilt=memory.rebuilt,
        passed=memory.passed,
    )


def _old(state: str) -> str:
    return "unknown" if state == "new" else state
