"""Remembers what many reports hold and what hardly ever changes: builders and buildsets.

And build requests while they are claimed. The events of a claim and of a new buildset have what
the data API would.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from twisted.internet.defer import maybeDeferred

CAPACITY = 1000

CHANGES = (("builders", None, None), ("buildsets", None, "complete"))
"""The routing keys of events about changes."""

REQUESTS = ("buildrequests", None, None)
"""The routing key of all events of build requests."""
NEW_BUILDSETS = ("buildsets", None, "new")
NOT_TOLD = {"results": -1, "parent_relationship": None}
"""What the data API gives of a new buildset without a parent, and its event does not."""


class DataCache:
    """Asks the data API for a builder or a buildset once, until an event says that it changed.

    A buildset of several codebases is asked for each time.
    """

    def __init__(self, master: Any) -> None:
        self._master = master
        self._entries: OrderedDict[tuple[str, int], dict[str, Any]] = OrderedDict()
        self._claimed: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._buildset_keys: tuple[str, ...] = ()
        self._changes = 0
        self._consumers: list[Any] = []

    async def listen(self) -> None:
        """Begin to hear of changes."""
        for key in CHANGES:
            self._consumers.append(await self._master.mq.startConsuming(self.invalidate, key))
        # Within one process an event holds what the data API gave; other queues make JSON of it.
        if self._master.config.mq["type"] == "simple":
            for follow, key in ((self.follow, REQUESTS), (self.expect, NEW_BUILDSETS)):
                self._consumers.append(await self._master.mq.startConsuming(follow, key))

    async def stop(self) -> None:
        """Hear of no more changes."""
        while self._consumers:
            await maybeDeferred(self._consumers.pop().stopConsuming)

    async def get(self, kind: str, number: int) -> dict[str, Any]:
        """Return one as the data API gives it; the caller may change it."""
        key = (kind, number)
        if key not in self._entries:
            changes = self._changes
            found: dict[str, Any] = await self._master.data.get(key)
            if kind == "buildsets":
                self._buildset_keys = tuple(found)
            if changes != self._changes or _has_several_stamps(found):
                return found  # it may have changed while it was read, or its order may change
            self._entries[key] = found
        self._entries.move_to_end(key)
        _limit(self._entries)
        return copy.deepcopy(self._entries[key])

    def claimed(self, number: int) -> dict[str, Any] | None:
        """Return a copy of a claimed build request, None where it is not known to be claimed."""
        return copy.deepcopy(self._claimed.get(number))

    def invalidate(self, key: tuple[str, str, str], message: object = None) -> None:
        """Drop what an event has changed."""
        self._changes += 1
        self._entries.pop((key[0], int(key[1])), None)

    def expect(self, key: tuple[str, str, str], message: dict[str, Any]) -> None:
        """Keep a new buildset: it stays as it is until it is complete."""
        buildset = self._as_given(message)
        if buildset is not None:
            self._entries[key[0], int(key[1])] = buildset
            _limit(self._entries)

    def _as_given(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Return a new buildset as the data API gives it, None where the event lacks it."""
        # Patches are large: they are not kept for as long as a build may wait.
        is_patched = any(each["patch"] for each in message["sourcestamps"])
        known = {**message, **NOT_TOLD}
        is_told = self._buildset_keys and all(name in known for name in self._buildset_keys)
        is_other = message["parent_buildid"] is not None or _has_several_stamps(message)
        if is_patched or is_other or not is_told:
            return None
        return {name: known[name] for name in self._buildset_keys}

    def follow(self, key: tuple[str, str, str], message: dict[str, Any]) -> None:
        """Keep a build request while it is claimed: until any other event about it."""
        number = int(key[1])
        self._claimed.pop(number, None)
        if key[2] == "claimed":
            self._claimed[number] = message
            _limit(self._claimed)


def _has_several_stamps(found: dict[str, Any]) -> bool:
    """Return whether something is a buildset of several codebases.

    The data API orders their sourcestamps by what Buildbot's own caches hold when it is asked.
    """
    return len(found.get("sourcestamps", ())) > 1


def _limit(entries: OrderedDict[Any, Any]) -> None:
    if len(entries) > CAPACITY:
        entries.popitem(last=False)
