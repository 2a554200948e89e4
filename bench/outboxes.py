"""An outbox with its relay and client, as a reporter puts them together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from bench.bodies import delivery
from buildbot_http_status_push.configuration import options
from buildbot_http_status_push.configuration.rendering import Renderer
from buildbot_http_status_push.database import Operation, file_url
from buildbot_http_status_push.delivery.pipeline import Pipeline, Sender
from buildbot_http_status_push.model import Disposition, LeasedDelivery, State
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.outbox.schema import open_database

REPOSITORY = DeliveryRepository("HttpStatusPush", "bench")
AT_ONCE = 500


def fill(path: Path, count: int) -> None:
    """Put deliveries into a new outbox, ready to be sent."""
    database = open_database(file_url(path))
    puts = _puts(count)
    while batch := list(islice(puts, AT_ONCE)):
        database.transact(batch)
    database.close()


def _puts(count: int) -> Iterator[Operation]:
    for number in range(count):
        yield partial(REPOSITORY.put, delivery=delivery(number), now=reactor.seconds())


def watch(pipeline: Pipeline, on_delivered: Callable[[], None]) -> None:
    """Have a function called for each delivery that is recorded as delivered."""
    record = pipeline.outbox.record

    def recorded(state: State | None) -> State | None:
        if state is State.DELIVERED:
            on_delivered()
        return state

    def watched(claim: LeasedDelivery, disposition: Disposition) -> Deferred[State | None]:
        return record(claim, disposition).addCallback(recorded)

    pipeline.outbox.record = watched  # type: ignore[method-assign]  # there is no other way to see it


def make_pipeline(path: Path, url: str, **more: Any) -> Pipeline:
    """Put a pipeline together; the caller starts and stops it.

    Args:
        path: The outbox's file.
        url: Where to POST.
        **more: Options of the reporter.
    """
    log = Logger()
    wanted = options.read({"serverUrl": url, **more})
    renderer = Renderer(None, wanted, REPOSITORY.reporter, log)
    sender = Sender(reactor, wanted.sender_settings, renderer, log)
    return Pipeline(reactor, file_url(path), REPOSITORY, sender, lambda: None, log)
