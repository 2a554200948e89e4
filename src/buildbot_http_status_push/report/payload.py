"""The default generator: every new and every finished build, enriched through the data API.

Knows what the body holds; must not know where it goes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from attrs import fields, frozen
from buildbot.interfaces import IReportGenerator
from buildbot.process.results import Results, statusToString
from buildbot.reporters import utils
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from buildbot_http_status_push.report import events
from buildbot_http_status_push.report.cache import Known
from buildbot_http_status_push.report.encoding import Exhaust
from buildbot_http_status_push.report.trimming import trim

log = Logger()

Build = dict[str, Any]
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
        builders: The names of the builders to report, None for all.
        tags: The tags of the builders to report, None for all.
        branches: The branches to report, None for all.
        schedulers: The names of the schedulers to report, None for all.
        results: The results of finished builds to report (such as ``"failure"``), None for all.
        want_previous_build: Whether the build has its ``prev_build``, of the same builder.
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
    builders: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    branches: Sequence[str | None] | None = None
    schedulers: Sequence[str] | None = None
    results: Sequence[str] | None = None
    want_previous_build: bool = False
    max_body: int = 16 * 1024 * 1024

    def check(self) -> None:
        """Do what Buildbot asks of generators at checkconfig: ``faults`` has told all there is."""

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
        try:
            full = await enrich(master, reporter.known, build, self)
        except Exception:
            _note(failed=True)
            raise
        if not self._wants(full, finished=key[2] == "finished"):
            _note(settled=True)
            return None
        if not self.want_properties:
            full = {**full, "properties": build["properties"]}
        body = await self._format(full, reporter.turns.exhaust)
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

    def _wants(self, build: Build, *, finished: bool) -> bool:
        properties = build["properties"]
        return (
            _is_among(build["builder"]["name"], self.builders)
            and _is_among(_property(properties, "branch"), self.branches)
            and _is_among(_property(properties, "scheduler"), self.schedulers)
            and (self.tags is None or not set(self.tags).isdisjoint(build["builder"]["tags"]))
            and (not finished or _is_among(statusToString(build["results"]), self.results))
        )

    async def _trim(self, build: Build, exhaust: Exhaust) -> Build:
        if not self.want_logs_content:
            return build
        trimmed, cut = await trim(build, self.max_body, exhaust)
        if cut:
            log.warn(
                "{title}: the body would be over max_body={most} bytes: cut are the logs {logs}",
                title=title(build),
                most=self.max_body,
                logs=", ".join(cut),
            )
        return trimmed

    async def _format(self, build: Build, exhaust: Exhaust) -> Any:
        if self.format_fn is None:
            return await self._trim(build, exhaust)
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
    """Tell for each old spelling what to write instead."""
    for old, new in OLD_SPELLINGS.items():
        if old in given:
            yield f"{old} is the old spelling of {new}: write {new}={given[old]!r}"


def faults(given: Mapping[str, object]) -> Iterator[str]:
    """Tell every fault of the default generator's options as written in master.cfg.

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
    if not callable(mine.get("format_fn", print)):
        yield f"format_fn is a {type(mine['format_fn']).__name__}: write a function of the build"
    for name in ("builders", "tags", "branches", "schedulers", "results"):
        yield from _names_faults(name, mine.get(name))
    if mine.get("builders") is not None and mine.get("tags") is not None:
        yield "builders and tags are both given: write one of them"
    yield from _wants_faults(mine)


def _wants_faults(mine: Mapping[str, object]) -> Iterator[str]:
    for name in ("want_properties", "want_steps", "want_logs", "want_previous_build"):
        if not isinstance(mine.get(name, True), bool):
            yield f"{name} is {mine[name]!r}: write True or False"
    content = mine.get("want_logs_content", True)
    is_names = isinstance(content, list | tuple) and all(isinstance(each, str) for each in content)
    if not isinstance(content, bool) and not is_names:
        yield f"want_logs_content is {content!r}: write True, False or a list of log names"
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


