"""Runs functions in another thread, one at a time, whoever still waits for their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredLock

T = TypeVar("T")


@define(eq=False)
class Serial:
    """Runs one function at a time.

    A thread can't be stopped. So whoever cancels what it was given leaves, and the next function
    still begins only when the thread has ended: they share a connection, and two threads on one
    connection crash the interpreter.

    Args:
        in_thread: Runs a function in another thread, like ``twisted.internet.threads``.
    """

    _in_thread: Callable[..., Deferred[Any]]
    _lock: DeferredLock = field(factory=DeferredLock, init=False)

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Run a function when those before it have ended.

        Returns:
            Fires with what the function returned, or fails as it did. Once it is cancelled, a
            function that has not begun is left out.
        """
        answer: Deferred[T] = Deferred()
        self._lock.run(self._begin, answer, function, arguments)
        return answer

    def _begin(
        self, answer: Deferred[T], function: Callable[..., T], arguments: tuple[Any, ...]
    ) -> Deferred[Any] | None:
        if answer.called:  # whoever asked has left
            return None
        return self._in_thread(function, *arguments).chainDeferred(answer)
