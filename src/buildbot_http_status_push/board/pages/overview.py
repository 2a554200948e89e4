"""What is red, what runs, and all there is: the first page's view of the builders.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from buildbot_http_status_push.board.failures.grouping import Cause, causes
from buildbot_http_status_push.board.model import Build, Builder

PAGE = 200
"""How many builders a page shows."""
MOST_CAUSES = 60
"""How many causes are shown."""
MOST_RUNNING = 60
"""How many running builds are shown."""


@frozen(kw_only=True)
class Group:
    """Builders under a heading.

    Args:
        name: The heading, None for all builders.
        builders: They.
        count: How many there are, on other pages too.
        red: How many of these are red.
    """

    name: str | None
    builders: tuple[Builder, ...]
    count: int
    red: int


@frozen(kw_only=True)
class Overview:
    """The builders as the first page shows them.

    Args:
        builders: All of them.
        red: How many are red, those for known reasons aside.
        known: How many are red for known reasons only.
        causes: What they are red of, the latest first.
        running: The builds that run, each with its builder, the oldest first.
        good: How many builders' last judging build is good.
        no_result: How many builders' latest build should have judged, and did not.
        branches: The branches that they are shown by, the most frequent first.
    """

    builders: tuple[Builder, ...]
    red: int
    known: int
    causes: tuple[Cause, ...]
    running: tuple[tuple[Build, Builder], ...]
    good: int
    no_result: int
    branches: tuple[str, ...]


@frozen
class State:
    """The board in a few words, for a page's title and icon.

    Args:
        kind: ``bad``, ``good`` or ``unknown``.
        told: What to say.
    """

    kind: str
    told: str


def overview(builders: Sequence[Builder]) -> Overview:
    """Sort builders by what needs attention.

    Args:
        builders: The builders, in the order to show them in.
    """
    running = [(build, builder) for builder in builders for build in builder.running]
    counts: dict[str, int] = {}
    for builder in builders:
        if builder.branch:
            counts[builder.branch] = counts.get(builder.branch, 0) + 1
    return Overview(
        builders=tuple(builders),
        red=sum(each.is_red and not each.is_known for each in builders),
        known=sum(each.is_known for each in builders),
        causes=causes(builders),
        running=tuple(sorted(running, key=lambda pair: (pair[0].started_at, pair[0].id))),
        good=sum(each.last is not None and not each.is_red for each in builders),
        no_result=sum(each.no_result is not None for each in builders),
        branches=tuple(sorted(counts, key=lambda name: (-counts[name], name))),
    )


def groups(builders: Sequence[Builder], *, by_tag: bool, page: int) -> tuple[Group, ...]:
    """Lay one page of builders out.

    Args:
        builders: All of them, in order.
        by_tag: Whether they are grouped by tag; one of several tags is in each of their groups.
        page: Which page, from 1 on.
    """
    named: dict[str | None, list[Builder]] = {None: list(builders)}
    if by_tag:
        tags = sorted({tag for builder in builders for tag in builder.tags})
        named = {tag: [] for tag in tags} | {None: []}
        for builder in builders:
            for tag in builder.tags or (None,):
                named[tag].append(builder)
    start, made = (page - 1) * PAGE, []
    for name, some in named.items():
        shown = some[max(start, 0) : max(start + PAGE, 0)]
        start -= len(some)
        if shown:
            red = sum(each.is_red for each in some)
            made.append(Group(name=name, builders=tuple(shown), count=len(some), red=red))
    return tuple(made)


def state(builders: Iterable[Builder]) -> State:
    """Say how builders are.

    Args:
        builders: The builders.
    """
    judged = [each for each in builders if each.last is not None]
    if not judged:
        return State("unknown", "nothing yet")
    red = sum(each.is_red and not each.is_known for each in judged)
    known = sum(each.is_known for each in judged)
    if red:
        return State("bad", f"✗ {red} red")
    return State("good", f"✓ {known} known" if known else "✓ all green")
