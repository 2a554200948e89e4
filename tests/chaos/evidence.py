"""Reads what the judge compares: the receiver's record, the master's database, the outbox, the log.

Reads only, and while the processes run.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.pool import NullPool

from chaos.judge import Acceptance, Build, Message, Record, Rows, States, Status, Trouble

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
REQUESTS = """
    select id, id in (select brid from buildrequest_claims), complete, results from buildrequests
"""
WORKERS = "select name, id in (select workerid from connected_workers) from workers"
BUILDERS = "select name, id in (select builderid from builder_masters) from builders"
ROWS = "select build, event, state from http_status_push_deliveries order by sequence"
TOTALS = "select name, sum(count) from http_status_push_totals group by name"
MESSAGES = """
    select reporter, id, lane, event, state from http_status_push_deliveries order by sequence
"""
INTRODUCED = "select count(*) from board_reports where incident = ''"
LONGEST_WAIT = """
    select coalesce(max(updated_at - max(created_at, {since})), 0)
    from http_status_push_deliveries where state = 'delivered'
"""
SHOWN = "select buildid, results from board_builds"
SHOWN_REQUESTS = "select number, claimed, complete, results from board_requests"
SHOWN_WORKERS = "select name, state from board_workers"
SHOWN_BUILDERS = """
    select name, 1 - removed from board_configured join board_builders on id = builder
"""
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


Flags: TypeAlias = "Iterable[tuple[str, bool]]"


def states(
    requests: Iterable[tuple[int, bool, bool, int | None]], workers: Flags, builders: Flags
) -> States:
    """Return states in words.

    Args:
        requests: Of each its id, whether it is claimed and complete, and its result code.
        workers: Of each its name, and whether it is connected.
        builders: Of each its name, and whether a configuration has it.
    """
    return {
        **{
            ("requests", number): f"complete with {results}"
            if complete
            else "claimed"
            if claimed
            else "waiting"
            for number, claimed, complete, results in requests
        },
        **{("workers", name): "connected" if is_on else "away" for name, is_on in workers},
        **{("builders", name): "configured" if is_on else "removed" for name, is_on in builders},
    }


def read_states(database: Place) -> States:
    """Return the states of all requests, workers and builders that the master's database has."""
    found = (_query(database, statement) for statement in (REQUESTS, WORKERS, BUILDERS))
    return states(*found)


def read_shown_states(database: Place) -> States:
    """Return those that a board shows."""
    workers = _query(database, SHOWN_WORKERS)
    connected = [(name, json.loads(state)["connected"]) for name, state in workers]
    return states(_query(database, SHOWN_REQUESTS), connected, _query(database, SHOWN_BUILDERS))


def read_reported(record: Path) -> States:
    """Return the newest states that the receiver has taken."""
    bodies = [line["body"] for line in _lines(record) if line["kind"] == "accepted"]
    bodies = sorted((each for each in bodies if "schema" in each), key=itemgetter("reported_at"))
    by_kind = groupby(sorted(bodies, key=itemgetter("schema")), itemgetter("schema"))
    of = defaultdict(list, {schema: list(some) for schema, some in by_kind})
    asked = map(itemgetter("buildrequestid", "claimed", "complete", "results"), of["requests-1"])
    connected = map(itemgetter("name", "connected"), of["workers-1"])
    configured = ((each["name"], not each["removed"]) for each in of["builders-1"])
    return states(asked, connected, configured)


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


def read_messages(outbox: Place) -> list[Message]:
    """Return the messages of all destinations, in the order in which they were made."""
    return [Message(*row) for row in _query(outbox, MESSAGES)]


def introduced(outbox: Place) -> int:
    """Return how many destinations are reported to."""
    try:
        return count(outbox, INTRODUCED)
    except (sqlite3.Error, sa.exc.SQLAlchemyError):
        return 0  # it is not there yet


def read_taken(record: Path) -> list[tuple[str, Any]]:
    """Return the ids and bodies of all messages that a receiver has taken, repeats too."""
    return [(line["id"], line["body"]) for line in _lines(record) if line["kind"] == "accepted"]


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
