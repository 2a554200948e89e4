"""What pages show, as values."""

from __future__ import annotations

from attrs import evolve
from jinja2 import Environment
from support.builders import build, builder
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.changes import SOURCES
from buildbot_http_status_push.board.failures.grouping import red_since
from buildbot_http_status_push.board.model import Revision
from buildbot_http_status_push.board.pages.detail import (
    LINKS,
    PROPERTIES,
    STEPS,
    contents,
)
from buildbot_http_status_push.board.pages.grid import COLUMNS, table
from buildbot_http_status_push.board.pages.history import history
from buildbot_http_status_push.board.pages.overview import State, overview, state
from buildbot_http_status_push.board.pages.pages import tidied
from buildbot_http_status_push.board.pages.templating import bad_in_a_row, environment
from buildbot_http_status_push.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS


class OverviewTest(SynchronousTestCase):
    """What is red, what runs, and all there is."""

    def test_red(self) -> None:
        """What became red last stands first; one that runs stays red until it ends."""
        early = builder(build(9, None), build(3, FAILURE), id=1, first_bad=build(3, FAILURE))
        late = builder(build(8, FAILURE), id=2)
        good = builder(build(9, WARNINGS), build(8, FAILURE), id=3)
        seen = overview([early, good, late])
        self.assertEqual([each.first.id for each in seen.causes], [2, 1])
        self.assertEqual((seen.good, red_since(early)), (1, 240))

    def test_running(self) -> None:
        """All builds that run are shown, the oldest first."""
        one = builder(build(9, None), build(4, None), id=1)
        two = builder(build(6, None), id=2)
        seen = overview([one, two])
        self.assertEqual([each.number for each, _ in seen.running], [4, 6, 9])
        self.assertEqual([each.id for _, each in seen.running], [1, 2, 1])

    def test_undecided(self) -> None:
        """A builder without a conclusive build is neither red nor good, and is shown."""
        seen = overview([builder(build(1, CANCELLED)), builder()])
        self.assertEqual((len(seen.builders), seen.red, seen.good), (2, 0, 0))

    def test_state(self) -> None:
        """Title and icon tell how many are red, that all are green, or that nothing is known."""
        red, good = builder(build(1, FAILURE)), builder(build(1, SUCCESS))
        self.assertEqual(state([red, good, red]), State("bad", "✗ 2 red"))
        self.assertEqual(state([good, builder()]), State("good", "✓ all green"))
        self.assertEqual(state([builder()]), State("unknown", "nothing yet"))

    def test_in_a_row(self) -> None:
        """Bad builds are counted up to the last good one; what decides nothing is passed over."""
        results = (None, FAILURE, CANCELLED, EXCEPTION, WARNINGS, FAILURE)
        builds = [build(9 - age, result) for age, result in enumerate(results)]
        self.assertEqual(bad_in_a_row(builder(*builds)), 1)


class TemplatesTest(SynchronousTestCase):
    """What pages are made by."""

    def test_first_overview(self) -> None:
        """The overview is compiled before it is asked for, once for all that pages are made by."""
        made = environment("/here/")
        self.patch(Environment, "compile", lambda *_: self.fail("compiled on a page's time"))
        for name in ("overview.html", "_page.html"):
            environment("/here/").get_template(name)
        self.assertEqual(made.globals["root"], "/here/")


class ContentsTest(SynchronousTestCase):
    """What a build's page shows of its body."""

    def test_bounded(self) -> None:
        """However many steps, links, codebases and properties a body has, a page shows some."""
        many = [{"name": "x" * 10_000}] * (STEPS + 1)
        steps = [{"urls": many, "logs": many, "state_string": "x" * 10_000}, *many]
        properties = {f"p{number}": [100_000 * "x", "s"] for number in range(PROPERTIES + 1)}
        shown = contents(
            {"steps": steps, "buildset": {"sourcestamps": many}, "properties": properties}
        )
        self.assertEqual(
            [*map(len, (shown.steps, shown.steps[0].links, shown.sources, shown.properties))],
            [STEPS, 2 * LINKS, SOURCES, PROPERTIES],
        )
        longest = (shown.steps[0].says, shown.steps[1].name, shown.properties[0].value)
        self.assertEqual([*map(len, longest)], [2000, 500, 10_000])


