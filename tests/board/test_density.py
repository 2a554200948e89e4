"""What the first screen makes of many builders: causes, groups, pages, names, and its size."""

from __future__ import annotations

import gzip
import unicodedata
from html.parser import HTMLParser
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from support.boards import BoardCase
from support.builders import MASTER, build, builder
from support.large import Large
from support.outboxes import result
from support.statuses import NOW, a_status
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.failures.grouping import causes
from buildbot_http_status_push.board.http.documents import RouteRequest
from buildbot_http_status_push.board.model import Builder, BuilderIncident, Source, SourceChange
from buildbot_http_status_push.board.pages.overview import PAGE, groups
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.pages.wording import LONG, halves
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import FAILURE, SUCCESS

pytestmark = pytest.mark.once


def red(number: int, *, revision: str = "abc", step: str = "test", **more: Any) -> Builder:
    """Return a builder that has been red since the minute of its number."""
    bad = build(
        number, FAILURE, step=step, revision=revision, sources=(Source("", "main", revision),)
    )
    known: dict[str, Any] = {"id": number, "name": f"b{number}", "first_bad": bad}
    return builder(bad, **{**known, **more})


class CausesTests(SynchronousTestCase):
    """Which red builders share a card."""

    def test_shared(self) -> None:
        """The same step of the same first bad code is one cause, and others are others."""
        same = [red(3), red(1), red(2)]
        others = [
            red(4, revision="def"),
            red(5, step="compile"),
            red(6, master=evolve(MASTER, id=2)),
        ]
        found = causes([*same, *others, builder(build(9))])
        self.assertEqual([len(each.builders) for each in found], [1, 1, 1, 3])
        self.assertEqual([each.id for each in found[-1].builders], [1, 2, 3])
        self.assertEqual(found[-1].key, "1")

    def test_unknown_code(self) -> None:
        """Builders of which no revision is known share nothing."""
        one, two = (builder(build(each, FAILURE, sources=()), id=each) for each in (1, 2))
        self.assertEqual(len(causes([one, two])), 2)

    def test_order(self) -> None:
        """What broke last comes first, and what may be a flake after everything else."""
        found = causes([red(9, flaky=True), red(5, revision="b"), red(7, revision="c")])
        self.assertEqual([each.first.id for each in found], [7, 5, 9])
        again = red(9, flaky=True, first_bad=build(2, FAILURE))
        self.assertFalse(causes([again])[0].is_flake)

    def test_suspects(self) -> None:
        """An incident's suspects are shown; where it has none to name, the builder's are."""
        for incident, shown in (
            (None, 3),
            (BuilderIncident(id="1", kind="failure", opened_at=NOW), 3),
            (BuilderIncident(id="1", kind="failure", opened_at=NOW, suspected=2), 2),
            (BuilderIncident(id="1", kind="infrastructure", opened_at=NOW), 0),
        ):
            [cause] = causes([red(1, suspected=3, incident=incident)])
            self.assertEqual(cause.suspected, shown)

    def test_no_suspects_of_a_flake(self) -> None:
        """No change is suspected where the same code has passed."""
        change = SourceChange(author="Ada", comment="Frees a frame", at=NOW)
        for flaky, shown in ((False, 1), (True, 0)):
            [cause] = causes([red(1, suspected=1, suspects=(change,), flaky=flaky)])
            self.assertEqual((cause.suspected, len(cause.suspects)), (shown, shown))


class GroupsTests(SynchronousTestCase):
    """How builders are laid out."""

    def test_pages(self) -> None:
        """Each page has the next builders, and all pages have all of them once."""
        every = [builder(id=each, name=f"b{each:04}") for each in range(2 * PAGE + 5)]
        pages = [groups(every, by_tag=False, page=each) for each in (1, 2, 3)]
        shown = [each.id for page in pages for group in page for each in group.builders]
        self.assertEqual(shown, [each.id for each in every])
        self.assertEqual([len(group.builders) for [group] in pages], [PAGE, PAGE, 5])

    def test_tags(self) -> None:
        """By tag each builder is under each of its tags, one without under none."""
        one, two = builder(id=1, tags=("a", "b")), builder(id=2, tags=("b",))
        found = groups([one, two, builder(id=3)], by_tag=True, page=1)
        seen = [(each.name, [one.id for one in each.builders]) for each in found]
        self.assertEqual(seen, [("a", [1]), ("b", [1, 2]), (None, [3])])


