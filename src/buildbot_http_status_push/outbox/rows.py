"""Deliveries as rows of the outbox, rows as claims, and the totals that outlive rows.

What takes a connection runs within a transaction of its caller's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import Delivery, LeasedDelivery, State
from buildbot_http_status_push.outbox import statements

PRODUCED = "produced"


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
    """Return a delivery's values by column, the reporter's name left out.

    Args:
        delivery: What to keep.
        now: When it came, in seconds since the epoch.
    """
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


def claimed(row: Any, lease_until: float, *, more: bool) -> LeasedDelivery:
    """Return the claim of a delivery.

    Args:
        row: All its columns.
        lease_until: Until when it is this master's, in seconds since the epoch.
        more: Whether others may wait in its lane.
    """
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
