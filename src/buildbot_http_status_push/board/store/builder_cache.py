"""Keeps builders in memory once read, with what their builds of the main branch say.

Each change of a builder gives it a higher sequence, so that only those are read again that have
changed. Blocking: runs in the reader's thread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeVar

from attrs import define, evolve, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.cluster.quiet import (
    Habits,
)
from buildbot_http_status_push.board.model import (
    Builder,
    Master,
)
from buildbot_http_status_push.board.personal_data import (
    open_builder,
)
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.cluster import (
    ClusterCache,
)
from buildbot_http_status_push.board.store.habits import habits_of
from buildbot_http_status_push.board.store.incidents import (
    OpenIncidents,
)
from buildbot_http_status_push.board.store.reading_failures import (
    Memories,
)
from buildbot_http_status_push.board.store.rows import (
    KnownBuilder,
    builder_on,
    known_builder,
)

T = TypeVar("T")

HABITS = 5
"""Of how many builders the habits are read at once."""


@define(eq=False)
class BuilderCache:
    """The builders as they were last read.

    Args:
        branch: The branch that they are shown by, None for the one that most builds are of.
        is_open: Whether everybody may read: without mail addresses and paths.
    """

    branch: str | None = None
    is_open: bool = False
    epoch: str = field(default="", init=False)
    sequence: int = field(default=-1, init=False)
    main: str = field(default="", init=False)
    builders: dict[int, Builder] = field(factory=dict, init=False)
    _known: dict[int, KnownBuilder] = field(factory=dict, init=False)
    _counts: Counter[str] = field(factory=Counter, init=False)
    memories: Memories = field(factory=Memories, init=False)
    cluster: ClusterCache = field(factory=ClusterCache, init=False)
    _habits: dict[int, tuple[int, Habits]] = field(factory=dict, init=False)
    incidents: OpenIncidents = field(factory=OpenIncidents, init=False)

    def forget(self, epoch: str) -> None:
        """Begin anew, with another order of updates."""
        self.epoch, self.sequence = epoch, -1
        for each in (self.builders, self._known, self._counts, self._habits):
            each.clear()
        self.memories.forget()
        self.cluster.forget()

    def refresh(self, connection: Connection, masters: Mapping[int, Master]) -> None:
        """Read again what has changed."""
        self.memories.refresh(connection, self.sequence)
        self.cluster.refresh(connection, self.sequence, masters)
        changed: set[int] = set()
        for row in connection.execute(sql.BUILDERS_AFTER, {"after": self.sequence}):
            old = self._known.get(row.id)
            found = known_builder(row, masters[row.master])
            known = evolve(found, builder=self.cluster.applied(found.builder))
            self._known[row.id] = known
            self._counts.subtract(dict(old.branches) if old else {})
            self._counts.update(dict(known.branches))
            changed.add(row.id)
        main = self.branch or _most_frequent(self._counts)
        if main != self.main:
            self.main, changed = main, set(self._known)
        for number in changed:
            builder = self._shown(connection, self._known[number])
            self.builders[number] = open_builder(builder) if self.is_open else builder

    def _shown(self, connection: Connection, known: KnownBuilder) -> Builder:
        """Return a builder by the main branch, or by its own where it has no build of that."""
        for line in (self.main, *(name for name, _ in known.branches[:1])):
            of_line = {"of_builder": known.builder.id, "of_line": line}
            state = sql.STATE_OF_LINE.scalar(connection, of_line)
            if state is not None:
                return builder_on(known, line, state)
        return known.builder

    def habits_of(self, connection: Connection, some: Sequence[Builder]) -> dict[int, Habits]:
        """Return builders' habits, which only their own next builds change.

        Of those that are not known ``HABITS`` are read, and others the next time.
        """
        found: dict[int, Habits] = {}
        built: dict[int, dict[int, int]] = {}
        left = HABITS
        for builder in some:
            last = builder.recent[0].id if builder.recent else 0
            known = self._habits.get(builder.id)
            if (known is None or known[0] != last) and left:
                left -= 1
                read = habits_of(connection, builder.id, builder.branch or "", built)
                known = self._habits[builder.id] = (last, read)
            if known is not None and known[0] == last:
                found[builder.id] = known[1]
        return found

    def newest(self, builder: int) -> tuple[int, ...]:
        """Return the place of a builder's build that began last."""
        return self._known[builder].newest

    def on_branch(self, connection: Connection, branch: str) -> dict[int, Builder]:
        """Return the builders that have builds of a branch, by it."""
        given = {"of_branch": branch, "like_branch": f"%:{sql.like(branch)}%"}
        found: dict[int, Builder] = {}
        rows = sql.LINES_OF_BRANCH.rows(connection, given)
        for row in sorted(rows, key=lambda row: (row.builder, row.builds)):
            builder = builder_on(self._known[row.builder], row.line, row.state)
            # The last one has most builds; one with all codebases of the branch comes first.
            is_whole = row.builder in found and found[row.builder].branch == branch
            if not is_whole and any(branch in each.branches for each in builder.recent):
                found[row.builder] = open_builder(builder) if self.is_open else builder
        return found


def _most_frequent(counts: Counter[str]) -> str:
    """Return the branch of most builds; no branch only where there is none."""
    named = [(count, name) for name, count in counts.items() if count > 0 and name]
    return min(named, key=lambda each: (-each[0], each[1]))[1] if named else ""