def _note(*, settled: bool = False, failed: bool = False) -> None:
    event = events.current()
    if event is not None:
        event.settled |= settled
        event.failed |= failed


def _is_among(value: object, wanted: Sequence[object] | None) -> bool:
    return wanted is None or value in wanted


def _property(properties: Mapping[str, Sequence[Any]], name: str) -> Any:
    return properties.get(name, (None,))[0]


async def enrich(master: Any, known: Known, build: Build, wants: DefaultGenerator) -> Build:
    """Return a copy of a build with what the body holds beside the build itself.

    Args:
        master: The Buildbot master, whose data API is asked.
        known: The builders and buildsets that were asked for before.
        build: The build as the data API gives it; it is not changed.
        wants: Says whether properties, steps and logs are wanted.

    Returns:
        The build with ``url``, ``builder``, ``buildrequest``, ``buildset``, ``parentbuild``,
        ``parentbuilder``, and what was wanted.
    """
    found = await gatherResults(
        [
            ensureDeferred(_request(master, known, build)),
            ensureDeferred(known.get("builders", build["builderid"])),
            ensureDeferred(_extras(master, build, wants)),
        ],
        consumeErrors=True,
    )
    request, builder, extras = found
    url = utils.getURLForBuild(master, build["builderid"], build["number"])
    return {
        **build,
        **request,
        **extras,
        "builder": builder,
        "url": url,
    }


async def _request(master: Any, known: Known, build: Build) -> dict[str, Any]:
    request = await master.data.get(("buildrequests", build["buildrequestid"]))
    buildset = await known.get("buildsets", request["buildsetid"])
    parent = parent_builder = None
    if buildset["parent_buildid"]:
        parent = await master.data.get(("builds", buildset["parent_buildid"]))
        parent_builder = await known.get("builders", parent["builderid"])
    # Last, like the built-in: just after its start a build still gets properties (its owners).
    # They are read even where the body does not hold them: the filters look at them.
    properties = await master.data.get(("builds", build["buildid"], "properties"))
    return {
        "properties": properties,
        "buildrequest": request,
        "buildset": buildset,
        "parentbuild": parent,
        "parentbuilder": parent_builder,
    }


async def _extras(master: Any, build: Build, wants: DefaultGenerator) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if wants.want_steps or wants.want_logs or wants.want_logs_content:
        extras["steps"] = await _steps(master, build, wants)
    if wants.want_previous_build:
        extras["prev_build"] = await utils.getPreviousBuild(master, build)
    return extras


async def _steps(master: Any, build: Build, wants: DefaultGenerator) -> list[dict[str, Any]]:
    steps = list(await master.data.get(("builds", build["buildid"], "steps")))
    if wants.want_logs or wants.want_logs_content:
        for step in steps:
            step["logs"] = await _logs(master, build, step, wants.want_logs_content)
    return steps


async def _logs(
    master: Any, build: Build, step: dict[str, Any], wanted: bool | Sequence[str]
) -> list[dict[str, Any]]:
    logs = list(await master.data.get(("steps", step["stepid"], "logs")))
    place = f"{build['builderid']}/builds/{build['number']}/steps/{step['number']}"
    for each in logs:
        raw = f"{master.config.buildbotURL}api/v2/logs/{each['logid']}"
        each["stepname"] = step["name"]
        each["url"] = f"{master.config.buildbotURL}#/builders/{place}/logs/{each['slug']}"
        each["url_raw"], each["url_raw_inline"] = f"{raw}/raw", f"{raw}/raw_inline"
        if _wants_content(each, wanted):
            each["content"] = await master.data.get(("logs", each["logid"], "contents"))
    return logs


def _wants_content(each: Mapping[str, Any], wanted: bool | Sequence[str]) -> bool:
    if isinstance(wanted, bool):
        return wanted
    return each["name"] in wanted or f"{each['stepname']}.{each['name']}" in wanted
