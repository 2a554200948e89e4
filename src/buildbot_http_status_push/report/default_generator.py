"""The default generator: every new and every finished build, enriched through the data API.

Knows what the body holds; must not know where it goes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from attrs import evolve, fields, frozen
from buildbot.interfaces import IReportGenerator
from buildbot.process.results import EXCEPTION, FAILURE, Results, statusToString
from sqlalchemy.exc import DBAPIError
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from buildbot_http_status_push.formats.news import Format
from buildbot_http_status_push.redaction import one_line
from buildbot_http_status_push.report import events
from buildbot_http_status_push.report.body import Build, compare, make_body
from buildbot_http_status_push.report.encoding import RunCooperatively
from buildbot_http_status_push.report.failure_excerpts import Reader, Rules, rules_faults
from buildbot_http_status_push.report.test_results import log_names
from buildbot_http_status_push.report.trimming import trim

log = Logger()

NAMES_OR_NONE = "write a list of names, or leave it out"


@implementer(IReportGenerator)
@frozen(kw_only=True)
class DefaultGenerator:
    """Makes the report of every new and every finished build, whatever its result.

    Args:
        format_fn: A callable that gets the build (a copy of its own) and returns what to send:
            anything JSON can hold, a text, or None for "do not send"; a Deferred or a coroutine
            of these too. None sends the build itself.
        want_properties: Whether the build has its ``properties``.
        want_steps: Whether the build has its ``steps``.
        want_logs: Whether the steps have their ``logs``.
        want_logs_content: Whether the logs have their ``content``; or the names of the logs
            that have it (``name`` or ``step.name``).
        want_tests: Whether finished builds have their ``tests``, read from JUnit logs (``junit*``
            and ``*.xml``) and from Buildbot's test result sets; or the names of the logs to read
            (``name`` or ``step.name``, with ``*`` and ``?``).
        want_excerpts: Whether builds that finished as failure or exception have their
            ``excerpts``: the lines of their failed steps' logs that say why.
        excerpt_rules: Rules that hold before the built-in ones, each a name and a pattern of RE2.
        builders: The names of the builders to report, None for all.
        tags: The tags of the builders to report, None for all.
        branches: The branches to report, None for all; one of a build's codebases is enough.
        schedulers: The names of the schedulers to report, None for all.
        results: The results of finished builds to report (such as ``"failure"``), None for all.
        want_previous_build: Whether the build has its ``prev_build``, of the same builder.
        want_changes: Whether the build has its ``changes``: who has changed the source since the
            builder's last success on the branch.
        detail: For whom the body is: ``"board"`` adds what the board shows, None adds nothing.
        want_requests: Whether build requests are reported too; None as ``detail`` needs it.
        want_workers: Likewise for workers.
        want_builders: Likewise for builders.
        max_body: Bytes from which on log contents are cut, from the largest down.
    """

    wanted_event_keys: ClassVar[list[tuple[str, str | None, str]]] = [
        ("builds", None, "new"),
        ("builds", None, "finished"),
    ]

    format_fn: Callable[[Build], Any] | None = None
    want_properties: bool = True
    want_steps: bool = False
    want_logs: bool = False
    want_logs_content: bool | Sequence[str] = False
    want_tests: bool | Sequence[str] = False
    want_excerpts: bool = False
    excerpt_rules: Rules | None = None
    builders: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    branches: Sequence[str | None] | None = None
    schedulers: Sequence[str] | None = None
    results: Sequence[str] | None = None
    want_previous_build: bool = False
    want_changes: bool = False
    detail: str | None = None
    want_requests: bool | None = None
    want_workers: bool | None = None
    want_builders: bool | None = None
    max_body: int = 16 * 1024 * 1024

    def check(self) -> None:
        """Do what Buildbot asks of generators at checkconfig: ``faults`` reports all faults."""

    def generate_name(self) -> str:
        """Return a name for a reporter that has none."""
        return type(self).__name__

    def generate(
        self, master: Any, reporter: Any, key: tuple[str, str, str], build: Build
    ) -> Deferred[dict[str, Any] | None]:
        """Make the report of a build.

        Args:
            master: The Buildbot master.
            reporter: The reporter that asks.
            key: The event's routing key: ``("builds", id, "new" or "finished")``.
            build: The build as the data API gives it; it is not changed.

        Returns:
            A report as Buildbot's own generators make it, or None for "do not send".
        """
        return ensureDeferred(self._generate(master, reporter, key, build))

    async def _generate(
        self, master: Any, reporter: Any, key: tuple[str, str, str], build: Build
    ) -> dict[str, Any] | None:
        if not build["complete"]:  # or its owners would be missing
            await reporter.properties_gate.ended(build["buildid"])
        try:
            full = await make_body(master, reporter.cache, build, self._with_detail())
            wanted = self._wants(full, finished=key[2] == "finished")
            if wanted and self.want_excerpts and full["results"] in (FAILURE, EXCEPTION):
                full = await self._with_excerpts(master, reporter, full)
            if wanted and isinstance(self.format_fn, Format):
                full = await compare(master, full, self.format_fn)
        except DBAPIError as trouble:
            _note(failed=True)
            _tell_away(build, trouble)
            return None
        except Exception:
            _note(failed=True)
            raise
        if not wanted:
            _note(settled=True)
            return None
        if not self.want_properties:
            full = {**full, "properties": build["properties"]}
        body = await self._format(full, reporter.scheduler.run)
        users = await reporter.getResponsibleUsersForBuild(master, build["buildid"])
        return {
            "body": body,
            "subject": None,
            "type": "plain" if isinstance(body, str) else "json",
            "results": full["results"],
            "builds": [full],
            "buildset": full["buildset"],
            "users": list(users),
            "patches": [],
            "logs": [],
            "extra_info": None,
        }

    def _with_detail(self) -> DefaultGenerator:
        if self.detail is None:
            return self
        return evolve(self, want_steps=True, want_logs=True, want_changes=True)

    async def _with_excerpts(self, master: Any, reporter: Any, build: Build) -> Build:
        secrets = await reporter.known_secrets()
        if secrets is None:
            return build  # what could not be hidden is not shown
        steps = build.get("steps") or await master.data.get(("builds", build["buildid"], "steps"))
        reader = Reader(master, self.excerpt_rules, secrets)
        names = log_names(self.want_tests)
        return {**build, "excerpts": await reader.excerpts(build, steps, names)}

    def _wants(self, build: Build, *, finished: bool) -> bool:
        properties = build["properties"]
        return (
            _is_among(build["builder"]["name"], self.builders)
            and (self.branches is None or not _branches(build).isdisjoint(self.branches))
            and _is_among(_property(properties, "scheduler"), self.schedulers)
            and (self.tags is None or not set(self.tags).isdisjoint(build["builder"]["tags"]))
            and (not finished or _is_among(statusToString(build["results"]), self.results))
        )

    async def _trim(self, build: Build, run_cooperatively: RunCooperatively) -> Build:
        if not self.want_logs_content:
            return build
        trimmed, cut = await trim(build, self.max_body, run_cooperatively)
        if cut:
            log.warn(
                "{title}: the body exceeds max_body={most} bytes: truncated logs: {logs}",
                title=title(build),
                most=self.max_body,
                logs=", ".join(cut),
            )
        return trimmed

    async def _format(self, build: Build, run_cooperatively: RunCooperatively) -> Any:
        if self.format_fn is None:
            return await self._trim(build, run_cooperatively)
        try:
            body = self.format_fn(copy.deepcopy(build))
            return await body if inspect.isawaitable(body) else body
        except Exception as trouble:
            # Trying again would fail again: the function is the user's, and so is the mistake.
            _note(settled=True)
            log.error(
                "format_fn {name} failed for {title}, which is not sent: {kind}: {trouble}",
                name=getattr(self.format_fn, "__qualname__", repr(self.format_fn)),
                title=title(build),
                kind=type(trouble).__name__,
                trouble=trouble,
            )
            return None


GENERATOR_OPTIONS = tuple(each.name for each in fields(DefaultGenerator))

WANTS = (
    *("want_properties", "want_steps", "want_logs", "want_previous_build", "want_changes"),
    "want_excerpts",
)
"""The options that are either True or False."""

WANTS_BESIDE = ("want_requests", "want_workers", "want_builders")
"""Those that may also be None."""

OLD_SPELLINGS = {
    "wantProperties": "want_properties",
    "wantSteps": "want_steps",
    "wantLogs": "want_logs_content",
    "wantPreviousBuild": "want_previous_build",
}
"""What configurations for Buildbot 0.9 to 2 call the generator's options. Logs then came with
their content."""


def renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their present names."""
    return {OLD_SPELLINGS.get(name, name): value for name, value in given.items()}


