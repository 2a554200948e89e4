"""Messages to many browsers: in slices, in order, and none twice or left out."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.live import browsers
from buildbot_http_status_push.board.live.browsers import Browsers


@define(eq=False)
class Reader:
    """A browser that keeps what it is sent; a message of its own may break it."""

    messages: list[str] = field(factory=list)
    poison: str = "poison"

    def send(self, message: str) -> None:
        """Keep a message."""
        if message == self.poison:
            raise ZeroDivisionError(message)
        self.messages.append(message)

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

    def heard(self, *messages: str) -> list[Reader]:
        """Return the browsers that were sent just these after the first one."""
        return [each for each in self.readers if each.messages == ["hello", *messages]]

    def test_in_slices(self) -> None:
        """What else the reactor has to do is done between two slices."""
        between: list[int] = []
        self.clock.callLater(0, lambda: between.append(len(self.heard("a"))))
        done = self.browsers.broadcast("a")
        self.assertEqual(len(self.heard("a")), 2)
        self.assertNoResult(done)
        self.clock.advance(0)
        self.successResultOf(done)
        self.assertEqual((between, len(self.heard("a"))), ([2], 5))

    def test_order(self) -> None:
        """Every browser gets all messages in their order, of whatever kind."""
        last = [self.browsers.broadcast("a"), self.browsers.broadcast_lossy("b")][-1]
        last = self.browsers.broadcast("c")
        self.clock.advance(0)
        self.successResultOf(last)
        self.assertEqual(len(self.heard("a", "b", "c")), 5)

    def test_joining_meanwhile(self) -> None:
        """A browser that is let in meanwhile is not sent what its first message covers."""
        self.browsers.broadcast("a")
        late = Reader()
        self.browsers.welcome(late, "all up to a")
        self.clock.advance(0)
        self.assertEqual(late.messages, ["all up to a"])

    def test_full_meanwhile(self) -> None:
        """A browser that gets full before its turn missed the message, and is sent a snapshot."""
        self.browsers.broadcast("a")
        waiting = self.heard()[0]
        self.browsers.pause(waiting)
        self.clock.advance(0)
        self.assertEqual(self.heard(), [waiting])
        self.browsers.resume(waiting)
        self.assertEqual(self.heard("snapshot"), [waiting])

    def test_full_afterwards(self) -> None:
        """One that gets full after its turn has missed nothing."""
        self.browsers.broadcast("a")
        told = self.heard("a")[0]
        self.browsers.pause(told)
        self.clock.advance(0)
        self.browsers.resume(told)
        self.assertEqual(len(self.heard("a")), 5)

    def test_full_for_a_sign_of_life(self) -> None:
        """One that missed what may be missed is sent no snapshot."""
        self.browsers.broadcast_lossy("a")
        waiting = self.heard()[0]
        self.browsers.pause(waiting)
        self.browsers.resume(waiting)
        self.clock.advance(0)
        self.assertEqual(self.heard(), [waiting])

    def test_leaving_meanwhile(self) -> None:
        """One that leaves before its turn is sent nothing; the others are."""
        self.browsers.broadcast("a")
        gone = self.heard()[0]
        self.browsers.leave(gone)
        self.clock.advance(0)
        self.assertEqual((self.heard(), len(self.heard("a"))), ([gone], 4))

    def test_fault(self) -> None:
        """A browser that can't be sent a message keeps it from no other."""
        self.readers[0].poison = "a"
        done = self.browsers.broadcast("a")
        self.clock.advance(0)
        self.failureResultOf(done, ZeroDivisionError)
        self.assertEqual((self.heard(), len(self.heard("a"))), (self.readers[:1], 4))

    def test_stop(self) -> None:
        """Once all are dropped nothing is sent, and no call is left."""
        self.browsers.broadcast("a")
        self.browsers.drop_all()
        self.clock.advance(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(self.heard("a", "dropped")), len(self.heard("dropped"))), (2, 3))
