"""Which builds judge their branch, and which code is older than some other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define, evolve, field

from buildbot_http_status_push.board.model import Build, Source


def place(build: Build) -> tuple[int, int, int]:
    """Return a build's place in the order of all builds: by its times, whenever it arrived."""
    return (build.started_at, build.number, build.id)


def judgements(newest: Iterable[Build]) -> list[Build]:
    """Return the builds that judge their branch: not those of code older than was judged before."""
    reached = Reached()
    telling = sorted((each for each in newest if each.is_conclusive and each.judges), key=place)
    return [each for each in telling if reached.judge(each)][::-1]


@define
class Reached:
    """How far the builds of a builder and a branch have come, looked at in their order.

    Args:
        sources: The newest code that was judged, by codebase.
        before: The build's id in its master's database and its number, of the last one.
    """

    sources: dict[str, Source] = field(factory=dict)
    before: tuple[int, int] | None = None

    def judge(self, build: Build) -> bool:
        """Take a build into account, and return whether its code is as new as what was judged."""
        # A master's database that was made anew counts its changes from 1 again.
        buildid, number = self.before or (-1, -1)
        if build.buildid < buildid and build.number < number:
            self.sources.clear()
        self.before = (build.buildid, build.number)
        if is_older(build.sources, self.sources):
            return False
        for source in build.sources:
            known = self.sources.get(source.codebase)
            self.sources[source.codebase] = source if known is None else _furthest(known, source)
        return True


def is_older(sources: Iterable[Source], reached: Mapping[str, Source]) -> bool:
    """Return whether code is older than some other: in one codebase at least, and newer in none.

    A build of an old revision of one codebase with the latest of all others is of older code: what
    it says was true once. Code that is older here and newer there is a combination of its own.
    """
    signs = {_sign(each, reached.get(each.codebase)) for each in sources}
    return -1 in signs and 1 not in signs


def _sign(source: Source, known: Source | None) -> int:
    """Return -1 where a source is older than what is known of its codebase, 1 where newer."""
    if known is None:
        return 0
    for own, other in ((source.change, known.change), (source.stamp, known.stamp)):
        if own is not None and other is not None:
            return (own > other) - (own < other)
    return 0


def _furthest(one: Source, other: Source) -> Source:
    return evolve(
        other, change=_most(one.change, other.change), stamp=_most(one.stamp, other.stamp)
    )


def _most(one: int | None, other: int | None) -> int | None:
    return max((each for each in (one, other) if each is not None), default=None)
