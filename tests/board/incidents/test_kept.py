"""Incidents in the database: each step once, whoever reads on."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import sqlalchemy as sa
from support.postgres import server
from support.reasons import excerpts
from support.states import a_builder
from support.statuses import NOW, a_status, as_bytes
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read_any
from buildbot_http_status_push.board.incidents.acts import Act, ActError
from buildbot_http_status_push.board.incidents.incident import OPENED, Incident, Step
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.following import Followed, Following
from buildbot_http_status_push.board.store.incident_rows import step_of
from buildbot_http_status_push.board.store.pruning import prune_updates
from buildbot_http_status_push.board.store.reading import Reading
from buildbot_http_status_push.board.store.schema import open_database, open_snapshots
from buildbot_http_status_push.board.store.tables import incident_steps, lines, updates
from buildbot_http_status_push.board.store.writing import Arrival, Writing
from buildbot_http_status_push.database import StorageError, file_url
from buildbot_http_status_push.results import FAILURE, SUCCESS

LATER = NOW + 10_000
BUILDERS = ("linux", "mac", "win")


def fail(*_: object) -> None:
    """Fail as a database does."""
    raise StorageError("the disk is full")


class KeptContract:
    """What holds on any database."""

    url: str

    def open(self) -> None:
        """Open a board's database."""
        self.database = open_database(self.url)
        self.first, self.second = Following(), Following()

    def put(self, number: int, results: int, *names: str, **more: Any) -> None:
        """Store a build of some builders."""
        for name in names or ("linux",):
            buildid = 1000 + 10 * number + BUILDERS.index(name)
            about = a_status(number, results, builder=name, buildid=buildid, **more)
            self.write(Arrival(about, NOW + 100 * number + 90))

    def write(self, arrival: Arrival) -> None:
        """Store a status."""
        self.database.transact([lambda connection: Writing(connection, {}).write([arrival])])

    def follow(self, board: Following | None = None, now: float = 0.0) -> list[str]:
        """Follow to the end, and return the kinds of the steps."""
        board = board or self.first
        kinds: list[str] = []
        while True:
            (followed,) = self.database.transact([partial(board.follow, now=now)])
            board.confirm(followed)
            kinds += [each.kind for each in followed.steps]
            if followed.is_at_end:
                return kinds

    def act(self, board: Following, **more: Any) -> Followed:
        """Do something to the only open incident."""
        (incident,) = self.incidents()
        act = Act(incident=incident.id, by="ada", at=LATER, **more)
        (followed,) = self.database.transact([partial(board.act, act=act)])
        board.confirm(followed)
        found: Followed = followed
        return found

    def read(self, what: Any) -> Any:
        """Read something."""
        snapshots = open_snapshots(self.url)
        try:
            (value,) = snapshots.transact(
                [lambda connection: what(Reading(connection, BuilderCache(), LATER))]
            )
        finally:
            snapshots.close()
        return value

    def incidents(self) -> list[Incident]:
        """Return the open incidents."""
        found: list[Incident] = self.read(Reading.incidents)
        return found

    def steps(self) -> list[Step]:
        """Return all steps."""
        kept = sa.select(incident_steps).order_by(incident_steps.c.number)
        (rows,) = self.database.transact([lambda connection: connection.execute(kept).all()])
        return [*map(step_of, rows)]


