"""What is reported of build requests, workers and builders: bodies, events, ids. Pure.

A body is the whole state, so that the newest one is enough.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from attrs import define, field, frozen

from buildbot_http_status_push.report.encoding import epoch_seconds
from buildbot_http_status_push.report.identity import Identity
from buildbot_http_status_push.results import CANCELLED

Body: TypeAlias = dict[str, Any]

FOUND = "found"
"""The last part of the routing key of what no event of Buildbot's stands for: a state that was
found in the master's database."""

REQUEST_KEYS = (
    *("buildrequestid", "buildsetid", "builderid", "priority", "waited_for", "submitted_at"),
    *("claimed", "claimed_at", "claimed_by_masterid", "complete", "complete_at"),
)
BUILDSET_KEYS = (
    *("bsid", "external_idstring", "reason", "rebuilt_buildid", "submitted_at"),
    *("parent_buildid", "parent_relationship", "sourcestamps"),
)
"""What a body has of a buildset: what stays as it was submitted."""
BUILDER_KEYS = (
    *("builderid", "name", "masterids", "description", "description_format"),
    *("description_html", "projectid", "tags"),
)


@frozen
class Origin:
    """Where and when a state was read.

    Args:
        url: The ``buildbotURL`` of the cluster's masters.
        title: The title of the master's configuration.
        seconds: The time, in seconds since the epoch.
    """

    url: str
    title: str
    seconds: float

    def body(self, kind: str, event: str, state: Mapping[str, Any]) -> Body:
        """Return a whole body."""
        cluster = {"url": self.url, "title": self.title, "reported_at": round(self.seconds, 3)}
        return {"schema": f"{kind}-1", "event": event, **cluster, **state}


def submission(buildset: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body has of a buildset, its sourcestamps in the order of their codebases."""
    kept = {name: buildset[name] for name in BUILDSET_KEYS if name in buildset}
    return {**kept, "sourcestamps": sorted(kept["sourcestamps"], key=lambda each: each["codebase"])}


def request_state(request: Mapping[str, Any], more: Mapping[str, Any]) -> Body:
    """Return the state of a build request."""
    results = request["results"] if request["complete"] else None
    return {**{name: request[name] for name in REQUEST_KEYS}, "results": results, **more}


def request_event(request: Mapping[str, Any], happened: str) -> str:
    """Name the event of a build request."""
    if request["complete"]:
        return "requests.cancelled" if request["results"] == CANCELLED else "requests.complete"
    if request["claimed"]:
        return "requests.claimed"
    return "requests.unclaimed" if happened == "unclaimed" else "requests.new"


def request_identity(
    request: Mapping[str, Any], happened: str, builder: str, seconds: float
) -> Identity:
    """Return what a build request's report is about."""
    number, submitted_at = request["buildrequestid"], epoch_seconds(request["submitted_at"])
    event = request_event(request, happened)
    if request["complete"]:
        state: tuple[object, ...] = (request["results"], epoch_seconds(request["complete_at"]))
    elif happened in (FOUND, "unclaimed"):
        state = (happened, int(seconds))  # the database does not distinguish it
    elif request["claimed"]:
        state = (request["claimed_by_masterid"], epoch_seconds(request["claimed_at"]))
    else:
        state = ()
    return Identity(
        event=event,
        parts=("request", number, submitted_at, *state),
        lane=f"buildrequest-{number}",
        subject=f"request-{number}-{submitted_at}",
        group=f"builder-{request['builderid']}",
        title=f"request {number} of builder {builder}",
    )


@define
class Reported:
    """What was last reported of workers or builders, by their ids; forgotten with the process."""

    _states: dict[int, Body] = field(factory=dict)

    def get(self, number: int) -> Body | None:
        """Return the state that was last reported of one, None where there was none."""
        return self._states.get(number)

    def keep(self, number: int, state: Body) -> None:
        """Remember what is reported of one now."""
        self._states[number] = state

    def forget(self) -> None:
        """Report all anew: what was reported may be lost."""
        self._states.clear()


def worker_state(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], happened: str, seconds: float
) -> Body:
    """Return the state of a worker, with what its past says of it.

    Args:
        before: The state that was last reported, None where there was none.
        now: The state without ``disconnected_at`` and ``missing``.
        happened: The last part of the routing key.
        seconds: The time, in seconds since the epoch.
    """
    if now["connected"]:
        return {**now, "disconnected_at": None, "missing": False}
    known = before if before is not None and not before["connected"] else None
    is_new = happened == "disconnected" or (before is not None and before["connected"])
    disconnected_at = int(seconds) if is_new else None
    return {
        **now,
        "disconnected_at": known["disconnected_at"] if known else disconnected_at,
        "missing": happened == "missing" or bool(known and known["missing"]),
    }


def worker_event(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> str:
    """Name what has happened to a worker between two states; the first may be unknown."""
    was: Mapping[str, Any] = before or {"connected": None}
    if now["removed"]:
        return "workers.removed"
    if now["missing"] and not was.get("missing"):
        return "workers.missing"
    if now["connected"] == was["connected"]:
        for name in ("paused", "graceful"):
            if now[name] and not was[name]:
                return f"workers.{name}"
        if (was["paused"], was["graceful"]) > (now["paused"], now["graceful"]):
            return "workers.resumed"
    return "workers.connected" if now["connected"] else "workers.disconnected"


def builder_state(builder: Mapping[str, Any], project: str | None, *, removed: bool) -> Body:
    """Return the state of a builder."""
    known = {name: builder[name] for name in BUILDER_KEYS}
    return {**known, "project": project, "removed": removed}


def builder_event(now: Mapping[str, Any]) -> str:
    """Name what has happened to a builder."""
    return "builders.removed" if now["removed"] else "builders.configured"


def inventory_identity(kind: str, event: str, number: int, state: Body, seconds: float) -> Identity:
    """Return what a report of a worker or a builder is about."""
    content = json.dumps(state, sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Identity(
        event=event,
        parts=(kind, number, digest, int(seconds * 1000)),
        lane=f"{kind}-{number}",
        subject=f"{kind}-{number}",
        group=f"{kind}s",
        title=f"{kind} {state['name']}",
    )
