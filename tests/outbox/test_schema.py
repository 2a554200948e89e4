"""The tables, their versions, and how much work the database has with a large backlog."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from unittest import mock

import sqlalchemy as sa
from attrs import evolve
from sqlalchemy.engine import Connection
from support.outboxes import LEASE, NOW
from support.postgres import DRIVERS, server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import StorageError, file_url
from buildbot_http_status_push.model import Disposition, LeasedDelivery, State, Turn
from buildbot_http_status_push.outbox import backfill, schema
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.outbox.schema import backfills, deliveries, open_database, versions

REPOSITORY = DeliveryRepository("push", "master")

FILL = sa.text("""
    INSERT INTO http_status_push_deliveries (reporter, id, lane, subject, event, title,
        content_type, body, state, created_at, updated_at, attempts, lease_until, "group")
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows)
    SELECT 'push', 'msg_' || n, 'lane-' || n, 'subject-' || n, 'event', 'title',
        'type', :body, 'waiting', 1.7e9, 1.7e9, 0, 0.0, 'builder-' || (n / 1000) FROM numbers
""")


def columns(connection: Connection) -> list[str]:
    """Return the columns that the table of deliveries has."""
    return [each["name"] for each in sa.inspect(connection).get_columns(deliveries.name)]


def indexes(connection: Connection) -> list[tuple[Any, ...]]:
    """Return the indexes that the table of deliveries has."""
    found = sa.inspect(connection).get_indexes(deliveries.name)
    return sorted((str(each["name"]), tuple(each["column_names"])) for each in found)


def remove_groups(connection: Connection) -> None:
    """Bring the table of deliveries back to what it was before there were groups."""
    for name in ("by_group", "by_retry"):
        connection.execute(sa.text(f"DROP INDEX http_status_push_{name}"))
    connection.execute(sa.text(f'ALTER TABLE {deliveries.name} DROP COLUMN "group"'))
    connection.execute(
        sa.text(
            f"CREATE INDEX http_status_push_by_retry ON {deliveries.name} "
            "(reporter, next_attempt, sequence) WHERE next_attempt IS NOT NULL"
        )
    )


def name(connection: Connection, titles: dict[str, str]) -> None:
    """Give each of the first deliveries a state and a title."""
    for sequence, (state, title) in enumerate(titles.items(), start=1):
        row = deliveries.update().where(deliveries.c.sequence == sequence)
        connection.execute(row.values(state=state, title=title))


PRESENT = 3


def no_backfill(connection: Connection) -> object:
    """Look for a backfill where there is none."""
    return backfill.find(connection, "push")


def add_column(connection: Connection) -> None:
    """Change a table, as an upgrade does."""
    connection.execute(sa.text(f"ALTER TABLE {deliveries.name} ADD COLUMN colour TEXT"))


def fail(connection: Connection) -> None:
    """Fail, as an upgrade may."""
    raise sa.exc.OperationalError("UPGRADE", {}, Exception("no room"))


class VersionTests(SynchronousTestCase):
    """From one version to the next."""

    def urls(self) -> Iterable[str]:
        """Yield an empty place for every kind of database."""
        yield file_url(self.mktemp())
        for driver in DRIVERS:
            server().clear()
            yield server().url(driver)

    def ask(self, url: str, *operations: Callable[[Connection], Any]) -> list[Any]:
        """Open a database, run operations, close it."""
        database = open_database(url)
        try:
            return database.transact(operations)
        finally:
            database.close()

    def upgrade_with(self, *upgrades: Callable[[Connection], None]) -> None:
        """Be a version of this package that has upgrades."""
        all_upgrades = (*schema.UPGRADES, *upgrades)
        self.patch(schema, "SCHEMA", evolve(schema.SCHEMA, upgrades=all_upgrades))

    def found(self, connection: Connection) -> int:
        """Return the version that a database says it has."""
        return int(connection.execute(sa.select(sa.func.max(versions.c.version))).scalar_one())

    def test_new(self) -> None:
        """A new outbox has the present version, also after it was opened again."""
        for url in self.urls():
            self.assertEqual([PRESENT], self.ask(url, self.found))
            self.assertEqual([PRESENT], self.ask(url, self.found))

    def test_from_the_first(self) -> None:
        """An outbox of the first version gets what it lacks, and keeps what it has."""
        for url in self.urls():
            with self.subTest(url):
                fresh = self.ask(url, columns, indexes)
                self.make_old(url, backfills.drop, remove_groups, version=1)
                self.assertEqual([None, PRESENT], self.ask(url, no_backfill, self.found))
                self.assertEqual(fresh, self.ask(url, columns, indexes))

    def make_old(self, url: str, *changes: Callable[[Connection], Any], version: int) -> None:
        """Make an outbox one of an older version."""
        self.ask(url, *changes, lambda one: one.execute(versions.delete()))
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.execute(versions.insert().values(version=version))
        engine.dispose()

    def test_groups(self) -> None:
        """What may still be sent of an outbox without groups gets the one that its title names."""
        titles = {
            "waiting": "build linux#4",
            "retrying": "build a#1#23",
            "dead": "buildset 7",
            "delivered": "build linux#3",
        }
        for url in self.urls():
            with self.subTest(url):
                self.ask(url, fill(len(titles)))
                self.make_old(url, partial(name, titles=titles), remove_groups, version=2)
                groups = sa.select(deliveries.c.title, deliveries.c.group)
                [found] = self.ask(url, lambda one, groups=groups: one.execute(groups).fetchall())
                self.assertEqual(
                    {
                        "build linux#4": "build linux#",
                        "build a#1#23": "build a#1#",
                        "buildset 7": "buildset ",
                        "build linux#3": "",
                    },
                    dict(found),
                )

    def test_upgrade(self) -> None:
        """An older outbox is brought to the present version, step by step and once."""
        for url in self.urls():
            with self.subTest(url):
                self.ask(url)
                with_column = [*self.ask(url, columns)[0], "colour"]
                steps: list[str] = []
                self.upgrade_with(add_column, lambda _, steps=steps: steps.append("second"))
                for _ in range(2):
                    self.assertEqual([with_column, PRESENT + 2], self.ask(url, columns, self.found))
                self.assertEqual(["second"], steps)
                self.upgrade_with()

    def test_new_needs_no_upgrade(self) -> None:
        """A new outbox is made as the present version wants it, not through older ones."""
        self.upgrade_with(fail)
        for url in self.urls():
            self.assertEqual([PRESENT + 1], self.ask(url, self.found))

    def test_failed_upgrade(self) -> None:
        """An upgrade that fails half-way leaves the older version as it was."""
        for url in self.urls():
            before = self.ask(url, columns)
            self.upgrade_with(add_column, fail)
            trouble = self.assertRaises(StorageError, open_database, url)
            self.assertIn("no room", str(trouble))
            self.upgrade_with()
            self.assertEqual([*before, PRESENT], self.ask(url, columns, self.found))

    def test_too_new(self) -> None:
        """A newer outbox is refused, and both versions are named."""
        for url in self.urls():
            self.ask(url, lambda one: one.execute(versions.insert().values(version=7)))
            trouble = self.assertRaises(StorageError, open_database, url)
            self.assertIn("has schema version 7", str(trouble))
            self.assertIn(f"knows up to {PRESENT}: install the newer version again", str(trouble))

    def test_together(self) -> None:
        """Many masters that start at once make one outbox."""
        for url in self.urls():
            with self.subTest(url), ThreadPoolExecutor(8) as pool:
                ready = threading.Barrier(8)

                def open_one(number: int, url: str = url, ready: Any = ready) -> int:
                    ready.wait(30)
                    database = open_database(url)
                    database.close()
                    return number

                self.assertEqual([*range(8)], [*pool.map(open_one, range(8))])


class WorkTests(SynchronousTestCase):
    """How much work the database has, counted in steps of SQLite's machine.

    A statement that reads all of 100,000 rows takes a million of them.
    """

    FEW = 60_000

    @classmethod
    def setUpClass(cls) -> None:
        """Make a backlog of 100,000 lanes once; tests undo what they change."""
        cls.folder = tempfile.mkdtemp(prefix="http-status-push-work-")
        cls.database = open_database(file_url(f"{cls.folder}/outbox.sqlite"))
        cls.database.transact([fill(100_000)])

    @classmethod
    def tearDownClass(cls) -> None:
        """Remove it."""
        cls.database.close()
        shutil.rmtree(cls.folder)

    def steps(self, *operations: Callable[[Connection], Any]) -> list[int]:
        """Count what each of some operations takes; nothing of them remains."""
        counts: list[int] = []

        def count() -> None:
            counts[-1] += 100

        def measured(connection: Connection) -> None:
            raw = connection.connection.dbapi_connection
            raw.set_progress_handler(count, 100)
            for operation in operations:
                counts.append(0)
                operation(connection)
            raw.set_progress_handler(None, 0)
            raise UndoneError

        self.assertRaises(UndoneError, self.database.transact, [measured])
        return counts

    def assert_few(self, counts: Iterable[int]) -> None:
        """Check that nothing was read through."""
        for count in counts:
            self.assertLess(count, self.FEW)

    def test_claim(self) -> None:
        """A claim takes the first of a large backlog without reading it."""
        self.assert_few(self.steps(claim(40)))

    def test_behind_leased(self) -> None:
        """So it does when the first thousand are taken already."""
        self.assert_few(self.steps(claim(1000), claim(40))[1:])

    def test_behind_long_lane(self) -> None:
        """So it does when the first thousand are of one lane, which is free, then taken."""
        self.assert_few(self.steps(one_lane, claim(40), claim(40))[1:])

    def test_held(self) -> None:
        """So it does when the first 99,000 are of groups that are held."""
        held = [f"builder-{number}" for number in range(99)]
        self.assert_few(self.steps(claim(40, held)))

    def test_turns(self) -> None:
        """A failing group's turn finds its place in its backlog without reading it."""
        turns = [Turn("builder-50"), Turn("builder-50", 50500, 50900), Turn("none")]
        newer = Turn("builder-50", 50500, 50999, newer_in="lane-50500")
        claims = [turn(each) for each in (*turns, newer, Turn("builder-50", 1, 99999))]
        self.assert_few(self.steps(*claims))

    def test_retries(self) -> None:
        """Retries are found without reading those that are not due, nor all that are."""
        self.assert_few(self.steps(all_retrying, claim(40), claim(40, now=NOW + 1000))[1:])

    def test_record(self) -> None:
        """An outcome is written without reading the backlog."""
        claims: list[LeasedDelivery] = []

        def take(connection: Connection) -> None:
            claims.extend(REPOSITORY.claim(connection, NOW, LEASE, 1, turns=[Turn("builder-99")]))
            claims.extend(REPOSITORY.claim(connection, NOW, LEASE, 41))

        def record(connection: Connection) -> None:
            REPOSITORY.record(connection, claims[0], Disposition(State.DELIVERED, "accepted"), NOW)
            REPOSITORY.record(
                connection, claims[1], Disposition(State.RETRYING, "refused", NOW), NOW
            )

        def record_all(connection: Connection) -> None:
            accepted = [(claim, Disposition(State.DELIVERED, "accepted")) for claim in claims[2:]]
            self.assertEqual(len(accepted), 40)
            REPOSITORY.record_all(connection, accepted, NOW)

        self.assert_few(self.steps(take, record, record_all))

    def test_release_and_tidy(self) -> None:
        """What is taken is given back, and what ended long ago is found, without reading all."""
        release, tidy = (
            partial(each, now=NOW) for each in (REPOSITORY.release_all, REPOSITORY.tidy)
        )
        self.assert_few(self.steps(claim(40), release, tidy))

    def test_measure(self) -> None:
        """Reading all would be noticed."""
        everything = sa.select(sa.func.count(deliveries.c.outcome))
        self.assertGreater(self.steps(lambda one: one.execute(everything))[0], self.FEW)


