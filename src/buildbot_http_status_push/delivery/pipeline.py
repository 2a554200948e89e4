"""Puts outbox, relay and client together, and keeps them running through reconfigurations.

Must not know Buildbot's life cycle nor how a report is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.delivery.relay import Relay, Send
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import Delivery
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.client import Client
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Render
from buildbot_http_status_push.wire.transport import Connections

TIDY_INTERVAL = 3600.0
GATHER = 0.01
"""Seconds between transactions: one costs more in itself than what it carries out."""


class Carrier(Protocol):
    """Sends as one configuration says."""

    send: Send
    settings: SenderSettings

    def close(self) -> Deferred[None]:
        """Close the connections that are kept alive."""


class Sender:
    """Makes requests as one configuration says, over its own pool of connections."""

    def __init__(self, reactor: Any, settings: SenderSettings, render: Render, log: Logger) -> None:
        self.render = render
        policy = tls.make_policy(settings.verify, settings.cert)
        connections = Connections(reactor, policy, settings.concurrency)
        self._pool = connections.pool
        self.requester = Requester(reactor, connections.agent, render, settings.debug, log)
        self.send: Send = Client(self.requester, settings.timeout).send
        self.settings = settings

    def close(self) -> Deferred[None]:
        """Close the connections that are kept alive, and those under way when they are done."""
        self._pool.cachedConnectionTimeout = 0
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


class Pipeline:
    """Carries deliveries from an outbox to the receiver."""

    def __init__(
        self,
        reactor: Any,
        url: str | None,
        repository: DeliveryRepository,
        sender: Carrier,
        on_lost: Callable[[], None],
        log: Logger,
    ) -> None:
        self._reactor = reactor
        self._sender = sender
        storage = FallbackDatabase(
            url, repository, reactor.seconds, partial(reactor.callFromThread, on_lost), log
        )
        in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        self.outbox = Outbox(reactor, in_thread, storage, repository, GATHER)
        self._operator_log = OperatorLog(reactor, repository.reporter, log)
        self._relay = Relay(
            reactor,
            self.outbox,
            sender.send,
            sender.settings,
            random.random,
            self._operator_log,
        )
        self._tidying = LoopingCall(self._tidy)
        self._tidying.clock = reactor

    def start(self) -> None:
        """Begin to send what the outbox holds."""
        self.outbox.register_reporter().addErrback(self._operator_log.failed, "opening the outbox")
        self._relay.start()
        self._tidying.start(TIDY_INTERVAL).addErrback(
            self._operator_log.failed, "tidying the outbox"
        )

    def put(self, delivery: Delivery, *, again: bool = False) -> Deferred[bool]:
        """Keep a delivery, and have it sent.

        Returns:
            Once it is kept: whether it is new.
        """
        kept = self.outbox.put(delivery, again=again)
        # What it claims is claimed in the same transaction, after this.
        self._relay.added(delivery)
        return kept

    def use(self, sender: Carrier) -> Deferred[None]:
        """Send in another way from now on; attempts under way end as they began."""
        former, self._sender = self._sender, sender
        self._relay.use(sender.send, sender.settings)
        return former.close()

    @property
    def paused(self) -> bool:
        """Whether the receiver does not accept anything."""
        return self._relay.paused

    async def stop(self) -> None:
        """End attempts within a few seconds, and close the outbox and all connections."""
        if self._tidying.running:
            self._tidying.stop()
        for end in (self._relay.stop, self.outbox.close, self._sender.close):
            # A reporter that fails to stop keeps the master's process from ending.
            await end().addErrback(self._operator_log.failed, "stopping")

    async def _tidied(self) -> None:
        if failing := self._relay.failing:
            await self.outbox.give_up(list(failing), self._relay.given_up_before())
        while await self.outbox.tidy():
            pass

    def _tidy(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._tidied())
