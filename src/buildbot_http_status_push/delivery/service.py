"""Delivery through the life of one reporter: which outbox, which sender, and their replacement.

Must not know which events there are nor how a report is made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from buildbot_http_status_push.delivery.metrics_server import MetricsServer
from buildbot_http_status_push.delivery.pipeline import Pipeline, Sender
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import Delivery
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Render, RenderingError, Target

if TYPE_CHECKING:
    from buildbot_http_status_push.delivery.meter import Meter

OUTBOX_RETRY = 30.0


@frozen
class Placement:
    """An outbox's place.

    Args:
        url: The SQLAlchemy URL of its database, None for memory.
        owner: In whose name deliveries are claimed.
        is_shared_by_all: Whether every process that sends for this reporter uses this outbox.
    """

    url: str | None
    owner: str
    is_shared_by_all: bool


Locate: TypeAlias = Callable[[], Awaitable[Placement]]
"""Returns where the outbox is; fails with ``RenderingError`` while that can't be known."""


class DeliveryService:
    """Keeps and sends deliveries as the latest configuration says.

    Args:
        reactor: The reactor.
        name: The reporter's name.
        on_outbox: Called with each new outbox, once it is in use, and with its place.
        on_lost: Called when what the outbox held is gone.
        log: Where lines go.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        on_outbox: Callable[[Outbox, Placement], Awaitable[None]],
        on_lost: Callable[[], None],
        log: Logger,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._on_outbox = on_outbox
        self._on_lost = on_lost
        self._log = log
        self._pipeline: Pipeline | None = None
        self._sender: Sender | None = None
        self._place: Placement | None = None
        self._retry: IDelayedCall | None = None
        self._meter: Meter | None = None
        self._metrics = MetricsServer(reactor, name, self._measured, log)

    @property
    def requester(self) -> Requester:
        """Makes single requests as deliveries are sent.

        Raises:
            RuntimeError: The reporter is not configured yet.
        """
        return self._configured_sender().requester

    def target(self) -> Deferred[Target]:
        """Render where deliveries go, as each attempt does; fails with ``RenderingError``."""
        return self._configured_sender().render()

    async def configure(
        self, settings: SenderSettings, render: Render, locate: Locate, in_memory: Placement
    ) -> None:
        """Send and keep deliveries in another way from now on."""
        self._sender = Sender(self._reactor, settings, render, self._log)
        if settings.metrics is not None:
            self._sender.send = self._opened_meter().measured(self._sender.send)
        if settings.verify is False:
            self._log.warn("{name}: verify=False: certificates are not checked", name=self._name)
        await self._use_outbox(locate, in_memory)
        await self._metrics.listen(settings.metrics)

    def _opened_meter(self) -> Meter:
        """Return what measures; it goes on through reconfigurations."""
        if self._meter is None:
            # An extra, which costs time to import.
            from buildbot_http_status_push.delivery.meter import Meter

            self._meter = Meter(self._name, self._reactor.seconds)
        return self._meter

    async def _measured(self, accept: str) -> tuple[bytes, str]:
        """Return all that was measured, and its content type.

        Raises:
            StorageError: The outbox can't be counted.
        """
        if self._meter is None or self._pipeline is None:
            raise RuntimeError(f"{self._name} is asked for metrics that it does not measure")
        stats = await self._pipeline.outbox.stats()
        return self._meter.document(stats, accept, paused=self._pipeline.paused)

    def found(self) -> None:
        """Count a status that catch-up found without an event."""
        if self._meter is not None:
            self._meter.found()

    def put(self, delivery: Delivery, *, again: bool = False) -> Deferred[bool]:
        """Keep a delivery, and have it sent.

        Returns:
            Once it is kept: whether it is new.
        """
        if self._pipeline is None:
            return succeed(False)
        return self._pipeline.put(delivery, again=again)

    async def stop(self) -> None:
        """End attempts within a few seconds, and close the outbox and all connections."""
        self._cancel_retry()
        await self._metrics.stop()
        if self._pipeline is not None:
            await self._pipeline.stop()

    async def _use_outbox(
        self, locate: Locate, in_memory: Placement, *, logged: bool = False
    ) -> None:
        """Send through the outbox that is configured, or through memory until it is known."""
        self._cancel_retry()
        try:
            found = await locate()
        except RenderingError as trouble:
            found = in_memory
            if not logged:
                self._log_unknown_outbox(trouble)
            self._retry = self._reactor.callLater(
                OUTBOX_RETRY,
                lambda: Deferred.fromCoroutine(self._use_outbox(locate, in_memory, logged=True)),
            )
        if self._pipeline is not None and found == self._place:
            await self._pipeline.use(self._configured_sender())
        else:
            await self._replace_pipeline(found)

    def _log_unknown_outbox(self, trouble: Exception) -> None:
        self._log.error(
            "{name}: outbox: {trouble}. Statuses are kept in memory until it can be used",
            name=self._name,
            trouble=trouble,
        )

    def _cancel_retry(self) -> None:
        if self._retry is not None and self._retry.active():
            self._retry.cancel()

    async def _replace_pipeline(self, found: Placement) -> None:
        former, sender = self._pipeline, self._configured_sender()
        repository = DeliveryRepository(self._name, found.owner)
        self._place = found
        self._pipeline = Pipeline(
            self._reactor, found.url, repository, sender, self._on_lost, self._log
        )
        if former is not None:
            await former.stop()
        self._pipeline.start()
        await self._on_outbox(self._pipeline.outbox, found)

    def _configured_sender(self) -> Sender:
        if self._sender is None:
            raise RuntimeError(f"{self._name} is used before Buildbot has configured it")
        return self._sender
