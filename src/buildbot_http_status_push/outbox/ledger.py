"""What the relay and catch-up read and write in the outbox.

Each method runs within a transaction of its caller's. All are written for several masters
that share one database: ids decide who was first, rows are claimed with a lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import MOVES, PENDING, Claim, Delivery, State, Verdict
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.backlog import Backlog
from buildbot_http_status_push.outbox.rows import claimed, new_row, storable

KEPT_FOR = 30 * 86400.0
TIDIED_AT_ONCE = 500
PRODUCED = "produced"

Ended: TypeAlias = tuple[Claim, Verdict]
"""A delivery whose attempt has ended, and what becomes of it."""


@frozen
class Probe:
    """Which delivery is to probe a receiver that has trouble.

    Args:
        draw: A random number from 0 to 1: where in the backlog to look first.
        avoid: The lane that was tried last; another one is taken where there is one.
        strict: Whether no delivery is better than one of the avoided lane.
        newer: Whether the avoided lane is tried once more, with a newer status of the same build:
            the receiver may stumble over the older one only.
    """

    draw: float
    avoid: str = ""
    strict: bool = False
    newer: bool = False


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
        return self._insert(connection, new_row(delivery, now))

    def _insert(self, connection: Connection, row: dict[str, Any]) -> bool:
        statement = statements.INSERT[connection.dialect.name]
        values = {**row, "reporter": self.reporter}
        fresh: bool = connection.execute(statement, values).rowcount == 1
        if fresh:
            _count(connection, self.reporter, PRODUCED, 1)
        return fresh

    def known(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have been seen."""
        rows = connection.execute(statements.KNOWN, {"ids": list(ids)})
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
            probe: Which one to take, if the receiver is being probed; None for the backlog's order.

        Returns:
            What was taken: waiting ones in order, then those whose retry is due.
        """
        backlog = Backlog(connection, self.reporter, now)
        if probe is None:
            taken = backlog.in_order(limit)
        else:
            taken = backlog.for_probe(
                probe.draw, probe.avoid, strict=probe.strict, newer=probe.newer
            )
        if not taken:
            return []
        sequences = [place.sequence for place in taken]
        found = connection.execute(statements.ROWS, {"sequences": sequences})
        rows = {row.sequence: row for row in found}
        leased = {"sequences": sequences, "to_owner": self.owner, "until": now + lease}
        connection.execute(statements.LEASE, leased)
        return [claimed(rows[each.sequence], now + lease, more=each.more) for each in taken]

    def release(self, connection: Connection, sequences: Sequence[int] | None = None) -> None:
        """Give claimed deliveries back untried: those named, or all of this master's."""
        mine: dict[str, Any] = {"of_reporter": self.reporter, "of_owner": self.owner}
        if sequences is None:
            connection.execute(statements.RELEASE_ALL, mine)
        else:
            connection.execute(statements.RELEASE, {**mine, "sequences": list(sequences)})

    def record_all(
        self, connection: Connection, ended: Sequence[Ended], now: float
    ) -> list[State | None]:
        """Write down what becomes of several deliveries, first of those that were accepted.

        Args:
            connection: The running transaction.
            ended: Deliveries as they were claimed, each with its verdict; none of them twice.
            now: The time, in seconds since the epoch.

        Returns:
            What ``record`` returns for each.
        """
        accepted = [each for each in ended if each[1].state is State.DELIVERED]
        others = [each for each in ended if each[1].state is not State.DELIVERED]
        found: dict[str, State | None] = self._accept_plain_ones(connection, accepted, now)
        for claim, verdict in (*accepted, *others):
            if claim.delivery.id not in found:
                found[claim.delivery.id] = self.record(connection, claim, verdict, now)
        return [found[claim.delivery.id] for claim, _ in ended]

    def _accept_plain_ones(
        self, connection: Connection, accepted: Sequence[Ended], now: float
    ) -> dict[str, State | None]:
        """Write down all at once where nothing else of the subject is pending: the usual case.

        Returns:
            The state of those for which no more is to be done, by id.
        """
        outcomes = {claim.delivery.id: verdict.outcome for claim, verdict in accepted}
        rows = self._pending_of(connection, [claim.delivery.subject for claim, _ in accepted])
        pending = Counter(row.subject for row in rows)
        plain = [row for row in rows if row.id in outcomes and pending[row.subject] == 1]
        for outcome in {outcomes[row.id] for row in plain}:
            places = [row.sequence for row in plain if outcomes[row.id] == outcome]
            values = {"sequences": places, "to_outcome": storable(outcome), "at": now}
            connection.execute(statements.ACCEPT, values)
        return {row.id: State.DELIVERED for row in plain}

    def _pending_of(self, connection: Connection, subjects: Sequence[str]) -> list[Any]:
        if not subjects:
            return []
        asked = {"of_reporter": self.reporter, "subjects": subjects}
        rows = connection.execute(statements.OF_SUBJECTS, asked)
        return [row for row in rows if State(row.state) in PENDING]

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
            was accepted. None where its state allows no such move, or another master has taken
            it over: somebody else was first.
        """
        place = self._place(connection, claim)
        state = self._unless_late(connection, claim, verdict.state, place.sequence)
        is_taken = place.owner not in (None, self.owner) and state is not State.DELIVERED
        if is_taken or not _may_become(State(place.state), state):
            self.release(connection, [place.sequence])
            return None
        values = {
            "state": state.value,
            "outcome": verdict.outcome,
            "attempts": place.attempts + 1,
            "next_attempt": verdict.next_attempt if state is State.RETRYING else None,
            "updated_at": now,
            "owner": None,
            "lease_until": 0.0,
        }
        _write(connection, claim.delivery.id, values)
        if state is State.DELIVERED:
            self._supersede_older(
                connection, claim.delivery.subject, claim.delivery.event, place.sequence, now
            )
        return state

    def _place(self, connection: Connection, claim: Claim) -> Any:
        place = _find(connection, claim.delivery.id)
        if place is not None:
            return place
        # It comes from an earlier outbox: it is older than all that this one holds.
        first = connection.execute(statements.BEFORE_ALL).scalar_one()
        row = new_row(claim.delivery, claim.created_at)
        self._insert(connection, {**row, "sequence": first, "attempts": claim.attempts})
        return _find(connection, claim.delivery.id)

    def _unless_late(
        self, connection: Connection, claim: Claim, state: State, sequence: int
    ) -> State:
        """Return the state, or ``SUPERSEDED`` if sending it again would be too late."""
        if state not in PENDING:
            return state
        newer = connection.execute(
            statements.NEWER_DELIVERED,
            {
                "of_reporter": self.reporter,
                "of_subject": claim.delivery.subject,
                "place": sequence,
            },
        )
        return State.SUPERSEDED if newer.first() else state

    def _supersede_older(
        self, connection: Connection, subject: str, event: str, sequence: int, now: float
    ) -> None:
        connection.execute(
            statements.SUPERSEDE,
            {
                "of_reporter": self.reporter,
                "of_subject": subject,
                "place": sequence,
                "to_outcome": f"a newer status ({event}) was accepted",
                "at": now,
            },
        )

    def waiting(self, connection: Connection) -> int:
        """Return how many deliveries are still to be sent."""
        found = connection.execute(statements.WAITING, {"of_reporter": self.reporter})
        return int(found.scalar_one())

    def oldest_pending_build(self, connection: Connection) -> int | None:
        """Return the lowest id of the builds that have a delivery still to be sent."""
        found = connection.execute(statements.OLDEST_BUILD, {"of_reporter": self.reporter})
        build: int | None = found.scalar_one()
        return build

    def give_up(self, connection: Connection, created_before: float, now: float) -> None:
        """Make deliveries dead that waited for a receiver too long."""
        connection.execute(
            statements.GIVE_UP,
            {
                "of_reporter": self.reporter,
                "before": created_before,
                "to_outcome": "given up: the receiver could not be reached in all that time",
                "at": now,
            },
        )

    def tidy(self, connection: Connection, now: float) -> bool:
        """Delete rows that ended more than 30 days ago, a few hundred at once.

        Those of other reporters too: one that was renamed does not come back for its own.

        Returns:
            Whether there may be more.
        """
        old = {"before": now - KEPT_FOR, "most": TIDIED_AT_ONCE}
        rows = connection.execute(statements.OLD, old).all()
        for (reporter, state), amount in Counter((row[1], row[2]) for row in rows).items():
            _count(connection, reporter, state, amount)
        connection.execute(statements.DELETE, {"sequences": [row.sequence for row in rows]})
        return len(rows) == TIDIED_AT_ONCE

    def export(self, connection: Connection) -> list[dict[str, Any]]:
        """Return all rows, in order, for another outbox to take over."""
        return [dict(row._mapping) for row in connection.execute(statements.EVERYTHING)]

    def take_over(self, connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep what another outbox holds: its new rows, and what it knows more of others."""
        for row in rows:
            fresh = {name: row[name] for name in row if name != "sequence"}
            if not self._insert(connection, fresh):
                _merge(connection, row)
            if row["state"] == State.DELIVERED.value:
                sequence = _find(connection, row["id"]).sequence
                self._supersede_older(
                    connection, row["subject"], row["event"], sequence, row["updated_at"]
                )


