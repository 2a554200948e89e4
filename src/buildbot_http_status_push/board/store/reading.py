"""Reads what pages show, each time as it all stands at one moment.

Blocking: runs in the reader's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any, TypeVar

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.cluster.queue import Queue, Request, Waiting, expected, why
from buildbot_http_status_push.board.cluster.quiet import (
    Quiet,
    begun,
    may_be_quiet,
    quiet,
)
from buildbot_http_status_push.board.filters import fits_build, fits_builder
from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.judgements import place
from buildbot_http_status_push.board.model import (
    SHORTEST,
    Build,
    BuildDetail,
    Builder,
    BuilderIncident,
    FailedBuild,
    Filter,
    Master,
    Memory,
    Position,
    Reason,
    ReasonSummary,
    Revision,
    Update,
    Worker,
    WorkerDetail,
)
from buildbot_http_status_push.board.personal_data import (
    open_build,
    open_change,
    open_line,
    open_memory,
    open_reason,
    open_revision,
    open_summary,
    open_worker,
    without_personal,
)
from buildbot_http_status_push.board.store import reading_test_results
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.builder_cache import BuilderCache
from buildbot_http_status_push.board.store.cluster import (
    WAITING_BY_BUILDER,
    WAITING_OF_BUILDER,
    WAITING_REQUESTS,
    last_of_worker,
    requested_named,
    sources_in,
)
from buildbot_http_status_push.board.store.incidents import (
    incident_named,
    incidents_before,
    shown_incident,
    shown_step,
    steps_of,
)
from buildbot_http_status_push.board.store.masters import shown_masters
from buildbot_http_status_push.board.store.merging import state_of
from buildbot_http_status_push.board.store.reading_failures import (
    MOST_FIT,
    failed_builds,
    reason_in,
    reasons_like,
    reasons_since,
)
from buildbot_http_status_push.board.store.rows import (
    build_of,
    unpacked,
    with_master,
)
from buildbot_http_status_push.board.store.source_changes import (
    change_of,
    changes_named,
    first_builds_with,
)
from buildbot_http_status_push.board.store.tables import builds
from buildbot_http_status_push.board.test_results.history import (
    TestPlace,
    TestPlaces,
    TestRate,
    Verdict,
)
from buildbot_http_status_push.board.test_results.query import QueryOfTests
from buildbot_http_status_push.board.test_results.results import FailedTest, NamedTest, results_of
from buildbot_http_status_push.board.verdicts.revision import (
    BuilderVerdict,
    RevisionVerdict,
    in_order,
    new_reasons_of,
)
from buildbot_http_status_push.board.verdicts.rules import BranchVerdict, Rule, judged
from buildbot_http_status_push.prepared_statements import portions

T = TypeVar("T")

LAST_CHARACTER = "\U0010ffff"
MOST_NAMED = 50
"""How many rows of revisions and of changes are looked at for what a text names."""
MOST_REQUESTED = 2000
"""How many rows of requests are looked at for it."""
MOST_TESTED = 50
"""Of how many bad builds of a revision the new tests are looked up."""
LOOKED_THROUGH = 10
"""How many times as many revisions are looked at as are asked for, where builds must fit too."""


class Reading:
    """One transaction of reads."""

    def __init__(self, connection: Connection, cache: BuilderCache, now: float) -> None:
        self._connection = connection
        self._now = now
        self._position = _position(connection)
        self._masters = shown_masters(connection.execute(sql.MASTERS).all())
        if cache.epoch != self._position.epoch or cache.sequence > self._position.sequence:
            cache.forget(self._position.epoch)
        if cache.sequence < self._position.sequence:
            cache.refresh(connection, self._masters)
            cache.sequence = self._position.sequence
        cache.incidents.refresh(connection)
        self._cache = cache
        self._builders = cache.builders

    def position(self) -> Position:
        """Return where the order of updates stands."""
        return self._position

    def masters(self) -> list[Master]:
        """Return all masters, by name."""
        return [*self._masters.values()]

    def builders(self, chosen: Filter) -> list[Builder]:
        """Return the builders that fit, by name, each with its builds that fit."""
        return [*map(self._with_memory, self._fitting(chosen))]

    def _fitting(self, chosen: Filter) -> list[Builder]:
        every = map(self._with_master, self._by_branch(chosen.branch).values())
        found = [each for each in every if fits_builder(chosen, each)]
        if chosen.is_about_builds:
            found = [each for each in (narrowed(each, chosen) for each in found) if each]
        return sorted(found, key=lambda each: (each.name, each.id))

    def builder(self, number: int, branch: str | None = None) -> Builder | None:
        """Return a builder by a branch, by the one that it is shown by where there is none."""
        found = self._by_branch(branch).get(number) or self._builders.get(number)
        return None if found is None else self._with_memory(self._with_master(found))

    def _by_branch(self, branch: str | None) -> Mapping[int, Builder]:
        if branch is None:
            return self._builders
        return self._cache.on_branch(self._connection, branch)

    def builders_by_id(self, ids: Iterable[int]) -> list[Builder]:
        """Return the builders of some numbers, as far as they are known."""
        known = (self._builders.get(each) for each in ids)
        some = (self._with_master(each) for each in known if each is not None)
        return [*map(self._with_memory, some)]

    def _with_memory(self, builder: Builder) -> Builder:
        incident = self._cache.incidents.of(builder.id, builder.branch)
        if incident is not None:
            shown = self._shown_incident(incident)
            builder = evolve(builder, incident=_of_builder(shown))
        if builder.last is None or not builder.last.is_bad:
            return builder
        memory = self.memory(builder.last)
        # Without a reason only the results say something.
        is_flaky = memory.is_flaky if memory.reasons else builder.flaky
        return evolve(builder, memory=memory, flaky=is_flaky)

    def incidents(self) -> list[Incident]:
        """Return the open incidents, the oldest first."""
        return [*map(self._shown_incident, self._cache.incidents.by_id.values())]

    def closed_incidents(self, closed_at: float, limit: int) -> list[Incident]:
        """Return closed incidents, those first that were closed last."""
        found = incidents_before(self._connection, closed_at, limit)
        return [*map(self._shown_incident, found)]

    def incident(self, number: str) -> tuple[Incident, list[Step]] | None:
        """Return an incident, open or closed, with the steps of its life."""
        found = incident_named(self._connection, number)
        if found is None:
            return None
        steps = steps_of(self._connection, number)
        is_open = self._cache.is_open
        return self._shown_incident(found), [shown_step(each, is_open=is_open) for each in steps]

    def _shown_incident(self, incident: Incident) -> Incident:
        cache = self._cache
        return shown_incident(incident, cache.memories.entries, is_open=cache.is_open)

    def memories(self, some: Iterable[Build]) -> dict[int, Memory]:
        """Return what is remembered of why some builds are bad, by their number."""
        return {each.id: self.memory(each) for each in some if each.is_bad}

    def memory(self, build: Build) -> Memory:
        """Return what is remembered of why a bad build is so."""
        return self._open(open_memory, self._cache.memories.of(self._connection, build))

    def _with_master(self, builder: Builder) -> Builder:
        return with_master(builder, self._masters[builder.master.id])

    def builds(
        self,
        chosen: Filter,
        builder: int | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> list[Build]:
        """Return the builds that fit, newest first.

        Args:
            chosen: What must fit.
            builder: Whose builds, None for all builders that fit; the filter's builder, tags,
                master and project don't matter then.
            limit: How many at most.
            before: Only builds older than this one, by its number on the board.
        """
        last = sql.LAST_PLACE if before is None else self._place(before)
        if last is None:
            return []
        if builder is not None:
            return self._some(chosen, builds.c.builder == builder, last, limit)
        if _is_about_builders(chosen):
            return self._of_builders(chosen, last, limit)
        if len(chosen.results) > 1 and not (chosen.branch or chosen.worker or chosen.owner):
            ways = [builds.c.results == each for each in sorted(chosen.results)]
            return _latest((self._some(chosen, way, last, limit) for way in ways), limit)
        return self._some(chosen, sa.true(), last, limit)

    def _of_builders(self, chosen: Filter, last: tuple[int, ...], limit: int) -> list[Build]:
        """Look through builders, those with the newest builds first, until no other can matter."""
        found: list[Build] = []
        newest = self._cache.newest
        every = map(self._with_master, self._builders.values())
        fit = [each.id for each in every if fits_builder(chosen, each)]
        for builder in sorted(fit, key=newest, reverse=True):
            if len(found) == limit and newest(builder) < place(found[-1]):
                break
            way = builds.c.builder == builder
            found = _latest((found, self._some(chosen, way, last, limit)), limit)
        return found

    def _some(self, chosen: Filter, way: Any, last: tuple[int, ...], limit: int) -> list[Build]:
        """Return builds on one way through an index."""
        ways = [way]
        if chosen.branch:
            ways = [sa.and_(way, each) for each in sql.on_branch(chosen.branch)]
        if chosen.owner:
            ways = [sa.and_(each, owner) for each in ways for owner in sql.of_owner(chosen.owner)]
        statements = (sql.builds_before(chosen, each).limit(limit) for each in ways)
        found = _latest((self._found(each, sql.at(last)) for each in statements), limit)
        return [each for each in found if fits_build(chosen, each)]

    def _place(self, build: int) -> tuple[int, ...] | None:
        row = self._connection.execute(sql.PLACE, {"of_build": build}).first()
        return None if row is None else tuple(row)

    def build(self, number: int) -> BuildDetail | None:
        """Return a build and all that is known of it."""
        of_build = {"of_build": number}
        found = self._found(sql.BUILD, of_build)
        body = self._connection.execute(sql.BODY, of_build).scalar()
        if not found or body is None:
            return None
        [build] = found
        [builder] = self.builders_by_id([build.builder])
        return BuildDetail(
            build=build,
            builder=builder,
            body=self._open(without_personal, unpacked(bytes(body))),
            parent=self._parent(build),
            triggered=tuple(self._triggered(build)),
            same_request=tuple(self._same_request(build)),
            memory=self.memory(build) if build.is_bad or build.is_inconclusive else None,
        )

    def build_and_tests(self, number: int) -> tuple[BuildDetail, dict[NamedTest, Verdict]] | None:
        """Return a build, and what the runs up to it say of the tests that failed in it."""
        detail = self.build(number)
        if detail is None:
            return None
        return detail, reading_test_results.verdicts_of(self._connection, number)

    def _parent(self, build: Build) -> Build | None:
        row = self._connection.execute(sql.PARENT_OF, {"of_build": build.id}).one()
        if row.parent is None:
            return None
        known = self._found(sql.PARENT, {"of_master": row.master, "of_parent": row.parent})
        # A database made anew counts from 1 again: the time shows which one it was.
        fit = [each for each in known if row.parent_started_at in (None, each.started_at)]
        return fit[0] if fit else None

    def _triggered(self, build: Build) -> list[Build]:
        values = {
            "of_master": build.master,
            "of_parent": build.buildid,
            "of_start": build.started_at,
        }
        return self._found(sql.TRIGGERED, values)

    def _same_request(self, build: Build) -> list[Build]:
        if build.request is None:
            return []
        values = {"of_master": build.master, "of_request": build.request}
        same = (build.builder, build.submitted_at)
        found = [
            each
            for each in self._found(sql.SAME_REQUEST, values)
            if (each.builder, each.submitted_at) == same and each.id != build.id
        ]
        return sorted(found, key=place)[:100]

    def revisions(self, chosen: Filter, limit: int) -> list[Revision]:
        """Return the revisions that have builds that fit, newest first."""
        rows = self._connection.execute(sql.revisions_of(chosen).limit(limit * LOOKED_THROUGH))
        found: list[Revision] = []
        for row in rows.all():
            newest = self._newest_of(row.id, chosen)
            if newest:
                found.append(self._open(open_revision, _revision(row, newest)))
            if len(found) == limit:
                break
        return found

    def search(self, text: str, limit: int) -> list[Revision]:
        """Return the revisions that a text names, then those whose author or comment has it."""
        end = f"{text}{LAST_CHARACTER}" if len(text) >= SHORTEST else f"{text} "
        named = {"of_first": text, "of_end": end, "most": limit}
        about = {"like_text": f"%{sql.like(text.lower())}%", "most": limit}
        rows = [
            *sql.REVISIONS_FROM.rows(self._connection, named),
            *sql.REVISIONS_ABOUT.rows(self._connection, about),
        ]
        known = {row.id: row for row in rows}
        return [
            self._open(open_revision, _revision(row, self._newest_of(row.id, Filter())))
            for row in [*known.values()][:limit]
        ]

    def _newest_of(self, revision: int, chosen: Filter) -> tuple[Build, ...]:
        """Return the newest build of each builder that fits."""
        every = self._found(sql.OF_REVISION, {"of_revision": revision})
        newest = {each.builder: each for each in reversed(every)}
        # The row's own branch fits: another codebase's may be another.
        not_by_branch = evolve(chosen, branch=None)
        return tuple(
            each
            for each in newest.values()
            if fits_build(not_by_branch, each)
            and fits_builder(chosen, self._builders[each.builder])
        )

    def revision_verdicts(self, text: str, chosen: Filter) -> list[RevisionVerdict]:
        """Return what builders say of the revisions that a text names, one of each codebase."""
        found: dict[tuple[str, str, str], list[Any]] = {}
        for row in self._named(text):
            if chosen.branch in (None, row.branch):
                found.setdefault((row.revision, row.codebase, row.branch), []).append(row)
        return [self._revision_verdict(rows, chosen) for rows in found.values()]

    def queue(self) -> Queue:
        """Return which requests wait, by builder, the oldest first."""
        rows = WAITING_BY_BUILDER.rows(self._connection, {})
        busy = self._busy() if rows else {}
        waiting = [self._waiting(row, busy) for row in rows]
        return Queue(
            waiting=tuple(sorted(waiting, key=lambda each: (each.oldest, each.builder.name))),
            is_known=self._cache.cluster.has_requests,
        )

    def _waiting(self, row: Any, busy: Mapping[int, list[tuple[Builder, Build]]]) -> Waiting:
        builder = self._with_master(self._builders[row.builder])
        workers = self._cache.cluster.workers_of(builder)
        return Waiting(
            builder=builder,
            count=row.waiting,
            oldest=row.oldest,
            why=why(workers, busy),
            expected=expected(workers, busy, self._now),
        )

    def _busy(self) -> dict[int, list[tuple[Builder, Build]]]:
        """Return the builds that run on each worker, by its number."""
        named = {
            (each.master.id, each.name): each.id for each in self._cache.cluster.workers.values()
        }
        found: dict[int, list[tuple[Builder, Build]]] = {}
        for builder in map(self._with_master, self._builders.values()):
            for build in builder.running:
                worker = named.get((builder.master.id, build.worker or ""))
                if worker is not None:
                    found.setdefault(worker, []).append((builder, build))
        return found

    def quiet(self) -> list[Quiet]:
        """Return the builders that have gone quiet, those that are so for longest first."""
        rows = WAITING_BY_BUILDER.rows(self._connection, {})
        oldest = {row.builder: row.oldest for row in rows}
        every = [*map(self._with_master, self._builders.values())]
        places = begun(every)
        others = {each.id: places[each.master.id, each.branch] for each in every}
        some = [each for each in every if may_be_quiet(each, others[each.id], oldest.get(each.id))]
        habits = self._cache.habits_of(self._connection, some)
        decided = (
            quiet(each, habits[each.id], others[each.id], oldest.get(each.id))
            for each in some
            if each.id in habits
        )
        found = [each for each in decided if each is not None]
        return sorted(found, key=lambda each: (each.since or 0, each.builder.name))

    def requests(self, builder: int | None, limit: int) -> list[Request]:
        """Return the requests that wait, the oldest first."""
        if builder is None:
            rows = WAITING_REQUESTS.rows(self._connection, {"most": limit})
        else:
            given = {"of_builder": builder, "most": limit}
            rows = WAITING_OF_BUILDER.rows(self._connection, given)
        return [
            Request(
                number=row.number,
                builder=self._with_master(self._builders[row.builder]),
                submitted_at=row.submitted_at,
                claimed=bool(row.claimed),
                priority=row.priority,
                reason=self._open(open_line, row.reason),
                sources=sources_in(row.sources),
            )
            for row in rows
        ]

    def workers(self, name: str | None, limit: int) -> list[WorkerDetail]:
        """Return workers, those that are missed first, removed ones last."""
        every = [
            self._open(open_worker, evolve(each, master=self._masters[each.master.id]))
            for each in self._cache.cluster.workers.values()
            if name in (None, each.name)
        ]
        every.sort(key=lambda each: (each.removed, not each.is_away, each.name, each.id))
        busy = self._busy() if every else {}
        return [
            WorkerDetail(
                worker=each,
                running=tuple(busy.get(each.id, ())),
                last=self._last_of(each) if place < limit else None,
            )
            for place, each in enumerate(every)
        ]

    def _last_of(self, worker: Worker) -> Build | None:
        last = last_of_worker(self._connection, worker)
        if last is None:
            return None
        named = evolve(last, builder_name=self._builders[last.builder].name)
        return self._open(open_build, named)

    def branch_verdicts(self, rules: Iterable[Rule]) -> list[BranchVerdict]:
        """Return whether branches may be released."""
        return [*map(self._branch_verdict, rules)]

    def _branch_verdict(self, rule: Rule) -> BranchVerdict:
        builders = [each for each in self.builders(rule.chosen) if not each.removed]
        if rule.judge == "builders":
            last = {
                each.id: BuilderVerdict(builder=each, build=each.last, memory=each.memory)
                for each in self.builders(evolve(rule.chosen, branch=rule.branch))
                if each.last is not None
            }
            return judged(rule, builders, last)
        newest = self._newest_revision(rule)
        if newest is None:
            return judged(rule, builders, {})
        of_revision = [
            each
            for each in self.revision_verdicts(newest, evolve(rule.chosen, branch=rule.branch))
            if rule.codebase in (None, each.codebase)
        ]
        said = {each.builder.id: each for found in of_revision for each in found.builders}
        return judged(rule, builders, said, newest)

    def _newest_revision(self, rule: Rule) -> str | None:
        """Return a branch's newest revision: by its changes where they are known, else by builds.

        What is built once more, or for the first time, may be an old one.
        """
        chosen = Filter(branch=rule.branch, master=rule.master)
        some = [
            each
            for each in self.revisions(chosen, MOST_NAMED)
            if rule.codebase in (None, each.codebase)
        ]
        changes = {
            each.revision: [
                (row.master, row.number)
                for row in changes_named(
                    self._connection, each.revision, f"{each.revision} ", MOST_NAMED
                )
                if row.branch == rule.branch
            ]
            for each in some
        }
        masters = {master for found in changes.values() for master, _ in found}
        if len(masters) == 1 and all(changes.values()):
            return max(changes, key=lambda each: max(changes[each]))
        return some[0].revision if some else None

    def _named(self, text: str) -> list[Any]:
        """Return the rows of revisions and of changes: those that a text is, else begins."""
        for end in (f"{text} ", f"{text}{LAST_CHARACTER}"):
            named = {"of_first": text, "of_end": end, "most": MOST_NAMED}
            rows = [
                *sql.REVISIONS_FROM.rows(self._connection, named),
                *changes_named(self._connection, text, end, MOST_NAMED),
                *requested_named(self._connection, text, end, MOST_REQUESTED),
            ]
            if rows:
                return rows
        return []

    def _revision_verdict(self, rows: Sequence[Any], chosen: Filter) -> RevisionVerdict:
        """Return what builders say of a revision, which has rows of itself and of its changes."""
        own = [each for each in rows if hasattr(each, "first_at")]
        changes = [each for each in rows if hasattr(each, "seen_at")]
        every = [
            build for row in own for build in self._found(sql.OF_REVISION, {"of_revision": row.id})
        ]
        # What a patch was applied to says nothing of the revision, unless there is nothing else.
        judging = [each for each in every if each.judges] or every
        newest = {each.builder: each for each in sorted(judging, key=place)}
        inside = [
            each
            for row in changes
            for each in first_builds_with(self._connection, row, newest.keys())
        ]
        builds = [*newest.values(), *{each.builder: each for each in inside}.values()]
        building = {each.builder for each in builds}
        waits = {each.builder for each in rows if hasattr(each, "request")} - building
        said = [
            *(self._builder_verdict(each, is_inside=each.builder not in newest) for each in builds),
            *(
                BuilderVerdict(builder=self._with_master(self._builders[each]), build=None)
                for each in waits
            ),
        ]
        verdicts = in_order(each for each in said if fits_builder(chosen, each.builder))
        shown = [change_of(each) for each in changes]
        times = [*(each.first_at for each in own), *(each.seen_at for each in changes)]
        return RevisionVerdict(
            revision=rows[0].revision,
            codebase=rows[0].codebase,
            branch=rows[0].branch or None,
            project=next((each.project for each in own if each.project), None),
            first_at=min(times, default=None),
            changes=tuple(self._open(open_change, each) for each in shown),
            builders=verdicts,
            new_reasons=new_reasons_of(verdicts),
            new_tests=self._new_tests(verdicts),
        )

    def _builder_verdict(self, build: Build, *, is_inside: bool) -> BuilderVerdict:
        builder = self._with_master(self._builders[build.builder])
        named = self._open(open_build, evolve(build, builder_name=builder.name))
        return BuilderVerdict(
            builder=builder,
            build=named,
            memory=self.memory(named) if build.is_bad else None,
            is_inside=is_inside,
        )

    def _new_tests(
        self, verdicts: Sequence[BuilderVerdict]
    ) -> tuple[tuple[NamedTest, tuple[BuilderVerdict, ...]], ...]:
        """Return the tests that began to fail in bad builds, those of most builders first."""
        bad = {each.build.id: each for each in verdicts if each.build and each.build.is_bad}
        some = [*bad][:MOST_TESTED]
        found: dict[NamedTest, list[BuilderVerdict]] = {}
        for build, tests in reading_test_results.new_tests(self._connection, some).items():
            for test in tests:
                found.setdefault(test, []).append(bad[build])
        made = [(test, tuple(some)) for test, some in found.items()]
        return tuple(sorted(made, key=lambda pair: (-len(pair[1]), pair[0].name, pair[0].suite)))

    def failures(self, chosen: Filter, limit: int) -> list[ReasonSummary]:
        """Return the reasons that were seen last on builds that fit, the latest first."""
        memories, now = self._cache.memories, int(self._now)
        if chosen == Filter():
            found = memories.failures(self._connection, self._names(chosen), limit, now)
        else:
            some = self._failed(chosen, limit=MOST_FIT)
            found = memories.failures_of(self._connection, some, limit, now)
        return [self._open(open_summary, each) for each in found]

    def failure(self, signature: str) -> ReasonSummary | None:
        """Return a reason, None where no build has it (any more)."""
        names = self._names(Filter())
        found = self._cache.memories.failure(self._connection, signature, names, int(self._now))
        return found and self._open(open_summary, found)

    def failed_builds(
        self,
        chosen: Filter,
        *,
        signature: str | None = None,
        revision: str | None = None,
        since: int = 0,
        limit: int = 50,
        with_memory: bool = False,
        with_body: bool = False,
    ) -> list[FailedBuild]:
        """Return builds with reasons, the latest first."""
        found = self._failed(
            chosen, signature=signature, revision=revision, since=since, limit=limit
        )
        return [
            FailedBuild(
                build=each,
                memory=self.memory(each) if with_memory else Memory(),
                body=self._body(each) if with_body else None,
                reason=self._reason(each, signature) if signature and with_body else None,
            )
            for each in found
        ]

    def _reason(self, build: Build, signature: str) -> Reason | None:
        found = reason_in(self._connection, build.id, signature)
        return found and self._open(open_reason, found)

    def _failed(self, chosen: Filter, **asked: Any) -> list[Build]:
        """Return builds with reasons, the latest first; see ``failed_builds``."""
        some = self._names(chosen) if _is_about_builders(chosen) else None
        rows = failed_builds(self._connection, chosen, builders=some, **asked)
        found = (build_of(row, self._builders[row.builder].name) for row in rows)
        return [self._open(open_build, each) for each in found if fits_build(chosen, each)]

    def reasons_since(self, since: int) -> list[tuple[Reason, int]]:
        """Return the reasons that were seen since a time, and when each was last."""
        return reasons_since(self._connection, since)

    def has_reasons(self) -> bool:
        """Return whether any build's reasons are known."""
        return self._cache.memories.has_any

    def _body(self, build: Build) -> Mapping[str, Any]:
        kept: Any = self._connection.execute(sql.BODY, {"of_build": build.id}).scalar_one()
        return self._open(without_personal, unpacked(bytes(kept)))

    def _names(self, chosen: Filter) -> dict[int, str]:
        every = map(self._with_master, self._builders.values())
        return {each.id: each.name for each in every if fits_builder(chosen, each)}

    def failing_tests(
        self, chosen: Filter, query: QueryOfTests, limit: int, most_places: int | None = None
    ) -> list[TestPlaces]:
        """Return the tests that fail now, those on most builders first.

        Args:
            chosen: What builders must fit; a branch is looked at in place of the main one.
            query: Which tests are asked for.
            limit: Of how many tests more than the number of builders is returned.
            most_places: Of how many of a test's builders more is returned, None for all.
        """
        places = self._lines_shown(chosen)
        found, counts = reading_test_results.failing_now(
            self._connection, places, query, limit, most_places
        )
        known = self._first_bad(found.values())
        made = [
            TestPlaces(test=each, count=count, places=self._places(found.get(each, ()), known))
            for each, count in counts.items()
        ]
        shown = sorted(
            made[:limit],
            key=lambda each: (
                -each.count,
                not any(at.verdict.is_new for at in each.places),
                all(at.verdict.is_flaky for at in each.places),
            ),
        )
        return [*shown, *made[limit:]]

    def reasons_like(self, text: str, limit: int) -> list[Reason]:
        """Return the reasons that have a text, those seen last first."""
        found = reasons_like(self._connection, text, limit)
        return [self._open(open_reason, each) for each in found]

    def tests_like(self, query: QueryOfTests, limit: int) -> list[NamedTest]:
        """Return tests that have failed and fit."""
        return reading_test_results.tests_like(self._connection, query, limit)

    def new_tests(self, some: Iterable[Build]) -> dict[int, list[NamedTest]]:
        """Return which tests were new in builds, by the builds' numbers."""
        return reading_test_results.new_tests(self._connection, [each.id for each in some])

    def tests_named(self, chosen: Filter, name: str) -> list[TestPlaces]:
        """Return where tests of a name are known to have failed, for each suite."""
        found = reading_test_results.places_of(self._connection, name, self._lines_shown(chosen))
        known = self._first_bad(found.values())
        return [
            TestPlaces(test=each, count=len(places), places=self._places(places, known))
            for each, places in found.items()
        ]

    def test_rates(self, chosen: Filter, name: str, since: int) -> list[TestRate]:
        """Return how often tests of a name failed on each builder that has run their suite."""
        lines = self._lines_shown(chosen)
        found = reading_test_results.rates_of(self._connection, name, lines, since)
        return [
            TestRate(
                test=test,
                builder=self._with_master(self._builders[builder]),
                branch=line or None,
                failed=failed,
                ran=ran,
            )
            for test, places in found.items()
            for (builder, line), (failed, ran) in places.items()
        ]

    def failures_at(self, name: str, revision: str) -> dict[tuple[NamedTest, int], bool | None]:
        """Return whether tests of a name failed in each builder's last build of a revision."""
        end = f"{revision}{LAST_CHARACTER}" if len(revision) >= SHORTEST else f"{revision} "
        named = {"of_first": revision, "of_end": end, "most": LOOKED_THROUGH}
        builders = {
            each.id: each.builder
            for row in sql.REVISIONS_FROM.rows(self._connection, named)
            for each in self._found(sql.OF_REVISION, {"of_revision": row.id})
        }
        found = reading_test_results.failures_in(self._connection, name, [*builders])
        return {
            (test, builders[build]): has_failed
            for test, by_build in found.items()
            for build, has_failed in sorted(by_build.items())
            if has_failed is not None
        }

    def test_messages(self, name: str, some: Sequence[int]) -> list[tuple[Build, FailedTest]]:
        """Return what tests of a name said in builds, those that failed there."""
        known = self._builds_by_id(some)
        found: list[tuple[Build, FailedTest]] = []
        for build in sorted(known.values(), key=place, reverse=True):
            results = results_of(self._body(build))
            named = evolve(build, builder_name=self._builders[build.builder].name)
            if results is not None:
                every = results.failures
                found += [(named, each) for each in every if each.test.name == name]
        return found

    def _builds_by_id(self, some: Iterable[int]) -> dict[int, Build]:
        return {
            row.id: build_of(row, "")
            for part in portions(sorted(set(some)))
            for row in sql.BUILDS_BY_ID.rows(self._connection, {"some": part})
        }

    def _first_bad(
        self, some: Iterable[list[reading_test_results.FailingPlace]]
    ) -> dict[int, Build]:
        """Return the builds in which tests began to fail."""
        first = (place.verdict.first_bad for places in some for place in places)
        numbers = {each.build for each in first if each}
        return self._builds_by_id(numbers)

    def _lines_shown(self, chosen: Filter) -> list[tuple[int, str]]:
        """Return the builders that fit, each with the branch that it is shown by."""
        return [(each.id, each.branch or "") for each in self._fitting(chosen)]

    def _places(
        self, some: Iterable[reading_test_results.FailingPlace], known: Mapping[int, Build]
    ) -> tuple[TestPlace, ...]:
        return tuple(
            TestPlace(
                builder=self._with_master(self._builders[each.builder]),
                branch=each.line or None,
                verdict=each.verdict,
                first_bad=None if first is None else known.get(first.build),
            )
            for each in some
            for first in (each.verdict.first_bad,)
        )

    def results(self) -> dict[int | None, int]:
        """Count the builds by their result, None for those that run."""
        return {row[0]: row[1] for row in self._connection.execute(sql.RESULTS)}

    def updates(self, after: int, limit: int) -> list[Update] | None:
        """Return the updates after a sequence, None where they are no longer known."""
        oldest = self._connection.execute(sql.OLDEST_UPDATE).scalar()
        first = self._position.sequence + 1 if oldest is None else oldest
        if not first - 1 <= after <= self._position.sequence:
            return None
        rows = self._connection.execute(sql.UPDATES, {"after": after, "most": limit})
        return [Update(**row._mapping) for row in rows]

    def _found(self, statement: Any, values: Mapping[str, Any]) -> list[Build]:
        rows = self._connection.execute(statement, values)
        builds = (build_of(row, self._builders[row.builder].name) for row in rows)
        return [self._open(open_build, each) for each in builds]

    def _open(self, hide: Callable[[T], T], value: T) -> T:
        return hide(value) if self._cache.is_open else value


