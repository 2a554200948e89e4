"""A board without database, templates and connections: what the hub is tested with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from buildbot_http_status_push.board.live.frames import Change, Fragment, Summary
from buildbot_http_status_push.board.live.update_log import Changed
from buildbot_http_status_push.board.model import Builder, Master, Position, Update
from buildbot_http_status_push.database import StorageError

MASTER = Master(id=1, name="main", url="http://main/", heard_at=5.0)


@define(eq=False)
class MemoryStore:
    """Keeps what builders there are, each with a version that is counted up.

    Args:
        clock: Reading takes its time on it.
    """

    clock: Clock
    epoch: str = "first"
    slowness: float = 0.0
    trouble: StorageError | None = None
    versions: dict[int, int] = field(factory=dict)
    log: list[Update] = field(factory=list)
    forgotten: int = 0
    callbacks: list[Callable[[], None]] = field(factory=list)

    def change(self, builder: int, build: int = 0, wake: bool = True) -> None:
        """Accept a status."""
        self.versions[builder] = self.versions.get(builder, 0) + 1
        sequence = self.here.sequence + 1
        self.log.append(Update(sequence=sequence, build=build, builder=builder, at=0.0))
        for callback in self.callbacks if wake else ():
            callback()

    def forget(self) -> None:
        """Forget all updates there have been, as pruning does."""
        self.forgotten += len(self.log)
        self.log.clear()

    def begin_anew(self) -> None:
        """Become another database."""
        self.epoch += "'"
        self.log.clear()
        self.forgotten = 0

    @property
    def here(self) -> Position:
        """Where the order of updates stands."""
        return Position(self.epoch, self.forgotten + len(self.log))

    def position(self) -> Deferred[Position]:
        """Return where the order of updates stands."""
        return self._read(lambda: self.here)

    known_changes = 0
    """How often the known failures have changed."""

    @property
    def is_storing(self) -> bool:
        """Whether statuses can be written."""
        return True

    def updates(self, after: int, limit: int) -> Deferred[list[Update] | None]:
        """Return the updates after a sequence."""

        def found() -> list[Update] | None:
            first = after - self.forgotten
            return None if first < 0 else self.log[first : first + limit]

        return self._read(found)

    def masters(self) -> Deferred[list[Master]]:
        """Return the only master."""
        return self._read(lambda: [MASTER])

    def read_versions(self, builders: Changed) -> Deferred[dict[int, int]]:
        """Return the versions of some builders."""
        return self._read(lambda: {each: self.versions[each] for each in builders})

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Tell of changes."""
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def _read(self, found: Callable[[], Any]) -> Deferred[Any]:
        def read() -> Any:
            if self.trouble:
                raise self.trouble
            return found()

        return deferLater(self.clock, self.slowness, read)


@define(eq=False)
class VersionRenderer:
    """Renders a builder's version.

    Args:
        store: Knows it.
    """

    store: MemoryStore
    opened: int = 0
    rendered: list[tuple[int, ...]] = field(factory=list)
    fault: Exception | None = None
    padding: int = 0

    async def open(self) -> None:
        """Count how often that is done."""
        self.opened += 1

    async def render(self, changed: Changed, sequence: int) -> tuple[Change, ...]:
        """Make one fragment a builder."""
        if changed:
            self.rendered.append(tuple(sorted(changed)))
        if self.fault:
            raise self.fault
        versions = await self.store.read_versions(changed)
        return tuple(
            Change(
                builder=Builder(id=each, master=MASTER, name=f"builder-{each}"),
                builds=changed[each],
                fragments=(Fragment("rows", f"row/{each}", f"{version}" + " " * self.padding),),
            )
            for each, version in versions.items()
        )

    def shared_since(self, sequence: int) -> tuple[Fragment, ...]:
        """Nothing stands for several builders."""
        return ()

    @property
    def summary(self) -> Summary:
        """A board on which nothing is red."""
        return Summary(0, 0, 0, 0, 0, 0)


@define(eq=False)
class Watcher:
    """A browser that checks every frame and shows what it was told.

    Args:
        store: Where its pages come from.
    """

    store: MemoryStore
    position: Position = field(init=False)
    shown: dict[int, int] = field(init=False)
    frames: list[dict[str, Any]] = field(factory=list)
    is_full: bool = False
    is_dropped: bool = False

    def __attrs_post_init__(self) -> None:
        self.fetch()

    def fetch(self) -> None:
        """Fetch the page."""
        self.position = self.store.here
        self.shown = dict(self.store.versions)

    def send(self, message: bytes) -> None:
        """Take a frame."""
        assert not self.is_full, "more was sent to who takes nothing"
        assert not self.is_dropped, "more was sent to who is gone"
        frame = json.loads(message)
        self.frames.append(frame)
        getattr(self, f"_take_{frame['type']}")(frame)

    def drop(self) -> None:
        """Be gone."""
        self.is_dropped = True

    def _take_updates(self, frame: dict[str, Any]) -> None:
        assert (frame["epoch"], frame["from"]) == (self.position.epoch, self.position.sequence)
        self.position = Position(frame["epoch"], frame["sequence"])
        for change in frame["changes"]:
            [fragment] = change["fragments"]
            self.shown[change["builder"]] = int(fragment["html"])

    def _take_snapshot(self, frame: dict[str, Any]) -> None:
        self.fetch()
        self.position = Position(frame["epoch"], frame["sequence"])

    def _take_heard(self, frame: dict[str, Any]) -> None:
        assert (frame["epoch"], frame["sequence"]) == (self.position.epoch, self.position.sequence)
