"""The browsers that watch, how far each has got, and which of them keep up.

Knows no connection: a browser is whatever accepts messages. What a browser does not read costs
nothing: it is sent no more until it has read all, and then a message that makes it fetch its page.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Generic, Protocol, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from buildbot_http_status_push.board.model import Position

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
class _Stand(Generic[Message]):
    """How far some browsers have got, and what leads them from there to the latest change."""

    position: Position
    broadcasts: int
    """How many broadcasts that no browser may miss there were until here."""
    message: Message | None = field(default=None, init=False)
    reached: Deferred[None] = field(factory=Deferred, init=False)
    """Fires when no browser is behind."""


@define
class _Full(Generic[Message]):
    """Since when a browser's buffer has been full, and how far it had got."""

    since: float
    stand: _Stand[Message]


@define(eq=False)
class Browsers(Generic[Message]):
    """All browsers that watch, in the order of their turns.

    In its turn a browser is sent all that it has not got yet. So a change reaches all of them
    within one round, also while an earlier one is on its way. Requests are answered in between.

    Args:
        clock: Has the turns of the reactor.
        snapshot: Makes the message for a browser that missed something.
    """

    _clock: IReactorTime
    _snapshot: Callable[[], Message]
    _stands: deque[_Stand[Message]] = field(init=False)
    """Where browsers stand, the oldest first; at the last one are those that have got all."""
    _turns: OrderedDict[Browser[Message], _Stand[Message]] = field(factory=OrderedDict, init=False)
    _full: dict[Browser[Message], _Full[Message]] = field(factory=dict, init=False)
    _next_slice: IDelayedCall | None = field(default=None, init=False)
    _fault: Failure | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._stands = deque([_Stand(Position("", 0), 0)])

    def __len__(self) -> int:
        return len(self._turns) + len(self._full)

    @property
    def behind(self) -> int:
        """How many do not read what they are sent."""
        return len(self._full)

    @property
    def position(self) -> Position:
        """The position of browsers that have been sent everything."""
        return self._stands[-1].position

    @property
    def positions(self) -> set[Position]:
        """The positions of all browsers that keep up."""
        return {each.position for each in self._stands}

    def welcome(self, browser: Browser[Message], message: Message) -> None:
        """Let a browser in, with a message that leads to ``position``."""
        self._turns[browser] = self._stands[-1]
        browser.send(message)

    def leave(self, browser: Browser[Message]) -> None:
        """Forget a browser."""
        self._turns.pop(browser, None)
        self._full.pop(browser, None)

    def broadcast(
        self, position: Position, message: Callable[[Position], Message]
    ) -> Deferred[None]:
        """Send all browsers what leads to a position; none may miss it.

        Args:
            position: The position.
            message: Returns the message for browsers at one of ``positions``.

        Returns:
            Fires when all have been sent it, with what a browser raised, if one did.
        """
        for stand in self._stands:
            stand.message = message(stand.position)
        return self._begin(_Stand(position, self._stands[-1].broadcasts + 1))

    def broadcast_lossy(self, message: Message) -> Deferred[None]:
        """Send a message that may be missed to browsers that have got everything else."""
        head = self._stands[-1]
        head.message = message
        return self._begin(_Stand(head.position, head.broadcasts))

    def pause(self, browser: Browser[Message]) -> None:
        """Send a browser no more: its buffer is full."""
        stand = self._turns.pop(browser, None)
        if stand is not None:
            self._full[browser] = _Full(self._clock.seconds(), stand)

    def resume(self, browser: Browser[Message]) -> None:
        """Go on with a browser that has read all it was sent."""
        full = self._full.pop(browser, None)
        if full is None:
            return
        head = self._stands[-1]
        self._turns[browser] = head
        if full.stand.broadcasts != head.broadcasts:
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
        if self._next_slice is not None:
            self._next_slice.cancel()
            self._next_slice = None
        for browser in (*self._turns, *self._full):
            self.leave(browser)
            browser.drop()
        self._pass_stands()

    def _begin(self, head: _Stand[Message]) -> Deferred[None]:
        self._stands.append(head)
        if self._next_slice is None:
            self._send_slice()
        return head.reached

    def _send_slice(self) -> None:
        self._next_slice = None
        for browser, stand in tuple(islice(self._turns.items(), SLICE)):
            if stand.message is None:
                break
            if self._turns.get(browser) is not stand:
                continue  # it has left, or got full, while another one was sent something
            self._turns[browser] = self._stands[-1]
            self._turns.move_to_end(browser)
            try:
                browser.send(stand.message)
            except Exception:
                self._fault = Failure()
        self._pass_stands()
        if len(self._stands) > 1:
            self._next_slice = self._clock.callLater(0, self._send_slice)

    def _pass_stands(self) -> None:
        """Drop the stands that all browsers have left behind."""
        oldest = next(iter(self._turns.values()), self._stands[-1])
        while self._stands[0] is not oldest:
            self._stands.popleft()
            fault, self._fault = self._fault, None
            self._stands[0].reached.callback(fault)
