"""The browsers that watch, and which of them keep up.

Knows no connection: a browser is whatever accepts messages. What a browser does not read costs
nothing: it is sent no more until it has read all, and then a message that makes it fetch its page.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

PATIENCE = 60.0
"""For how many seconds a browser may read nothing before it is dropped."""
SLICE = 250
"""How many browsers are sent a message before the reactor's other work has its turn."""

Message = TypeVar("Message")
Accepted = TypeVar("Accepted", contravariant=True)


class Browser(Protocol[Accepted]):
    """A browser as the board sees it; each is equal to itself only."""

    def send(self, message: Accepted) -> None:
        """Send a message that other browsers are sent too."""

    def drop(self) -> None:
        """End the connection at once."""


@define(eq=False)
class _Broadcast(Generic[Message]):
    """A message, and the browsers that it has yet to be sent to."""

    message: Message
    is_lossy: bool
    pending: dict[Browser[Message], None]
    done: Deferred[None] = field(factory=Deferred, init=False)
    fault: Failure | None = field(default=None, init=False)


@define
class _Full:
    """Since when a browser's buffer has been full, and the last broadcast that it was sent."""

    since: float
    last: int


@define(eq=False)
class Browsers(Generic[Message]):
    """All browsers that watch.

    A message is sent in slices, and the next one after it: so all browsers get the same ones in
    the same order, and requests are answered in between.
    """

    _clock: IReactorTime
    _snapshot: Callable[[], Message]
    _keeping_up: set[Browser[Message]] = field(factory=set, init=False)
    _full: dict[Browser[Message], _Full] = field(factory=dict, init=False)
    _last: int = field(default=0, init=False)
    """The number of the last broadcast that no browser may miss."""
    _queue: deque[_Broadcast[Message]] = field(factory=deque, init=False)
    _next_slice: IDelayedCall | None = field(default=None, init=False)

    def __len__(self) -> int:
        return len(self._keeping_up) + len(self._full)

    @property
    def behind(self) -> int:
        """How many do not read what they are sent."""
        return len(self._full)

    def welcome(self, browser: Browser[Message], message: Message) -> None:
        """Let a browser in."""
        self._keeping_up.add(browser)
        browser.send(message)

    def leave(self, browser: Browser[Message]) -> None:
        """Forget a browser."""
        self._keeping_up.discard(browser)
        self._full.pop(browser, None)
        self._withdraw(browser)

    def broadcast(self, message: Message) -> Deferred[None]:
        """Send a message that no browser may miss.

        Returns:
            Fires when all have been sent it, with what a browser raised, if one did. The caller
            waits with the next one: messages that have not been sent are kept, however many.
        """
        self._last += 1
        return self._enqueue(message, is_lossy=False)

    def broadcast_lossy(self, message: Message) -> Deferred[None]:
        """Send a message that may be missed."""
        return self._enqueue(message, is_lossy=True)

    def pause(self, browser: Browser[Message]) -> None:
        """Send a browser no more: its buffer is full."""
        if browser in self._keeping_up:
            self._keeping_up.remove(browser)
            missed = self._withdraw(browser)
            self._full[browser] = _Full(self._clock.seconds(), self._last - missed)

    def resume(self, browser: Browser[Message]) -> None:
        """Go on with a browser that has read all it was sent."""
        full = self._full.pop(browser, None)
        if full is None:
            return
        self._keeping_up.add(browser)
        if full.last != self._last:
            browser.send(self._snapshot())

    def drop_stalled(self) -> None:
        """Drop browsers that have read nothing for too long."""
        now = self._clock.seconds()
        late = [browser for browser, full in self._full.items() if now - full.since >= PATIENCE]
        for browser in late:
            self.leave(browser)
            browser.drop()

    def drop_all(self) -> None:
        """Drop everyone, and send nothing more."""
        self._queue.clear()
        if self._next_slice is not None:
            self._next_slice.cancel()
            self._next_slice = None
        for browser in (*self._keeping_up, *self._full):
            self.leave(browser)
            browser.drop()

    def _enqueue(self, message: Message, *, is_lossy: bool) -> Deferred[None]:
        broadcast = _Broadcast(message, is_lossy, dict.fromkeys(self._keeping_up))
        self._queue.append(broadcast)
        if self._next_slice is None:
            self._send_slice()
        return broadcast.done

    def _send_slice(self) -> None:
        self._next_slice = None
        broadcast = self._queue[0]
        pending, message = broadcast.pending, broadcast.message
        for _ in range(min(SLICE, len(pending))):
            browser, _ = pending.popitem()
            try:
                browser.send(message)
            except Exception:
                broadcast.fault = Failure()
        if not pending:
            self._queue.popleft()
        if self._queue:
            self._next_slice = self._clock.callLater(0, self._send_slice)
        if not pending:
            broadcast.done.callback(broadcast.fault)

    def _withdraw(self, browser: Browser[Message]) -> int:
        """Send a browser no broadcast of the queue; returns how many it may not miss."""
        missed = 0
        for broadcast in self._queue:
            if browser in broadcast.pending:
                del broadcast.pending[browser]
                missed += not broadcast.is_lossy
        return missed
