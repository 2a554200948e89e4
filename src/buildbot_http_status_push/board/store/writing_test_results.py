"""Test results as they are written: each build's run, and each test that failed in it.

Blocking: runs in the writer's thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from attrs import define, field
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.failures.history import built_again
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import BUILD_COLUMNS, build_of, line_of
from buildbot_http_status_push.board.store.tables import (
    builds,
    test_failures,
    test_runs,
    test_suite_lists,
    tested,
    tests,
)
from buildbot_http_status_push.board.test_results.results import BuildTests, suite_number
from buildbot_http_status_push.prepared_statements import Prepared, portions

AROUND = 10
"""How many runs before and after one are looked at."""

_t, _r, _f, _in = tests.c, test_runs.c, test_failures.c, tested.c
_given = sa.bindparam
run_place = sa.tuple_(_r.started_at, _r.number, _r.build)
of_tested = _r.tested == _given("of_tested")
_order = (_r.started_at, _r.number, _r.build)
newest_first = tuple(each.desc() for each in _order)

TESTED = Prepared(
    lambda: sa.select(_in.id).where(
        _in.builder == _given("of_builder"),
        _in.line == _given("of_line"),
        _in.judges == _given("of_judges"),
    )
)
INSERT_TESTED = Prepared(tested.insert)
LIST = Prepared(
    lambda: sa.select(test_suite_lists.c.id).where(test_suite_lists.c.digest == _given("of_digest"))
)
INSERT_LIST = Prepared(test_suite_lists.insert)
TESTS_BY_DIGEST = Prepared(
    lambda **names: sa.select(_t.id, _t.digest).where(_t.digest.in_(names["some"]))
)
FAILED_AT = Prepared(
    lambda **names: (
        tests.update()
        .where(_t.id.in_(names["some"]), _t.last_at < _given("at"))
        .values(last_at=_given("at"))
    )
)
RUN_OF = Prepared(lambda: sa.select(test_runs).where(_r.build == _given("of_build")))
FORGET_RUN = Prepared(lambda: test_runs.delete().where(_r.build == _given("of_build")))
FORGET_FAILURES = Prepared(lambda: test_failures.delete().where(_f.build == _given("of_build")))
FAILED_IN = Prepared(lambda: sa.select(_f.test).where(_f.build == _given("of_build")))
SET_AGAIN = Prepared(
    lambda: (
        test_runs.update().where(_r.build == _given("of_build")).values(again=_given("to_again"))
    )
)
_builds_of_runs = (
    sa.select(*BUILD_COLUMNS)
    .select_from(test_runs.join(builds, builds.c.id == _r.build))
    .where(of_tested)
)
FINISHED_UP_TO = Prepared(
    lambda: (
        _builds_of_runs.where(run_place <= sql.given_place).order_by(*newest_first).limit(AROUND)
    )
)
FINISHED_AFTER = Prepared(
    lambda: _builds_of_runs.where(run_place > sql.given_place).order_by(*_order).limit(AROUND)
)


@define(eq=False)
class Keeping:
    """The test results that one transaction writes.

    Args:
        connection: The transaction's connection.
    """

    _connection: Connection
    _series: set[tuple[int, tuple[int, int, int]]] = field(factory=set, init=False)

    def remember(self, build: int, builder: int, status: Status) -> None:
        """Keep how a build's tests ended.

        Args:
            build: The build, of which nothing was kept or all was forgotten.
            builder: Its builder.
            status: What is known of it.
        """
        results = status.tests
        if results is None or status.complete_at is None:
            return
        number = self._tested(builder, line_of(status), judges=status.judges)
        row = {
            "build": build,
            "tested": number,
            "started_at": status.started_at,
            "number": status.number,
            "suites": self._suites(results),
            "is_whole": int(not results.omitted),
            "failed": results.totals.bad,
            "ran": results.totals.ran,
            "again": None,
        }
        self._connection.execute(test_runs.insert(), [row])
        failed = self._tests(results, status.started_at)
        if failed:
            same = {"tested": number, "started_at": status.started_at, "build": build}
            self._connection.execute(test_failures.insert(), [{"test": t, **same} for t in failed])
        self._series.add((number, (status.started_at, status.number, build)))

    def forget(self, build: int) -> None:
        """Keep no longer how a build's tests ended."""
        of_build = {"of_build": build}
        run = RUN_OF.first(self._connection, of_build)
        if run is None:
            return
        failed = [row.test for row in FAILED_IN.rows(self._connection, of_build)]
        FORGET_FAILURES.run(self._connection, of_build)
        FORGET_RUN.run(self._connection, of_build)
        drop_unused(self._connection, failed, [run.suites], [run.tested])
        self._series.add((run.tested, (run.started_at, run.number, build)))

    def settle(self) -> None:
        """Work out which builds were of the same code as the one before."""
        for number, at in sorted(self._series):
            around = {"of_tested": number, **sql.at(at)}
            rows = FINISHED_UP_TO.rows(self._connection, around)[::-1]
            before = [build_of(row, "") for row in rows]
            after = [build_of(row, "") for row in FINISHED_AFTER.rows(self._connection, around)]
            following = built_again([*before, *after])
            # Of the last builds in sight, what followed is not: theirs was settled before.
            conclusive = [each for each in before if each.is_conclusive and each.judges]
            for build in conclusive[-2:]:
                if build.is_bad:
                    then = following.get(build.id)
                    again = {"of_build": build.id, "to_again": then and then.id}
                    SET_AGAIN.run(self._connection, again)
        self._series.clear()

    def _tested(self, builder: int, line: str, *, judges: bool) -> int:
        number = tested_number(self._connection, builder, line, judges=judges)
        if number is None:
            new = {"builder": builder, "line": line, "judges": int(judges)}
            number = INSERT_TESTED.insert(self._connection, new)
        return number

    def _suites(self, results: BuildTests) -> int:
        text = json.dumps(sorted(map(suite_number, results.ran_suites)))
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        known = LIST.scalar(self._connection, {"of_digest": digest})
        if known is None:
            known = INSERT_LIST.insert(self._connection, {"digest": digest, "suites": text})
        return int(known)

    def _tests(self, results: BuildTests, at: int) -> list[int]:
        named = {each.test.digest: each.test for each in results.failures}
        known = _by_digest(self._connection, named)
        unknown = [digest for digest in named if digest not in known]
        new = [
            {"digest": each, "suite": named[each].suite, "name": named[each].name, "last_at": at}
            for each in unknown
        ]
        for some in portions([*known.values()]):
            FAILED_AT.run(self._connection, {"at": at, "some": some})
        if new:
            self._connection.execute(tests.insert(), new)
            known |= _by_digest(self._connection, unknown)
        return sorted(known.values())


