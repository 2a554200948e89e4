"""Catch-up against a small master of our own, where everything can be made to fail."""

from __future__ import annotations

import os
import time
from unittest.mock import patch

from support.catchup import NOW, FakeMaster, FakeOutbox
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.trial import unittest

from buildbot_http_status_push.report import progress
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.builds import PAGE
from buildbot_http_status_push.report.catchup import AFTER_FAILURE, Catchup
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import build_event_id


class CatchupTests(unittest.SynchronousTestCase):
    """What is announced, when, and what is kept in mind."""

    def setUp(self) -> None:
        """Make a master with one build of the past."""
        self.master, self.outbox = FakeMaster(), FakeOutbox()
        self.announced: list[tuple[int, str]] = []
        self.master.add(1, at=NOW - 1000)
        self.catchup = self.make()

    def make(self, *, for_all_masters: bool = True) -> Catchup:
        """Make a catch-up as a (re)started master does."""
        ownership = BuildOwnership(self.master, for_all_masters=for_all_masters)
        made = Catchup(
            self.master, "r", self.outbox, self.announce, lambda key: True, ownership, Logger()
        )
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

    def test_being_prepared(self) -> None:
        """The start of a build that Buildbot still prepares is left to the event."""
        for state in ("created", "starting"):
            self.master.add(2, complete=False, state=state)
            self.scan()
            self.assertEqual(self.announced, [])
        self.master.add(2, complete=False, state="preparing worker")
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.new")])

    def test_ended_while_prepared(self) -> None:
        """A build that its master's death has ended before it was prepared is announced."""
        self.master.add(2, complete=False, state="created")
        self.scan()
        self.master.add(2, state="created")
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_clock_was_ahead(self) -> None:
        """After a first start with a clock that ran ahead, what ends later is announced."""
        self.master.saved.clear()
        self.master.reactor.advance(400 * 86400)
        self.catchup = self.make()
        self.scan()
        self.master.reactor.rightNow = NOW + 10
        self.master.add(2, at=NOW)
        self.scan()
        self.master.add(3, at=NOW + 1)
        self.catchup = self.make()
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished"), (3, "builds.finished")])

    def test_moved(self) -> None:
        """A master that is called otherwise now, and has lost its outbox, goes on where it was."""
        self.scan()
        self.master.add(2)
        self.master.name = "another host:/another/folder"
        self.catchup = self.make()
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def save(self, name: str, build: int) -> None:
        """Keep a progress under a name, as an earlier version or another configuration did."""
        key = ((name, progress.STATE_CLASS), progress.STATE_NAME)
        self.master.saved[key] = {"since": NOW - 5000, "build": build}

    def test_progress_under_a_masters_name(self) -> None:
        """Progress that an earlier version kept under the master's name is gone on from."""
        self.master.saved.clear()
        self.save("r fake", 1)
        self.master.add(2, at=NOW - 100)
        self.catchup = self.make()
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_progress_of_several_masters(self) -> None:
        """Of masters that worked at the same time, the one that has come least far counts."""
        self.master.saved.clear()
        self.master.masters = {1: False, 2: False, 3: False}
        self.master.master_names = {1: "one", 2: "two", 3: "moved away"}
        self.master.last_active = {3: NOW - int(progress.APART_MOST) - 5}
        self.save("r one", 4)
        self.save("r two", 3)
        self.save("r moved away", 1)
        for number in range(2, 6):
            self.master.add(number)
        self.catchup = self.make()
        self.scan()
        self.assertEqual([number for number, _ in self.announced], [4, 5])

    def test_progress_of_all_masters(self) -> None:
        """A master that gets an outbox of its own goes on from where it was with a common one."""
        self.master.saved.clear()
        self.save("r", 1)
        self.master.add(2, at=NOW - 100)
        self.catchup = self.make(for_all_masters=False)
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_present_progress_counts(self) -> None:
        """What is kept under the present name counts, whatever older names are kept beside it."""
        self.master.saved.clear()
        self.save("r", 3)
        self.save("r fake", 1)
        for number in range(2, 5):
            self.master.add(number)
        self.catchup = self.make()
        self.scan()
        self.assertEqual([number for number, _ in self.announced], [4])

    def test_time_without_zone(self) -> None:
        """A build's time without a zone is in UTC, wherever the master stands."""
        self.addCleanup(time.tzset)
        zone = patch.dict(os.environ, TZ="America/New_York")
        zone.start()
        self.addCleanup(zone.stop)
        time.tzset()
        self.master.add(2, at=NOW - 100)
        build = self.master.builds[2]
        build["complete_at"] = build["complete_at"].replace(tzinfo=None)
        self.scan()
        self.assertEqual(self.announced, [])

    def test_one_of_several(self) -> None:
        """Without a common outbox each announces its own builds, and one those of the expired."""
        self.master.masters = {1: True, 2: True, 3: False}
        names = {1: "first", 2: "second"}
        for me, expected in ((1, [11, 13]), (2, [12])):
            self.announced.clear()
            self.outbox = FakeOutbox()
            self.master.builds.clear()
            self.master.masterid, self.master.name = me, names[me]
            self.catchup = self.make(for_all_masters=False)
            for ran_on in (1, 2, 3):
                self.master.add(10 + ran_on, master=ran_on)
            self.scan()
            self.assertEqual([number for number, _ in self.announced], expected)

    def test_expired_later(self) -> None:
        """A build that ran when its master died is announced once that one is expired."""
        self.master.masters = {1: True, 2: True}
        self.catchup = self.make(for_all_masters=False)
        self.master.add(2, master=2, complete=False)
        self.scan()
        self.assertEqual(self.announced, [])
        self.master.masters[2] = False
        self.master.add(2, master=2)
        self.scan()
        self.assertEqual(self.announced, [(2, "builds.finished")])

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
        self.master.reactor.advance(AFTER_FAILURE)
        self.assertEqual(self.announced, [(2, "builds.finished")])

    def test_within_a_minute(self) -> None:
        """What no event told of is found within a minute, again and again."""
        self.catchup.start()
        self.master.reactor.advance(0)
        for number in (2, 3):
            self.master.add(number)
            self.master.reactor.advance(60)
            self.assertEqual(self.announced[number - 2 :], [(number, "builds.finished")])

    def test_nothing_new(self) -> None:
        """A scan that finds nothing new asks each database once."""
        self.master.add(2)
        self.scan()
        self.master.queries = self.outbox.queries = 0
        self.scan()
        self.assertEqual((self.master.queries, self.outbox.queries), (1, 1))

    def test_many_running_builds(self) -> None:
        """All running builds are looked at with one query, each build that ended with another."""
        for number in range(2, 102):
            self.master.add(number, complete=False)
        self.scan()
        self.master.add(3)
        self.master.queries = self.outbox.queries = 0
        self.scan()
        self.assertEqual((self.master.queries, self.outbox.queries), (3, 2))
        self.assertEqual(self.announced[100:], [(3, "builds.finished")])

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

    def test_lost_outbox(self) -> None:
        """When the outbox is lost, what may have been pending is looked at again."""
        self.master.add(2)
        self.outbox.pending = 2
        self.scan()
        self.outbox.ids.clear()
        self.catchup.outbox_lost()
        self.master.reactor.advance(0)
        self.assertEqual(self.announced, [(2, "builds.finished")] * 2)
