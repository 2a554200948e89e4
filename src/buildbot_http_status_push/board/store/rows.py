"""Builds and builders' states as they stand in tables, and back. Pure.

A state is one JSON text: the builds that it names stand in it once, as lists of values in a fixed
order, because a page reads thousands of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

from attrs import asdict, astuple, evolve, frozen

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.judgements import place
from buildbot_http_status_push.board.model import (
    Build,
    Builder,
    Changes,
    FailingTests,
    Master,
    Source,
    SourceChange,
)
from buildbot_http_status_push.board.storable import loads_storable
from buildbot_http_status_push.board.store.merging import State
from buildbot_http_status_push.board.store.tables import builds

FIELDS = (
    "id", "buildid", "number", "request", "started_at", "complete_at", "results", "state_string",
    "submitted_at", "worker", "branch", "revision", "project", "owner", "url", "sequence",
    "sources", "judges", "step",
)  # fmt: skip
"""What a build in a state has, in this order; the rest is its builder's."""

BUILD_COLUMNS = (*(builds.c[name] for name in FIELDS), builds.c.master, builds.c.builder)
"""What a build is made of."""
BUILD_NAMES = tuple(each.name for each in BUILD_COLUMNS)
_of_build = attrgetter(*BUILD_NAMES)

CHANGE_IDS = 10_000
"""How many ids of a build's changes are kept: the highest ones."""
CHANGES = 100
"""Of how many of a build's changes more is kept: the newest ones."""
COMMENT = 200
"""How many characters of a change's author and comment are kept."""


@frozen
class About:
    """What a status says of the builder."""

    tags: Sequence[str] = ()
    project: str | None = None
    description: str | None = None


def new_row(status: Status) -> dict[str, Any]:
    """Return a status's values by column, without numbers of the board."""
    about = About(status.tags, status.builder_project or status.project, status.description)
    same = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    return {
        **same,
        "sources": to_json([astuple(each) for each in status.sources]),
        "has_several": int(len(status.sources) > 1),
        "judges": int(status.judges),
        "line": line_of(status),
        "parent": status.parent,
        "parent_started_at": status.parent_started_at,
        "about_builder": to_json(asdict(about)),
        "changes": _changes_text(status.changes),
        "size": len(status.body),
        "digest": status.digest,
    }


def packed(body: bytes) -> bytes:
    """Return a body as it is kept."""
    return zlib.compress(body, 1)


def body_of(kept: bytes) -> bytes:
    """Return a body that was kept."""
    return zlib.decompress(kept)


def unpacked(kept: bytes) -> Mapping[str, Any]:
    """Return the JSON of a body that was kept."""
    # It is kept as it came.
    content: Mapping[str, Any] = loads_storable(body_of(kept))
    return content


def line_of(build: Build | Status) -> str:
    """Return the branch of a build as tables have it: empty where there is none."""
    return build.branch or ""


def changes_in(kept: str | None) -> Changes:
    """Return the changes of a build's column."""
    if kept is None:
        return Changes()
    content = json.loads(kept)
    shown = tuple(SourceChange(**each) for each in content["shown"])
    return Changes(ids=frozenset(content["ids"]), shown=shown, count=content["count"])


@lru_cache(256)
def tags_in(about_builder: str) -> tuple[str, ...]:
    """Return the builder's tags of a build's column."""
    return tuple(json.loads(about_builder)["tags"])


def _changes_text(changes: Sequence[SourceChange]) -> str | None:
    if not changes:
        return None
    ids = sorted(each.id for each in changes if each.id is not None)
    ranks = [-1 if each.id is None else each.id for each in changes]
    newest = sorted(range(len(changes)), key=ranks.__getitem__)[-CHANGES:]
    return to_json(
        {
            "ids": ids[-CHANGE_IDS:],
            "shown": [asdict(cut_change(changes[place])) for place in sorted(newest)],
            "count": len(changes),
        }
    )


def cut_change(change: SourceChange) -> SourceChange:
    """Return a change as it is kept: no text of it is longer than is shown."""
    return evolve(change, author=change.author[:COMMENT], comment=change.comment[:COMMENT])


def build_of(row: Any, builder_name: str) -> Build:
    """Return a build."""
    return _build(_of_build(row), builder_name)


@lru_cache(maxsize=8_192)  # each status is judged by the same builds before it
def _build(values: tuple[Any, ...], builder_name: str) -> Build:
    named = dict(zip(BUILD_NAMES, values, strict=True))
    named.update(sources=_sources(json.loads(named["sources"])), judges=bool(named["judges"]))
    return Build(builder_name=builder_name, **named)


