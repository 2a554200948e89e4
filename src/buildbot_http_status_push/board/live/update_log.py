"""The latest updates, so that a browser that comes back is sent what it missed and no more.

Pure bookkeeping: knows no connection and no store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import takewhile

from buildbot_http_status_push.board.model import Position, Update

KEPT = 10_000
"""How many updates are kept for browsers that come back."""
MOST_BUILDERS = 200
"""How many builders a frame may cover: with more of them the whole page is smaller."""

Changed = Mapping[int, tuple[int, ...]]
"""The builds that have changed, by their builder."""


class UpdateLog:
    """The latest updates of one epoch, without a hole.

    Args:
        position: Where to start.
        kept: How many updates to keep.
        most_builders: How many builders `changed_since` returns at most.
    """

    def __init__(
        self, position: Position, kept: int = KEPT, most_builders: int = MOST_BUILDERS
    ) -> None:
        self.position = position
        self._most_builders = most_builders
        self._updates: deque[Update] = deque(maxlen=kept)

    def add(self, updates: Iterable[Update]) -> None:
        """Append updates.

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
        """Return whether a position may follow the last one that is known."""
        return position.epoch == self.position.epoch and position.sequence >= self.position.sequence

    def changed_since(self, position: Position) -> Changed | None:
        """Return what has changed.

        Returns:
            The builds that have changed since, by their builder; None where that is not known,
            or more than a frame may cover.
        """
        if not self.reaches(position):
            return None
        changed = merged({each.builder: (each.build,)} for each in self._after(position))
        return None if len(changed) > self._most_builders else changed

    def accepted_after(self, position: Position) -> list[float]:
        """Return when the updates after a position were accepted; empty where that is not known."""
        if not self.reaches(position):
            return []
        return [update.at for update in self._after(position)]

    def reaches(self, position: Position) -> bool:
        """Return whether all updates after a position are kept."""
        missed = self.position.sequence - position.sequence
        return position.epoch == self.position.epoch and 0 <= missed <= len(self._updates)

    def _after(self, position: Position) -> list[Update]:
        # From the end: most of what is kept is old.
        latest = takewhile(
            lambda update: update.sequence > position.sequence, reversed(self._updates)
        )
        return list(latest)[::-1]


def merged(parts: Iterable[Changed]) -> Changed:
    """Put together what has changed."""
    builders: dict[int, dict[int, None]] = {}
    for part in parts:
        for builder, builds in part.items():
            builders.setdefault(builder, {}).update(dict.fromkeys(builds))
    return {builder: tuple(builds) for builder, builds in builders.items()}
