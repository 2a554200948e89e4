"""Says what a report is about: its id, lane, group, subject and name, all derived.

Pure. The same event has the same id after a restart, after a lost outbox and on a second
master, so that a receiver can drop what it has seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen

from buildbot_http_status_push.model import SUCCESSIVE, Delivery
from buildbot_http_status_push.report.encoding import Encoded, epoch_seconds
from buildbot_http_status_push.report.events import Event

NEW, FINISHED = "builds.new", "builds.finished"

NUMBERED = {"buildrequests": "buildrequest", "buildsets": "buildset"}
"""Kinds of things whose number is enough to know them by, and what one of them is called.

In a build request's lane go its builds too.
"""


@frozen
class Identity:
    """What a report is about, where its generator knows that better than its event.

    Args:
        event: The event's name as receivers see it.
        parts: What distinguishes the report from all others of the reporter, to make its id of.
        lane: Where it has its order.
        subject: What it is the state of.
        group: Whose failures count together.
        title: The subject in words.
    """

    event: str
    parts: tuple[object, ...]
    lane: str
    subject: str
    group: str
    title: str


def make_delivery(
    reporter: str, event: Event | None, report: Mapping[str, Any], encoded: Encoded, now: float
) -> Delivery:
    """Make the delivery of a report."""
    known = report.get("identity")
    if isinstance(known, Identity):
        return Delivery(
            id=delivery_id(reporter, known),
            lane=known.lane,
            subject=known.subject,
            event=known.event,
            title=known.title,
            content_type=encoded.content_type,
            body=encoded.body,
            group=known.group,
        )
    name = event_name(event, report)
    build = _build(event, report)
    if event is not None and build is not None and name in (NEW, FINISHED):
        key = build_event_id(reporter, name, build, event.sent)
    else:
        # Such an event may come twice with the same content, and both times matter: only what
        # arrives in the same second is taken for the same.
        digest = hashlib.sha256(encoded.body).hexdigest()
        key = _id(reporter, name, list(event.key) if event else None, digest, int(now))
    lane, subject, title = _whereabouts(event, key, build, report)
    return Delivery(
        id=key,
        lane=lane,
        subject=subject,
        event=name,
        title=title,
        content_type=encoded.content_type,
        body=encoded.body,
        build=build["buildid"] if build else None,
        group=_group(event, name, build),
    )


def delivery_id(reporter: str, known: Identity) -> str:
    """Return the id of a report whose generator knows what it is about."""
    return _id(reporter, known.event, *known.parts)


def build_event_id(reporter: str, event: str, build: Mapping[str, Any], nth: int = 0) -> str:
    """Return the id of a build's announcement.

    Returns:
        The id. It includes the build's start time, since a database made anew counts from 1
        again, and a finish's result and time, since several masters may finish a build twice.
    """
    parts = [reporter, event, build["buildid"], _epoch(build["started_at"]), nth]
    if event == FINISHED:
        parts += [build["results"], _epoch(build["complete_at"])]
    return _id(*parts)


def event_name(event: Event | None, report: Mapping[str, Any]) -> str:
    """Name an event for receivers; without one, by the report itself."""
    if event is not None:
        return f"{event.kind}.{event.key[-1]}"
    build = _build(None, report)
    if build is not None:
        return FINISHED if build.get("complete") else NEW
    return "buildsets.complete" if report.get("buildset") else "message"


def _build(event: Event | None, report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if event is not None:
        return event.message if event.kind == "builds" else None
    builds: Sequence[Mapping[str, Any]] = report.get("builds") or []
    return builds[0] if len(builds) == 1 and "buildid" in builds[0] else None


def _whereabouts(
    event: Event | None, key: str, build: Mapping[str, Any] | None, report: Mapping[str, Any]
) -> tuple[str, str, str]:
    """Return the lane, the subject and the title of what the event is about.

    What its report mentions beside that does not count: many events have the same buildset.
    """
    name = event_name(event, report)
    if build is not None:
        subject = f"build-{build['buildid']}-{_epoch(build.get('started_at'))}"
        lane = f"buildrequest-{build.get('buildrequestid')}"
        return lane, subject, _build_title(build, report)
    path = _path(event, report) or (name,)
    lane = "-".join(path)
    # Where no event is known to make another one superfluous, each is a subject of its own.
    return lane, lane if name in SUCCESSIVE else key, " ".join(path)


def _group(event: Event | None, name: str, build: Mapping[str, Any] | None) -> str:
    """Return the builder; where there is none, the kind of thing that the event is about."""
    is_request = event is not None and event.kind == "buildrequests"
    about = event.message if event is not None and is_request else build or {}
    # From Buildbot 4.1 on, the message of a cancelled request is an object.
    is_dict = isinstance(about, Mapping)
    builder = about.get("builderid") if is_dict else getattr(about, "builderid", None)
    if builder is not None:
        return f"builder-{builder}"
    return event.kind if event is not None else name.partition(".")[0]


def _path(event: Event | None, report: Mapping[str, Any]) -> tuple[str, ...]:
    if event is None:
        buildset = report.get("buildset")
        return ("buildset", str(buildset.get("bsid"))) if buildset else ()
    if event.kind in NUMBERED and event.path[-2:-1] == (event.kind,):
        return (NUMBERED[event.kind], event.path[-1])
    return event.path


def _build_title(build: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    known: Mapping[str, Any] = next(iter(report.get("builds") or ()), {})
    builder = known.get("builder") or build.get("builder") or {}
    name = builder.get("name", f"of builder {build.get('builderid')}")
    return f"build {name}#{build.get('number')}"


def _id(*parts: object) -> str:
    digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()
    # The Standard Webhooks specification forbids dots in an id.
    return f"msg_{digest[:32]}"


def _epoch(value: object) -> object:
    return epoch_seconds(value) if isinstance(value, datetime) else value
