"""What 50,000 failures in a board's store cost the pages that show them.

Prints what reading `/failures`, a failure's page and the overview takes, the first time and again,
of the same builds without and with 50,000 failures; fails where one needs more than 10 ms more.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import FAILURE, SUCCESS

NOW = 1_700_000_000
WORDS = [f"{a}{b}" for a in "qwertyuiop" for b in "asdfg"]
MOST = 10.0
"""Milliseconds more than without failures."""


def body(number: int, builder: int, results: int, lines: list[str]) -> bytes:
    """Return a status."""
    excerpt = {
        "step": "test", "log": "stdio", "first_line": 1, "lines": lines, "rule": "gcc",
        "matched": [*range(len(lines))], "cut": False,
    }  # fmt: skip
    stamp = {"branch": "main", "revision": f"r{number // 4}", "project": "p", "codebase": ""}
    return json.dumps(
        {
            "buildid": number,
            "number": number,
            "started_at": NOW + 20 * number,
            "complete_at": NOW + 20 * number + 10,
            "complete": True,
            "results": results,
            "state_string": "finished",
            "url": "https://ci.example.org/#/builders/1/builds/1",
            "builder": {"name": f"builder {builder}"},
            "buildset": {"sourcestamps": [stamp]},
            "excerpts": [excerpt] if lines else [],
        }
    ).encode()


def done(waiting: Deferred[Any]) -> Any:
    """Return what has fired."""
    found: list[Any] = []
    waiting.addBoth(found.append)
    if hasattr(found[0], "raiseException"):
        found[0].raiseException()
    return found[0]


def fill(store: Store, failures: int, *, has_lines: bool) -> None:
    """Store bad builds with fifty reasons each, good ones between."""
    waiting = []
    for number in range(1, failures // 25 + 1):
        is_bad = number % 2 == 0 or number > failures // 25 - 100
        kind = "abcdefghijklmnopqrstuvwxyz"[number % 26] * 3
        lines = [f"file_{kind}.c: error: no member {word}{kind}" for word in WORDS]
        raw = body(
            number,
            number % 50,
            FAILURE if is_bad else SUCCESS,
            lines if is_bad and has_lines else [],
        )
        status = read(raw)
        assert status is not None  # noqa: S101  it is a build's
        waiting.append(store.put(status))
        if len(waiting) == 200:
            [*map(done, waiting)]
            waiting.clear()
    [*map(done, waiting)]


def milliseconds(store: Store, signature: str) -> dict[str, float]:
    """Return what reads cost, the first time and in the median."""
    asked = {
        "overview": lambda: store.builders(Filter()),
        "/failures": lambda: store.failures(Filter(), 40),
        "/failures?builder=": lambda: store.failures(Filter(builder="builder 7"), 40),
        "/failures/SIGNATURE": lambda: store.failed_builds(
            Filter(), signature=signature, limit=10, with_body=True
        ),
        "/api/failures": lambda: store.failed_builds(Filter(), limit=50, with_memory=True),
    }
    found: dict[str, float] = {}
    for name, ask in asked.items():
        times = []
        for _ in range(15):
            begin = perf_counter()
            done(ask())
            times.append(1000 * (perf_counter() - begin))
        found[f"{name} first"], found[name] = times[0], median(times)
    return found


def scans(url: str) -> list[str]:
    """Return the plans of the failures' statements that read a whole table."""
    from buildbot_http_status_push.board.store import memories, remembering
    from buildbot_http_status_push.prepared import Prepared

    engine = sa.create_engine(url)
    bad = []
    with engine.connect() as connection:
        for name, statement in {**vars(memories), **vars(remembering)}.items():
            if isinstance(statement, Prepared) and name != "ANY":
                sql = statement._build()
                if isinstance(sql, sa.sql.Insert):
                    continue
                text = sql.compile(dialect=engine.dialect)
                values = tuple(1 for _ in text.positiontup or ())
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
                bad += [f"{name}: {row[3]}" for row in plan if "SCAN board" in row[3]]
    return bad


def main() -> int:
    """Measure, and say whether it is little enough."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failures", type=int, default=50_000)
    count = parser.parse_args().failures
    with tempfile.TemporaryDirectory() as folder:
        figures = []
        for has_lines in (False, True):
            url = file_url(Path(folder) / f"{has_lines}.sqlite")
            clock = Clock()
            clock.advance(NOW + 20 * count)
            store = Store(clock, maybeDeferred, url)
            done(Deferred.fromCoroutine(store.open()))
            fill(store, count, has_lines=has_lines)
            done(store.builders(Filter()))
            known = done(store.failures(Filter(), 1))
            figures.append(milliseconds(store, known[0].reason.signature if known else ""))
            done(Deferred.fromCoroutine(store.close()))
        without, with_them = figures
        for name, took in with_them.items():
            print(f"{name:30} {without[name]:8.2f} ms {took:8.2f} ms")
        found = scans(url)
        print("scans:", found or "none")
    return int(bool(found) or any(with_them[name] - without[name] > MOST for name in without))


if __name__ == "__main__":
    sys.exit(main())
