"""Draws the figures as an SVG: each as a share of its bar, so that one picture holds all."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from bench.figures import Figure

WIDTH, ROW, TOP, LEFT = 760, 46, 40, 20
SCALE = 480
"""Pixels of a bar of full length: twice what is allowed."""
GOOD, BAD, INK, LINE = "#2b8a5f", "#c2452d", "#30343b", "#8a909a"


def svg(found: list[Figure]) -> str:
    """Return the picture.

    Args:
        found: The figures, from the top down.
    """
    height = TOP + ROW * len(found) + 10
    limit = LEFT + SCALE // 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="{INK}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{limit}" y="18" text-anchor="middle">the bar</text>',
        *(line for row, each in enumerate(found) for line in _row(each, TOP + row * ROW)),
        f'<line x1="{limit}" y1="24" x2="{limit}" y2="{height - 10}" stroke="{LINE}" '
        'stroke-dasharray="4 3"/>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _row(each: Figure, top: int) -> Iterator[str]:
    share = min(max(each.value / each.bar, 0), 2)
    width = round(share * SCALE / 2)
    colour = GOOD if each.is_met else BAD
    which = "more is better" if each.at_least else "less is better"
    value = f"{each.value:.2f} {each.unit}".rstrip()
    yield f'<text x="{LEFT}" y="{top + 12}">{escape(each.what)} ({which})</text>'
    yield f'<rect x="{LEFT}" y="{top + 18}" width="{width}" height="14" fill="{colour}"/>'
    yield f'<text x="{LEFT + SCALE + 12}" y="{top + 30}">{value}, bar {each.bar:g}</text>'
