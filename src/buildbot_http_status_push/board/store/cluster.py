"""Requests, workers and builders as they were last reported: written, read, and kept in memory.

Blocking: runs in the writer's thread and in the reader's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import astuple, define, evolve, field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.cluster.states import (
    BuilderState,
    RequestState,
    State,
    WorkerState,
)
from buildbot_http_status_push.board.model import Build, Builder, Master, Source, Worker
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS, build_of, to_json
from buildbot_http_status_push.board.store.tables import (
    WAITING,
    builders,
    builds,
    configured,
    requested,
    requests,
    workers,
)
from buildbot_http_status_push.prepared_statements import Prepared
from buildbot_http_status_push.results import RETRY

COMPLETE_FOR = 7 * 86_400
"""For how many seconds it is remembered that a request is complete: its older states may come."""
AT_ONCE = 500
"""How many requests are deleted in one transaction."""

_q, _w, _c, _b = requests.c, workers.c, configured.c, builds.c
_given = sa.bindparam
_waits = sa.text(WAITING)

REQUEST = Prepared(
    lambda: sa.select(
        _q.id, _q.reported_at, _q.claimed, _q.complete, _q.submitted_at, _q.started
    ).where(
        _q.master == _given("of_master"),
        _q.number == _given("of_number"),
        _q.submitted_at == _given("of_submitted"),
    )
)
REQUESTS_OF_BUILD = Prepared(
    lambda: sa.select(_q.id, _q.number, _q.claimed, _q.complete, _q.submitted_at, _q.started).where(
        _q.master == _given("of_master"),
        _q.number == _given("of_number"),
        _q.submitted_at <= _given("until"),
    )
)
LAST_BUILD = Prepared(
    lambda: (
        sa.select(_b.results)
        .where(
            _b.master == _given("of_master"),
            _b.request == _given("of_number"),
            _b.started_at >= _given("since"),
        )
        .order_by(_b.started_at.desc(), _b.id.desc())
        .limit(1)
    )
)
INSERT_REQUEST = Prepared(requests.insert)
_CHANGED = (
    "builder", "reported_at", "claimed", "complete", "started", "waiting", "results", "priority",
    "reason", "sources",
)  # fmt: skip
_the_request = requests.update().where(_q.id == _given("of_id"))
CHANGE_REQUEST = Prepared(
    lambda: _the_request.values({name: _given(f"to_{name}") for name in _CHANGED})
)
START_REQUEST = Prepared(
    lambda: _the_request.values(started=_given("to_started"), waiting=_given("to_waiting"))
)
FORGET_REQUESTED = Prepared(
    lambda: requested.delete().where(requested.c.request == _given("of_id"))
)
INSERT_REQUESTED = Prepared(requested.insert)
WAITING_BY_BUILDER = Prepared(
    lambda: (
        sa.select(
            _q.builder,
            sa.func.count().label("waiting"),
            sa.func.min(_q.submitted_at).label("oldest"),
        )
        # A condition lets the index be searched.
        .where(_waits, _q.builder > 0)
        .group_by(_q.builder)
    )
)
_waiting = sa.select(requests).where(_waits)
WAITING_REQUESTS = Prepared(
    lambda: (
        _waiting.where(_q.submitted_at > 0).order_by(_q.submitted_at, _q.id).limit(_given("most"))
    )
)
WAITING_OF_BUILDER = Prepared(
    lambda: (
        _waiting.where(_q.builder == _given("of_builder"))
        .order_by(_q.submitted_at, _q.id)
        .limit(_given("most"))
    )
)
ANY_REQUEST = Prepared(lambda: sa.select(_q.id).where(_q.id > 0).limit(1))
REQUESTED = Prepared(
    lambda: (
        sa.select(requested, _q.builder, _q.started)
        .select_from(requested.join(requests, _q.id == requested.c.request))
        .where(
            requested.c.revision >= _given("of_first"),
            requested.c.revision < _given("of_end"),
        )
        .order_by(requested.c.revision, requested.c.request)
        .limit(_given("most"))
    )
)

WORKER = Prepared(
    lambda: sa.select(workers).where(_w.master == _given("of_master"), _w.name == _given("of_name"))
)
WORKERS_OF_MASTER = Prepared(
    lambda: sa.select(_w.id, _w.state).where(_w.master == _given("of_master"))
)
INSERT_WORKER = Prepared(workers.insert)
CHANGE_WORKER = Prepared(
    lambda: (
        workers.update()
        .where(_w.id == _given("of_id"))
        .values(
            reported_at=_given("to_reported_at"),
            state=_given("to_state"),
            since=_given("to_since"),
        )
    )
)
SETTLE_WORKER = Prepared(
    lambda: workers.update().where(_w.id == _given("of_id")).values(sequence=_given("to_sequence"))
)
WORKERS_AFTER = Prepared(lambda: sa.select(workers).where(_w.sequence > _given("after")))
LAST_OF_WORKER = Prepared(
    lambda: (
        sa.select(*BUILD_COLUMNS)
        .where(
            _b.worker == _given("of_worker"),
            _b.master == _given("of_master"),
            _b.complete_at.is_not(None),
        )
        .order_by(_b.started_at.desc(), _b.number.desc(), _b.id.desc())
        .limit(1)
    )
)

CONFIGURED = Prepared(lambda: sa.select(configured).where(_c.builder == _given("of_builder")))
INSERT_CONFIGURED = Prepared(configured.insert)
CHANGE_CONFIGURED = Prepared(
    lambda: (
        configured.update()
        .where(_c.builder == _given("of_builder"))
        .values(
            reported_at=_given("to_reported_at"),
            removed=_given("to_removed"),
            about=_given("to_about"),
        )
    )
)
CONFIGURED_AFTER = Prepared(
    lambda: (
        sa.select(configured)
        .select_from(configured.join(builders, builders.c.id == _c.builder))
        .where(builders.c.sequence > _given("after"))
    )
)


@frozen
class Kept:
    """What has changed with a state.

    Args:
        shown: The builders that are shown otherwise now.
        mentioned: The builders that it is about, else.
    """

    shown: Sequence[int] = ()
    mentioned: Sequence[int] = ()


@define(eq=False)
class ClusterKeeping:
    """Keeps states, in the running transaction."""

    _connection: Connection
    _changed: set[int] = field(factory=set, init=False)
    _usable: dict[int, Counter[str]] = field(factory=dict, init=False)

    def put(self, state: State, master: int, number_of: Callable[[str], int]) -> Kept | None:
        """Keep a state.

        Returns:
            What has changed, None where a state that is as new is known already.
        """
        if isinstance(state, RequestState):
            return self._put_request(state, master, number_of)
        if isinstance(state, WorkerState):
            return self._put_worker(state, master, number_of)
        return self._put_builder(state, number_of(state.name))

    def note_build(self, master: int, status: Status) -> None:
        """Note that a build of a request has begun, or is to be built again."""
        if status.request is None:
            return
        given = {"of_master": master, "of_number": status.request, "until": status.started_at}
        for row in REQUESTS_OF_BUILD.rows(self._connection, given):
            started = self._is_started(master, row.number, row.submitted_at)
            if started != bool(row.started):
                waiting = not (row.claimed or row.complete or started)
                values = {"of_id": row.id, "to_started": int(started), "to_waiting": int(waiting)}
                START_REQUEST.run(self._connection, values)

    def settle(self, sequence: int) -> None:
        """Let readers know which workers have changed."""
        for worker in self._changed:
            SETTLE_WORKER.run(self._connection, {"of_id": worker, "to_sequence": sequence})
        self._changed.clear()

    def _put_request(
        self, state: RequestState, master: int, number_of: Callable[[str], int]
    ) -> Kept | None:
        identity = {
            "of_master": master,
            "of_number": state.number,
            "of_submitted": state.submitted_at,
        }
        known = REQUEST.first(self._connection, identity)
        if known is not None:
            old = (bool(known.complete), known.reported_at, bool(known.claimed))
            if (state.complete, state.reported_at, state.claimed) <= old:
                return None
        started = self._is_started(master, state.number, state.submitted_at)
        builder = number_of(state.builder)
        row = {
            "builder": builder,
            "reported_at": state.reported_at,
            "claimed": int(state.claimed),
            "complete": int(state.complete),
            "started": int(started),
            "waiting": int(not (state.claimed or state.complete or started)),
            "results": state.results,
            "priority": state.priority,
            "reason": state.reason,
            "sources": to_json([astuple(each) for each in state.sources]),
        }
        if known is None:
            whole = {
                **row,
                "master": master,
                "number": state.number,
                "submitted_at": state.submitted_at,
            }
            request = INSERT_REQUEST.insert(self._connection, whole)
        else:
            request = known.id
            changed = {f"to_{name}": value for name, value in row.items()}
            CHANGE_REQUEST.run(self._connection, {"of_id": request, **changed})
            FORGET_REQUESTED.run(self._connection, {"of_id": request})
        if not state.complete:
            self._ask_for(request, state)
        return Kept(mentioned=(builder,))

    def _ask_for(self, request: int, state: RequestState) -> None:
        wanted = {each.codebase: each for each in state.sources if each.revision}
        for each in wanted.values():
            new = {
                "request": request,
                "codebase": each.codebase,
                "revision": each.revision,
                "branch": each.branch or "",
            }
            INSERT_REQUESTED.run(self._connection, new)

    def _is_started(self, master: int, number: int, submitted_at: int) -> bool:
        given = {"of_master": master, "of_number": number, "since": submitted_at}
        last = LAST_BUILD.first(self._connection, given)
        return last is not None and last.results != RETRY

    def _put_worker(
        self, state: WorkerState, master: int, number_of: Callable[[str], int]
    ) -> Kept | None:
        given = {"of_master": master, "of_name": state.name}
        known = WORKER.first(self._connection, given)
        if known is not None and state.reported_at <= known.reported_at:
            return None
        usable = self._usable_of(master)
        old = json.loads(known.state) if known else _NOTHING
        new = _worker_state(state)
        since = None if state.connected else state.disconnected_at
        if since is None and not state.connected:
            since = known.since if known and known.since else int(state.reported_at)
        before = {name: usable[name] > 0 for name in (*old["builders"], *new["builders"])}
        usable.subtract(old["builders"] if _is_usable(old) else ())
        usable.update(new["builders"] if _is_usable(new) else ())
        if known is None:
            row = {"master": master, "name": state.name, "reported_at": state.reported_at}
            more = {"state": to_json(new), "since": since, "sequence": 0}
            worker = INSERT_WORKER.insert(self._connection, {**row, **more})
        else:
            worker = known.id
            values = {"to_reported_at": state.reported_at, "to_state": to_json(new)}
            CHANGE_WORKER.run(self._connection, {"of_id": worker, "to_since": since, **values})
        self._changed.add(worker)
        is_unlike = known is None or set(old["builders"]) != set(new["builders"])
        shown = [name for name, was in before.items() if is_unlike or was != (usable[name] > 0)]
        if shown:
            return Kept(shown=[*map(number_of, shown)])
        return Kept(mentioned=[number_of(name) for name in new["builders"][:1]] or [0])

    def _usable_of(self, master: int) -> Counter[str]:
        """Return how many workers each of a master's builders has that may take a build."""
        if master not in self._usable:
            counts: Counter[str] = Counter()
            for row in WORKERS_OF_MASTER.rows(self._connection, {"of_master": master}):
                state = json.loads(row.state)
                counts.update(state["builders"] if _is_usable(state) else ())
            self._usable[master] = counts
        return self._usable[master]

    def _put_builder(self, state: BuilderState, builder: int) -> Kept | None:
        known = CONFIGURED.first(self._connection, {"of_builder": builder})
        if known is not None and state.reported_at <= known.reported_at:
            return None
        about = {"tags": state.tags, "project": state.project, "description": state.description}
        row = {
            "reported_at": state.reported_at,
            "removed": int(state.removed),
            "about": to_json(about),
        }
        if known is None:
            INSERT_CONFIGURED.run(self._connection, {"builder": builder, **row})
        else:
            changed = {f"to_{name}": value for name, value in row.items()}
            CHANGE_CONFIGURED.run(self._connection, {"of_builder": builder, **changed})
        return Kept(shown=(builder,))


