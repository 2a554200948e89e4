"""A board with many builders and builds: no page and no status looks through all of them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool
from support.large import Large
from support.outboxes import result
from support.reasons import excerpts
from support.results import results_key
from support.states import a_builder, a_request, a_worker
from support.statuses import NOW, a_status
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read_any
from buildbot_http_status_push.board.http.documents import Document, RouteRequest
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.verdicts.rules import rules_of
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import CONCLUSIVE, FAILURE, RETRY, SKIPPED, SUCCESS

pytestmark = pytest.mark.once

LARGE = Large(builders=200, builds=50_000, until=NOW)
PAGES = (
    ("/", ""),
    ("/", "kiosk=1"),
    ("/grid", ""),
    ("/", "branch=main"),
    ("/revisions", ""),
    ("/revisions", "branch=main&worker=worker+7"),
    ("/builders/7", ""),
    ("/builders/7", "before=20006"),
    ("/builders/7", "result=failure&owner=owner+7"),
    ("/builds/20007", ""),
)
MOST_STEPS = 30_000
"""To look at a row takes SQLite several of its instructions."""
ALL_IS_WANTED = (
    *("board_builders", "board_lines", "board_masters", "board_position"),
    *("board_schema", "board_signing"),
)
"""Small tables, all of which is read where that is wanted: at most a row for each branch."""
IS_EMPTY = "FROM board_signatures\n LIMIT"
"""Asks for any row of a table."""


class Listening:
    """Notes all statements that SQLite is asked, on connections that are opened meanwhile."""

    def __init__(self) -> None:
        self.statements: dict[str, Any] = {}

    def __enter__(self) -> Listening:
        """Begin."""
        sa.event.listen(Engine, "do_connect", self.watch)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        sa.event.remove(Engine, "do_connect", self.watch)

    def watch(self, _: Any, __: Any, ___: Any, options: dict[str, Any]) -> None:
        """Let the driver make connections whose cursors tell what they are asked."""
        note = self.note

        class Cursor(sqlite3.Cursor):
            def execute(self, statement: str, parameters: Any = ()) -> sqlite3.Cursor:
                note(statement, parameters)
                return super().execute(statement, parameters)

        class Connection(sqlite3.Connection):
            def cursor(self, *_: Any) -> Any:
                return super().cursor(Cursor)

        options["factory"] = Connection

    def note(self, statement: str, parameters: Any) -> None:
        """Note a statement that reads or changes rows."""
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            self.statements[statement] = parameters


class Working:
    """Counts the instructions that SQLite carries out, on connections that are opened meanwhile."""

    def __init__(self) -> None:
        self.steps = 0

    def __enter__(self) -> Working:
        """Begin."""
        sa.event.listen(Pool, "connect", self.watch)
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        sa.event.remove(Pool, "connect", self.watch)

    def watch(self, connection: Any, _: object) -> None:
        """Count on a connection."""
        connection.set_progress_handler(self.count, 100)

    def count(self) -> None:
        """Count a hundred more."""
        self.steps += 100


class LargeTests(SynchronousTestCase):
    """Two hundred builders with fifty thousand builds."""

    @classmethod
    def setUpClass(cls) -> None:
        """Write it once."""
        cls.folder = TemporaryDirectory()
        cls.url = file_url(Path(cls.folder.name) / "board.sqlite")
        database = open_database(cls.url)
        database.transact([LARGE.fill])
        database.close()

    @classmethod
    def tearDownClass(cls) -> None:
        """Delete it."""
        cls.folder.cleanup()

    def setUp(self) -> None:
        """Make a clock for the board."""
        self.clock = Clock()
        self.clock.advance(NOW)

    def opened(self) -> Store:
        """Open the board, which knows nothing yet."""
        store = Store(self.clock, maybeDeferred, self.url)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        return store

    def page(self, pages: Pages, path: str, query: str = "") -> Document:
        """Make a page."""
        asked = RouteRequest(path=path, query=query, address="http://board/")
        return result(Deferred.fromCoroutine(pages.page(asked)))

    def test_from_cold(self) -> None:
        """Overview and grid, from cold, show every builder and make the database do little."""
        for path in ("/", "/grid"):
            with Working() as working:
                page = self.page(Pages(self.opened(), self.clock.seconds, at_once), path)
            shown = [f"builder {each}".encode() in page.body for each in range(LARGE.builders)]
            self.assertTrue(all(shown), path)
            self.assertLess(working.steps, MOST_STEPS, path)

    def test_reads_on_indexes(self) -> None:
        """No page looks through a table, not even where its address has a filter."""
        with Listening() as heard:
            store = self.opened()
            pages = Pages(store, self.clock.seconds, at_once)
            for path, query in PAGES:
                self.assertEqual(self.page(pages, path, query).status, 200, f"{path}?{query}")
            result(store.updates(49_000, 100))
            result(store.builds(Filter(results=CONCLUSIVE)))
        self.assertEqual(self.scans(heard), [])

    def test_failures_and_tests_on_indexes(self) -> None:
        """Neither why builds fail nor which tests failed is looked for in all there is."""
        every = [{}, {"builder": "*7"}, {"branch": "main"}, {"owner": "Ada"}]
        with Listening() as heard:
            store = self.opened()
            for number, ended in enumerate((FAILURE, SUCCESS, FAILURE, FAILURE), 60_000):
                more = {**excerpts("error: x"), "tests": results_key(["test_x"])} if ended else {}
                body = {"builder": "builder 7", "revision": "r60000", **more}
                result(store.put(a_status(number, ended, **body)))
            [found] = result(store.failures(Filter(), 1))
            chosen = [Filter(**each) for each in every]
            pages = Pages(store, self.clock.seconds, at_once)
            signature = found.reason.signature
            for path in (
                "/failures",
                f"/failures/{signature}",
                "/known",
                "/tests",
                "/tests/test_x",
            ):
                for query in map(urlencode, every):
                    self.assertEqual(self.page(pages, path, query).status, 200, f"{path}?{query}")
            self.assertEqual(self.page(pages, "/tests", "q=tes").status, 200)
            for asked in ({}, {"signature": signature}, {"revision": "r60000"}):
                for each in chosen:
                    some = result(store.failed_builds(each, **asked, with_memory=True))
                    self.assertEqual(len(some), 3, (asked, each))
            for each in chosen:
                result(store.test_rates(each, "test_x", NOW))
            result(store.failures_at("test_x", "r60000"))
            result(Deferred.fromCoroutine(store.prune(1.0)))
        self.assertEqual(self.scans(heard), [])

    def test_writes_on_indexes(self) -> None:
        """No status makes it look through a table."""
        with Listening() as heard:
            store = self.opened()
            for number in (1, 1, 2):
                result(store.put(a_status(number, FAILURE, builder="builder 7", buildrequestid=7)))
        self.assertGreater(len(heard.statements), 10)
        self.assertEqual(self.scans(heard), [])

    def test_states_on_indexes(self) -> None:
        """Neither requests, workers and builders nor verdicts look through a table."""
        [rule] = rules_of({"verdict": [{"name": "main", "group": [{"title": "all"}]}]})
        change = {"changeid": 5, "author": "Ada", "revision": "r60000", "comments": "Mend it"}
        with Listening() as heard:
            store = self.opened()
            for number in range(100):
                name = f"builder {number}"
                for body in (
                    a_request("requests.new", number, builder=name),
                    a_worker("workers.disconnected", f"w{number}", builders=[{"name": name}]),
                    a_builder("builders.configured", name),
                ):
                    state = read_any(json.dumps(body).encode())
                    assert state is not None
                    result(store.put(state))
            more = {"buildrequestid": 7, "changes": [change], "revision": "r60001"}
            result(store.put(a_status(60_000, FAILURE, builder="builder 7", **more)))
            pages = Pages(store, self.clock.seconds, at_once)
            for path in ("/", "/queue", "/workers", "/workers/w7", "/revisions/r60000"):
                self.assertEqual(self.page(pages, path).status, 200, path)
            result(store.requests(7, 10))
            result(store.branch_verdicts([rule]))
            result(Deferred.fromCoroutine(store.prune(1.0)))
            result(Deferred.fromCoroutine(store.prune_updates()))
        self.assertEqual(self.scans(heard), [])

    def test_pruning_on_indexes(self) -> None:
        """Pruning looks at what is old, not at all there is."""
        with Listening() as heard:
            store = self.opened()
            result(Deferred.fromCoroutine(store.prune(1.0)))
            result(Deferred.fromCoroutine(store.prune_updates()))
        self.assertGreater(len(heard.statements), 4)
        self.assertEqual(self.scans(heard), [])

    def test_little_work(self) -> None:
        """What is about one build, and what nothing fits, makes the database do little."""
        with Working() as working:
            store = self.opened()
            for what in (
                lambda: store.put(a_status(5, FAILURE, builder="builder 7")),
                lambda: store.builds(Filter(owner="nobody")),
                lambda: store.builds(Filter(worker="none")),
                lambda: store.builds(Filter(branch="none")),
                lambda: store.builders(Filter(branch="none")),
                lambda: store.builds(Filter(results=frozenset([SKIPPED, RETRY]))),
                lambda: store.builds(Filter(), 7, 50, 20_007),
                lambda: store.updates(49_900, 100),
            ):
                working.steps = 0
                result(what())
                self.assertLess(working.steps, MOST_STEPS)

    def test_page_of_a_build(self) -> None:
        """A build's page looks at none of the other builds of its builder."""
        with Working() as working:
            store = self.opened()
            working.steps = 0
            self.assertIsNotNone(result(store.build_and_tests(20_007)))
            self.assertLess(working.steps, 1000)

    def scans(self, heard: Listening) -> list[str]:
        """Return the statements that look through a whole table, and how."""
        engine = sa.create_engine(self.url)
        self.addCleanup(engine.dispose)
        found = []
        with engine.connect() as connection:
            for statement, parameters in heard.statements.items():
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                steps = [row.detail for row in plan]
                if IS_EMPTY not in statement:
                    found += [f"{each}: {statement}" for each in steps if _is_scan(each)]
        return found


def _is_scan(step: str) -> bool:
    return step.startswith("SCAN board_") and step.split()[1] not in ALL_IS_WANTED
