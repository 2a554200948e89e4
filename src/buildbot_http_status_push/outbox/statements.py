"""The SQL that the outbox runs again and again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    REQUEST_EVENTS,
    STATES,
    SUPERFLUOUS_AFTER,
    State,
)
from buildbot_http_status_push.outbox.schema import deliveries, totals
from buildbot_http_status_push.prepared_statements import Prepared

_ENDED = [sa.literal(state.value) for state in State if state not in PENDING]
_REVIVABLE = [
    sa.literal(state.value)
    for state, allowed in MOVES.items()
    if State.WAITING in allowed and state not in PENDING
]
_PENDING = [sa.literal(state.value) for state in State if state in PENDING]

_d = deliveries.c
_given = sa.bindparam
_mine = _d.reporter == _given("of_reporter")
_mine_pending = sa.and_(_mine, _d.state.in_(_PENDING))
_of_owner = sa.and_(_mine, _d.owner == _given("of_owner"))
_update = deliveries.update()
_freed = {"owner": None, "lease_until": 0.0}

ROWS = Prepared(lambda sequences: sa.select(deliveries).where(_d.sequence.in_(sequences)))

LEASE = Prepared(
    lambda sequences: _update.where(_d.sequence.in_(sequences)).values(
        owner=_given("to_owner"), lease_until=_given("until")
    )
)

RELEASE = Prepared(
    lambda sequences: _update.where(_of_owner, _d.sequence.in_(sequences)).values(_freed)
)

RELEASE_ALL = Prepared(lambda: _update.where(_of_owner).values(_freed))

RENEW = Prepared(
    lambda sequences: _update.where(_of_owner, _d.sequence.in_(sequences)).values(
        lease_until=_given("until")
    )
)

CLAIMED = Prepared(
    lambda: sa.select(
        *(_d.sequence, _d.owner, _d.lease_until), *(_d.lane, _d.subject, _d.event)
    ).where(_mine, _d.owner.is_not(None))
)

KNOWN = Prepared(lambda ids: sa.select(_d.id).where(_d.id.in_(ids)))

PLACE = Prepared(
    lambda: sa.select(
        *(_d.state, _d.sequence, _d.owner, _d.attempts), *(_d.lane, _d.subject, _d.event)
    ).where(_d.id == _given("of_id"))
)

BEFORE_ALL = Prepared(lambda: sa.select(sa.func.coalesce(sa.func.min(_d.sequence), 1) - 1))

_newer = deliveries.alias()
IS_LATE = sa.exists().where(
    _newer.c.reporter == _d.reporter,
    # In the lane of a build request are its builds, whose events make the request's superfluous.
    _newer.c.lane == _d.lane,
    sa.or_(_newer.c.subject == _d.subject, _newer.c.lane == _d.subject),
    _newer.c.state == State.DELIVERED.value,
    _newer.c.sequence > _d.sequence,
    sa.or_(
        *(
            sa.and_(_newer.c.event == event, _d.event.in_(list(map(sa.literal, sorted(older)))))
            for event, older in (*SUPERFLUOUS_AFTER.items(), *STATES.items())
        )
    ),
)
"""Whether a newer status was accepted, after which a delivery need not be sent."""
LATE = Prepared(lambda: sa.select(_d.sequence).where(_d.sequence == _given("place"), IS_LATE))

# Whether they are pending is left to the caller: asked for both, a planner may read the backlog.
OF_SUBJECTS = Prepared(
    lambda subjects: sa.select(_d.id, _d.lane, _d.subject, _d.sequence, _d.state).where(
        _mine, _d.subject.in_(subjects)
    )
)

ACCEPT = Prepared(
    lambda sequences: _update.where(_d.sequence.in_(sequences)).values(
        state=State.DELIVERED.value,
        body=None,
        attempts=_d.attempts + 1,
        next_attempt=None,
        outcome=_given("to_outcome"),
        updated_at=_given("at"),
        **_freed,
    )
)

# The columns' own names are taken by what an UPDATE sets.
_record = _update.where(_d.id == _given("of_id")).values(
    state=_given("to_state"),
    outcome=_given("to_outcome"),
    attempts=_given("to_attempts"),
    next_attempt=_given("to_next_attempt"),
    updated_at=_given("at"),
    owner=_given("to_owner"),
    lease_until=_given("until"),
)
RECORD = Prepared(lambda: _record)
RECORD_END = Prepared(lambda: _record.values(body=None))
"""For a delivery that will not be sent any more."""

SUPERSEDE = Prepared(
    lambda subjects, events: (
        _update.where(_mine_pending, _d.subject.in_(subjects))
        .where(_d.event.in_(events), _d.sequence < _given("place"))
        .values(
            state=State.SUPERSEDED.value,
            body=None,
            next_attempt=None,
            outcome=_given("to_outcome"),
            updated_at=_given("at"),
        )
    )
)

# What is claimed may be on its way: its attempt decides.
REPLACE = Prepared(
    lambda: _update.where(
        *(_mine_pending, _d.subject == _given("of_subject")),
        *(_d.id != _given("of_id"), _d.owner.is_(None)),
    ).values(
        state=State.SUPERSEDED.value,
        body=None,
        next_attempt=None,
        outcome=_given("to_outcome"),
        updated_at=_given("at"),
    )
)

GIVE_UP = Prepared(
    lambda groups: _update.where(
        _mine_pending, _d.created_at < _given("before"), _d.group.in_(groups)
    ).values(
        state=State.DEAD.value,
        next_attempt=None,
        outcome=_given("to_outcome"),
        updated_at=_given("at"),
    )
)

PUT_AGAIN = Prepared(
    lambda: _update.where(_mine, _d.id == _given("of_id"), _d.state.in_(_REVIVABLE)).values(
        state=State.WAITING.value,
        group=_given("to_group"),
        body=_given("to_body"),
        attempts=0,
        next_attempt=None,
        outcome=None,
        created_at=_given("at"),
        updated_at=_given("at"),
    )
)

CLAMP_FUTURE_CREATION = Prepared(
    lambda: _update.where(_mine_pending, _d.created_at > _given("latest")).values(
        created_at=_given("at")
    )
)
CLAMP_FUTURE_RETRY = Prepared(
    lambda: _update.where(_mine, _d.next_attempt > _given("latest")).values(
        next_attempt=_given("at")
    )
)
# Whose lease is over may have sent something: what claims next looks into that.
CLAMP_FUTURE_LEASE = Prepared(
    lambda: _update.where(_mine, _d.owner.is_not(None), _d.lease_until > _given("latest")).values(
        lease_until=_given("at")
    )
)

WAITING = Prepared(lambda: sa.select(sa.func.count()).select_from(deliveries).where(_mine_pending))
OLDEST_BUILD = Prepared(lambda: sa.select(sa.func.min(_d.build)).where(_mine_pending))
OLDEST_REQUEST = Prepared(
    lambda: sa.select(sa.func.min(_d.created_at)).where(
        _mine_pending, _d.event.in_([sa.literal(each) for each in sorted(REQUEST_EVENTS)])
    )
)

OLD = Prepared(
    lambda: (
        sa.select(_d.sequence, _d.reporter, _d.state)
        .where(_d.state.in_(_ENDED), _d.updated_at < _given("before"))
        .limit(_given("most"))
    )
)
DELETE = Prepared(lambda sequences: deliveries.delete().where(_d.sequence.in_(sequences)))

EVERYTHING = Prepared(lambda: sa.select(deliveries).order_by(_d.sequence))


def _insert_unless_there(dialect: Any) -> Prepared:
    statement = dialect.insert(deliveries).inline()
    return Prepared(lambda: statement.on_conflict_do_nothing(index_elements=["id"]))


def _count(dialect: Any) -> Prepared:
    statement = dialect.insert(totals)
    return Prepared(
        lambda: statement.on_conflict_do_update(
            index_elements=["reporter", "name"],
            set_={"count": totals.c.count + statement.excluded.count},
        )
    )


_DIALECTS = {"sqlite": sqlite, "postgresql": postgresql}
INSERT = {name: _insert_unless_there(dialect) for name, dialect in _DIALECTS.items()}
"""Keeps a delivery whose id is new, for each kind of database."""
COUNT = {name: _count(dialect) for name, dialect in _DIALECTS.items()}
"""Adds to one of the totals, for each kind of database."""
