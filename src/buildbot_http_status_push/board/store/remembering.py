"""Why builds failed, as it is kept and read: their reasons, and each reason's history.

Blocking: runs in the writer's thread and in the reader's.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.failures.history import Occurrence, built_again, memory_of
from buildbot_http_status_push.board.failures.known import Entry, judged
from buildbot_http_status_push.board.failures.lines import FailedLine, reason_of
from buildbot_http_status_push.board.filters import fits_build
from buildbot_http_status_push.board.judgements import is_older, place
from buildbot_http_status_push.board.model import (
    GOOD,
    Build,
    Filter,
    Memory,
    Reason,
    ReasonSummary,
    Source,
)
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS, build_of, line_of
from buildbot_http_status_push.board.store.tables import (
    builds,
    built,
    failures,
    judging,
    revisions,
    signatures,
    signing,
)
from buildbot_http_status_push.excerpts.signature import SIGNATURE_VERSION
from buildbot_http_status_push.prepared import Prepared

AROUND = 20
"""How many builds before and after one are looked at."""
MOST_COUNTED = 1000
"""Up to how many builds with a reason are counted."""
AT_ONCE = 1000
"""How many rows are signed again at once."""

_f = failures.c
_b = builds.c
_given = sa.bindparam
_builds = sa.select(*BUILD_COLUMNS).where(
    _b.builder == _given("of_builder"), _b.line == _given("of_line")
)
_build_place = sa.tuple_(_b.started_at, _b.number, _b.id)
_given_place = sa.tuple_(_given("started_at"), _given("number"), _given("id"))
_oldest_first = (_b.started_at, _b.number, _b.id)
_newest_first = tuple(each.desc() for each in _oldest_first)
_good = _builds.where(sa.text(judging(GOOD)))
_of_line = sa.and_(_f.builder == _given("of_builder"), _f.line == _given("of_line"))

HAS_FAILED = Prepared(lambda: sa.select(_f.build).where(_of_line).limit(1))
UP_TO = Prepared(
    lambda: _builds.where(_build_place <= _given_place).order_by(*_newest_first).limit(AROUND)
)
AFTER = Prepared(
    lambda: _builds.where(_build_place > _given_place).order_by(*_oldest_first).limit(AROUND)
)
GOOD_BEFORE = Prepared(
    lambda: _good.where(_build_place < _given_place).order_by(*_newest_first).limit(1)
)
GOOD_AFTER = Prepared(
    lambda: _good.where(_build_place > _given_place).order_by(*_oldest_first).limit(1)
)
OTHERWISE_SINCE = Prepared(
    lambda: sa.select(_f.build, _f.signature).where(
        _of_line,
        sa.tuple_(_f.started_at, _f.number, _f.build) >= _given_place,
        sa.tuple_(_f.started_at, _f.number, _f.build)
        < sa.tuple_(_given("to_started_at"), _given("to_number"), _given("to_id")),
        _f.since != _given("of_since"),
    )
)
_the_failure = sa.and_(_f.build == _given("of_build"), _f.signature == _given("of_signature"))
SET_SINCE = Prepared(lambda: failures.update().where(_the_failure).values(since=_given("to_since")))
SET_PASSED_AGAIN = Prepared(
    lambda: failures.update().where(_the_failure).values(passed_again=_given("to_passed_again"))
)
OF_BUILD = Prepared(
    lambda: sa.select(_f.signature, _f.passed_again).where(_f.build == _given("of_build"))
)
FORGET = Prepared(lambda: failures.delete().where(_f.build == _given("of_build")))

_of_signature = _f.signature == _given("of_signature")
NEWEST = Prepared(
    lambda: (
        sa.select(_f.rule, _f.step, _f.text, _f.started_at)
        .where(_of_signature)
        .order_by(_f.started_at.desc(), _f.build.desc())
        .limit(1)
    )
)
FIRST_AT = Prepared(lambda: sa.select(sa.func.min(_f.started_at)).where(_of_signature))
COUNT = Prepared(
    lambda: sa.select(sa.func.count()).select_from(
        sa.select(_f.build).where(_of_signature).limit(MOST_COUNTED).subquery()
    )
)
_SETTLED = ("rule", "step", "text", "first_at", "last_at", "builds", "sequence")
_the_signature = signatures.c.signature == _given("of_signature")
SETTLE = Prepared(
    lambda: (
        signatures.update()
        .where(_the_signature)
        .values({name: _given(f"to_{name}") for name in _SETTLED})
    )
)
INSERT = Prepared(signatures.insert)
DROP = Prepared(lambda: signatures.delete().where(_the_signature))


@define(eq=False)
class Remembering:
    """The reasons that one transaction writes.

    Args:
        connection: The transaction's connection.
    """

    _connection: Connection
    _touched: set[str] = field(factory=set, init=False)
    _finished: set[tuple[int, str, tuple[int, int, int]]] = field(factory=set, init=False)

    def remember(self, build: int, builder: int, status: Status) -> None:
        """Keep why a build failed.

        Args:
            build: The build, of which nothing was kept or all was forgotten.
            builder: Its builder.
            status: What is known of it.
        """
        if status.complete_at is None:
            return
        self.look_around(builder, line_of(status), (status.started_at, status.number, build))
        reasons = {each.signature: each for each in map(reason_of, status.failed)}
        rows = [
            {
                "build": build,
                "signature": reason.signature,
                "place": number,
                "lead": next(iter(reasons)),
                "rule": reason.rule,
                "step": reason.step,
                "text": reason.text,
                "is_cut": int(status.is_cut),
                "builder": builder,
                "line": line_of(status),
                "started_at": status.started_at,
                "number": status.number,
                "since": 0,
                "passed_again": None,
            }
            for number, reason in enumerate(reasons.values())
        ]
        if rows:
            self._connection.execute(failures.insert(), rows)
            self._touched.update(reasons)

    def forget(self, build: int) -> None:
        """Keep no longer why a build failed."""
        of_build = {"of_build": build}
        rows = OF_BUILD.rows(self._connection, of_build)
        if rows:
            self._touched.update(row.signature for row in rows)
            FORGET.run(self._connection, of_build)

    def look_around(self, builder: int, line: str, at: tuple[int, int, int]) -> None:
        """Work out anew what a finished build means for those beside it."""
        self._finished.add((builder, line, at))

    def settle(self, sequence: int) -> None:
        """Work out what has changed.

        Args:
            sequence: The number of the transaction's last update.
        """
        for builder, line, at in sorted(self._finished):
            of_line = {"of_builder": builder, "of_line": line}
            if HAS_FAILED.scalar(self._connection, of_line) is not None:
                self._settle_beside({**of_line, **sql.at(at)}, at)
        for signature in sorted(self._touched):
            self._settle_signature(signature, sequence)

    def settle_signatures(self, some: Iterable[str], sequence: int) -> None:
        """Work out anew what is kept of some signatures."""
        for signature in some:
            self._settle_signature(signature, sequence)

    def _settle_beside(self, around: Mapping[str, Any], at: tuple[int, int, int]) -> None:
        before = self._found(UP_TO, around)[::-1]
        after = self._found(AFTER, around)
        own = before[-1] if before and place(before[-1]) == at else None
        if own is not None and own.judges and own.results in GOOD:
            since = own.id
        else:
            since = next((each.id for each in self._found(GOOD_BEFORE, around)), 0)
        end = next((place(each) for each in self._found(GOOD_AFTER, around)), sql.LAST_PLACE)
        self._set_since(around, since, end)
        following = built_again([*before, *after])
        conclusive = [each for each in before if each.is_conclusive and each.judges]
        for build in conclusive[-2:]:
            if build.is_bad:
                self._set_passed_again(build, following.get(build.id))

    def _set_since(self, around: Mapping[str, Any], since: int, end: Sequence[int]) -> None:
        to = dict(zip(("to_started_at", "to_number", "to_id"), end, strict=True))
        for row in OTHERWISE_SINCE.rows(self._connection, {**around, **to, "of_since": since}):
            named = {"of_build": row.build, "of_signature": row.signature}
            SET_SINCE.run(self._connection, {**named, "to_since": since})
            self._touched.add(row.signature)

    def _set_passed_again(self, build: Build, then: Build | None) -> None:
        is_bad = then is not None and then.is_bad
        also = set()
        if then is not None and is_bad:
            rows = OF_BUILD.rows(self._connection, {"of_build": then.id})
            also = {row.signature for row in rows}
        for row in OF_BUILD.rows(self._connection, {"of_build": build.id}):
            passed = None
            if then is not None:
                passed = (0 if row.signature in also else None) if is_bad else 1
            if passed != row.passed_again:
                named = {"of_build": build.id, "of_signature": row.signature}
                SET_PASSED_AGAIN.run(self._connection, {**named, "to_passed_again": passed})
                self._touched.add(row.signature)

    def _found(self, statement: Prepared, values: Mapping[str, Any]) -> list[Build]:
        return [build_of(row, "") for row in statement.rows(self._connection, values)]

    def _settle_signature(self, signature: str, sequence: int) -> None:
        of_signature = {"of_signature": signature}
        newest = NEWEST.first(self._connection, of_signature)
        if newest is None:
            DROP.run(self._connection, of_signature)
            return
        values = {
            "rule": newest.rule,
            "step": newest.step,
            "text": newest.text,
            "first_at": FIRST_AT.scalar(self._connection, of_signature),
            "last_at": newest.started_at,
            "builds": COUNT.scalar(self._connection, of_signature),
            "sequence": sequence,
        }
        to = {f"to_{name}": value for name, value in values.items()}
        if not SETTLE.run(self._connection, {**of_signature, **to}):
            INSERT.run(self._connection, {"signature": signature, **values})


def sign_anew(connection: Connection) -> None:
    """Sign what is kept again where the rules for it are others than they were.

    Args:
        connection: A transaction's connection.
    """
    known = connection.execute(sa.select(signing.c.version)).scalar()
    if known == SIGNATURE_VERSION:
        return
    connection.execute(signing.delete())
    connection.execute(signing.insert().values(version=SIGNATURE_VERSION))
    numbers = connection.execute(sa.select(_f.build).distinct().order_by(_f.build)).scalars().all()
    for first in range(0, len(numbers), AT_ONCE):
        _sign(connection, numbers[first : first + AT_ONCE])
    connection.execute(signatures.delete())
    found = connection.execute(sa.select(_f.signature).distinct()).scalars().all()
    Remembering(connection).settle_signatures(found, 0)


def _sign(connection: Connection, some: Sequence[int]) -> None:
    rows = connection.execute(
        sa.select(failures).where(_f.build.in_(some)).order_by(_f.build, _f.place)
    ).all()
    connection.execute(failures.delete().where(_f.build.in_(some)))
    signed: dict[tuple[int, str], dict[str, Any]] = {}
    leads: dict[int, str] = {}
    for row in rows:
        signature = reason_of(FailedLine(row.rule, row.step, row.text)).signature
        lead = leads.setdefault(row.build, signature)
        values = {**row._mapping, "signature": signature, "lead": lead}
        signed.setdefault((row.build, signature), values)
    if signed:
        connection.execute(failures.insert(), list(signed.values()))


MOST_OCCURRENCES = 200
"""How many occurrences of a reason are looked at."""
MOST_LOOKED_UP = 10
"""Of how many of a build's reasons the history is looked up."""
MOST_OWN = 300
"""How many reasons of a builder's breakage are looked at."""
LOOKED_THROUGH = 10
"""How many times as many reasons are looked at as are asked for, where builds must fit."""
DAYS = 30
"""Over how many days occurrences are shown."""
DAY = 86_400
MOST_REASONS = 2000
"""How many reasons are compared with known failures."""
MOST_CACHED = 2000
"""How many histories, and how many memories, are kept."""

