"""What is remembered of bad builds and of their reasons, as pages and programs read it.

Blocking: runs in the reader's thread.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import define, evolve, field, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.failures.history import Occurrence, memory_of
from buildbot_http_status_push.board.failures.known import Entry, judged
from buildbot_http_status_push.board.judgements import is_older, place
from buildbot_http_status_push.board.model import (
    Build,
    Filter,
    Memory,
    Reason,
    ReasonSummary,
    Source,
)
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS
from buildbot_http_status_push.board.store.tables import (
    FIRST_REASON,
    builds,
    built,
    failures,
    revisions,
    signatures,
)
from buildbot_http_status_push.board.store.writing_failures import MOST_COUNTED
from buildbot_http_status_push.prepared_statements import Prepared

MOST_OCCURRENCES = 200
"""How many occurrences of a reason are looked at."""
MOST_LOOKED_UP = 10
"""Of how many of a build's reasons the history is looked up."""
MOST_OWN = 300
"""How many reasons of a builder's breakage are looked at."""
MOST_OLDER = 5
"""The code of how many builds is compared with that of the first bad one."""
MOST_FIT = 50
"""How many failed builds reasons are listed of, where builds must fit."""
LOOKED_THROUGH = 5000
"""How many failed builds are looked through for those that fit."""
FEW = 8
"""The failed builds of so many builders are looked up one builder at a time."""
DAYS = 30
"""Over how many days occurrences are shown."""
DAY = 86_400
MOST_REASONS = 2000
"""How many reasons are compared with known failures."""
MOST_CACHED = 2000
"""How many histories, and how many memories, are kept."""

_f = failures.c
_b = builds.c
_given = sa.bindparam
_of_signature = _f.signature == _given("of_signature")
_latest_first = (_f.started_at.desc(), _f.build.desc())
_occurrence = (
    _f.signature, _f.lead, _f.build, _f.builder, _f.line, _f.started_at, _f.since,
    _f.passed_again, _f.judges,
)  # fmt: skip

REASONS_OF = Prepared(
    lambda: sa.select(failures).where(_f.build == _given("of_build")).order_by(_f.place)
)
REASON_IN = Prepared(
    lambda: sa.select(failures).where(_f.build == _given("of_build"), _of_signature)
)
OWN = Prepared(
    lambda: (
        sa.select(*_occurrence)
        .where(
            _f.builder == _given("of_builder"),
            _f.line == _given("of_line"),
            _f.since == _given("of_since"),
            # Without a lower bound all older breakages would be looked through.
            _f.started_at >= _given("from_at"),
            sa.tuple_(_f.started_at, _f.number, _f.build)
            <= sa.tuple_(_given("started_at"), _given("number"), _given("id")),
        )
        .order_by(_f.started_at.desc(), _f.number.desc(), _f.build.desc())
        .limit(MOST_OWN)
    )
)
OCCURRENCES = Prepared(
    lambda: (
        sa.select(*_occurrence)
        .where(_of_signature)
        .order_by(*_latest_first)
        .limit(MOST_OCCURRENCES)
    )
)
PLACES = Prepared(
    lambda: (
        sa.select(_f.builder, _f.line, _f.started_at)
        .where(_of_signature)
        .order_by(*_latest_first)
        .limit(MOST_OCCURRENCES)
    )
)
SIGNATURES_OF = Prepared(
    lambda: (
        sa.select(_f.signature)
        .where(_f.build == _given("of_build"))
        .order_by(_f.place)
        .limit(_given("most"))
    )
)
WITH_REASONS = Prepared(
    lambda **names: sa.select(_f.build, _f.signature).where(
        _f.build.in_(names["some"]), _f.signature.in_(names["signatures"])
    )
)
LATEST = Prepared(
    lambda: (
        sa.select(signatures)
        .where(signatures.c.last_at < sql.LAST_PLACE[0])
        .order_by(signatures.c.last_at.desc(), signatures.c.signature)
        .limit(_given("most"))
    )
)
SEARCHED = 20_000
"""Among how many of the lines that were seen last a part of one is searched."""


def _like() -> Any:
    last = sa.select(signatures).order_by(signatures.c.last_at.desc()).limit(SEARCHED).subquery()
    return (
        sa.select(last)
        .where(sa.func.lower(last.c.text).like(_given("like_text"), escape="\\"))
        .order_by(last.c.last_at.desc(), last.c.signature)
        .limit(_given("most"))
    )


