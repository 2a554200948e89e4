"""Filters in addresses."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from support.builders import MASTER, build, builder
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board import filters
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.results import FAILURE, RESULTS, SUCCESS

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda text: text == text.strip()
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
            left = filters.from_query(chip.without)
            self.assertEqual(len(filters.chips(left)), len(chips) - 1)
        if len(chips) == 1:
            self.assertEqual(filters.from_query(chips[0].without), Filter())

    @given(st.text())
    def test_anything(self, query: str) -> None:
        """Whatever stands in an address is a filter, or is refused with a reason."""
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

    def test_blanks(self) -> None:
        """Blank fields of a form ask for nothing, and of one given twice the last counts."""
        self.assertEqual(filters.from_query("builder=+&tag=+&branch="), Filter())
        self.assertEqual(filters.from_query("branch=a&branch=+b+"), Filter(branch="b"))


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