def tested_number(connection: Connection, builder: int, line: str, *, judges: bool) -> int | None:
    """Return the number of a builder's branch among those with test results, None for another."""
    given = {"of_builder": builder, "of_line": line, "of_judges": int(judges)}
    number = TESTED.scalar(connection, given)
    return None if number is None else int(number)


def _by_digest(connection: Connection, some: Iterable[str]) -> dict[str, int]:
    return {
        row.digest: row.id
        for part in portions([*some])
        for row in TESTS_BY_DIGEST.rows(connection, {"some": part})
    }


def drop_unused(
    connection: Connection, some: Iterable[int], lists: Iterable[int], series: Iterable[int]
) -> None:
    """Delete tests, lists of suites, and branches of builders, as far as no build has them."""
    for table, key, used, numbers in (
        (tests, _t.id, _f.test, some),
        (test_suite_lists, test_suite_lists.c.id, _r.suites, lists),
        (tested, _in.id, _r.tested, series),
    ):
        is_used = sa.exists().where(used == key)
        for part in portions(sorted(set(numbers))):
            connection.execute(table.delete().where(key.in_(part), ~is_used))


def drop_builds(connection: Connection, ids: Sequence[int]) -> None:
    """Delete the test results of builds."""
    runs = connection.execute(
        sa.select(_r.suites, _r.tested).where(_r.build.in_(ids)).distinct()
    ).all()
    if not runs:
        return
    failed = connection.execute(sa.select(_f.test).where(_f.build.in_(ids)).distinct())
    some = failed.scalars().all()
    connection.execute(test_failures.delete().where(_f.build.in_(ids)))
    connection.execute(test_runs.delete().where(_r.build.in_(ids)))
    drop_unused(connection, some, (row.suites for row in runs), (row.tested for row in runs))
