"""Why builds failed, as it is written: their reasons, and what is worked out of each.

Blocking: runs in the writer's thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.failures.history import built_again
from buildbot_http_status_push.board.failures.lines import FailedLine, reason_of
from buildbot_http_status_push.board.judgements import place
from buildbot_http_status_push.board.model import (
    GOOD,
    Build,
)
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS, build_of, line_of
from buildbot_http_status_push.board.store.tables import (
    builds,
    failures,
    judging,
    signatures,
    signing,
)
from buildbot_http_status_push.excerpts.signature import SIGNATURE_VERSION
from buildbot_http_status_push.prepared_statements import Prepared

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
_oldest_first = (_b.started_at, _b.number, _b.id)
_newest_first = tuple(each.desc() for each in _oldest_first)
_good = _builds.where(sa.text(judging(GOOD)))
_of_line = sa.and_(_f.builder == _given("of_builder"), _f.line == _given("of_line"))

HAS_FAILED = Prepared(lambda: sa.select(_f.build).where(_of_line).limit(1))
UP_TO = Prepared(
    lambda: _builds.where(_build_place <= sql.given_place).order_by(*_newest_first).limit(AROUND)
)
AFTER = Prepared(
    lambda: _builds.where(_build_place > sql.given_place).order_by(*_oldest_first).limit(AROUND)
)
GOOD_BEFORE = Prepared(
    lambda: _good.where(_build_place < sql.given_place).order_by(*_newest_first).limit(1)
)
GOOD_AFTER = Prepared(
    lambda: _good.where(_build_place > sql.given_place).order_by(*_oldest_first).limit(1)
)
OTHERWISE_SINCE = Prepared(
    lambda: sa.select(_f.build, _f.signature).where(
        _of_line,
        sa.tuple_(_f.started_at, _f.number, _f.build) >= sql.given_place,
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
    """The reasons that one transaction writes."""

    _connection: Connection
    _touched: set[str] = field(factory=set, init=False)
    _finished: set[tuple[int, str, tuple[int, int, int]]] = field(factory=set, init=False)

    def remember(self, build: int, builder: int, status: Status) -> None:
        """Keep why a build failed."""
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
                "judges": int(status.judges),
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
        """Work out what has changed."""
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
    """Sign what is kept again where the rules for it are others than they were."""
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
