"""What people ask of an outbox, and what they change in it."""

from __future__ import annotations

import subprocess
import sys

from support.fakes import a_delivery
from support.outboxes import LEASE, NOW, Box, of_lane
from support.postgres import server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.model import PENDING, State
from buildbot_http_status_push.outbox import inspection, intervention
from buildbot_http_status_push.outbox.inspection import (
    ALL,
    Cause,
    Entry,
    NotPossibleError,
    Selection,
    Stats,
)
from buildbot_http_status_push.outbox.repository import KEPT_FOR


class InspectionCase(SynchronousTestCase):
    """What every test here has: an outbox, whose accounts are checked at the end."""

    def setUp(self) -> None:
        """Make an outbox."""
        self.box = Box(self.new_url())
        self.addCleanup(self.box.close)
        self.addCleanup(lambda: self.assertTrue(self.box.holds()))

    def new_url(self) -> str:
        """Return where an empty outbox may be."""
        return file_url(self.mktemp())

    def put(self, number: int, state: State, lane: str = "") -> None:
        """Put a delivery, and let its first attempt end in a state."""
        self.box.put(*of_lane(lane or f"lane-{number}", number))
        [claim] = self.box.claim(limit=1)
        self.box.record(claim, state)

    def refused(self, function: object, *arguments: object) -> str:
        """Return why something is not possible."""
        trouble = self.assertRaises(NotPossibleError, self.box.ask, function, *arguments)
        return str(trouble)


