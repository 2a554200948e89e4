"""Test results as pages and programs read them: which tests fail, and what their runs say.

Blocking: runs in the reader's thread, and in the writer's for a builder's state.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from attrs import frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.board.model import FailingTests
from buildbot_http_status_push.board.store import statements as sql
from buildbot_http_status_push.board.store.rows import unpacked
from buildbot_http_status_push.board.store.tables import (
    test_failures,
    test_runs,
    test_suite_lists,
    tests,
)
from buildbot_http_status_push.board.store.writing_test_results import (
    RUN_OF,
    newest_first,
    of_tested,
    run_place,
    tested_number,
)
from buildbot_http_status_push.board.test_results.history import (
    WINDOW,
    Run,
    Verdict,
    Window,
    deciding,
)
from buildbot_http_status_push.board.test_results.query import QueryOfTests
from buildbot_http_status_push.board.test_results.results import (
    NamedTest,
    results_of,
    suite_number,
)
from buildbot_http_status_push.prepared_statements import Prepared, portions

MOST_NEW = 100
"""How many failed tests of a build are looked at for new ones."""
NAMES = 3
"""How many failing tests are named for a builder."""
SEARCHED = 20_000
"""Among how many of the tests that failed last a part of a name is searched."""
MOST_OF_NAME = 20
"""Of how many suites the tests of one name are looked at."""

_t, _r, _f = tests.c, test_runs.c, test_failures.c
_given = sa.bindparam
_run = sa.select(_r.build, _r.number, _r.started_at, _r.suites, _r.is_whole, _r.again)

LISTS = Prepared(
    lambda **names: sa.select(test_suite_lists).where(test_suite_lists.c.id.in_(names["some"]))
)
RUNS = Prepared(
    lambda: (
        _run.where(of_tested, run_place <= sql.given_place)
        .order_by(*newest_first)
        .limit(_given("most"))
    )
)
FAILURES = Prepared(
    lambda **names: sa.select(_f.test, _f.build).where(
        _f.test.in_(names["some"]),
        _f.tested == _given("of_tested"),
        _f.started_at >= _given("since"),
    )
)
_failed_before = sa.exists().where(
    _f.test == _t.id, _f.tested == _given("of_tested"), _f.started_at < _given("since")
)
FAILED_BEFORE = Prepared(
    lambda **names: sa.select(_t.id).where(_t.id.in_(names["some"]), _failed_before)
)
FAILED_TESTS = Prepared(
    lambda: (
        sa.select(_t.id, _t.suite, _t.name)
        .select_from(test_failures.join(tests, _t.id == _f.test))
        .where(_f.build == _given("of_build"))
    )
)
TESTS_OF_NAME = Prepared(
    lambda: (
        sa.select(_t.id, _t.suite, _t.name)
        .where(_t.name == _given("of_name"))
        .order_by(_t.last_at.desc())
        .limit(MOST_OF_NAME)
    )
)
TESTED_OF_TEST = Prepared(
    lambda: sa.select(_f.tested).where(_f.test == _given("of_test")).distinct()
)
RUNS_OF_BUILDS = Prepared(
    lambda **names: sa.select(_r.build, _r.suites, _r.is_whole).where(_r.build.in_(names["some"]))
)
FAILED_AMONG = Prepared(
    lambda **names: sa.select(_f.build).where(
        _f.build.in_(names["some"]), _f.test == _given("of_test")
    )
)
COUNT_RUNS = Prepared(
    lambda **names: (
        sa.select(_r.tested, _r.suites, sa.func.count().label("runs"))
        .where(
            _r.tested.in_(names["some"]),
            _r.started_at >= _given("since"),
            _r.is_whole == 1,
        )
        .group_by(_r.tested, _r.suites)
    )
)
COUNT_FAILURES = Prepared(
    lambda **names: (
        sa.select(_f.tested, _r.is_whole, sa.func.count().label("runs"))
        .select_from(test_failures.join(test_runs, _r.build == _f.build))
        .where(
            _f.test == _given("of_test"),
            _f.tested.in_(names["some"]),
            _f.started_at >= _given("since"),
        )
        .group_by(_f.tested, _r.is_whole)
    )
)


def _searched() -> Any:
    every = sa.select(tests).where(_t.last_at >= _given("since"))
    newest = every.order_by(_t.last_at.desc(), _t.id.desc()).limit(SEARCHED).subquery()
    name = sa.func.lower(newest.c.name)
    return (
        sa.select(newest.c.id, newest.c.suite, newest.c.name)
        .where(name.like(_given("like_text"), escape="\\"))
        .order_by(newest.c.last_at.desc())
        .limit(_given("most"))
    )


SEARCH = Prepared(_searched)


def failing_of(connection: Connection, builder: int, line: str) -> FailingTests | None:
    """Return the tests that failed in a builder's last build of a branch.

    Returns:
        Them, the new ones first; None where no such build sent test results.
    """
    number = tested_number(connection, builder, line, judges=True)
    if number is None:
        return None
    window = _window(connection, number, sql.LAST_PLACE)
    if not window.runs:
        return None
    last = window.runs[-1]
    rows = FAILED_TESTS.rows(connection, {"of_build": last.build})
    named = {row.id: NamedTest(row.suite, row.name) for row in rows}
    found = _verdicts(connection, number, window, named)
    flaky = {each for each, verdict in found.items() if verdict.is_flaky}
    new = {each for each, verdict in found.items() if verdict.is_new}
    order = sorted(named, key=lambda each: (each not in new, each in flaky, named[each]))
    kept = RUN_OF.first(connection, {"of_build": last.build})
    return FailingTests(
        build=last.build,
        count=max(kept.failed, len(named)),
        new=len(new),
        flaky=len(flaky | (_flaked(connection, window) - set(named))),
        names=tuple(named[each].name for each in order[:NAMES]),
    )


def _flaked(connection: Connection, window: Window) -> set[int]:
    """Return the tests that failed in a run, and passed in the next one of the same code."""
    found: set[int] = set()
    for failure, repetition in window.repeated:
        run, then = window.runs[failure], window.runs[repetition]
        if not then.is_whole:
            continue
        failed = FAILED_TESTS.rows(connection, {"of_build": run.build})
        also = {row.id for row in FAILED_TESTS.rows(connection, {"of_build": then.build})}
        ran = {row.id for row in failed if suite_number(row.suite) in then.suites}
        found |= ran - also
    return found


def verdicts_of(
    connection: Connection, build: int, limit: int | None = None
) -> dict[NamedTest, Verdict]:
    """Return what the runs up to a build say of the tests that failed in it.

    Args:
        connection: A transaction's connection.
        build: The build's number on the board.
        limit: Of how many of them, None for all.
    """
    run = RUN_OF.first(connection, _of(build))
    if run is None:
        return {}
    rows = FAILED_TESTS.rows(connection, _of(build))[:limit]
    named = {row.id: NamedTest(row.suite, row.name) for row in rows}
    window = _window(connection, run.tested, (run.started_at, run.number, build))
    found = _verdicts(connection, run.tested, window, named)
    return {named[number]: each for number, each in found.items()}


@frozen(kw_only=True)
class FailingPlace:
    """A test on a builder's branch.

    Args:
        builder: The builder's number on the board.
        line: The branch, as tables have it.
        verdict: What its runs say.
    """

    builder: int
    line: str
    verdict: Verdict


def failing_now(
    connection: Connection,
    places: Iterable[tuple[int, str]],
    query: QueryOfTests,
    limit: int,
    most_places: int | None = None,
) -> tuple[dict[NamedTest, list[FailingPlace]], dict[NamedTest, int]]:
    """Return the tests that fail now, those on most builders first.

    Args:
        connection: A transaction's connection.
        places: Builders, each with the branch to look at, as tables have it.
        query: Which tests are asked for.
        limit: Of how many tests more than the number of builders is returned.
        most_places: Of how many of a test's builders more is returned, None for all.

    Returns:
        Tests with where they fail; and on how many builders each of all fails.
    """
    wanted = query.name.lower()
    named: dict[int, NamedTest] = {}
    where: dict[int, list[int]] = defaultdict(list)
    series: dict[int, tuple[int, str, Window]] = {}
    lists: dict[int, frozenset[int]] = {}
    for builder, line in places:
        number = tested_number(connection, builder, line, judges=True)
        if number is None:
            continue
        window = _window(connection, number, sql.LAST_PLACE, lists)
        series[number] = (builder, line, window)
        recent = {each.build for each in window.runs if each.at >= query.since}
        for build, suites in deciding(reversed(window.runs)).items():
            found_here = {
                row.id: NamedTest(row.suite, row.name)
                for row in (FAILED_TESTS.rows(connection, _of(build)) if build in recent else ())
                if wanted in row.name.lower() and suite_number(row.suite) in suites
            }
            fit = _with_message(connection, build, query) if query.message and found_here else None
            for key, shown_as in found_here.items():
                if fit is None or shown_as in fit:
                    named[key] = shown_as
                    where[key].append(number)
    # Comparing names as tuples is much faster than comparing objects.
    pairs = {each: (test.name, test.suite) for each, test in named.items()}
    order = sorted(named, key=lambda each: (-len(where[each]), pairs[each]))
    found: dict[NamedTest, list[FailingPlace]] = {named[each]: [] for each in order[:limit]}
    shown: dict[int, dict[int, NamedTest]] = defaultdict(dict)
    for each in order[:limit]:
        for number in where[each][:most_places]:
            shown[number][each] = named[each]
    for number, (builder, line, window) in series.items():
        for test, verdict in _verdicts(connection, number, window, shown[number]).items():
            place = FailingPlace(builder=builder, line=line, verdict=verdict)
            found[named[test]].append(place)
    return found, {named[each]: len(where[each]) for each in order}


def _with_message(connection: Connection, build: int, query: QueryOfTests) -> set[NamedTest]:
    """Return the tests whose messages in a build are asked for."""
    body = sql.BODY_OF.scalar(connection, _of(build))
    results = None if body is None else results_of(unpacked(bytes(body)))
    return {each.test for each in results.failures if query.fits(each)} if results else set()


def new_tests(connection: Connection, some: Iterable[int]) -> dict[int, list[NamedTest]]:
    """Return which tests were new in builds, by the builds' numbers on the board."""
    found: dict[int, list[NamedTest]] = {}
    for build in some:
        verdicts = verdicts_of(connection, build, MOST_NEW)
        new = sorted(test for test, each in verdicts.items() if each.is_new)
        if new:
            found[build] = new
    return found