LIKE = Prepared(_like)
SINCE = Prepared(
    lambda: (
        sa.select(signatures)
        .where(signatures.c.last_at >= _given("since"))
        .order_by(signatures.c.last_at.desc(), signatures.c.signature)
        .limit(MOST_REASONS)
    )
)
SIGNATURES = Prepared(
    lambda **names: sa.select(signatures).where(signatures.c.signature.in_(names["some"]))
)
CHANGED = Prepared(
    lambda: sa.select(signatures.c.signature).where(signatures.c.sequence > _given("after"))
)
ANY = Prepared(lambda: sa.select(signatures.c.signature).limit(1))
CODE = Prepared(
    lambda: sa.select(_b.master, _b.sources, _b.started_at).where(_b.id == _given("of_build"))
)


@frozen(kw_only=True)
class _Evidence:
    """What is looked at to say what is remembered of a build's reasons."""

    reasons: Sequence[Reason]
    own: Sequence[Occurrence]
    occurrences: Sequence[Occurrence]
    older: Callable[[Sequence[Occurrence]], str | None]
    is_cut: bool
    is_bounded: bool

    def memory(self) -> Memory:
        return memory_of(
            self.reasons,
            self.own,
            self.occurrences,
            self.older,
            is_cut=self.is_cut,
            is_bounded=self.is_bounded,
        )

    def memory_of(self, reason: Reason) -> Memory:
        """Return what is remembered of one of the reasons."""
        own, occurrences = (
            [each for each in some if each.signature == reason.signature]
            for some in (self.own, self.occurrences)
        )
        return memory_of([reason], own, occurrences, self.older)


def _evidence(
    connection: Connection,
    build: Build,
    history: Callable[[Connection, str], list[Occurrence]],
) -> _Evidence | None:
    rows = REASONS_OF.rows(connection, {"of_build": build.id})
    if not rows:
        return None
    first = rows[0]
    good = CODE.first(connection, {"of_build": first.since})
    breakage = {"of_builder": first.builder, "of_line": first.line, "of_since": first.since}
    begin = {"from_at": good.started_at if good else 0}
    found = OWN.rows(connection, {**breakage, **begin, **sql.at(place(build))})
    own = [*map(_occurrence_of, found)]
    some = [row.signature for row in rows[:MOST_LOOKED_UP]]
    histories = [history(connection, each) for each in some]
    return _Evidence(
        reasons=[*map(_reason, rows)],
        own=own,
        occurrences=[each for history in histories for each in history],
        older=lambda some: _older(connection, some, own[-1].build),
        is_cut=bool(first.is_cut),
        is_bounded=any(len(each) == MOST_OCCURRENCES for each in histories),
    )


@frozen(kw_only=True)
class _Seen:
    """Where and when a reason was seen.

    Args:
        first_at: When the first of the builds began.
        last_at: When the last of them began.
        builds: How many there are.
        days: How many of them began on each day, by the number of the day.
        builders: Their builders, the latest first.
        branches: Their branches, the latest first.
    """

    first_at: int
    last_at: int
    builds: int
    days: Counter[int]
    builders: tuple[int, ...]
    branches: tuple[str, ...]


