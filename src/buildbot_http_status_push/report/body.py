"""What the data API knows of a build beside the build itself: the default body's other keys.

Must not know what is made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from buildbot.data.resultspec import Filter
from buildbot.reporters import utils

from buildbot_http_status_push.formats.news import Format
from buildbot_http_status_push.report.cache import DataCache
from buildbot_http_status_push.report.test_results import read_tests
from buildbot_http_status_push.results import CONCLUSIVE

Build: TypeAlias = dict[str, Any]

CHANGE_KEYS = (
    *("changeid", "author", "committer", "when_timestamp", "revision", "revlink"),
    *("branch", "category", "codebase", "project", "repository"),
)
"""What a body has of a change, beside the first line of its comments and some of its files."""

FILES_MOST = 100
LOOKED_AT = 20
"""Builds before a build that are looked at, for one of the same branch to compare with."""


class Wants(Protocol):
    """Which of the keys that cost a query are wanted."""

    @property
    def want_steps(self) -> bool:
        """Whether ``steps`` is wanted."""

    @property
    def want_logs(self) -> bool:
        """Whether the steps' ``logs`` are wanted."""

    @property
    def want_logs_content(self) -> bool | Sequence[str]:
        """Whether the logs' ``content`` is wanted, or of which logs it is."""

    @property
    def want_tests(self) -> bool | Sequence[str]:
        """Whether ``tests`` is wanted, or of which logs it is."""

    @property
    def want_previous_build(self) -> bool:
        """Whether ``prev_build`` is wanted."""

    @property
    def want_changes(self) -> bool:
        """Whether ``changes`` is wanted."""

    @property
    def detail(self) -> str | None:
        """For whom the body is: ``"board"``, or None."""


async def make_body(master: Any, cache: DataCache, build: Build, wants: Wants) -> Build:
    """Return a copy of a build with what the body holds beside the build itself.

    Returns:
        The build with ``url``, ``builder``, ``buildrequest``, ``buildset``, ``parentbuild``,
        ``parentbuilder``, and what was wanted.
    """
    request = await _request(master, cache, build)
    extras = await _extras(master, build, wants)
    url = utils.getURLForBuild(master, build["builderid"], build["number"])
    return {
        **build,
        **request,
        **extras,
        "builder": await cache.get("builders", build["builderid"]),
        "url": url,
    }


async def _request(master: Any, cache: DataCache, build: Build) -> dict[str, Any]:
    request = await _build_request(master, cache, build["buildrequestid"])
    buildset = await cache.get("buildsets", request["buildsetid"])
    parent = parent_builder = None
    if buildset["parent_buildid"]:
        parent = await master.data.get(("builds", buildset["parent_buildid"]))
        parent_builder = await cache.get("builders", parent["builderid"])
    # They are read even where the body does not hold them: the filters look at them.
    properties = await master.data.get(("builds", build["buildid"], "properties"))
    return {
        "properties": properties,
        "buildrequest": request,
        "buildset": buildset,
        "parentbuild": parent,
        "parentbuilder": parent_builder,
    }


async def _build_request(master: Any, cache: DataCache, number: int) -> dict[str, Any]:
    found: dict[str, Any] = cache.claimed(number) or await master.data.get(
        ("buildrequests", number)
    )
    return found


async def _extras(master: Any, build: Build, wants: Wants) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if wants.want_steps or wants.want_logs or wants.want_logs_content:
        extras["steps"] = await _steps(master, build, wants)
    if wants.want_tests and build["complete"]:
        steps = extras.get("steps") if wants.want_logs or wants.want_logs_content else None
        steps = steps or await _steps_with_logs(master, build)
        tests = await read_tests(master, build, steps, wants.want_tests)
        if tests is not None:
            extras["tests"] = tests
    if wants.detail == "board":
        extras["master"] = {"title": master.config.title, "url": master.config.buildbotURL}
    if wants.want_previous_build:
        extras["prev_build"] = await utils.getPreviousBuild(master, build)
    if wants.want_changes:
        found = await master.data.get(("builds", build["buildid"], "changes"))
        extras["changes"] = [change_body(each) for each in found]
    return extras


def change_body(change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body has of a change."""
    files = change["files"]
    comment = (change["comments"] or "").strip().partition("\n")[0]
    kept = {name: change[name] for name in CHANGE_KEYS}
    return {**kept, "comments": comment, "files": files[:FILES_MOST], "files_count": len(files)}


async def _steps(master: Any, build: Build, wants: Wants) -> list[dict[str, Any]]:
    steps = list(await master.data.get(("builds", build["buildid"], "steps")))
    if wants.want_logs or wants.want_logs_content:
        for step in steps:
            step["logs"] = await _logs(master, build, step, wants.want_logs_content)
    return steps


async def _steps_with_logs(master: Any, build: Build) -> list[dict[str, Any]]:
    steps = list(await master.data.get(("builds", build["buildid"], "steps")))
    for step in steps:
        step["logs"] = await master.data.get(("steps", step["stepid"], "logs"))
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


async def compare(master: Any, build: Build, form: Format) -> Build:
    """Return a build with ``compared_build`` and ``changes``, as far as a format needs them."""
    compared = await _last_conclusive(master, build) if form.compares(build) else None
    full = {**build, "compared_build": compared}
    if form.has_message(full):
        # Not before: a long row of failures has many changes.
        full["changes"] = await master.data.get(("builds", build["buildid"], "changes"))
    return full


async def _last_conclusive(master: Any, build: Build) -> Build | None:
    """Return the last build of the same builder and branch whose result says something."""
    earlier = [
        Filter("number", "lt", [build["number"]]),
        Filter("results", "eq", sorted(CONCLUSIVE)),
    ]
    found: list[Build] = await master.data.get(
        ("builders", build["builderid"], "builds"),
        filters=earlier,
        order=["-number"],
        limit=LOOKED_AT,
    )
    for each in found:
        properties = await master.data.get(("builds", each["buildid"], "properties"))
        if _branch(properties) == _branch(build["properties"]):
            return each
    return None


def _branch(properties: dict[str, Any]) -> object:
    return properties.get("branch", (None,))[0]
