"""What people do to incidents: claim, mute, release, split, join. Pure."""

from __future__ import annotations

from attrs import evolve, frozen

from buildbot_http_status_push.board.changes import web_address
from buildbot_http_status_push.board.incidents.engine import Engine, incident_id, place_key
from buildbot_http_status_push.board.incidents.incident import (
    CLAIMED,
    FAILURE,
    JOINED,
    MERGED,
    MUTED,
    OPENED,
    RELEASED,
    SPLIT,
    Claim,
    Incident,
    Step,
    Suspects,
)
from buildbot_http_status_push.board.incidents.ranges import suspects_of

NOTE = 500
"""The most characters of a note and of a link."""
NAME = 200
"""The most characters of a person's name."""
LONGEST_MUTE = 30 * 86_400
"""For how many seconds an incident can be muted at most."""
ACTS = ("claim", "mute", "release", "split", "join")


class ActError(Exception):
    """An act is not possible; the text says why."""


@frozen(kw_only=True)
class Act:
    """What a person does to an incident.

    Args:
        kind: One of ``ACTS``.
        incident: The incident's id.
        by: Who.
        at: When, in seconds since the epoch.
        note: What they say of it.
        link: Where it is dealt with.
        until: Until when it is muted, in seconds since the epoch.
        builders: The names of the builders that are split off.
        into: The id of the incident that it is joined with.
    """

    kind: str
    incident: str
    by: str
    at: float
    note: str = ""
    link: str | None = None
    until: float | None = None
    builders: frozenset[str] = frozenset()
    into: str | None = None


def perform(engine: Engine, act: Act) -> list[Step]:
    """Do to an incident what a person asks for.

    Raises:
        ActError: It is not possible.
    """
    incident = engine.incidents.get(act.incident)
    if incident is None:
        raise ActError(f"incident {act.incident[:NAME]!r} is not open")
    if not act.by or len(act.by) > NAME:
        raise ActError(f"a name must have 1 to {NAME} characters")
    if len(act.note) > NOTE:
        raise ActError(f"note has {len(act.note)} characters: must have at most {NOTE}")
    if act.link is not None and (len(act.link) > NOTE or web_address(act.link) is None):
        raise ActError(
            f"link is {act.link[:60]!r}: must begin with http:// or https:// and have at most "
            f"{NOTE} characters"
        )
    if act.kind not in ACTS:
        raise ActError(f"act is {act.kind[:60]!r}: must be one of {', '.join(ACTS)}")
    return {
        "claim": _claim,
        "mute": _mute,
        "release": _release,
        "split": _split,
        "join": _join,
    }[act.kind](engine, incident, act)


def _claim(engine: Engine, incident: Incident, act: Act) -> list[Step]:
    signatures = frozenset(each.reason.signature for each in incident.reasons)
    claim = Claim(by=act.by, at=act.at, note=act.note, link=act.link, signatures=signatures)
    engine.put(evolve(incident, claim=claim))
    about = " ".join(filter(None, (act.note, act.link)))
    return [engine.step(incident, CLAIMED, act.at, about=about or None, by=act.by)]


def _mute(engine: Engine, incident: Incident, act: Act) -> list[Step]:
    if act.until is None or not act.at < act.until <= act.at + LONGEST_MUTE:
        raise ActError("a mute must end in the next 30 days")
    engine.put(evolve(incident, muted_until=act.until))
    return [engine.step(incident, MUTED, act.at, about=act.note or None, by=act.by)]


def _release(engine: Engine, incident: Incident, act: Act) -> list[Step]:
    if incident.claim is None and incident.muted_until is None:
        raise ActError(f"incident {incident.id} is neither claimed nor muted")
    engine.put(evolve(incident, claim=None, muted_until=None))
    return [engine.step(incident, RELEASED, act.at, about=act.note or None, by=act.by)]


def _split(engine: Engine, incident: Incident, act: Act) -> list[Step]:
    gone = tuple(each for each in incident.here if each.builder_name in act.builders)
    unknown = act.builders - {each.builder_name for each in gone}
    if not gone or unknown:
        names = ", ".join(sorted(unknown)) or "no builder"
        raise ActError(f"incident {incident.id} is not on {names[:NAME]}")
    left = tuple(each for each in incident.places if each not in gone)
    if not any(not each.is_over for each in left):
        raise ActError(f"incident {incident.id} must keep one builder at least")
    keys = frozenset((each.builder, each.branch) for each in gone)
    signatures = frozenset[str]().union(*(each.signatures for each in gone))
    is_of_code = incident.kind == FAILURE
    made = evolve(
        incident,
        id=incident_id(incident.kind, gone[0], f"{incident.id} {act.at}"),
        places=gone,
        opened_at=min(each.since for each in gone),
        reasons=tuple(
            each
            for each in incident.reasons
            if not signatures or each.reason.signature in signatures
        ),
        suspects=suspects_of(gone) if is_of_code else Suspects(),
        cause=None,
        claim=None,
        muted_until=None,
        covers=(),
        by_hand=frozenset((each.builder, each.branch) for each in left),
    )
    engine.put(
        evolve(
            incident,
            places=left,
            suspects=suspects_of(left) if is_of_code else Suspects(),
            by_hand=incident.by_hand | keys,
        ),
        *gone,
    )
    engine.put(made, *gone)
    names = ", ".join(each.builder_name for each in gone)
    return [
        engine.step(incident, SPLIT, act.at, gone[0].builder_name, f"{names}: {made.id}", act.by),
        engine.step(
            made, OPENED, act.at, gone[0].builder_name, f"split from {incident.id}", act.by
        ),
        *(engine.step(made, JOINED, act.at, each.builder_name, by=act.by) for each in gone[1:]),
    ]


def _join(engine: Engine, incident: Incident, act: Act) -> list[Step]:
    into = engine.incidents.get(act.into or "")
    if into is None or into.id == incident.id:
        raise ActError(f"into is {(act.into or '')[:60]!r}: must be another open incident")
    if into.kind != incident.kind or into.cluster != incident.cluster:
        raise ActError(f"incident {into.id} must be of the same kind and master")
    there = {place_key(each) for each in into.places}
    new = tuple(each for each in incident.places if place_key(each) not in there)
    signatures = {each.reason.signature for each in into.reasons}
    reasons = tuple(each for each in incident.reasons if each.reason.signature not in signatures)
    places = (*into.places, *new)
    is_of_code = into.kind == FAILURE
    joined = evolve(
        into,
        places=places,
        reasons=(*into.reasons, *reasons),
        suspects=suspects_of(places) if is_of_code else Suspects(),
        over_at=into.over_at if all(each.is_over for each in places) else None,
        by_hand=into.by_hand - {(each.builder, each.branch) for each in new},
    )
    engine.put(evolve(incident, closed_at=int(act.at), merged_into=into.id))
    engine.put(joined, *new)
    return [
        engine.step(incident, MERGED, act.at, about=into.id, by=act.by),
        *(engine.step(into, JOINED, act.at, each.builder_name, by=act.by) for each in new),
    ]