class PlanTests(SynchronousTestCase):
    """How PostgreSQL finds what a claim takes."""

    def test_plan(self) -> None:
        """Whether it knows how the rows are spread or not, it reads no table through."""
        server().clear()
        database = open_database(server().url())
        self.addCleanup(database.close)
        plans: list[str] = []
        database.transact([fill(20_000)])
        for prepare in (lambda _: None, analyze):
            database.transact([prepare, lambda one: explain_claims(one, plans)])
        self.assertGreater(len(plans), 8)
        for plan in plans:
            self.assertNotIn("Seq Scan", plan)
            self.assertNotIn("Sort", plan)


class UndoneError(Exception):
    """Ends a transaction that nothing shall remain of."""


def fill(rows: int) -> Callable[[Connection], Any]:
    """Return an operation that puts many deliveries in as many lanes."""
    return lambda connection: connection.execute(FILL, {"rows": rows, "body": b"b" * 300})


def claim(limit: int, held: Collection[str] = (), now: float = NOW) -> Callable[[Connection], Any]:
    """Return an operation that takes deliveries."""
    return lambda connection: REPOSITORY.claim(connection, now, LEASE, limit, held)


def turn(of_group: Turn) -> Callable[[Connection], Any]:
    """Return an operation that takes one of a group whose turn it is."""
    return lambda connection: REPOSITORY.claim(connection, NOW, LEASE, 1, turns=[of_group])