_NOTHING: Mapping[str, Any] = {"connected": False, "latent": False, "removed": True, "builders": ()}


def _worker_state(state: WorkerState) -> dict[str, Any]:
    return {
        "connected": state.connected,
        "missing": state.missing,
        "paused": state.paused,
        "pause_reason": state.pause_reason,
        "graceful": state.graceful,
        "latent": bool(state.latent),
        "removed": state.removed,
        "builders": state.builders,
    }


def _is_usable(state: Mapping[str, Any]) -> bool:
    return bool((state["connected"] or state["latent"]) and not state["removed"])


def drop_complete(connection: Connection, before: float) -> int:
    """Delete some requests that were complete before a moment, and return how many."""
    old = (
        sa.select(_q.id)
        .where(sa.text("complete = 1"), _q.reported_at < before)
        .order_by(_q.reported_at)
        .limit(AT_ONCE)
    )
    return _drop(connection, old)


def drop_waiting(connection: Connection, before: float) -> int:
    """Delete some requests that have waited since before a moment, and return how many.

    A master whose database was made anew never reports what became of its former requests.
    """
    old = (
        sa.select(_q.id)
        .where(_waits, _q.submitted_at < before)
        .order_by(_q.submitted_at, _q.id)
        .limit(AT_ONCE)
    )
    return _drop(connection, old)


