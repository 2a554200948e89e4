"""How far catch-up has come; kept in the master's database, since an outbox can be lost.

Knows Buildbot's state table; must not know what is announced.
"""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen
from twisted.internet.defer import Deferred

STATE_CLASS = "buildbot_http_status_push.catchup"
STATE_NAME = "progress"


@frozen
class Progress:
    """How far catch-up has come.

    Args:
        since: When the reporter first ran, in whole seconds since the epoch, like build times.
        build: Builds up to this id need not be looked at again.
    """

    since: int
    build: int


class ProgressStore:
    """Keeps the progress of one reporter.

    Args:
        master: The Buildbot master.
        name: Whose progress it is, among all who use this database.
    """

    def __init__(self, master: Any, name: str) -> None:
        self._master = master
        self._name = name

    async def load(self) -> Progress | None:
        """Return what was saved, None where nothing was."""
        found = await self._master.db.state.getState(await self._object(), STATE_NAME, None)
        return None if found is None else Progress(**found)

    async def save(self, progress: Progress) -> None:
        """Keep how far catch-up has come."""
        await self._master.db.state.setState(await self._object(), STATE_NAME, asdict(progress))

    def _object(self) -> Deferred[int]:
        found: Deferred[int] = self._master.db.state.getObjectId(self._name, STATE_CLASS)
        return found
