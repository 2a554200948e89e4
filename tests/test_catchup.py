"""Catch-up against a small master of our own, where everything can be made to fail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial import unittest

from buildbot_http_status_push.catchup import INTERVAL, PAGE, SOON, Catchup
from buildbot_http_status_push.events import Event
from buildbot_http_status_push.identity import build_event_id

NOW = 1_700_000_000


class FakeMaster:
    """A master with builds, a state table, and a clock."""

    name = "fake"

    def __init__(self) -> None:
        self.reactor = Clock()
        self.reactor.advance(NOW)
        self.data = self.db = self.state = self
        self.builds: dict[int, dict[str, Any]] = {}
        self.saved: dict[str, Any] = {}

    def add(self, number: int, *, complete: bool = True, at: int = NOW) -> None:
        """Add a build, or change one."""
        moment = datetime.fromtimestamp(at, timezone.utc)
        self.builds[number] = {
            "buildid": number,
            "buildrequestid": number,
            "started_at": moment,
            "complete": complete,
            "complete_at": moment if complete else None,
            "results": 0 if complete else None,
        }

    def get(
        self, path: tuple[Any, ...], filters: Any = (), order: Any = (), limit: int = 0
    ) -> Deferred[Any]:
        """Answer like the data API."""
        if len(path) == 2:
            return succeed(self.builds.get(path[1]))
        above = filters[0].values[0] if filters else 0
        found = sorted(number for number in self.builds if number > above)
        if order == ["-buildid"]:
            found.reverse()
        return succeed([self.builds[number] for number in found[:limit]])

    def getObjectId(self, name: str, kind: str) -> Deferred[int]:  # noqa: N802 - Buildbot's name
        """Return the id of our state."""
        return succeed(1)

    def getState(self, _: int, name: str, default: Any) -> Deferred[Any]:  # noqa: N802 - likewise
        """Return what was saved."""
        return succeed(self.saved.get(name, default))

    def setState(self, _: int, name: str, value: Any) -> Deferred[None]:  # noqa: N802 - likewise
        """Save."""
        self.saved[name] = value
        return succeed(None)


class FakeOutbox:
    """An outbox that knows ids, and may be out of order."""

    def __init__(self) -> None:
        self.durable = True
        self.ids: set[str] = set()
        self.pending: int | None = None
        self.failures = 0

    def known(self, ids: Collection[str]) -> Deferred[set[str]]:
        """Return those of the ids that have been put."""
        if self.failures:
            self.failures -= 1
            return fail(RuntimeError("the outbox is out of order"))
        return succeed(self.ids & set(ids))

    def oldest_pending_build(self) -> Deferred[int | None]:
        """Return what the test says."""
        return succeed(self.pending)


class CatchupTests(unittest.SynchronousTestCase):
    """What is announced, when, and what is kept in mind."""

    def setUp(self) -> None:
        """Make a master with one build of the past."""
        self.master, self.outbox = FakeMaster(), FakeOutbox()
        self.announced: list[tuple[int, str]] = []
        self.master.add(1, at=NOW - 1000)
        self.catchup = self.make()

    def make(self) -> Catchup:
        """Make a catch-up as a (re)started master does."""
        made = Catchup(self.master, "r", self.outbox, self.announce, lambda key: True, Logger())
        self.successResultOf(Deferred.fromCoroutine(made.prepare()))
        return made

    def announce(self, event: Event) -> Deferred[Event]:
        """Put an event into the outbox."""
        name = f"builds.{event.key[2]}"
        self.announced.append((event.message["buildid"], name))
        self.outbox.ids.add(build_event_id("r", name, event.message))
        event.sent += 1
        return succeed(event)

    def scan(self) -> None:
        """Look once."""
        self.successResultOf(Deferred.fromCoroutine(self.catchup.scan()))

    def test_past_and_present(self) -> None:
        """The past is not announced; a running build is as new, an ended one as finished."""
        self.master.add(2, complete=False)
        self.master.add(3)
        self.scan()
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.new"), (3, "builds.finished")])
        self.master.add(2)
        self.scan()
        self.assertEqual(self.announced[2:], [(2, "builds.finished")])

    def test_many_pages(self) -> None:
        """A backlog of several pages is announced once, in order."""
        count = 2 * PAGE + 5
        for number in range(2, count + 2):
            self.master.add(number)
        self.scan()
        self.scan()
        self.assertEqual([number for number, _ in self.announced], list(range(2, count + 2)))

    def test_trouble_half_way(self) -> None:
        """A scan that fails is made again, and passes over nothing."""
        self.master.add(2)
        self.outbox.failures = 1
        self.catchup.start()
        self.master.reactor.advance(0)
        self.assertEqual(self.announced, [])
        self.master.reactor.advance(6 * SOON)
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_every_few_minutes(self) -> None:
        """Builds are looked for again and again."""
        self.catchup.start()
        self.master.reactor.advance(0)
        self.master.add(2)
        self.master.reactor.advance(INTERVAL)
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_restart_after_everything_was_delivered(self) -> None:
        """A restart begins where all is settled, even with a lost outbox."""
        self.master.add(2)
        self.scan()
        self.outbox.ids.clear()
        self.announced.clear()
        self.catchup = self.make()
        self.scan()
        self.assertEqual(self.announced, [])

    def test_restart_with_pending_deliveries(self) -> None:
        """What was still to be sent, or still running, is found again in a lost outbox."""
        for number in (2, 3, 5):
            self.master.add(number)
        self.master.add(4, complete=False)
        self.outbox.pending = 3
        self.scan()
        self.outbox.ids.clear()
        self.announced.clear()
        self.catchup = self.make()
        self.scan()
        self.assertEqual(
            self.announced,
            [(3, "builds.finished"), (4, "builds.new"), (5, "builds.finished")],
        )

    def test_part_of_the_outbox_out_of_sight(self) -> None:
        """While the outbox stands in memory, nothing is taken for settled."""
        self.outbox.durable = False
        before = dict(self.master.saved)
        self.master.add(2)
        self.scan()
        self.assertEqual(self.master.saved, before)

    def test_running_build_while_the_outbox_stands_in_memory(self) -> None:
        """A running build is not announced again because memory does not know that it was."""
        self.master.add(2, complete=False)
        self.scan()
        self.outbox.ids.clear()
        self.outbox.durable = False
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.new")])

    def test_stop_amid_a_scan(self) -> None:
        """What a stop cuts short is not taken for settled."""
        self.master.add(2)
        before = dict(self.master.saved)
        self.successResultOf(Deferred.fromCoroutine(self.catchup.stop()))
        self.scan()
        self.assertEqual((self.announced, self.master.saved), ([], before))

    def test_deleted_build(self) -> None:
        """A running build that somebody deletes is forgotten."""
        self.master.add(2, complete=False)
        self.scan()
        del self.master.builds[2]
        self.scan()
        self.master.add(3)
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.new"), (3, "builds.finished")])

    def test_forget(self) -> None:
        """When the outbox is lost, what may have been pending is looked at again."""
        self.master.add(2)
        self.outbox.pending = 2
        self.scan()
        self.outbox.ids.clear()
        self.catchup.forget()
        self.master.reactor.advance(0)
        self.assertEqual(self.announced, [(2, "builds.finished")] * 2)