def deprecations(given: Mapping[str, object]) -> Iterator[str]:
    """Yield for each old spelling what to write instead."""
    for old, new in OLD_SPELLINGS.items():
        if old in given:
            yield f"{old} is the old spelling of {new}: write {new}={given[old]!r}"


def faults(given: Mapping[str, object]) -> Iterator[str]:
    """Yield every fault of the default generator's options as written in master.cfg.

    Args:
        given: All options by name; others than the generator's are passed over.
    """
    for old, new in OLD_SPELLINGS.items():
        if old in given and new in given:
            yield f"{old} is the old spelling of {new}, and both are given: leave out {old}"
    present = renamed(given)
    mine = {name: present[name] for name in GENERATOR_OPTIONS if name in present}
    if given.get("generators") is not None:
        for name in mine:
            yield f"{name} shapes the default generator: leave it out where generators is given"
    yield from _format_faults(mine.get("format_fn", print))
    for name in ("builders", "tags", "branches", "schedulers", "results"):
        yield from _names_faults(name, mine.get(name))
    if mine.get("builders") is not None and mine.get("tags") is not None:
        yield "builders and tags are both given: write one of them"
    yield from _wants_faults(mine)
    yield from rules_faults(mine.get("excerpt_rules"))


def _format_faults(format_fn: object) -> Iterator[str]:
    if not callable(format_fn):
        yield f"format_fn is a {type(format_fn).__name__}: write a function of the build"
    elif isinstance(format_fn, Format):
        for fault in format_fn.faults():
            yield f"format_fn=formats.{format_fn.service}(): {fault}"


