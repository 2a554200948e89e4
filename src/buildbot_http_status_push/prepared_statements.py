"""Statements that the driver's own cursor carries out: SQLAlchemy words them, once.

What a database does for one of them takes less time than SQLAlchemy's own execution of it, and a
status needs about ten. Blocking; knows no table of its own.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from attrs import define, field, frozen
from sqlalchemy.engine import Connection, Dialect

Given: TypeAlias = Mapping[str, Any]
"""Values of parameters, by their names; lists for those that stand for several."""

T = TypeVar("T")

PORTION = 250
"""How many values of a list one statement has."""


@frozen
class _Text:
    """A statement as a driver takes it.

    Args:
        sql: The statement.
        constants: The values that are part of it, and None for those that will be given.
        order: The names of its parameters, in order; None for a driver that takes names.
    """

    sql: str
    constants: Given
    order: tuple[str, ...] | None


@define(eq=False)
class Prepared:
    """A statement that is run again and again.

    Args:
        build: Makes the statement, of SQLAlchemy's parts. What has several values comes as an
            argument of the list's name: a list of parameters, one for each value.
    """

    _build: Callable[..., Any]
    _texts: dict[Any, _Text] = field(factory=dict, init=False)
    _row: Callable[[Iterable[Any]], Any] | None = field(default=None, init=False)

    def rows(self, connection: Connection, given: Given) -> list[Any]:
        """Return what the statement finds, with the columns as attributes."""
        with closing(self._executed(connection, given)) as cursor:
            if self._row is None:
                names = [each[0] for each in cursor.description]
                row: Any = namedtuple("Row", names)  # type: ignore[misc]  # a driver's names
                self._row = row._make
            return list(map(self._row, cursor.fetchall()))

    def tuples(self, connection: Connection, given: Given) -> list[Any]:
        """Return what the statement finds, as the driver returns it: cheaper for many rows."""
        with closing(self._executed(connection, given)) as cursor:
            return list(cursor.fetchall())

    def first(self, connection: Connection, given: Given) -> Any:
        """Return the first row of ``rows``, None where there is none."""
        rows = self.rows(connection, given)
        return rows[0] if rows else None

    def scalar(self, connection: Connection, given: Given) -> Any:
        """Return the first column of the first row, None where there is none."""
        row = self.first(connection, given)
        return None if row is None else row[0]

    def run(self, connection: Connection, given: Given) -> int:
        """Change what the statement changes, and return how many rows that are."""
        with closing(self._executed(connection, given)) as cursor:
            return int(cursor.rowcount)

    def insert(self, connection: Connection, given: Given) -> int:
        """Insert a row, and return the number that the database gave it."""
        with closing(self._executed(connection, given)) as cursor:
            # PostgreSQL's statement returns the number, SQLite's cursor knows it.
            return int(cursor.fetchone()[0] if cursor.description else cursor.lastrowid)

    def _executed(self, connection: Connection, given: Given) -> Any:
        lists = {name: _filled_up(each) for name, each in given.items() if isinstance(each, list)}
        dialect = connection.dialect
        shape = (dialect.name, dialect.driver, *given, *map(len, lists.values()))
        text = self._texts.get(shape)
        if text is None:
            text = self._texts[shape] = self._worded(dialect, given, lists)
        values = {**text.constants, **given}
        for name, filled in lists.items():
            values |= {f"{name}_{place}": each for place, each in enumerate(filled)}
        order = text.order
        cursor = connection.connection.cursor()
        cursor.execute(text.sql, values if order is None else tuple(map(values.__getitem__, order)))
        return cursor

    def _worded(self, dialect: Dialect, given: Given, lists: Mapping[str, list[Any]]) -> _Text:
        named: dict[str, list[Any]] = {
            name: [sa.bindparam(f"{name}_{place}") for place in range(len(filled))]
            for name, filled in lists.items()
        }
        statement = self._build(**named)
        columns = list(given) if isinstance(statement, sa.sql.Insert) else None
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        order = tuple(compiled.positiontup) if compiled.positional else None
        return _Text(compiled.string, compiled.params, order)


def _filled_up(values: list[Any]) -> list[Any]:
    """Repeat the last value until there is a power of two: few statements serve all sizes.

    Nothing is among no values, as nothing is equal to NULL.
    """
    values = values or [None]
    size = 1 << (len(values) - 1).bit_length()
    return values + values[-1:] * (size - len(values))


def portions(values: Sequence[T]) -> Iterator[list[T]]:
    """Yield a list's values, as many at once as one statement has."""
    for first in range(0, len(values), PORTION):
        yield [*values[first : first + PORTION]]
