"""Reads incidents and the steps of their lives. Blocking: runs in the reader's thread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from attrs import define, evolve, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.failures.known import Entry
from buildbot_http_status_push.board.incidents.engine import place_key
from buildbot_http_status_push.board.incidents.incident import Incident, IncidentReason, Place, Step
from buildbot_http_status_push.board.personal_data import (
    open_change,
    open_line,
    open_reason,
    without_address,
)
from buildbot_http_status_push.board.store.incident_rows import incident_of, step_of
from buildbot_http_status_push.board.store.tables import (
    incident_places,
    incident_position,
    incident_steps,
    incidents,
)
from buildbot_http_status_push.prepared_statements import Prepared

AT_ONCE = 500
"""Of how many incidents the places are read at once."""
STEPS = 1000
"""How many steps of an incident are read: the latest."""

_p = incident_position.c
_s = incident_steps.c

POSITION = Prepared(lambda: sa.select(_p.sequence, _p.version).where(_p.id == 1))


@define(eq=False)
class OpenIncidents:
    """The open incidents as they were last read.

    Attributes:
        by_id: They, the oldest first.
    """

    by_id: dict[str, Incident] = field(factory=dict, init=False)
    _version: int = field(default=-1, init=False)
    _by_builder: dict[tuple[int, str], str] = field(factory=dict, init=False)

    def refresh(self, connection: Connection) -> None:
        """Read them again where they have changed."""
        found = POSITION.first(connection, {})
        if found is None or found.version == self._version:
            return
        self._version = found.version
        self.by_id = {each.id: each for each in open_incidents(connection)}
        self._by_builder.clear()
        for incident in self.by_id.values():
            for each in incident.here:
                self._by_builder.setdefault(place_key(each), incident.id)

    def of(self, builder: int, branch: str | None) -> Incident | None:
        """Return the incident that a builder has been in for longest, by a branch."""
        number = self._by_builder.get((builder, branch or ""))
        return None if number is None else self._highest(self.by_id[number])

    def _highest(self, incident: Incident) -> Incident:
        return self.by_id.get(incident.covered_by or "", incident)


def shown_incident(incident: Incident, entries: Iterable[Entry], *, is_open: bool) -> Incident:
    """Return an incident as people are shown it."""
    reasons = tuple(_known(incident, each, entries) for each in incident.reasons)
    shown = evolve(incident, reasons=reasons)
    if not is_open:
        return shown
    claim, suspects = shown.claim, shown.suspects
    return evolve(
        shown,
        reasons=tuple(map(_open_reason, reasons)),
        places=tuple(map(_open_place, shown.places)),
        cause=shown.cause and open_line(shown.cause),
        suspects=evolve(suspects, changes=tuple(map(open_change, suspects.changes))),
        claim=claim and evolve(claim, by=without_address(claim.by), note=open_line(claim.note)),
    )


def _open_reason(reason: IncidentReason) -> IncidentReason:
    return evolve(reason, reason=open_reason(reason.reason))


def _open_place(place: Place) -> Place:
    # Where no steps were sent it is what the build said.
    return evolve(place, step=open_line(place.step)) if place.step else place


def shown_step(step: Step, *, is_open: bool) -> Step:
    """Return a step as people are shown it; see ``shown_incident``."""
    if not is_open:
        return step
    return evolve(
        step,
        by=step.by and without_address(step.by),
        about=step.about and open_line(step.about),
    )


def _known(incident: Incident, reason: IncidentReason, entries: Iterable[Entry]) -> IncidentReason:
    """Return a reason with the known failure that it is on all builders that it is on."""
    places = incident.here or incident.places
    for each in entries:
        if all(each.is_of(reason.reason, one.builder_name, one.branch) for one in places):
            return evolve(reason, known=each.known)
    return reason


def open_incidents(connection: Connection) -> list[Incident]:
    """Return the open incidents, the oldest first."""
    wanted = incidents.c.closed_at.is_(None)
    return _incidents(connection, sa.select(incidents).where(wanted))


def incidents_before(connection: Connection, closed_at: float, limit: int) -> list[Incident]:
    """Return closed incidents, those that were closed last first."""
    statement = (
        sa.select(incidents)
        .where(incidents.c.closed_at <= closed_at)
        .order_by(incidents.c.closed_at.desc(), incidents.c.id)
        .limit(limit)
    )
    found = _incidents(connection, statement)
    return sorted(found, key=lambda each: (-(each.closed_at or 0), each.id))


def incident_named(connection: Connection, number: str) -> Incident | None:
    """Return an incident, open or closed."""
    found = _incidents(connection, sa.select(incidents).where(incidents.c.id == number))
    return found[0] if found else None


def _incidents(connection: Connection, statement: Any) -> list[Incident]:
    rows = connection.execute(statement).all()
    some = [row.id for row in rows]
    places: dict[str, list[str]] = {each: [] for each in some}
    for first in range(0, len(some), AT_ONCE):
        of_some = (
            sa.select(incident_places.c.incident, incident_places.c.content)
            .where(incident_places.c.incident.in_(some[first : first + AT_ONCE]))
            .order_by(incident_places.c.incident, incident_places.c.place)
        )
        for row in connection.execute(of_some):
            places[row.incident].append(row.content)
    made = [incident_of(row.content, places[row.id]) for row in rows]
    return sorted(made, key=lambda each: (each.opened_at, each.id))


def steps_of(connection: Connection, number: str) -> list[Step]:
    """Return the latest steps of an incident, in their order."""
    statement = (
        sa.select(incident_steps)
        .where(_s.incident == number)
        .order_by(_s.number.desc())
        .limit(STEPS)
    )
    return [step_of(row) for row in connection.execute(statement)][::-1]
