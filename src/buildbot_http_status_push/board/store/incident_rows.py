"""Incidents, their places and what is remembered of builders as they stand in tables. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, astuple, evolve

from buildbot_http_status_push.board.incidents.engine import Attempt, Track
from buildbot_http_status_push.board.incidents.incident import (
    ChangeRange,
    Claim,
    Incident,
    IncidentBuild,
    IncidentReason,
    Place,
    Step,
    Suspects,
)
from buildbot_http_status_push.board.incidents.ranges import LastGood
from buildbot_http_status_push.board.judgements import Reached
from buildbot_http_status_push.board.model import Reason, Source, SourceChange


def incident_row(incident: Incident) -> dict[str, Any]:
    """Return an incident's values by column; its places are rows of their own."""
    return {
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "content": _text(evolve(incident, places=())),
    }


def incident_of(content: str, places: Iterable[str]) -> Incident:
    """Return an incident."""
    values = json.loads(content)
    suspects, claim = values["suspects"], values["claim"]
    values |= {
        "places": tuple(_place(json.loads(each)) for each in places),
        "reasons": tuple(map(_reason, values["reasons"])),
        "suspects": Suspects(**{**suspects, "changes": _changes(suspects["changes"])}),
        "claim": claim and Claim(**{**claim, "signatures": frozenset(claim["signatures"])}),
        "covers": tuple(values["covers"]),
        "by_hand": frozenset((builder, branch) for builder, branch in values["by_hand"]),
    }
    return Incident(**values)


def place_text(place: Place) -> str:
    """Return a place as its row has it."""
    return _text(place)


def track_text(track: Track) -> str:
    """Return what is remembered of a builder and branch as its row has it.

    It is written with each build: naming its parts takes less time than ``asdict``.
    """
    reached, good = track.reached, track.good
    return _json(
        {
            "reached": {
                "sources": {
                    name: astuple(each, recurse=False) for name, each in reached.sources.items()
                },
                "before": reached.before,
            },
            "last": track.last,
            "good": {"at": good.at, "code": good.code, "newest": good.newest},
            "attempts": [asdict(each) for each in track.attempts],
            "parent": track.parent,
        }
    )


def track_of(content: str) -> Track:
    """Return what is remembered of a builder and branch."""
    values = json.loads(content)
    reached, good = values["reached"], values["good"]
    before = reached["before"]
    return Track(
        reached=Reached(
            sources={name: Source(*each) for name, each in reached["sources"].items()},
            before=before and (before[0], before[1]),
        ),
        last=tuple(values["last"]),
        good=LastGood(**{**good, "code": _code(good["code"])}),
        attempts=tuple(
            Attempt(place=_place(each["place"]), reasons=tuple(map(_reason, each["reasons"])))
            for each in values["attempts"]
        ),
        parent=values["parent"],
    )


def step_of(row: Any) -> Step:
    """Return a step of an incident's life."""
    return Step(
        number=row.number,
        incident=row.incident,
        kind=row.kind,
        at=row.at,
        builder=row.builder,
        about=row.about,
        by=row.person,
        is_first_start=bool(row.is_first_start),
    )


def step_row(step: Step) -> dict[str, Any]:
    """Return a step's values by column."""
    return {
        "incident": step.incident,
        "kind": step.kind,
        "at": step.at,
        "builder": step.builder,
        "about": step.about,
        "person": step.by,
        "is_first_start": int(step.is_first_start),
    }


def _place(values: dict[str, Any]) -> Place:
    changes = values["changes"]
    ids, good = changes["ids"], values["good"]
    values |= {
        "first_bad": IncidentBuild(**values["first_bad"]),
        "last_bad": IncidentBuild(**values["last_bad"]),
        "good": good and IncidentBuild(**good),
        "tags": tuple(values["tags"]),
        "signatures": frozenset(values["signatures"]),
        "code": _code(values["code"]),
        "changes": ChangeRange(
            **{
                **changes,
                "code": _code(changes["code"]),
                "ids": None if ids is None else frozenset(ids),
                "shown": _changes(changes["shown"]),
            }
        ),
    }
    return Place(**values)


def _reason(values: Mapping[str, Any]) -> IncidentReason:
    return IncidentReason(**{**values, "reason": Reason(**values["reason"]), "known": None})


def _changes(values: Iterable[Mapping[str, Any]]) -> tuple[SourceChange, ...]:
    return tuple(SourceChange(**each) for each in values)


def _code(values: Iterable[Any]) -> tuple[tuple[str, str | None, str], ...]:
    return tuple((codebase, branch, revision) for codebase, branch, revision in values)


def _text(value: Any) -> str:
    return _json(asdict(value))


_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=list).encode