def one_lane(connection: Connection) -> None:
    """Put the first thousand into one lane."""
    first = deliveries.update().where(deliveries.c.sequence <= 1000)
    connection.execute(first.values(lane="long"))


def all_retrying(connection: Connection) -> None:
    """Let all wait for their own next attempt."""
    connection.execute(deliveries.update().values(state="retrying", next_attempt=NOW + 1000))


def analyze(connection: Connection) -> None:
    """Let PostgreSQL look how the rows are spread."""
    connection.execute(sa.text("ANALYZE"))


class ExplainingCursor:
    """A driver's cursor that notes how PostgreSQL goes about each query before it runs it."""

    def __init__(self, cursor: Any, plans: list[str]) -> None:
        self._cursor = cursor
        self._plans = plans

    def execute(self, sql: str, given: Any) -> None:
        """Explain a query, then run it."""
        if sql.startswith(("SELECT http_status_push", "WITH RECURSIVE")):
            self._cursor.execute(f"EXPLAIN {sql}", given)
            self._plans.append("\n".join(row[0] for row in self._cursor.fetchall()))
        self._cursor.execute(sql, given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def explain_claims(connection: Connection, plans: list[str]) -> None:
    """Note how PostgreSQL goes about claims."""
    of_driver = connection.connection

    def explaining(make: Callable[[], Any] = of_driver.cursor) -> ExplainingCursor:
        return ExplainingCursor(make(), plans)

    with mock.patch.object(of_driver, "cursor", explaining):
        claim(40)(connection)
        claim(40, now=NOW + 1)(connection)
        claim(40, ["builder-1"], now=NOW + 1)(connection)
        turn(Turn("builder-2", 2500, 2500))(connection)
