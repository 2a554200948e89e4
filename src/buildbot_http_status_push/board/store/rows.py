"""Builds and builders' states as they stand in tables, and back. Pure.

A builder's state is one JSON text: the builds that it names stand in it once, as lists of values
in a fixed order, because a page reads thousands of them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve, frozen

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.model import SUSPECTS, Build, Builder, Master, SourceChange
from buildbot_http_status_push.board.storable import storable_json
from buildbot_http_status_push.board.store.merging import State
from buildbot_http_status_push.board.store.tables import builds

FIELDS = (
    "id", "buildid", "number", "request", "started_at", "complete_at", "results", "state_string",
    "submitted_at", "worker", "branch", "revision", "project", "owner", "url", "sequence",
)  # fmt: skip
"""What a build in a state has, in this order; the rest is its builder's."""

BUILD_COLUMNS = (*(builds.c[name] for name in FIELDS), builds.c.master, builds.c.builder)
"""What a build is made of."""


@frozen
class About:
    """What a status says of the builder.

    Args:
        tags: Its tags.
        project: Its project.
        description: What its configuration says of it.
    """

    tags: Sequence[str] = ()
    project: str | None = None
    description: str | None = None


def new_row(status: Status) -> dict[str, Any]:
    """Return a status's values by column, without numbers of the board."""
    about = About(status.tags, status.builder_project or status.project, status.description)
    same = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    return {
        **same,
        "parent": status.parent,
        "parent_started_at": status.parent_started_at,
        "about_builder": _to_json(asdict(about)),
        "changes": _changes_text(status.changes),
        "size": len(status.body),
        "digest": status.digest,
    }


def packed(body: bytes) -> bytes:
    """Return a body as it is kept."""
    return zlib.compress(body, 1)


def unpacked(kept: bytes) -> Mapping[str, Any]:
    """Return the JSON of a body that was kept."""
    # It is kept as it came.
    content: Mapping[str, Any] = storable_json(json.loads(zlib.decompress(kept)))
    return content


def suspects_of(changes: str | None) -> tuple[SourceChange, ...]:
    """Return the changes of a build's column."""
    return tuple(SourceChange(**each) for each in json.loads(changes or "[]"))


def _changes_text(changes: Sequence[SourceChange]) -> str | None:
    return _to_json([asdict(each) for each in changes[:SUSPECTS]]) if changes else None


def build_of(row: Any, builder_name: str) -> Build:
    """Return a build.

    Args:
        row: Its ``BUILD_COLUMNS``.
        builder_name: Its builder's name.
    """
    return Build(builder_name=builder_name, **row._asdict())


def packed_state(state: State, about: About) -> str:
    """Return a builder's state as it is kept."""
    marked = [state.last, state.first_bad, state.last_good]
    named = {each.id: each for each in (*marked, *state.running, *state.recent) if each}
    return _to_json(
        {
            "builds": [[getattr(each, name) for name in FIELDS] for each in named.values()],
            "marked": [each and each.id for each in marked],
            "running": _ids(state.running),
            "recent": _ids(state.recent),
            "suspects": [asdict(each) for each in state.suspects],
            "usual": state.usual,
            "flaky": state.flaky,
            **asdict(about),
        }
    )


def _ids(some: Iterable[Build]) -> list[int]:
    return [each.id for each in some]


def ids_in(text: str) -> list[int]:
    """Return the numbers of the builds that a state names.

    Args:
        text: The state as it is kept.
    """
    return [values[0] for values in json.loads(text)["builds"]]


def builder_of(row: Any, master: Master) -> Builder:
    """Return a builder.

    Args:
        row: Its row in the table.
        master: Its master.
    """
    state = json.loads(row.state)
    whose = {"master": row.master, "builder": row.id, "builder_name": row.name}
    named = {
        values[0]: Build(**dict(zip(FIELDS, values, strict=True)), **whose)
        for values in state["builds"]
    }
    last, first_bad, last_good = (named.get(each) for each in state["marked"])
    return Builder(
        id=row.id,
        master=master,
        name=row.name,
        tags=tuple(state["tags"]),
        project=state["project"],
        description=state["description"],
        last=last,
        first_bad=first_bad,
        last_good=last_good,
        suspects=tuple(SourceChange(**each) for each in state["suspects"]),
        running=tuple(named[each] for each in state["running"]),
        recent=tuple(named[each] for each in state["recent"]),
        usual=state["usual"],
        flaky=state["flaky"],
        sequence=row.sequence,
    )


def with_master(builder: Builder, master: Master) -> Builder:
    """Return a builder with what is now known of its master."""
    return builder if builder.master == master else evolve(builder, master=master)


def _to_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