DETAILS = ("board",)
"""What ``detail`` may be, beside None."""


def _wants_faults(mine: Mapping[str, object]) -> Iterator[str]:
    detail = mine.get("detail")
    if detail is not None and detail not in DETAILS:
        yield f'detail is {detail!r}: must be "board" or None, e.g. detail="board"'
    for name in WANTS:
        if not isinstance(mine.get(name, True), bool):
            yield f"{name} is {mine[name]!r}: write True or False"
    for name in WANTS_BESIDE:
        if not isinstance(mine.get(name), bool | None):
            yield f"{name} is {mine[name]!r}: must be True, False or None, e.g. {name}=True"
    for name in ("want_logs_content", "want_tests"):
        logs = mine.get(name, True)
        is_names = isinstance(logs, list | tuple) and all(isinstance(each, str) for each in logs)
        if not isinstance(logs, bool) and not is_names:
            yield f"{name} is {logs!r}: write True, False or a list of log names"
    most = mine.get("max_body", 1)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        yield f"max_body is {most!r}: write bytes, such as max_body=16 * 1024 * 1024"


def _names_faults(name: str, value: object) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list | tuple):
        yield f"{name} is a {type(value).__name__}: {NAMES_OR_NONE}"
        return
    for each in value:
        if not isinstance(each, str) and not (each is None and name == "branches"):
            yield f"{name} holds {each!r}: {NAMES_OR_NONE}"
        elif name == "results" and each not in Results:
            yield f"results holds {each!r}: known are {', '.join(Results)}"


def title(build: Mapping[str, Any]) -> str:
    """Name a build in words, for log lines."""
    builder = build.get("builder") or {}
    name = builder.get("name", f"builder {build.get('builderid')}")
    return f"build {name}#{build.get('number')}"


def _tell_away(build: Build, trouble: DBAPIError) -> None:
    log.warn(
        "{title}: reading it from the master's database failed ({trouble}); trying again",
        title=title(build),
        trouble=one_line(str(trouble.orig)),
    )


def _note(*, settled: bool = False, failed: bool = False) -> None:
    event = events.current()
    if event is not None:
        event.settled |= settled
        event.failed |= failed


def _is_among(value: object, wanted: Sequence[object] | None) -> bool:
    return wanted is None or value in wanted


def _branches(build: Build) -> set[object]:
    """Return the branches of a build: of each codebase's sourcestamp, and what steps have set."""
    found = {stamp["branch"] for stamp in build["buildset"]["sourcestamps"]}
    # Without a value, or with many codebases, the property says nothing of the branch.
    own = _property(build["properties"], "branch")
    return found | {own} if own or not found else found


def _property(properties: Mapping[str, Sequence[Any]], name: str) -> Any:
    return properties.get(name, (None,))[0]
