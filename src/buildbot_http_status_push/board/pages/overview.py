"""What is red, what runs, and all there is: the first page's view of the builders.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder


@frozen(kw_only=True)
class Overview:
    """The builders as the first page shows them.

    Args:
        builders: All of them.
        red: Those whose last conclusive build is bad, the latest to become so first.
        running: The builds that run, each with its builder, the oldest first.
        good: How many builders' last conclusive build is good.
    """

    builders: tuple[Builder, ...]
    red: tuple[Builder, ...]
    running: tuple[tuple[Build, Builder], ...]
    good: int


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
    return Overview(
        builders=tuple(builders),
        red=tuple(sorted((each for each in builders if each.is_red), key=red_since, reverse=True)),
        running=tuple(sorted(running, key=lambda pair: (pair[0].started_at, pair[0].id))),
        good=sum(each.last is not None and not each.is_red for each in builders),
    )


def red_since(builder: Builder) -> int:
    """Tell when a red builder became red, in seconds since the epoch."""
    first = builder.first_bad or builder.last
    return 0 if first is None else first.complete_at or first.started_at


def state(builders: Iterable[Builder]) -> State:
    """Tell how builders stand.

    Args:
        builders: The builders.
    """
    verdicts = [each.is_red for each in builders if each.last is not None]
    if not verdicts:
        return State("unknown", "nothing yet")
    red = sum(verdicts)
    return State("bad", f"✗ {red} red") if red else State("good", "✓ all green")
