"""``/api/revisions/SHA``, ``/api/verdicts``: what builders say of a revision and a branch. Pure.

``openapi.json`` beside this module describes it; a test holds real answers against it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.model import Position, SourceChange
from buildbot_http_status_push.board.programs import api
from buildbot_http_status_push.board.verdicts.revision import (
    BuilderVerdict,
    Progress,
    RevisionVerdict,
    progress,
)
from buildbot_http_status_push.board.verdicts.rules import BranchVerdict, Ground


def revision(
    found: Sequence[RevisionVerdict],
    position: Position,
    now: float,
    *,
    has_requests: bool,
    quiet: Collection[int] = (),
) -> Document:
    """Return what builders say of a revision, of each codebase and branch that has it."""
    reached = progress(chain.from_iterable(each.builders for each in found), now)
    return api.document(
        {
            **api.placed(position),
            "revision": found[0].revision,
            "requests_known": has_requests,
            **_progress(reached),
            "codebases": [_codebase(each, now, quiet) for each in found],
        }
    )


def _progress(reached: Progress) -> dict[str, Any]:
    return {
        "words": reached.words,
        "builders_count": reached.count,
        "ended": reached.ended,
        "is_over": reached.is_over,
        "counts": {kind: count for kind, count in reached.counts.items() if count},
        "seconds_left": None if reached.left is None else round(reached.left),
    }


def _codebase(found: RevisionVerdict, now: float, quiet: Collection[int]) -> dict[str, Any]:
    return {
        "codebase": found.codebase,
        "branch": found.branch,
        "project": found.project,
        "first_at": found.first_at,
        **_progress(progress(found.builders, now)),
        "changes": list(map(_change, found.changes)),
        "builders": [_builder(each, quiet) for each in found.builders],
        "new_failures": [
            {
                "signature": reason.signature,
                "step": reason.step,
                "text": reason.text,
                "builds": _builds(some),
            }
            for reason, some in found.new_reasons
        ],
        "new_tests": [
            {"suite": test.suite, "name": test.name, "builds": _builds(some)}
            for test, some in found.new_tests
        ],
    }


def _change(found: SourceChange) -> dict[str, Any]:
    return {
        "changeid": found.id,
        "author": found.author,
        "comment": found.comment,
        "at": found.at,
        "url": found.url,
    }


def _builder(found: BuilderVerdict, quiet: Collection[int]) -> dict[str, Any]:
    return {
        "builder": found.builder.id,
        "name": found.builder.name,
        "master": found.builder.master.name,
        "says": found.kind,
        "stuck": _stuck(found, quiet),
        "inside_later": found.is_inside,
        "build": None if found.build is None else api.build(found.build, found.builder.master.name),
        "memory": None if found.memory is None else api.memory(found.memory),
    }


def _stuck(found: BuilderVerdict, quiet: Collection[int]) -> str | None:
    """Return why a builder that has not ended may never end, None where that is not known."""
    builder = found.builder
    if found.kind != "waiting":
        return None
    if builder.removed:
        return "the builder was removed"
    if builder.unmanned:
        is_one = builder.unmanned == 1
        return f"{'its worker' if is_one else f'no worker of {builder.unmanned}'} is " + (
            "not connected" if is_one else "connected"
        )
    return "the builder is quiet" if builder.id in quiet else None


def _builds(some: Sequence[BuilderVerdict]) -> list[int]:
    return [each.build.id for each in some if each.build is not None]


def verdicts(found: Sequence[BranchVerdict], fault: str | None, position: Position) -> Document:
    """Return whether branches may be released."""
    told = [
        {
            "name": each.rule.name,
            "branch": each.rule.branch,
            "state": each.state,
            "revision": each.revision,
            "builders_count": each.count,
            "reasons": list(map(_ground, each.reasons)),
            "concerns": list(map(_ground, each.concerns)),
        }
        for each in found
    ]
    return api.document({**api.placed(position), "fault": fault, "verdicts": told})


def _ground(found: Ground) -> dict[str, Any]:
    builder, build = found.builder, found.build
    master = None if builder is None else builder.master.name
    return {
        "group": found.group,
        "words": found.words,
        "builder": None if builder is None else builder.id,
        "name": None if builder is None else builder.name,
        "master": master,
        "build": None if build is None or master is None else api.build(build, master),
    }
