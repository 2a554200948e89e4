"""The hub: what browsers are told, when, and what it costs."""

from __future__ import annotations

import json
import math
from typing import Any

from support.fakes import LogBook
from support.watching import MASTER, MemoryStore, VersionRenderer, Watcher
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.live.browsers import PATIENCE
from buildbot_http_status_push.board.live.hub import GATHER, HEARD, MOST_STARTS, POLL, Hub, pause
from buildbot_http_status_push.board.live.update_log import KEPT, MOST_BUILDERS
from buildbot_http_status_push.board.model import Position
from buildbot_http_status_push.database import StorageError


class HubTest(SynchronousTestCase):
    """A hub whose store is a list."""

    def setUp(self) -> None:
        """Start one on an empty board."""
        self.clock = Clock()
        self.store = MemoryStore(self.clock)
        self.start()

    def start(self) -> None:
        """Start a hub on the store, as after a restart."""
        self.prepared: list[bytes] = []
        self.book = LogBook()
        self.renderer = VersionRenderer(self.store)
        self.hub = Hub(self.clock, self.store, self.renderer, self.prepare, self.book.log)
        started = Deferred.fromCoroutine(self.hub.start())
        self.clock.pump([0.0] * 3)
        self.successResultOf(started)
        self.addCleanup(self.hub.stop)

    def prepare(self, text: bytes) -> bytes:
        """Note what is made ready for the wire."""
        self.prepared.append(text)
        return text

    def settle(self, seconds: float = 2 * GATHER) -> None:
        """Let time pass, with turns of the reactor in it."""
        steps = max(math.ceil(seconds / GATHER), 1)
        self.clock.pump([0.0] * 4 + [seconds / steps, 0.0, 0.0, 0.0, 0.0] * steps)

    def watcher(self) -> Watcher:
        """Let a browser in that has just fetched its page."""
        watcher = Watcher(self.store)
        self.hub.join(watcher, watcher.position)
        self.settle()
        return watcher

    def told(self, watcher: Watcher) -> list[str]:
        """Return the kinds of frames that a browser was told."""
        return [frame["type"] for frame in watcher.frames]


class TellingTest(HubTest):
    """Changes that are told to all."""

    def test_change(self) -> None:
        """A change is told in one frame, with the position that it leads from and to."""
        watcher = self.watcher()
        self.store.change(builder=7, build=70)
        self.settle(0.0)
        self.assertEqual(
            watcher.frames[-1],
            {
                "type": "updates",
                "epoch": "first",
                "from": 0,
                "sequence": 1,
                "now": round(self.clock.seconds(), 3),
                "changes": [
                    {
                        "builder": 7,
                        "name": "builder-7",
                        "tags": [],
                        "master": "main",
                        "project": None,
                        "builds": [70],
                        "fragments": [{"region": "rows", "key": "row/7", "html": "1"}],
                    }
                ],
                "fragments": [],
                "masters": [{"name": "main", "heard_at": 5.0}],
                "storing": True,
                "summary": {
                    "red": 0,
                    "good": 0,
                    "running": 0,
                    "builders": 0,
                    "causes": 0,
                    "known": 0,
                },
            },
        )

    def test_at_once(self) -> None:
        """After a quiet time a change waits for nothing."""
        watcher = self.watcher()
        self.store.change(7)
        self.settle(0.0)
        self.assertEqual(watcher.position.sequence, 1)

    def test_gathering(self) -> None:
        """What changes within a tenth of a second travels in one frame, each builder once."""
        watcher = self.watcher()
        self.store.change(1, build=10)
        self.settle(0.0)
        for build in (11, 12):
            self.store.change(1, build)
            self.settle(GATHER / 4)
        self.assertEqual(watcher.position.sequence, 1)
        self.settle(GATHER)
        [change] = watcher.frames[-1]["changes"]
        self.assertEqual((watcher.position.sequence, change["builds"]), (3, [11, 12]))

    def test_once_for_all(self) -> None:
        """A change is rendered and made ready once, however many watch."""
        watchers = [self.watcher() for _ in range(3)]
        self.prepared.clear()
        self.store.change(1)
        self.settle()
        self.assertEqual((self.renderer.rendered, len(self.prepared)), ([(1,)], 1))
        self.assertEqual([each.shown for each in watchers], [{1: 1}] * 3)

    def test_without_a_wake_up(self) -> None:
        """What another process has written is found without being woken."""
        watcher = self.watcher()
        self.store.change(1, wake=False)
        self.settle(POLL + GATHER)
        self.assertEqual(watcher.shown, {1: 1})

    def test_heard(self) -> None:
        """Every few seconds browsers hear that all is well, and when masters were heard of."""
        watcher = self.watcher()
        self.settle(HEARD)
        frame = watcher.frames[-1]
        self.assertEqual((frame["type"], frame["sequence"]), ("heard", 0))
        self.assertEqual(round(frame["now"]), HEARD)
        self.assertEqual(frame["masters"], [{"name": MASTER.name, "heard_at": MASTER.heard_at}])

    def test_many_changes(self) -> None:
        """Where a page is smaller than what changed on it, browsers are told to fetch it."""
        watcher = self.watcher()
        for builder in range(MOST_BUILDERS + 1):
            self.store.change(builder)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["snapshot"])
        self.assertEqual(watcher.shown, self.store.versions)

    def test_much_to_send(self) -> None:
        """The more is sent, the more is gathered."""
        self.assertEqual([pause(0, 0), pause(100_000, 1_000)], [GATHER, 1.0])


