"""``/metrics``: how the board does, in the OpenMetrics format, for Prometheus. An extra.

Needs ``prometheus_client``, imported by nobody else; must not know requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from buildbot_http_status_push.board.cluster.queue import Queue
from buildbot_http_status_push.board.cluster.quiet import Quiet
from buildbot_http_status_push.board.http.documents import Document, RouteRequest
from buildbot_http_status_push.board.live.browsers import Browsers
from buildbot_http_status_push.board.model import Filter, WorkerDetail
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import StorageError
from buildbot_http_status_push.results import RESULTS, result_word

RUNNING = "running"
OUTCOMES = {200: "taken", 503: "failed"}
"""What became of a status by its answer; all others were refused."""
LAGS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds."""


class Metrics:
    """What is measured."""

    def __init__(self, store: Store, watched: Browsers[Any]) -> None:
        self._store = store
        self._watched = watched
        registry = self._registry = CollectorRegistry()
        name = "buildbot_board_"
        self._statuses = Counter(
            f"{name}statuses",
            "Statuses that came, by what became of them and the HTTP status of the answer.",
            ("outcome", "code"),
            registry=registry,
        )
        self._lag = Histogram(
            f"{name}lag_seconds",
            "From the acceptance of a status until it was sent to browsers.",
            buckets=LAGS,
            registry=registry,
        )
        self._browsers = Gauge(f"{name}browsers", "Browsers that watch.", registry=registry)
        self._behind = Gauge(
            f"{name}browsers_behind", "Browsers that take nothing at present.", registry=registry
        )
        self._storing = Gauge(
            f"{name}storing", "Whether statuses can be written: 1 or 0.", registry=registry
        )
        self._builds = Gauge(
            f"{name}builds", "Builds in the store, by result.", ("result",), registry=registry
        )
        self._failing = Gauge(
            f"{name}failing_tests",
            "Tests that failed in a builder's last build with test results.",
            ("master", "builder"),
            registry=registry,
        )
        self._flaky = Gauge(
            f"{name}flaky_tests",
            "Tests that lately failed and passed on a builder with nothing changed.",
            ("master", "builder"),
            registry=registry,
        )
        self._waiting = Gauge(
            f"{name}waiting_requests",
            "Build requests that wait.",
            ("master", "builder"),
            registry=registry,
        )
        self._away = Gauge(
            f"{name}workers_away",
            "Workers that are not connected, and that nothing starts when they are needed.",
            ("master",),
            registry=registry,
        )
        self._quiet = Gauge(
            f"{name}quiet_builder_timestamp_seconds",
            "When the last build of a builder began that has gone quiet.",
            ("master", "builder"),
            registry=registry,
        )
        self._heard = Gauge(
            f"{name}master_heard_timestamp_seconds",
            "When the last status of a master came.",
            ("master",),
            registry=registry,
        )

    def answered(self, code: int) -> None:
        """Count a status."""
        # The text of an HTTPStatus is its name on Python 3.10.
        self._statuses.labels(OUTCOMES.get(code, "refused"), str(int(code))).inc()

    def observe_lag(self, lag: float) -> None:
        """Count a change that was sent to browsers some seconds after it was accepted."""
        self._lag.observe(max(lag, 0.0))

    async def document(self, _: RouteRequest) -> Document:
        """Make the document; without what is read from the database where that fails."""
        try:
            masters, builds = await self._store.masters(), await self._store.results()
            builders = await self._store.builders(Filter())
            queue, quiet = await self._store.queue(), await self._store.quiet()
            workers = await self._store.workers(None, 0)
        except StorageError:
            for gauge in (self._waiting, self._away, self._quiet):
                gauge.clear()
            self._failing.clear()
            self._flaky.clear()
            self._heard.clear()
            self._builds.clear()
            return self._document()
        # Nothing below waits: two that ask at once do not mix.
        self._heard.clear()
        for master in masters:
            self._heard.labels(master.name).set(master.heard_at)
        self._set_cluster(queue, quiet, workers)
        self._failing.clear()
        self._flaky.clear()
        for each in builders:
            if each.tests is not None:
                self._failing.labels(each.master.name, each.name).set(each.tests.count)
                self._flaky.labels(each.master.name, each.name).set(each.tests.flaky)
        for code in (None, *range(len(RESULTS))):
            word = RUNNING if code is None else result_word(code)
            self._builds.labels(word).set(builds.get(code, 0))
        return self._document()

    def _set_cluster(
        self, queue: Queue, quiet: Sequence[Quiet], workers: Sequence[WorkerDetail]
    ) -> None:
        for gauge in (self._waiting, self._away, self._quiet):
            gauge.clear()
        for waits in queue.waiting:
            at = waits.builder
            self._waiting.labels(at.master.name, at.name).set(waits.count)
        for found in workers:
            away = self._away.labels(found.worker.master.name)
            away.inc(int(found.worker.is_away))
        for silent in quiet:
            at = silent.builder
            self._quiet.labels(at.master.name, at.name).set(silent.since or 0)

    def _document(self) -> Document:
        self._storing.set(self._store.is_storing)
        self._browsers.set(len(self._watched))
        self._behind.set(self._watched.behind)
        body: bytes = generate_latest(self._registry)  # type: ignore[no-untyped-call]  # not typed
        return Document(body=body, content_type=CONTENT_TYPE_LATEST, caching="no-store")
