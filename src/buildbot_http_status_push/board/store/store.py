"""What the board knows, seen from the reactor's thread: statuses go in, pages' values come out.

One transaction writes at a time, and one reads: each in another thread, on a connection of its
own. A database that is out of order is opened anew at the next occasion; whoever asks meanwhile is
told ``StorageError``. Knows no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any, TypeAlias, TypeVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.cluster.queue import Queue, Request
from buildbot_http_status_push.board.cluster.quiet import Quiet
from buildbot_http_status_push.board.cluster.states import State
from buildbot_http_status_push.board.failures.known import Entry
from buildbot_http_status_push.board.incidents.acts import Act
from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.model import (
    Build,
    BuildDetail,
    Builder,
    FailedBuild,
    Filter,
    Master,
    Memory,
    Position,
    Reason,
    ReasonSummary,
    Revision,
    Update,
    WorkerDetail,
)
from buildbot_http_status_push.board.store import pruning
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.cluster import (
    COMPLETE_FOR,
    drop_complete,
    drop_waiting,
)
from buildbot_http_status_push.board.store.following import Followed, Following
from buildbot_http_status_push.board.store.group_commit import GroupCommit
from buildbot_http_status_push.board.store.reading import Reading, read
from buildbot_http_status_push.board.store.reconnecting import ReconnectingDatabase
from buildbot_http_status_push.board.store.schema import open_database, open_snapshots
from buildbot_http_status_push.board.store.serial import Serial
from buildbot_http_status_push.board.store.source_changes import drop_changes
from buildbot_http_status_push.board.store.writing import Arrival, Stored, write
from buildbot_http_status_push.board.test_results.history import TestPlaces, TestRate, Verdict
from buildbot_http_status_push.board.test_results.query import QueryOfTests
from buildbot_http_status_push.board.test_results.results import FailedTest, NamedTest
from buildbot_http_status_push.board.verdicts.revision import RevisionVerdict
from buildbot_http_status_push.board.verdicts.rules import BranchVerdict, Rule
from buildbot_http_status_push.database import StorageError, UnstorableError

T = TypeVar("T")
InThread: TypeAlias = Callable[..., Deferred[Any]]


@define(eq=False)
class Store:
    """The board's database.

    Args:
        clock: The time.
        in_thread: Runs a function in another thread, like ``twisted.internet.threads``.
        url: A SQLAlchemy URL of a SQLite or PostgreSQL database.
        names: The names of masters by their URL.
        log: Where trouble is told.
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
    _writing: Serial = field(init=False)
    _reader: ReconnectingDatabase = field(init=False)
    _reading: Serial = field(init=False)
    _following: Following = field(factory=Following, init=False)

    def __attrs_post_init__(self) -> None:
        self._cache = BuilderCache(self._branch, self._is_open)
        self._commits = GroupCommit(self._commit, _is_of_one)
        self._writer = ReconnectingDatabase(partial(open_database, self._url))
        self._writing = Serial(self._in_thread)
        self._reader = ReconnectingDatabase(partial(open_snapshots, self._url))
        self._reading = Serial(self._in_thread)

    async def open(self) -> None:
        """Open the database, and make what tables it lacks.

        Raises:
            StorageError: It can't be opened.
        """
        await self._write(lambda connection: None)
        self.latest = await self.position()

    async def close(self) -> None:
        """Finish what was asked for, and close the database."""
        await self._commits.idle()
        closing = ((self._writing, self._writer), (self._reading, self._reader))
        await gatherResults([serial.run(link.close) for serial, link in closing])

    def put(self, status: Status | State) -> Deferred[Stored]:
        """Keep a status.

        Args:
            status: What a body says of a build, a request, a worker or a builder.

        Returns:
            Once it is committed: what became of it. Fails with ``UnstorableError`` if it is at
            fault itself that it can't be, else with ``StorageError``.
        """
        asked = self._commits.ask(Arrival(status, self._clock.seconds()))
        return asked.addErrback(_unstorable)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Be told when there are updates; it is a hint only.

        Args:
            callback: Called in the reactor's thread after a commit that gave updates.

        Returns:
            How to end that.
        """
        self._listeners.append(callback)
        return partial(self._listeners.remove, callback)

    def notify(self) -> None:
        """Take it that another process may have committed something."""
        for listener in tuple(self._listeners):
            listener()

    def position(self) -> Deferred[Position]:
        """Return where the order of updates stands."""
        return self._read(lambda reading: reading.position)

    def masters(self) -> Deferred[list[Master]]:
        """Return all masters, by name."""
        return self._read(lambda reading: [*reading.masters.values()])

    def builders(self, filter: Filter) -> Deferred[list[Builder]]:  # noqa: A002 - what it is
        """Return the builders that fit, by name, each with its builds that fit.

        Args:
            filter: What must fit. What a builder's builds say is about the branch that it asks
                for, else the main one.
        """
        return self._read(lambda reading: reading.builders(filter))

    def builders_by_id(self, ids: Collection[int]) -> Deferred[list[Builder]]:
        """Return some builders, all as they stood at one moment."""
        return self._read(lambda reading: reading.builders_by_id(ids))

    def builder(
        self,
        id: int,  # noqa: A002 - what it is
        branch: str | None = None,
    ) -> Deferred[Builder | None]:
        """Return a builder, by a branch or by the main one."""
        return self._read(lambda reading: reading.builder(id, branch))

    def incidents(self) -> Deferred[list[Incident]]:
        """Return the open incidents, the oldest first."""
        return self._read(lambda reading: reading.incidents())

    def closed_incidents(self, closed_at: float, limit: int) -> Deferred[list[Incident]]:
        """Return closed incidents, those first that were closed last.

        Args:
            closed_at: When they must have been closed at the latest, in seconds since the epoch.
            limit: How many at most.
        """
        return self._read(lambda reading: reading.closed_incidents(closed_at, limit))

    def incident(self, number: str) -> Deferred[tuple[Incident, list[Step]] | None]:
        """Return an incident, open or closed, with the steps of its life."""
        return self._read(lambda reading: reading.incident(number))

    def follow(self) -> Deferred[Followed]:
        """Make incidents of what has been stored, as much as one transaction takes."""
        return self._change_incidents(partial(self._following.follow, now=self._clock.seconds()))

    def act(self, act: Act) -> Deferred[Followed]:
        """Do to an incident what a person asks for; fails with ``ActError`` where it can't be."""
        return self._change_incidents(partial(self._following.act, act=act))

    def _change_incidents(self, operation: Callable[..., Followed]) -> Deferred[Followed]:
        return self._write(operation).addCallback(self._followed)

    def _followed(self, followed: Followed) -> Followed:
        self._following.confirm(followed)
        self._move(followed.position or self.latest)
        return followed

    def builds(
        self,
        filter: Filter,  # noqa: A002 - what it is
        builder: int | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> Deferred[list[Build]]:
        """Return the builds that fit, newest first by their begin.

        Args:
            filter: What must fit.
            builder: Whose builds; the filter's builder, tags, master and project don't matter then.
            limit: How many at most.
            before: Only builds older than this one, which was the last one shown.
        """
        return self._read(lambda reading: reading.builds(filter, builder, limit, before))

    def build(self, id: int) -> Deferred[BuildDetail | None]:  # noqa: A002 - what it is
        """Return a build with all that its latest status said."""
        return self._read(lambda reading: reading.build(id))

    def know(self, entries: tuple[Entry, ...]) -> None:
        """Take note of the known failures that count now."""
        if entries != self._cache.memories.entries:
            self._cache.memories.entries = entries
            self.known_changes += 1
            self.notify()

    def failures(self, filter: Filter, limit: int) -> Deferred[list[ReasonSummary]]:  # noqa: A002
        """Return the reasons that were seen last on builds that fit, the latest first."""
        now = int(self._clock.seconds())
        return self._read(lambda reading: reading.failures(filter, limit, now))

    def failure(self, signature: str) -> Deferred[ReasonSummary | None]:
        """Return a reason, None where no build has it (any more)."""
        now = int(self._clock.seconds())
        return self._read(lambda reading: reading.failure(signature, now))

    def failed_builds(
        self,
        filter: Filter,  # noqa: A002 - what it is
        *,
        signature: str | None = None,
        revision: str | None = None,
        since: int = 0,
        limit: int = 50,
        with_memory: bool = False,
        with_body: bool = False,
    ) -> Deferred[list[FailedBuild]]:
        """Return builds with reasons, the latest first.

        Args:
            filter: What must fit.
            signature: A reason that they must have, None for any.
            revision: A revision that they must have built, None for any.
            since: When they must have begun at the earliest, in seconds since the epoch.
            limit: How many at most.
            with_memory: Whether what is remembered of them is wanted.
            with_body: Whether their bodies are wanted too.
        """
        return self._read(
            lambda reading: reading.failed_builds(
                filter,
                signature,
                revision,
                since,
                limit,
                with_memory=with_memory,
                with_body=with_body,
            )
        )

    def memories(self, some: Sequence[Build]) -> Deferred[dict[int, Memory]]:
        """Return what is remembered of why some builds are bad, by their number."""
        bad = [each for each in some if each.is_bad]
        return self._read(lambda reading: {each.id: reading.memory(each) for each in bad})

    def reasons_since(self, since: int) -> Deferred[list[tuple[Reason, int]]]:
        """Return the reasons that were seen since a time, and when each was last."""
        return self._read(lambda reading: reading.reasons_since(since))

    def has_reasons(self) -> Deferred[bool]:
        """Return whether any build's reasons are known."""
        return self._read(lambda reading: reading.has_reasons)

    def build_tests(
        self, build: Build, some: Sequence[NamedTest]
    ) -> Deferred[dict[NamedTest, Verdict]]:
        """Return what the runs up to a build say of tests that failed in it."""
        return self._read(lambda reading: reading.build_tests(build, some))

    def failing_tests(
        self,
        filter: Filter,  # noqa: A002 - what it is
        query: QueryOfTests,
        limit: int,
    ) -> Deferred[list[TestPlaces]]:
        """Return the tests that fail now, those on most builders first.

        Args:
            filter: What builders must fit; a branch is looked at in place of the main one.
            query: Which tests are asked for.
            limit: Of how many tests more than the number of builders is returned.
        """
        return self._read(lambda reading: reading.failing_tests(filter, query, limit))

    def reasons_like(self, text: str, limit: int) -> Deferred[list[Reason]]:
        """Return the reasons that have a text, those seen last first."""
        return self._read(lambda reading: reading.reasons_like(text, limit))

    def tests_like(self, query: QueryOfTests, limit: int) -> Deferred[list[NamedTest]]:
        """Return tests that have failed and fit, those that failed last first."""
        return self._read(lambda reading: reading.tests_like(query, limit))

    def new_tests(self, some: Sequence[Build]) -> Deferred[dict[int, list[NamedTest]]]:
        """Return which tests were new in builds, by the builds' numbers; see ``Verdict.is_new``."""
        return self._read(lambda reading: reading.new_tests(some))

    def tests_named(self, filter: Filter, name: str) -> Deferred[list[TestPlaces]]:  # noqa: A002
        """Return where tests of a name are known to have failed, for each suite."""
        return self._read(lambda reading: reading.tests_named(filter, name))

    def test_rates(
        self,
        filter: Filter,  # noqa: A002 - what it is
        name: str,
        since: int,
    ) -> Deferred[list[TestRate]]:
        """Return how often tests of a name failed on each builder that has run their suite.

        Args:
            filter: What builders must fit; a branch is looked at in place of the main one.
            name: The tests' name.
            since: When builds must have begun at the earliest, in seconds since the epoch.
        """
        return self._read(lambda reading: reading.test_rates(filter, name, since))

    def failures_at(
        self, name: str, revision: str
    ) -> Deferred[dict[tuple[NamedTest, int], bool | None]]:
        """Return whether tests of a name failed in a revision's builds, by test and builder."""
        return self._read(lambda reading: reading.failures_at(name, revision))

    def test_messages(
        self, name: str, some: Sequence[int]
    ) -> Deferred[list[tuple[Build, FailedTest]]]:
        """Return what tests of a name said in builds in which they failed, the latest first."""
        return self._read(lambda reading: reading.test_messages(name, some))

    def revisions(self, filter: Filter, limit: int) -> Deferred[list[Revision]]:  # noqa: A002
        """Return the revisions that have builds that fit, those newest whose builds began last."""
        return self._read(lambda reading: reading.revisions(filter, limit))

    def search(self, text: str, limit: int) -> Deferred[list[Revision]]:
        """Return the revisions that a text names, or whose author or comment has it.

        Args:
            text: A revision, its first ``SHORTEST`` characters at least, or any words.
            limit: How many at most.
        """
        return self._read(lambda reading: reading.search(text, limit))

    def revision_verdicts(
        self,
        text: str,
        filter: Filter,  # noqa: A002 - what it is
    ) -> Deferred[list[RevisionVerdict]]:
        """Return what builders say of the revisions that a text names, one of each codebase.

        Args:
            text: A revision, or its beginning.
            filter: What builders and branches must fit.
        """
        return self._read(lambda reading: reading.revision_verdicts(text, filter))

    def queue(self) -> Deferred[Queue]:
        """Return which requests wait, by builder."""
        now = self._clock.seconds()
        return self._read(lambda reading: reading.queue(now))

    def quiet(self) -> Deferred[list[Quiet]]:
        """Return the builders that have gone quiet, those that are so for longest first."""
        return self._read(lambda reading: reading.quiet())

    def requests(self, builder: int | None, limit: int) -> Deferred[list[Request]]:
        """Return the requests that wait, the oldest first.

        Args:
            builder: For which builder, None for all.
            limit: How many at most.
        """
        return self._read(lambda reading: reading.requests(builder, limit))

    def workers(self, name: str | None, limit: int) -> Deferred[list[WorkerDetail]]:
        """Return workers, those in trouble first.

        Args:
            name: Their name, None for all.
            limit: Of how many at most it is looked up what they did last.
        """
        return self._read(lambda reading: reading.workers(name, limit))

    def branch_verdicts(self, rules: Sequence[Rule]) -> Deferred[list[BranchVerdict]]:
        """Return whether branches may be released."""
        return self._read(lambda reading: [*map(reading.branch_verdict, rules)])

    def results(self) -> Deferred[dict[int | None, int]]:
        """Count the builds by their result, None for those that run."""
        return self._read(lambda reading: reading.results())

    def updates(self, after: int, limit: int) -> Deferred[list[Update] | None]:
        """Return the updates after a sequence, None where they are no longer known."""
        return self._read(lambda reading: reading.updates(after, limit))

    async def prune(self, before: float) -> int:
        """Delete builds that began before a moment, and requests that have waited since then.

        Builds that a builder's state names stay.

        Args:
            before: The moment, in seconds since the epoch.

        Returns:
            How many builds were deleted.

        Raises:
            StorageError: The database can't be written to.
        """
        deleted = 0
        for builder in await self._write(pruning.builder_ids):
            count = pruning.AT_ONCE
            while count == pruning.AT_ONCE:
                prune = partial(
                    pruning.prune,
                    builder=builder,
                    before=before,
                    now=self._clock.seconds(),
                    main=self._cache.main,
                )
                count, moved = await self._write(prune)
                deleted += count
                self._move(moved or self.latest)
        await self._write(partial(drop_changes, before=before))
        while await self._write(partial(drop_waiting, before=before)):
            pass
        now = self._clock.seconds()
        await self._change_incidents(partial(self._following.prune, before=before, now=now))
        return deleted

    async def prune_updates(self) -> None:
        """Delete updates that no browser asks for any more, and requests long complete.

        Raises:
            StorageError: The database can't be written to.
        """
        await self._write(pruning.prune_updates)
        before = self._clock.seconds() - COMPLETE_FOR
        while await self._write(partial(drop_complete, before=before)):
            pass

    def _read(self, what: Callable[[Reading], T]) -> Deferred[T]:
        operation = partial(read, cache=self._cache, what=what)
        done: Deferred[tuple[T, Position]] = self._reading.run(self._reader.transact, operation)
        return done.addCallback(self._seen)

    def _seen(self, found: tuple[T, Position]) -> T:
        value, position = found
        is_older = position.epoch == self.latest.epoch and position.sequence < self.latest.sequence
        # Another process may have written; a slow reader may bring what is older than known.
        if not is_older:
            self._move(position)
        return value

    def _write(self, operation: Callable[..., T]) -> Deferred[T]:
        done: Deferred[T] = self._writing.run(self._writer.transact, operation)
        return done

    def _commit(self, arrivals: Sequence[Arrival]) -> Deferred[list[Stored]]:
        written = self._write(partial(write, arrivals=arrivals, names=self._names))
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
    """Tell whether a status is at fault itself, and not the database."""
    return bool(failure.check(UnstorableError) or not failure.check(StorageError, CancelledError))


def _unstorable(failure: Failure) -> Failure:
    """Take a mistake of ours for a status that can't be stored, and say where it was made."""
    if not _is_of_one(failure) or failure.check(UnstorableError):
        return failure
    frames = extract_tb(failure.getTracebackObject())
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    fault = f"{type(failure.value).__name__}: {failure.getErrorMessage()}{where}"
    return Failure(UnstorableError(fault))
