"""What others than browsers read of the board, each read back by a parser that is not ours."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import atoma
import feedparser
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import (
    RECENT,
    Build,
    Builder,
    Filter,
    Master,
    Position,
    Update,
)
from buildbot_http_status_push.board.programs import api
from buildbot_http_status_push.board.programs.badge import VERDICTS, badge
from buildbot_http_status_push.board.programs.cctray import cctray, projects
from buildbot_http_status_push.board.programs.feed import StateChange, feed, news, state_changes
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    SUCCESS,
    WARNINGS,
)

ADDRESS = "https://board.example.com/"
MASTER = Master(id=1, name="main", url="https://ci.example.com/", heard_at=1_700_000_000.0)
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>&\"'"


def build(number: int, results: int | None = SUCCESS, **more: Any) -> Build:
    """Return a build that began and, where it has a result, ended at a time of its own."""
    at = 1_700_000_000 + 100 * number
    known: dict[str, Any] = {
        "id": number,
        "master": 1,
        "builder": 7,
        "builder_name": "linux",
        "buildid": 100 + number,
        "number": number,
        "request": 200 + number,
        "started_at": at,
        "complete_at": None if results is None else at + 60,
        "results": results,
        "state_string": "finished",
        "submitted_at": at - 5,
        "worker": "w1",
        "branch": "main",
        "revision": "abc",
        "project": None,
        "owner": None,
        "url": None,
        "sequence": number,
    }
    return Build(**{**known, **more})


def builder(**more: Any) -> Builder:
    """Return a builder."""
    return Builder(**{"id": 7, "master": MASTER, "name": "linux", **more})


class BadgeTests(SynchronousTestCase):
    """Badges."""

    def read(self, label: str, last: Build | None) -> ElementTree.Element:
        """Return a badge as an XML parser sees it."""
        document = badge(label, last)
        self.assertEqual(document.content_type, "image/svg+xml; charset=utf-8")
        return ElementTree.fromstring(document.body)  # noqa: S314 - our own

    def test_says_it_without_colour(self) -> None:
        """Each result has its word and its shape, beside its colour."""
        for results, verdict in VERDICTS.items():
            root = self.read("linux", build(1, results))
            texts = [each.text for each in root.iter(f"{SVG}text")]
            self.assertEqual(texts, ["linux", f"{verdict.shape} {verdict.word}"])
            self.assertEqual(root.get("aria-label"), f"linux: {verdict.word}")

    def test_results_differ(self) -> None:
        """Failing does not look like passing."""
        words = {verdict.word for verdict in VERDICTS.values()}
        self.assertEqual(words, {"passing", "warnings", "failing"})
        self.assertEqual(len({verdict.colour for verdict in VERDICTS.values()}), len(VERDICTS))

    def test_unknown(self) -> None:
        """A builder that nothing is known of has a grey badge."""
        root = self.read("nobody", None)
        self.assertEqual(root.get("aria-label"), "nobody: unknown")

    def test_hostile_names(self) -> None:
        """A name stays text, and a very long one is cut."""
        root = self.read(HOSTILE, None)
        self.assertEqual(next(root.iter(f"{SVG}text")).text, HOSTILE)
        self.assertEqual([each for each in root.iter() if "script" in each.tag], [])
        self.assertLess(int(self.read("x" * 500, None).get("width", "")), 600)

    def test_contrast(self) -> None:
        """White letters can be read on each colour (WCAG 2.2, 1.4.3: 4.5 to 1)."""
        for verdict in VERDICTS.values():
            self.assertGreaterEqual(1.05 / (luminance(verdict.colour) + 0.05), 4.5, verdict)


def luminance(colour: str) -> float:
    """Return a colour's relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


class CctrayTests(SynchronousTestCase):
    """``cctray.xml``."""

    def read(self, *builders: Builder) -> list[dict[str, str]]:
        """Return the projects' attributes."""
        root = ElementTree.fromstring(cctray(projects(builders, ADDRESS)).body)  # noqa: S314 - our own
        self.assertEqual(root.tag, "Projects")
        return [each.attrib for each in root]

    def test_project(self) -> None:
        """A builder's last finished build is told, with its time in UTC."""
        self.assertEqual(
            self.read(builder(last=build(3, FAILURE))),
            [
                {
                    "name": "linux",
                    "activity": "Sleeping",
                    "lastBuildStatus": "Failure",
                    "webUrl": "https://board.example.com/builders/7",
                    "lastBuildLabel": "3",
                    "lastBuildTime": "2023-11-14T22:19:20Z",
                }
            ],
        )

    def test_building(self) -> None:
        """While a builder runs, it keeps the status of its last finished build."""
        running = (build(4, None),)
        (project,) = self.read(builder(last=build(3, FAILURE), running=running))
        self.assertEqual(project["activity"], "Building")
        self.assertEqual(project["lastBuildStatus"], "Failure")
        self.assertEqual(project["lastBuildLabel"], "3")

    def test_never_built(self) -> None:
        """A builder without a finished build is unknown, and has no time."""
        (project,) = self.read(builder())
        self.assertEqual(project["lastBuildStatus"], "Unknown")
        self.assertNotIn("lastBuildTime", project)

    def test_two_masters(self) -> None:
        """Builders of one name are told apart by their masters."""
        other = evolve(MASTER, id=2, name="backup")
        names = [each["name"] for each in self.read(builder(), builder(id=8, master=other))]
        self.assertEqual(names, ["main/linux", "backup/linux"])

    def test_hostile_name(self) -> None:
        """A name stays text."""
        self.assertEqual(self.read(builder(name=HOSTILE))[0]["name"], HOSTILE)


