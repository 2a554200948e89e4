"""Long work that lets the reactor do other things in between."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.time_slices import TIME_SLICE, CooperativeScheduler


class CooperativeSchedulerTest(SynchronousTestCase):
    """Work whose steps take half a time slice each."""

    def setUp(self) -> None:
        """Make a clock, and something that takes its time."""
        self.clock = Clock()
        self.scheduler = CooperativeScheduler(self.clock)
        self.done: list[str] = []

    def work(self, name: str, steps: int) -> Iterator[None]:
        """Do one step after the other."""
        for _ in range(steps):
            self.done.append(name)
            self.clock.rightNow += TIME_SLICE / 2
            yield

    def other(self, times: int) -> None:
        """Do something else, and so again when the reactor comes to it."""
        self.done.append("other")
        if times > 1:
            self.clock.callLater(0, self.other, times - 1)

    def test_slices(self) -> None:
        """Nothing is done at once, and in each time slice as much as fits."""
        ended = self.scheduler.run(self.work("a", 5))
        self.other(3)
        self.clock.advance(0)
        self.assertEqual(self.done, ["other", "a", "a", "other", "a", "a", "other", "a"])
        self.successResultOf(ended)

    def test_side_by_side(self) -> None:
        """All work shares the time slices."""
        for name in "ab":
            self.scheduler.run(self.work(name, 2))
        self.other(2)
        self.clock.advance(0)
        self.assertEqual(self.done, ["other", "a", "b", "other", "a", "b"])

    def test_failure(self) -> None:
        """What the work raises is what comes of it."""
        ended = self.scheduler.run(1 // each for each in (1, 0))
        self.clock.advance(0)
        self.failureResultOf(ended, ZeroDivisionError)