def tests_like(connection: Connection, query: QueryOfTests, limit: int) -> list[NamedTest]:
    """Return tests that have failed and fit, those that failed last first."""
    given = {
        "like_text": f"%{sql.like(query.name.lower())}%",
        "most": limit,
        "since": query.since,
    }
    return [NamedTest(row.suite, row.name) for row in SEARCH.rows(connection, given)]


def places_of(
    connection: Connection, name: str, chosen: Iterable[tuple[int, str]]
) -> dict[NamedTest, list[FailingPlace]]:
    """Return where a test is known to have failed, and what its runs say there.

    Args:
        connection: A transaction's connection.
        name: Its name; it may be in several suites.
        chosen: Builders, each with the branch to look at, as tables have it.
    """
    series = {
        number: place
        for place in chosen
        if (number := tested_number(connection, *place, judges=True)) is not None
    }
    found: dict[NamedTest, list[FailingPlace]] = {}
    lists: dict[int, frozenset[int]] = {}
    known: dict[int, Window] = {}
    for row in TESTS_OF_NAME.rows(connection, {"of_name": name}):
        test = NamedTest(row.suite, row.name)
        found[test] = []
        for number in sorted(
            each.tested for each in TESTED_OF_TEST.rows(connection, {"of_test": row.id})
        ):
            if number not in series:
                continue
            if number not in known:
                known[number] = _window(connection, number, sql.LAST_PLACE, lists)
            [each] = _verdicts(connection, number, known[number], {row.id: test}).values()
            builder, line = series[number]
            found[test].append(FailingPlace(builder=builder, line=line, verdict=each))
    return found


