"""All builds of a revision in one row: the view of revisions.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, Revision
from buildbot_http_status_push.board.pages.wording import symbol


@frozen(kw_only=True)
class Line:
    """A revision and what each builder says of it.

    Args:
        revision: The revision.
        builds: A build, or None, for each builder.
        counts: How many builds there are of each result, the bad ones first.
    """

    revision: Revision
    builds: tuple[Build | None, ...]
    counts: tuple[tuple[str, int], ...]


ORDER = (
    "failure", "exception", "running", "warnings", "success", "retry", "cancelled", "skipped",
    "unknown",
)  # fmt: skip
"""In which order results are told."""


def lines(
    revisions: Sequence[Revision], builders: Sequence[Builder]
) -> tuple[tuple[Builder, ...], tuple[Line, ...]]:
    """Lay revisions out as a table.

    Args:
        revisions: The revisions, newest first.
        builders: The builders that are to be shown.

    Returns:
        The builders that built any of them, and a line for each revision that any of them built.
    """
    building = {build.builder for revision in revisions for build in revision.builds}
    shown = tuple(each for each in builders if each.id in building)
    made = (_line(revision, shown) for revision in revisions)
    return shown, tuple(line for line in made if line.counts)


def _line(revision: Revision, builders: Sequence[Builder]) -> Line:
    by_builder = {build.builder: build for build in revision.builds}
    builds = tuple(by_builder.get(each.id) for each in builders)
    counted = Counter(symbol(build) for build in builds if build)
    return Line(
        revision=revision,
        builds=builds,
        counts=tuple((name, counted[name]) for name in ORDER if counted[name]),
    )
