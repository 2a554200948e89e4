"""Keeps what has been made for a while, and makes nothing twice at the same time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Made = TypeVar("Made")


@define(eq=False)
class Cache(Generic[Made]):
    """Things that many ask for, the least recently used ones dropped.

    Args:
        seconds: Returns the time in seconds.
        lasting: For how many seconds a thing is good.
        most: How many are kept; those that were not asked for lately go first.
    """

    _seconds: Callable[[], float]
    _lasting: float
    _most: int
    _made: OrderedDict[Hashable, tuple[float, Made]] = field(factory=OrderedDict, init=False)
    _waiting: dict[Hashable, list[Deferred[Made]]] = field(factory=dict, init=False)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        """Return a thing that is kept, or make it.

        Args:
            key: Names it.
            make: Makes it; what it raises, all who wait for it are told.
        """
        at, made = self._made.get(key, (None, None))
        if at is not None and made is not None and 0 <= self._seconds() - at < self._lasting:
            self._made.move_to_end(key)
            return made
        if key in self._waiting:
            waiting: Deferred[Made] = Deferred()
            self._waiting[key].append(waiting)
            return await waiting
        return await self._make(key, make)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        self._waiting[key] = []
        try:
            made = await make()
        except BaseException:
            failure = Failure()
            for waiting in self._waiting.pop(key):
                waiting.errback(failure)
            raise
        self._keep(key, made)
        for waiting in self._waiting.pop(key):
            waiting.callback(made)
        return made

    def _keep(self, key: Hashable, made: Made) -> None:
        self._made[key] = (self._seconds(), made)
        self._made.move_to_end(key)
        while len(self._made) > self._most:
            self._made.popitem(last=False)