class InspectionTests(InspectionCase):
    """On a SQLite file."""

    def test_stats(self) -> None:
        """Each reporter's deliveries are counted by state, with the oldest that waits."""
        self.put(1, State.DELIVERED)
        self.put(2, State.DEAD)
        self.box.clock.advance(5)
        self.put(3, State.RETRYING)
        self.box.put(4)
        self.box.beside(reporter="mail").put(5)
        none = dict.fromkeys(State, 0)
        mail = Stats("mail", 1, {**none, State.WAITING: 1}, NOW + 5)
        counts = {State.DELIVERED: 1, State.DEAD: 1, State.RETRYING: 1, State.WAITING: 1}
        push = Stats("push", 4, {**none, **counts}, NOW + 5, given_up=1)
        self.assertEqual([mail, push], self.box.ask(inspection.stats))
        both = {**counts, State.WAITING: 2, State.SUPERSEDED: 0}
        self.assertEqual(Stats("", 5, both, NOW + 5, 1), inspection.in_all([mail, push]))
        self.assertEqual(3, inspection.in_all([mail, push]).pending)

    def test_stats_of_nothing(self) -> None:
        """An empty outbox has no reporter, and nothing in all."""
        self.assertEqual([], self.box.ask(inspection.stats))
        self.assertEqual(Stats("", 0, dict.fromkeys(State, 0), None), inspection.in_all([]))

    def test_stats_for_ever(self) -> None:
        """What was tidied away is still counted."""
        self.put(1, State.DELIVERED)
        before = self.box.ask(inspection.stats)
        self.box.clock.advance(KEPT_FOR + 1)
        self.successResultOf(self.box.outbox.tidy())
        self.assertEqual(before, self.box.ask(inspection.stats))
        self.assertEqual([], self.box.ask(inspection.entries))

    def test_unaccounted(self) -> None:
        """A delivery that is missing is noticed."""
        states = {**dict.fromkeys(State, 0), State.DELIVERED: 3}
        self.assertTrue(Stats("push", 3, states, None).holds)
        self.assertFalse(Stats("push", 4, states, None).holds)

    def test_entries(self) -> None:
        """Deliveries are listed in order: all, those chosen, a page of them, from either end."""
        for number, state in enumerate([State.DEAD, State.DELIVERED, State.DEAD, State.WAITING]):
            self.put(number, state)

        def ids(chosen: Selection = ALL, *arguments: int, **named: bool) -> list[str]:
            return [
                each.id for each in self.box.ask(inspection.entries, chosen, *arguments, **named)
            ]

        dead = Selection(states=frozenset({State.DEAD}))
        self.assertEqual(["msg_0", "msg_1", "msg_2", "msg_3"], ids())
        self.assertEqual(["msg_0", "msg_2"], ids(dead))
        self.assertEqual(["msg_3"], ids(Selection(states=PENDING)))
        self.assertEqual(["msg_0", "msg_1"], ids(ALL, 2))
        self.assertEqual(["msg_2", "msg_3"], ids(ALL, 2, 2))
        self.assertEqual(["msg_3", "msg_2"], ids(ALL, 2, newest=True))
        self.assertEqual(["msg_0"], ids(dead, 1))
        self.assertEqual(2, self.box.ask(inspection.count, dead))

    def test_selection(self) -> None:
        """What is chosen is chosen by all that is said of it."""
        titles = ("build linux#1", "build linux#12", "build linux-arm#1", "worker linux#1")
        for number, title in enumerate(titles):
            self.box.put(a_delivery(number, f"lane-{number}", title=title, build=100 + number))
            self.box.clock.advance(1)
        self.box.beside(reporter="mail").put(9)
        for chosen, numbers in (
            (Selection(builder="linux"), [0, 1]),
            (Selection(title="build linux#1"), [0]),
            (Selection(build=101), [1]),
            (Selection(builder="linux", build=102), []),
            (Selection(builder="l%"), []),
            (Selection(reporter="mail"), [9]),
            (Selection(came_from=NOW + 2), [2, 3, 9]),
            (Selection(came_from=NOW + 1, came_before=NOW + 3), [1, 2]),
        ):
            found = [each.id for each in self.box.ask(inspection.entries, chosen)]
            self.assertEqual([f"msg_{number}" for number in numbers], found, str(chosen))

    def test_causes(self) -> None:
        """Causes come with how many and since when, the most frequent first."""
        self.put(1, State.DEAD)
        self.box.clock.advance(5)
        self.put(4, State.DELIVERED)
        self.box.put(2, 3)
        chosen = Selection(states=PENDING | {State.DEAD})
        self.assertEqual(
            [Cause(None, 2, NOW + 5), Cause("dead", 1, NOW)],
            self.box.ask(inspection.causes, chosen),
        )

    def test_exported(self) -> None:
        """Deliveries are exported in pages, with what is kept of their bodies."""
        self.patch(inspection, "PAGE", 2)
        for number, state in enumerate((State.DELIVERED, State.DEAD, State.RETRYING)):
            self.put(number, state)
        pages, after = [], 0
        while True:
            page, after = self.box.ask(inspection.exported, ALL, after)
            if not page:
                break
            pages.append([(entry.id, body) for entry, body in page])
        body = a_delivery().body
        self.assertEqual([[("msg_0", None), ("msg_1", body)], [("msg_2", body)]], pages)

    def test_show(self) -> None:
        """A delivery is shown with all that is kept of it, but for its body."""
        self.put(12, State.RETRYING)
        self.box.clock.advance(30)
        self.box.claim()
        wanted = Entry(
            id="msg_12",
            reporter="push",
            lane="lane-12",
            subject="build-12",
            event="builds.finished",
            title="build 12",
            build=12,
            content_type="application/json",
            state=State.RETRYING,
            created_at=NOW,
            updated_at=NOW,
            attempts=1,
            next_attempt=NOW + 30,
            outcome="retrying",
            owner="master",
            lease_until=NOW + 30 + LEASE,
            size=len(a_delivery().body),
        )
        self.assertEqual(wanted, self.box.ask(inspection.show, "msg_12"))
        self.assertEqual(a_delivery().body, self.box.ask(inspection.body, "msg_12"))

    def test_prefix(self) -> None:
        """As much of an id suffices as no other one begins with; a whole id always does."""
        self.box.put(12, 123, 45)
        show = inspection.show
        self.assertEqual("msg_45", self.box.ask(show, "msg_4").id)
        self.assertEqual("msg_12", self.box.ask(show, "msg_12").id)
        self.assertIn(
            "more than one delivery's id begins with 'msg_1'", self.refused(show, "msg_1")
        )
        for pattern in ("msg_9", "msg%4", "msg-4", "MSG_4", ""):
            self.assertIn(f"begins with {pattern!r}", self.refused(show, pattern))

    def test_body_is_gone(self) -> None:
        """Of a delivered one the body is gone, and so it is said."""
        self.put(1, State.DELIVERED)
        self.assertIsNone(self.box.ask(inspection.body, "msg_1"))
        self.assertIsNone(self.box.entry(1).size)

    def test_redeliver(self) -> None:
        """A dead delivery, or one with a later attempt of its own, is sent again at once."""
        for number, state in enumerate((State.DEAD, State.RETRYING)):
            self.put(number, state)
            self.box.clock.advance(1)
            now = self.box.clock.seconds()
            entry = self.box.ask(intervention.redeliver, f"msg_{number}", now)
            self.assertEqual((State.WAITING, None), (entry.state, entry.next_attempt))
            self.assertEqual((now, now, 1), (entry.created_at, entry.updated_at, entry.attempts))
            self.assertEqual([f"msg_{number}"], self.box.send())

    def test_redeliver_in_order(self) -> None:
        """What is sent again has its old place in its lane."""
        self.put(1, State.DEAD, "lane")
        self.box.put(*of_lane("lane", 2))
        self.box.ask(intervention.redeliver, "msg_1", NOW)
        self.assertEqual([["msg_1"], ["msg_2"]], [self.box.send(), self.box.send()])

    def test_redeliver_under_way(self) -> None:
        """What is under way is not sent a second time beside it."""
        self.put(1, State.RETRYING)
        self.box.clock.advance(30)
        self.box.claim()
        self.box.ask(intervention.redeliver, "msg_1", NOW)
        self.assertEqual([], self.box.claim())

    def test_redeliver_refused(self) -> None:
        """What waits, is not kept or would come too late is not sent again, and it is said why."""
        self.box.put(1)
        redeliver = intervention.redeliver
        self.assertEqual(
            "msg_1 is waiting: it is sent without 'outbox redeliver'",
            self.refused(redeliver, "msg_1", NOW),
        )
        self.box.put(*of_lane("old", 2, subject="build-1"))
        claims = self.box.claim()
        self.box.record(claims[1], State.DELIVERED)
        for number, state in ((1, "superseded"), (2, "delivered")):
            why = self.refused(redeliver, f"msg_{number}", NOW)
            self.assertEqual(
                f"msg_{number} can't be sent again: it is {state} and its body is not kept; "
                "'outbox backfill' sends past builds again",
                why,
            )

    def test_redeliver_late(self) -> None:
        """A dead status is not sent after a newer one of its build was accepted."""
        self.box.put(*of_lane("lane", 1, 2, subject="build"))
        self.box.send(State.DEAD)
        self.box.send()
        why = self.refused(intervention.redeliver, "msg_1", NOW)
        self.assertIn("a newer status of build 1 was accepted, and this one would come", why)
        self.assertEqual(0, self.redeliver(Selection(states=frozenset({State.DEAD}))))

    def redeliver(self, chosen: Selection) -> int:
        """Have all that is chosen sent again, portion by portion."""
        count, after = 0, 0
        while after is not None:
            again, after = self.box.ask(intervention.redeliver_some, chosen, NOW + 9, after)
            count += again
        return count

    def test_redeliver_many(self) -> None:
        """All dead ones are sent again, or those since a time, or retries too."""
        self.patch(intervention, "PORTION", 2)
        for number in range(7):
            self.put(number, State.DEAD if number % 2 else State.RETRYING)
            self.box.clock.advance(1)
        self.put(7, State.DELIVERED)
        dead, retrying = {State.DEAD}, {State.RETRYING}
        self.assertEqual(1, self.redeliver(Selection(states=frozenset(dead), came_from=NOW + 4)))
        self.assertEqual(2, self.redeliver(Selection(states=frozenset(dead | {State.WAITING}))))
        self.assertEqual(0, self.redeliver(Selection(states=frozenset({State.WAITING}))))
        self.assertEqual(4, self.redeliver(Selection(states=frozenset(dead | retrying))))
        self.assertEqual([f"msg_{number}" for number in range(7)], self.box.send())

    def test_drop_all(self) -> None:
        """All that is chosen loses its body, and is counted before and after."""
        for number, state in enumerate((State.DEAD, State.RETRYING, State.DELIVERED)):
            self.put(number, state)
        self.box.put(4)
        self.box.beside(reporter="mail").put(9)
        chosen = Selection(reporter="push", with_body=True)
        self.assertEqual(3, self.box.ask(inspection.count, chosen))
        self.assertEqual(1, self.box.ask(inspection.stats_of, "push").given_up)
        self.assertEqual(3, self.box.ask(intervention.drop_all, chosen, NOW))
        self.assertEqual(0, self.box.ask(inspection.count, chosen))
        self.assertEqual(0, self.box.ask(inspection.stats_of, "push").given_up)
        self.assertEqual([], self.box.claim())
        self.assertTrue(self.box.holds())

    def test_move(self) -> None:
        """What is to be sent, or dead, goes to another reporter, and the accounts still hold."""
        other = self.box.beside(reporter="mail")
        for number, state in enumerate((State.DEAD, State.RETRYING, State.DELIVERED)):
            self.put(number, state)
        self.box.put(4)
        other.put(9)
        self.assertEqual(3, self.box.ask(intervention.move, "push", "mail", NOW))
        self.assertTrue(self.box.holds())
        mail, push = self.box.ask(inspection.stats)
        self.assertEqual((4, 1), (mail.produced, push.produced))
        self.assertEqual(["msg_4", "msg_9"], sorted(other.claim_ids()))
        self.assertEqual([], self.box.claim())

    def test_move_under_way(self) -> None:
        """What a master sends just now is not moved; what a dead one had claimed is."""
        self.box.put(1)
        self.box.claim()
        why = self.refused(intervention.move, "push", "mail", NOW)
        self.assertIn("1 deliveries of push are being sent by a master just now", why)
        self.assertEqual(1, self.box.ask(intervention.move, "push", "mail", NOW + LEASE))
        self.assertEqual(["msg_1"], self.box.beside(reporter="mail").claim_ids())

    def test_drop(self) -> None:
        """What is dropped is never sent, and its body is forgotten at once."""
        self.box.put(1)
        self.put(2, State.DEAD, "two")
        entry = self.box.ask(intervention.drop, "msg_1", NOW + 3)
        self.assertEqual((State.DEAD, None), (entry.state, entry.size))
        self.assertEqual(("dropped on request", NOW + 3), (entry.outcome, entry.updated_at))
        self.assertIsNone(self.box.ask(intervention.drop, "msg_2", NOW).size)
        self.assertEqual([], self.box.claim())
        self.assertEqual([False], self.box.put(1))
        self.assertIn("can't be sent again", self.refused(intervention.redeliver, "msg_1", NOW))
        self.assertEqual(0, self.redeliver(Selection(states=frozenset({State.DEAD}))))

    def test_drop_under_way(self) -> None:
        """What is dropped amid an attempt stays dropped, unless it was accepted."""
        self.put(1, State.RETRYING)
        self.put(2, State.RETRYING)
        self.box.clock.advance(30)
        for claim, state in zip(self.box.claim(), (State.WAITING, State.DELIVERED), strict=True):
            self.box.ask(intervention.drop, claim.delivery.id, NOW)
            self.box.record(claim, state)
        self.assertEqual({"msg_1": State.DEAD, "msg_2": State.DELIVERED}, self.box.states())
        self.box.clock.advance(KEPT_FOR)
        self.assertEqual([], self.box.claim())

    def test_drop_refused(self) -> None:
        """What was delivered or dropped can't be dropped."""
        self.put(1, State.DELIVERED)
        why = self.refused(intervention.drop, "msg_1", NOW)
        self.assertEqual("msg_1 is delivered: there is nothing to drop", why)


class PostgresInspectionTests(InspectionTests):
    """On a PostgreSQL database."""

    def new_url(self) -> str:
        """Name an empty database."""
        server().clear()
        return server().url()


class ImportTests(SynchronousTestCase):
    """What a command line needs."""

    def test_no_buildbot(self) -> None:
        """Looking into an outbox does not import Buildbot, which takes its time."""
        module = "buildbot_http_status_push.outbox.inspection"
        script = f"import sys, {module}; print('buildbot' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        self.assertEqual(b"False", done.stdout.strip())
