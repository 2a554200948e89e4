"""Tells every browser what changes: one stream for all, each change rendered once.

The store is the truth. A wake-up only says that it may be worthwhile to read on; without any it
is read on every few seconds, because another process may write too. Knows no connection, no SQL
and no template.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.board.live.browsers import Browser, Browsers
from buildbot_http_status_push.board.live.framing import FrameMaker
from buildbot_http_status_push.board.live.update_log import KEPT, Recent
from buildbot_http_status_push.board.live.wakeup import Wakeup
from buildbot_http_status_push.board.model import Master, Position, Update
from buildbot_http_status_push.database import StorageError

POLL = 3.0
"""Seconds after which the store is looked at though nobody has said that it changed."""
GATHER = 0.1
"""Seconds between two frames at least: what happens in between travels in one."""
HEARD = 10.0
"""Seconds between two signs of life."""
READ = 2_000
"""How many updates one frame may stand for."""
BYTES_A_SECOND = 100_000_000
"""What all browsers together are sent at most; with more to tell, more is gathered in a frame."""

Message = TypeVar("Message")


class Source(Protocol):
    """What is needed of the store."""

    def position(self) -> Deferred[Position]:
        """Return where the order of updates stands."""

    def updates(self, after: int, limit: int) -> Deferred[list[Update] | None]:
        """Return the updates after a sequence, None where they are no longer known."""

    def masters(self) -> Deferred[list[Master]]:
        """Return all masters."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be told when there may be updates; returns how to end that."""


@define(eq=False)
class _Request:
    """Somebody who knows the board as it was at a position and asks what has changed since."""

    since: Position
    answer: Deferred[bytes] = field(factory=Deferred)


