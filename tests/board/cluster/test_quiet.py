"""Which builders have gone quiet: made histories, and a board with one."""

from __future__ import annotations

import json
from collections.abc import Iterable

from attrs import evolve
from support.boards import BoardCase
from support.states import a_request
from support.statuses import NOW, a_status
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.cluster.quiet import (
    Begun,
    Habits,
    OwnBuild,
    Quiet,
    begun,
    coarse,
    habits,
    may_be_quiet,
    quiet,
)
from buildbot_http_status_push.board.model import Build, Builder, Master
from buildbot_http_status_push.board.store.rows import FIELDS

HOUR, DAY = 3600, 86_400


def built(builder: int, revision: int, at: int) -> Build:
    """Return a good build."""
    status = a_status(1, revision=f"r{revision}")
    values = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    values.update(started_at=at, complete_at=at + 600)
    number = builder * 10_000 + revision
    return Build(id=number, master=1, builder=builder, builder_name="", sequence=1, **values)


class Floor:
    """Builders that build the same changes, each some time after a change came."""

    def __init__(self, *changes: int, delays: dict[int, int]) -> None:
        self.changes, self.delays = changes, delays
        self.leaves_out: dict[int, set[int]] = {each: set() for each in delays}
        self.now = changes[-1]

    def builders(self) -> dict[int, Builder]:
        """Return all of them, as they are now."""
        master = Master(id=1, name="ci", url="https://ci.example.org/", heard_at=self.now)
        found = {}
        for builder, delay in self.delays.items():
            builds = [
                built(builder, number, at + delay)
                for number, at in enumerate(self.changes)
                if number not in self.leaves_out[builder] and at + delay <= self.now
            ]
            recent = tuple(builds[::-1][:30])
            found[builder] = Builder(
                id=builder, master=master, name=f"b{builder}", branch="main", recent=recent
            )
        return found

    def quiet(self, builder: int, oldest: int | None = None) -> Quiet | None:
        """Return whether a builder is quiet, by the habits up to its last build."""
        builders = self.builders()
        mine = builders[builder].recent[::-1][-20:]
        own = [
            OwnBuild(
                started_at=each.started_at,
                submitted_at=each.started_at - 60,
                revisions=frozenset([each.id % 10_000]),
            )
            for each in mine
        ]
        began = {
            number: {
                other: at + delay
                for other, delay in self.delays.items()
                if number not in self.leaves_out[other]
            }
            for number, at in enumerate(self.changes)
        }
        left_out = [
            min(each.values()) for number, each in began.items() if each and builder not in each
        ]
        known = habits(own, began, left_out, builder)
        return decided(builders[builder], known, builders.values(), oldest)


def decided(
    builder: Builder, known: Habits, builders: Iterable[Builder], oldest: int | None
) -> Quiet | None:
    """Return whether a builder is quiet."""
    others = begun(builders).get((builder.master.id, builder.branch), Begun())
    if not may_be_quiet(builder, others, oldest):
        return None
    return quiet(builder, known, others, oldest)


def office(days: int) -> list[int]:
    """Return changes of office hours: every two hours from 8 to 18, five days a week."""
    return [
        NOW + day * DAY + hour * HOUR
        for day in range(days)
        if day % 7 < 5
        for hour in range(8, 19, 2)
    ]


