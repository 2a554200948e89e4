"""Gathers what is asked for while one transaction is under way into the next one.

A commit costs the same for one status as for a hundred. Knows no SQL and no table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@define(eq=False)
class GroupCommit(Generic[Item, Answer]):
    """Carries out what is asked for, all that has gathered at once.

    Args:
        commit: Carries out some, in order; fires with the answer to each, or fails for all.
    """

    _commit: Callable[[Sequence[Item]], Deferred[list[Answer]]]
    _waiting: list[tuple[Item, Deferred[Answer]]] = field(factory=list, init=False)
    _busy: Deferred[None] | None = field(default=None, init=False)

    def ask(self, what: Item) -> Deferred[Answer]:
        """Ask for something.

        Returns:
            Fires with the answer once it is committed.
        """
        done: Deferred[Answer] = Deferred()
        self._waiting.append((what, done))
        self._next()
        return done

    def idle(self) -> Deferred[None]:
        """Wait until all that was asked for is done."""
        done: Deferred[None] = Deferred()
        if self._busy is None:
            done.callback(None)
        else:
            self._busy.addCallback(lambda _: done.callback(None))
        return done

    def _next(self) -> None:
        if self._busy is None and self._waiting:
            self._busy = Deferred()
            self._begin()

    def _begin(self) -> None:
        batch, self._waiting = self._waiting, []
        job = self._commit([what for what, _ in batch])
        job.addCallbacks(_succeed, _fail, callbackArgs=(batch,), errbackArgs=(batch,))
        job.addCallback(lambda _: self._done())

    def _done(self) -> None:
        if self._waiting:
            self._begin()
            return
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.callback(None)


def _succeed(answers: list[Any], batch: Sequence[tuple[Any, Deferred[Any]]]) -> None:
    for (_, done), answer in zip(batch, answers, strict=True):
        done.callback(answer)


def _fail(failure: Failure, batch: Sequence[tuple[Any, Deferred[Any]]]) -> None:
    for _, done in batch:
        done.errback(failure)
