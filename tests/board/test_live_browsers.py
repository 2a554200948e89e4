"""Messages to many browsers: in slices, in order, and none twice or left out."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.live import browsers
from buildbot_http_status_push.board.live.browsers import Browsers
from buildbot_http_status_push.board.model import Position


@define(eq=False)
class Reader:
    """A browser that keeps what it is sent; a message of its own may break it."""

    messages: list[str] = field(factory=list)
    poison: str = "none"
    leaving: Callable[[], object] = lambda: None

    def send(self, message: str) -> None:
        """Keep a message."""
        if message == self.poison:
            raise ZeroDivisionError(message)
        self.messages.append(message)
        if message != "hello":
            self.leaving()

    def drop(self) -> None:
        """Note it."""
        self.messages.append("dropped")


class SlicesTest(SynchronousTestCase):
    """Five browsers, of which two are sent a message in one turn of the reactor."""

    def setUp(self) -> None:
        """Let them in."""
        self.patch(browsers, "SLICE", 2)
        self.clock = Clock()
        self.browsers = Browsers(self.clock, lambda: "snapshot")
        self.readers = [Reader() for _ in range(5)]
        for reader in self.readers:
            self.browsers.welcome(reader, "hello")

    def broadcast(self, number: int) -> Deferred[None]:
        """Send all what leads to a position, such as ``0-1`` from the first one to the next."""
        return self.browsers.broadcast(
            Position("", number), lambda since: f"{since.sequence}-{number}"
        )

    def heard(self, *messages: str) -> list[Reader]:
        """Return the browsers that were sent just these after the first one."""
        return [each for each in self.readers if each.messages == ["hello", *messages]]

    def test_in_slices(self) -> None:
        """What else the reactor has to do is done between two slices."""
        between: list[int] = []
        self.clock.callLater(0, lambda: between.append(len(self.heard("0-1"))))
        done = self.broadcast(1)
        self.assertEqual(len(self.heard("0-1")), 2)
        self.assertNoResult(done)
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual((between, len(self.heard("0-1"))), ([2], 5))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_news_meanwhile(self) -> None:
        """Who has not had its turn when there is more is sent all of it at once."""
        first, second = self.broadcast(1), self.broadcast(2)
        self.assertEqual(self.browsers.positions, {Position("", each) for each in (0, 1, 2)})
        self.clock.pump([0, 0, 0])
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual((len(self.heard("0-1", "1-2")), len(self.heard("0-2"))), (2, 3))
        self.assertEqual(self.browsers.positions, {Position("", 2)})

    def test_longest_wait(self) -> None:
        """However much news there is, nobody waits for longer than a round."""
        for number in range(1, 10):
            self.broadcast(number)
            self.clock.advance(0)
            late = [each for each in self.readers if len(each.messages) < number // 3 + 1]
            self.assertEqual(late, [])

    def test_order(self) -> None:
        """Who has all is sent a sign of life; for others what they lack is one."""
        self.broadcast(1)
        self.clock.advance(0)
        self.browsers.broadcast_lossy("alive")
        last = self.broadcast(2)
        self.clock.pump([0, 0, 0])
        self.successResultOf(last)
        found = len(self.heard("0-1", "alive", "1-2")), len(self.heard("0-1", "1-2"))
        self.assertEqual(found, (2, 3))

    def test_joining_meanwhile(self) -> None:
        """A browser that is let in meanwhile is not sent what its first message covers."""
        self.broadcast(1)
        late = Reader()
        self.browsers.welcome(late, "all up to 1")
        self.clock.advance(0)
        self.assertEqual(late.messages, ["all up to 1"])

    def test_full_meanwhile(self) -> None:
        """A browser that gets full before its turn missed the message, and is sent a snapshot."""
        self.broadcast(1)
        waiting = self.heard()[0]
        self.browsers.pause(waiting)
        self.clock.advance(0)
        self.assertEqual(self.heard(), [waiting])
        self.browsers.resume(waiting)
        self.assertEqual(self.heard("snapshot"), [waiting])

    def test_full_afterwards(self) -> None:
        """One that gets full after its turn has missed nothing."""
        self.broadcast(1)
        told = self.heard("0-1")[0]
        self.browsers.pause(told)
        self.clock.advance(0)
        self.browsers.resume(told)
        self.assertEqual(len(self.heard("0-1")), 5)

    def test_full_for_a_sign_of_life(self) -> None:
        """One that missed what may be missed is sent no snapshot."""
        self.browsers.broadcast_lossy("alive")
        waiting = self.heard()[0]
        self.browsers.pause(waiting)
        self.browsers.resume(waiting)
        self.clock.advance(0)
        self.assertEqual(self.heard(), [waiting])

    def test_leaving_meanwhile(self) -> None:
        """One that leaves before its turn is sent nothing; the others are."""
        self.broadcast(1)
        gone = self.heard()[0]
        self.browsers.leave(gone)
        self.clock.advance(0)
        self.assertEqual((self.heard(), len(self.heard("0-1"))), ([gone], 4))

    def test_all_leave_meanwhile(self) -> None:
        """Where nobody is left who lacks a message, it has been sent."""
        done = self.broadcast(1)
        for gone in self.heard():
            self.browsers.leave(gone)
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """A browser that can't be sent a message keeps it from no other."""
        self.readers[0].poison = "0-1"
        done = self.broadcast(1)
        self.clock.advance(0)
        self.failureResultOf(done, ZeroDivisionError)
        self.assertEqual((self.heard(), len(self.heard("0-1"))), (self.readers[:1], 4))

    def test_fault_takes_others_along(self) -> None:
        """A browser that breaks when it is sent something, and ends others, breaks nothing else."""
        self.readers[0].leaving = lambda: [*map(self.browsers.leave, self.readers[1:])]
        self.broadcast(1)
        self.assertEqual((self.heard("0-1"), len(self.browsers)), (self.readers[:1], 1))

    def test_stop(self) -> None:
        """Once all are dropped nothing is sent, and no call is left."""
        self.broadcast(1)
        self.browsers.drop_all()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(self.heard("0-1", "dropped")), len(self.heard("dropped"))), (2, 3))
