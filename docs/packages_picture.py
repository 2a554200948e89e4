"""Draws ``project/packages.svg``, the packages and which imports which, from the source.

Run it after a change of imports: ``python docs/packages_picture.py``. A test says when to.
"""

import ast
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

DOCS = Path(__file__).parent
PACKAGE = "buildbot_http_status_push"
SOURCE = DOCS.parent / "src" / PACKAGE
PICTURE = DOCS / "project" / "packages.svg"

WIDTH, HEIGHT = 112, 26
ACROSS, DOWN = 124, 58
LEFT, TOP = 44, 44


Graph = dict[str, set[str]]


def imports(folder: Path, name: str) -> Graph:
    """Return which packages and modules of a folder import which others of it."""
    parts = [each for each in folder.iterdir() if each.suffix == ".py" or each.is_dir()]
    found: Graph = {part.stem: set() for part in parts if not part.name.startswith("__")}
    for part in parts:
        files = part.rglob("*.py") if part.is_dir() else [part]
        for node in (node for each in files for node in ast.walk(ast.parse(each.read_text()))):
            if part.stem in found and isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{each.name}.".partition(f"{name}.") for each in node.names]
                found[part.stem] |= {rest.split(".")[0] for before, _, rest in names if not before}
    return {part: (used & found.keys()) - {part} for part, used in found.items()}


def direct(graph: Graph) -> Graph:
    """Return a graph without the arrows that a way of several arrows makes superfluous."""
    below: Graph = {}
    for part in TopologicalSorter(graph).static_order():
        below[part] = graph[part].union(*(below[each] for each in graph[part]))
    return {
        part: {each for each in used if not any(each in below[other] for other in used)}
        for part, used in graph.items()
    }


def levels(graph: Graph) -> dict[str, int]:
    """Return for each part how many floors lie below it."""
    found: dict[str, int] = {}
    for part in TopologicalSorter(graph).static_order():
        found[part] = 1 + max((found[each] for each in graph[part]), default=-1)
    return found


def draw(graph: Graph, title: str, left: int, width: int) -> tuple[list[str], int]:
    """Return a graph's boxes and arrows, and how high it is.

    What imports nothing stands in the last row, without arrows: anything above may use it.
    """
    level = levels(graph)
    highest = max(level.values())
    at: dict[str, tuple[int, int]] = {}
    for floor in range(highest, -1, -1):
        row = sorted((part for part in graph if level[part] == floor), key=_place_above(graph, at))
        # Rows are shifted, so that arrows past a row are seen beside its boxes.
        begin = left + (width - len(row) * ACROSS) // 2 + (-1) ** floor * ACROSS // 4
        for column, part in enumerate(row):
            at[part] = (begin + column * ACROSS, TOP + (highest - floor) * DOWN)
    arrows = [
        f'<path d="M{x + WIDTH // 2} {y + HEIGHT}C{x + WIDTH // 2} {y + DOWN} '
        f"{at[used][0] + WIDTH // 2} {at[used][1] - DOWN + HEIGHT} "
        f'{at[used][0] + WIDTH // 2} {at[used][1] - 2}"/>'
        for part, (x, y) in at.items()
        for used in sorted(direct(graph)[part])
        if level[used]
    ]
    boxes = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + 17}">{part}</text>'
        for part, (x, y) in at.items()
    ]
    heading = f'<text class="heading" x="{left + width // 2}" y="24">{title}</text>'
    return [heading, *arrows, *boxes], TOP + highest * DOWN + HEIGHT + TOP // 2


def _place_above(
    graph: Graph, at: dict[str, tuple[int, int]]
) -> Callable[[str], tuple[float, str]]:
    """Return a key that sorts parts by the mean place of what imports them."""

    def key(part: str) -> tuple[float, str]:
        above = [x for other, (x, _) in at.items() if part in graph[other]]
        return (sum(above) / len(above) if above else 0.0, part)

    return key


def picture() -> str:
    """Return the whole picture."""
    package, high = draw(imports(SOURCE, PACKAGE), "The package", LEFT, 9 * ACROSS)
    inside = imports(SOURCE / "board", f"{PACKAGE}.board")
    board, higher = draw(inside, "Inside board", 2 * LEFT + 9 * ACROSS, 5 * ACROSS)
    width, height = 3 * LEFT + 14 * ACROSS, max(high, higher)
    title = "The packages: each imports from those that its arrows lead to, and from what is below"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            'aria-labelledby="title" font-family="system-ui, sans-serif" font-size="13">',
            f'<title id="title">{title}</title>',
            "<style>rect{fill:#f4f6f8;stroke:#8a94a0}path{stroke:#9aa4ae;fill:none;"
            "marker-end:url(#tip)}text{text-anchor:middle;fill:#222}"
            ""
            ".heading{font-weight:600;font-size:15px}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" '
            'style="fill:#9aa4ae;stroke:none;marker-end:none"/></marker></defs>',
            f'<rect width="{width}" height="{height}" style="fill:#fff;stroke:none"/>',
            *package,
            *board,
            "</svg>\n",
        )
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
