"""What a status's body says of a build. Pure: bytes in, a value or a refusal out.

Takes the default body of this reporter and of Buildbot's built-in one, and of others what says as
much. Nothing in it is trusted: what is kept fits every database and every page. Keys that are not
known are no fault: a newer version of the schema may have them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.changes import (
    LATEST,
    MOST,
    NAME,
    SENTENCE,
    SOURCES,
    changes_of,
    failing_step,
    objects,
    web_address,
)
from buildbot_http_status_push.board.cluster.states import KINDS, State, StateFault, state_of
from buildbot_http_status_push.board.failures.lines import FailedLine, failed_of
from buildbot_http_status_push.board.model import BAD, INCONCLUSIVE, Source, SourceChange
from buildbot_http_status_push.board.storable import storable_json
from buildbot_http_status_push.board.test_results.results import BuildTests, results_of
from buildbot_http_status_push.results import CANCELLED

DEEPEST = 60
"""How many lists and objects may stand within each other."""
MOST_VALUES = 250_000
"""How many values a body may have: more cost seconds, however few bytes each of them has."""
TAGS = 50

PULL_REFERENCE = re.compile(r"refs/(pull|pull-requests|merge-requests|changes)/")
PULL_CATEGORIES = ("pull", "merge_request")
"""How the categories begin that Buildbot's hooks give the changes of pull requests."""
PULL_PROPERTIES = ("pullrequesturl", "source_branch", "pr_id", "github.number")
"""Properties that Buildbot's hooks, and that of Gitea, give them."""
PULL_EVENT = "patchset-created"
"""What Gerrit calls the event that a change under review is built for."""