class KeptTests(KeptContract):
    """Incidents that are kept."""

    assertEqual: Any  # noqa: N815  unittest's
    assertRaises: Any  # noqa: N815  likewise
    assertIn: Any  # noqa: N815  likewise
    patch: Any

    def test_life(self) -> None:
        """An incident is opened, joined, claimed, over and closed, and reads as it was written."""
        self.follow()
        self.put(1, SUCCESS, "linux", "mac")
        self.put(2, FAILURE, "linux", **excerpts("FAIL: parser"))
        self.assertEqual(self.follow(), ["opened"])
        self.put(2, FAILURE, "mac", **excerpts("FAIL: parser"))
        self.assertEqual(self.follow(), ["joined"])
        self.act(self.first, kind="claim", note="on it", link="https://bugs.example.org/7")
        (incident,) = self.incidents()
        self.assertEqual(
            (
                [each.builder_name for each in incident.places],
                [(each.reason.text, each.state) for each in incident.reasons],
                incident.claim and (incident.claim.by, incident.claim.note),
            ),
            (["linux", "mac"], [("FAIL: parser", "new")], ("ada", "on it")),
        )
        self.put(3, SUCCESS, "linux", "mac", revision="def")
        self.assertEqual(self.follow(), ["over", "over"])
        self.assertEqual(self.follow(now=LATER), ["closed"])
        self.assertEqual(self.incidents(), [])
        (closed,) = self.read(lambda reading: reading.closed_incidents(LATER, 10))
        self.assertEqual((closed.id, closed.endings), (incident.id, {"changed"}))
        kinds = ["opened", "joined", "claimed", "over", "over", "closed"]
        self.assertEqual([each.kind for each in self.steps()], kinds)
        self.assertEqual([each.number for each in self.steps()], [1, 2, 3, 4, 5, 6])

    def test_clock_ahead(self) -> None:
        """What a clock that is ahead says closes no incident that has just been over."""
        self.follow()
        self.put(1, SUCCESS, "linux", "mac")
        self.put(2, FAILURE, "linux", **excerpts("FAIL: parser"))
        self.put(3, SUCCESS, "linux", revision="def")
        self.put(4, FAILURE, "mac", complete_at=253_370_764_800, **excerpts("no space left"))
        gone = read_any(as_bytes(a_builder("builders.removed", "mac", 10_000.0)))
        assert gone is not None
        self.write(Arrival(gone, NOW + 500))
        self.put(5, FAILURE, "linux", revision="ghi", **excerpts("FAIL: parser"))
        # However late they are read.
        kinds = ["opened", "over", "opened", "reopened", "over", "closed"]
        self.assertEqual(self.follow(now=LATER), kinds)
        times = [each.at - NOW for each in self.steps()]
        self.assertEqual(times, [260, 360, 490, 560, 500, 1100])

    def test_says_little(self) -> None:
        """Builders whose only common line says little, by a file, have incidents of their own."""
        self.follow()
        lines = excerpts("wrapper: see the log"), excerpts("wrapper: see the log", "no such file")
        for number, little, count in ((1, (), 1), (3, ("see the log",), 2)):
            self.first.little = little
            self.put(number, SUCCESS, "linux", "mac")
            self.follow(now=LATER)
            for name, line in zip(("linux", "mac"), lines, strict=True):
                self.put(number + 1, FAILURE, name, **line)
            self.follow()
            self.assertEqual(len(self.incidents()), count)

    def test_first_look(self) -> None:
        """What is red when the board first looks is opened, marked, and never called new."""
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))
        self.put(3, FAILURE, **excerpts("FAIL: parser"))
        self.assertEqual(self.follow(), ["opened"])
        (incident,) = self.incidents()
        self.assertEqual(
            (incident.is_first_start, incident.reasons[0].state, incident.first.first_bad.number),
            (True, "unknown", 2),
        )
        self.assertEqual([each.is_first_start for each in self.steps()], [True])

    def test_two_boards(self) -> None:
        """Two boards on one database make each step once, whichever looks first."""
        for number in range(1, 9):
            self.follow((self.first, self.second)[number % 2])
            self.put(number, (SUCCESS, FAILURE)[number % 2], **excerpts(f"FAIL: t{'x' * number}"))
            self.follow((self.second, self.first)[number // 2 % 2])
        kinds = [each.kind for each in self.steps()]
        self.assertEqual((kinds.count(OPENED), kinds.count("over")), (4, 4))

    def test_interrupted(self) -> None:
        """A transaction that fails is made again, from what the database has."""
        self.follow()
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))

        with self.assertRaises(StorageError):
            self.database.transact([partial(self.first.follow, now=0.0), fail])
        self.assertEqual(self.steps(), [])
        self.assertEqual(self.follow(), ["opened"])

    def test_interrupted_reading(self) -> None:
        """So is one that fails before it has written anything."""
        self.follow()
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))
        failing = self.patch(Following, "_removed", fail)
        with self.assertRaises(StorageError):
            self.follow()
        failing.restore()
        self.assertEqual(self.follow(), ["opened"])

    def test_acts_are_checked(self) -> None:
        """What is not possible changes nothing."""
        self.put(1, FAILURE)
        self.follow()
        with self.assertRaises(ActError):
            self.act(self.first, kind="mute", until=1.0)
        self.assertEqual(len(self.steps()), 1)

    def test_live(self) -> None:
        """A builder has a new place in the order of updates when its incident changes."""
        self.put(1, FAILURE)
        before = self.read(Reading.position).sequence
        self.follow()
        self.assertEqual(self.read(Reading.position).sequence, before + 1)
        self.act(self.first, kind="claim")
        self.assertEqual(self.read(Reading.position).sequence, before + 2)
        self.assertEqual(self.follow(), [])

    def test_missed_updates(self) -> None:
        """Updates that were deleted before they were read are made up for."""
        self.follow()
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))
        self.database.transact([lambda connection: connection.execute(updates.delete())])
        self.put(1, SUCCESS, "mac")
        self.assertEqual(self.follow(), ["opened"])

    def test_removed(self) -> None:
        """An incident ends on a builder that its master has no more."""
        self.follow()
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))
        self.follow()
        gone = read_any(as_bytes(a_builder("builders.removed", "linux", 10_000.0)))
        assert gone is not None
        self.write(Arrival(gone, LATER))
        self.assertEqual(self.follow(), ["over"])
        (incident,) = self.incidents()
        self.assertEqual(incident.endings, {"removed"})

    def test_pruned(self) -> None:
        """A closed incident goes with its builds, an open one ends with its builder's branch."""
        self.follow()
        self.put(1, SUCCESS)
        self.put(2, FAILURE, **excerpts("FAIL: parser"))
        self.put(3, SUCCESS, revision="def")
        self.put(2, FAILURE, "mac", **excerpts("FAIL: lexer"))
        self.follow(now=LATER)

        def prune(before: float) -> list[str]:
            operation = partial(self.first.prune, before=before, now=LATER)
            (followed,) = self.database.transact([operation])
            self.first.confirm(followed)
            return [each.kind for each in followed.steps]

        self.assertEqual(prune(NOW), [])
        self.assertEqual(len(self.read(lambda r: r.closed_incidents(LATER, 9))), 1)
        self.assertEqual(prune(LATER), [])
        self.assertEqual(self.read(lambda r: r.closed_incidents(LATER, 9)), [])
        self.assertEqual(len(self.steps()), 1)
        self.database.transact([lambda c: c.execute(lines.delete()), prune_updates])
        self.assertEqual(prune(NOW), ["over"])
        (incident,) = self.incidents()
        self.assertEqual(incident.endings, {"removed"})


class SqliteTest(KeptTests, SynchronousTestCase):
    """A SQLite file."""

    def setUp(self) -> None:
        """Open one."""
        self.url = file_url(os.path.abspath(self.mktemp()))
        self.open()
        self.addCleanup(self.database.close)


class PostgresTest(KeptTests, SynchronousTestCase):
    """A PostgreSQL database."""

    def setUp(self) -> None:
        """Open one."""
        server().clear()
        self.url = server().url()
        self.open()
        self.addCleanup(self.database.close)
