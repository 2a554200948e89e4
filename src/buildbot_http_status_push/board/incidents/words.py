"""An incident in words that claim no more than is known. Pure."""

from __future__ import annotations

from buildbot_http_status_push.board.incidents.incident import (
    ENDINGS,
    INFRASTRUCTURE,
    NO_RESULTS,
    Incident,
)

LINE = 120
"""How many characters of a line are shown."""


def headline(incident: Incident) -> str:
    """Return what an incident is about, such as ``FAIL: parser (test)``."""
    if incident.kind == INFRASTRUCTURE:
        return f"{incident.cause}: {whereabouts(incident)}"
    step = incident.first.step or "a step that is not known"
    if incident.kind == NO_RESULTS:
        return f"No result on {whereabouts(incident)}"
    if incident.reasons:
        reason = incident.reasons[0].reason
        return f"{reason.text[:LINE]} ({reason.step})" if reason.step else reason.text[:LINE]
    return f"{step} fails"


def whereabouts(incident: Incident) -> str:
    """Return where an incident is: its builder, or how many; all that it was on once it is over."""
    places = incident.here or incident.places
    names = list(dict.fromkeys(each.builder_name for each in places))
    where = names[0] if len(names) == 1 else f"{len(names)} builders"
    over = len(incident.places) - len(places)
    return f"{where}, over on {over}" if over else where


def ended(incident: Incident) -> str:
    """Return how an incident was over on its builders."""
    kinds = [each for each in ENDINGS if each in incident.endings]
    return "; ".join(ENDINGS[each] for each in kinds) or "joined with another"
