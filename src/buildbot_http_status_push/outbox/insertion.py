"""Adds rows to the outbox, and counts them in totals that outlive the rows.

Each function runs within a transaction of its caller's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Connection

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