def changes_in(results: list[int | None], *, is_from_begin: bool = True) -> list[StateChange]:
    """Return the state changes of builds with these results."""
    builds = [build(number, each) for number, each in enumerate(results)]
    return state_changes(builds, is_from_begin=is_from_begin)


class StateChangeTests(SynchronousTestCase):
    """Which builds are news."""

    def test_failures_and_recoveries(self) -> None:
        """The first bad build after good ones is news, and the first good one after bad ones."""
        order: list[int | None] = [SUCCESS, FAILURE, EXCEPTION, WARNINGS, SUCCESS, FAILURE]
        found = changes_in(order)
        self.assertEqual(
            [(each.build.number, each.recovered) for each in found],
            [(1, False), (3, True), (5, False)],
        )

    def test_inconclusive(self) -> None:
        """A cancelled build is no news, and ends nothing."""
        order: list[int | None] = [FAILURE, CANCELLED, FAILURE]
        found = changes_in(order)
        self.assertEqual([each.build.number for each in found], [0])

    def test_cut(self) -> None:
        """Of the first build of those that are looked at nobody knows whether it is news."""
        found = changes_in([FAILURE, FAILURE, SUCCESS], is_from_begin=False)
        self.assertEqual([(each.build.number, each.recovered) for each in found], [(2, True)])

    def test_red_for_long(self) -> None:
        """A builder that has been red for longer than is looked at stays the same news."""
        recent = tuple(build(number, FAILURE) for number in range(100, 100 - RECENT, -1))
        first = build(5, FAILURE)
        red = builder(last=recent[0], first_bad=first, recent=recent)
        self.assertEqual([*news([red], Filter())], [[StateChange(first, recovered=False)]])
        self.assertEqual([*news([red], Filter(branch="other"))], [[]])

    @given(st.lists(st.none() | st.integers(0, 6)))
    def test_alternates(self, results: list[int | None]) -> None:
        """Failures and recoveries take turns, and a failure comes first."""
        found = changes_in(results)
        self.assertEqual(
            [each.recovered for each in found], [n % 2 == 1 for n in range(len(found))]
        )


class FeedTests(SynchronousTestCase):
    """``feed.atom``."""

    def read(self, *found: StateChange) -> Any:
        """Return the feed as feedparser reads it, without a complaint of it."""
        document = feed(found, ADDRESS, f"{ADDRESS}feed.atom", "epoch", {}, [])
        parsed = feedparser.parse(document.body)
        self.assertFalse(parsed.bozo, parsed.get("bozo_exception"))
        self.assertEqual(parsed.version, "atom10")
        atoma.parse_atom_bytes(document.body)  # refuses what lacks a part that RFC 4287 demands
        return parsed

    def test_entries(self) -> None:
        """A failure and a recovery are told with their builder, number and link."""
        parsed = self.read(
            StateChange(build(2), recovered=True), StateChange(build(1, FAILURE), recovered=False)
        )
        self.assertEqual(
            [(each.title, each.link) for each in parsed.entries],
            [
                ("linux #2: recovered", "https://board.example.com/builds/2"),
                ("linux #1: failure", "https://board.example.com/builds/1"),
            ],
        )
        self.assertEqual(parsed.feed.updated, "2023-11-14T22:17:40Z")
        self.assertEqual(len({each.id for each in parsed.entries}), 2)

    def test_required(self) -> None:
        """Feed and entries have all that RFC 4287 (4.1.1, 4.1.2) demands."""
        parsed = self.read(StateChange(build(1, FAILURE), recovered=False))
        for each in (parsed.feed, *parsed.entries):
            self.assertTrue(each.id and each.title and each.updated)
        self.assertTrue(parsed.feed.author)

    def test_empty(self) -> None:
        """A feed without news is valid too."""
        self.assertEqual(self.read().entries, [])

    def test_hostile_texts(self) -> None:
        """Control characters and markup of a build's texts break nothing."""
        hostile = build(1, FAILURE, builder_name=f"a\x00b{HOSTILE}", state_string="\x1b[31mred")
        (entry,) = self.read(StateChange(hostile, recovered=False)).entries
        self.assertIn("#1: failure", entry.title)


class ApiTests(SynchronousTestCase):
    """The JSON API's forms."""

    def test_builders(self) -> None:
        """A builder is told with its state in a word and its builds' results in words."""
        red = builder(last=build(3, FAILURE), first_bad=build(2, FAILURE), last_good=build(1))
        told = json.loads(
            api.builders(map(api.builder_text, [red, builder(id=8)]), Position("e", 9)).body
        )
        self.assertEqual((told["epoch"], told["sequence"]), ("e", 9))
        first, second = told["builders"]
        self.assertEqual((first["state"], second["state"]), ("red", "unknown"))
        self.assertEqual(first["first_bad"]["result"], "failure")
        self.assertEqual(first["master"]["name"], "main")

    def test_changes(self) -> None:
        """Changes carry their numbers; what is too far back is gone, with a way to go on."""
        update = Update(sequence=9, build=3, builder=7, at=1.5)
        told = json.loads(api.changes([update], Position("e", 9)).body)
        self.assertEqual(told["changes"], [{"sequence": 9, "build": 3, "builder": 7, "at": 1.5}])
        gone = api.gone(Position("e", 9))
        self.assertEqual(gone.status, 410)
        self.assertIn("/api/builders", json.loads(gone.body)["error"])
