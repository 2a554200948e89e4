"""What people ask of an outbox: counts, lists, causes of trouble, single deliveries.

Each function runs within a transaction of its caller's, as in
``database.transact([inspection.stats])``. Knows neither Buildbot nor HTTP.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import sqlalchemy as sa
from attrs import field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import PENDING, State
from buildbot_http_status_push.outbox.repository import PRODUCED
from buildbot_http_status_push.outbox.schema import deliveries, totals

PAGE = 500

_d = deliveries.c

_COLUMNS = (
    *(_d.id, _d.reporter, _d.lane, _d.subject, _d.event, _d.title, _d.build, _d.content_type),
    *(_d.state, _d.created_at, _d.updated_at, _d.attempts, _d.next_attempt, _d.outcome),
    *(_d.owner, _d.lease_until, sa.func.length(_d.body).label("size")),
)


_READ = {
    deliveries: ("sequence", "body", *(each.name for each in _COLUMNS if each.name != "size")),
    totals: ("reporter", "name", "count"),
}


class NotPossibleError(Exception):
    """What was asked for can't be done; the text says why."""


@frozen(kw_only=True)
class Selection:
    """What a delivery must be; whatever is left out does not matter.

    Args:
        states: The states that it may be in; empty for any.
        reporter: The name of the reporter that it is of.
        builder: The name of its build's builder.
        title: Its subject in words, such as ``build linux#4``.
        build: The build's id in Buildbot's database.
        came_from: When it entered the outbox at the earliest, in seconds since the epoch.
        came_before: Before when it entered the outbox, in seconds since the epoch.
        with_body: Whether only those are meant whose body is kept.
    """

    states: frozenset[State] = frozenset()
    reporter: str | None = None
    builder: str | None = None
    title: str | None = None
    build: int | None = None
    came_from: float | None = None
    came_before: float | None = None
    with_body: bool = False

    @property
    def condition(self) -> Any:
        """What SQL asks for."""
        return sa.and_(sa.true(), *self._conditions())

    def _conditions(self) -> Iterator[Any]:
        if self.states:
            yield _d.state.in_(sorted(state.value for state in self.states))
        for column, value in (
            (_d.reporter, self.reporter),
            (_d.title, self.title),
            (_d.build, self.build),
        ):
            if value is not None:
                yield column == value
        if self.builder is not None:
            begin = f"build {self.builder}#"
            yield sa.func.substr(_d.title, 1, len(begin)) == begin
        if self.came_from is not None:
            yield _d.created_at >= self.came_from
        if self.came_before is not None:
            yield _d.created_at < self.came_before
        if self.with_body:
            yield _d.body.is_not(None)


ALL = Selection()


@frozen
class Stats:
    """How many deliveries there were and are, of one reporter or of all.

    Args:
        reporter: The reporter's name, empty for all of them.
        produced: How many were ever put into the outbox.
        states: How many are in which state; ended ones are counted after their row is deleted.
        oldest_waiting: When the oldest one that is still to be sent entered the outbox, in
            seconds since the epoch.
        given_up: How many of the dead ones can be sent again; the others were dropped on request,
            or their rows are deleted.
    """

    reporter: str
    produced: int
    states: dict[State, int]
    oldest_waiting: float | None
    given_up: int = 0

    @property
    def pending(self) -> int:
        """How many are still to be sent."""
        return sum(self.states[state] for state in PENDING)

    @property
    def holds(self) -> bool:
        """Whether all that was produced is accounted for."""
        return self.produced == sum(self.states.values())


@frozen
class Entry:
    """A delivery as the outbox keeps it.

    Args:
        id: Its id.
        reporter: The name of the reporter that it is of.
        lane: Deliveries of one lane are sent in order.
        subject: What it is about; a newer accepted one makes it superfluous.
        event: Its event's name.
        title: Its subject in words.
        build: The build's id in Buildbot's database, where it is about one.
        content_type: What its body is.
        state: Where it stands.
        created_at: When it entered the outbox or was last redelivered, in seconds since the epoch.
        updated_at: When its state was last written, in seconds since the epoch.
        attempts: How many attempts were made.
        next_attempt: When it is retried beside its lane, in seconds since the epoch.
        outcome: What came of the last attempt.
        owner: The master that has taken it for an attempt.
        lease_until: Until when others leave it to that master, in seconds since the epoch.
        size: The body's size in bytes, None once the body is no longer kept.
    """

    id: str
    reporter: str
    lane: str
    subject: str
    event: str
    title: str
    build: int | None
    content_type: str
    state: State = field(converter=State)
    created_at: float
    updated_at: float
    attempts: int
    next_attempt: float | None
    outcome: str | None
    owner: str | None
    lease_until: float
    size: int | None


def missing(connection: Connection) -> list[str]:
    """Return the columns that these functions read and that an outbox of another version lacks."""
    inspector = sa.inspect(connection)
    lacking = []
    for table, names in _READ.items():
        known = {each["name"] for each in inspector.get_columns(table.name)}
        lacking += [name for name in names if name not in known]
    return lacking


def reporters(connection: Connection) -> list[str]:
    """Return the names of all reporters that this outbox has ever served."""
    every = sa.select(totals.c.reporter).where(totals.c.name == PRODUCED)
    return list(connection.execute(every.order_by(totals.c.reporter)).scalars())


