"""Whatever happens in whatever order: no browser has a hole, a repeat, or old news in the end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.fakes import LogBook
from support.watching import MemoryStore, VersionRenderer, Watcher
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.live import browsers
from buildbot_http_status_push.board.live.hub import GATHER, POLL, Hub
from buildbot_http_status_push.database import StorageError

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 4)),
        st.tuples(st.just("change_silently"), st.integers(0, 4)),
        st.tuples(st.just("open_page"), st.just(0)),
        st.tuples(st.just("join"), st.integers(0, 9)),
        st.tuples(st.just("fill"), st.integers(0, 9)),
        st.tuples(st.just("drain"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("break"), st.booleans()),
    ),
    max_size=40,
)
"""What happens, and on whom."""
WAITS = st.lists(st.sampled_from([None, 0.0, 0.004, 0.03, GATHER, POLL]), min_size=40, max_size=40)
"""How long nothing happens afterwards; None: not even a turn of the reactor."""


class BusyClock(Clock):
    """A clock of a reactor whose turns take their time: a frame comes while one is being sent.

    Args:
        turn: How many seconds a turn takes.
    """

    def __init__(self, turn: float) -> None:
        super().__init__()
        self.turn = turn

    def callLater(self, delay: float, *call: Any, **kwargs: Any) -> Any:
        """Call in the next turn at the earliest."""
        return super().callLater(max(delay, self.turn), *call, **kwargs)


class Story:
    """A hub, its store, and browsers that come and go.

    Args:
        slowness: How many seconds each reading of the store takes.
        turn: How many seconds a turn of the reactor takes.
    """

    def __init__(self, slowness: float, turn: float) -> None:
        self.slowness = slowness
        self.book = LogBook()
        self.clock = BusyClock(turn)
        self.store = MemoryStore(self.clock, slowness=self.slowness)
        self.outside: list[Watcher] = []
        self.inside: list[Watcher] = []
        self.joining: dict[Watcher, Deferred[None]] = {}
        self.start()
        for _ in range(2):
            self.do_open_page(0)
            self.do_join(0)
        self.clock.pump([slowness, GATHER] * 6)

    def start(self) -> None:
        """Start a hub."""
        renderer = VersionRenderer(self.store)
        self.hub = Hub(self.clock, self.store, renderer, bytes, self.book.log)
        self.started = Deferred.fromCoroutine(self.hub.start())
        self.store.trouble = None
        self.clock.pump([self.slowness, self.clock.turn] * 4)

    def step(self, name: str, value: int) -> None:
        """Let something happen."""
        getattr(self, f"do_{name}")(value)

    def do_change(self, builder: int) -> None:
        """Accept a status."""
        self.store.change(builder)

    def do_change_silently(self, builder: int) -> None:
        """Accept a status in another process."""
        self.store.change(builder, wake=False)

    def do_open_page(self, _: int) -> None:
        """Fetch a page."""
        self.outside.append(Watcher(self.store))

    def do_join(self, number: int) -> None:
        """Connect a page that is there already."""
        if self.outside:
            watcher = self.outside.pop(number % len(self.outside))
            self.inside.append(watcher)
            self.joining[watcher] = self.hub.join(watcher, watcher.position)

    def do_fill(self, number: int) -> None:
        """Fill a browser's buffer."""
        for watcher in self._one(number):
            # Nothing was sent yet on a connection whose browser still asks for what it missed.
            if self.joining[watcher].called:
                watcher.is_full = True
                self.hub.browsers.pause(watcher)

    def do_drain(self, number: int) -> None:
        """Empty a browser's buffer."""
        for watcher in self._one(number):
            if watcher.is_full:
                watcher.is_full = False
                self.hub.browsers.resume(watcher)

    def do_leave(self, number: int) -> None:
        """Lose a connection; the page stays as it is."""
        for watcher in self._one(number):
            self.inside.remove(watcher)
            self._lose(watcher)

    def do_restart(self, _: int) -> None:
        """Start another board on the same store: all connections are lost."""
        for watcher in self.inside:
            self._lose(watcher)
        self.inside.clear()
        self.hub.stop()
        self.start()

    def do_break(self, is_broken: bool) -> None:
        """Break the store, or mend it."""
        self.store.trouble = StorageError("it is locked") if is_broken else None

    def wait(self, seconds: float | None) -> None:
        """Let time pass."""
        if seconds is not None:
            self.clock.advance(seconds)

    def end(self) -> None:
        """Mend everything, connect everyone and let all be told."""
        self.store.trouble = None
        while self.outside:
            self.do_join(0)
        for number in range(len(self.inside)):
            self.do_drain(number)
        # A step of the clock makes one step of what waits for the store or for a turn.
        self.clock.pump([GATHER] * 40 + [POLL, *[GATHER] * 40] * 2)

    def _one(self, number: int) -> list[Watcher]:
        return self.inside[number % len(self.inside) :][:1] if self.inside else []

    def _lose(self, watcher: Watcher) -> None:
        self.joining.pop(watcher).cancel()
        self.hub.browsers.leave(watcher)
        watcher.is_full = False
        self.outside.append(watcher)


class OrderTest(SynchronousTestCase):
    """Stories that Hypothesis makes up, with a turn of the reactor for each browser."""

    def setUp(self) -> None:
        """Send in the smallest slices."""
        self.patch(browsers, "SLICE", 1)

    @given(STEPS, WAITS, st.sampled_from([0.0, 0.005, 0.05]), st.sampled_from([0.0, 0.03, GATHER]))
    def test_no_hole_and_no_repeat(
        self, steps: list[tuple[str, int]], waits: list[float | None], slowness: float, turn: float
    ) -> None:
        """Every browser sees every change once, in order, and in the end all see the truth."""
        story = Story(slowness, turn)
        for (name, value), seconds in zip(steps, waits, strict=False):
            story.step(name, value)
            story.wait(seconds)
        story.end()
        self.successResultOf(story.started)
        expected = ("it is locked", "reading the database works again")
        others = [line for line in story.book.lines if not any(each in line for each in expected)]
        self.assertEqual(others, [])
        for watcher in story.inside:
            self.assertEqual(watcher.position, story.store.here)
            self.assertEqual(watcher.shown, story.store.versions)
        story.hub.stop()
        story.clock.advance(GATHER)  # what the store was asked for last is answered
        self.assertEqual(story.clock.getDelayedCalls(), [])
