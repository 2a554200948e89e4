"""What the board knows, seen from the reactor's thread: statuses go in, pages' values come out.

One transaction writes at a time, and one reads: each in another thread, on a connection of its
own. A database that is out of order is opened anew at the next occasion; calls meanwhile raise
``StorageError``. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from attrs import define, field
from sqlalchemy.engine import Connection
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.cluster.states import State
from buildbot_http_status_push.board.failures.known import Entry
from buildbot_http_status_push.board.incidents.acts import Act
from buildbot_http_status_push.board.model import (
    Position,
)
from buildbot_http_status_push.board.store import pruning
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.cluster import (
    COMPLETE_FOR,
    drop_complete,
    drop_waiting,
)
from buildbot_http_status_push.board.store.following import Followed, Following
from buildbot_http_status_push.board.store.reading import Reading
from buildbot_http_status_push.board.store.reconnecting import ReconnectingDatabase
from buildbot_http_status_push.board.store.schema import open_database, open_snapshots
from buildbot_http_status_push.board.store.source_changes import drop_changes
from buildbot_http_status_push.board.store.writing import Arrival, Stored, Writing
from buildbot_http_status_push.database import StorageError, UnstorableError
from buildbot_http_status_push.group_commit import GroupCommit

T = TypeVar("T")
P = ParamSpec("P")
InThread: TypeAlias = Callable[..., Deferred[Any]]


def _asked(
    read: Callable[Concatenate[Reading, P], T],
) -> Callable[Concatenate[Store, P], Deferred[T]]:
    """Return a method of the store that runs a method of ``Reading`` in the reader's thread."""

    def ask(store: Store, /, *args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return store._read(lambda reading: read(reading, *args, **kwargs))

    return ask


@define(eq=False)
class Store:
    """The board's database.

    Args:
        clock: The time.
        in_thread: Runs a function in another thread, like ``twisted.internet.threads``.
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.
        names: The names of masters by their URL.
        log: Where trouble is logged.
        branch: The branch that builders are shown by, None for the one that most builds are of.
        is_open: Whether everybody may read: without mail addresses and paths.

    Attributes:
        latest: Where the order of updates stands, as far as this process knows.
        is_storing: Whether the last statuses that came could be written. If not, senders have some
            that are not shown, until one has been stored again.
        known_changes: How often the known failures have changed.
    """

    _clock: IReactorTime
    _in_thread: InThread
    _url: str
    _names: Mapping[str, str] = field(factory=dict)
    _log: Logger = field(factory=Logger)
    _branch: str | None = None
    _is_open: bool = False
    latest: Position = field(default=Position("", 0), init=False)
    is_storing: bool = field(default=True, init=False)
    known_changes: int = field(default=0, init=False)
    _cache: BuilderCache = field(init=False)
    _listeners: list[Callable[[], None]] = field(factory=list, init=False)
    _commits: GroupCommit[Arrival, Stored] = field(init=False)
    _writer: ReconnectingDatabase = field(init=False)
    _reader: ReconnectingDatabase = field(init=False)
    _following: Following = field(factory=Following, init=False)

    def __attrs_post_init__(self) -> None:
        self._cache = BuilderCache(self._branch, self._is_open)
        self._commits = GroupCommit(self._clock, self._commit, _is_of_one)
        self._writer = ReconnectingDatabase(self._in_thread, partial(open_database, self._url))
        self._reader = ReconnectingDatabase(self._in_thread, partial(open_snapshots, self._url))

    async def open(self) -> None:
        """Open the database, and make what tables it lacks.

        Raises:
            StorageError: It can't be opened.
        """
        await self._writer.transact(lambda connection: None)
        self.latest = await self.position()

    async def close(self) -> None:
        """Finish what was asked for, and close the database."""
        await self._commits.idle()
        await gatherResults([self._writer.close(), self._reader.close()])

    def put(self, status: Status | State) -> Deferred[Stored]:
        """Keep a status.

        Returns:
            Once it is committed: what became of it. Fails with ``UnstorableError`` if it is at
            fault itself that it can't be, else with ``StorageError``.
        """
        asked = self._commits.ask(Arrival(status, self._clock.seconds()))
        return asked.addErrback(_unstorable)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call a function when there are updates; it is a hint only.

        Returns:
            How to end that.
        """
        self._listeners.append(callback)
        return partial(self._listeners.remove, callback)

    def notify(self) -> None:
        """Take it that another process may have committed something."""
        for listener in tuple(self._listeners):
            listener()

    position = _asked(Reading.position)
    masters = _asked(Reading.masters)
    builders = _asked(Reading.builders)
    builders_by_id = _asked(Reading.builders_by_id)
    builder = _asked(Reading.builder)
    builds = _asked(Reading.builds)
    build = _asked(Reading.build)
    build_and_tests = _asked(Reading.build_and_tests)
    incidents = _asked(Reading.incidents)
    closed_incidents = _asked(Reading.closed_incidents)
    incident = _asked(Reading.incident)
    failures = _asked(Reading.failures)
    failure = _asked(Reading.failure)
    failed_builds = _asked(Reading.failed_builds)
    memories = _asked(Reading.memories)
    reasons_since = _asked(Reading.reasons_since)
    reasons_like = _asked(Reading.reasons_like)
    has_reasons = _asked(Reading.has_reasons)
    failing_tests = _asked(Reading.failing_tests)
    tests_like = _asked(Reading.tests_like)
    new_tests = _asked(Reading.new_tests)
    tests_named = _asked(Reading.tests_named)
    test_rates = _asked(Reading.test_rates)
    failures_at = _asked(Reading.failures_at)
    test_messages = _asked(Reading.test_messages)
    revisions = _asked(Reading.revisions)
    search = _asked(Reading.search)
    revision_verdicts = _asked(Reading.revision_verdicts)
    branch_verdicts = _asked(Reading.branch_verdicts)
    queue = _asked(Reading.queue)
    quiet = _asked(Reading.quiet)
    requests = _asked(Reading.requests)
    workers = _asked(Reading.workers)
    results = _asked(Reading.results)
    updates = _asked(Reading.updates)

    def follow(self) -> Deferred[Followed]:
        """Make incidents of what has been stored, as much as one transaction takes."""
        return self._change_incidents(partial(self._following.follow, now=self._clock.seconds()))

    def act(self, act: Act) -> Deferred[Followed]:
        """Do to an incident what a person asks for; fails with ``ActError`` where it can't be."""
        return self._change_incidents(partial(self._following.act, act=act))

    def _change_incidents(self, operation: Callable[..., Followed]) -> Deferred[Followed]:
        return self._writer.transact(operation).addCallback(self._followed)

    def _followed(self, followed: Followed) -> Followed:
        self._following.confirm(followed)
        self._move(followed.position or self.latest)
        return followed

    def know(self, entries: tuple[Entry, ...], little: tuple[str, ...]) -> None:
        """Take note of the known failures that count now, and of lines that say little."""
        self._following.little = little
        if entries != self._cache.memories.entries:
            self._cache.memories.entries = entries
            self.known_changes += 1
            self.notify()

    async def prune(self, before: float) -> int:
        """Delete builds that began before a moment, and requests that have waited since then.

        Builds that a builder's state names stay.

        Returns:
            How many builds were deleted.

        Raises:
            StorageError: The database can't be written to.
        """
        deleted = 0
        for builder in await self._writer.transact(pruning.builder_ids):
            count = pruning.AT_ONCE
            while count == pruning.AT_ONCE:
                prune = partial(
                    pruning.prune,
                    builder=builder,
                    before=before,
                    now=self._clock.seconds(),
                    main=self._cache.main,
                )
                count, moved = await self._writer.transact(prune)
                deleted += count
                self._move(moved or self.latest)
        await self._writer.transact(partial(drop_changes, before=before))
        while await self._writer.transact(partial(drop_waiting, before=before)):
            pass
        now = self._clock.seconds()
        await self._change_incidents(partial(self._following.prune, before=before, now=now))
        return deleted

    async def prune_updates(self) -> None:
        """Delete updates that no browser asks for any more, and requests long complete.

        Raises:
            StorageError: The database can't be written to.
        """
        await self._writer.transact(pruning.prune_updates)
        before = self._clock.seconds() - COMPLETE_FOR
        while await self._writer.transact(partial(drop_complete, before=before)):
            pass

    def _read(self, what: Callable[[Reading], T]) -> Deferred[T]:
        now = self._clock.seconds()

        def read(connection: Connection) -> tuple[T, Position]:
            reading = Reading(connection, self._cache, now)
            return what(reading), reading.position()

        return self._reader.transact(read).addCallback(self._seen)

    def _seen(self, found: tuple[T, Position]) -> T:
        value, position = found
        is_older = position.epoch == self.latest.epoch and position.sequence < self.latest.sequence
        # Another process may have written; a slow reader may bring what is older than known.
        if not is_older:
            self._move(position)
        return value

    def _commit(self, arrivals: Sequence[Arrival]) -> Deferred[list[Stored]]:
        written = self._writer.transact(
            lambda connection: Writing(connection, self._names).write(arrivals)
        )
        return written.addCallbacks(self._committed, self._failed)

    def _committed(self, written: tuple[list[Stored], Position]) -> list[Stored]:
        stored, position = written
        self._works()
        self._move(position)
        return stored

    def _failed(self, failure: Failure) -> Failure:
        """Log the first of several failures."""
        if failure.check(StorageError) and not failure.check(UnstorableError) and self.is_storing:
            self.is_storing = False
            self._log.error(
                "storing statuses failed: {error}; senders get 503 and keep them, browsers show "
                "that the board is out of date",
                error=failure.value,
            )
        return failure

    def _works(self) -> None:
        if not self.is_storing:
            self.is_storing = True
            self._log.info("storing statuses works again")

    def _move(self, position: Position) -> None:
        if position == self.latest:
            return
        self.latest = position
        self.notify()


def _is_of_one(failure: Failure) -> bool:
    """Return whether a status is at fault itself, and not the database."""
    return bool(failure.check(UnstorableError) or not failure.check(StorageError, CancelledError))


def _unstorable(failure: Failure) -> Failure:
    """Take a mistake of ours for a status that can't be stored, and say where it was made."""
    if not _is_of_one(failure) or failure.check(UnstorableError):
        return failure
    frames = extract_tb(failure.getTracebackObject())
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    fault = f"{type(failure.value).__name__}: {failure.getErrorMessage()}{where}"
    return Failure(UnstorableError(fault))
