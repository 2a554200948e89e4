"""Filters in addresses."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from support.builders import MASTER, STARS, build, builder
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board import filters
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.pages.pages import tidied
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.results import FAILURE, RESULTS, SUCCESS

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: storable(text) == text == text.strip()
)
chosen = st.builds(
    Filter,
    **{name: st.none() | texts for name in filters.SINGLE},
    tags=st.frozensets(texts, max_size=3),
    results=st.frozensets(st.integers(0, len(RESULTS) - 1), max_size=3),
)


class AddressTest(SynchronousTestCase):
    """A filter, written to an address and read from it."""

    @given(chosen)
    def test_round_trip(self, wanted: Filter) -> None:
        """What is written is read again as it was, whatever it contains."""
        self.assertEqual(filters.from_query(filters.to_query(wanted)), wanted)

    @given(chosen)
    def test_chips(self, wanted: Filter) -> None:
        """Each part can be taken away; all of them together leave nothing."""
        chips = filters.chips(wanted)
        for chip in chips:
            drop = urlencode({"without": f"{chip.name}={chip.value}"})
            left = filters.from_query(tidied(f"{filters.to_query(wanted)}&{drop}") or "")
            self.assertEqual(filters.chips(left), tuple(each for each in chips if each != chip))

    @given(st.text())
    def test_anything(self, query: str) -> None:
        """Whatever stands in an address is a filter, or is rejected with a reason."""
        try:
            wanted = filters.from_query(query)
        except ValueError as fault:
            self.assertIn("is no result", str(fault))
        else:
            self.assertEqual(filters.from_query(filters.to_query(wanted)), wanted)

    def test_unknown_result(self) -> None:
        """What would be right is told."""
        with self.assertRaises(ValueError) as caught:
            filters.from_query("result=broken")
        self.assertIn("result='broken'", str(caught.exception))
        self.assertIn("success", str(caught.exception))

    def test_too_long(self) -> None:
        """A value that is longer than any name is refused."""
        filters.from_query(f"builder={'x' * filters.MOST_VALUE}")
        for name in ("builder", "tag", "owner"):
            with self.assertRaises(ValueError) as caught:
                filters.from_query(f"{name}={'x' * (filters.MOST_VALUE + 1)}")
            self.assertIn(f"{name} has more than 500 characters", str(caught.exception))

    def test_blanks(self) -> None:
        """Blank fields of a form ask for nothing, and of one given twice the last counts."""
        self.assertEqual(filters.from_query("builder=+&tag=+&branch="), Filter())
        self.assertEqual(filters.from_query("branch=a&branch=+b+"), Filter(branch="b"))


def fits_as_ever(wanted: str, name: str) -> bool:
    """Tell what one expression for the whole glob says, which may take for ever."""
    glob = wanted if "*" in wanted or "?" in wanted else f"*{wanted}*"
    parts = ({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in glob)
    return re.fullmatch("".join(parts), name, re.IGNORECASE | re.DOTALL) is not None


few = "abAB*?.\n[ß\u017fsK\u212aİ"


class FitTest(SynchronousTestCase):
    """What a filter shows."""

    def test_builders(self) -> None:
        """A builder fits by name, all of the tags, master and project."""
        shown = builder(tags=("stable", "arm"), project="runtime", name="arm-Debug")
        fitting = Filter(
            builder="*debug*", tags=frozenset({"arm", "stable"}), master=MASTER.name,
            project="runtime",
        )  # fmt: skip
        self.assertTrue(filters.fits_builder(fitting, shown))
        for other in (
            {"builder": "release"}, {"tags": frozenset({"arm", "x86"})}, {"master": "other"},
            {"project": "docs"},
        ):  # fmt: skip
            self.assertFalse(filters.fits_builder(evolve(fitting, **other), shown), other)

    def test_builds(self) -> None:
        """A build fits by branch, worker, owner and any of the results."""
        shown = build(1, FAILURE, branch="main", worker="w1", owner="ada")
        fitting = Filter(
            branch="main", worker="w1", owner="ada", results=frozenset({FAILURE, SUCCESS})
        )
        self.assertTrue(filters.fits_build(fitting, shown))
        for other in (
            {"branch": "next"}, {"worker": "w2"}, {"owner": "tom"}, {"results": {SUCCESS}},
        ):  # fmt: skip
            self.assertFalse(filters.fits_build(evolve(fitting, **other), shown), other)

    def test_names(self) -> None:
        """A glob has to fit a whole name, other text may stand anywhere in it; case is nothing."""
        for wanted, name, fits in (
            ("debug", "x86 Debug 1", True), ("debug*", "x86 debug", False),
            ("*bug", "x86 Debug", True),
            ("x?6*", "x86 debug", True), ("x?", "x86", False), ("a.c", "abc", False),
            ("[ab]", "a", False), ("[ab]", "x[ab]y", True), ("*\n*", "two\nlines", True),
        ):  # fmt: skip
            self.assertEqual(filters.name_fits(wanted, name), fits, (wanted, name))

    @given(st.text(few, max_size=8), st.text(few.replace("*", ""), max_size=10))
    def test_same_names(self, wanted: str, name: str) -> None:
        """Names fit that one expression for the whole glob would fit."""
        self.assertEqual(filters.name_fits(wanted, name), fits_as_ever(wanted, name))

    def test_many_stars(self) -> None:
        """A glob of many stars is judged at once, however little it fits."""
        for wanted, name in STARS:
            self.assertFalse(filters.name_fits(wanted, name))
