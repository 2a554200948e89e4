"""Keeps what has been made for a while, and makes nothing twice at the same time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

Made = TypeVar("Made")

MOST_BYTES = 64 * 1024 * 1024
"""Bytes that one cache keeps at most."""


@define(eq=False)
class Cache(Generic[Made]):
    """Things that many ask for, the least recently used ones dropped.

    Args:
        seconds: Returns the time in seconds.
        lasting: For how many seconds a thing is good.
        most: How many are kept; those that were not asked for lately go first.
        size: Returns how many bytes a thing has; ``MOST_BYTES`` of them are kept.
    """

    _seconds: Callable[[], float]
    _lasting: float
    _most: int
    _size: Callable[[Made], int]
    _bytes: int = field(default=0, init=False)
    _made: OrderedDict[Hashable, tuple[float, Made]] = field(factory=OrderedDict, init=False)
    _waiting: dict[Hashable, list[Deferred[Made]]] = field(factory=dict, init=False)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[Made]]) -> Made:
        """Return a thing that is kept, or make it; all who wait for it get what that raises."""
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
        if key in self._made:
            self._bytes -= self._size(self._made.pop(key)[1])
        self._made[key] = (self._seconds(), made)
        self._bytes += self._size(made)
        while len(self._made) > self._most or self._bytes > MOST_BYTES:
            _, (_, dropped) = self._made.popitem(last=False)
            self._bytes -= self._size(dropped)
