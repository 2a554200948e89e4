"""Sends every browser what changes: one stream for all, each change rendered once.

The store is the truth. A wake-up only says that there may be something to read; without any, the
store is read every few seconds, because another process may write too. Knows no connection, no SQL
and no template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.board.live import frames
from buildbot_http_status_push.board.live.browsers import Browser, Browsers
from buildbot_http_status_push.board.live.frames import Change, Fragment, Summary
from buildbot_http_status_push.board.live.update_log import KEPT, Changed, UpdateLog, merged
from buildbot_http_status_push.board.model import Master, Position, Update
from buildbot_http_status_push.database import StorageError

POLL = 3.0
"""Seconds after which the store is read though nothing has said that it changed."""
GATHER = 0.1
"""Seconds between two frames at least: what happens in between travels in one."""
HEARD = 10.0
"""Seconds between two signs of life."""
READ = 2_000
"""How many updates one frame may stand for."""
MOST_STARTS = 8
"""How many different frames one turn makes for those who ask."""
BYTES_A_SECOND = 100_000_000
"""What all browsers together are sent at most; with more to send, more is gathered in a frame."""

Message = TypeVar("Message")


class Source(Protocol):
    """What is needed of the store."""

    @property
    def is_storing(self) -> bool:
        """Whether statuses can be written."""

    @property
    def known_changes(self) -> int:
        """How often the known failures have changed."""

    def position(self) -> Deferred[Position]:
        """Return the position of the latest update."""

    def updates(self, after: int, limit: int) -> Deferred[list[Update] | None]:
        """Return the updates after a sequence, None where they are no longer known."""

    def masters(self) -> Deferred[list[Master]]:
        """Return all masters."""

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when there may be updates; returns how to end that."""


class Renderer(Protocol):
    """What is needed of the templates."""

    async def open(self) -> None:
        """Read the whole board, so that it can be summed up; may raise ``StorageError``."""

    async def render(self, changed: Changed, sequence: int) -> tuple[Change, ...]:
        """Return the changes of builders up to a sequence; may raise ``StorageError``."""

    def shared_since(self, sequence: int) -> tuple[Fragment, ...]:
        """Return what was rendered for later sequences and stands for no single builder."""

    @property
    def summary(self) -> Summary:
        """The board in numbers, after the latest rendering."""


@define(eq=False)
class _Request:
    """A request for what has changed since a position."""

    since: Position
    answer: Deferred[bytes] = field(factory=Deferred)


@define(eq=False)
class Wakeup:
    """An event that resets itself, for one that waits."""

    _clock: IReactorTime
    _is_set: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def set(self) -> None:
        """Wake who waits, or who does so next."""
        self._is_set = True
        self._wake()

    async def wait(self, timeout: float) -> None:
        """Wait until it is set, and reset it."""
        if not self._is_set:
            call = self._clock.callLater(timeout, self._wake)
            await self._woken(call)
        self._is_set = False

    async def _woken(self, call: IDelayedCall) -> None:
        self._waiting = Deferred()
        try:
            await self._waiting
        finally:
            self._waiting = None
            if call.active():
                call.cancel()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)