def rates_of(
    connection: Connection, name: str, chosen: Iterable[tuple[int, str]], since: int
) -> dict[NamedTest, dict[tuple[int, str], tuple[int, int]]]:
    """Return how often a test failed and ran.

    Args:
        connection: A transaction's connection.
        name: Its name; it may be in several suites.
        chosen: Builders, each with the branch to look at, as tables have it.
        since: When builds must have begun at the earliest, in seconds since the epoch.

    Returns:
        How often it failed and how often it ran, by builder and branch.
    """
    series = {
        number: place
        for place in chosen
        if (number := tested_number(connection, *place, judges=True)) is not None
    }
    counted = [
        row
        for some in portions([*series])
        for row in COUNT_RUNS.rows(connection, {"since": since, "some": some})
    ]
    lists = _lists(connection, {row.suites for row in counted}, {})
    found: dict[NamedTest, dict[tuple[int, str], tuple[int, int]]] = {}
    for row in TESTS_OF_NAME.rows(connection, {"of_name": name}):
        suite = suite_number(row.suite)
        ran: dict[int, int] = defaultdict(int)
        failed: dict[int, int] = defaultdict(int)
        for each in counted:
            if suite in lists[each.suites]:
                ran[each.tested] += each.runs
        for some in portions([*series]):
            given = {"of_test": row.id, "since": since, "some": some}
            for each in COUNT_FAILURES.rows(connection, given):
                failed[each.tested] += each.runs
                ran[each.tested] += 0 if each.is_whole else each.runs
        found[NamedTest(row.suite, row.name)] = {
            series[number]: (failed[number], count) for number, count in ran.items() if count
        }
    return found


