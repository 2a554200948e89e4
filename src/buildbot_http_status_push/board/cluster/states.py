"""What the bodies ``requests-1``, ``workers-1`` and ``builders-1`` say. Pure.

Each is the whole state of one request, worker or builder; the one that was reported last holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeAlias

from attrs import frozen

from buildbot_http_status_push.board.changes import (
    LATEST,
    MOST,
    SENTENCE,
    SOURCES,
    changes_of,
    objects,
)
from buildbot_http_status_push.board.filters import MOST_VALUE
from buildbot_http_status_push.board.model import Source

TAGS = 50
BUILDERS = 2000
"""How many builders of a worker are kept."""


class StateFault(Exception):  # noqa: N818  the sender's, not the program's
    """A body can't be true; the text names the key."""


@frozen(kw_only=True)
class RequestState:
    """A build request.

    Args:
        master_url: The cluster's web interface.
        master_title: The title of its configuration.
        reported_at: When this was true, in seconds since the epoch.
        builder: The builder's name.
        number: Its id in the cluster's database.
        submitted_at: When it was submitted.
        claimed: Whether a master has taken it.
        complete: Whether it waits for nothing any more.
        results: Its result code, None until it is complete.
        priority: Its priority.
        reason: Why it was submitted.
        sources: What is to be built; where no revision is asked for, that of the change.
    """

    master_url: str
    master_title: str | None
    reported_at: float
    builder: str
    number: int
    submitted_at: int
    claimed: bool
    complete: bool
    results: int | None
    priority: int
    reason: str
    sources: tuple[Source, ...]


@frozen(kw_only=True)
class WorkerState:
    """A worker.

    Args:
        master_url: The cluster's web interface.
        master_title: The title of its configuration.
        reported_at: When this was true, in seconds since the epoch.
        name: Its name.
        connected: Whether it is connected to any master.
        disconnected_at: Since when it is not, where that is known.
        missing: Whether Buildbot has reported it missing.
        paused: Whether it gets no builds.
        pause_reason: Why.
        graceful: Whether it shuts down when its builds have ended.
        latent: Whether Buildbot starts it when it is needed, None where that is not known.
        removed: Whether no configuration has it any more.
        builders: The names of the builders that it is configured for.
    """

    master_url: str
    master_title: str | None
    reported_at: float
    name: str
    connected: bool
    disconnected_at: int | None
    missing: bool
    paused: bool
    pause_reason: str | None
    graceful: bool
    latent: bool | None
    removed: bool
    builders: tuple[str, ...]


@frozen(kw_only=True)
class BuilderState:
    """A builder.

    Args:
        master_url: The cluster's web interface.
        master_title: The title of its configuration.
        reported_at: When this was true, in seconds since the epoch.
        name: Its name.
        tags: Its tags.
        description: What its configuration says of it.
        project: Its project.
        removed: Whether no configuration has it any more.
    """

    master_url: str
    master_title: str | None
    reported_at: float
    name: str
    tags: tuple[str, ...]
    description: str | None
    project: str | None
    removed: bool


State: TypeAlias = RequestState | WorkerState | BuilderState


def state_of(content: Mapping[str, Any]) -> State:
    """Return what a body says.

    Raises:
        StateFault: A key is missing, or has a value that it can't have.
    """
    return KINDS[content["schema"]](_Reader(content))


