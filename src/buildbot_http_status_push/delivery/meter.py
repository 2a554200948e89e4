"""What a reporter measures of its deliveries, in Prometheus's formats. An extra.

Needs ``prometheus_client``; must not know who asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from twisted.internet.defer import Deferred

from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused
from buildbot_http_status_push.outbox.inspection import Stats
from buildbot_http_status_push.outbox.openmetrics import NAME, Counts

Send: TypeAlias = Callable[[Delivery], "Deferred[Outcome]"]

TIMES = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
"""Seconds."""


class Meter:
    """Counts a reporter's attempts."""

    def __init__(self, reporter: str, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        registry = self._registry = CollectorRegistry()
        self._attempts = Counter(
            f"{NAME}attempts",
            "Attempts, by what came of them and the HTTP status of the answer.",
            ("reporter", "outcome", "code"),
            registry=registry,
        )
        label = ("reporter",)
        self._acceptance = Histogram(
            f"{NAME}acceptance_seconds",
            "From an event until the receiver had accepted its status.",
            label,
            buckets=TIMES,
            registry=registry,
        ).labels(reporter)
        self._paused = Gauge(
            f"{NAME}paused",
            "Whether the receiver accepts nothing (1).",
            label,
            registry=registry,
        ).labels(reporter)
        self._found = Counter(
            f"{NAME}catchup_found",
            "Statuses without an event, found in the master's database.",
            label,
            registry=registry,
        ).labels(reporter)
        self._reporter = reporter
        self._counts = Counts([])
        registry.register(self._counts)

    def measured(self, send: Send) -> Send:
        """Return what sends, and is counted."""

        def send_measured(delivery: Delivery) -> Deferred[Outcome]:
            return send(delivery).addCallback(self._ended, delivery)

        return send_measured

    def _ended(self, outcome: Outcome, delivery: Delivery) -> Outcome:
        code = str(outcome.status) if isinstance(outcome, Accepted | Refused) else ""
        self._attempts.labels(self._reporter, type(outcome).__name__.lower(), code).inc()
        if isinstance(outcome, Accepted) and delivery.created_at is not None:
            self._acceptance.observe(max(0.0, self._seconds() - delivery.created_at))
        return outcome

    def found(self) -> None:
        """Count a status that catch-up has found."""
        self._found.inc()

    def document(self, stats: Stats, accept: str, *, paused: bool) -> tuple[bytes, str]:
        """Return all that was measured.

        Args:
            stats: What the outbox holds of this reporter.
            accept: An ``Accept`` header: Prometheus asks for OpenMetrics, other tools mostly for
                anything, and read the older text format.
            paused: Whether the receiver accepts nothing.

        Returns:
            The document and its content type.
        """
        self._paused.set(paused)
        self._counts.each = [stats]
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
