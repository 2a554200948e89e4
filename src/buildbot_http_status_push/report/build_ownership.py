"""Says which builds a master announces, where several masters work on one database.

Must not know how they are announced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BuildOwnership:
    """Which builds are one master's to announce.

    All, where it is the only one or all masters use one outbox: what one has announced, the
    others find there. Else the builds that ran on it. And those of masters that Buildbot has
    expired, for the one among the active masters whose number is the lowest.

    Args:
        master: The Buildbot master.
        for_all_masters: Whether it announces all builds.
    """

    def __init__(self, master: Any, *, for_all_masters: bool) -> None:
        self._master = master
        self.for_all_masters = for_all_masters
        self._master_ids = frozenset[int]()

    async def refresh(self) -> None:
        """Find out which masters are gone."""
        if not self.for_all_masters:
            self._master_ids = self._gone(await self._master.data.get(("masters",)))

    def _gone(self, masters: list[dict[str, Any]]) -> frozenset[int]:
        active = _active(masters)
        if self._master.masterid != min(active, default=None):
            return frozenset()
        return frozenset(each["masterid"] for each in masters) - active

    async def is_leader(self) -> bool:
        """Return whether this master is to do what one of those with a common outbox must do."""
        if not self.for_all_masters:
            return True  # it has an outbox of its own
        active = _active(await self._master.data.get(("masters",)))
        return bool(self._master.masterid == min(active, default=self._master.masterid))

    def includes(self, build: Mapping[str, Any]) -> bool:
        """Return whether a build is to be announced; one without a master is announced by each."""
        ran_on = build.get("masterid")
        if self.for_all_masters or ran_on is None:
            return True
        return ran_on == self._master.masterid or ran_on in self._master_ids


def _active(masters: list[dict[str, Any]]) -> frozenset[int]:
    return frozenset(each["masterid"] for each in masters if each["active"])