REASONS_OF = Prepared(
    lambda: sa.select(failures).where(_f.build == _given("of_build")).order_by(_f.place)
)
OWN = Prepared(
    lambda: (
        sa.select(failures)
        .where(
            _of_line,
            _f.since == _given("of_since"),
            sa.tuple_(_f.started_at, _f.number, _f.build) <= _given_place,
        )
        .order_by(_f.started_at.desc(), _f.number.desc(), _f.build.desc())
        .limit(MOST_OWN)
    )
)
OCCURRENCES = Prepared(
    lambda: (
        sa.select(failures, _b.master, _b.judges, _b.sources)
        .select_from(failures.join(builds, _b.id == _f.build))
        .where(_of_signature)
        .order_by(_f.started_at.desc(), _f.build.desc())
        .limit(MOST_OCCURRENCES)
    )
)
PLACES = Prepared(
    lambda: (
        sa.select(_f.builder, _f.line, _f.started_at)
        .where(_of_signature)
        .order_by(_f.started_at.desc(), _f.build.desc())
        .limit(MOST_OCCURRENCES)
    )
)
BUILDS_OF = Prepared(
    lambda: (
        sa.select(*BUILD_COLUMNS)
        .select_from(failures.join(builds, _b.id == _f.build))
        .where(_of_signature)
        .order_by(_f.started_at.desc(), _f.build.desc())
        .limit(MOST_OCCURRENCES)
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
SINCE = Prepared(
    lambda: (
        sa.select(signatures)
        .where(signatures.c.last_at >= _given("since"))
        .order_by(signatures.c.last_at.desc(), signatures.c.signature)
        .limit(MOST_REASONS)
    )
)
SIGNATURE = Prepared(lambda: sa.select(signatures).where(_the_signature))
CHANGED = Prepared(
    lambda: sa.select(signatures.c.signature).where(signatures.c.sequence > _given("after"))
)
ANY = Prepared(lambda: sa.select(signatures.c.signature).limit(1))
CODE = Prepared(lambda: sa.select(_b.master, _b.sources).where(_b.id == _given("of_build")))


@define(eq=False)
class Memories:
    """What is remembered of bad builds, kept in memory once it was read.

    Attributes:
        entries: The known failures that count now.
        has_any: Whether any build's reasons are known.
    """

    entries: tuple[Entry, ...] = field(default=(), init=False)
    has_any: bool = field(default=False, init=False)
    _histories: dict[str, list[Any]] = field(factory=dict, init=False)
    _memories: dict[int, tuple[int, Memory]] = field(factory=dict, init=False)

    def forget(self) -> None:
        """Begin anew, with another order of updates."""
        self._histories.clear()
        self._memories.clear()

    def refresh(self, connection: Connection, after: int) -> None:
        """Forget what has changed since an update."""
        self.has_any = ANY.scalar(connection, {}) is not None
        if not self._memories:
            return
        changed = {row.signature for row in CHANGED.rows(connection, {"after": after})}
        for signature in changed:
            self._histories.pop(signature, None)
        for build, (_, memory) in [*self._memories.items()]:
            if any(each.signature in changed for each in memory.reasons):
                del self._memories[build]

    def of(self, connection: Connection, build: Build) -> Memory:
        """Return what is remembered of why a build is bad."""
        sequence, memory = self._memories.get(build.id, (-1, Memory()))
        if sequence != build.sequence:
            if len(self._memories) > MOST_CACHED or len(self._histories) > MOST_CACHED:
                self.forget()
            memory = self._read(connection, build)
            self._memories[build.id] = (build.sequence, memory)
        return judged(memory, self.entries, build.builder_name, build.branch)

    def _read(self, connection: Connection, build: Build) -> Memory:
        if not self.has_any:
            return Memory()
        rows = REASONS_OF.rows(connection, {"of_build": build.id})
        if not rows:
            return Memory()
        first = rows[0]
        breakage = {"of_builder": first.builder, "of_line": first.line, "of_since": first.since}
        own = OWN.rows(connection, {**breakage, **sql.at(place(build))})
        code = CODE.first(connection, {"of_build": own[-1].build})
        reached = {each.codebase: each for each in _sources(code.sources)}
        some = [row.signature for row in rows[:MOST_LOOKED_UP]]
        histories = [self._history(connection, each) for each in some]
        return memory_of(
            [Reason(signature=r.signature, rule=r.rule, step=r.step, text=r.text) for r in rows],
            [_occurrence(row) for row in own],
            [
                _occurrence(row, judges=bool(row.judges), older=_older(row, code.master, reached))
                for history in histories
                for row in history
            ],
            is_cut=bool(first.is_cut),
            is_bounded=any(len(each) == MOST_OCCURRENCES for each in histories),
        )

    def failures(
        self, connection: Connection, chosen: Filter, names: Mapping[int, str], limit: int, now: int
    ) -> list[ReasonSummary]:
        """Return the reasons that were seen last, the latest first.

        Args:
            connection: A transaction's connection.
            chosen: What the builds must fit, but for what is about builders.
            names: The names of the builders that fit, by their number.
            limit: How many at most.
            now: Seconds since the epoch.
        """
        found: list[ReasonSummary] = []
        most = limit if chosen == Filter() else limit * LOOKED_THROUGH
        for row in LATEST.rows(connection, {"most": most}):
            failure = self._failure(connection, row, chosen, names, now)
            if failure is not None:
                found.append(failure)
            if len(found) == limit:
                break
        return found

    def failure(
        self, connection: Connection, signature: str, names: Mapping[int, str], now: int
    ) -> ReasonSummary | None:
        """Return a reason, None where no build has it (any more)."""
        row = SIGNATURE.first(connection, {"of_signature": signature})
        return row and self._failure(connection, row, Filter(), names, now)

    def _failure(
        self, connection: Connection, row: Any, chosen: Filter, names: Mapping[int, str], now: int
    ) -> ReasonSummary | None:
        rows = _seen(connection, row.signature, chosen)
        rows = [each for each in rows if each[0] in names]
        if not rows:
            return None
        today = now // DAY
        ages = Counter(today - at // DAY for _, _, at in rows)
        reason = Reason(signature=row.signature, rule=row.rule, step=row.step, text=row.text)
        is_whole = chosen == Filter()
        is_bounded = row.builds >= MOST_COUNTED if is_whole else len(rows) >= MOST_OCCURRENCES
        return ReasonSummary(
            reason=reason,
            first_at=row.first_at if is_whole else rows[-1][2],
            last_at=rows[0][2],
            builds=row.builds if is_whole else len(rows),
            is_bounded=is_bounded,
            days=tuple(ages[age] for age in reversed(range(DAYS))),
            builders={builder: names[builder] for builder, _, _ in rows},
            branches=tuple(dict.fromkeys(line for _, line, _ in rows if line)),
            known=next((each.known for each in self.entries if each.matches(reason)), None),
        )

    def _history(self, connection: Connection, signature: str) -> list[Any]:
        if signature not in self._histories:
            rows = OCCURRENCES.rows(connection, {"of_signature": signature})
            self._histories[signature] = rows
        return self._histories[signature]


def _seen(
    connection: Connection, signature: str, chosen: Filter
) -> list[tuple[int, str | None, int]]:
    """Return builder, branch and begin of the latest builds with a reason that fit."""
    of_signature = {"of_signature": signature}
    if not (chosen.branch or chosen.worker or chosen.owner or chosen.results):
        return [tuple(row) for row in PLACES.rows(connection, of_signature)]
    found = (build_of(row, "") for row in BUILDS_OF.rows(connection, of_signature))
    return [
        (each.builder, each.branch, each.started_at) for each in found if fits_build(chosen, each)
    ]


def reasons_since(connection: Connection, since: int) -> list[tuple[Reason, int]]:
    """Return the reasons that were seen since a time, and when each was last, the latest first."""
    return [
        (
            Reason(signature=row.signature, rule=row.rule, step=row.step, text=row.text),
            row.last_at,
        )
        for row in SINCE.rows(connection, {"since": since})
    ]


def builds_with(
    connection: Connection,
    *,
    signature: str | None = None,
    revision: str | None = None,
    builders: Iterable[int] | None = None,
    since: int = 0,
    limit: int = MOST_OCCURRENCES,
) -> list[Any]:
    """Return the rows of builds with reasons, the latest first.

    Args:
        connection: A transaction's connection.
        signature: A reason that they must have, None for any.
        revision: A revision that they must have built, None for any.
        builders: Whose they must be, None for anyone's.
        since: When they must have begun at the earliest, in seconds since the epoch.
        limit: How many at most.
    """
    wanted = [_b.started_at >= since, sa.exists().where(_f.build == _b.id)]
    if signature is not None:
        wanted[1] = sa.exists().where(_f.build == _b.id, _f.signature == signature)
    if builders is not None:
        wanted.append(_b.builder.in_(sorted(builders)))
    if revision is not None:
        numbers = (
            sa.select(built.c.build)
            .join(revisions, revisions.c.id == built.c.revision)
            .where(revisions.c.revision == revision)
        )
        wanted.append(_b.id.in_(numbers))
    statement = sa.select(*BUILD_COLUMNS).where(*wanted).order_by(*_newest_first).limit(limit)
    return list(connection.execute(statement))


def _occurrence(row: Any, *, judges: bool = True, older: str | None = None) -> Occurrence:
    return Occurrence(
        signature=row.signature,
        lead=row.lead,
        build=row.build,
        builder=row.builder,
        line=row.line,
        at=row.started_at,
        since=row.since,
        passed_again=None if row.passed_again is None else bool(row.passed_again),
        judges=judges,
        older=older,
    )


def _older(row: Any, master: int, reached: Mapping[str, Source]) -> str | None:
    """Return the revision that an occurrence is of, where its code is older than some other."""
    if row.master != master:
        return None
    sources = _sources(row.sources)
    return next((each.revision for each in sources), None) if is_older(sources, reached) else None


def _sources(kept: str) -> list[Source]:
    return [Source(*each) for each in json.loads(kept)]
