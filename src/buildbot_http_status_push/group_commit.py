"""Gathers what is asked for while one transaction is under way into the next one.

A commit costs the same for one status as for a hundred. Knows no SQL and no table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_Batch: TypeAlias = Sequence[tuple[Item, Deferred[Answer]]]


@define(eq=False)
class GroupCommit(Generic[Item, Answer]):
    """Carries out what is asked for, all that has gathered at once.

    Args:
        clock: The time.
        commit: Carries out some, in order; returns the answer to each, or raises for all.
        is_of_one: Returns whether one of them is at fault for a failure: each is tried alone then.
        gather: Seconds from the end of a transaction to the next one, which carries out all that is
            asked for meanwhile; 0 to begin at once.
    """

    _clock: IReactorTime
    _commit: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]]
    _is_of_one: Callable[[Failure], bool] = lambda _: False
    _gather: float = 0.0
    _waiting: list[tuple[Item, Deferred[Answer]]] = field(factory=list, init=False)
    _busy: Deferred[None] | None = field(default=None, init=False)
    _gathering: IDelayedCall | None = field(default=None, init=False)
    _last_end: float = field(default=float("-inf"), init=False)

    def ask(self, what: Item) -> Deferred[Answer]:
        """Ask for something; fires with the answer once it is committed."""
        done: Deferred[Answer] = Deferred()
        self._waiting.append((what, done))
        if self._busy is None:
            self._busy = Deferred()
            self._begin_soon()
        elif self._gathering and self._gathering.getTime() > self._clock.seconds() + self._gather:
            self._gathering.reset(0)  # the clock was set back: it would wait for as long
        return done

    def idle(self) -> Deferred[None]:
        """Wait until all that was asked for is done."""
        done: Deferred[None] = Deferred()
        if self._busy is None:
            done.callback(None)
        else:
            self._busy.addCallback(lambda _: done.callback(None))
        return done

    def _begin_soon(self) -> None:
        if self._gather:
            # Never now: what belongs together is asked for in one go.
            left = self._last_end + self._gather - self._clock.seconds()
            wait = min(max(left, 0.0), self._gather)  # whatever happens to the clock
            self._gathering = self._clock.callLater(wait, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._gathering = None
        batch, self._waiting = self._waiting, []
        working = Deferred.fromCoroutine(self._work(batch))
        working.addCallback(lambda _: self._done())

    async def _work(self, batch: _Batch[Item, Answer]) -> None:
        failure = await self._commit_all(batch)
        if failure is None:
            return
        if len(batch) == 1 or not self._is_of_one(failure):
            _fail(failure, batch)
            return
        # One of them is at fault, and must not take the others with it.
        for place, each in enumerate(batch):
            failure = await self._commit_all([each])
            if failure is None:
                continue
            if not self._is_of_one(failure):
                _fail(failure, batch[place:])
                return
            _fail(failure, [each])

    async def _commit_all(self, batch: _Batch[Item, Answer]) -> Failure | None:
        try:
            answers = await self._commit([what for what, _ in batch])
        except Exception:
            return Failure()
        for (_, done), answer in zip(batch, answers, strict=True):
            done.callback(answer)
        return None

    def _done(self) -> None:
        self._last_end = self._clock.seconds()
        if self._waiting:
            self._begin_soon()
            return
        busy, self._busy = self._busy, None
        if busy is not None:
            busy.callback(None)


def _fail(failure: Failure, batch: _Batch[Any, Any]) -> None:
    for _, done in batch:
        done.errback(failure)