class BodyError(Exception):
    """A body is not taken; the text says why, in one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@frozen(kw_only=True)
class Status:
    """What a body says of a build; times are in seconds since the epoch.

    Args:
        master_url: The web interface of the master, empty where the body has no URL.
        master_title: The title of its configuration, where that was sent.
        builder: The builder's name.
        tags: The builder's tags.
        description: What the builder's configuration says of it.
        builder_project: The builder's project, where it has one.
        buildid: The build's id in the master's database.
        number: Its number among the builder's builds.
        request: The id of its build request.
        started_at: When it began.
        complete_at: When it ended, None while it runs.
        results: Buildbot's result code, None while it runs.
        state_string: How it stands, in words.
        submitted_at: When it was asked for.
        worker: The worker's name.
        branch: The branch of all codebases; where they differ, ``CODEBASE:BRANCH`` of each.
        revision: The first codebase's revision that was built.
        project: The first codebase's project.
        owner: Who is responsible.
        url: Its page in Buildbot.
        parent: The id of the build that triggered it.
        parent_started_at: When that one began.
        changes: The changes in it.
        sources: What was built, by the codebases' names.
        judges: Whether it is about its branch: not a patch, and not a pull request.
        step: The name of the step that failed, where steps were sent.
        failed: The lines and tests that say why it is bad.
        is_cut: Whether there were more of them.
        tests: How its tests ended, where that was sent.
        body: The body, as it came.
    """

    master_url: str
    master_title: str | None
    builder: str
    tags: tuple[str, ...]
    description: str | None
    builder_project: str | None
    buildid: int
    number: int
    request: int | None
    started_at: int
    complete_at: int | None
    results: int | None
    state_string: str
    submitted_at: int | None
    worker: str | None
    branch: str | None
    revision: str | None
    project: str | None
    owner: str | None
    url: str | None
    parent: int | None
    parent_started_at: int | None
    changes: tuple[SourceChange, ...]
    sources: tuple[Source, ...]
    judges: bool
    step: str | None
    failed: tuple[FailedLine, ...]
    is_cut: bool
    tests: BuildTests | None
    body: bytes

    @property
    def digest(self) -> str:
        """The key by which bodies are told apart."""
        return hashlib.sha256(self.body).hexdigest()[:32]


def read_any(body: bytes) -> Status | State | None:
    """Read a body about a build, a request, a worker or a builder.

    Returns:
        What it says; None for a test status, of which nothing is to be kept.

    Raises:
        BodyError: It says nothing of any of them, or nothing that can be true.
    """
    content = _content(body)
    schema = content.get("schema")
    if not isinstance(schema, str) or schema not in KINDS:
        return _status(content, body)
    try:
        return state_of(content)
    except StateFault as fault:
        what = f"no state in it that could be shown: {fault}"
        raise BodyError(HTTPStatus.UNPROCESSABLE_ENTITY, what) from fault


def read(body: bytes) -> Status | None:
    """Read a body about a build.

    Returns:
        What it says; None for a test status, of which nothing is to be kept.

    Raises:
        BodyError: It says nothing of a build, or nothing that can be true.
    """
    return _status(_content(body), body)


def _status(content: Mapping[str, Any], body: bytes) -> Status | None:
    if content.get("test") is True:
        return None
    build = _Reader(content)
    if content.get("buildid") is None:
        raise _refusal(f"it has no 'buildid'{_what_else(content)}")
    complete_at = build.moment("complete_at")
    if content.get("complete") and complete_at is None:
        raise _refusal("it says complete, and has no 'complete_at'")
    builder = _Reader(build.object("builder"))
    stamps = [*objects(build.object("buildset").get("sourcestamps"))][:SOURCES]
    changes = changes_of(content)
    sources = _sources(build, stamps, changes)
    results = None if complete_at is None else _results(build)
    parent = _Reader(build.object("parentbuild"))
    url = build.text("url", SENTENCE)
    is_bad = results in BAD | INCONCLUSIVE
    failed, is_cut = failed_of(content) if is_bad else ((), False)
    return Status(
        master_url=master_of(url),
        master_title=_Reader(build.object("master")).text("title"),
        builder=_builder_name(build, builder),
        tags=builder.texts("tags"),
        description=builder.text("description", SENTENCE),
        builder_project=build.property("projectname"),
        buildid=build.needed("buildid"),
        number=build.needed("number"),
        request=build.number("buildrequestid"),
        started_at=build.start(),
        complete_at=complete_at,
        results=results,
        state_string=build.text("state_string", SENTENCE) or "",
        submitted_at=_Reader(build.object("buildrequest")).moment("submitted_at"),
        worker=build.property("workername"),
        branch=_branch(sources),
        revision=sources[0].revision,
        project=next((each.project for each in sources if each.project), None),
        owner=_owner(build),
        url=web_address(url),
        parent=parent.number("buildid"),
        parent_started_at=parent.moment("started_at"),
        changes=changes,
        sources=sources,
        judges=not (any(each.get("patch") for each in stamps) or _is_pull(build, content, sources)),
        step=_text(failing_step(content)) if is_bad else None,
        failed=failed,
        is_cut=is_cut,
        tests=None if complete_at is None else results_of(content),
        body=body,
    )


def master_of(url: str | None) -> str:
    """Return the master's web interface, from a build's page there."""
    return (url or "").partition("#")[0]


def _content(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise BodyError(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {fault}") from fault
    if not isinstance(content, dict):
        raise _refusal(f"the body is a JSON {type(content).__name__}, not an object")
    _check_shape(content)
    known: Mapping[str, Any] = storable_json(content)
    return known


def _check_shape(content: dict[str, Any]) -> None:
    """Refuse what would break or block whatever looks through it."""
    level: list[Any] = [content]
    values = 0
    for _ in range(DEEPEST):
        values += sum(map(len, level))
        if values > MOST_VALUES:
            raise _refusal(f"it has more than {MOST_VALUES:,} values")
        level = [inner for outer in level for inner in _inner(outer)]
    if level:
        raise _refusal(f"more than {DEEPEST} lists and objects stand within each other")


def _inner(value: Any) -> Iterator[Any]:
    values = value.values() if isinstance(value, dict) else value
    return (each for each in values if isinstance(each, dict | list))


def _refusal(why: str) -> BodyError:
    return BodyError(HTTPStatus.UNPROCESSABLE_ENTITY, f"no build in it that could be shown: {why}")


def _what_else(content: Mapping[str, Any]) -> str:
    if "buildrequestid" in content or isinstance(content.get("buildrequest"), dict):
        return ", so it is about a request that still waits: the board shows builds"
    if "bsid" in content or isinstance(content.get("buildset"), dict):
        return ", so it is about a whole buildset: the board shows each of its builds"
    return ": send the default body, without a format_fn or generators of your own"


class _Reader:
    """Reads what is of use in a JSON object; a refusal names the key."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content = content

    def object(self, key: str) -> Mapping[str, Any]:
        value = self._content.get(key)
        return value if isinstance(value, dict) else {}

    def number(self, key: str) -> int | None:
        value = self._content.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST:
            raise _refusal(f"{key!r} is {_shown(value)}, not a whole number from 0 on")
        return value

    def known_number(self, key: str) -> int | None:
        """Return a number that a body may do without: what is none is left out."""
        try:
            return self.number(key)
        except BodyError:
            return None

    def needed(self, key: str) -> int:
        number = self.number(key)
        if number is None:
            raise _refusal(f"it has no {key!r}")
        return number

    def start(self) -> int:
        started_at = self.moment("started_at")
        if started_at is None:
            raise _refusal("it has no 'started_at'")
        return started_at

    def moment(self, key: str) -> int | None:
        value = self._content.get(key)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 <= value < LATEST:
            raise _refusal(f"{key!r} is {_shown(value)}, not a time in seconds since the epoch")
        return int(value)

    def text(self, key: str, most: int = NAME) -> str | None:
        return _text(self._content.get(key), most)

    def texts(self, key: str) -> tuple[str, ...]:
        values = self._content.get(key)
        found = map(_text, values if isinstance(values, list) else ())
        return tuple(each for each in found if each)[:TAGS]

    def property(self, name: str) -> str | None:
        return _text(_first(self.object("properties").get(name)))

    def properties(self, name: str) -> Any:
        """Return a property's value, whatever it is."""
        return _first(self.object("properties").get(name))


