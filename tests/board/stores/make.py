"""Write what a store of schema version 1 holds, for the test of its upgrade.

Run once, by the last version that made such stores, 9b2229d::

    git worktree add /tmp/old 9b2229d
    PYTHONPATH=/tmp/old/src:/tmp/old/tests python tests/board/stores/make.py > version-1.json
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from support.statuses import NOW, a_status

from buildbot_http_status_push.board import tables, writing  # type: ignore[attr-defined]  # then

DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": postgresql.dialect()}


def ddl(dialect: Any) -> list[str]:
    """Return the statements that make the tables."""
    made = tables.metadata.sorted_tables
    creations = [CreateTable(table) for table in made]
    indexes = [CreateIndex(index) for table in made for index in sorted(table.indexes, key=str)]
    return [str(each.compile(dialect=dialect)).strip() for each in (*creations, *indexes)]


def statuses() -> list[Any]:
    """Return what such a store was sent."""
    stamps = [
        {"branch": "main", "revision": "app1", "project": "app", "codebase": "app", "ssid": 7},
        {"branch": "main", "revision": "lib1", "project": "lib", "codebase": "lib", "ssid": 8},
    ]
    change = {
        "changeid": 5, "author": "Ada <ada@example.org>", "comments": "Mend it\nmore",
        "revision": "bad1", "when_timestamp": NOW,
    }  # fmt: skip
    pull = [{"branch": "refs/pull/3/merge", "revision": "p", "project": "", "codebase": ""}]
    steps = [{"name": "compile", "results": 0}, {"name": "test", "results": 2}]
    return [
        a_status(1, 0, revision="good1"),
        a_status(2, 2, revision="bad1", changes=[change], steps=steps),
        a_status(3, 4, revision="bad1"),
        a_status(4, 0, buildset={"sourcestamps": pull}),
        a_status(5, 0, builder="both", buildset={"sourcestamps": stamps}),
        a_status(6, 0, builder="both", buildset={"sourcestamps": stamps[::-1]}),
        a_status(7, None, revision="next"),
    ]


def main() -> None:
    """Write the store."""
    database = tables.open_database("sqlite://")
    for number, status in enumerate(statuses()):
        arrival = writing.Arrival(status, NOW + number)
        database.transact([lambda one, some=arrival: writing.write(one, [some], {})])
    [rows] = database.transact([contents])
    definitions = {name: ddl(dialect) for name, dialect in DIALECTS.items()}
    json.dump({"ddl": definitions, "rows": rows}, sys.stdout, indent=1)
    print()


def contents(connection: Any) -> dict[str, list[dict[str, Any]]]:
    """Return all rows by table; bytes as Base64 under ``base64``."""
    return {
        table.name: [
            {name: _plain(value) for name, value in row._mapping.items()}
            for row in connection.execute(sa.select(table))
        ]
        for table in tables.metadata.sorted_tables
    }


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


if __name__ == "__main__":
    main()
