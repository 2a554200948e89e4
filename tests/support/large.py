"""A large board, written in a moment: rows go straight into the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from attrs import frozen
from sqlalchemy.engine import Connection
from support.statuses import MASTER, a_status

from buildbot_http_status_push.board.store.rows import new_row, packed
from buildbot_http_status_push.board.store.tables import (
    bodies,
    builders,
    builds,
    built,
    masters,
    position,
    requests,
    revisions,
    updates,
    workers,
)
from buildbot_http_status_push.board.store.writing import Writing
from buildbot_http_status_push.results import FAILURE, SUCCESS

T = TypeVar("T")

MANY = 10_000
WORKERS = 50
MINUTE = 60


@frozen
class Large:
    """How large it is.

    Args:
        builders: How many builders there are.
        builds: How many builds all of them have together.
        until: When the last one began, in seconds since the epoch.
        waiting: How many requests wait, for all builders alike.
        every: Seconds from one build to the next.
        bad_of: Of how many builds one is bad, in streaks.
    """

    builders: int
    builds: int
    until: int
    waiting: int = 0
    every: int = MINUTE // 4
    bad_of: int = 10

    def began(self, number: int) -> int:
        """Return when a build began, in seconds since the epoch; the first one has number 0."""
        return self.until - (self.builds - number) * self.every

    def fill(self, connection: Connection) -> None:
        """Write it into empty tables."""
        connection.execute(masters.insert(), [self._master()])
        names = [{**self._builder(place), "state": ""} for place in range(self.builders)]
        connection.execute(builders.insert(), names)
        for table, rows in (
            (builds, self._builds()),
            (bodies, self._bodies()),
            (revisions, self._revisions()),
            (built, self._built()),
            (updates, self._updates()),
            (requests, self._requests()),
            (workers, self._workers()),
        ):
            for some in in_parts(rows, MANY):
                connection.execute(table.insert(), some)
        connection.execute(position.update().values(sequence=self.builds))
        for place in range(self.builders):
            Writing(connection, {}).settle(place + 1, ["main"], place + 1, 0.0)

    def _master(self) -> dict[str, Any]:
        return {"id": 1, "name": MASTER, "url": MASTER, "heard_at": self.until}

    def _builder(self, place: int) -> dict[str, Any]:
        return {"id": place + 1, "master": 1, "name": f"builder {place}", "sequence": 0}

    def _builds(self) -> Iterator[dict[str, Any]]:
        good, bad = (new_row(a_status(1, each)) for each in (SUCCESS, FAILURE))
        for number in range(self.builds):
            place, nth = number % self.builders, number // self.builders
            began = self.began(number)
            yield {
                **(bad if nth // 3 % self.bad_of == place % self.bad_of else good),
                "id": number + 1,
                "master": 1,
                "builder": place + 1,
                "buildid": number + 1,
                "number": nth + 1,
                "request": number + 1,
                "started_at": began,
                "complete_at": began + 10 * MINUTE,
                "submitted_at": began - 5,
                "revision": f"r{self._revision(number)}",
                "worker": f"worker {number % WORKERS}",
                "owner": f"owner {number % 70}",
                "sequence": number + 1,
            }

    def _revision(self, number: int) -> int:
        # Every builder builds it.
        return number // self.builders

    def _revisions(self) -> Iterator[dict[str, Any]]:
        for number in range(self._revision(self.builds - 1) + 1):
            first_at = self.began(number * self.builders)
            named = {"id": number + 1, "revision": f"r{number}", "first_at": first_at}
            yield {**named, "project": "runtime", "branch": "main", "codebase": ""}

    def _built(self) -> Iterator[dict[str, Any]]:
        for number in range(self.builds):
            yield {"revision": self._revision(number) + 1, "build": number + 1}

    def _bodies(self) -> Iterator[dict[str, Any]]:
        body = packed(a_status().body)
        return ({"build": number + 1, "body": body} for number in range(self.builds))

    def _requests(self) -> Iterator[dict[str, Any]]:
        for number in range(self.waiting):
            submitted_at = self.until - self.waiting + number
            yield {
                "master": 1,
                "number": self.builds + number + 1,
                "submitted_at": submitted_at,
                "builder": number % self.builders + 1,
                "reported_at": float(submitted_at),
                "claimed": 0,
                "complete": 0,
                "started": 0,
                "waiting": 1,
                "priority": 0,
                "reason": "a change",
                "sources": "[]",
            }

    def _workers(self) -> Iterator[dict[str, Any]]:
        flags = dict.fromkeys(("missing", "paused", "graceful", "latent", "removed"), False)
        for number in range(WORKERS if self.waiting else 0):
            names = [f"builder {place}" for place in range(number, self.builders, WORKERS)]
            state = {**flags, "connected": True, "pause_reason": None, "builders": names}
            row = {"master": 1, "name": f"worker {number}", "reported_at": 1.0, "sequence": 1}
            yield {**row, "state": json.dumps(state)}

    def _updates(self) -> Iterator[dict[str, Any]]:
        for number in range(self.builds):
            builder = number % self.builders + 1
            yield {"sequence": number + 1, "build": number + 1, "builder": builder, "at": 0.0}


def in_parts(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the rows in lists of so many; the last one is shorter."""
    left = iter(rows)
    while part := [*islice(left, size)]:
        yield part
