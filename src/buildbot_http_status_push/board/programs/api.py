"""The JSON API: builders, builds and changes under names that stay. Pure.

``openapi.json`` beside this module describes it; a test holds real answers against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buildbot_http_status_push.board.failures.words import words_of
from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.model import (
    Build,
    BuildDetail,
    Builder,
    FailedBuild,
    Master,
    Memory,
    Position,
    Update,
)
from buildbot_http_status_push.board.programs.incidents import incident_json, step_json
from buildbot_http_status_push.board.test_results import words
from buildbot_http_status_push.board.test_results.history import (
    TestPlace,
    TestPlaces,
    TestRate,
    Verdict,
)
from buildbot_http_status_push.board.test_results.results import NamedTest
from buildbot_http_status_push.results import result_word

JSON = "application/json"


def builders(written: Iterable[str], position: Position) -> Document:
    """Return all builders, each with what it says now, its running and its recent builds."""
    head = _json(placed(position)).removesuffix("}")
    return Document(body=f'{head},"builders":[{",".join(written)}]}}'.encode(), content_type=JSON)


def builder_text(found: Builder) -> str:
    """Write a builder's public form as JSON."""
    return _json(builder(found))


def builds(found: Sequence[Build], masters: Iterable[Master], position: Position) -> Document:
    """Return builds, the newest first."""
    names = {each.id: each.name for each in masters}
    told = [build(each, names[each.master]) for each in found]
    return document({**placed(position), "builds": told})


def detail(found: BuildDetail) -> Document:
    """Return one build, with the body of its latest status as it came."""
    return document(
        {
            **build(found.build, found.builder.master.name),
            "memory": None if found.memory is None else memory(found.memory),
            "parent": None if found.parent is None else found.parent.id,
            "triggered": [each.id for each in found.triggered],
            "same_request": [each.id for each in found.same_request],
            "body": found.body,
        }
    )


def tests(
    rates: Iterable[TestRate],
    places: Iterable[TestPlaces],
    at_revision: Mapping[tuple[NamedTest, int], bool | None],
    since: int,
    position: Position,
) -> Document:
    """Return how often tests of a name failed on each builder, and since when they fail.

    Args:
        rates: How often they failed since ``since``.
        places: What their latest runs say, where they are known to have failed.
        at_revision: Whether they failed in the builds of a revision, by test and builder.
        since: From when on they are counted, in seconds since the epoch.
        position: Where the order of updates stands.
    """
    known = {(each.test, at.builder.id): at for each in places for at in each.places}
    told = [
        _test(
            rate.test,
            rate.builder,
            rate.branch,
            (rate.failed, rate.ran),
            known.get((rate.test, rate.builder.id)),
            at_revision.get((rate.test, rate.builder.id)),
        )
        for rate in rates
    ]
    return document({**placed(position), "since": since, "tests": told})


def failing_tests(found: Iterable[TestPlaces], since: int, position: Position) -> Document:
    """Return the tests that fail now, with the rates of their latest runs."""
    told = [
        _test(each.test, at.builder, at.branch, (at.verdict.failed, at.verdict.ran), at, None)
        for each in found
        for at in each.places
    ]
    return document({**placed(position), "since": since, "tests": told})


def _test(
    test: NamedTest,
    builder: Builder,
    branch: str | None,
    rate: tuple[int, int],
    at: TestPlace | None,
    has_failed: bool | None,
) -> dict[str, Any]:
    failed, ran = rate
    verdict = Verdict() if at is None else at.verdict
    first = None if at is None else at.first_bad
    return {
        "suite": test.suite,
        "name": test.name,
        "builder": builder.id,
        "builder_name": builder.name,
        "master": builder.master.name,
        "branch": branch,
        "failed": failed,
        "ran": ran,
        "pass_rate": round((ran - failed) / ran, 4) if ran else None,
        "fails": verdict.fails,
        "in_a_row": verdict.in_a_row,
        "flaky": verdict.is_flaky,
        "says": words.words_of(verdict),
        "first_bad": None
        if first is None
        else {"id": first.id, "number": first.number, "revision": first.revision},
        "evidence": [{"failed": bad.build, "passed": good.build} for bad, good in verdict.evidence],
        "at_revision": None if has_failed is None else "failed" if has_failed else "passed",
    }


