"""Deliveries as rows: kept, claimed, and what became of their attempts.

Each function runs within a transaction of its caller's. All are written for several masters
that share one database: ids decide who was first, rows are claimed with a lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import (
    MOVES,
    PENDING,
    STATES,
    Delivery,
    Disposition,
    LeasedDelivery,
    State,
    Turn,
    makes_superfluous,
)
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.backlog import Backlog

PRODUCED = "produced"
BACKOFF = "nobody, until its next attempt"
"""Who has what keeps its lane after a refusal. It is under way with no master: what stops or dies
meanwhile leaves no doubt about it."""

Found: TypeAlias = tuple[Any, bool]
"""A delivery's row, and whether others may wait in its lane."""

Ended: TypeAlias = tuple[LeasedDelivery, Disposition]
"""A delivery whose attempt has ended, and what becomes of it."""

KEPT_FOR = 30 * 86400.0
TIDIED_AT_ONCE = 500


@frozen
class DeliveryRepository:
    """What one reporter of one master writes and reads.

    Args:
        reporter: The reporter's name: rows of others are not touched.
        owner: The master's identity, for its leases.
    """

    reporter: str
    owner: str

    def register_reporter(self, connection: Connection) -> None:
        """Let people find this reporter by its name, also before it has anything to send."""
        count(connection, self.reporter, PRODUCED, 0)

    def put(self, connection: Connection, delivery: Delivery, now: float) -> bool:
        """Keep a delivery, unless its id has been seen.

        A state replaces what waits of the same subject.

        Returns:
            Whether it is new.
        """
        fresh = insert(connection, self.reporter, new_row(delivery, now))
        if fresh and delivery.event in STATES:
            subject = {"of_subject": storable(delivery.subject), "of_id": delivery.id}
            fate = {"to_outcome": f"a newer state ({delivery.event}) is to be sent", "at": now}
            statements.REPLACE.run(connection, {"of_reporter": self.reporter, **subject, **fate})
        return fresh

    def put_again(self, connection: Connection, delivery: Delivery, now: float) -> bool:
        """Keep a delivery whether or not its id has been seen: what was sent is sent once more.

        It has its old place in its lane.

        Returns:
            Whether it is to be sent, and did not wait for that before.
        """
        if self.put(connection, delivery, now):
            return True
        values = {
            "of_id": delivery.id,
            "to_body": delivery.body,
            "to_group": storable(delivery.group),
        }
        mine = {"of_reporter": self.reporter, "at": now}
        return statements.PUT_AGAIN.run(connection, {**values, **mine}) == 1

    def known(self, connection: Connection, ids: Collection[str]) -> set[str]:
        """Return those of the ids that have been seen."""
        return {row.id for row in statements.KNOWN.rows(connection, {"ids": list(ids)})}

    def claim(
        self,
        connection: Connection,
        now: float,
        lease: float,
        limit: int,
        held: Collection[str] = (),
        turns: Sequence[Turn] | None = None,
    ) -> list[LeasedDelivery]:
        """Take deliveries that may be sent now, one of a lane at most, and lock their lanes.

        Args:
            connection: The running transaction.
            now: The time, in seconds since the epoch.
            lease: Seconds until others may take them, should this master be gone.
            limit: How many at most.
            held: The groups of which none is taken: those that fail.
            turns: The failing groups of which one each is taken, and nothing else; None for what
                is not held.

        Returns:
            What was taken: waiting ones in order, then those whose retry is due.
        """
        found = self._find(connection, now, limit, held, turns)
        if any(map(self._may_be_late, found)) and self._release_lapsed(connection, now):
            found = self._find(connection, now, limit, held, turns)
        if not found:
            return []
        until = now + lease
        sequences = [row.sequence for row, _ in found]
        leased = {"sequences": sequences, "to_owner": self.owner, "until": until}
        statements.LEASE.run(connection, leased)
        return [_claimed(row, until, more=more) for row, more in found]

    def _find(
        self,
        connection: Connection,
        now: float,
        limit: int,
        held: Collection[str],
        turns: Sequence[Turn] | None,
    ) -> list[Found]:
        backlog = Backlog(connection, self.reporter, now)
        places = backlog.in_order(limit, held) if turns is None else backlog.in_turn(limit, turns)
        if not places:
            return []
        sequences = {"sequences": [place.sequence for place in places]}
        rows = {row.sequence: row for row in statements.ROWS.rows(connection, sequences)}
        return [(rows[place.sequence], place.more) for place in places]

    def _may_be_late(self, found: Found) -> bool:
        """Return whether a newer status may have been sent; before an untouched one none was."""
        row, _ = found
        return row.attempts > 0 or row.owner not in (None, self.owner)

    def renew(self, connection: Connection, sequences: Sequence[int], until: float) -> float:
        """Lengthen the leases of what is still claimed by this master, and return their end."""
        mine: dict[str, Any] = {"of_reporter": self.reporter, "of_owner": self.owner}
        leases = {"sequences": list(sequences), "until": until}
        statements.RENEW.run(connection, {**mine, **leases})
        return until

    def release(self, connection: Connection, sequences: Sequence[int]) -> None:
        """Give claimed deliveries back untried."""
        mine: dict[str, Any] = {"of_reporter": self.reporter, "of_owner": self.owner}
        statements.RELEASE.run(connection, {**mine, "sequences": list(sequences)})

    def release_all(self, connection: Connection, now: float) -> None:
        """Give back all that this master has claimed: some of it may have been sent.

        What keeps its lane until its next attempt need not wait for that any more.
        """
        claims = self._claims(connection)
        self._give_back(connection, [row for row in claims if row.owner == self.owner], now)
        resting = {"of_reporter": self.reporter, "of_owner": BACKOFF}
        statements.RELEASE_ALL.run(connection, resting)

    def _release_lapsed(self, connection: Connection, now: float) -> bool:
        """Give back what masters that are gone have claimed: some of it may have been sent."""
        foreign = [row for row in self._claims(connection) if row.owner != self.owner]
        lapsed = [row for row in foreign if row.lease_until <= now]
        self._give_back(connection, lapsed, now)
        return bool(lapsed)

    def _claims(self, connection: Connection) -> list[Any]:
        rows = statements.CLAIMED.rows(connection, {"of_reporter": self.reporter})
        return [row for row in rows if row.owner != BACKOFF]

    def _give_back(self, connection: Connection, claims: Sequence[Any], now: float) -> None:
        for row in claims:
            supersede_older(connection, self.reporter, row, now, may_have_arrived=True)
        for owner in {row.owner for row in claims}:
            sequences = [row.sequence for row in claims if row.owner == owner]
            mine = {"of_reporter": self.reporter, "of_owner": owner, "sequences": sequences}
            statements.RELEASE.run(connection, mine)

    def waiting(self, connection: Connection) -> int:
        """Return how many deliveries are still to be sent."""
        return int(statements.WAITING.scalar(connection, {"of_reporter": self.reporter}))

    def oldest_pending_build(self, connection: Connection) -> int | None:
        """Return the lowest id of the builds that have a delivery still to be sent."""
        mine = {"of_reporter": self.reporter}
        build: int | None = statements.OLDEST_BUILD.scalar(connection, mine)
        return build

    def oldest_pending_request(self, connection: Connection) -> float | None:
        """Return since when a state of a build request is still to be sent."""
        mine = {"of_reporter": self.reporter}
        since: float | None = statements.OLDEST_REQUEST.scalar(connection, mine)
        return since

    def give_up(
        self, connection: Connection, groups: Collection[str], created_before: float, now: float
    ) -> None:
        """Make deliveries dead that waited too long for a receiver that refuses their group."""
        statements.GIVE_UP.run(
            connection,
            {
                "of_reporter": self.reporter,
                "groups": list(groups),
                "before": created_before,
                "to_outcome": "given up: the receiver could not be reached in all that time",
                "at": now,
            },
        )

    def clamp_future_times(
        self, connection: Connection, now: float, wait: float, lease: float
    ) -> None:
        """Bring times that lie too far ahead to now.

        They were written down before the clock was set back.

        Args:
            connection: The running transaction.
            now: The time, in seconds since the epoch.
            wait: Seconds between two attempts at most.
            lease: Seconds that any master's lease lasts at most.
        """
        ahead = {"of_reporter": self.reporter, "at": now}
        for statement in (statements.CLAMP_FUTURE_CREATION, statements.CLAMP_FUTURE_RETRY):
            statement.run(connection, {**ahead, "latest": now + wait})
        statements.CLAMP_FUTURE_LEASE.run(connection, {**ahead, "latest": now + lease})

    def tidy(self, connection: Connection, now: float) -> bool:
        """Delete rows that ended more than 30 days ago, a few hundred at once.

        Those of other reporters too: one that was renamed does not come back for its own.

        Returns:
            Whether there may be more.
        """
        old = {"before": now - KEPT_FOR, "most": TIDIED_AT_ONCE}
        rows = statements.OLD.rows(connection, old)
        for (reporter, state), amount in Counter((row[1], row[2]) for row in rows).items():
            count(connection, reporter, state, amount)
        statements.DELETE.run(connection, {"sequences": [row.sequence for row in rows]})
        return len(rows) == TIDIED_AT_ONCE

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
            self.release(connection, [place.sequence])
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


