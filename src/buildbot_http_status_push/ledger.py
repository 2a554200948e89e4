"""The statements on the outbox's tables that the relay and catch-up need.

Each method runs within a transaction of its caller's. All are written for several masters
that share one database: ids decide who was first, rows are claimed with a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import MOVES, PENDING, Claim, Delivery, State, Verdict
from buildbot_http_status_push.schema import deliveries, lock, totals

KEPT_FOR = 30 * 86400.0
TIDIED_AT_ONCE = 500
PRODUCED = "produced"

_d = deliveries.c
_PENDING = [state.value for state in PENDING]
_ENDED = [state.value for state in State if state not in PENDING]


def insert_unless_there(connection: Connection, table: sa.Table) -> Any:
    """Return an insert that does nothing where a unique key is taken already."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def count(connection: Connection, reporter: str, name: str, amount: int) -> None:
    """Add to one of the totals that outlive the rows they count."""
    if not amount:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(totals).values(reporter=reporter, name=name, count=amount)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["reporter", "name"], set_={"count": totals.c.count + amount}
        )
    )


@frozen
class Probe:
    """Which delivery is to probe a receiver that has trouble.

    Args:
        draw: A random number from 0 to 1: where in the backlog to look first.
        avoid: The lane that was tried last; another one is taken where there is one.
        strict: Whether no delivery is better than one of the avoided lane.
    """

    draw: float
    avoid: str = ""
    strict: bool = False


