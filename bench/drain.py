"""Sends a backlog, through the outbox or with plain treq, and says how long it took.

With ``--lag`` a call every millisecond tells how late the reactor is, idle and while it sends.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from math import ceil
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.web.client import HTTPConnectionPool
from twisted.web.http_headers import Headers

from bench.bodies import delivery
from bench.outboxes import fill, make_pipeline, watch
from bench.running import run, sleep

CONCURRENCY = 10
TICK = 0.001
IDLE = 2.0


class Lag:
    """Notes how late a call is that is due every millisecond; what was missed is left out."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._due = 0.0
        self._call = LoopingCall(self._tick)

    def start(self) -> None:
        """Begin."""
        self._due = reactor.seconds()
        self._call.start(TICK)

    def stop(self) -> tuple[float, float]:
        """End, and return the 99th percentile and the longest in seconds."""
        self._call.stop()
        self.late.sort()
        return self.late[int(len(self.late) * 0.99)], self.late[-1]

    def _tick(self) -> None:
        now = reactor.seconds()
        self.late.append(now - self._due)
        self._due += TICK * max(1, ceil((now - self._due) / TICK))


class ThroughOutbox:
    """Sends a backlog as the reporter does: claimed, posted, recorded.

    Args:
        url: Where to POST.
        count: How many deliveries.
        folder: Where the outbox is made.
    """

    def __init__(self, url: str, count: int, folder: Path) -> None:
        path = folder / "outbox.sqlite"
        fill(path, count)
        self._pipeline = make_pipeline(path, url, concurrency=CONCURRENCY)
        self._left = count
        self._done: Deferred[None] = Deferred()
        watch(self._pipeline, self._delivered)

    def _delivered(self) -> None:
        self._left -= 1
        if not self._left:
            self._done.callback(None)

    async def send(self) -> None:
        """Send all of it."""
        self._pipeline.start()
        await self._done

    async def close(self) -> None:
        """Close what is open."""
        await self._pipeline.stop()


class WithTreq:
    """Sends the same bytes from memory with treq, and keeps nothing.

    Args:
        url: Where to POST.
        count: How many deliveries.
        folder: Not used.
    """

    def __init__(self, url: str, count: int, folder: Path) -> None:
        self._url = url
        self._left = [delivery(number) for number in range(count)]
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = CONCURRENCY

    async def send(self) -> None:
        """Send all of it."""
        await gatherResults([ensureDeferred(self._work()) for _ in range(CONCURRENCY)])

    async def _work(self) -> None:
        while self._left:
            each = self._left.pop()
            headers = Headers({"Content-Type": [each.content_type], "webhook-id": [each.id]})
            response = await treq.post(self._url, data=each.body, headers=headers, pool=self._pool)
            await treq.content(response)

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.closeCachedConnections()


WAYS: dict[str, type[ThroughOutbox] | type[WithTreq]] = {"outbox": ThroughOutbox, "treq": WithTreq}


async def measure(way: str, url: str, count: int, *, with_lag: bool) -> dict[str, Any]:
    """Send a backlog in one of the ways.

    Returns:
        The seconds it took, the processor's seconds, and where wanted the 99th percentiles of
        the lag in seconds: idle and while sending.
    """
    with tempfile.TemporaryDirectory(prefix="http-status-push-bench-") as folder:
        sender = WAYS[way](url, count, Path(folder))
        gc.collect()  # what the imports left behind is no part of the measurement
        found = await (_lag(sender) if with_lag else _time(sender))
        await sender.close()
    return found


async def _time(sender: ThroughOutbox | WithTreq) -> dict[str, float]:
    began, processor = time.monotonic(), time.process_time()
    await sender.send()
    return {
        "seconds": time.monotonic() - began,
        "processor": time.process_time() - processor,
    }


async def _lag(sender: ThroughOutbox | WithTreq) -> dict[str, float]:
    idle, busy = Lag(), Lag()
    idle.start()
    await sleep(IDLE)
    found = {"idle": idle.stop()[0]}
    busy.start()
    await sender.send()
    found["busy"], found["longest"] = busy.stop()
    return found


def main() -> None:
    """Measure one way, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--lag", action="store_true")
    given = parser.parse_args()
    run(measure(given.way, given.url, given.count, with_lag=given.lag))


if __name__ == "__main__":
    main()