def failures_in(
    connection: Connection, name: str, some: Sequence[int]
) -> dict[NamedTest, dict[int, bool | None]]:
    """Return whether tests of a name failed in some builds, None where that is not known."""
    runs = [
        row for part in portions(some) for row in RUNS_OF_BUILDS.rows(connection, {"some": part})
    ]
    lists = _lists(connection, {row.suites for row in runs}, {})
    found: dict[NamedTest, dict[int, bool | None]] = {}
    for row in TESTS_OF_NAME.rows(connection, {"of_name": name}):
        suite = suite_number(row.suite)
        failed = {
            each.build
            for part in portions(some)
            for each in FAILED_AMONG.rows(connection, {"of_test": row.id, "some": part})
        }
        found[NamedTest(row.suite, row.name)] = {
            each.build: True
            if each.build in failed
            else (False if each.is_whole and suite in lists[each.suites] else None)
            for each in runs
        }
    return found


def _of(build: int) -> dict[str, int]:
    return {"of_build": build}


def _window(
    connection: Connection,
    number: int,
    place: Iterable[int],
    lists: dict[int, frozenset[int]] | None = None,
) -> Window:
    """Return the runs up to a place."""
    given = {"of_tested": number, "most": WINDOW, **sql.at(place)}
    rows = RUNS.rows(connection, given)[::-1]
    suites = _lists(connection, {row.suites for row in rows}, {} if lists is None else lists)
    return Window(
        [
            Run(
                build=row.build,
                number=row.number,
                at=row.started_at,
                suites=suites[row.suites],
                is_whole=bool(row.is_whole),
                again=row.again,
            )
            for row in rows
        ]
    )


def _lists(
    connection: Connection, some: Collection[int], known: dict[int, frozenset[int]]
) -> dict[int, frozenset[int]]:
    for part in portions(sorted(set(some) - set(known))):
        for row in LISTS.rows(connection, {"some": part}):
            known[row.id] = frozenset(json.loads(row.suites))
    return known


def _verdicts(
    connection: Connection, number: int, window: Window, some: Mapping[int, NamedTest]
) -> dict[int, Verdict]:
    failed = dict.fromkeys(some, 0)
    before: set[int] = set()
    for part in portions(sorted(some) if window.runs else []):
        given = {"of_tested": number, "since": window.runs[0].at, "some": part}
        # A build's page has thousands of these rows.
        for test, build in FAILURES.tuples(connection, given):
            failed[test] |= window.bits.get(build, 0)
        # What failed twice in sight has failed before, whatever there was earlier.
        once = [each for each in part if failed[each].bit_count() < 2]
        before.update(row.id for row in FAILED_BEFORE.rows(connection, given | {"some": once}))
    whole = window.whole({each.suite for each in some.values()})
    return {
        each: Verdict(window, whole[test.suite] | failed[each], failed[each], each in before)
        for each, test in some.items()
    }
