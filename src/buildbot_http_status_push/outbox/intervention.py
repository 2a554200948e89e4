"""What people may change in an outbox: have deliveries sent again, drop them, give them away.

Each function runs within a transaction of its caller's. Knows neither Buildbot nor HTTP.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import PENDING, State
from buildbot_http_status_push.outbox.inspection import Entry, NotPossibleError, Selection, show
from buildbot_http_status_push.outbox.repository import PRODUCED
from buildbot_http_status_push.outbox.repository import count as add_to_total
from buildbot_http_status_push.outbox.schema import deliveries
from buildbot_http_status_push.outbox.statements import IS_LATE

PORTION = 500
"""How many deliveries are changed in one transaction: a running master waits no longer."""

REDELIVERABLE = frozenset({State.DEAD, State.RETRYING})

_d = deliveries.c
_is_being_sent = sa.and_(_d.owner.is_not(None), _d.lease_until > sa.bindparam("now"))


def redeliver(connection: Connection, prefix: str, now: float) -> Entry:
    """Have one delivery sent again: a dead one, or one that waits for its next attempt.

    Raises:
        NotPossibleError: Its state or what has become of it allows no such thing.
    """
    entry = show(connection, prefix)
    if entry.state is State.WAITING:
        raise NotPossibleError(f"{entry.id} is waiting: it is sent without 'outbox redeliver'")
    if entry.state not in REDELIVERABLE or entry.size is None:
        raise NotPossibleError(
            f"{entry.id} can't be sent again: it is {entry.state.value} and its body is not kept; "
            "'outbox backfill' sends past builds again"
        )
    if not _send_again(connection, _d.id == entry.id, now):
        raise NotPossibleError(
            f"{entry.id} is not sent again: a newer status of {entry.title} was accepted, "
            "and this one would come too late"
        )
    return show(connection, entry.id)


def redeliver_some(
    connection: Connection, selection: Selection, now: float, after: int = 0
) -> tuple[int, int | None]:
    """Have deliveries sent again, where that is possible and not too late: one portion of them.

    Args:
        connection: The running transaction.
        selection: Which ones; of its states, those that can be sent again.
        now: The time, in seconds since the epoch.
        after: Where the portion before ended, 0 for the first.

    Returns:
        How many, and where this portion ended, None if nothing is left.
    """
    movable = _d.state.in_([state.value for state in REDELIVERABLE])
    places = (
        sa.select(_d.sequence)
        .where(selection.condition, movable, _d.sequence > after)
        .order_by(_d.sequence)
        .limit(PORTION)
    )
    portion = list(connection.execute(places).scalars())
    if not portion:
        return 0, None
    return _send_again(connection, _d.sequence.in_(portion), now), portion[-1]


def _send_again(connection: Connection, which: Any, now: float) -> int:
    """Let deliveries wait in their lanes again, with all the time that a new one has."""
    again = {"state": State.WAITING.value, "next_attempt": None}
    changed = connection.execute(
        deliveries.update()
        .where(which, _d.body.is_not(None), ~IS_LATE)
        .values(**again, created_at=now, updated_at=now)
    )
    return int(changed.rowcount)


def drop(connection: Connection, prefix: str, now: float) -> Entry:
    """Never send a delivery, and forget its body.

    Raises:
        NotPossibleError: It has been delivered, superseded or dropped.
    """
    entry = show(connection, prefix)
    if entry.size is None:
        raise NotPossibleError(f"{entry.id} is {entry.state.value}: there is nothing to drop")
    _drop(connection, _d.id == entry.id, now)
    return show(connection, entry.id)


def drop_all(connection: Connection, selection: Selection, now: float) -> int:
    """Never send deliveries, and forget their bodies; return how many."""
    return _drop(connection, selection.condition, now)


def _drop(connection: Connection, which: Any, now: float) -> int:
    dropped = connection.execute(
        deliveries.update()
        .where(which)
        .values(
            state=State.DEAD.value,
            body=None,
            next_attempt=None,
            outcome="dropped on request",
            updated_at=now,
        )
    )
    return int(dropped.rowcount)


def movable(reporter: str) -> Selection:
    """Return which deliveries of a reporter another one can have."""
    return Selection(reporter=reporter, states=PENDING | {State.DEAD}, with_body=True)


def move(connection: Connection, of: str, to: str, now: float) -> int:
    """Give a reporter's deliveries that are kept to another one; return how many.

    Raises:
        NotPossibleError: A running master is sending some of them.
    """
    mine = movable(of).condition
    busy = sa.select(sa.func.count()).select_from(deliveries).where(mine, _is_being_sent)
    if under_way := connection.execute(busy, {"now": now}).scalar_one():
        raise NotPossibleError(
            f"{under_way} deliveries of {of} are being sent by a master just now: rename the "
            "reporter there, or stop that master, and try again a minute later"
        )
    moved = connection.execute(
        deliveries.update().where(mine).values(reporter=to, owner=None, lease_until=0.0)
    )
    for reporter, amount in ((of, -moved.rowcount), (to, moved.rowcount)):
        add_to_total(connection, reporter, PRODUCED, amount)
    return int(moved.rowcount)