class HistoryTest(SynchronousTestCase):
    """A builder's builds."""

    def test_rate(self) -> None:
        """The success rate is of conclusive builds, and 100 % only where all were good."""
        builds = [build(each) for each in range(300, 1, -1)] + [build(1, FAILURE)]
        self.assertEqual(history(builds, 300).success_rate, 99)
        self.assertEqual(history(builds[:9], 10).success_rate, 100)
        self.assertIsNone(history([build(1, CANCELLED), build(2, None)], 10).success_rate)

    def test_flaky(self) -> None:
        """A revision that passed and failed is flaky; one that failed twice is not."""
        builds = [
            build(5, FAILURE, revision="a"), build(4, revision="a"),
            build(3, FAILURE, revision="b"), build(2, FAILURE, revision="b"),
            build(1, revision=None),
        ]  # fmt: skip
        self.assertEqual(history(builds, 10).flaky, frozenset({"a"}))

    def test_pages(self) -> None:
        """No more are shown than a page has, and it is told that there are older ones."""
        builds = [build(each) for each in range(6, 0, -1)]
        self.assertEqual((len(history(builds, 5).builds), history(builds, 5).has_older), (5, True))
        self.assertFalse(history(builds, 6).has_older)


class RevisionsTest(SynchronousTestCase):
    """Revision by builder."""

    def test_lines(self) -> None:
        """Each builder that built any of them has a column; bad results are counted first."""
        one, two, other = (builder(id=each, name=f"b{each}") for each in (1, 2, 3))
        builds = (build(1, builder=1), build(2, FAILURE, builder=2), build(3, builder=9))
        seen = Revision(
            revision="abc", codebase="", branch="main", project=None, comment=None, author=None,
            first_at=0, builds=builds,
        )  # fmt: skip
        found = table([seen, evolve(seen, builds=builds[2:])], [one, two, other], 1)
        [line] = found.lines
        self.assertEqual((found.builders, found.pages), ((one, two), 1))
        self.assertEqual(line.builds, builds[:2])
        self.assertEqual(line.counts, (("failure", 1), ("success", 1)))

    def test_many_builders(self) -> None:
        """A page has so many columns at most; a line counts the builds of all pages."""
        every = [builder(id=each, name=f"b{each:03}") for each in range(COLUMNS + 3)]
        seen = Revision(
            revision="abc", codebase="", branch="main", project=None, comment=None, author=None,
            first_at=0, builds=tuple(build(1, builder=each.id) for each in every),
        )  # fmt: skip
        first, last, beyond = (table([seen], every, page) for page in (1, 2, 9))
        self.assertEqual((first.builders, first.pages), (tuple(every[:COLUMNS]), 2))
        self.assertEqual((last.builders, len(last.lines[0].builds)), (tuple(every[COLUMNS:]), 3))
        self.assertEqual(last.lines[0].counts, (("success", len(every)),))
        self.assertEqual(beyond, last)


class AddressTest(SynchronousTestCase):
    """Addresses that a form has made."""

    def test_blanks(self) -> None:
        """What was left blank is left out; an address without blanks is left alone."""
        self.assertEqual(tidied("builder=&tag=a%26b&branch=+"), "tag=a%26b")
        self.assertIsNone(tidied("tag=a&builder=b"))
        self.assertEqual(tidied("builder="), "")

    def test_without(self) -> None:
        """A filter is taken away by its name and value; others stay."""
        for query, left in (
            ("tag=a&tag=b&without=tag%3Da", "tag=b"),
            ("tag=a&without=tag%3Da", ""),
            ("tag=a&without=tag%3Dother", "tag=a"),
        ):
            self.assertEqual(tidied(query), left)
