"""Remembers builders, which every report holds and which hardly ever change."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

REMEMBERED = 1000


class Builders:
    """Asks the data API for a builder once, until an event says that it changed.

    Args:
        master: The Buildbot master.
    """

    events = ("builders", None, None)
    """The routing keys of the events that ``forget`` wants to hear of."""

    def __init__(self, master: Any) -> None:
        self._master = master
        self._known: OrderedDict[int, dict[str, Any]] = OrderedDict()
        self._changes = 0

    async def get(self, builder_id: int) -> dict[str, Any]:
        """Return a builder as the data API gives it; the caller may change it."""
        if builder_id not in self._known:
            changes = self._changes
            builder = await self._master.data.get(("builders", builder_id))
            if changes != self._changes:
                return dict(builder)  # it may have changed while it was read
            self._remember(builder_id, builder)
        return copy.deepcopy(self._known[builder_id])

    def _remember(self, builder_id: int, builder: dict[str, Any]) -> None:
        self._known[builder_id] = builder
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, key: object = None, message: object = None) -> None:
        """Forget all builders: one of them has changed.

        Args:
            key: The event's routing key.
            message: The event's content.
        """
        self._changes += 1
        self._known.clear()
