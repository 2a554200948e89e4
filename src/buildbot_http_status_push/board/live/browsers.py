"""The browsers that watch, and which of them keep up.

Knows no connection: a browser is whatever takes messages. What a browser does not take costs
nothing: it is sent no more until it has taken all, and is then told to look for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from attrs import define, field

PATIENCE = 60.0
"""For how many seconds a browser may take nothing before it is dropped."""

Message = TypeVar("Message")
Taken = TypeVar("Taken", contravariant=True)


class Browser(Protocol[Taken]):
    """A browser as the board sees it; each is equal to itself only."""

    def send(self, message: Taken) -> None:
        """Send a message that other browsers are sent too.

        Args:
            message: The message, ready for the wire.
        """

    def drop(self) -> None:
        """End the connection at once."""


@define
class _Full:
    """Since when a browser's buffer has been full, and how much had been told by then."""

    since: float
    told: int


@define(eq=False)
class Browsers(Generic[Message]):
    """All browsers that watch.

    Args:
        seconds: Returns the time in seconds.
        snapshot: Makes the message that tells a browser to look for itself.
    """

    _seconds: Callable[[], float]
    _snapshot: Callable[[], Message]
    _keeping_up: set[Browser[Message]] = field(factory=set, init=False)
    _full: dict[Browser[Message], _Full] = field(factory=dict, init=False)
    _told: int = field(default=0, init=False)

    def __len__(self) -> int:
        return len(self._keeping_up) + len(self._full)

    @property
    def behind(self) -> int:
        """How many do not take what they are sent."""
        return len(self._full)

    def welcome(self, browser: Browser[Message], message: Message) -> None:
        """Let a browser in.

        Args:
            browser: It is told everything from now on.
            message: What it has to know first.
        """
        self._keeping_up.add(browser)
        browser.send(message)

    def leave(self, browser: Browser[Message]) -> None:
        """Forget a browser.

        Args:
            browser: One that may be unknown.
        """
        self._keeping_up.discard(browser)
        self._full.pop(browser, None)

    def broadcast(self, message: Message) -> None:
        """Tell something that nobody may miss.

        Args:
            message: Who can't be sent it is told to look for itself later.
        """
        self._told += 1
        self.broadcast_lossy(message)

    def broadcast_lossy(self, message: Message) -> None:
        """Tell something that may be missed.

        Args:
            message: It is sent to those who keep up.
        """
        # Sending may fill a browser's buffer, or lose it.
        for browser in tuple(self._keeping_up):
            browser.send(message)

    def pause(self, browser: Browser[Message]) -> None:
        """Send a browser no more: its buffer is full.

        Args:
            browser: One that may be unknown.
        """
        if browser in self._keeping_up:
            self._keeping_up.remove(browser)
            self._full[browser] = _Full(self._seconds(), self._told)

    def resume(self, browser: Browser[Message]) -> None:
        """Go on with a browser that has taken all it was sent.

        Args:
            browser: One that may be unknown.
        """
        full = self._full.pop(browser, None)
        if full is None:
            return
        self._keeping_up.add(browser)
        if full.told != self._told:
            browser.send(self._snapshot())

    def drop_stalled(self) -> None:
        """Drop who has taken nothing for too long."""
        now = self._seconds()
        late = [browser for browser, full in self._full.items() if now - full.since >= PATIENCE]
        for browser in late:
            self.leave(browser)
            browser.drop()

    def drop_all(self) -> None:
        """Drop everyone."""
        for browser in (*self._keeping_up, *self._full):
            self.leave(browser)
            browser.drop()
