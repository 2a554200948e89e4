"""Sends reports of 2 MiB, one after the other, and says how long the reactor stood still for each.

Each is encoded, kept, claimed, signed and posted. Half of it is a log, the dearest part to send;
half are properties, the dearest to encode.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from bench.bodies import delivery
from bench.drain import Lag
from bench.outboxes import make_pipeline, watch
from bench.running import run, sleep
from buildbot_http_status_push.delivery.pipeline import Pipeline
from buildbot_http_status_push.report.encoding import to_json_cooperatively
from buildbot_http_status_push.time_slices import CooperativeScheduler

HALF = 1024 * 1024
SETTLING = 0.2
SECRET = "whsec_" + "MfKQ" * 8


def report() -> dict[str, Any]:
    """Return a build of 2 MiB, half of it in one text, half in small ones."""
    text = "o[12:00:01] compiling the same file again and again\n"
    properties = {f"property {each}": [f"value {each}", "bench"] for each in range(HALF // 43)}
    return {"log": text * (HALF // len(text)), "properties": properties}


class Large:
    """Sends one report after the other.

    Args:
        pipeline: What it is sent through.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._scheduler = CooperativeScheduler(reactor)
        self._ended: Deferred[None] = Deferred()
        watch(pipeline, lambda: self._ended.callback(None))

    async def send(self, number: int) -> float:
        """Send a report, and return the seconds that the reactor stood still at most."""
        self._ended = Deferred()
        made = report()
        gc.collect()  # what is measured is this report, not what was before
        lag = Lag()
        lag.start()
        body = await to_json_cooperatively(made, self._scheduler.run)
        await self._pipeline.put(evolve(delivery(number), body=body))
        await self._ended
        return lag.stop()[1]


async def measure(url: str, count: int) -> dict[str, Any]:
    """Send some reports.

    Args:
        url: Where to POST.
        count: How many.

    Returns:
        The median and the longest of the seconds that the reactor stood still for one of them.
    """
    with tempfile.TemporaryDirectory(prefix="http-status-push-bench-") as folder:
        pipeline = make_pipeline(Path(folder) / "outbox.sqlite", url, signing_secret=SECRET)
        pipeline.start()
        large = Large(pipeline)
        await large.send(0)  # the first one imports and connects
        longest = []
        for number in range(1, count + 1):
            await sleep(SETTLING)
            longest.append(await large.send(number))
        await pipeline.stop()
    return {"median": median(longest), "longest": max(longest)}


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    run(measure(given.url, given.count))


if __name__ == "__main__":
    main()
