"""When a build that has just begun has the properties that it begins with.

Buildbot announces a new build first, and stores what it makes up for it (its owners) afterwards.
The next event of the build comes when that is done.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed

EVENTS = ("builds", None, None)
"""The routing key of all events of builds themselves."""

PATIENCE = 30.0
"""Seconds after which a start is announced as it is: something else than Buildbot makes builds.

Longer than the database of a loaded master takes for a few properties.
"""

CAPACITY = 1000


class PropertiesGate:
    """Listens to the events of builds, and lets those who ask wait."""

    def __init__(self, master: Any) -> None:
        self._master = master
        self._waiting: OrderedDict[int, list[Deferred[None]]] = OrderedDict()
        self._consumer: Any = None

    async def listen(self) -> None:
        """Begin to hear of builds, before anybody who asks does."""
        self._consumer = await self._master.mq.startConsuming(self.follow, EVENTS)

    async def stop(self) -> None:
        """Hear of no more builds, and let nobody wait any longer."""
        if self._consumer is not None:
            await maybeDeferred(self._consumer.stopConsuming)
        while self._waiting:
            self._end(next(iter(self._waiting)))

    def ended(self, build: int) -> Deferred[None]:
        """Return what fires when a build is prepared, at once if that is not under way."""
        if build not in self._waiting:
            return succeed(None)
        end: Deferred[None] = Deferred()
        self._waiting[build].append(end)
        return end.addTimeout(PATIENCE, self._master.reactor, lambda *_: None)

    def follow(self, key: tuple[str, str, str], message: object) -> None:
        """Take in an event."""
        build = int(key[1])
        if key[2] != "new":
            self._end(build)
            return
        self._waiting[build] = []
        if len(self._waiting) > CAPACITY:
            self._end(next(iter(self._waiting)))

    def _end(self, build: int) -> None:
        for end in self._waiting.pop(build, ()):
            end.callback(None)
