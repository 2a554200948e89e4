"""The latest updates, so that a browser that comes back is told what it missed and no more.

Pure bookkeeping: knows no connection and no store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import takewhile

from buildbot_http_status_push.board.model import Position, Update

KEPT = 10_000
"""How many updates back a browser is told what it missed."""
TOLD = 200
"""How many builders may have changed since: the whole page is smaller than more of them."""

Changed = Mapping[int, tuple[int, ...]]
"""The builds that have changed, by their builder."""


class Recent:
    """The latest updates of one epoch, without a hole.

    Args:
        position: Where to begin.
        kept: How many updates to keep.
        told: Of how many builders it is worthwhile to tell what has changed.
    """

    def __init__(self, position: Position, kept: int = KEPT, told: int = TOLD) -> None:
        self.position = position
        self._told = told
        self._updates: deque[Update] = deque(maxlen=kept)

    def add(self, updates: Iterable[Update]) -> None:
        """Go on.

        Args:
            updates: What came next, in order.

        Raises:
            ValueError: If an update is missing or repeated.
        """
        for update in updates:
            if update.sequence != self.position.sequence + 1:
                raise ValueError(
                    f"update {update.sequence} came after update {self.position.sequence}"
                )
            self._updates.append(update)
            self.position = Position(self.position.epoch, update.sequence)

    def continues_to(self, position: Position) -> bool:
        """Tell whether a position may follow the last one that is known.

        Args:
            position: Where the store stands.
        """
        return position.epoch == self.position.epoch and position.sequence >= self.position.sequence

    def since(self, position: Position) -> Changed | None:
        """Tell what has changed.

        Args:
            position: What a browser knows already.

        Returns:
            The builds that have changed since, by their builder; None where that is not known,
            or too much to be told.
        """
        if not self._reaches(position):
            return None
        missed = takewhile(
            lambda update: update.sequence > position.sequence, reversed(self._updates)
        )
        changed = changed_by(reversed(tuple(missed)))
        return None if len(changed) > self._told else changed

    def accepted_after(self, position: Position) -> list[float]:
        """Tell when the updates after a position were accepted, in seconds since the epoch.

        Args:
            position: One of the past; after one that is no longer known, none are told.
        """
        if not self._reaches(position):
            return []
        return [update.at for update in self._updates if update.sequence > position.sequence]

    def _reaches(self, position: Position) -> bool:
        missed = self.position.sequence - position.sequence
        return position.epoch == self.position.epoch and 0 <= missed <= len(self._updates)


def changed_by(updates: Iterable[Update]) -> Changed:
    """Gather updates.

    Args:
        updates: In order.

    Returns:
        The builds that they changed, each once, by their builder.
    """
    return merged({update.builder: (update.build,)} for update in updates)


def merged(parts: Iterable[Changed]) -> Changed:
    """Put together what has changed.

    Args:
        parts: Builds by their builder.

    Returns:
        All of them, each once.
    """
    builders: dict[int, dict[int, None]] = {}
    for part in parts:
        for builder, builds in part.items():
            builders.setdefault(builder, {}).update(dict.fromkeys(builds))
    return {builder: tuple(builds) for builder, builds in builders.items()}
