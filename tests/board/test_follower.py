"""What keeps the incidents up, over a store that is behind, or fails."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from support.fakes import LogBook
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.follower import AFTER_TROUBLE, EVERY, IncidentFollower
from buildbot_http_status_push.board.store.following import Followed
from buildbot_http_status_push.database import StorageError

END, MORE = Followed(version=1), Followed(version=1, is_at_end=False)


@define
class Answering:
    """A store that answers as a test wants; at its end it has read all."""

    answers: list[Followed | Exception | Deferred[Followed]] = field(factory=list)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call nobody: the test lets time pass."""
        return lambda: None

    def follow(self) -> Deferred[Followed]:
        """Answer."""
        answer = self.answers.pop(0) if self.answers else END
        if isinstance(answer, Deferred):
            return answer
        return fail(answer) if isinstance(answer, Exception) else succeed(answer)


class FollowerTest(SynchronousTestCase):
    """A follower."""

    def setUp(self) -> None:
        """Start one that has read all."""
        self.clock, self.store, self.book = Clock(), Answering(), LogBook()
        self.follower = IncidentFollower(self.clock, self.store, self.book.log)  # type: ignore[arg-type]  # what it needs of one
        self.follower.start()
        self.clock.advance(0)
        self.assertTrue(self.follower.is_at_end)
        self.calls: list[bool] = []
        self.follower.subscribe(lambda: self.calls.append(self.follower.is_at_end))

    def test_behind(self) -> None:
        """While what was stored meanwhile is read, what is known of incidents is not yet true."""
        rest: Deferred[Followed] = Deferred()
        self.store.answers = [StorageError("gone"), MORE, rest]
        self.clock.advance(EVERY)
        self.assertFalse(self.follower.is_at_end)
        self.clock.advance(AFTER_TROUBLE)
        self.assertEqual((self.follower.is_at_end, self.calls), (False, []))
        rest.callback(END)
        self.assertEqual((self.follower.is_at_end, self.calls), (True, [True]))

    def test_mistake(self) -> None:
        """An error of ours is logged once, the follower tries again, and can be stopped."""
        self.store.answers = [ValueError("odd"), ValueError("odd")]
        self.clock.advance(EVERY)
        self.clock.advance(AFTER_TROUBLE)
        self.assertFalse(self.follower.is_at_end)
        self.clock.advance(AFTER_TROUBLE)
        self.assertTrue(self.follower.is_at_end)
        self.assertEqual(self.book.levels, ["critical", "info"])
        self.successResultOf(Deferred.fromCoroutine(self.follower.stop()))