def _drop(connection: Connection, some: Any) -> int:
    ids = list(connection.execute(some).scalars())
    connection.execute(requested.delete().where(requested.c.request.in_(ids)))
    connection.execute(requests.delete().where(_q.id.in_(ids)))
    return len(ids)


def requested_named(connection: Connection, first: str, end: str, most: int) -> list[Any]:
    """Return what requests that are not complete ask for, by revisions between two texts."""
    return REQUESTED.rows(connection, {"of_first": first, "of_end": end, "most": most})


def last_of_worker(connection: Connection, worker: Worker) -> Build | None:
    """Return the latest build on a worker that has ended."""
    given = {"of_worker": worker.name, "of_master": worker.master.id}
    row = LAST_OF_WORKER.first(connection, given)
    return None if row is None else build_of(row, "")


def sources_in(kept: str) -> tuple[Source, ...]:
    """Return what a request's column says is to be built."""
    return tuple(Source(*each) for each in json.loads(kept))


@define(eq=False)
class ClusterCache:
    """Workers and the configuration of builders as they were last read.

    Attributes:
        workers: The workers by their number.
        has_requests: Whether the board is sent requests.
    """

    workers: dict[int, Worker] = field(factory=dict, init=False)
    has_requests: bool = field(default=False, init=False)
    _about: dict[int, Any] = field(factory=dict, init=False)
    _by_builder: dict[tuple[int, str], list[Worker]] = field(factory=dict, init=False)

    def forget(self) -> None:
        """Begin anew, with another order of updates."""
        for each in (self.workers, self._about, self._by_builder):
            each.clear()

    def refresh(self, connection: Connection, after: int, masters: Mapping[int, Master]) -> None:
        """Read again what has changed since an update."""
        self.has_requests = ANY_REQUEST.first(connection, {}) is not None
        for row in CONFIGURED_AFTER.rows(connection, {"after": after}):
            about = json.loads(row.about)
            self._about[row.builder] = {
                **about,
                "tags": tuple(about["tags"]),
                "removed": bool(row.removed),
            }
        rows = WORKERS_AFTER.rows(connection, {"after": after})
        for row in rows:
            state = json.loads(row.state)
            state["builders"] = tuple(state["builders"])
            self.workers[row.id] = Worker(
                id=row.id, master=masters[row.master], name=row.name, since=row.since, **state
            )
        if rows:
            self._by_builder.clear()
            for worker in sorted(self.workers.values(), key=lambda each: each.name):
                for name in () if worker.removed else worker.builders:
                    self._by_builder.setdefault((worker.master.id, name), []).append(worker)

    def workers_of(self, builder: Builder) -> list[Worker]:
        """Return the workers that a builder has, by name."""
        return self._by_builder.get((builder.master.id, builder.name), [])

    def applied(self, builder: Builder) -> Builder:
        """Return a builder with what was reported of it and its workers."""
        own = self.workers_of(builder)
        is_unmanned = bool(own) and not any(each.connected or each.latent for each in own)
        about = self._about.get(builder.id, {})
        return evolve(builder, unmanned=len(own) if is_unmanned else 0, **about)
