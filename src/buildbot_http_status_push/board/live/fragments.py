"""What a change means for the pages: pieces of HTML that browsers put in place of older ones.

Uses the pages' own macros, so that a fragment is what a page fetched now would show; what a script
must know of them is in ``templates/_parts.html``. Pages of one builder, of one build and of
revisions have no fragments: their browsers are sent what has changed, and fetch the page again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from attrs import define, field

from buildbot_http_status_push.board.failures.grouping import (
    Cause,
    causes,
    needs_attention,
)
from buildbot_http_status_push.board.live.frames import Change, Fragment, Summary
from buildbot_http_status_push.board.live.update_log import KEPT, Changed
from buildbot_http_status_push.board.model import Builder, Filter
from buildbot_http_status_push.board.pages.templating import environment
from buildbot_http_status_push.board.store.store import Store

QUEUE_WITHIN = 10.0
"""Seconds after which the line of what waits is made again though builds only have changed."""


@define(eq=False)
class FragmentRenderer:
    """Makes fragments of what has changed, and counts red builders and running builds."""

    _source: Store
    _seconds: Callable[[], float]
    _root: str = "/"
    _macros: Any = field(init=False)
    _counts: dict[int, tuple[bool, bool, int]] = field(factory=dict, init=False)
    _queue_at: float = field(default=0.0, init=False)
    _red: dict[int, Builder] = field(factory=dict, init=False)
    _cards: dict[str, Cause] = field(factory=dict, init=False)
    _shared: dict[str, tuple[int, Fragment]] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._macros = environment(self._root).get_template("_parts.html").module

    async def open(self) -> None:
        """Count the whole board.

        Raises:
            StorageError: The store can't be read.
        """
        builders = await self._source.builders(Filter())
        self._counts.clear()
        self._red.clear()
        self._shared.clear()
        self._count(builders)

    async def render(self, changed: Changed, sequence: int) -> tuple[Change, ...]:
        """Make the fragments of some builders, and those that stand for no single builder.

        Raises:
            StorageError: The store can't be read.
        """
        if not changed:
            return ()
        builders = await self._source.builders_by_id(tuple(changed))
        before = self._cards
        self._count(builders)
        fragments = [*self._causes(before)]
        # What is no build has changed; or time has passed, which makes builders quiet.
        is_late = self._seconds() - self._queue_at > QUEUE_WITHIN
        if is_late or any(0 in builds for builds in changed.values()):
            fragments.append(await self._queue())
        self._share(fragments, sequence)
        return tuple(
            Change(
                builder=builder,
                builds=changed[builder.id],
                fragments=tuple(self._fragments(builder, changed[builder.id])),
            )
            for builder in builders
        )

    def shared_since(self, sequence: int) -> tuple[Fragment, ...]:
        """Return the fragments that stand for no single builder: cards, and what waits."""
        return tuple(fragment for at, fragment in self._shared.values() if at > sequence)

    def _share(self, fragments: Iterable[Fragment], sequence: int) -> None:
        self._shared.update((each.key, (sequence, each)) for each in fragments)
        # Nobody is sent the end of a card that ended before all updates that are kept.
        for key, (at, fragment) in tuple(self._shared.items()):
            if fragment.html is None and at <= sequence - KEPT:
                del self._shared[key]

    async def _queue(self) -> Fragment:
        """Make the line of what waits, and of who is quiet."""
        now = self._queue_at = self._seconds()
        queue, quiet = await self._source.queue(), await self._source.quiet()
        return Fragment("queue", "queue", self._make("overview_queue", queue, quiet, now))

    @property
    def summary(self) -> Summary:
        """The whole board in numbers."""
        counts = self._counts.values()
        red, good, running = map(sum, zip(*counts, strict=True)) if counts else (0, 0, 0)
        known = sum(each.is_known for each in self._red.values())
        return Summary(red - known, good, running, len(counts), len(self._cards), known)

    def _count(self, builders: Iterable[Builder]) -> None:
        for builder in builders:
            is_good = builder.last is not None and not builder.is_red
            self._counts[builder.id] = (builder.is_red, is_good, len(builder.running))
            if builder.removed:
                del self._counts[builder.id]
            self._red.pop(builder.id, None)
            if needs_attention(builder):
                self._red[builder.id] = builder
        self._cards = {each.key: each for each in causes(self._red.values())}

    def _causes(self, before: Mapping[str, Cause]) -> Iterable[Fragment]:
        """Make the cards that have changed, and say which are gone."""
        for key in sorted(before.keys() | self._cards.keys()):
            cause = self._cards.get(key)
            if cause != before.get(key):
                html = self._make("cause", cause, self._seconds()) if cause else None
                yield Fragment("red", f"cause/{key}", html)

    def _fragments(self, builder: Builder, builds: Collection[int]) -> Iterable[Fragment]:
        make, now = self._make, self._seconds()
        running = {build.id: build for build in builder.running}
        for number in filter(None, builds):
            build = running.get(number)
            html = make("running", build, builder, now) if build else None
            yield Fragment("running", f"running/{number}", html)
        yield Fragment("rows", f"row/{builder.id}", make("row", builder, now))
        yield Fragment("grid", f"grid/{builder.id}", make("grid_row", builder, now))

    def _make(self, macro: str, *arguments: object) -> str:
        return str(getattr(self._macros, macro)(*arguments)).strip()