def _count(connection: Connection, reporter: str, name: str, amount: int) -> None:
    """Add to one of the totals that outlive the rows they count."""
    values = {"reporter": reporter, "name": name, "count": amount}
    connection.execute(statements.COUNT[connection.dialect.name], values)


def _find(connection: Connection, delivery_id: str) -> Any:
    return connection.execute(statements.PLACE, {"of_id": delivery_id}).first()


def _merge(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write down what another outbox found out about a delivery that is known here too."""
    place = _find(connection, row["id"])
    known, found = State(place.state), State(row["state"])
    if row["outcome"] is not None and _may_become(known, found):
        attempts = max(place.attempts, row["attempts"])
        _write(connection, row["id"], {**row, "attempts": attempts})
    elif row["owner"] is not None and known in PENDING:
        leased = {"to_owner": row["owner"], "until": row["lease_until"]}
        connection.execute(statements.LEASE, {"sequences": [place.sequence], **leased})


def _may_become(known: State, found: State) -> bool:
    """Tell whether an attempt can move a delivery; only a person brings a dead one back."""
    return found in MOVES[known] and (known in PENDING or found not in PENDING)


def _write(connection: Connection, delivery_id: str, values: Mapping[str, Any]) -> None:
    is_sent = values["state"] in (State.DELIVERED.value, State.SUPERSEDED.value)
    connection.execute(
        statements.RECORD_END if is_sent else statements.RECORD,
        {
            "of_id": delivery_id,
            "to_state": values["state"],
            "to_outcome": storable(values["outcome"]),
            "to_attempts": values["attempts"],
            "to_next_attempt": values["next_attempt"],
            "at": values["updated_at"],
            "to_owner": values["owner"],
            "until": values["lease_until"],
        },
    )
