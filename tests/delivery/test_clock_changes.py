"""A clock that is changed: nothing is given up for it, and nothing waits for a day far away."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fakes import LogBook, a_delivery
from support.outboxes import NOW, result
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.delivery.pipeline import Pipeline
from buildbot_http_status_push.delivery.relay import DAY, GAP_MOST, Expiry
from buildbot_http_status_push.delivery.retry import LONGEST_WAIT
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.outbox.repository import DeliveryRepository

pytestmark = pytest.mark.once

WEEK = 7 * DAY
FAR = 400 * DAY


class Hand(Clock):
    """A clock that can be set, and that runs threads' work at once."""

    def set_by(self, seconds: float) -> None:
        """Set it to another time; who waits for a moment waits until it shows that."""
        self.rightNow += seconds
        self.advance(0)

    def getThreadPool(self) -> Hand:  # noqa: N802 - Twisted's name
        """Return where threads come from."""
        return self

    def callInThreadWithCallback(self, told: Any, function: Any, *args: Any) -> None:  # noqa: N802
        """Call a function."""
        try:
            found = function(*args)
        except Exception:  # whatever it is, it is the caller's
            told(False, Failure())
        else:
            told(True, found)

    def callFromThread(self, function: Any, *args: Any) -> None:  # noqa: N802 - Twisted's name
        """Call a function."""
        function(*args)


class Story:
    """A master with an outbox in a file, a receiver, and somebody who sets the clock.

    Args:
        folder: Where the outbox is.
    """

    render = None
    settings = SenderSettings(concurrency=3)

    def __init__(self, folder: Path) -> None:
        self.clock = Hand()
        self.clock.advance(NOW)
        self.url = file_url(folder / "outbox.sqlite")
        self.client = self
        self.answer: Outcome = Accepted(200)
        self.put_ids: list[str] = []
        self.accepted: set[str] = set()
        self.owner = "master"
        self.amiss = 0.0
        self.begin()

    def begin(self) -> None:
        """Start the master."""
        repository, log = DeliveryRepository("push", self.owner), LogBook().log
        self.pipeline = Pipeline(self.clock, self.url, repository, self, lambda: None, log)  # type: ignore[arg-type]  # all that it needs of a sender
        self.pipeline.start()
        self.spend(1)

    def close(self) -> Deferred[None]:
        """End as a sender ends."""
        return succeed(None)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Answer an attempt."""
        if isinstance(self.answer, Accepted):
            self.accepted.add(delivery.id)
        return succeed(self.answer)

    def put(self) -> None:
        """Bring a status."""
        delivery = a_delivery(number := len(self.put_ids), f"lane-{number}")
        self.put_ids.append(delivery.id)
        self.pipeline.put(delivery)
        self.spend(1)

    def spend(self, seconds: float, step: float = 30.0) -> None:
        """Let time pass."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step

    def set_by(self, seconds: float) -> None:
        """Set the clock."""
        self.amiss += seconds
        self.clock.set_by(seconds)
        self.spend(1)

    def restart(self) -> None:
        """Kill the master, and start it."""
        for call in [*self.clock.getDelayedCalls()]:
            call.cancel()
        self.pipeline.outbox._storage.close()
        self.begin()

    def dead(self) -> list[str]:
        """Return what was given up."""
        waiting = result(self.pipeline.outbox.known(self.put_ids)) - self.accepted
        return sorted(waiting)


Step: TypeAlias = "tuple[str, Any]"
jumps = st.sampled_from([-FAR, -8 * DAY, -3600.0, 3600.0, 8 * DAY, FAR])
answers: st.SearchStrategy[Outcome] = st.sampled_from(
    [Accepted(200), Refused(422), Refused(500), Unreachable("no answer")]
)
steps: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("set_by"), jumps),
        st.tuples(st.just("spend"), st.sampled_from([60, 3600])),
        st.tuples(st.just("answer"), answers),
    ),
    max_size=12,
)
AHEAD_AT_FIRST: list[Step] = [
    ("set_by", FAR),
    ("answer", Refused(422)),
    ("put", None),
    ("spend", 60),
    ("set_by", -FAR),
]
DOWN_WHILE_AHEAD: list[Step] = [
    ("set_by", FAR),
    ("answer", Unreachable("no answer")),
    ("put", None),
    ("put", None),
    ("spend", 60),
    ("set_by", -FAR),
]
AHEAD_LATER: list[Step] = [
    ("answer", Unreachable("no answer")),
    ("put", None),
    ("spend", 3600),
    ("set_by", FAR),
    ("spend", 3600),
]


class ClockChangesTest(SynchronousTestCase):
    """Every mixture of what people do to clocks, masters and receivers within a day."""

    @settings(deadline=None, max_examples=30)
    @given(told=steps, starts_anew=st.booleans())
    @example(told=AHEAD_AT_FIRST, starts_anew=True)
    @example(told=AHEAD_AT_FIRST, starts_anew=False)
    @example(told=DOWN_WHILE_AHEAD, starts_anew=False)
    @example(told=AHEAD_LATER, starts_anew=True)
    @example(told=[*AHEAD_LATER, ("restart", None), ("spend", 3600)], starts_anew=True)
    def test_all_arrive(self, told: list[Step], *, starts_anew: bool) -> None:
        """Once the clock is right all arrive within the longest wait, and nothing is given up."""
        with tempfile.TemporaryDirectory() as folder:
            story = Story(Path(folder))
            story.put()
            for what, value in told:
                self.play(story, what, value)
            story.set_by(-story.amiss)
            story.answer = Accepted(200)
            if starts_anew:
                story.restart()
            story.put()
            story.spend(LONGEST_WAIT + 60)
            self.assertEqual(story.accepted, set(story.put_ids))
            self.assertEqual(result_of(story, story.pipeline.outbox.waiting()), 0)

    def play(self, story: Story, what: str, value: Any) -> None:
        """Do one thing."""
        if what == "answer":
            story.answer = value
        elif value is None:
            getattr(story, what)()
        else:
            getattr(story, what)(value)


def result_of(story: Story, asked: Deferred[int]) -> int:
    """Return what the outbox answers."""
    story.spend(1)
    return result(asked)


class PatienceTest(SynchronousTestCase):
    """When something is given up."""

    def test_watched(self) -> None:
        """A day must have been seen to pass; a shorter time where less than that is asked for."""
        for give_up_after, watched in ((WEEK, DAY), (600.0, 600.0)):
            patience, now = Expiry(), NOW
            while now < NOW + watched:
                self.assertEqual(patience.given_up_before(now, give_up_after), float("-inf"))
                now += GAP_MOST
            self.assertEqual(patience.given_up_before(now, give_up_after), now - give_up_after)

    @given(st.floats(-FAR, -0.001) | st.floats(GAP_MOST + 0.001, FAR))
    def test_jump(self, jump: float) -> None:
        """Who has seen the clock jump begins to watch anew."""
        patience, now = Expiry(), NOW
        for _ in range(int(DAY / GAP_MOST) + 1):
            patience.given_up_before(now, WEEK)
            now += GAP_MOST
        self.assertEqual(patience.given_up_before(now, WEEK), now - WEEK)
        for later in (jump, jump + GAP_MOST):
            self.assertEqual(patience.given_up_before(now + later, WEEK), float("-inf"))