class QuietTests(SynchronousTestCase):
    """The decision."""

    def test_office_hours(self) -> None:
        """Nights and weekends make nobody quiet; a builder that misses changes is so in hours."""
        floor = Floor(*office(14), delays={1: 60, 2: 300, 3: 600})
        for hours in (2, 12, 60):
            floor.now = floor.changes[-1] + hours * HOUR
            self.assertIsNone(floor.quiet(3), hours)
        # It stops after the first week.
        last = max(at for at in floor.changes if at < NOW + 7 * DAY)
        floor.leaves_out[3] = {n for n, at in enumerate(floor.changes) if at > last}
        floor.now = last + 2 * DAY  # the weekend
        self.assertIsNone(floor.quiet(3))
        found = None
        for hour in range(48, 24 * 7):
            floor.now = last + hour * HOUR
            found = floor.quiet(3)
            if found is not None:
                break
        assert found is not None
        first_missed = min(at for at in floor.changes if at > last)
        self.assertLessEqual(floor.now - first_missed, 4 * HOUR)
        floor.now = last + 6 * DAY + HOUR
        found = floor.quiet(3)
        assert found is not None
        self.assertEqual(found.words(floor.now), "6 days, usually within 9 min of a change")

    def test_nightly(self) -> None:
        """A builder that usually leaves out most changes is not quiet because it does."""
        changes = [NOW + number * HOUR for number in range(24 * 12)]
        floor = Floor(*changes, delays={1: 60, 2: 60, 3: 600})
        floor.leaves_out[3] = {number for number in range(len(changes)) if number % 24}
        floor.now = changes[-1]
        self.assertIsNone(floor.quiet(3))
        floor.leaves_out[3] |= set(range(24 * 9, len(changes)))
        self.assertIsNotNone(floor.quiet(3))

    def test_without_peers(self) -> None:
        """Without peers nothing is said, nor where builders build other changes."""
        floor = Floor(*office(14), delays={1: 60})
        floor.now = floor.changes[-1] + 30 * DAY
        self.assertIsNone(floor.quiet(1))
        other = Floor(*office(14), delays={1: 60, 2: 60})
        other.leaves_out = {1: {n for n, _ in enumerate(other.changes) if n % 2 or n > 40},
                            2: {n for n, _ in enumerate(other.changes) if not n % 2}}  # fmt: skip
        other.now = other.changes[-1] + 30 * DAY
        self.assertIsNone(other.quiet(1))

    def test_slow(self) -> None:
        """A builder that usually begins hours later has its time."""
        changes = [NOW + number * 6 * HOUR for number in range(40)]
        floor = Floor(*changes, delays={1: 60, 2: 60, 3: 5 * HOUR})
        floor.leaves_out[3] = {39}
        floor.now = changes[-1] + 9 * HOUR
        self.assertIsNone(floor.quiet(3))
        floor.now = changes[-1] + 11 * HOUR
        self.assertIsNotNone(floor.quiet(3))

    def test_silent_master(self) -> None:
        """Time is that of the master's last report: a silent master makes nobody quiet."""
        floor = Floor(*office(5), delays={1: 60, 2: 60, 3: 60})
        floor.leaves_out[3] = {len(floor.changes) - 1}
        floor.now = floor.changes[-1] + 120
        self.assertIsNone(floor.quiet(3))  # whatever the clock shows

    def test_requests(self) -> None:
        """A builder whose requests wait for longer than usual is quiet, also without peers."""
        floor = Floor(*office(5), delays={1: 60})
        last = floor.changes[-1] + 60
        floor.now = last + DAY
        self.assertIsNone(floor.quiet(1, oldest=floor.now - 600))
        found = floor.quiet(1, oldest=last + 100)
        assert found is not None
        self.assertEqual(found.words(floor.now), "24 h, and its requests wait")

    def test_busy(self) -> None:
        """A builder that builds, or that was removed, is not quiet."""
        master = Master(id=1, name="ci", url="", heard_at=NOW + DAY)
        builder = Builder(id=1, master=master, name="b", running=(built(1, 1, NOW),))
        self.assertIsNone(decided(builder, Habits(), [], NOW))
        removed = evolve(builder, running=(), removed=True)
        self.assertIsNone(decided(removed, Habits(), [], NOW))
        self.assertIsNotNone(decided(evolve(removed, removed=False), Habits(), [], NOW))

    def test_words(self) -> None:
        """Times are in their largest unit."""
        for seconds, words in (
            (30, "1 min"),
            (7200, "2 h"),
            (47 * HOUR, "47 h"),
            (2 * DAY, "2 days"),
        ):
            self.assertEqual(coarse(seconds), words)


class BoardTests(BoardCase):
    """A board with a builder that has gone quiet."""

    async def test_shown(self) -> None:
        """It is said on the overview, in the metrics and in the feed."""
        numbers = {"linux": 0, "mac": 10_000, "win": 20_000}
        for change in range(14):
            for builder, first in numbers.items():
                if builder == "win" and change > 8:
                    continue
                at = NOW + change * 2 * HOUR
                await self.put(
                    change + 1, builder=builder, buildid=first + change, revision=f"r{change}",
                    started_at=at, complete_at=at + 60,
                )  # fmt: skip
        page = (await self.get("/")).text
        self.assertIn("<b>1 quiet</b>", page)
        self.assertIn("usually within 1 min of a change", page)
        self.assertIn("win: quiet", (await self.get("/feed.atom")).text)
        latest = self.board.store.latest
        body = a_request("requests.new", 3, submitted_at=NOW + 26 * HOUR)
        self.assertEqual((await self.ask("POST", "/", json.dumps(body))).status, 200)
        since = f"/live/updates?epoch={latest.epoch}&since={latest.sequence}"
        frame = json.loads((await self.get(since)).text)
        html = [each["html"] for each in frame["fragments"] if each["key"] == "queue"]
        self.assertIn("<b>1 quiet</b>", html[0])
        metrics = (await self.get("/metrics")).text
        self.assertIn('quiet_builder_timestamp_seconds{builder="win"', metrics)
