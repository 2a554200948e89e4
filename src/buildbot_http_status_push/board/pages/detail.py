"""What a build's body says of it, for the build's page.

Pure: takes what JSON gives and trusts none of it. Knows no database and no template.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.changes import (
    NAME,
    SENTENCE,
    SOURCES,
    changes_of,
    first_line,
    moment,
    objects,
    text,
    web_address,
)
from buildbot_http_status_push.board.model import Build, SourceChange
from buildbot_http_status_push.board.pages.wording import result_symbol
from buildbot_http_status_push.results import result_word

STEPS = 500
"""How many steps of a build are shown."""
LINKS = 20
"""How many links, and how many logs, of a step are shown."""
PROPERTIES = 500
"""How many properties of a build are shown."""
VALUE = 10_000
"""How many characters of a property's value are shown."""


@frozen
class Link:
    """A link to somewhere else; without an address it is a name only."""

    name: str
    url: str | None


@frozen(kw_only=True)
class Step:
    """A step of a build.

    Args:
        name: Its name.
        symbol: The shape that stands for its result.
        word: The word for its result.
        says: How it stands, in the master's words.
        duration: Seconds that it took, where that is known.
        links: Its links, then its logs.
    """

    name: str
    symbol: str
    word: str
    says: str
    duration: int | None
    links: tuple[Link, ...]


@frozen(kw_only=True)
class Property:
    """A property of a build.

    Args:
        name: Its name.
        value: A text as it is, anything else as JSON.
        source: What has set it.
    """

    name: str
    value: str
    source: str


@frozen(kw_only=True)
class Source:
    """What was built, of one codebase.

    Args:
        codebase: Its name, where it has one.
        project: The project.
        repository: Where it lives.
        branch: The branch.
        revision: What was asked for.
        is_patched: Whether a patch was applied.
    """

    codebase: str | None
    project: str | None
    repository: Link | None
    branch: str | None
    revision: str | None
    is_patched: bool


@frozen(kw_only=True)
class Contents:
    """All that a body says beyond what lists show.

    Args:
        reason: Why it was built.
        steps: The steps that are not hidden, where they were sent.
        changes: The changes, where they were sent.
        sources: What was built.
        properties: The properties by name.
    """

    reason: str | None
    steps: tuple[Step, ...]
    changes: tuple[SourceChange, ...]
    sources: tuple[Source, ...]
    properties: tuple[Property, ...]


def contents(body: Mapping[str, Any]) -> Contents:
    """Read a body.

    Args:
        body: A status's JSON.
    """
    buildset = _object(body.get("buildset"))
    steps = (each for each in objects(body.get("steps")) if not each.get("hidden"))
    return Contents(
        reason=first_line(buildset.get("reason")) or None,
        steps=tuple(map(_step, islice(steps, STEPS))),
        changes=changes_of(body),
        sources=tuple(map(_source, islice(objects(buildset.get("sourcestamps")), SOURCES))),
        properties=tuple(_properties(_object(body.get("properties")))),
    )


def queued(build: Build) -> int | None:
    """Return how long a build's request waited until the build began.

    Args:
        build: The build.

    Returns:
        Seconds, None where it is not known when the request came.
    """
    return None if build.submitted_at is None else max(build.started_at - build.submitted_at, 0)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _step(step: Mapping[str, Any]) -> Step:
    began, ended = moment(step.get("started_at")), moment(step.get("complete_at"))
    results = step.get("results")
    is_over = results is not None
    waits = not is_over and began is None
    return Step(
        name=text(step.get("name"), NAME) or "step",
        symbol=result_symbol(results) if is_over else "unknown" if waits else "running",
        word=result_word(results) if is_over else "waiting" if waits else "running",
        says=text(step.get("state_string"), SENTENCE) or "",
        duration=None if began is None or ended is None else max(ended - began, 0),
        links=tuple(
            _link(each)
            for kind in ("urls", "logs")
            for each in islice(objects(step.get(kind)), LINKS)
        ),
    )


def _link(link: Mapping[str, Any]) -> Link:
    return Link(text(link.get("name"), NAME) or "link", web_address(link.get("url")))


def _source(stamp: Mapping[str, Any]) -> Source:
    repository = text(stamp.get("repository"), NAME)
    return Source(
        codebase=text(stamp.get("codebase"), NAME),
        project=text(stamp.get("project"), NAME),
        repository=Link(repository, web_address(repository)) if repository else None,
        branch=text(stamp.get("branch"), NAME),
        revision=text(stamp.get("revision"), NAME),
        is_patched=bool(stamp.get("patch")),
    )


def _properties(properties: Mapping[str, Any]) -> Iterator[Property]:
    for name in sorted(properties)[:PROPERTIES]:
        given = properties[name]
        has_source = isinstance(given, list) and len(given) == 2
        value, source = given if has_source else (given, None)
        written = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield Property(name=name[:NAME], value=written[:VALUE], source=text(source, NAME) or "")
