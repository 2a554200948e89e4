"""What each destination was sent, in one database with what is still to be sent.

A message and the note that it was made are one transaction: neither a restart nor a second board
makes it twice, or never. Blocking.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from attrs import asdict, field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.notify.announcing import (
    LEFT_OUT,
    OPEN,
    Outlook,
    Report,
    announce_all,
    introduce,
)
from buildbot_http_status_push.board.notify.composing import Addressee, delivery_of, summary_of
from buildbot_http_status_push.board.notify.notify_file import Notify
from buildbot_http_status_push.board.notify.rules import Rule
from buildbot_http_status_push.database import Database, Schema, file_of, file_url
from buildbot_http_status_push.model import Delivery
from buildbot_http_status_push.outbox import schema as outbox
from buildbot_http_status_push.outbox.repository import insert, new_row

INTRODUCED = ""
"""In the place of an incident's id: since when a destination is reported to."""
KEPT_FOR = 90 * 86_400.0
"""Seconds for which is kept what was sent of an incident that is over."""
AT_ONCE = 500
"""How many ids one statement names."""

metadata = sa.MetaData()
reports = sa.Table(
    "board_reports",
    metadata,
    sa.Column("destination", sa.Text, primary_key=True),
    sa.Column("incident", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("content", sa.Text, nullable=False),
)
versions = sa.Table(
    "board_reports_schema", metadata, sa.Column("version", sa.Integer, primary_key=True)
)
SCHEMA = Schema("the board's reports", metadata, versions)


@frozen(kw_only=True)
class Looked:
    """What a look at all incidents has come to.

    Args:
        kept: Why nothing is said of an incident, by destination and id.
        again_at: When time alone may change that, in seconds since the epoch.
        messages: How many messages were made.
        faults: Why nothing could be said of an incident, by its id; that is tried again.
    """

    kept: Mapping[str, Mapping[str, str]]
    again_at: float | None
    messages: int
    faults: Mapping[str, Exception] = field(factory=dict)


def outbox_url(database: str) -> str:
    """Return the URL of a board's outbox: a file beside the board's, or the same PostgreSQL."""
    path = file_of(database)
    if path is None:
        return database
    return file_url(path.with_name(f"{path.stem}-outbox{path.suffix}"))


def open_reports(url: str) -> Database:
    """Open the database of an outbox and what was reported, and make what tables it lacks.

    Raises:
        StorageError: It can't be opened, or is of a newer version.
    """
    return Database(url, _prepare, outbox.LOCK_NUMBER)


def _prepare(connection: Connection) -> None:
    outbox.SCHEMA.prepare(connection)
    SCHEMA.prepare(connection)


def reporter_of(destination: str) -> str:
    """Return the name by which a destination's deliveries are listed."""
    return f"board:{destination}"


def reported_open(connection: Connection, destinations: Collection[str]) -> list[str]:
    """Return the ids of the incidents whose end is still to be reported to some destination."""
    statement = (
        sa.select(reports.c.incident)
        .where(reports.c.state == OPEN, reports.c.destination.in_(list(destinations)))
        .distinct()
    )
    return list(connection.execute(statement).scalars())


def forget_incidents(connection: Connection, gone: Sequence[str]) -> None:
    """Delete what was sent of incidents that the board has deleted."""
    for at in range(0, len(gone), AT_ONCE):
        of_gone = reports.c.incident.in_(gone[at : at + AT_ONCE])
        connection.execute(reports.delete().where(of_gone))


def look(
    connection: Connection,
    notify: Notify,
    incidents: Iterable[Incident],
    steps: Mapping[str, Sequence[Step]],
    public_url: str,
    now: float,
) -> Looked:
    """Decide what is sent of all incidents now, and keep it with the messages.

    Args:
        connection: The running transaction.
        notify: The rules and destinations.
        incidents: The incidents of which something may be said.
        steps: The steps of their lives.
        public_url: The board's URL, as readers reach it, with a slash at the end.
        now: The time, in seconds since the epoch.
    """
    every = list(incidents)
    kept: dict[str, Mapping[str, str]] = {}
    moments: list[float] = []
    faults: dict[str, Exception] = {}
    count = 0
    for name, destination in notify.destinations.items():
        known, to = _known(connection, name), destination.addressees
        say = partial(_say, notify.rules, name, to, known, steps, public_url, now)
        said, of_some = _without_faulty(say, every)
        _keep(connection, name, said.reports)
        for each in said.deliveries:
            insert(connection, reporter_of(name), new_row(each, now))
        kept[name] = said.outlook.kept
        moments += [] if said.outlook.again_at is None else [said.outlook.again_at]
        faults |= of_some
        count += len(said.deliveries)
    again_at = min(moments, default=None)
    return Looked(kept=kept, again_at=again_at, messages=count, faults=faults)


@frozen
class _Said:
    """What is sent to a destination, and what is remembered of that."""

    outlook: Outlook
    deliveries: Sequence[Delivery]
    reports: Mapping[str, Report]


def _without_faulty(
    say: Callable[[Sequence[Incident]], _Said], incidents: Sequence[Incident]
) -> tuple[_Said, Mapping[str, Exception]]:
    """Leave out the incidents of which nothing can be said; return why, by their ids."""
    try:
        return say(incidents), {}
    except Exception:  # found below, where it is of one incident
        faults = {each.id: fault for each in incidents if (fault := _fault(say, each))}
        return say([each for each in incidents if each.id not in faults]), faults


def _fault(say: Callable[[Sequence[Incident]], _Said], incident: Incident) -> Exception | None:
    try:
        say([incident])
    except Exception as fault:  # for the caller to report
        return fault
    return None


def _say(
    rules: Sequence[Rule],
    destination: str,
    to: Sequence[Addressee],
    known: Mapping[str, Report],
    steps: Mapping[str, Sequence[Step]],
    public_url: str,
    now: float,
    incidents: Sequence[Incident],
) -> _Said:
    """Decide what is sent to a destination now."""
    deliveries: list[Delivery] = []
    fresh: dict[str, Report] = {}
    if INTRODUCED not in known:
        begun = introduce(rules, destination, incidents, now)
        fresh = {**begun.reports, INTRODUCED: Report(state=LEFT_OUT, at=now)}
        if begun.counted:
            count = len(begun.counted)
            deliveries += [summary_of(count, each, public_url, now) for each in to]
    found = announce_all(rules, destination, incidents, steps, {**known, **fresh}, now)
    for message in found.messages:
        deliveries += [delivery_of(message, each, public_url, now) for each in to]
    return _Said(found, deliveries, {**fresh, **found.reports})


def forget(connection: Connection, there: Collection[str], now: float) -> None:
    """Delete what was sent of incidents that have long been over.

    Args:
        connection: The running transaction.
        there: The ids of the incidents of which something may be said: without what was sent of
            them it would be sent again, however long ago it was.
        now: The time, in seconds since the epoch.
    """
    columns = reports.c
    is_old = sa.and_(columns.state != OPEN, columns.at < now - KEPT_FOR)
    found = connection.execute(sa.select(columns.incident).where(is_old).distinct()).scalars()
    gone = sorted({*found} - {*there, INTRODUCED})
    for at in range(0, len(gone), AT_ONCE):
        of_gone = columns.incident.in_(gone[at : at + AT_ONCE])
        connection.execute(reports.delete().where(is_old, of_gone))


def _known(connection: Connection, destination: str) -> dict[str, Report]:
    statement = sa.select(reports).where(reports.c.destination == destination)
    rows = connection.execute(statement)
    return {row.incident: _report(row) for row in rows}


def _report(row: Any) -> Report:
    content = json.loads(row.content)
    return Report(
        state=row.state,
        at=row.at,
        rule=content["rule"],
        messages=content["messages"],
        places=content["places"],
        changes=frozenset(content["changes"]),
        signatures=frozenset(content["signatures"]),
    )


def _keep(connection: Connection, destination: str, changed: Mapping[str, Report]) -> None:
    if not changed:
        return
    ids = list(changed)
    for at in range(0, len(ids), AT_ONCE):
        some = reports.c.incident.in_(ids[at : at + AT_ONCE])
        connection.execute(reports.delete().where(reports.c.destination == destination, some))
    rows = [
        {
            "destination": destination,
            "incident": incident,
            "state": report.state,
            "at": report.at,
            "content": _content(report),
        }
        for incident, report in changed.items()
    ]
    connection.execute(reports.insert(), rows)


def _content(report: Report) -> str:
    values = asdict(report, filter=lambda each, _: each.name not in ("state", "at"))
    return json.dumps(values, default=sorted)
