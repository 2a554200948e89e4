"""Pictures of builds as SVG: pure functions of values.

Shapes are told apart without colour; colours come from the style sheet. Numbers and fixed words
are all that is written here, so that nothing needs escaping; names never come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape

from buildbot_http_status_push.board.model import Build
from buildbot_http_status_push.board.pages.wording import span, symbol, word
from buildbot_http_status_push.board.test_results.history import Verdict

STRIP = 10
"""How many of its latest builds a builder's strip shows."""
SHAPE = 16
"""The size of shapes, in pixels."""
TEST_RUNS = 30
"""How many of its latest runs a test's strip shows."""
STEP = 18
"""From one shape of a strip to the next."""
DAY = 4
"""From one bar of a day to the next, in pixels."""
GRID = 20
"""How many of its latest builds a builder's row of the grid shows."""
CHART_HEIGHT = 140
BAR = 22
"""From one bar of a chart to the next, in pixels."""


def strip(builds: Sequence[Build]) -> Markup:
    """Draw a builder's latest builds, the newest on the right.

    Args:
        builds: The builds, newest first.

    Returns:
        A picture with a text that says the same.
    """
    shown = builds[:STRIP]
    first = STRIP - len(shown)
    # Without a size of its own each shape would take the whole strip's.
    shapes = "".join(
        f'<use href="#{symbol(build)}" x="{place * STEP}" width="{SHAPE}" height="{SHAPE}"/>'
        for place, build in enumerate(reversed(shown), start=first)
    )
    width = STRIP * STEP - (STEP - SHAPE)
    return Markup(  # noqa: S704  numbers and fixed words only
        f'<svg class="strip" width="{width}" height="{SHAPE}" viewBox="0 0 {width} {SHAPE}" '
        # Where there is less room, the newest ones are shown.
        f'preserveAspectRatio="xMaxYMid slice" role="img" aria-label="{summary(shown)}">'
        f"{shapes}</svg>"
    )


def days(counts: Sequence[int]) -> Markup:
    """Draw how many builds there were on each of some days, today on the right.

    Args:
        counts: The numbers, the oldest day first.

    Returns:
        A picture with a text that says the same.
    """
    most = max(max(counts, default=0), 1)
    bars = "".join(
        f'<rect x="{place * DAY}" y="{SHAPE - height}" width="{DAY - 1}" height="{height}"/>'
        for place, count in enumerate(counts)
        if count
        for height in (max(count * SHAPE // most, 2),)
    )
    width, some = len(counts) * DAY, sum(bool(count) for count in counts)
    told = f"{sum(counts)} builds on {some} of {len(counts)} days"
    return Markup(  # noqa: S704  numbers and fixed words only
        f'<svg class="days" width="{width}" height="{SHAPE}" viewBox="0 0 {width} {SHAPE}" '
        f'role="img" aria-label="{told}">{bars}</svg>'
    )


def runs_strip(verdict: Verdict) -> Markup:
    """Draw how a test ended in its latest runs, the newest on the right.

    Args:
        verdict: What its runs say.

    Returns:
        A picture with a text that says the same.
    """
    shown = verdict.outcomes[-TEST_RUNS:]
    symbols = {True: "failure", False: "success", None: "unknown"}
    shapes = "".join(
        f'<use href="#{symbols[has_failed]}" x="{place * STEP}" width="{SHAPE}" height="{SHAPE}"/>'
        for place, (_, has_failed) in enumerate(shown)
    )
    width = max(len(shown), 1) * STEP - (STEP - SHAPE)
    failed = sum(has_failed is True for _, has_failed in shown)
    ran = sum(has_failed is not None for _, has_failed in shown)
    return Markup(  # noqa: S704  numbers and fixed words only
        f'<svg class="strip" width="{width}" height="{SHAPE}" viewBox="0 0 {width} {SHAPE}" '
        # Where there is less room, the newest ones are shown.
        f'preserveAspectRatio="xMaxYMid slice" role="img" '
        f'aria-label="failed {failed} of {ran} times">{shapes}</svg>'
    )


def summary(builds: Iterable[Build]) -> str:
    """Say builds' results in words, such as ``newest first: failure, 9 success``."""
    runs: list[tuple[str, int]] = []
    for each in map(word, builds):
        same = runs and runs[-1][0] == each
        runs[-1:] = [(each, runs[-1][1] + 1)] if same else [*runs[-1:], (each, 1)]
    words = (name if count == 1 else f"{count} {name}" for name, count in runs)
    return "newest first: " + ", ".join(words) if runs else "no builds yet"


def cells(builds: Sequence[Build], root: str) -> Markup:
    """Write a builder's latest builds as cells of a table, the newest on the right.

    Args:
        builds: The builds, newest first.
        root: The path that the board's own addresses begin with.
    """
    shown = builds[:GRID]
    missing = "<td></td>" * (GRID - len(shown))
    written = "".join(cell(each, root) for each in reversed(shown))
    return Markup(missing + written)  # noqa: S704  numbers and words


def cell(build: Build, root: str) -> Markup:
    """Write a build as a cell of a table: a shape that leads to its page below a root."""
    took = "" if build.duration is None else f", {span(build.duration)}"
    label = f"#{build.number} {word(build)}{took}"
    return Markup(  # noqa: S704  numbers and fixed words only
        f'<td><a href="{escape(root)}builds/{build.id}" title="{label}">'
        f'<svg class="mark" aria-hidden="true"><use href="#{symbol(build)}"/></svg></a></td>'
    )


def durations(builds: Sequence[Build], usual: float | None) -> Markup:
    """Draw how long builds took, the newest on the right.

    Args:
        builds: The builds, newest first; those that run are left out.
        usual: Where to draw the line of what is usual, in seconds.
    """
    ended = [(build, build.duration) for build in reversed(builds) if build.duration is not None]
    longest = max((duration for _, duration in ended), default=0) or 1
    width = max(len(ended), 1) * BAR
    bars = "".join(
        _bar(build, duration, place, longest) for place, (build, duration) in enumerate(ended)
    )
    label = f"durations of {len(ended)} builds, the newest on the right; longest {span(longest)}"
    return Markup(  # noqa: S704  numbers and fixed words only
        f'<svg class="durations" width="{width}" height="{CHART_HEIGHT + 24}" '
        f'viewBox="0 0 {width} {CHART_HEIGHT + 24}" role="img" aria-label="{label}">'
        f"{_line(usual, longest, width)}{bars}</svg>"
    )


def _bar(build: Build, duration: int, place: int, longest: int) -> str:
    height = max(round(duration / longest * CHART_HEIGHT), 2)
    left, top = place * BAR, CHART_HEIGHT - height
    return (
        f'<g class="{symbol(build)}"><title>#{build.number} {word(build)}, {span(duration)}</title>'
        f'<rect x="{left + 2}" y="{top}" width="{BAR - 4}" height="{height}" rx="2"/>'
        f'<use href="#{symbol(build)}" x="{left + (BAR - SHAPE) // 2}" y="{CHART_HEIGHT + 6}" '
        f'width="{SHAPE}" height="{SHAPE}"/></g>'
    )


def _line(usual: float | None, longest: int, width: int) -> str:
    if usual is None or usual > longest:
        return ""
    y = CHART_HEIGHT - round(usual / longest * CHART_HEIGHT)
    return f'<line class="usual" x1="0" x2="{width}" y1="{y}" y2="{y}"/>'