class NamesTests(SynchronousTestCase):
    """Long names."""

    @given(st.text(max_size=300))
    def test_whole(self, name: str) -> None:
        """Both parts are the name, and the second begins with no mark of the first one's end."""
        head, tail = halves(name)
        self.assertEqual(head + tail, name)
        self.assertEqual(bool(tail), len(name) > LONG and bool(tail))
        if tail and head:
            self.assertFalse(unicodedata.category(tail[0]).startswith("M"))

    def test_joined(self) -> None:
        """A family, a skin tone and an accent stay whole."""
        for letter in ("👩\u200d👩\u200d👧", "👍🏽", "e\u0301", "☺\ufe0f"):
            for most in range(1, 12):
                head, tail = halves("x" * 40 + letter + "y" * most)
                self.assertTrue(letter in head or letter in tail, (letter, most))


class Counter(HTMLParser):
    """Counts elements."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Count one."""
        self.elements += 1


class SizeTests(SynchronousTestCase):
    """A board of 2,000 builders."""

    def test_first_page(self) -> None:
        """The first page is small on the wire and in the document, and leads to all builders."""
        url = file_url(self.mktemp())
        database = open_database(url)
        database.transact([Large(builders=2000, builds=8000, until=NOW).fill])
        database.close()
        clock = Clock()
        clock.advance(NOW)
        store = Store(clock, maybeDeferred, url)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        for number in range(400):
            result(store.put(a_status(9000 + number, None, builder=f"builder {number}")))
        pages = Pages(store, clock.seconds, at_once)

        def page_of(query: str) -> bytes:
            asked = RouteRequest(path="/", query=query, address="http://board/")
            return result(Deferred.fromCoroutine(pages.page(asked))).body

        first = page_of("")
        self.assertIn(b"page=10#", first)
        for query in ("", "group=tag", "page=7", "result=failure"):
            page = page_of(query)
            counter = Counter()
            counter.feed(page.decode())
            self.assertLessEqual(counter.elements, 8000, query)
            self.assertLessEqual(len(gzip.compress(page)), 60_000, query)


class SearchTests(BoardCase):
    """The box at the top."""

    async def test_found(self) -> None:
        """It finds builders, revisions by their beginning, authors and comments."""
        change = {
            "author": "Zoë <z@x.org>",
            "comments": "Mend 100%\nx",
            "revision": "abcdef12",
        }
        await self.put(1, SUCCESS, revision="abcdef12", changes=[change], builder="linux-x86")
        await self.put(2, SUCCESS, revision="4711", builder="windows")
        for wanted, found, missing in (
            ("x86", "linux-x86", "windows"),
            ("abcdef", "Mend 100%", "windows"),
            ("abcde", "Nothing fits", "linux"),
            ("4711", "windows", "Mend"),
            ("zo%C3%AB", "Mend 100%", "windows"),
            ("mend 100%25", "Mend 100%", "windows"),
            ("%25", "Mend 100%", "windows"),
            ("%3Cscript%3E", "&lt;script&gt;", "<script>alert"),
        ):
            page = await self.get(f"/search?q={wanted.replace(' ', '+')}")
            self.assertEqual(page.status, 200, wanted)
            main = page.text.partition("<main")[2]
            self.assertIn(found, main, wanted)
            self.assertNotIn(missing, main, wanted)
        self.assertEqual((await self.get("/search?q=")).status, 303)
        self.assertEqual((await self.get("/search")).status, 200)
