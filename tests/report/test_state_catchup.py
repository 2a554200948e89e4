"""Which states are looked at, and when, against a small master that can be made to fail."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from buildbot.data.resultspec import Filter, ResultSpec
from support.catchup import NOW, FakeMaster, FakeOutbox
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report.catchup import INTERVAL, SOON
from buildbot_http_status_push.report.default_generator import DefaultGenerator
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.state_catchup import IDS, SETTLED, StateCatchup
from buildbot_http_status_push.report.state_generators import BuilderGenerator
from buildbot_http_status_push.report.states import BUILDER_KEYS, Reported


class Configured:
    """A builder or a worker of the configuration."""

    def __init__(self, name: str) -> None:
        self.name = name


class StatesMaster(FakeMaster):
    """A master with requests, workers and builders."""

    buildbotURL = "http://ci.example.org/"  # noqa: N815 - Buildbot's name
    title = "ci"

    def __init__(self) -> None:
        super().__init__()
        self.mq = self.config = self
        self.workers: list[Configured] = []
        self.builders: list[Configured] = []
        self.rows: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.asked: list[list[Filter]] = []
        self.consumers: dict[tuple[str, ...], Callable[..., None]] = {}
        self.held: Deferred[Any] | None = None

    def startConsuming(  # noqa: N802 - Buildbot's name
        self, consumer: Callable[..., None], key: tuple[str, ...]
    ) -> Deferred[Any]:
        """Take note of who listens."""
        self.consumers[key] = consumer
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

    def builder(self, number: int, name: str, *tags: str) -> None:
        """Add a builder that some configuration had, or change one."""
        row = {"builderid": number, "name": name, "masterids": [], "projectid": None, "tags": tags}
        self.rows["builders"][number] = {**dict.fromkeys(BUILDER_KEYS), **row}

    def get(
        self, path: tuple[Any, ...], filters: Any = (), order: Any = (), limit: int = 0
    ) -> Deferred[Any]:
        """Answer like the data API."""
        rows = self.rows[path[0]]
        if len(path) > 1:
            return succeed(rows.get(path[1]))
        self.asked.append(list(filters))
        spec = ResultSpec(filters=filters, order=order or None, limit=limit or None)
        found = spec.apply(list(rows.values()))
        if self.held is None or limit == 1:
            return succeed(found)
        return self.held.addCallback(lambda _: found)  # as it was then


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
        self.begin(*kinds)
        self.wait(SETTLED)
        self.wait(INTERVAL)

    def begin(self, *kinds: str) -> None:
        """Start the reporter."""
        self.states = StateCatchup(self.master, "push", self.outbox, self.report, Logger())
        self.successResultOf(Deferred.fromCoroutine(self.states.start(kinds)))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.states.stop()))

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

    def test_event_amid_a_scan(self) -> None:
        """What an event comes of while all is read is left to that event, unless it failed."""
        self.master.held = held = Deferred()
        self.start("buildrequests")
        self.assertEqual(self.reported, [])
        self.states.handled("buildrequests", "2")
        self.states.again("buildrequests", "2")
        self.master.held = None
        held.callback(None)
        self.assertEqual(self.reported, [("buildrequests", 1), ("buildrequests", 3)])
        self.assertEqual(self.wait(SOON), [("buildrequests", 2)])

    def test_events_before_the_first_scan(self) -> None:
        """What an event came of since the start is reported again only where that failed."""
        self.begin("buildrequests")
        for number in "23":
            self.states.handled("buildrequests", number)
        self.states.again("buildrequests", "3")
        self.assertEqual(set(self.wait(SETTLED)), {("buildrequests", 1), ("buildrequests", 3)})
        self.states.handled("buildrequests", "2")
        self.states.all_again()
        every = [("buildrequests", number) for number in (1, 2, 3)]
        self.assertEqual(self.wait(SOON), every)

    def test_builder_amid_a_look(self) -> None:
        """A builder that appears while all are read is reported by the next look."""
        self.master.held = held = Deferred()
        self.start("builders")
        self.master.builders = [Configured("added")]
        self.master.builder(1, "added")
        key = ("builders", "1", "started")
        self.master.consumers["builders", None, None](key, self.master.rows["builders"][1])
        self.master.held = None
        held.callback(None)
        self.assertEqual(self.wait(0), [])
        self.assertEqual(self.wait(SOON), [("builders", 1)])

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

    def test_reconfiguration(self) -> None:
        """Of each configuration all that is new, other or gone is reported, and that once."""
        generator = BuilderGenerator(DefaultGenerator(), Reported())
        sent: list[tuple[str, str]] = []

        def report(event: Event) -> Deferred[Event]:
            made = generator.generate(self.master, None, event.key, event.message)
            if (found := self.successResultOf(made)) is not None:
                sent.append((found["body"]["name"], found["body"]["event"]))
            return succeed(event)

        self.patch(self, "report", report)
        for number, name in enumerate(("stays", "goes", "tagged", "old"), 1):
            self.master.builder(number, name)
            self.master.builders.append(Configured(name))
        self.start("builders")
        names = [each.name for each in self.master.builders]
        self.assertEqual(sent, [(each, "builders.configured") for each in names])
        sent.clear()
        self.master.builder(3, "tagged", "nightly")
        for number, name in enumerate(("new", "added"), 5):
            self.master.builder(number, name)
        kept = ("stays", "tagged", "new", "added")
        self.master.builders = [Configured(name) for name in kept]
        self.states.configured()
        for wait in (SETTLED, INTERVAL, INTERVAL):
            self.wait(wait)
        removed = [(each, "builders.removed") for each in ("goes", "old")]
        found = [(each, "builders.configured") for each in ("tagged", "new", "added")]
        self.assertEqual(sorted(sent), sorted(removed + found))
