"""What people ask of an outbox, and what they may change in it: counts, lists, redeliver, drop.

Each function runs within a transaction of its caller's, as in
``database.transact([inspection.stats])``. Knows neither Buildbot nor HTTP.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from attrs import field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import PENDING, SUPERFLUOUS_AFTER, State
from buildbot_http_status_push.outbox.insertion import PRODUCED
from buildbot_http_status_push.outbox.schema import deliveries, totals

REDELIVERABLE = frozenset({State.DEAD, State.RETRYING})

_d = deliveries.c
_newer = deliveries.alias()
_is_late = sa.exists().where(
    _newer.c.reporter == _d.reporter,
    _newer.c.lane == _d.lane,
    # The subject of a build request is called as the lane of its builds.
    sa.or_(_newer.c.subject == _d.subject, _newer.c.lane == _d.subject),
    _newer.c.state == State.DELIVERED.value,
    _newer.c.sequence > _d.sequence,
    sa.or_(
        *(
            sa.and_(_newer.c.event == event, _d.event.in_(sorted(older)))
            for event, older in SUPERFLUOUS_AFTER.items()
        )
    ),
)

_COLUMNS = (
    *(_d.id, _d.reporter, _d.lane, _d.subject, _d.event, _d.title, _d.build, _d.content_type),
    *(_d.state, _d.created_at, _d.updated_at, _d.attempts, _d.next_attempt, _d.outcome),
    *(_d.owner, _d.lease_until, sa.func.length(_d.body).label("size")),
)


class NotPossibleError(Exception):
    """What was asked for can't be done; the text says why."""


@frozen
class Stats:
    """How many deliveries there were and are, of one reporter or of all.

    Args:
        reporter: The reporter's name, empty for all of them.
        produced: How many were ever put into the outbox.
        states: How many are in which state; ended ones are counted after their row is deleted.
        oldest_waiting: When the oldest one that is still to be sent entered the outbox, in
            seconds since the epoch.
    """

    reporter: str
    produced: int
    states: dict[State, int]
    oldest_waiting: float | None

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
    return Stats(reporter, counts.get(PRODUCED, 0), states, oldest)


def in_all(each: Iterable[Stats]) -> Stats:
    """Add the counts of several reporters."""
    every = list(each)
    moments = [one.oldest_waiting for one in every if one.oldest_waiting is not None]
    states = {state: sum(one.states[state] for one in every) for state in State}
    return Stats("", sum(one.produced for one in every), states, min(moments, default=None))


def entries(
    connection: Connection, states: Collection[State] = (), limit: int | None = None
) -> list[Entry]:
    """List deliveries in the order in which they came.

    Args:
        connection: The running transaction.
        states: Only those in one of these states; all where it is empty.
        limit: How many at most: the latest.
    """
    query = sa.select(*_COLUMNS).order_by(_d.sequence.desc()).limit(limit)
    if states:
        query = query.where(_d.state.in_([state.value for state in states]))
    return _read(connection, query)[::-1]


def _read(connection: Connection, query: Any) -> list[Entry]:
    return [Entry(**row._mapping) for row in connection.execute(query)]


def show(connection: Connection, prefix: str) -> Entry:
    """Return one delivery.

    Args:
        connection: The running transaction.
        prefix: Its id, or as much of it as no other id begins with.

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


def redeliver(connection: Connection, prefix: str, now: float) -> Entry:
    """Have one delivery sent again: a dead one, or one that waits for its next attempt.

    Args:
        connection: The running transaction.
        prefix: Its id, or as much of it as no other id begins with.
        now: The time, in seconds since the epoch.

    Raises:
        NotPossibleError: Its state or what has become of it allows no such thing.
    """
    entry = show(connection, prefix)
    if entry.state is State.WAITING:
        raise NotPossibleError(f"{entry.id} waits to be sent as it is")
    if entry.state not in REDELIVERABLE or entry.size is None:
        raise NotPossibleError(
            f"{entry.id} can't be sent again: it is {entry.state.value} and its body is not kept"
        )
    if not _send_again(connection, _d.id == entry.id, now):
        raise NotPossibleError(
            f"{entry.id} is not sent again: a newer status of {entry.title} was accepted, "
            "and this one would come too late"
        )
    return show(connection, entry.id)


def redeliver_many(
    connection: Connection, states: Collection[State], now: float, since: float = 0.0
) -> int:
    """Have all deliveries in some states sent again, where that is possible and not too late.

    Args:
        connection: The running transaction.
        states: ``DEAD``, ``RETRYING`` or both.
        now: The time, in seconds since the epoch.
        since: Only those that entered the outbox from then on, in seconds since the epoch.

    Returns:
        How many.
    """
    movable = [state.value for state in REDELIVERABLE.intersection(states)]
    return _send_again(connection, sa.and_(_d.state.in_(movable), _d.created_at >= since), now)


def _send_again(connection: Connection, which: Any, now: float) -> int:
    """Let deliveries wait in their lanes again, with all the time that a new one has."""
    again = {"state": State.WAITING.value, "next_attempt": None}
    changed = connection.execute(
        deliveries.update()
        .where(which, _d.body.is_not(None), ~_is_late)
        .values(**again, created_at=now, updated_at=now)
    )
    return int(changed.rowcount)


def drop(connection: Connection, prefix: str, now: float) -> Entry:
    """Never send a delivery, and forget its body.

    Args:
        connection: The running transaction.
        prefix: Its id, or as much of it as no other id begins with.
        now: The time, in seconds since the epoch.

    Raises:
        NotPossibleError: It has been delivered, superseded or dropped.
    """
    entry = show(connection, prefix)
    if entry.size is None:
        raise NotPossibleError(f"{entry.id} is {entry.state.value}: there is nothing to drop")
    connection.execute(
        deliveries.update()
        .where(_d.id == entry.id)
        .values(
            state=State.DEAD.value,
            body=None,
            next_attempt=None,
            outcome="dropped on request",
            updated_at=now,
        )
    )
    return show(connection, entry.id)