def _builder_name(build: _Reader, builder: _Reader) -> str:
    name = builder.text("name") or build.property("buildername")
    number = build.number("builderid")
    if not name and number is None:
        raise _refusal("it names no builder, neither by 'builder' nor by 'builderid'")
    return name or f"builder {number}"


def _results(build: _Reader) -> int:
    results = build.needed("results")
    # A newer Buildbot may have results of which nothing is known here: they decide nothing.
    if results > 10 * CANCELLED:
        raise _refusal(f"'results' is {results}, which is none of Buildbot's")
    return results


def _sources(
    build: _Reader, stamps: list[Mapping[str, Any]], changes: tuple[SourceChange, ...]
) -> tuple[Source, ...]:
    """Return what was built, whatever the order in which the master names it."""
    readers = [_Reader(each) for each in stamps] or [_Reader({})]
    is_alone = len(readers) == 1
    made = [_source(build, each, changes, is_alone=is_alone) for each in readers]
    return tuple(sorted(made, key=lambda each: each.codebase))


def _source(
    build: _Reader, stamp: _Reader, changes: tuple[SourceChange, ...], *, is_alone: bool
) -> Source:
    codebase, asked_for = stamp.text("codebase") or "", stamp.text("revision")
    ids = [each.id for each in changes if each.id is not None and each.codebase == codebase]
    # Buildbot's properties are about the default codebase, or the only one.
    about = build if is_alone or not codebase else _Reader({})
    return Source(
        codebase=codebase,
        branch=stamp.text("branch") or about.property("branch"),
        revision=_got_revision(build, codebase, is_alone=is_alone)
        or about.property("revision")
        or asked_for,
        project=stamp.text("project") or about.property("project"),
        change=max(ids, default=None),
        # All builds of a branch's latest code share one sourcestamp: its id orders nothing.
        stamp=stamp.known_number("ssid") if asked_for else None,
    )


def _got_revision(build: _Reader, codebase: str, *, is_alone: bool) -> str | None:
    got = build.properties("got_revision")
    if isinstance(got, dict):  # one for each codebase
        first = next(iter(got.values()), None) if is_alone else None
        return _text(got.get(codebase) or first)
    return _text(got) if is_alone or not codebase else None


def _branch(sources: tuple[Source, ...]) -> str | None:
    branches = {each.branch for each in sources}
    if len(branches) == 1:
        return sources[0].branch
    return ", ".join(f"{each.codebase}:{each.branch or ''}" for each in sources)[:NAME]


def _is_pull(build: _Reader, content: Mapping[str, Any], sources: tuple[Source, ...]) -> bool:
    categories = (each.get("category") for each in objects(content.get("changes")))
    return (
        any(PULL_REFERENCE.match(each.branch or "") for each in sources)
        or any(build.properties(name) is not None for name in PULL_PROPERTIES)
        or any(str(each).startswith(PULL_CATEGORIES) for each in categories)
        or build.property("event.type") == PULL_EVENT
    )


def _owner(build: _Reader) -> str | None:
    owners = build.properties("owners")
    first = owners[0] if isinstance(owners, list) and owners else None
    return build.property("owner") or _text(first)


def _first(pair: object) -> Any:
    # A property is its value and where it comes from.
    return pair[0] if isinstance(pair, list) and pair else None


def _text(value: object, most: int = NAME) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST:
        value = str(value)  # a revision of Subversion
    return value[:most] if isinstance(value, str) and value else None


def _shown(value: object) -> str:
    try:
        return repr(value)[:60]
    except ValueError:  # an integer of more digits than Python writes
        return "a number of too many digits"