class TroubleTest(HubTest):
    """A store or a template that does not do what it should."""

    def test_store(self) -> None:
        """A store in trouble is told of once; then the stream goes on without a hole."""
        watcher = self.watcher()
        self.store.trouble = StorageError("it is locked")
        self.store.change(1)
        self.settle(POLL + GATHER)
        self.settle(POLL + GATHER)
        [line] = self.book.lines
        self.assertIn("reading the database failed: it is locked;", line)
        self.store.trouble = None
        self.settle(POLL + GATHER)
        self.assertEqual(watcher.shown, {1: 1})

    def test_trouble_while_rendering(self) -> None:
        """No change is lost where the store breaks between its updates and what they changed."""
        watcher = self.watcher()
        self.renderer.fault = StorageError("gone away")
        self.store.change(1)
        self.settle()
        self.renderer.fault = None
        self.settle(POLL + GATHER)
        self.assertEqual((self.told(watcher)[1:], watcher.shown), (["updates"], {1: 1}))

    def test_joining_meanwhile(self) -> None:
        """Who comes while the store is in trouble is let in afterwards."""
        self.store.trouble = StorageError("it is locked")
        watcher = self.watcher()
        self.assertEqual(watcher.frames, [])
        self.store.trouble = None
        self.settle(POLL + GATHER)
        self.assertEqual(self.told(watcher), ["updates"])

    def test_template(self) -> None:
        """A change that can't be rendered is logged; browsers fetch their pages instead."""
        watcher = self.watcher()
        self.renderer.fault = ZeroDivisionError("in a template")
        self.store.change(1)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["snapshot"])
        [event] = self.book.events
        self.assertIs(event["log_failure"].type, ZeroDivisionError)

    def test_another_database(self) -> None:
        """Where the order of updates begins anew, browsers fetch their pages and go on there."""
        watcher = self.watcher()
        self.store.change(1)
        self.settle()
        self.store.begin_anew()
        self.store.change(2)
        self.settle()
        self.store.change(3)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["updates", "snapshot", "updates"])
        self.assertEqual(watcher.position, self.store.here)

    def test_a_hole_in_the_log(self) -> None:
        """Where updates are gone before they were read, browsers fetch their pages."""
        watcher = self.watcher()
        self.store.change(1, wake=False)
        self.store.forget()
        self.store.change(2)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["snapshot"])
        self.assertEqual(watcher.position, self.store.here)