def stats(connection: Connection) -> list[Stats]:
    """Count the deliveries of each reporter."""
    rows = sa.select(_d.reporter, _d.state, sa.func.count()).group_by(_d.reporter, _d.state)
    gone = sa.select(totals.c.reporter, totals.c.name, totals.c["count"])
    counted: dict[str, dict[str, int]] = {}
    for reporter, name, number in [*connection.execute(rows), *connection.execute(gone)]:
        of_reporter = counted.setdefault(reporter, {})
        of_reporter[name] = of_reporter.get(name, 0) + number
    return [_stats(connection, name, counts) for name, counts in sorted(counted.items())]


def _stats(connection: Connection, reporter: str, counts: dict[str, int]) -> Stats:
    pending = sa.and_(_d.reporter == reporter, _d.state.in_([state.value for state in PENDING]))
    oldest = connection.execute(sa.select(sa.func.min(_d.created_at)).where(pending)).scalar_one()
    states = {state: counts.get(state.value, 0) for state in State}
    dead = Selection(states=frozenset({State.DEAD}), reporter=reporter, with_body=True)
    return Stats(reporter, counts.get(PRODUCED, 0), states, oldest, count(connection, dead))


def stats_of(connection: Connection, reporter: str) -> Stats:
    """Count the deliveries of one reporter."""
    found = (each for each in stats(connection) if each.reporter == reporter)
    return next(found, Stats(reporter, 0, dict.fromkeys(State, 0), None))


def in_all(each: Iterable[Stats]) -> Stats:
    """Add the counts of several reporters."""
    every = list(each)
    moments = [one.oldest_waiting for one in every if one.oldest_waiting is not None]
    states = {state: sum(one.states[state] for one in every) for state in State}
    given_up = sum(one.given_up for one in every)
    produced = sum(one.produced for one in every)
    return Stats("", produced, states, min(moments, default=None), given_up)


def entries(
    connection: Connection,
    selection: Selection = ALL,
    limit: int | None = None,
    offset: int = 0,
    *,
    newest: bool = False,
) -> list[Entry]:
    """List deliveries in the order in which they came."""
    order = _d.sequence.desc() if newest else _d.sequence
    query = sa.select(*_COLUMNS).where(selection.condition).order_by(order)
    return _read(connection, query.limit(limit).offset(offset or None))


def count(connection: Connection, selection: Selection = ALL) -> int:
    """Count deliveries."""
    query = sa.select(sa.func.count()).select_from(deliveries).where(selection.condition)
    return int(connection.execute(query).scalar_one())


@frozen
class Cause:
    """Why deliveries are where they are.

    Args:
        outcome: What came of their last attempts, None where none was made.
        count: How many there are.
        since: When the oldest one entered the outbox, in seconds since the epoch.
    """

    outcome: str | None
    count: int
    since: float


def causes(connection: Connection, selection: Selection = ALL) -> list[Cause]:
    """Say what came of the last attempts, the most frequent first."""
    number = sa.func.count()
    query = (
        sa.select(_d.outcome, number.label("number"), sa.func.min(_d.created_at).label("since"))
        .where(selection.condition)
        .group_by(_d.outcome)
        .order_by(number.desc(), _d.outcome)
    )
    return [Cause(row.outcome, row.number, row.since) for row in connection.execute(query)]


def exported(
    connection: Connection, selection: Selection = ALL, after: int = 0
) -> tuple[list[tuple[Entry, bytes | None]], int]:
    """Return the next deliveries with their bodies, one page at most.

    Args:
        connection: The running transaction.
        selection: Which ones.
        after: Where the page before ended, 0 for the first.

    Returns:
        The deliveries, and where this page ends.
    """
    query = (
        sa.select(_d.sequence, _d.body, *_COLUMNS)
        .where(selection.condition, _d.sequence > after)
        .order_by(_d.sequence)
        .limit(PAGE)
    )
    rows = [dict(row._mapping) for row in connection.execute(query)]
    last = rows[-1]["sequence"] if rows else after
    return [*_with_bodies(rows)], last


def _with_bodies(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[Entry, bytes | None]]:
    for row in rows:
        del row["sequence"]
        found = row.pop("body")
        yield Entry(**row), None if found is None else bytes(found)


def _read(connection: Connection, query: Any) -> list[Entry]:
    return [Entry(**row._mapping) for row in connection.execute(query)]


def show(connection: Connection, prefix: str) -> Entry:
    """Return one delivery, by its id or as much of it as no other id begins with.

    Raises:
        NotPossibleError: There is none, or more than one.
    """
    begins = sa.func.substr(_d.id, 1, len(prefix)) == prefix
    query = sa.select(*_COLUMNS).where(begins).order_by(_d.id).limit(2)
    found = _read(connection, query)
    if not found:
        raise NotPossibleError(f"no delivery's id begins with {prefix!r}: 'outbox list' shows them")
    # An id that another one begins with comes first, and is meant.
    if len(found) > 1 and found[0].id != prefix:
        raise NotPossibleError(f"more than one delivery's id begins with {prefix!r}: write more")
    return found[0]


def body(connection: Connection, delivery_id: str) -> bytes | None:
    """Return a delivery's body, None once it is no longer kept."""
    query = sa.select(_d.body).where(_d.id == delivery_id)
    found = connection.execute(query).scalar_one()
    return None if found is None else bytes(found)