@frozen
class Ledger:
    """What one reporter of one master writes and reads.

    Args:
        reporter: The reporter's name: rows of others are not touched.
        owner: The master's identity, for its leases.
    """

    reporter: str
    owner: str

    def put(self, connection: Connection, delivery: Delivery, now: float) -> bool:
        """Keep a delivery, unless its id has been seen.

        Returns:
            Whether it is new.
        """
        return self._insert(connection, _row(delivery, now))

    def _insert(self, connection: Connection, row: dict[str, Any]) -> bool:
        statement = insert_unless_there(connection, deliveries)
        fresh = connection.execute(statement.values(reporter=self.reporter, **row)).rowcount == 1
        count(connection, self.reporter, PRODUCED, int(fresh))
        return fresh

    def known(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have been seen."""
        rows = connection.execute(sa.select(_d.id).where(_d.id.in_(list(ids))))
        return {row.id for row in rows}

    def claim(
        self,
        connection: Connection,
        now: float,
        lease: float,
        limit: int,
        probe: Probe | None = None,
    ) -> list[Claim]:
        """Take deliveries that may be sent now, one of a lane at most, and lock their lanes.

        Args:
            connection: The running transaction.
            now: The time, in seconds since the epoch.
            lease: Seconds until others may take them, should this master be gone.
            limit: How many at most.
            probe: Where to look, if the receiver is being probed; None for the backlog's order.

        Returns:
            What was taken: waiting ones in order, then those whose retry is due.
        """
        lock(connection)
        rows = self._waiting(connection, now, limit, probe)
        if len(rows) < limit and not (probe and probe.strict):
            rows += self._due_retries(connection, now, limit - len(rows))
        taken = [row.sequence for row in rows]
        if taken:
            lease_values = {"owner": self.owner, "lease_until": now + lease}
            connection.execute(
                deliveries.update().where(_d.sequence.in_(taken)).values(**lease_values)
            )
        return [_claim(row) for row in rows]

    def _waiting(
        self, connection: Connection, now: float, limit: int, probe: Probe | None
    ) -> list[Any]:
        other = deliveries.alias()
        heads = (
            sa.select(deliveries)
            .where(self._mine(State.WAITING), self._lane_is_free(now))
            .where(~self._in_lane(other, State.WAITING, other.c.sequence < _d.sequence))
            .order_by(_d.sequence)
            .limit(limit)
        )
        queries = self._for_probe(connection, heads, probe) if probe else [heads]
        found = (list(connection.execute(query)) for query in queries)
        return next(filter(None, found), [])

    def _for_probe(self, connection: Connection, heads: Any, probe: Probe) -> list[Any]:
        ends = sa.select(sa.func.min(_d.sequence), sa.func.max(_d.sequence))
        low, high = connection.execute(ends.where(self._mine(State.WAITING))).one()
        if low is None:
            return []
        elsewhere = heads.where(_d.lane != probe.avoid)
        from_draw = elsewhere.where(_d.sequence >= low + int(probe.draw * (high - low)))
        return [from_draw, elsewhere] if probe.strict else [from_draw, elsewhere, heads]

    def _due_retries(self, connection: Connection, now: float, limit: int) -> list[Any]:
        other, earlier = deliveries.alias(), deliveries.alias()
        due = (
            sa.select(deliveries)
            .where(self._mine(State.RETRYING), _d.next_attempt <= now, self._lane_is_free(now))
            # What goes in order goes first: it may make the retry superfluous.
            .where(~self._in_lane(other, State.WAITING))
            .where(
                ~self._in_lane(
                    earlier,
                    State.RETRYING,
                    earlier.c.sequence < _d.sequence,
                    earlier.c.next_attempt <= now,
                )
            )
            .order_by(_d.sequence)
            .limit(limit)
        )
        return list(connection.execute(due))

    def _mine(self, state: State) -> Any:
        return sa.and_(_d.reporter == self.reporter, _d.state == state.value)

    def _lane_is_free(self, now: float) -> Any:
        leased = deliveries.alias()
        return ~sa.exists().where(
            leased.c.reporter == self.reporter,
            leased.c.lane == _d.lane,
            leased.c.state.in_(_PENDING),
            leased.c.lease_until > now,
        )

    def _in_lane(self, other: Any, state: State, *conditions: Any) -> Any:
        return sa.exists().where(
            other.c.reporter == self.reporter,
            other.c.lane == _d.lane,
            other.c.state == state.value,
            *conditions,
        )

    def release(self, connection: Connection, sequences: Sequence[int] | None = None) -> None:
        """Give claimed deliveries back untried: those named, or all of this master's."""
        mine = sa.and_(_d.reporter == self.reporter, _d.owner == self.owner)
        if sequences is not None:
            mine = sa.and_(mine, _d.sequence.in_(list(sequences)))
        connection.execute(deliveries.update().where(mine).values(owner=None, lease_until=0.0))

    def record(
        self, connection: Connection, claim: Claim, verdict: Verdict, now: float
    ) -> State | None:
        """Write down what becomes of a delivery, and supersede what that makes superfluous.

        Args:
            connection: The running transaction.
            claim: The delivery as it was claimed; where it has no row (the outbox it came from
                broke meanwhile), it gets one.
            verdict: What becomes of it.
            now: The time, in seconds since the epoch.

        Returns:
            The state that it has now: ``SUPERSEDED`` where a newer status of the same subject
            was accepted. None where its state allows no such move: somebody else was first.
        """
        state, sequence = self._place(connection, claim)
        final = self._unless_late(connection, claim, verdict.state, sequence)
        if final not in MOVES[state]:
            return None
        values = {
            "state": final.value,
            "outcome": verdict.outcome,
            "next_attempt": verdict.next_attempt if final is State.RETRYING else None,
            "attempts": claim.attempts + 1,
            "updated_at": now,
            "owner": None,
            "lease_until": 0.0,
        }
        self._update(connection, _d.id == claim.delivery.id, final, values)
        if final is State.DELIVERED:
            self._supersede_older(connection, claim, sequence, now)
        return final

    def _place(self, connection: Connection, claim: Claim) -> tuple[State, int]:
        query = sa.select(_d.state, _d.sequence).where(_d.id == claim.delivery.id)
        if connection.execute(query).first() is None:
            self._insert(connection, _row(claim.delivery, claim.created_at))
        row = connection.execute(query).one()
        return State(row.state), row.sequence

    def _unless_late(
        self, connection: Connection, claim: Claim, state: State, sequence: int
    ) -> State:
        if state is not State.RETRYING:
            return state
        newer = sa.select(sa.func.count()).where(
            self._mine(State.DELIVERED),
            _d.subject == claim.delivery.subject,
            _d.sequence > sequence,
        )
        return State.SUPERSEDED if connection.execute(newer).scalar() else state

    def _supersede_older(
        self, connection: Connection, claim: Claim, sequence: int, now: float
    ) -> None:
        older = sa.and_(
            _d.reporter == self.reporter,
            _d.subject == claim.delivery.subject,
            _d.sequence < sequence,
            _d.state.in_(_PENDING),
        )
        values = {
            "state": State.SUPERSEDED.value,
            "outcome": f"a newer status ({claim.delivery.event}) was accepted",
            "updated_at": now,
        }
        self._update(connection, older, State.SUPERSEDED, values)

    @staticmethod
    def _update(connection: Connection, which: Any, state: State, values: dict[str, Any]) -> None:
        if state in (State.DELIVERED, State.SUPERSEDED):
            values = {**values, "body": None}
        connection.execute(deliveries.update().where(which).values(**values))

    def waiting(self, connection: Connection) -> int:
        """Return how many deliveries are still to be sent."""
        query = sa.select(sa.func.count()).where(
            _d.reporter == self.reporter, _d.state.in_(_PENDING)
        )
        return int(connection.execute(query).scalar() or 0)

    def oldest_pending_build(self, connection: Connection) -> int | None:
        """Return the lowest id of the builds that have a delivery still to be sent."""
        query = sa.select(sa.func.min(_d.build)).where(
            _d.reporter == self.reporter, _d.state.in_(_PENDING)
        )
        build: int | None = connection.execute(query).scalar()
        return build

    def give_up(self, connection: Connection, created_before: float, now: float) -> None:
        """Make deliveries dead that waited for a receiver too long."""
        late = sa.and_(
            _d.reporter == self.reporter, _d.state.in_(_PENDING), _d.created_at < created_before
        )
        values = {
            "state": State.DEAD.value,
            "outcome": "given up: the receiver could not be reached in all that time",
            "updated_at": now,
        }
        self._update(connection, late, State.DEAD, values)

    def tidy(self, connection: Connection, now: float) -> bool:
        """Delete rows that ended more than 30 days ago, a few hundred at once.

        Returns:
            Whether there may be more.
        """
        old = sa.select(_d.sequence, _d.state).where(
            _d.reporter == self.reporter, _d.state.in_(_ENDED), _d.updated_at < now - KEPT_FOR
        )
        rows = list(connection.execute(old.limit(TIDIED_AT_ONCE)))
        for state in _ENDED:
            count(connection, self.reporter, state, sum(row.state == state for row in rows))
        connection.execute(
            deliveries.delete().where(_d.sequence.in_([row.sequence for row in rows]))
        )
        return len(rows) == TIDIED_AT_ONCE

    def export(self, connection: Connection) -> list[dict[str, Any]]:
        """Return all rows, in order, for another outbox to take over."""
        rows = connection.execute(sa.select(deliveries).order_by(_d.sequence))
        return [dict(row._mapping) for row in rows]

    def take_over(self, connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
        """Keep what another outbox has: new rows, and moves that are legal for known ones."""
        for row in rows:
            fresh = {name: row[name] for name in row if name not in ("sequence", "reporter")}
            fresh |= {"owner": None, "lease_until": 0.0}
            if not self._insert(connection, fresh):
                sources = [each.value for each in State if State(row["state"]) in MOVES[each]]
                moved = {name: row[name] for name in ("state", "outcome", "updated_at", "body")}
                connection.execute(
                    deliveries.update()
                    .where(_d.id == row["id"], _d.state.in_(sources))
                    .values(**moved, attempts=row["attempts"], next_attempt=row["next_attempt"])
                )


def _row(delivery: Delivery, now: float) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "lane": delivery.lane,
        "subject": delivery.subject,
        "event": delivery.event,
        "title": delivery.title,
        "build": delivery.build,
        "content_type": delivery.content_type,
        "body": delivery.body,
        "state": State.WAITING.value,
        "created_at": now,
        "updated_at": now,
        "attempts": 0,
        "lease_until": 0.0,
    }


def _claim(row: Any) -> Claim:
    delivery = Delivery(
        id=row.id,
        lane=row.lane,
        subject=row.subject,
        event=row.event,
        title=row.title,
        content_type=row.content_type,
        body=bytes(row.body),
        build=row.build,
    )
    return Claim(delivery, row.created_at, row.attempts, row.sequence)
