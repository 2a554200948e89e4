"""A receiver that drops repeats, as it is told to, never sees a build begin after its end."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fakes import LogBook, a_delivery
from support.outboxes import Box, result
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.delivery.relay import Relay
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable

pytestmark = pytest.mark.once

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


Runs: TypeAlias = "list[tuple[Fate, int]]"
"""What happens, and how many times in a row."""


class Story:
    """Masters that are killed, and a receiver that drops repeats.

    Args:
        fates: What becomes of the attempts with a status, by its event; the rest is accepted.
    """

    def __init__(self, fates: dict[str, list[Fate]]) -> None:
        self.fates = fates
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
        operator_log = OperatorLog(self.clock, "push", LogBook().log)
        sending = SenderSettings(concurrency=2, timeout=5.0)
        self.relay = Relay(
            self.clock, self.box.outbox, self.send, sending, lambda: 0.5, operator_log
        )
        self.relay.start()

    def put(self, delivery: Delivery) -> None:
        """Bring a status."""
        self.box.put(delivery)
        self.relay.added(delivery)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make an attempt."""
        fates = self.fates.get(delivery.event)
        fate = fates.pop(0) if fates else Fate.ACCEPTED
        if fate.is_taken:
            self.taken.setdefault(delivery.id, delivery.event)
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


def spread(runs: Runs) -> list[Fate]:
    """Return the fates of attempts, one after the other."""
    return [fate for fate, times in runs for _ in range(times)]


def status(number: int, event: str) -> Delivery:
    """Return a status of the one build that matters."""
    return a_delivery(number, "request", subject="build", event=event)


runs = st.lists(st.tuples(st.sampled_from(Fate), st.integers(1, 6)), max_size=4)
"""Receivers have moods: what happened is likely to happen again."""


class BeginAfterEndTest(SynchronousTestCase):
    """Every mixture of what can become of attempts."""

    @settings(deadline=None, max_examples=40)
    @given(begins=runs, ends=runs, ends_after=st.integers(0, 40), others=st.integers(0, 60))
    @example(begins=[(Fate.REFUSED, 4)], ends=[(Fate.TAKEN_AND_LOST, 6)], ends_after=3, others=60)
    @example(begins=[(Fate.REFUSED, 4)], ends=[(Fate.GATEWAY, 6)], ends_after=3, others=60)
    def test_final_state(self, begins: Runs, ends: Runs, ends_after: int, others: int) -> None:
        """What the receiver took last of a build is its end, whatever was lost or killed."""
        story = Story({"builds.new": spread(begins), "builds.finished": spread(ends)})
        for second in range(max(ends_after, others) + 1):
            if second == 0:
                story.put(status(1, "builds.new"))
            if second == ends_after:
                story.put(status(2, "builds.finished"))
            if second < others:
                story.put(a_delivery(10 + second, f"lane-{second}", event="workers.connected"))
            story.clock.advance(1.0)
        story.end()
        about_build = [each for each in story.taken.values() if each.startswith("builds.")]
        self.assertEqual(about_build[-1], "builds.finished")
        self.assertTrue(story.box.holds())
