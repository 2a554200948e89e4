"""Moves all rows of one outbox into another one: from memory back to the database.

Each function runs within a transaction of its caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import PENDING, State
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.insertion import insert
from buildbot_http_status_push.outbox.recorder import find, may_become, supersede_older, write


def export(connection: Connection) -> list[dict[str, Any]]:
    """Return all rows, in order, for another outbox to take over."""
    return [row._asdict() for row in statements.EVERYTHING.rows(connection, {})]


def take_over(connection: Connection, reporter: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep what another outbox holds: its new rows, and what it knows more of others.

    Args:
        connection: The running transaction.
        reporter: The name of the reporter that the rows are of.
        rows: What ``export`` returned.
    """
    for row in rows:
        fresh = {name: row[name] for name in row if name != "sequence"}
        if not insert(connection, reporter, fresh):
            _merge(connection, row)
        if row["attempts"] or row["owner"] is not None:
            place, accepted = find(connection, row["id"]), row["state"] == State.DELIVERED.value
            supersede_older(
                connection, reporter, place, row["updated_at"], may_have_arrived=not accepted
            )


def _merge(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write down what another outbox found out about a delivery that is known here too."""
    place = find(connection, row["id"])
    known, found = State(place.state), State(row["state"])
    if row["outcome"] is not None and may_become(known, found):
        attempts = max(place.attempts, row["attempts"])
        write(connection, row["id"], {**row, "attempts": attempts})
    elif row["owner"] is not None and known in PENDING:
        leased = {"to_owner": row["owner"], "until": row["lease_until"]}
        statements.LEASE.run(connection, {"sequences": [place.sequence], **leased})
