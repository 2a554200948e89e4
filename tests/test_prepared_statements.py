"""Statements that go to the driver's own cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, Engine
from support.postgres import DRIVERS, server
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.prepared_statements import Prepared

numbers = sa.Table("numbers", sa.MetaData(), sa.Column("n", sa.Integer), sa.Column("half", sa.Text))

keyed = sa.Table(
    "keyed",
    numbers.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text),
)

INSERT = Prepared(numbers.insert)
AMONG = Prepared(lambda some: sa.select(numbers).where(numbers.c.n.in_(some)).order_by(numbers.c.n))
RENAME = Prepared(
    lambda some: numbers.update().where(numbers.c.n.in_(some)).values(half=sa.bindparam("to_half"))
)
COUNT = Prepared(lambda: sa.select(sa.func.count()).select_from(numbers))
NOBODY = Prepared(lambda: sa.select(numbers).where(numbers.c.n == sa.bindparam("of_n")))

KEYED = Prepared(keyed.insert)
NAME = Prepared(lambda: sa.select(keyed.c.name).where(keyed.c.id == sa.bindparam("of_id")))


def filled(connection: Connection) -> None:
    """Make a table of a hundred numbers."""
    numbers.drop(connection, checkfirst=True)
    numbers.create(connection)
    for n in range(100):
        INSERT.run(connection, {"n": n, "half": f"{n / 2:.1f} %"})


class PreparedTests(SynchronousTestCase):
    """What a statement finds and changes, with every driver."""

    def on_each(self, check: Callable[[Connection], object]) -> None:
        """Check something on SQLite and with each driver of PostgreSQL."""
        for url in ("sqlite://", *(server().url(driver) for driver in DRIVERS)):
            engine: Engine = sa.create_engine(url)
            self.addCleanup(engine.dispose)
            with engine.begin() as connection:
                filled(connection)
                check(connection)

    def test_rows(self) -> None:
        """Rows have their columns as attributes, a scalar is the first column of the first."""

        def check(connection: Connection) -> None:
            row = AMONG.first(connection, {"some": [7]})
            self.assertEqual((row.n, row.half), (7, "3.5 %"))
            self.assertEqual(COUNT.scalar(connection, {}), 100)
            self.assertIsNone(NOBODY.first(connection, {"of_n": 100}))
            self.assertIsNone(NOBODY.scalar(connection, {"of_n": 100}))

        self.on_each(check)

    def test_changes(self) -> None:
        """It tells how many rows it has changed, each once, and none where nothing is named."""

        def check(connection: Connection) -> None:
            self.assertEqual(RENAME.run(connection, {"some": [1, 2, 3], "to_half": "x"}), 3)
            self.assertEqual(RENAME.run(connection, {"some": [], "to_half": "y"}), 0)
            self.assertEqual(AMONG.first(connection, {"some": [3]}).half, "x")

        self.on_each(check)

    def test_keys(self) -> None:
        """An inserted row's number is the one that the database gave it."""

        def check(connection: Connection) -> None:
            keyed.drop(connection, checkfirst=True)
            keyed.create(connection)
            numbers = [KEYED.insert(connection, {"name": name}) for name in "abc"]
            self.assertEqual([NAME.scalar(connection, {"of_id": n}) for n in numbers], [*"abc"])

        self.on_each(check)

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(-5, 104), max_size=70))
    def test_lists(self, some: list[int]) -> None:
        """A list of any length finds what is in it, and nothing else."""
        engine = sa.create_engine("sqlite://")
        with engine.begin() as connection:
            filled(connection)
            found: list[Any] = AMONG.rows(connection, {"some": some})
        engine.dispose()
        self.assertEqual([row.n for row in found], sorted({n for n in some if 0 <= n < 100}))
