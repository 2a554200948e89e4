"""Keeps a person's request to send past builds again, and its progress.

Each function runs within a transaction of its caller's. The command writes what is wanted, a
running master carries it out.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from attrs import asdict
from sqlalchemy.engine import Connection

from buildbot_http_status_push.outbox.backfill_request import Backfill
from buildbot_http_status_push.outbox.schema import backfills

_b = backfills.c


def find(connection: Connection, reporter: str) -> Backfill | None:
    """Return the last one of a reporter."""
    row = connection.execute(sa.select(backfills).where(_b.reporter == reporter)).first()
    return None if row is None else Backfill(**row._mapping)


def save(connection: Connection, backfill: Backfill) -> None:
    """Write down what is wanted, or how far it has come, in the place of the one before."""
    remove(connection, backfill.reporter)
    values: dict[str, Any] = {**asdict(backfill), "stage": backfill.stage.value}
    connection.execute(backfills.insert().values(**values))


def advance(connection: Connection, backfill: Backfill) -> bool:
    """Write down how far it has come, unless somebody wants it no more.

    Returns:
        Whether it is still wanted.
    """
    known = find(connection, backfill.reporter)
    if known is None or (known.since, known.builder) != (backfill.since, backfill.builder):
        return False
    save(connection, backfill)
    return True


def remove(connection: Connection, reporter: str) -> bool:
    """Want it no more; say whether it was wanted."""
    gone = connection.execute(backfills.delete().where(_b.reporter == reporter))
    return bool(gone.rowcount)
