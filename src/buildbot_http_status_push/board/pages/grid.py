"""All builds of a revision in one row: the view of revisions.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, Revision
from buildbot_http_status_push.board.pages.wording import symbol
from buildbot_http_status_push.board.test_results.results import NamedTest

COLUMNS = 50
"""How many builders a page of the table has."""


@frozen(kw_only=True)
class Line:
    """A revision and what each builder says of it.

    Args:
        revision: The revision.
        builds: A build, or None, for each builder of the page.
        counts: How many builders' builds there are of each result, the bad ones first.
    """

    revision: Revision
    builds: tuple[Build | None, ...]
    counts: tuple[tuple[str, int], ...]


def new_tests(
    builds: Iterable[Build | None], new: Mapping[int, Sequence[NamedTest]]
) -> list[tuple[NamedTest, int]]:
    """Return the tests that a revision's builds broke, those on most builders first.

    Args:
        builds: The builds.
        new: Which tests were new in each, by the builds' numbers.

    Returns:
        Each test, and on how many builders it is new.
    """
    counts = Counter(test for build in builds if build for test in new.get(build.id, ()))
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


ORDER = (
    "failure", "exception", "running", "warnings", "success", "retry", "cancelled", "skipped",
    "unknown",
)  # fmt: skip
"""In which order results are told."""


@frozen(kw_only=True)
class Table:
    """A page of the view.

    Args:
        builders: The builders of the page, a column for each.
        lines: A line for each revision that any builder built, on this page or another.
        page: Which page it is, from 1 on.
        pages: How many there are.
    """

    builders: tuple[Builder, ...]
    lines: tuple[Line, ...]
    page: int
    pages: int


def table(revisions: Sequence[Revision], builders: Sequence[Builder], page: int) -> Table:
    """Lay revisions out as a table.

    Args:
        revisions: The revisions, newest first.
        builders: The builders that are to be shown, those that built none of them aside.
        page: Which page is asked for; the last one if there are fewer.
    """
    building = {build.builder for revision in revisions for build in revision.builds}
    shown = [each for each in builders if each.id in building]
    pages = max(-(-len(shown) // COLUMNS), 1)
    page = min(page, pages)
    columns = tuple(shown[(page - 1) * COLUMNS : page * COLUMNS])
    counted = {each.id for each in shown}
    made = (_line(revision, columns, counted) for revision in revisions)
    return Table(
        builders=columns,
        lines=tuple(line for line in made if line.counts),
        page=page,
        pages=pages,
    )


def _line(revision: Revision, columns: Sequence[Builder], shown: Collection[int]) -> Line:
    by_builder = {each.builder: each for each in revision.builds if each.builder in shown}
    counted = Counter(map(symbol, by_builder.values()))
    return Line(
        revision=revision,
        builds=tuple(by_builder.get(each.id) for each in columns),
        counts=tuple((name, counted[name]) for name in ORDER if counted[name]),
    )
