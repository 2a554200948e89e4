"""A made-up incident, to try a destination with."""

from __future__ import annotations

from buildbot_http_status_push.board.incidents.incident import (
    FAILURE,
    Incident,
    IncidentBuild,
    IncidentReason,
    Place,
)
from buildbot_http_status_push.board.model import Reason
from buildbot_http_status_push.board.notify.announcing import OPENED_EVENT, Announcement


def example(rule: str, now: float) -> Announcement:
    """Return a message of an incident that is made up.

    Args:
        rule: The rule's name.
        now: The time, in seconds since the epoch: no two are alike.
    """
    at = int(now)
    build = IncidentBuild(
        id=1, number=1, url=None, revision=None, started_at=at - 60, complete_at=at
    )
    reason = Reason(signature="0" * 16, rule="test", step="example", text="test_example")
    place = Place(
        cluster="example",
        builder=1,
        builder_name="example-builder",
        branch="main",
        first_bad=build,
        last_bad=build,
        step="example",
    )
    incident = Incident(
        id=f"example-{at}",
        kind=FAILURE,
        cluster="example",
        branch="main",
        opened_at=at,
        places=(place,),
        reasons=(IncidentReason(reason=reason),),
    )
    return Announcement(event=OPENED_EVENT, incident=incident, rule=rule, is_test=True)
