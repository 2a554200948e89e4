"""What a change means for the pages: pieces of HTML that browsers put in place of older ones.

Uses the pages' own macros, so that a fragment is what a page fetched now would show. Pages of one
builder, of one build and of revisions have no fragments: they are told what has changed, and the
few who look at one fetch it again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import Deferred

from buildbot_http_status_push.board.live.frames import Change, Fragment, Summary
from buildbot_http_status_push.board.live.update_log import Changed
from buildbot_http_status_push.board.model import Build, Builder, Filter


class Source(Protocol):
    """What is needed of the store."""

    def builders(self, filter: Filter) -> Deferred[list[Builder]]:  # noqa: A002  the store's word
        """Return all builders that fit."""

    def builders_by_id(self, ids: Collection[int]) -> Deferred[list[Builder]]:
        """Return some builders, all as they stood at one moment."""


class Parts(Protocol):
    """The templates' macros; each makes one element."""

    def red(self, builder: Builder, now: float) -> str:
        """Return a builder whose last conclusive build is bad."""

    def running(self, build: Build, builder: Builder, now: float) -> str:
        """Return a build that runs."""

    def row(self, builder: Builder, now: float) -> str:
        """Return a builder in the list of all."""

    def grid_row(self, builder: Builder, now: float) -> str:
        """Return a builder in the grid."""


@define(eq=False)
class FragmentRenderer:
    """Makes fragments of what has changed, and counts what is red and what runs.

    Args:
        source: The store.
        parts: The macros.
        seconds: Returns the time in seconds since the epoch.
    """

    _source: Source
    _parts: Parts
    _seconds: Callable[[], float]
    _counts: dict[int, tuple[bool, bool, int]] = field(factory=dict, init=False)

    async def open(self) -> None:
        """Count the whole board.

        Raises:
            StorageError: The store can't be read.
        """
        builders = await self._source.builders(Filter())
        self._counts.clear()
        self._count(builders)

    async def render(self, changed: Changed) -> tuple[Change, ...]:
        """Make the fragments of some builders.

        Args:
            changed: The builds that have changed, by their builder.

        Returns:
            What is to be told, one change a builder.

        Raises:
            StorageError: The store can't be read.
        """
        if not changed:
            return ()
        builders = await self._source.builders_by_id(tuple(changed))
        self._count(builders)
        return tuple(
            Change(
                builder=builder,
                builds=changed[builder.id],
                fragments=tuple(
                    fragments_of(self._parts, builder, changed[builder.id], self._seconds())
                ),
            )
            for builder in builders
        )

    @property
    def summary(self) -> Summary:
        """The whole board in numbers."""
        counts = self._counts.values()
        return Summary(*map(sum, zip(*counts, strict=True))) if counts else Summary(0, 0, 0)

    def _count(self, builders: Iterable[Builder]) -> None:
        for builder in builders:
            is_good = builder.last is not None and not builder.is_red
            self._counts[builder.id] = (builder.is_red, is_good, len(builder.running))


def fragments_of(
    parts: Parts, builder: Builder, builds: Collection[int], now: float
) -> Iterable[Fragment]:
    """Make the fragments of one builder.

    Args:
        parts: The macros.
        builder: The builder.
        builds: Which of its builds have changed.
        now: The time in seconds since the epoch.

    Yields:
        What to show, or to show no more.
    """
    red = parts.red(builder, now) if builder.is_red else None
    yield Fragment("red", f"red/{builder.id}", red)
    running = {build.id: build for build in builder.running}
    for number in builds:
        build = running.get(number)
        html = parts.running(build, builder, now) if build else None
        yield Fragment("running", f"running/{number}", html)
    yield Fragment("rows", f"row/{builder.id}", parts.row(builder, now))
    yield Fragment("grid", f"grid/{builder.id}", parts.grid_row(builder, now))
