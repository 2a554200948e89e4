"""Made-up incidents, and a board's list of them."""

from __future__ import annotations

from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed

from buildbot_http_status_push.board.incidents.incident import (
    CHANGED,
    FAILURE,
    OPENED,
    Incident,
    IncidentBuild,
    IncidentReason,
    Place,
    Step,
)
from buildbot_http_status_push.board.model import Reason

AT = 1_790_000_000
"""When made-up incidents begin."""


def a_build(number: int, at: int) -> IncidentBuild:
    """Return a build that ended at a time."""
    return IncidentBuild(
        id=number,
        number=number,
        url=f"https://ci.example.org/#/builders/1/builds/{number}",
        revision="abc",
        started_at=at - 60,
        complete_at=at,
    )


def an_incident(number: str = "i1", at: int = AT, **changed: Any) -> Incident:
    """Return an incident on one builder."""
    reason = Reason(signature="f" * 16, rule="test", step="pytest", text="test_login")
    place = Place(
        cluster="main",
        builder=1,
        builder_name="linux",
        branch="main",
        first_bad=a_build(7, at),
        last_bad=a_build(7, at),
        signatures=frozenset({reason.signature}),
        step="pytest",
    )
    known = Incident(
        id=number,
        kind=FAILURE,
        cluster="main",
        branch="main",
        opened_at=at,
        places=(place,),
        reasons=(IncidentReason(reason=reason),),
    )
    return evolve(known, **changed)


def over(incident: Incident, at: int) -> Incident:
    """Return an incident as it is when it was over at a time, and closed ten minutes later."""
    places = tuple(evolve(each, over_at=at, ending=CHANGED) for each in incident.places)
    return evolve(incident, places=places, over_at=at, closed_at=at + 600)


@define
class Kept:
    """A board's incidents."""

    by_id: dict[str, Incident] = field(factory=dict)

    def put(self, incident: Incident) -> None:
        """Keep an incident as it is now."""
        self.by_id[incident.id] = incident

    def incidents(self) -> Deferred[list[Incident]]:
        """Return the open ones."""
        return succeed([each for each in self.by_id.values() if each.is_open])

    def closed_incidents(self, closed_at: float, limit: int) -> Deferred[list[Incident]]:
        """Return the closed ones."""
        return succeed([each for each in self.by_id.values() if not each.is_open])

    def incident(self, number: str) -> Deferred[tuple[Incident, list[Step]] | None]:
        """Return one of them."""
        found = self.by_id[number]
        return succeed((found, [Step(incident=number, kind=OPENED, at=found.opened_at)]))
