"""Measures the board where ``prometheus_client`` is installed, and says so where it is not."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from buildbot_http_status_push.board.http.documents import Document, RouteRequest, sentence
from buildbot_http_status_push.board.live.browsers import Browsers
from buildbot_http_status_push.board.store.store import Store

if TYPE_CHECKING:
    from buildbot_http_status_push.board.programs.metrics import Metrics

MISSING = "/metrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"


class Unmeasured:
    """Stands where there are no metrics."""

    def answered(self, code: int) -> None:
        """Count nothing."""

    def observe_lag(self, lag: float) -> None:
        """Count nothing."""

    async def document(self, _: RouteRequest) -> Document:
        """Say what is missing."""
        return sentence(HTTPStatus.NOT_IMPLEMENTED, MISSING)


def open_metrics(store: Store, browsers: Browsers[Any]) -> Metrics | Unmeasured:
    """Begin to measure.

    Args:
        store: The board's store.
        browsers: Its browsers.
    """
    try:
        from buildbot_http_status_push.board.programs.metrics import Metrics
    except ImportError:
        return Unmeasured()
    return Metrics(store, browsers)
