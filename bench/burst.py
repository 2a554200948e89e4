"""Many builds that begin at once: how long it takes until each begin stands in the outbox.

What a kill finds in between is told by nobody, until catch-up looks.
"""

from __future__ import annotations

import argparse
from statistics import median, quantiles
from typing import Any

from buildbot.master import BuildMaster
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from bench.master import Events, Loader, MadeBuilds
from bench.running import run, sleep
from buildbot_http_status_push.model import Delivery
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.reporter import HttpStatusPush

AT_ONCE = 16


class Commits:
    """Notes when the outbox has committed what was told of each build."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        put = Outbox.put

        def noting(outbox: Outbox, delivery: Delivery, **more: bool) -> Deferred[bool]:
            return put(outbox, delivery, **more).addCallback(self._note, delivery)

        Outbox.put = noting  # type: ignore[method-assign]  # in this process only

    def _note(self, is_new: bool, delivery: Delivery) -> bool:
        self.times[delivery.build or 0] = reactor.seconds()
        return is_new


async def measure(basedir: str, url: str, bursts: int) -> dict[str, Any]:
    """Return the median and the 99th percentile of the windows, in seconds."""
    commits = Commits()
    master = BuildMaster(basedir, reactor=reactor, config_loader=Loader([HttpStatusPush(url)]))
    await master.startService()
    builds, events = MadeBuilds(master), Events(master)
    windows: list[float] = []
    for _ in range(bursts):
        requests = await builds.prepare(AT_ONCE)
        events.events.clear()
        await gatherResults([Deferred.fromCoroutine(builds.begin(each)) for each in requests])
        while not all(build in commits.times for build, _, _ in events.events):
            await sleep(0.01)
        windows += [commits.times[build] - at for build, _, at in events.events]
    await master.stopService()
    return {"median": median(windows), "late": quantiles(windows, n=100)[98]}


def main() -> None:
    """Measure some bursts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("basedir")
    parser.add_argument("url")
    parser.add_argument("bursts", type=int)
    given = parser.parse_args()
    run(measure(given.basedir, given.url, given.bursts))


if __name__ == "__main__":
    main()
