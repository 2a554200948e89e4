"""A small master and a small outbox for catch-up, where everything can be made to fail."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timezone
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

NOW = 1_700_000_000


class FakeMaster:
    """A master with builds, a state table, and a clock."""

    name = "fake"
    masterid = 1

    def __init__(self) -> None:
        self.reactor = Clock()
        self.reactor.advance(NOW)
        self.data = self.db = self.state = self
        self.builds: dict[int, dict[str, Any]] = {}
        self.masters = {1: True}
        self.master_names: dict[int, str] = {}
        self.last_active: dict[int, int] = {}
        self.names = {1: "builder"}
        self.saved: dict[Any, Any] = {}
        self.queries = 0

    def add(
        self,
        number: int,
        *,
        complete: bool = True,
        at: int = NOW,
        master: int = 1,
        builder: int = 1,
        state: str = "building",
    ) -> None:
        """Add a build, or change one."""
        moment = datetime.fromtimestamp(at, timezone.utc)
        self.builds[number] = {
            "buildid": number,
            "buildrequestid": number,
            "masterid": master,
            "builderid": builder,
            "started_at": moment,
            "state_string": state,
            "complete": complete,
            "complete_at": moment if complete else None,
            "results": 0 if complete else None,
        }

    def get(
        self, path: tuple[Any, ...], filters: Any = (), order: Any = (), limit: int = 0
    ) -> Deferred[Any]:
        """Answer like the data API."""
        if path == ("masters",):
            return succeed([self._master(each) for each in self.masters])
        if path == ("builders",):
            return succeed([{"builderid": one, "name": name} for one, name in self.names.items()])
        self.queries += 1
        if len(path) == 2:
            return succeed(self.builds.get(path[1]))
        if filters and filters[0].op == "eq":
            named = [self.builds[each] for each in filters[0].values if each in self.builds]
            return succeed(named)
        if filters and filters[0].op == "lt":
            found = sorted(number for number in self.builds if number < filters[0].values[0])
        else:
            above = filters[0].values[0] if filters else 0
            found = sorted(number for number in self.builds if number > above)
        if order == ["-buildid"]:
            found.reverse()
        return succeed([self.builds[number] for number in found[:limit]])

    def _master(self, number: int) -> dict[str, Any]:
        last_active = self.last_active.get(number, NOW)
        return {
            "masterid": number,
            "name": self.master_names.get(number, self.name),
            "active": self.masters[number],
            "last_active": datetime.fromtimestamp(last_active, timezone.utc),
        }

    def getObjectId(self, name: str, kind: str) -> Deferred[Any]:  # noqa: N802 - Buildbot's name
        """Return the id of our state."""
        return succeed((name, kind))

    def getState(self, of: Any, name: str, default: Any) -> Deferred[Any]:  # noqa: N802 - likewise
        """Return what was saved."""
        return succeed(self.saved.get((of, name), default))

    def setState(self, of: Any, name: str, value: Any) -> Deferred[None]:  # noqa: N802 - likewise
        """Save."""
        self.saved[of, name] = value
        return succeed(None)


class FakeOutbox:
    """An outbox that knows ids, and may be out of order."""

    def __init__(self) -> None:
        self.durable = True
        self.ids: set[str] = set()
        self.pending: int | None = None
        self.failures = 0
        self.queries = 0

    def known(self, ids: Collection[str]) -> Deferred[set[str]]:
        """Return those of the ids that have been put."""
        self.queries += 1
        if self.failures:
            self.failures -= 1
            return fail(RuntimeError("the outbox is out of order"))
        return succeed(self.ids & set(ids))

    def oldest_pending_build(self) -> Deferred[int | None]:
        """Return what the test says."""
        self.queries += 1
        return succeed(self.pending)
