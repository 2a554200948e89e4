"""Reads what the judge compares: the receiver's record, the master's database, the outbox, the log.

Reads only, and while the processes run.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.pool import NullPool

from chaos.judge import Acceptance, Build, Record, Rows, State, States, Status, Trouble

PENDING = ("waiting", "retrying")
BUILDS = """
    select builds.id, buildrequestid, builders.name, results, started_at, complete_at
    from builds join builders on builders.id = builds.builderid order by builds.id
"""
REQUESTS_LEFT = """
    select count(*) from buildrequests left join buildrequest_claims on brid = buildrequests.id
    where complete = 0 and (claimed_at is null or claimed_at >= {since})
    and builderid not in (select id from builders where name like '%-waiting')
"""
STATES = """
    select 'requests', buildrequests.id, complete, case complete when 1 then results end
    from buildrequests
    union select 'workers', id, id in (select workerid from connected_workers), null from workers
    union select 'builders', id, id in (select builderid from builder_masters), null from builders
"""
STATE_IDS = {"requests": "buildrequestid", "workers": "workerid", "builders": "builderid"}
ROWS = "select build, event, state from http_status_push_deliveries order by sequence"
TOTALS = "select name, count from http_status_push_totals"
LONGEST_WAIT = """
    select coalesce(max(updated_at - max(created_at, {since})), 0)
    from http_status_push_deliveries where state = 'delivered'
"""
SHOWN = "select buildid, results from board_builds"
NOTICES = ("does not accept statuses", "accepts statuses again")
OWN_NAME = "http_status_push"


@frozen
class Accounts:
    """How many deliveries there are of each state, deleted rows included.

    Args:
        produced: How many ever entered the outbox.
        states: How many of them are in which state.
    """

    produced: int
    states: dict[str, int]

    @property
    def pending(self) -> int:
        """How many are still to be sent."""
        return sum(self.states.get(state, 0) for state in PENDING)

    @property
    def balanced(self) -> bool:
        """Whether every delivery that was produced is in exactly one state."""
        return self.produced == sum(self.states.values())

    def __str__(self) -> str:
        """Say it in words."""
        states = " + ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        return f"{self.produced} = {states or '0'}"


Place: TypeAlias = "Path | str"
"""A SQLite file, or the URL of a PostgreSQL database."""


def _query(database: Place, statement: str) -> list[tuple[Any, ...]]:
    if isinstance(database, str):
        engine = sa.create_engine(database, poolclass=NullPool)
        with engine.connect() as connected:
            return [tuple(row) for row in connected.execute(sa.text(statement))]
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(statement).fetchall()


def read_builds(database: Place) -> list[Build]:
    """Return all builds that the master's database has."""
    return [Build(*row) for row in _query(database, BUILDS)]


def read_board(database: Place) -> dict[int, int | None]:
    """Return the results of all builds that a board shows, None of those that run."""
    return dict(_query(database, SHOWN))


def count(database: Place, statement: str) -> int:
    """Return the one number that a query yields."""
    [(number,)] = _query(database, statement)
    return int(number)


def read_states(database: Path) -> States:
    """Return the states of all requests, workers and builders that the master's database has."""
    return {
        (kind, number): (bool(flag), results)
        for kind, number, flag, results in _query(database, STATES)
    }


def read_reported(record: Path) -> States:
    """Return the newest states that the receiver has taken."""
    found: dict[tuple[str, int], tuple[float, State]] = {}
    for line in _lines(record):
        body = line.get("body", {})
        if line["kind"] == "accepted" and "schema" in body:
            kind = body["schema"].partition("-")[0]
            key = kind, body[STATE_IDS[kind]]
            flag = body.get("complete", body.get("connected", not body.get("removed")))
            newest = body["reported_at"], (flag, body.get("results"))
            found[key] = max(found.get(key, newest), newest, key=lambda each: each[0])
    return {key: state for key, (_, state) in found.items()}


def requests_left(database: Path, since: int) -> int:
    """Return how many build requests a master that was started then still has to work on.

    A master that is killed while it starts leaves some claimed for ever: nobody works on them.
    """
    return count(database, REQUESTS_LEFT.format(since=since))


def read_rows(outbox: Place) -> Rows:
    """Return the state of each status that the outbox holds; none where it can't be read."""
    try:
        rows = _query(outbox, ROWS)
    except sqlite3.Error:
        return {}
    return {
        Status(build, event.endswith("finished")): state
        for build, event, state in rows
        if build is not None
    }


def read_accounts(outbox: Place) -> Accounts:
    """Count."""
    totals = dict(_query(outbox, TOTALS))
    produced = totals.pop("produced", 0)
    return Accounts(
        produced, dict(Counter(totals) + Counter(row[2] for row in _query(outbox, ROWS)))
    )


def longest_wait(outbox: Path, since: float = 0.0) -> float:
    """Return how many seconds it took a status from the outbox to the receiver at most.

    Args:
        outbox: The outbox's file.
        since: When the receiver began to take statuses, in seconds since the epoch.
    """
    [(seconds,)] = _query(outbox, LONGEST_WAIT.format(since=since))
    return float(seconds)


def read_record(path: Path) -> Record:
    """Return what the receiver has written down; a half-written last line counts as not there."""
    acceptances, troubles = [], []
    for line in _lines(path):
        if "schema" in line.get("body", {}):
            continue  # of a request, a worker or a builder
        if line["kind"] == "accepted":
            acceptances.append(_acceptance(line))
        else:
            accepted = line["kind"] == "unanswered"
            troubles.append(Trouble(line["at"], line["id"], line["what"], accepted))
    return Record(acceptances, troubles)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def _acceptance(line: dict[str, Any]) -> Acceptance:
    body = line["body"]
    status = Status(body["buildid"], body["complete"])
    return Acceptance(line["at"], line["id"], status, body["results"])


def read_notices(log: Path) -> dict[str, list[datetime]]:
    """Return when the log says that the receiver does not accept, and that it does again."""
    lines = log.read_text(errors="replace").splitlines()
    return {
        words: [
            datetime.strptime(line[:19], "%Y-%m-%d %H:%M:%S") for line in lines if words in line
        ]
        for words in NOTICES
    }


def read_complaints(log: Path) -> list[str]:
    """Return the last lines of the tracebacks in a master's log that pass through this package."""
    blocks = re.split(r"\n(?=\d{4}-\d\d-\d\d )", log.read_text(errors="replace"))
    return [
        block.strip().splitlines()[-1].strip()
        for block in blocks
        if "Traceback (most recent call last)" in block and OWN_NAME in block
    ]
