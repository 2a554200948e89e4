"""A thread of the test's own, which runs when the test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred


class LaterThread:
    """Runs functions when the test says so, as another thread does in its own time."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.is_held = False

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Run a function, at once unless all is held."""
        if not self.is_held:
            return maybeDeferred(function, *arguments)
        done: Deferred[Any] = Deferred()
        self.waiting.append((partial(function, *arguments), done))
        return done

    def step(self) -> None:
        """Run what was asked for first."""
        function, done = self.waiting.pop(0)
        maybeDeferred(function).chainDeferred(done)


async def at_once(work: Iterator[object]) -> None:
    """Do all of some work without letting anything else happen in between."""
    for _ in work:
        pass