@define(eq=False)
class Hub(Generic[Message]):
    """Where the board's changes are made into frames and handed to browsers.

    Args:
        clock: Tells when to look, and how late it is.
        source: The store.
        maker: Makes frames.
        prepare: Makes a frame ready for the wire, once for all browsers.
        log: Where trouble is told.
    """

    _clock: IReactorTime
    _source: Source
    _maker: FrameMaker
    _prepare: Callable[[bytes], Message]
    _log: Logger = field(factory=Logger)
    observe_lag: Callable[[float], None] = field(default=lambda seconds: None, init=False)
    """Called for each change that browsers are told, with the seconds since it was accepted."""
    browsers: Browsers[Message] = field(init=False)
    position: Position = field(init=False)
    """What browsers that keep up have been told."""
    _recent: Recent = field(init=False)
    _wakeup: Wakeup = field(init=False)
    _requests: list[_Request] = field(factory=list, init=False)
    _endings: list[Callable[[], None]] = field(factory=list, init=False)
    _in_trouble: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.browsers = Browsers(self._clock.seconds, self._snapshot)
        self._wakeup = Wakeup(self._clock)
        # After a restart thousands come back at once, and nearly all ask for the same frame.
        self._prepare = lru_cache(maxsize=8)(self._prepare)

    async def start(self) -> None:
        """Begin where the store stands.

        Raises:
            StorageError: The store can't be read.
        """
        await self._begin_at(await self._source.position())
        self.position = self._recent.position
        self._endings.append(self._source.subscribe(self._wakeup.set))
        following = Deferred.fromCoroutine(self._follow())
        following.addErrback(expect_cancelling)
        self._endings.append(following.cancel)
        signs = LoopingCall(lambda: Deferred.fromCoroutine(self._give_sign()))
        signs.clock = self._clock
        signs.start(HEARD, now=False)
        self._endings.append(signs.stop)

    def stop(self) -> None:
        """Tell nothing more, and drop all browsers."""
        while self._endings:
            self._endings.pop()()
        self._refuse_requests()
        self.browsers.drop_all()

    def join(self, browser: Browser[Message], since: Position) -> Deferred[None]:
        """Let a browser in, once it can be told what it missed.

        Args:
            browser: One that knows the board as it was.
            since: When that was.

        Returns:
            Fires when the browser is in; to be cancelled where the browser leaves before.
        """
        welcomed = self.changes_since(since).addCallback(
            lambda frame: self.browsers.welcome(browser, self._prepare(frame))
        )
        return welcomed.addErrback(expect_cancelling)

    def changes_since(self, since: Position) -> Deferred[bytes]:
        """Tell what has changed.

        Args:
            since: What the asker knows already.

        Returns:
            A frame that leads from there to ``position``; one without changes where there are
            none.
        """
        request = _Request(since)
        self._requests.append(request)
        self._wakeup.set()
        return request.answer

    async def _follow(self) -> None:
        while True:
            await self._wakeup.wait(POLL)
            told = await self._turn_safely()
            await deferLater(self._clock, pause(told, len(self.browsers)))

    async def _turn_safely(self) -> int:
        try:
            return await self._turn()
        except CancelledError:
            raise
        except Exception:
            # Whoever was not told notices that the next frame does not follow, and comes back.
            self._log.failure("the board's changes could not be told to all")
            self._refuse_requests()
            return 0

    async def _turn(self) -> int:
        """Tell everyone what is new, and those who asked what they missed.

        Returns:
            How many bytes everyone was told.
        """
        requests = tuple(self._requests)
        try:
            await self._read()
            since = {self.position, *(request.since for request in requests)}
            texts = await self._maker.updates(self._recent, since)
        except StorageError as trouble:
            self._tell_trouble(trouble)
            return 0
        self._in_trouble = False
        told = self._tell_all(texts[self.position])
        del self._requests[: len(requests)]
        self._answer(requests, texts)
        return told

    async def _read(self) -> None:
        """Take in what is new in the store."""
        position = await self._source.position()
        if not self._recent.continues_to(position):
            await self._begin_at(position)
        elif position != self._recent.position:
            updates = await self._source.updates(self._recent.position.sequence, READ)
            if updates is None:
                await self._begin_at(position)
            else:
                self._recent.add(updates)

    async def _begin_at(self, position: Position) -> None:
        await self._maker.open()
        self._recent = Recent(position)
        first = max(position.sequence - KEPT, 0)
        updates = await self._source.updates(first, KEPT)
        if updates is not None:
            self._recent = Recent(Position(position.epoch, first))
            self._recent.add(updates)

    def _tell_all(self, frame: bytes) -> int:
        if self.position == self._recent.position:
            return 0
        accepted = self._recent.accepted_after(self.position)
        self.position = self._recent.position
        self.browsers.broadcast(self._prepare(frame))
        for at in accepted:
            self.observe_lag(self._clock.seconds() - at)
        return len(frame)

    def _answer(self, requests: Iterable[_Request], texts: Mapping[Position, bytes]) -> None:
        for request in requests:
            if not request.answer.called:  # whoever left has cancelled it
                request.answer.callback(texts[request.since])

    def _refuse_requests(self) -> None:
        while self._requests:
            self._requests.pop().answer.cancel()

    def _snapshot(self) -> Message:
        return self._prepare(self._maker.snapshot(self.position))

    async def _give_sign(self) -> None:
        self.browsers.drop_stalled()
        # Trouble with the store is told where its updates are read.
        with contextlib.suppress(StorageError):
            masters = await self._source.masters()
            self.browsers.broadcast_lossy(self._prepare(self._maker.heard(self.position, masters)))

    def _tell_trouble(self, trouble: StorageError) -> None:
        if not self._in_trouble:
            self._log.error(
                "the board's store can't be read ({trouble}): browsers are told of changes later",
                trouble=trouble,
            )
        self._in_trouble = True


def pause(told: int, browsers: int) -> float:
    """Tell how long to gather changes before the next frame.

    Args:
        told: The size of the last one, in bytes.
        browsers: How many were sent it.

    Returns:
        Seconds.
    """
    return max(GATHER, told * browsers / BYTES_A_SECOND)


def expect_cancelling(failure: Failure) -> None:
    """Take it that somebody no longer waits for an answer.

    Args:
        failure: How the answer's Deferred ended.
    """
    failure.trap(CancelledError)
