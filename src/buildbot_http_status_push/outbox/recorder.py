"""Writes down what became of attempts, and supersedes what that makes superfluous.

Each method runs within a transaction of its caller's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    Delivery,
    Disposition,
    LeasedDelivery,
    State,
    makes_superfluous,
)
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.rows import insert, new_row, storable

BACKOFF = "nobody, until its next attempt"
"""Who has what keeps its lane after a refusal. It is under way with no master: what stops or dies
meanwhile leaves no doubt about it."""

Ended: TypeAlias = tuple[LeasedDelivery, Disposition]
"""A delivery whose attempt has ended, and what becomes of it."""


@frozen
class Recorder:
    """Records the outcomes of one reporter's attempts by one master.

    Args:
        reporter: The reporter's name: rows of others are not touched.
        owner: The master's identity, for its leases.
    """

    reporter: str
    owner: str

    def record_all(
        self, connection: Connection, ended: Sequence[Ended], now: float
    ) -> list[State | None]:
        """Write down what becomes of several deliveries, first of those that were accepted.

        Args:
            connection: The running transaction.
            ended: Deliveries as they were claimed, each with its disposition; none of them twice.
            now: The time, in seconds since the epoch.

        Returns:
            What ``record`` returns for each.
        """
        accepted = [each for each in ended if each[1].state is State.DELIVERED]
        others = [each for each in ended if each[1].state is not State.DELIVERED]
        found: dict[str, State | None] = self._accept_plain_ones(connection, accepted, now)
        for claim, disposition in (*accepted, *others):
            if claim.delivery.id not in found:
                found[claim.delivery.id] = self.record(connection, claim, disposition, now)
        return [found[claim.delivery.id] for claim, _ in ended]

    def _accept_plain_ones(
        self, connection: Connection, accepted: Sequence[Ended], now: float
    ) -> dict[str, State | None]:
        """Write down all at once where nothing else of the subject is pending: the usual case.

        Returns:
            The state of those for which no more is to be done, by id.
        """
        outcomes = {claim.delivery.id: disposition.outcome for claim, disposition in accepted}
        rows = self._pending_of(connection, [claim.delivery for claim, _ in accepted])
        pending = Counter(row.subject for row in rows)
        plain = [
            row
            for row in rows
            if row.id in outcomes and sum(pending[each] for each in {row.subject, row.lane}) == 1
        ]
        for outcome in {outcomes[row.id] for row in plain}:
            places = [row.sequence for row in plain if outcomes[row.id] == outcome]
            values = {"sequences": places, "to_outcome": storable(outcome), "at": now}
            statements.ACCEPT.run(connection, values)
        return {row.id: State.DELIVERED for row in plain}

    def _pending_of(self, connection: Connection, accepted: Sequence[Delivery]) -> list[Any]:
        if not accepted:
            return []
        subjects = {each for delivery in accepted for each in (delivery.subject, delivery.lane)}
        asked = {"of_reporter": self.reporter, "subjects": list(subjects)}
        rows = statements.OF_SUBJECTS.rows(connection, asked)
        return [row for row in rows if State(row.state) in PENDING]

    def record(
        self, connection: Connection, claim: LeasedDelivery, disposition: Disposition, now: float
    ) -> State | None:
        """Write down what becomes of a delivery, and supersede what that makes superfluous.

        Args:
            connection: The running transaction.
            claim: The delivery as it was claimed; where it has no row (the outbox it came from
                broke meanwhile), it gets one.
            disposition: What becomes of it.
            now: The time, in seconds since the epoch.

        Returns:
            The state that it has now: ``SUPERSEDED`` where a newer status of the same subject
            was accepted. None where its state allows no such move, or another master has taken
            it over: somebody else was first.
        """
        place = self._place(connection, claim)
        if disposition.may_have_arrived:
            supersede_older(connection, self.reporter, place, now, may_have_arrived=True)
        state = self._unless_late(connection, place, disposition.state)
        is_taken = place.owner not in (None, self.owner) and state is not State.DELIVERED
        if is_taken or not may_become(State(place.state), state):
            self._release(connection, place.sequence)
            return None
        # Until its next attempt the lane stays claimed: what comes later waits behind it.
        keeps_lane = state is State.WAITING and disposition.next_attempt is not None
        values = {
            "state": state.value,
            "outcome": disposition.outcome,
            "attempts": place.attempts + 1,
            "next_attempt": disposition.next_attempt if state is State.RETRYING else None,
            "updated_at": now,
            "owner": BACKOFF if keeps_lane else None,
            "lease_until": disposition.next_attempt if keeps_lane else 0.0,
        }
        write(connection, claim.delivery.id, values)
        if state is State.DELIVERED:
            supersede_older(connection, self.reporter, place, now)
        return state

    def _place(self, connection: Connection, claim: LeasedDelivery) -> Any:
        place = find(connection, claim.delivery.id)
        if place is not None:
            return place
        # It comes from an earlier outbox: it is older than all that this one holds.
        first = statements.BEFORE_ALL.scalar(connection, {})
        row = new_row(claim.delivery, claim.created_at)
        values = {**row, "sequence": first, "attempts": claim.attempts}
        insert(connection, self.reporter, values)
        return find(connection, claim.delivery.id)

    def _unless_late(self, connection: Connection, place: Any, state: State) -> State:
        """Return the state, or ``SUPERSEDED`` if sending it again would be too late."""
        if state in PENDING and statements.LATE.first(connection, {"place": place.sequence}):
            return State.SUPERSEDED
        return state

    def _release(self, connection: Connection, sequence: int) -> None:
        mine = {"of_reporter": self.reporter, "of_owner": self.owner}
        statements.RELEASE.run(connection, {**mine, "sequences": [sequence]})


def find(connection: Connection, delivery_id: str) -> Any:
    """Return where a delivery stands and what it is about, None where it has no row."""
    return statements.PLACE.first(connection, {"of_id": delivery_id})


def may_become(known: State, found: State) -> bool:
    """Tell whether an attempt can move a delivery; only a person brings a dead one back."""
    return found in MOVES[known] and (known in PENDING or found not in PENDING)


def supersede_older(
    connection: Connection, reporter: str, newer: Any, now: float, *, may_have_arrived: bool = False
) -> None:
    """Send no older status any more that one which was accepted, or may be, makes superfluous.

    A receiver that has taken a build's end, and drops repeats as it should, would take the begin
    for the last word.

    Args:
        connection: The running transaction.
        reporter: The reporter's name.
        newer: What was accepted or may be, as ``find`` returns it.
        now: The time, in seconds since the epoch.
        may_have_arrived: Whether it was sent, and nobody knows what came of it.
    """
    fate = "was sent, and may have been taken" if may_have_arrived else "was accepted"
    events = makes_superfluous(newer.event)
    if not events:
        return
    statements.SUPERSEDE.run(
        connection,
        {
            "of_reporter": reporter,
            # The subject of a build request is called as the lane of its builds.
            "subjects": sorted({newer.subject, newer.lane}),
            "events": sorted(events),
            "place": newer.sequence,
            "to_outcome": f"a newer status ({newer.event}) {fate}",
            "at": now,
        },
    )


def write(connection: Connection, delivery_id: str, values: Mapping[str, Any]) -> None:
    """Set a delivery's state and what goes with it; forget the body of what is sent."""
    is_sent = values["state"] in (State.DELIVERED.value, State.SUPERSEDED.value)
    statement = statements.RECORD_END if is_sent else statements.RECORD
    statement.run(
        connection,
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
