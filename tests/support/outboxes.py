"""Outboxes of every kind, used in the test's own thread and by the test's own clock."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

from support.fakes import LogBook, a_delivery
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from buildbot_http_status_push.model import Delivery, Disposition, LeasedDelivery, State, Turn
from buildbot_http_status_push.outbox import inspection
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.inspection import Entry
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository

NOW = 1_700_000_000.0
LEASE = 60.0

T = TypeVar("T")


def result(deferred: Deferred[T]) -> T:
    """Return what a Deferred has fired with, or raise it."""
    found: list[Any] = []
    deferred.addBoth(found.append)
    [value] = found
    if isinstance(value, Failure):
        value.raiseException()
    value_found: T = value
    return value_found


class Box:
    """An outbox of one reporter of one master, with what it logs.

    Args:
        url: Where it is, None for memory.
        owner: The master.
        reporter: The reporter.
        beside: Another outbox, whose storage and clock it shares.
    """

    def __init__(
        self,
        url: str | None,
        owner: str = "master",
        reporter: str = "push",
        beside: Box | None = None,
    ) -> None:
        self.clock = beside.clock if beside else new_clock()
        self.book = LogBook()
        self.losses = 0
        self._closed = False
        self.repository = DeliveryRepository(reporter, owner)
        self.storage = (
            beside.storage
            if beside
            else FallbackDatabase(
                url, self.repository, self.clock.seconds, self._lose, self.book.log
            )
        )
        self.outbox = Outbox(self.clock, maybeDeferred, self.storage, self.repository)

    def _lose(self) -> None:
        self.losses += 1

    def beside(self, owner: str = "master", reporter: str = "push") -> Box:
        """Return the same storage as another master or reporter uses it."""
        return Box(None, owner, reporter, beside=self)

    def put(self, *deliveries: Delivery | int) -> list[bool]:
        """Keep deliveries; a number stands for one with a lane and a subject of its own."""
        return [result(self.outbox.put(each)) for each in map(_as_delivery, deliveries)]

    def claim(self, limit: int = 10, held: Collection[str] = ()) -> list[LeasedDelivery]:
        """Take what may be sent."""
        return result(self.outbox.claim(limit, LEASE, held))

    def claim_ids(self, limit: int = 10, held: Collection[str] = ()) -> list[str]:
        """Take what may be sent, and return the ids."""
        return [claim.delivery.id for claim in self.claim(limit, held)]

    def turn(self, *turns: Turn, limit: int = 10) -> list[str]:
        """Take what groups whose turn it is may send, and return the ids."""
        claims = result(self.outbox.claim(limit, LEASE, turns=turns))
        return [claim.delivery.id for claim in claims]

    def record(self, claim: LeasedDelivery, state: State, wait: float = 30.0) -> State | None:
        """Write down an attempt's outcome; a retry comes after some seconds."""
        next_attempt = self.clock.seconds() + wait if state is State.RETRYING else None
        return result(
            self.outbox.record(claim, Disposition(state, state.name.lower(), next_attempt))
        )

    def send(self, state: State = State.DELIVERED) -> list[str]:
        """Take what may be sent, let every attempt end in the same state, return the ids."""
        claims = self.claim()
        for claim in claims:
            self.record(claim, state)
        return [claim.delivery.id for claim in claims]

    def ask(self, operation: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Run a function of ``inspection`` on it."""

        def ask(connection: Any) -> T:
            return operation(connection, *arguments, **named)

        found: T = self.storage.transact([ask])[0]
        return found

    def entry(self, number: int) -> Entry:
        """Return a delivery as it is kept."""
        return self.ask(inspection.show, f"msg_{number}")

    def states(self) -> dict[str, State]:
        """Return the state of each delivery."""
        return {entry.id: entry.state for entry in self.ask(inspection.entries)}

    def holds(self) -> bool:
        """Tell whether the accounting identity holds, of each reporter."""
        return all(stats.holds for stats in self.ask(inspection.stats))

    def close(self) -> None:
        """Close it, if that has not been done."""
        if not self._closed:
            self._closed = True
            result(self.outbox.close())


def new_clock() -> Clock:
    """Return a clock that stands at a time of our days."""
    clock = Clock()
    clock.advance(NOW)
    return clock


def of_lane(lane: str, *numbers: int, subject: str | None = None) -> Iterable[Delivery]:
    """Return deliveries of one lane, and of one subject if it is given."""
    more = {} if subject is None else {"subject": subject}
    return [a_delivery(number, lane, **more) for number in numbers]


def _as_delivery(each: Delivery | int) -> Delivery:
    return a_delivery(each, f"lane-{each}") if isinstance(each, int) else each
