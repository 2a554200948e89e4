"""Which builds catch-up has to look at, asked of the master's data API.

Must not know what is announced, nor how.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from attrs import frozen
from buildbot.data.resultspec import Filter

PAGE = 200

Build: TypeAlias = dict[str, Any]


@frozen
class BuildQueries:
    """Asks for builds, as the data API gives them."""

    master: Any

    async def get(self, build_id: int) -> Build | None:
        """Return one build, None where somebody has deleted it."""
        build: Build | None = await self.master.data.get(("builds", build_id))
        return build

    async def several(self, build_ids: Sequence[int]) -> list[Build]:
        """Return those of the builds, a page at most, that nobody has deleted."""
        those = [Filter("buildid", "eq", list(build_ids))]
        return list(await self.master.data.get(("builds",), filters=those, order=["buildid"]))

    async def newer_than(self, build_id: int) -> list[Build]:
        """Return the next builds in the order of their ids, one page at most."""
        return await self._page("buildid", build_id)

    async def older_than(self, build_id: int | None) -> list[Build]:
        """Return the builds before one, the newest first, one page at most; None for the latest."""
        older = [] if build_id is None else [Filter("buildid", "lt", [build_id])]
        return list(
            await self.master.data.get(("builds",), filters=older, order=["-buildid"], limit=PAGE)
        )

    async def latest(self, newer_than: int = 0) -> list[Build]:
        """Return the latest builds, the newest first, one page at most."""
        return await self._page("-buildid", newer_than)

    async def _page(self, order: str, newer_than: int) -> list[Build]:
        newer = [Filter("buildid", "gt", [newer_than])]
        return list(
            await self.master.data.get(("builds",), filters=newer, order=[order], limit=PAGE)
        )

    async def of_unfinished_requests(self, newer_than: int) -> list[Build]:
        """Return those of the latest builds that ended, and whose request gets another build."""
        latest = await self.latest(newer_than)
        unfinished = [
            Filter("buildrequestid", "eq", list({build["buildrequestid"] for build in latest})),
            Filter("complete", "eq", [False]),
        ]
        found = await self.master.data.get(("buildrequests",), filters=unfinished)
        going_on = {request["buildrequestid"] for request in found}
        return [
            build
            for build in reversed(latest)
            if build["complete"] and build["buildrequestid"] in going_on
        ]
