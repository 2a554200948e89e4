"""A receiver that drops repeats, as it is told to, never sees a build begin after its end."""

from __future__ import annotations

from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import LogBook, a_delivery
from support.outboxes import Box, result
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.notices import Notices
from buildbot_http_status_push.delivery.prefetch import Settings
from buildbot_http_status_push.delivery.relay import Relay
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable

BUILDS = 3
ANSWER_TAKES = 0.5
LONGEST = 100_000
"""Seconds after which all must have been sent: leases run out, retries come due."""


class Fate(Enum):
    """What becomes of an attempt: whether it is taken, and what the sender hears."""

    ACCEPTED = (True, Accepted(200))
    REFUSED = (False, Refused(422))
    BROKEN = (False, Refused(500))
    UNREACHED = (False, Unreachable("connection refused", unsent=True))
    LOST = (False, Unreachable("no answer", 0.001))
    TAKEN_AND_LOST = (True, Unreachable("no answer", 0.002))
    GATEWAY = (True, Refused(504))
    KILLED = (False, None)
    TAKEN_AND_KILLED = (True, None)
    MOVED = (False, "other")
    TAKEN_AND_MOVED = (True, "other")

    @property
    def is_taken(self) -> bool:
        """Whether the receiver keeps the status."""
        return bool(self.value[0])

    @property
    def heard(self) -> Outcome | str | None:
        """What the sender hears; None where it is killed, "other" if another master goes on."""
        heard: Outcome | str | None = self.value[1]
        return heard


class Story:
    """Masters that are killed, and a receiver that drops repeats.

    Args:
        fates: What becomes of the attempts, one after the other; the rest is accepted.
    """

    def __init__(self, fates: list[Fate]) -> None:
        self.fates = list(fates)
        self.box = Box(None)
        self.clock = self.box.clock
        self.taken: dict[str, str] = {}
        self.begin("master-1")

    def begin(self, owner: str) -> None:
        """Start a master, in the place of one that is gone."""
        self.owner = owner
        for call in [*self.clock.getDelayedCalls()]:
            call.cancel()
        self.box = self.box.beside(owner)
        notices = Notices(self.clock, "push", LogBook().log)
        sending = Settings(concurrency=2, timeout=5.0)
        self.relay = Relay(self.clock, self.box.outbox, self.send, sending, lambda: 0.5, notices)
        self.relay.start()

    def put(self, delivery: Delivery) -> None:
        """Bring a status."""
        self.box.put(delivery)
        self.relay.poke(delivery.lane)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make an attempt."""
        fate = self.fates.pop(0) if self.fates else Fate.ACCEPTED
        if fate.is_taken:
            self.taken.setdefault(delivery.id, f"{delivery.subject} {delivery.event}")
        heard: Deferred[Outcome] = Deferred()
        if fate.heard is None:
            self.clock.callLater(ANSWER_TAKES, self.begin, self.owner)
        elif isinstance(fate.heard, str):
            self.clock.callLater(ANSWER_TAKES, self.begin, self.owner + fate.heard)
        else:
            self.clock.callLater(ANSWER_TAKES, heard.callback, fate.heard)
        return heard

    def end(self) -> None:
        """Let time pass until nothing waits."""
        began = self.clock.seconds()
        while result(self.box.outbox.waiting()) and self.clock.seconds() < began + LONGEST:
            self.clock.advance(5.0)


def status(build: int, event: str) -> Delivery:
    """Return the begin or the end of a build."""
    number = 2 * build + (event == "builds.finished")
    return a_delivery(number, f"request-{build}", subject=f"build-{build}", event=event)


class BeginAfterEndTest(SynchronousTestCase):
    """Every mixture of what can become of attempts."""

    @settings(deadline=None, max_examples=150)
    @given(fates=st.lists(st.sampled_from(Fate), max_size=16), ends_after=st.integers(0, 20))
    def test_final_state(self, fates: list[Fate], ends_after: int) -> None:
        """What the receiver took last of each build is its end, whatever was lost or killed."""
        story = Story(fates)
        for build in range(BUILDS):
            story.put(status(build, "builds.new"))
        story.clock.pump([1.0] * ends_after)
        for build in range(BUILDS):
            story.put(status(build, "builds.finished"))
        story.end()
        for build in range(BUILDS):
            taken = [each for each in story.taken.values() if each.startswith(f"build-{build} ")]
            self.assertEqual(taken[-1:], [f"build-{build} builds.finished"])
        self.assertTrue(story.box.holds())
