"""Pictures of builds, read back by an XML parser."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from support.builders import build
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.pages import charts
from buildbot_http_status_push.board.pages.wording import symbol
from buildbot_http_status_push.results import CANCELLED, FAILURE, RESULTS, SUCCESS

results = st.lists(
    st.none() | st.integers(0, len(RESULTS) - 1), max_size=charts.STRIP + charts.GRID
)


def parsed(picture: str) -> ElementTree.Element:
    """Return a picture as an XML parser sees it."""
    return ElementTree.fromstring(picture)  # noqa: S314  our own picture


class StripTest(SynchronousTestCase):
    """A builder's latest builds in a row of shapes."""

    @given(results)
    def test_places(self, codes: list[int | None]) -> None:
        """Each shape lies within the strip, beside the others; the newest is at the right edge."""
        builds = [build(len(codes) - age, result) for age, result in enumerate(codes)]
        strip = parsed(charts.strip(builds))
        left, top, width, height = map(int, strip.attrib["viewBox"].split())
        shapes = [each.attrib for each in strip]
        places = [int(each["x"]) for each in shapes]
        self.assertEqual((left, top, height), (0, 0, charts.SHAPE))
        self.assertEqual(
            {(each["width"], each["height"]) for each in shapes} - {("16", "16")}, set()
        )
        self.assertTrue(all(after - before == charts.STEP for before, after in pairwise(places)))
        if places:
            self.assertEqual(places[-1] + charts.SHAPE, width)
            self.assertGreaterEqual(places[0], 0)
            self.assertEqual(shapes[-1]["href"], f"#{symbol(builds[0])}")

    def test_words(self) -> None:
        """It says the same in words, builds of one result counted."""
        builds = [build(4, None), build(3, FAILURE), build(2), build(1)]
        self.assertEqual(
            parsed(charts.strip(builds)).attrib["aria-label"],
            "newest first: running, failure, 2 success",
        )
        self.assertEqual(charts.summary([]), "no builds yet")


class CellsTest(SynchronousTestCase):
    """A builder's latest builds as a row of the grid."""

    @given(results)
    def test_count(self, codes: list[int | None]) -> None:
        """There are as many cells in each row, however many builds there are."""
        builds = [build(len(codes) - age, result) for age, result in enumerate(codes)]
        row = parsed(f"<tr>{charts.cells(builds, '/')}</tr>")
        self.assertEqual(len(row), charts.GRID)
        links = [cell[0].attrib["href"] for cell in row if len(cell)]
        self.assertEqual(links, [f"/builds/{each.id}" for each in reversed(builds[: charts.GRID])])

    def test_title(self) -> None:
        """A cell tells number, result and duration."""
        self.assertIn('title="#3 failure, 1 min"', charts.cell(build(3, FAILURE), "/"))
        self.assertIn('title="#4 running"', charts.cell(build(4, None), "/"))


class DurationsTest(SynchronousTestCase):
    """How long builds took, as bars."""

    @given(results)
    def test_bars(self, codes: list[int | None]) -> None:
        """There is a bar for each build that has ended, and none reaches out of the picture."""
        builds = [
            build(number, result, complete_at=None if result is None else 61 * number)
            for number, result in enumerate(codes)
        ]
        picture = parsed(charts.durations(builds, usual=None))
        bars = [bar.attrib for bar in picture.iter("rect")]
        self.assertEqual(len(bars), sum(result is not None for result in codes))
        for bar in bars:
            self.assertGreaterEqual(int(bar["y"]), 0)
            self.assertEqual(int(bar["y"]) + int(bar["height"]), charts.CHART_HEIGHT)
            self.assertLessEqual(int(bar["x"]) + int(bar["width"]), int(picture.attrib["width"]))

    def test_usual(self) -> None:
        """The line is where the usual duration is, and nowhere when that is longer than all."""
        builds = [build(2, CANCELLED, complete_at=220), build(1, SUCCESS)]
        self.assertIn(f'y1="{charts.CHART_HEIGHT // 2}"', charts.durations(builds, usual=50))
        self.assertNotIn("<line", charts.durations(builds, usual=101))
