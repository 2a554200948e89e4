"""Carries what is kept for each destination to it, through the project's own sender."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from buildbot_http_status_push.board.notify.composing import MAIL_KIND
from buildbot_http_status_push.board.notify.destinations import Destination, render
from buildbot_http_status_push.board.notify.reports import reporter_of
from buildbot_http_status_push.delivery.pipeline import Carrier, Pipeline, Sender
from buildbot_http_status_push.delivery.relay import Send
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.mail import MailClient

TIMEOUT = 30.0


class MailSender:
    """Sends mails as one destination says.

    Args:
        reactor: The network and the clock.
        settings: How to send.
        destination: The destination.
        in_thread: Runs a function in another thread.
    """

    def __init__(
        self,
        reactor: Any,
        settings: SenderSettings,
        destination: Destination,
        in_thread: Callable[..., Deferred[Any]],
    ) -> None:
        policy = tls.make_policy(settings.verify, settings.cert)
        target = render(destination.mail_target, in_thread)
        self.settings = settings
        self.send: Send = MailClient(reactor, policy, target, settings.timeout).send

    def close(self) -> Deferred[None]:
        """Do nothing: each mail has a connection of its own."""
        return succeed(None)


def sender_of(
    reactor: Any, destination: Destination, in_thread: Callable[..., Deferred[Any]], log: Logger
) -> Carrier:
    """Return what sends to a destination.

    Args:
        reactor: The network and the clock.
        destination: The destination.
        in_thread: Runs a function in another thread.
        log: Where lines go.
    """
    # One at a time: a chat shows messages in the order in which they arrive.
    settings = SenderSettings(concurrency=1, timeout=TIMEOUT, verify=destination.verify)
    if destination.kind == MAIL_KIND:
        return MailSender(reactor, settings, destination, in_thread)
    return Sender(reactor, settings, render(destination.target, in_thread), log)


@define(eq=False)
class Senders:
    """The destinations' senders, each over the rows of its own in one outbox.

    Args:
        reactor: The network and the clock.
        url: The outbox's database.
        owner: In whose name deliveries are claimed.
        in_thread: Runs a function in another thread.
        log: Where lines go.
    """

    _reactor: Any
    _url: str
    _owner: str
    _in_thread: Callable[..., Deferred[Any]]
    _log: Logger
    _destinations: dict[str, Destination] = field(factory=dict, init=False)
    _pipelines: dict[str, Pipeline] = field(factory=dict, init=False)

    async def use(self, destinations: dict[str, Destination]) -> None:
        """Send to these from now on; what others have pending waits until they are back."""
        for name in [each for each in self._pipelines if each not in destinations]:
            del self._destinations[name]
            await self._pipelines.pop(name).stop()
        for name, destination in destinations.items():
            if self._destinations.get(name) == destination:
                continue
            sender = sender_of(self._reactor, destination, self._in_thread, self._log)
            if name in self._pipelines:
                await self._pipelines[name].use(sender)
            else:
                self._pipelines[name] = self._started(name, sender)
            self._destinations[name] = destination

    def _started(self, name: str, sender: Carrier) -> Pipeline:
        repository = DeliveryRepository(reporter_of(name), self._owner)
        lost = partial(self._log.error, "notify: pending messages for {name} are lost", name=name)
        pipeline = Pipeline(self._reactor, self._url, repository, sender, lost, self._log)
        pipeline.start()
        return pipeline

    async def stop(self) -> None:
        """End attempts within a few seconds, and close all connections."""
        for each in self._pipelines.values():
            await each.stop()
        self._pipelines.clear()
        self._destinations.clear()
