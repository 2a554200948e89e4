"""What the relay and catch-up read and write in the outbox, but for the outcomes of attempts.

Each method runs within a transaction of its caller's. All are written for several masters
that share one database: ids decide who was first, rows are claimed with a lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, TypeAlias

from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import STATES, Delivery, LeasedDelivery, Turn
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.backlog import Backlog
from buildbot_http_status_push.outbox.recorder import BACKOFF, supersede_older
from buildbot_http_status_push.outbox.rows import (
    PRODUCED,
    claimed,
    count,
    insert,
    new_row,
    storable,
)

Found: TypeAlias = tuple[Any, bool]
"""A delivery's row, and whether others may wait in its lane."""

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
        return [claimed(row, until, more=more) for row, more in found]

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
        """Tell whether a newer status may have been sent: of others nothing is before its turn."""
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