@define(eq=False)
class Hub(Generic[Message]):
    """Where the board's changes are made into frames and sent to browsers."""

    _clock: IReactorTime
    _source: Source
    _renderer: Renderer
    _prepare: Callable[[bytes], Message]
    _log: Logger = field(factory=Logger)
    observe_lag: Callable[[float], None] = field(default=lambda seconds: None, init=False)
    """Called for each change that browsers are sent, with the seconds since it was accepted."""
    browsers: Browsers[Message] = field(init=False)
    _updates: UpdateLog = field(init=False)
    _wakeup: Wakeup = field(init=False)
    _requests: list[_Request] = field(factory=list, init=False)
    _endings: list[Callable[[], None]] = field(factory=list, init=False)
    _store_failed: bool = field(default=False, init=False)
    _known_changes: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.browsers = Browsers(self._clock, self._snapshot)
        self._wakeup = Wakeup(self._clock)
        # After a restart thousands come back at once, and nearly all ask for the same frame.
        self._prepare = lru_cache(maxsize=8)(self._prepare)

    async def start(self) -> None:
        """Start at the store's position.

        Raises:
            StorageError: The store can't be read.
        """
        self._known_changes = self._source.known_changes
        await self._start_at(await self._source.position())
        self.browsers.broadcast(self._updates.position, lambda _: self._snapshot())
        self._endings.append(self._source.subscribe(self._wakeup.set))
        following = Deferred.fromCoroutine(self._follow())
        following.addErrback(expect_cancelling)
        self._endings.append(following.cancel)
        signs = LoopingCall(lambda: Deferred.fromCoroutine(self._send_sign_of_life()))
        signs.clock = self._clock
        signs.start(HEARD, now=False)
        self._endings.append(signs.stop)

    def stop(self) -> None:
        """Send nothing more, and drop all browsers."""
        while self._endings:
            self._endings.pop()()
        self._cancel_requests()
        self.browsers.drop_all()

    def join(self, browser: Browser[Message], since: Position) -> Deferred[None]:
        """Let a browser in, once what it missed can be sent.

        Returns:
            Fires when the browser is in; to be cancelled where the browser leaves before.
        """
        welcomed = self.changes_since(since).addCallback(
            lambda frame: self.browsers.welcome(browser, self._prepare(frame))
        )
        return welcomed.addErrback(expect_cancelling)

    def changes_since(self, since: Position) -> Deferred[bytes]:
        """Return what has changed since a position.

        Returns:
            A frame that leads from there to ``position``; one without changes where there are
            none.
        """
        request = _Request(since)
        self._requests.append(request)
        self._wakeup.set()
        return request.answer

    @property
    def position(self) -> Position:
        """The position of browsers that have been sent everything."""
        return self.browsers.position

    @property
    def is_storing(self) -> bool:
        """Whether the board can write what it is sent."""
        return self._source.is_storing

    async def _follow(self) -> None:
        while True:
            await self._wakeup.wait(POLL)
            sent = await self._turn_safely()
            await deferLater(self._clock, pause(sent, len(self.browsers)))

    async def _turn_safely(self) -> int:
        try:
            return await self._turn()
        except CancelledError:
            raise
        except Exception:
            # A browser that was left out notices that the next frame does not follow, and rejoins.
            self._log_fault()
            self._cancel_requests()
            return 0

    async def _turn(self) -> int:
        """Send what is new to all, and what was missed to those who asked.

        Returns:
            How many bytes each browser was sent.
        """
        requests = tuple(self._requests)
        try:
            await self._read()
            await self._look_for_known()
            asked = {request.since for request in requests}
            # Browsers that wait for their turn need other frames only where there is more.
            is_new = self.position != self._updates.position
            starts = self._starts(asked | (self.browsers.positions if is_new else set()))
            texts = await self._frames_since(set(starts.values()))
        except StorageError as error:
            self._log_error(error)
            return 0
        if self._store_failed:
            self._store_failed = False
            self._log.info("live: reading the database works again")
        sent = self._broadcast_updates({each: texts[start] for each, start in starts.items()})
        del self._requests[: len(requests)]
        for request in requests:
            if not request.answer.called:  # else its asker has left and cancelled it
                request.answer.callback(texts[starts[request.since]])
        return sent

    async def _read(self) -> None:
        """Read what is new in the store."""
        position = await self._source.position()
        if not self._updates.continues_to(position):
            await self._start_at(position)
        elif position != self._updates.position:
            updates = await self._source.updates(self._updates.position.sequence, READ)
            if updates is None:
                await self._start_at(position)
            else:
                self._updates.add(updates)

    async def _look_for_known(self) -> None:
        """Let all browsers fetch their pages where other failures are known than before."""
        changes = self._source.known_changes
        if changes != self._known_changes:
            await self._renderer.open()
            self._known_changes = changes
            self._updates = UpdateLog(self._updates.position)  # who comes back fetches its page
            snapshot = self._snapshot()
            await self.browsers.broadcast(self.position, lambda _: snapshot)

    async def _start_at(self, position: Position) -> None:
        await self._renderer.open()
        self._updates = UpdateLog(position)
        first = max(position.sequence - KEPT, 0)
        updates = await self._source.updates(first, KEPT)
        if updates is not None:
            self._updates = UpdateLog(Position(position.epoch, first))
            self._updates.add(updates)

    def _starts(self, positions: AbstractSet[Position]) -> dict[Position, Position]:
        """Return where to start a frame for each position: there, or before it if they are many.

        A browser takes what it knows already without harm. Those that are out of reach are all
        sent the same.
        """
        reached = sorted(filter(self._updates.reaches, positions), key=attrgetter("sequence"))
        together = max(-(-len(reached) // MOST_STARTS), 1)
        others = positions - set(reached)
        return {
            **{each: reached[place - place % together] for place, each in enumerate(reached)},
            **dict.fromkeys(others, next(iter(others), self.position)),
        }

    async def _frames_since(self, positions: Collection[Position]) -> dict[Position, bytes]:
        """Return the frames that lead from positions to the latest, each change rendered once."""
        since = {position: self._updates.changed_since(position) for position in positions}
        try:
            together = merged(filter(None, since.values()))
            changes = await self._renderer.render(together, self._updates.position.sequence)
        except (StorageError, CancelledError):
            raise
        except Exception:
            # One change that can't be rendered must not end the stream.
            self._log.failure("live: rendering changes failed; browsers fetch their pages instead")
            since, changes = dict.fromkeys(since), ()
        by_builder = {change.builder.id: change for change in changes}
        return {
            position: self._frame(position, changed, by_builder)
            for position, changed in since.items()
        }

    def _frame(
        self, since: Position, changed: Changed | None, changes: Mapping[int, Change]
    ) -> bytes:
        position, now = self._updates.position, self._clock.seconds()
        if changed is None:
            return frames.snapshot(position, now)
        found = [changes[builder] for builder in changed if builder in changes]
        shared = self._renderer.shared_since(since.sequence)
        summary, is_storing = self._renderer.summary, self._source.is_storing
        return frames.updates(since.sequence, position, found, shared, summary, now, is_storing)

    def _broadcast_updates(self, texts: Mapping[Position, bytes]) -> int:
        position = self._updates.position
        if self.position == position:
            return 0
        accepted = self._updates.accepted_after(self.position)
        sent = len(texts[self.position])
        reached = self.browsers.broadcast(position, lambda since: self._prepare(texts[since]))
        reached.addCallbacks(lambda _: self._observe(accepted), self._log_fault)
        return sent

    def _observe(self, accepted: Sequence[float]) -> None:
        for at in accepted:
            self.observe_lag(self._clock.seconds() - at)

    def _cancel_requests(self) -> None:
        while self._requests:
            self._requests.pop().answer.cancel()

    def _snapshot(self) -> Message:
        return self._prepare(frames.snapshot(self.position, self._clock.seconds()))

    async def _send_sign_of_life(self) -> None:
        self.browsers.drop_stalled()
        try:
            masters = await self._source.masters()
            now, is_storing = self._clock.seconds(), self._source.is_storing
            frame = frames.heard(self.position, masters, now, is_storing)
            self.browsers.broadcast_lossy(self._prepare(frame)).addErrback(self._log_fault)
        except StorageError:
            return  # `_turn` logs it
        except Exception:
            self._log_fault()

    def _log_fault(self, failure: Failure | None = None) -> None:
        self._log.failure(
            "live: sending changes failed; browsers that missed them reconnect", failure=failure
        )

    def _log_error(self, error: StorageError) -> None:
        if not self._store_failed:
            self._log.error(
                "live: reading the database failed: {error}; browsers get changes when it works "
                "again",
                error=error,
            )
        self._store_failed = True


def pause(sent: int, browsers: int) -> float:
    """Return the seconds between two frames, by the bytes of one and the number of browsers."""
    return max(GATHER, sent * browsers / BYTES_A_SECOND)


def expect_cancelling(failure: Failure) -> None:
    """Accept that an answer is no longer needed."""
    failure.trap(CancelledError)