def _sources(values: Iterable[Sequence[Any]]) -> tuple[Source, ...]:
    return tuple(Source(*each) for each in values)


def packed_state(state: State) -> str:
    """Return what a branch's builds say of their builder as it is kept."""
    marked = [state.last, state.first_bad, state.last_good]
    named = {each.id: each for each in (*marked, *state.recent) if each}
    return to_json(
        {
            "builds": list(map(_values, named.values())),
            "marked": [each and each.id for each in marked],
            "recent": [each.id for each in state.recent],
            "suspects": [asdict(each) for each in state.suspects],
            "suspected": state.suspected,
            "usual": state.usual,
            "flaky": state.flaky,
            **({} if state.tests is None else {"tests": asdict(state.tests)}),
        }
    )


def packed_builder(
    newest: Build | None,
    running: Sequence[Build],
    branches: Sequence[tuple[str, int]],
    about: About,
) -> str:
    """Return what all builds say of a builder as it is kept.

    Args:
        newest: The one that began last.
        running: Those that run, oldest first.
        branches: The branches that most of them are of, and of how many.
        about: What the newest one says.
    """
    return to_json(
        {
            "newest": [] if newest is None else place(newest),
            "running": list(map(_values, running)),
            "branches": branches,
            **asdict(about),
        }
    )


def _values(build: Build) -> list[Any]:
    values = {name: getattr(build, name) for name in FIELDS}
    values["sources"] = [astuple(each) for each in build.sources]
    return list(values.values())


def ids_in(text: str) -> list[int]:
    """Return the numbers of the builds that a branch's state names."""
    return [values[0] for values in json.loads(text)["builds"]]


def marked_in(text: str) -> list[int]:
    """Return the numbers of the last build, the first bad one and the last good one of a branch."""
    return [number for number in json.loads(text)["marked"] if number is not None]


def newest_in(text: str) -> int:
    """Return when the newest build of a branch began, in seconds since the epoch."""
    at = FIELDS.index("started_at")
    return max((int(values[at]) for values in json.loads(text)["builds"]), default=0)


@frozen
class KnownBuilder:
    """A builder, whatever the branch.

    Args:
        builder: The builder, without what its builds of a branch say.
        branches: The branches that most of its builds are of, and of how many.
        newest: The place of the build that began last.
    """

    builder: Builder
    branches: tuple[tuple[str, int], ...]
    newest: tuple[int, ...]


def known_builder(row: Any, master: Master) -> KnownBuilder:
    """Return a builder."""
    content = json.loads(row.state)
    whose = (row.id, row.name, row.master)
    branches = tuple((name, count) for name, count in content["branches"])
    builder = Builder(
        id=row.id,
        master=master,
        name=row.name,
        tags=tuple(content["tags"]),
        project=content["project"],
        description=content["description"],
        branches=tuple(name for name, _ in branches if name),
        running=tuple(_built(values, *whose) for values in content["running"]),
        sequence=row.sequence,
    )
    return KnownBuilder(builder, branches, tuple(content["newest"]))


def builder_on(known: KnownBuilder, line: str, text: str) -> Builder:
    """Return a builder with what its builds of a branch say of it."""
    state, whose = json.loads(text), known.builder
    builds = (_built(each, whose.id, whose.name, whose.master.id) for each in state["builds"])
    named = {each.id: each for each in builds}
    last, first_bad, last_good = (named.get(each) for each in state["marked"])
    return evolve(
        whose,
        branch=line or None,
        last=last,
        first_bad=first_bad,
        last_good=last_good,
        suspects=tuple(SourceChange(**each) for each in state["suspects"]),
        suspected=state["suspected"],
        recent=tuple(named[each] for each in state["recent"]),
        usual=state["usual"],
        flaky=state["flaky"],
        tests=_failing_tests(state.get("tests")),
    )


def _failing_tests(kept: Mapping[str, Any] | None) -> FailingTests | None:
    return None if kept is None else FailingTests(**{**kept, "names": tuple(kept["names"])})


def _built(values: Sequence[Any], builder: int, name: str, master: int) -> Build:
    named = dict(zip(FIELDS, values, strict=True))
    named["sources"] = _sources(named["sources"])
    return Build(**named, master=master, builder=builder, builder_name=name)


def with_master(builder: Builder, master: Master) -> Builder:
    """Return a builder with what is now known of its master."""
    return builder if builder.master == master else evolve(builder, master=master)


def to_json(value: object) -> str:
    """Return a value as the database keeps it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
