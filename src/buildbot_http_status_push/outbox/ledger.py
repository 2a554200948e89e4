"""What the relay and catch-up read and write in the outbox, but for the outcomes of attempts.

Each method runs within a transaction of its caller's. All are written for several masters
that share one database: ids decide who was first, rows are claimed with a lease.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import Claim, Delivery
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.backlog import Backlog
from buildbot_http_status_push.outbox.insertion import count, insert
from buildbot_http_status_push.outbox.recorder import Recorder
from buildbot_http_status_push.outbox.rows import claimed, new_row

KEPT_FOR = 30 * 86400.0
TIDIED_AT_ONCE = 500


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

    @property
    def recorder(self) -> Recorder:
        """Writes down what became of what was claimed."""
        return Recorder(self.reporter, self.owner)

    def put(self, connection: Connection, delivery: Delivery, now: float) -> bool:
        """Keep a delivery, unless its id has been seen.

        Returns:
            Whether it is new.
        """
        return insert(connection, self.reporter, new_row(delivery, now))

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
            count(connection, reporter, state, amount)
        connection.execute(statements.DELETE, {"sequences": [row.sequence for row in rows]})
        return len(rows) == TIDIED_AT_ONCE
