"""Reads what a chat message needs beside the body: the build to compare with, and the changes.

Knows Buildbot's data API; must not know any service's markup.
"""

from __future__ import annotations

from typing import Any

from buildbot.data.resultspec import Filter

from buildbot_http_status_push.formats.news import Format
from buildbot_http_status_push.report.body import Build
from buildbot_http_status_push.results import CONCLUSIVE

LOOKED_AT = 20
"""Builds before this one that are looked at, for one of the same branch."""


async def compare(master: Any, build: Build, form: Format) -> Build:
    """Return a build with ``compared_build`` and ``changes``, as far as a format needs them.

    Args:
        master: The Buildbot master, whose data API is asked.
        build: The build with its properties.
        form: Says what it needs.
    """
    compared = await _last_conclusive(master, build) if form.compares(build) else None
    full = {**build, "compared_build": compared}
    if form.tells(full):
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
