"""What the outbox holds, in the OpenMetrics format. An extra: needs ``prometheus_client``.

Pure: knows the values that ``inspection`` returns, no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.inspection import Stats

NAME = "http_status_push_"


def openmetrics(each: Sequence[Stats]) -> str:
    """Write the counts of all reporters."""
    registry = CollectorRegistry()
    registry.register(Counts(each))
    written: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # not typed
    return written.decode()


@define(eq=False)
class Counts(Collector):
    """Yields counts as they are asked for.

    Attributes:
        each: The reporters' counts.
    """

    each: Sequence[Stats]

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        produced = CounterMetricFamily(
            f"{NAME}produced", "Deliveries that were ever put into the outbox.", labels=["reporter"]
        )
        states = GaugeMetricFamily(
            f"{NAME}deliveries", "Deliveries by state.", labels=["reporter", "state"]
        )
        oldest = GaugeMetricFamily(
            f"{NAME}oldest_waiting_timestamp_seconds",
            "When the oldest delivery that is still to be sent entered the outbox.",
            labels=["reporter"],
        )
        for stats in self.each:
            produced.add_metric([stats.reporter], stats.produced)
            for state in State:
                states.add_metric([stats.reporter, state.value], stats.states[state])
            if stats.oldest_waiting is not None:
                oldest.add_metric([stats.reporter], stats.oldest_waiting)
        return produced, states, oldest
