"""Which states are looked at, and when, against a small master that can be made to fail."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from buildbot.data.resultspec import Filter, ResultSpec
from support.catchup import NOW, FakeMaster, FakeOutbox
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report.catchup import INTERVAL, SOON
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.state_catchup import IDS, SETTLED, StateCatchup


class Configured:
    """A builder or a worker of the configuration."""

    def __init__(self, name: str) -> None:
        self.name = name


class StatesMaster(FakeMaster):
    """A master with requests, workers and builders."""

    def __init__(self) -> None:
        super().__init__()
        self.mq = self.config = self
        self.workers: list[Configured] = []
        self.builders: list[Configured] = []
        self.rows: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.asked: list[list[Filter]] = []

    def startConsuming(self, *_: Any) -> Deferred[Any]:  # noqa: N802 - Buildbot's name
        """Take note of nothing: the test makes the events."""
        return succeed(self)

    def stopConsuming(self) -> None:  # noqa: N802 - likewise
        """Do nothing."""

    def request(self, number: int, *, complete: bool) -> None:
        """Add a request, or change one."""
        now = int(self.reactor.seconds())
        row = {"buildrequestid": number, "builderid": 1, "submitted_at": NOW, "results": 0}
        self.rows["buildrequests"][number] = {
            **row,
            "complete": complete,
            "complete_at": now if complete else None,
        }

    def builder(self, number: int, name: str) -> None:
        """Add a builder that some configuration had."""
        self.rows["builders"][number] = {"builderid": number, "name": name, "masterids": []}

    def get(
        self, path: tuple[Any, ...], filters: Any = (), order: Any = (), limit: int = 0
    ) -> Deferred[Any]:
        """Answer like the data API."""
        rows = self.rows[path[0]]
        if len(path) > 1:
            return succeed(rows.get(path[1]))
        self.asked.append(list(filters))
        spec = ResultSpec(filters=filters, order=order or None, limit=limit or None)
        return succeed(spec.apply(list(rows.values())))


class StatesOutbox(FakeOutbox):
    """An outbox in which nothing waits."""

    def oldest_pending_request(self) -> Deferred[float | None]:
        """Return that none is pending."""
        return succeed(None)


class StateCatchupTests(SynchronousTestCase):
    """What is reported, and what of it again."""

    def setUp(self) -> None:
        """Make a master with three requests that wait."""
        self.master, self.outbox = StatesMaster(), StatesOutbox()
        self.reported: list[tuple[str, int]] = []
        self.broken: set[tuple[str, int]] = set()
        for number in (1, 2, 3):
            self.master.request(number, complete=False)

    def start(self, *kinds: str) -> None:
        """Start the reporter, and let it look twice."""
        self.states = StateCatchup(self.master, "push", self.outbox, self.report, Logger())
        self.successResultOf(Deferred.fromCoroutine(self.states.start(kinds)))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.states.stop()))
        self.wait(SETTLED)
        self.wait(INTERVAL)

    def wait(self, seconds: float) -> list[tuple[str, int]]:
        """Let time pass, and return what is reported then."""
        self.reported.clear()
        self.master.reactor.pump([seconds, *[0] * 9])
        return list(self.reported)

    def report(self, event: Event) -> Deferred[Event]:
        """Report a state, as the reporter does."""
        one = (event.kind, event.message[IDS[event.kind]])
        self.reported.append(one)
        if one in self.broken:
            self.states.again(event.kind, event.path[-1])
        return succeed(event)

    def test_one_that_fails(self) -> None:
        """Only what could not be reported is reported again, and ever more rarely."""
        self.start("buildrequests")
        failing = ("buildrequests", 2)
        self.broken.add(failing)
        self.states.again("buildrequests", "2")
        for wait in (SOON, 2 * SOON, 4 * SOON, 8 * SOON, INTERVAL):
            self.assertEqual(self.wait(wait - 0.5), [])
            self.assertEqual(self.wait(0.5), [failing])
        self.broken.clear()
        self.assertEqual(self.wait(INTERVAL), [failing])
        self.assertEqual(self.wait(INTERVAL), [])

    def test_others(self) -> None:
        """What nobody asked for, or is gone meanwhile, is not looked at."""
        self.start("buildrequests")
        self.states.again("workers", "1")
        self.states.again("buildrequests", "9")
        self.assertEqual(self.wait(INTERVAL), [])

    def test_completed_meanwhile(self) -> None:
        """What no event told of is found among those that were incomplete, and no others."""
        self.master.request(1, complete=True)
        self.start("buildrequests")
        self.wait(INTERVAL)
        self.master.request(3, complete=True)
        self.master.request(4, complete=True)
        found = [("buildrequests", 3), ("buildrequests", 4)]
        self.master.asked.clear()
        self.assertEqual(self.wait(INTERVAL), found)
        bounds = [each.values[0] for some in self.master.asked for each in some if each.op == "gt"]
        self.assertEqual(bounds, [1, 4])
        self.master.request(2, complete=True)
        self.assertEqual(self.wait(INTERVAL)[:1], [("buildrequests", 2)])

    def test_removed(self) -> None:
        """A removal is due until both looks have reported it, and the outbox is where it should."""
        self.master.builders = [Configured("stays"), Configured("goes")]
        self.master.builder(1, "stays")
        self.master.builder(2, "goes")
        self.start("builders")
        self.master.builders.pop()
        both = [("builders", 1), ("builders", 2)]
        for durable in (False, True):
            self.outbox.durable = durable
            self.states.configured()
            for wait in (SETTLED, INTERVAL):
                self.assertEqual(self.wait(wait), both)
        self.states.configured()
        self.assertEqual(self.wait(SETTLED), both[:1])
