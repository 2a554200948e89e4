"""A master with a long past: how long its reporter takes until the first catch-up is done."""

from __future__ import annotations

import argparse
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from buildbot.master import BuildMaster
from twisted.internet import reactor

from bench.master import Loader
from bench.running import run, sleep
from buildbot_http_status_push.configuration.placement import OUTBOX_FILE
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.outbox.schema import open_database
from buildbot_http_status_push.report.catchup import Catchup
from buildbot_http_status_push.reporter import HttpStatusPush

NOWHERE = "http://127.0.0.1:1/"

PAST = """
INSERT INTO builders (id, name, name_hash) VALUES (1, 'runtests', 'x');
INSERT INTO masters (id, name, name_hash, active, last_active) VALUES (100, 'old', 'x', 0, 0);
INSERT INTO buildsets (id, submitted_at, complete, complete_at) VALUES (1, 1, 1, 1);
INSERT INTO buildrequests (id, buildsetid, builderid, complete, submitted_at, complete_at)
    VALUES (1, 1, 1, 1, 1, 1);
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {builds})
INSERT INTO builds (id, number, builderid, buildrequestid, masterid, started_at, complete_at,
    locks_duration_s, state_string, results) SELECT n, n, 1, 1, 100, n, n, 0, '', 0 FROM counted;
"""

DELIVERED = """
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {rows})
INSERT INTO http_status_push_deliveries (reporter, id, lane, subject, event, title, build,
    content_type, state, created_at, updated_at, attempts, lease_until)
    SELECT 'HttpStatusPush', 'old_' || n, 'lane ' || n, 'build ' || n, 'builds.finished',
    'build runtests#' || n, n, 'application/json', 'delivered', {now}, {now}, 1, 0 FROM counted;
"""


def fill(folder: Path, builds: int, rows: int) -> None:
    """Give a master's folder a past."""
    with closing(sqlite3.connect(folder / "state.sqlite")) as database:
        database.executescript(PAST.format(builds=builds))
    outbox = folder / OUTBOX_FILE
    open_database(file_url(outbox)).close()
    with closing(sqlite3.connect(outbox)) as database:
        database.executescript(DELIVERED.format(rows=rows, now=time.time()))


async def measure(folder: Path) -> dict[str, Any]:
    """Start a master, and return how long preparing and the first scan took, in seconds."""
    took: dict[str, float] = {}
    for name in ("prepare", "scan"):
        _time(name, took)
    loader = Loader([HttpStatusPush(NOWHERE)])
    master = BuildMaster(str(folder), reactor=reactor, config_loader=loader)
    await master.startService()
    while "scan" not in took:
        await sleep(0.01)
    await master.stopService()
    return {"seconds": sum(took.values())}


def _time(name: str, took: dict[str, float]) -> None:
    original = getattr(Catchup, name)

    async def timed(self: Any) -> None:
        began = time.monotonic()
        await original(self)
        took.setdefault(name, time.monotonic() - began)

    setattr(Catchup, name, timed)


def main() -> None:
    """Measure one start."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--builds", type=int, help="first give it so many builds")
    parser.add_argument("--rows", type=int, help="and its outbox so many delivered statuses")
    given = parser.parse_args()
    if given.builds is not None:
        fill(given.folder, given.builds, given.rows)
    run(measure(given.folder))


if __name__ == "__main__":
    main()