def find(connection: Connection, delivery_id: str) -> Any:
    """Return where a delivery stands and what it is about, None where it has no row."""
    return statements.PLACE.first(connection, {"of_id": delivery_id})


def may_become(known: State, found: State) -> bool:
    """Return whether an attempt can move a delivery; only a person brings a dead one back."""
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


def insert(connection: Connection, reporter: str, row: dict[str, Any]) -> bool:
    """Add a row, unless its id has been seen.

    Returns:
        Whether it is new.
    """
    statement = statements.INSERT[connection.dialect.name]
    fresh = statement.run(connection, {**row, "reporter": reporter}) == 1
    if fresh:
        count(connection, reporter, PRODUCED, 1)
    return fresh


def count(connection: Connection, reporter: str, name: str, amount: int) -> None:
    """Add to one of a reporter's totals."""
    values = {"reporter": reporter, "name": name, "count": amount}
    statements.COUNT[connection.dialect.name].run(connection, values)


def storable(text: str) -> str:
    """Replace what a database does not take as text: NUL and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def new_row(delivery: Delivery, now: float) -> dict[str, Any]:
    """Return a delivery's values by column, the reporter's name left out."""
    return {
        "id": delivery.id,
        "lane": storable(delivery.lane),
        "group": storable(delivery.group),
        "subject": storable(delivery.subject),
        "event": storable(delivery.event),
        "title": storable(delivery.title),
        "build": delivery.build,
        "content_type": storable(delivery.content_type),
        "body": delivery.body,
        "state": State.WAITING.value,
        "created_at": now,
        "updated_at": now,
        "attempts": 0,
        "lease_until": 0.0,
    }


def _claimed(row: Any, lease_until: float, *, more: bool) -> LeasedDelivery:
    """Return the claim of a delivery."""
    delivery = Delivery(
        id=row.id,
        lane=row.lane,
        subject=row.subject,
        event=row.event,
        title=row.title,
        content_type=row.content_type,
        body=bytes(row.body),
        build=row.build,
        group=row.group,
        created_at=row.created_at,
    )
    return LeasedDelivery(delivery, row.created_at, row.attempts, row.sequence, lease_until, more)
