"""When a build that has just begun is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report.properties_gate import (
    CAPACITY,
    EVENTS,
    PATIENCE,
    PropertiesGate,
)


class FakeMaster:
    """A master with a clock and a queue that nobody puts anything into."""

    def __init__(self) -> None:
        self.mq = self
        self.reactor = Clock()
        self.heard: list[Any] = []

    def startConsuming(self, callback: Any, key: Any) -> Any:  # noqa: N802 - Buildbot's name
        """Note who wants to hear of what."""
        self.heard.append((callback, key))
        return succeed(self)

    def stopConsuming(self) -> None:  # noqa: N802 - Buildbot's name
        """End that."""
        self.heard.clear()


class PreparationsTests(SynchronousTestCase):
    """Builds that begin."""

    def setUp(self) -> None:
        """Listen."""
        self.master = FakeMaster()
        self.properties_gate = PropertiesGate(self.master)
        self.successResultOf(ensureDeferred(self.properties_gate.listen()))

    def tell(self, build: int, what: str) -> None:
        """Tell of a build."""
        [(callback, key)] = self.master.heard
        self.assertEqual(key, EVENTS)
        callback(("builds", str(build), what), {})

    def begin(self, build: int) -> Deferred[None]:
        """Tell of a new build, and ask for the end of its preparation."""
        self.tell(build, "new")
        return self.properties_gate.ended(build)

    def test_next_event(self) -> None:
        """It ends with the next event of that build, whichever that is."""
        for what in ("update", "finished"):
            first, second = self.begin(1), self.begin(2)
            self.tell(1, what)
            self.successResultOf(first)
            self.assertNoResult(second)
            self.tell(2, what)
            self.successResultOf(second)

    def test_nothing_to_wait_for(self) -> None:
        """What is not new, or is not so any more, is prepared."""
        self.successResultOf(self.properties_gate.ended(1))
        self.tell(1, "new")
        self.tell(1, "update")
        self.successResultOf(self.properties_gate.ended(1))

    def test_no_event(self) -> None:
        """Nobody waits for long; an event that comes later is none of theirs."""
        end = self.begin(1)
        self.master.reactor.advance(PATIENCE)
        self.successResultOf(end)
        self.tell(1, "update")

    def test_bounded(self) -> None:
        """Of more builds than are kept in mind the first one counts as prepared."""
        first = self.begin(0)
        for build in range(1, CAPACITY):
            self.tell(build, "new")
        self.assertNoResult(first)
        self.tell(CAPACITY, "new")
        self.successResultOf(first)

    def test_stop(self) -> None:
        """At the end nobody is heard any more, and nobody waits."""
        end = self.begin(1)
        self.successResultOf(ensureDeferred(self.properties_gate.stop()))
        self.successResultOf(end)
        self.assertEqual(self.master.heard, [])
