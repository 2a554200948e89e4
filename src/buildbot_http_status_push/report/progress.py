"""How far catch-up has come; kept in the master's database, since an outbox can be lost.

Knows Buildbot's state table; must not know what is announced.
"""

from __future__ import annotations

from typing import Any

from attrs import asdict, frozen

from buildbot_http_status_push.report.encoding import epoch_seconds

STATE_CLASS = "buildbot_http_status_push.catchup"
STATE_NAME = "progress"

APART_MOST = 7 * 86400.0
"""Seconds between the ends of masters that still count as having worked together.

Less than an outbox remembers, so what has been delivered since is not sent again.
"""


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

    Masters that announce the same builds share it, and it has no master's name in it: Buildbot
    names a master anew whose directory or host has changed. Masters that announce different
    builds have one each.

    Args:
        master: The Buildbot master.
        reporter: The reporter's name.
        shared: Whether this master announces the builds of all masters.
    """

    def __init__(self, master: Any, reporter: str, *, shared: bool) -> None:
        self._master = master
        self._reporter = reporter
        self._shared = shared
        self._name = reporter if shared else self._name_of(master.name)

    def _name_of(self, master: str) -> str:
        return f"{self._reporter} {master}"

    async def load(self) -> Progress | None:
        """Return what was saved, None where nothing was.

        What stands under another name only is moved to the present one: the first versions kept
        one progress for each master, and a configuration may get or lose its common outbox.
        """
        found = await self._load(self._name)
        if found is None:
            found = await (self._least_of_masters() if self._shared else self._load(self._reporter))
            if found is not None:
                await self.save(found)
        return found

    async def _least_of_masters(self) -> Progress | None:
        """Return the progress of the master that has come least far.

        A name that was in use long before the others is one that a moved master had.
        """
        found = [
            (epoch_seconds(master["last_active"]), progress)
            for master in await self._master.data.get(("masters",))
            if (progress := await self._load(self._name_of(master["name"])))
        ]
        latest = max((moment for moment, _ in found), default=0)
        together = [progress for moment, progress in found if latest - moment <= APART_MOST]
        return min(together, key=lambda each: each.build, default=None)

    async def _load(self, name: str) -> Progress | None:
        state = self._master.db.state
        number = await state.getObjectId(name, STATE_CLASS)
        found = await state.getState(number, STATE_NAME, None)
        return None if found is None else Progress(**found)

    async def save(self, progress: Progress) -> None:
        """Keep how far catch-up has come."""
        state = self._master.db.state
        number = await state.getObjectId(self._name, STATE_CLASS)
        await state.setState(number, STATE_NAME, asdict(progress))