class JoiningTest(HubTest):
    """Browsers that come, and those that come back."""

    def test_nothing_missed(self) -> None:
        """A browser that missed nothing hears so."""
        watcher = self.watcher()
        [frame] = watcher.frames
        self.assertEqual((frame["type"], frame["changes"]), ("updates", []))

    def test_resume(self) -> None:
        """A browser that comes back is told what changed since, as it stands now."""
        watcher = Watcher(self.store)
        for builder in (1, 2, 1):
            self.store.change(builder)
        self.hub.join(watcher, watcher.position)
        self.settle()
        self.assertEqual((self.told(watcher), watcher.shown), (["updates"], {1: 2, 2: 1}))

    def test_resume_after_a_restart(self) -> None:
        """A board that was started anew knows what browsers missed meanwhile."""
        self.store.change(1)
        watcher = Watcher(self.store)
        self.hub.stop()
        self.store.change(2)
        self.start()
        self.hub.join(watcher, watcher.position)
        self.settle()
        self.assertEqual((self.told(watcher), watcher.shown), (["updates"], {1: 1, 2: 1}))
        self.assertEqual(self.renderer.rendered, [(2,)])

    def test_all_at_once(self) -> None:
        """Where many come back, what they missed is rendered for the first and for the rest."""
        watchers = []
        for builder in (1, 2):
            watchers += [Watcher(self.store), Watcher(self.store)]
            self.store.change(builder)
        self.settle()
        self.renderer.rendered.clear()
        for watcher in watchers:
            self.hub.join(watcher, watcher.position)
        self.settle()
        self.assertEqual(self.renderer.rendered, [(1, 2), (1, 2)])
        self.assertEqual([each.shown for each in watchers], [{1: 1, 2: 1}] * 4)

    def test_same_frame(self) -> None:
        """The first that asks is answered at once; the others get one frame, made ready once."""
        watchers = [Watcher(self.store) for _ in range(5)]
        for _ in range(2):
            self.store.change(1)
            self.settle()
        self.prepared.clear()
        for watcher in watchers:
            self.hub.join(watcher, watcher.position)
        self.settle()
        self.assertEqual(len(self.prepared), 2)

    def test_many_positions(self) -> None:
        """Those who ask from many different positions share some frames, and miss nothing."""
        asked = []
        for number in range(3 * MOST_STARTS):
            asked.append(self.hub.changes_since(Position("first", number)))
            self.store.change(number)
        others = [self.hub.changes_since(Position("other", number)) for number in range(5)]
        self.settle()
        frames = [json.loads(self.successResultOf(each)) for each in asked]
        for since, frame in enumerate(frames):
            self.assertLessEqual(frame["from"], since)
            self.assertEqual(frame["sequence"], 3 * MOST_STARTS)
        # The first one was answered in a turn of its own.
        self.assertLessEqual(len({frame["from"] for frame in frames[1:]}), MOST_STARTS)
        self.assertEqual(len({self.successResultOf(each) for each in others}), 1)

    def test_out_of_reach(self) -> None:
        """A browser from too long ago, or of another database, is told to fetch its page."""
        for _ in range(KEPT + 1):
            self.store.change(1)
        self.settle()
        self.start()
        for since in (Position("first", 0), Position("zeroth", KEPT), Position("first", 10**9)):
            watcher = Watcher(self.store)
            self.hub.join(watcher, since)
            self.settle()
            [frame] = watcher.frames
            del frame["now"]
            self.assertEqual(
                frame,
                {"type": "snapshot", "epoch": "first", "sequence": KEPT + 1, "recovered": False},
            )

    def test_a_log_that_was_pruned(self) -> None:
        """A store that has forgotten its updates can be begun with all the same."""
        self.store.change(1)
        self.store.forget()
        self.start()
        self.store.change(1)
        self.settle()
        self.assertEqual(self.hub.position, Position("first", 2))

    def test_ahead_of_the_hub(self) -> None:
        """A page may know more than the hub has read: it is let in once the hub has, too."""
        self.store.change(1, wake=False)
        watcher = self.watcher()
        self.assertEqual((self.told(watcher), watcher.position.sequence), (["updates"], 1))

    def test_changed_while_joining(self) -> None:
        """What changes while a browser is being let in reaches it once."""
        self.store.slowness = 0.01
        watcher = Watcher(self.store)
        self.hub.join(watcher, watcher.position)
        for _ in range(20):
            self.store.change(1)
            self.clock.advance(0.005)
        self.clock.pump([0.01] * 60)
        self.assertEqual(watcher.shown, self.store.versions)

    def test_gone_before(self) -> None:
        """A browser that leaves before it was let in is not let in."""
        watcher = Watcher(self.store)
        joining = self.hub.join(watcher, watcher.position)
        joining.cancel()
        self.settle()
        self.assertEqual((watcher.frames, len(self.hub.browsers)), ([], 0))

    def test_asking(self) -> None:
        """Who only asks is told the same as who stays."""
        since = self.store.here
        self.store.change(1)
        asked = self.hub.changes_since(since)
        self.settle()
        frame = json.loads(self.successResultOf(asked))
        self.assertEqual((frame["from"], frame["sequence"]), (0, 1))

    def test_stop(self) -> None:
        """A hub that is stopped drops its browsers, lets no one wait and does nothing more."""
        watcher = self.watcher()
        asked = self.hub.changes_since(self.store.here)
        self.hub.stop()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(watcher.is_dropped)
        self.assertEqual((self.clock.getDelayedCalls(), self.store.callbacks), ([], []))