def narrowed(builder: Builder, chosen: Filter) -> Builder | None:
    """Return a builder with those of its builds only that fit, None where none does.

    What they say of it is worked out of them alone, but a result that is asked for judges nothing:
    else all that ever failed would be red.
    """
    running = tuple(each for each in builder.running if fits_build(chosen, each))
    if not (chosen.worker or chosen.owner or chosen.results):
        return evolve(builder, running=running)  # it is by that branch already
    marked = [each for each in (builder.last, builder.first_bad, builder.last_good) if each]
    known = {each.id: each for each in (*marked, *builder.recent)}
    of_any_result = evolve(chosen, results=frozenset())
    some = [each for each in known.values() if fits_build(of_any_result, each)]
    state = state_of(some)
    recent = tuple(each for each in builder.recent if fits_build(chosen, each))
    if not recent and not running:
        return None
    last = state.last if state.last and fits_build(chosen, state.last) else None
    first_bad = state.first_bad if last else None
    is_same = first_bad == builder.first_bad
    return evolve(
        builder,
        last=last,
        first_bad=first_bad,
        last_good=state.last_good,
        suspects=builder.suspects if is_same else (),
        suspected=builder.suspected if is_same else 0,
        running=running,
        recent=recent,
    )


def _position(connection: Connection) -> Position:
    found = sql.POSITION.first(connection, {})
    return Position(found.epoch, found.sequence)


def _of_builder(incident: Incident) -> BuilderIncident:
    return BuilderIncident(
        id=incident.id,
        kind=incident.kind,
        opened_at=incident.opened_at,
        cause=incident.cause,
        claimed_by=incident.claim.by if incident.claim else None,
        muted_until=incident.muted_until,
        suspects=incident.suspects.changes,
        suspected=incident.suspects.count,
    )


def _is_about_builders(chosen: Filter) -> bool:
    return bool(chosen.builder or chosen.tags or chosen.master or chosen.project)


def _latest(groups: Iterable[Iterable[Build]], limit: int) -> list[Build]:
    every: Iterator[Build] = (each for group in groups for each in group)
    return nlargest(limit, every, key=place)


def _revision(row: Any, newest: tuple[Build, ...]) -> Revision:
    return Revision(
        revision=row.revision,
        codebase=row.codebase,
        branch=row.branch or None,
        project=row.project or None,
        first_at=row.first_at,
        builds=newest,
        author=row.author,
        comment=row.comment,
    )