def _seen_in(places: Iterable[tuple[int, str, int]]) -> _Seen:
    """Sum up where a reason was seen: the builder, the branch and the time, the latest first."""
    builders, lines, times = zip(*places, strict=True)
    return _Seen(
        first_at=times[-1],
        last_at=times[0],
        builds=len(times),
        days=Counter(at // DAY for at in times),
        builders=tuple(dict.fromkeys(builders)),
        branches=tuple(dict.fromkeys(filter(None, lines))),
    )


@define(eq=False)
class Memories:
    """What is remembered of bad builds, kept in memory once it was read.

    Attributes:
        entries: The known failures that count now.
        has_any: Whether any build's reasons are known.
    """

    entries: tuple[Entry, ...] = field(default=(), init=False)
    has_any: bool = field(default=False, init=False)
    _histories: dict[str, list[Occurrence]] = field(factory=dict, init=False)
    _seen: dict[str, _Seen] = field(factory=dict, init=False)
    _memories: dict[int, tuple[int, Memory]] = field(factory=dict, init=False)
    _builds: dict[str, set[int]] = field(factory=lambda: defaultdict(set), init=False)

    def forget(self) -> None:
        """Begin anew, with another order of updates."""
        for each in (self._histories, self._seen, self._memories, self._builds):
            each.clear()

    def refresh(self, connection: Connection, after: int) -> None:
        """Forget what has changed since an update."""
        self.has_any = ANY.scalar(connection, {}) is not None
        if not self._histories and not self._seen:
            return
        for row in CHANGED.rows(connection, {"after": after}):
            self._histories.pop(row.signature, None)
            self._seen.pop(row.signature, None)
            for build in self._builds.pop(row.signature, ()):
                self._memories.pop(build, None)

    def of(self, connection: Connection, build: Build) -> Memory:
        """Return what is remembered of why a build is bad."""
        sequence, memory = self._memories.get(build.id, (-1, Memory()))
        if sequence != build.sequence:
            if max(len(self._memories), len(self._histories)) > MOST_CACHED:
                self.forget()
            memory = self._read(connection, build)
            self._memories[build.id] = (build.sequence, memory)
            for reason in memory.reasons:
                self._builds[reason.signature].add(build.id)
        return judged(memory, self.entries, build.builder_name, build.branch)

    def each_of(self, connection: Connection, build: Build) -> tuple[Memory, dict[str, Memory]]:
        """Return what is remembered of a bad build's reasons together, and of each by signature."""
        found = _evidence(connection, build, self._history)
        if found is None:
            return Memory(), {}
        single = found.reasons[:MOST_LOOKED_UP]
        return found.memory(), {each.signature: found.memory_of(each) for each in single}

    def _read(self, connection: Connection, build: Build) -> Memory:
        found = _evidence(connection, build, self._history) if self.has_any else None
        return Memory() if found is None else found.memory()

    def failures(
        self, connection: Connection, names: Mapping[int, str], limit: int, now: int
    ) -> list[ReasonSummary]:
        """Return the reasons that were seen last, the latest first."""
        rows = LATEST.rows(connection, {"most": limit})
        return [self._whole_summary(connection, row, names, now) for row in rows]

    def failure(
        self, connection: Connection, signature: str, names: Mapping[int, str], now: int
    ) -> ReasonSummary | None:
        """Return a reason, None where no build has it (any more)."""
        row = SIGNATURES.first(connection, {"some": [signature]})
        return row and self._whole_summary(connection, row, names, now)

    def failures_of(
        self, connection: Connection, some: Sequence[Build], limit: int, now: int
    ) -> list[ReasonSummary]:
        """Return the reasons of some builds, the latest first."""
        wanted: dict[str, None] = {}
        for each in some:
            if len(wanted) >= limit:
                break
            of_build = {"of_build": each.id, "most": limit}
            found = SIGNATURES_OF.rows(connection, of_build)
            wanted.update(dict.fromkeys(row.signature for row in found))
        shown = [*wanted][:limit]
        among = {"some": [each.id for each in some], "signatures": shown}
        having: dict[str, set[int]] = defaultdict(set)
        for build, signature in WITH_REASONS.rows(connection, among):
            having[signature].add(build)
        known = {row.signature: row for row in SIGNATURES.rows(connection, {"some": shown})}
        names = {each.builder: each.builder_name for each in some}
        return [
            self._summary(
                known[signature],
                _seen_in(
                    (each.builder, each.branch or "", each.started_at)
                    for each in some
                    if each.id in having[signature]
                ),
                names,
                now,
                is_bounded=len(some) >= MOST_FIT,
            )
            for signature in shown
        ]

    def _whole_summary(
        self, connection: Connection, row: Any, names: Mapping[int, str], now: int
    ) -> ReasonSummary:
        if row.signature not in self._seen:
            if len(self._seen) > MOST_CACHED:
                self._seen.clear()
            places = PLACES.rows(connection, {"of_signature": row.signature})
            self._seen[row.signature] = _seen_in(places)
        seen = self._seen[row.signature]
        found = self._summary(row, seen, names, now, is_bounded=row.builds >= MOST_COUNTED)
        return evolve(found, first_at=row.first_at, builds=row.builds)

    def _summary(
        self, row: Any, seen: _Seen, names: Mapping[int, str], now: int, *, is_bounded: bool
    ) -> ReasonSummary:
        today = now // DAY
        reason = _reason(row)
        return ReasonSummary(
            reason=reason,
            first_at=seen.first_at,
            last_at=seen.last_at,
            builds=seen.builds,
            is_bounded=is_bounded,
            days=tuple(seen.days[today - age] for age in reversed(range(DAYS))),
            builders={builder: names[builder] for builder in seen.builders},
            branches=seen.branches,
            known=next((each.known for each in self.entries if each.matches(reason)), None),
        )

    def _history(self, connection: Connection, signature: str) -> list[Occurrence]:
        if signature not in self._histories:
            rows = OCCURRENCES.rows(connection, {"of_signature": signature})
            self._histories[signature] = [*map(_occurrence_of, rows)]
        return self._histories[signature]


def reasons_like(connection: Connection, text: str, limit: int) -> list[Reason]:
    """Return the reasons that have a text, those seen last first."""
    given = {"like_text": f"%{sql.like(text.lower())}%", "most": limit}
    return [
        Reason(signature=row.signature, rule=row.rule, step=row.step, text=row.text)
        for row in LIKE.rows(connection, given)
    ]


def reasons_since(connection: Connection, since: int) -> list[tuple[Reason, int]]:
    """Return the reasons that were seen since a time, and when each was last, the latest first."""
    return [(_reason(row), row.last_at) for row in SINCE.rows(connection, {"since": since})]


def reason_in(connection: Connection, build: int, signature: str) -> Reason | None:
    """Return a reason as a build has it."""
    row = REASON_IN.first(connection, {"of_build": build, "of_signature": signature})
    return row and _reason(row)


def failed_builds(
    connection: Connection,
    chosen: Filter,
    *,
    signature: str | None = None,
    revision: str | None = None,
    builders: Collection[int] | None = None,
    since: int = 0,
    limit: int = MOST_FIT,
) -> list[Any]:
    """Return the rows of builds with reasons, the latest first."""
    begin = [sa.text(FIRST_REASON) if signature is None else _f.signature == signature]
    if revision is not None:
        reasons = sa.exists().where(_f.build == _b.id, *begin)
        fit = [_b.started_at >= since, *sql.fitting(chosen)]
        if builders is not None:
            fit.append(_b.builder.in_(sorted(builders)))
        some = sa.select(*BUILD_COLUMNS).where(_b.id.in_(_builds_of(revision)), reasons, *fit)
        return list(connection.execute(some.order_by(*sql.newest_first).limit(limit)))
    if signature is None and builders is not None and len(builders) <= FEW:
        ways = [[*begin, _f.builder == each] for each in builders]
        builders = None
    else:
        ways = [begin]
    found = [
        row for way in ways for row in _failed_on(connection, way, chosen, builders, since, limit)
    ]
    return sorted(found, key=lambda row: (row.started_at, row.number, row.id), reverse=True)[:limit]


def _failed_on(
    connection: Connection,
    way: Sequence[Any],
    chosen: Filter,
    builders: Collection[int] | None,
    since: int,
    limit: int,
) -> list[Any]:
    """Return the rows of builds with reasons on one way through an index, the latest first."""
    fit = sql.fitting(chosen)
    if builders is not None:
        # A sum is on no index: the way stays the one that was chosen.
        fit.append((_f.builder + 0).in_(sorted(builders)))
    if fit:
        latest = sa.select(_f.started_at).where(*way, _f.started_at >= since)
        last = latest.order_by(*_latest_first).offset(LOOKED_THROUGH).limit(1)
        since = max(since, connection.execute(last).scalar() or 0)
    statement = (
        sa.select(*BUILD_COLUMNS)
        .select_from(failures.join(builds, _b.id == _f.build))
        .where(*way, _f.started_at >= since, *fit)
        .order_by(*_latest_first)
        .limit(limit)
    )
    return list(connection.execute(statement))


def _builds_of(revision: str) -> Any:
    return (
        sa.select(built.c.build)
        .join(revisions, revisions.c.id == built.c.revision)
        .where(revisions.c.revision == revision)
    )


def _older(connection: Connection, some: Sequence[Occurrence], build: int) -> str | None:
    """Return the revision of the first occurrence whose code is older than a build's."""
    code = CODE.first(connection, {"of_build": build})
    reached = {each.codebase: each for each in _sources(code.sources)}
    for occurrence in some[:MOST_OLDER]:
        row = CODE.first(connection, {"of_build": occurrence.build})
        sources = _sources(row.sources)
        if row.master == code.master and is_older(sources, reached):
            return next((each.revision for each in sources), None)
    return None


def _occurrence_of(row: Any) -> Occurrence:
    return Occurrence(
        signature=row.signature,
        lead=row.lead,
        build=row.build,
        builder=row.builder,
        line=row.line,
        at=row.started_at,
        since=row.since,
        passed_again=None if row.passed_again is None else bool(row.passed_again),
        judges=bool(row.judges),
    )


def _reason(row: Any) -> Reason:
    return Reason(signature=row.signature, rule=row.rule, step=row.step, text=row.text)


def _sources(kept: str) -> list[Source]:
    return [Source(*each) for each in json.loads(kept)]