class FallingBehindTest(HubTest):
    """Browsers that do not take what they are sent."""

    def full(self) -> Watcher:
        """Let a browser in and let its buffer be full."""
        watcher = self.watcher()
        watcher.is_full = True
        self.hub.browsers.pause(watcher)
        return watcher

    def drain(self, watcher: Watcher) -> None:
        """Let it take all."""
        watcher.is_full = False
        self.hub.browsers.resume(watcher)

    def test_nothing_is_queued(self) -> None:
        """A browser whose buffer is full is sent nothing; it counts as behind."""
        self.full()
        self.store.change(1)
        self.settle(HEARD)
        self.assertEqual((self.hub.browsers.behind, len(self.hub.browsers)), (1, 1))

    def test_catching_up(self) -> None:
        """Once it has taken all, it is told to fetch its page, and goes on from there."""
        watcher = self.full()
        self.store.change(1)
        self.settle()
        self.drain(watcher)
        self.store.change(2)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["snapshot", "updates"])
        self.assertEqual(watcher.shown, {1: 1, 2: 1})

    def test_nothing_missed(self) -> None:
        """If nothing happened meanwhile, signs of life apart, it just goes on."""
        watcher = self.full()
        self.settle(HEARD)
        self.drain(watcher)
        self.store.change(1)
        self.settle()
        self.assertEqual(self.told(watcher)[1:], ["updates"])

    def test_dropping(self) -> None:
        """After a minute it is dropped; those who keep up never are."""
        watcher, other = self.full(), self.watcher()
        self.clock.pump([HEARD] * int(PATIENCE / HEARD - 1))
        self.assertFalse(watcher.is_dropped)
        self.clock.pump([HEARD, HEARD])
        self.assertEqual((watcher.is_dropped, other.is_dropped), (True, False))
        self.assertEqual(len(self.hub.browsers), 1)

    def test_leaving(self) -> None:
        """A browser that leaves is forgotten, whether it keeps up or not."""
        for watcher in (self.full(), self.watcher()):
            self.hub.browsers.leave(watcher)
            self.drain(watcher)
        self.assertEqual(len(self.hub.browsers), 0)

    def test_a_buffer_filled_by_the_first_frame(self) -> None:
        """A browser whose buffer the first frame fills is behind from the start."""

        class Slow(Watcher):
            def send(watcher, message: Any) -> None:  # noqa: N805  the test is self
                super().send(message)
                watcher.is_full = True
                self.hub.browsers.pause(watcher)

        watcher = Slow(self.store)
        self.hub.join(watcher, watcher.position)
        self.settle()
        self.store.change(1)
        self.settle()
        self.assertEqual((self.told(watcher), self.hub.browsers.behind), (["updates"], 1))