def changes(found: Iterable[Update], position: Position) -> Document:
    """Return what was accepted after a sequence."""
    told = [
        {"sequence": each.sequence, "build": each.build, "builder": each.builder, "at": each.at}
        for each in found
    ]
    return document({**placed(position), "changes": told})


def gone(position: Position) -> Document:
    """Say that what was accepted after a sequence is no longer known one by one."""
    return document(
        {**placed(position), "error": "too far back: read /api/builders, and go on from here"},
        status=410,
    )


def fault(status: int, sentence: str) -> Document:
    """Say why there is no answer."""
    return document({"error": sentence}, status=status)


def failures(
    found: Iterable[FailedBuild], masters: Iterable[Master], position: Position
) -> Document:
    """Return bad builds and why they are so, the latest first."""
    names = {each.id: each.name for each in masters}
    told = [
        {"build": build(each.build, names[each.build.master]), "memory": memory(each.memory)}
        for each in found
    ]
    return document({**placed(position), "failures": told})


def incidents(found: Iterable[Incident], position: Position) -> Document:
    """Return incidents, those that are open first."""
    return document({**placed(position), "incidents": [*map(incident_json, found)]})


def incident(found: Incident, steps: Iterable[Step], position: Position) -> Document:
    """Return one incident with the steps of its life."""
    content = {"incident": incident_json(found), "steps": [*map(step_json, steps)]}
    return document({**placed(position), **content})


def memory(found: Memory) -> dict[str, Any]:
    """Return the public form of what is remembered of why a build is bad."""
    return {
        "state": found.state,
        "words": list(words_of(found)),
        "flaky": found.is_flaky,
        "builds_in_a_row": found.in_a_row,
        "earlier_breakages": found.earlier,
        "earlier_since": found.earlier_since,
        "other_builders": found.builders,
        "failed_before_at": found.before,
        "built_again": found.rebuilt,
        "passed_again": found.passed,
        "known": [
            {"name": each.name, "title": each.title, "link": each.link, "owner": each.owner}
            for each in found.known
        ],
        "cut": found.is_cut,
        "reasons": [
            {
                "signature": each.signature,
                "rule": each.rule,
                "step": each.step,
                "text": each.text,
            }
            for each in found.reasons
        ],
    }


def builder(found: Builder) -> dict[str, Any]:
    """Return a builder's public form."""

    def told(one: Build | None) -> dict[str, Any] | None:
        return None if one is None else build(one, found.master.name)

    return {
        "id": found.id,
        "name": found.name,
        "master": _master(found.master),
        "tags": list(found.tags),
        "project": found.project,
        "description": found.description,
        "branch": found.branch,
        "branches": list(found.branches),
        "state": _state(found),
        "flaky": found.flaky,
        "memory": None if found.memory is None else memory(found.memory),
        "usual_duration": found.usual,
        "last": told(found.last),
        "first_bad": told(found.first_bad),
        "last_good": told(found.last_good),
        "no_result": told(found.no_result),
        "running": [*map(told, found.running)],
        "recent": [*map(told, found.recent)],
    }


def build(found: Build, master: str) -> dict[str, Any]:
    """Return a build's public form, with the name that its master is shown by."""
    return {
        "id": found.id,
        "master": master,
        "builder": found.builder,
        "builder_name": found.builder_name,
        "number": found.number,
        "buildid": found.buildid,
        "buildrequestid": found.request,
        "result": None if found.results is None else result_word(found.results),
        "started_at": found.started_at,
        "complete_at": found.complete_at,
        "submitted_at": found.submitted_at,
        "state_string": found.state_string,
        "worker": found.worker,
        "branch": found.branch,
        "revision": found.revision,
        "sources": [
            {"codebase": each.codebase, "branch": each.branch, "revision": each.revision}
            for each in found.sources
        ],
        "judges": found.judges,
        "step": found.step,
        "project": found.project,
        "owner": found.owner,
        "url": found.url,
    }


def _state(found: Builder) -> str:
    if found.last is None:
        return "unknown"
    return "red" if found.is_red else "green"


def _master(found: Master) -> dict[str, Any]:
    return {"name": found.name, "url": found.url, "heard_at": int(found.heard_at)}


def placed(position: Position) -> dict[str, Any]:
    """Return where the order of updates is, for the head of an answer."""
    return {"epoch": position.epoch, "sequence": position.sequence}


def document(content: Mapping[str, Any], status: int = 200) -> Document:
    """Return an answer of JSON."""
    return Document(body=_json(content).encode(), content_type=JSON, status=status)


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))