class _Reader:
    """Reads keys of a JSON object."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content

    def object(self, key: str) -> _Reader:
        return _Reader(self._typed(key, dict, "an object"))

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, bool, "true or false"))

    def number(self, key: str) -> int:
        value = self._typed(key, int, "a whole number")
        if isinstance(value, bool) or not -MOST < value < MOST:
            raise _fault(key, value, "a whole number")
        return int(value)

    def moment(self, key: str) -> float:
        value = self._typed(key, (int, float), "a time in seconds since the epoch")
        if isinstance(value, bool) or not 0 <= value < LATEST:
            raise _fault(key, value, "a time in seconds since the epoch")
        return float(value)

    def maybe(self, key: str, read: Callable[[str], Any]) -> Any:
        """Return None for null, else what reads the key."""
        if self.content.get(key, ...) is None:
            return None
        return read(key)

    def text(self, key: str, most: int = MOST_VALUE) -> str:
        return str(self._typed(key, str, "a text"))[:most]

    def name(self, key: str) -> str:
        name = self.text(key)
        if not name:
            raise _fault(key, name, "a name")
        return name

    def tags(self) -> tuple[str, ...]:
        given = self._typed("tags", list, "a list of texts")
        return tuple(each[:MOST_VALUE] for each in given if isinstance(each, str) and each)[:TAGS]

    def _typed(self, key: str, kind: Any, what: str) -> Any:
        if key not in self.content:
            raise StateFault(f"{key!r} is missing: must be {what}")
        value = self.content[key]
        if not isinstance(value, kind):
            raise _fault(key, value, what)
        return value


def _fault(key: str, value: object, what: str) -> StateFault:
    try:
        shown = repr(value)[:60]
    except ValueError:  # an integer of more digits than Python writes
        shown = "a number of too many digits"
    return StateFault(f"{key!r} is {shown}: must be {what}")


def _head(body: _Reader) -> dict[str, Any]:
    return {
        "master_url": body.text("url", SENTENCE),
        "master_title": body.text("title") or None,
        "reported_at": body.moment("reported_at"),
    }


def _request(body: _Reader) -> RequestState:
    buildset = body.object("buildset")
    complete = body.flag("complete")
    return RequestState(
        **_head(body),
        builder=body.object("builder").name("name"),
        number=body.number("buildrequestid"),
        submitted_at=int(body.moment("submitted_at")),
        claimed=body.flag("claimed"),
        complete=complete,
        results=body.maybe("results", body.number) if complete else None,
        priority=body.number("priority"),
        reason=buildset.text("reason", SENTENCE),
        sources=_sources(body, buildset),
    )


def _sources(body: _Reader, buildset: _Reader) -> tuple[Source, ...]:
    changed = {each.codebase: each.revision for each in changes_of(body.content)}
    stamps = islice(objects(buildset.content.get("sourcestamps")), SOURCES)
    made = []
    for stamp in stamps:
        texts = {
            key: value[:MOST_VALUE] if isinstance(value := stamp.get(key), str) else None
            for key in ("codebase", "branch", "revision", "project")
        }
        codebase = texts["codebase"] or ""
        made.append(
            Source(
                codebase=codebase,
                branch=texts["branch"],
                revision=texts["revision"] or (changed.get(codebase) or "")[:MOST_VALUE] or None,
                project=texts["project"] or None,
            )
        )
    return tuple(sorted(made, key=lambda each: each.codebase))


def _worker(body: _Reader) -> WorkerState:
    named = (each.get("name") for each in objects(body.content.get("builders")))
    names = (each[:MOST_VALUE] for each in named if isinstance(each, str) and each)
    connected = body.flag("connected")
    disconnected_at = body.maybe("disconnected_at", body.moment)
    return WorkerState(
        **_head(body),
        name=body.name("name"),
        connected=connected,
        disconnected_at=None if connected or disconnected_at is None else int(disconnected_at),
        missing=body.flag("missing"),
        paused=body.flag("paused"),
        pause_reason=body.maybe("pause_reason", body.text),
        graceful=body.flag("graceful"),
        latent=body.maybe("latent", body.flag),
        removed=body.flag("removed"),
        builders=tuple(dict.fromkeys(islice(names, BUILDERS))),
    )


def _builder(body: _Reader) -> BuilderState:
    description = body.maybe("description", lambda key: body.text(key, SENTENCE))
    return BuilderState(
        **_head(body),
        name=body.name("name"),
        tags=body.tags(),
        description=description or None,
        project=body.maybe("project", body.text) or None,
        removed=body.flag("removed"),
    )


KINDS: Mapping[str, Callable[[_Reader], State]] = {
    "requests-1": _request,
    "workers-1": _worker,
    "builders-1": _builder,
}
"""What reads which schema."""
