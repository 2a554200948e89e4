"""Many requests at once: what they cost a master, with a reporter or without one.

They are of builders that the master does not build for, so that nothing else happens. Prints
processor time and what the outbox did as one JSON object for each line that is read.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from buildbot.master import BuildMaster
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from bench.master import Counts, Loader
from bench.plain import STAMP
from bench.running import run, sleep
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.reporter import HttpStatusPush

BUILDERS = 50
"""How many builders one buildset asks."""
SETTLING = 3.0
"""Seconds until the reporter has looked at all there is, and nothing is due any more."""


async def measure(basedir: Path, url: str | None, count: int) -> dict[str, Any]:
    """Run a master, which has many requests at once for each line of the standard input.

    Args:
        basedir: The master's folder, with a database.
        url: Where the reporter sends to, None for no reporter.
        count: How many requests there are; ``BUILDERS`` times a whole number.
    """
    counts = Counts()
    counts.count("transactions", FallbackDatabase, "transact")
    counts.count("deliveries", Outbox, "put")
    counts.count("recorded", Outbox, "record")
    services = [] if url is None else [HttpStatusPush(url, want_requests=True)]
    master = BuildMaster(str(basedir), reactor=reactor, config_loader=Loader(services))
    await master.startService()
    updates = master.data.updates
    builders = [await updates.findBuilderId(f"builder {number}") for number in range(BUILDERS)]
    await sleep(SETTLING)
    while await deferToThread(sys.stdin.readline):
        counts.reset()
        began = time.process_time()
        for _ in range(count // BUILDERS):
            await updates.addBuildset(
                waited_for=False, builderids=builders, sourcestamps=[STAMP], reason="bench"
            )
        while url is not None and counts.calls["recorded"] < count:
            await sleep(0.1)
        processor = time.process_time() - began
        print(json.dumps({"processor": processor, **counts.calls}))
        sys.stdout.flush()
    await master.stopService()
    return {}


def main() -> None:
    """Measure one variant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("basedir", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("--url")
    given = parser.parse_args()
    run(measure(given.basedir, given.url, given.count))


if __name__ == "__main__":
    main()
