"""Small stand-ins with behaviour: a delivery, a log, an outbox, sends that a test answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import takewhile
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, formatEvent
from zope.interface import implementer

from buildbot_http_status_push.model import (
    PENDING,
    Delivery,
    Disposition,
    LeasedDelivery,
    Outcome,
    State,
    Turn,
    Unreachable,
)
from buildbot_http_status_push.outbox.repository import may_become


def a_delivery(number: int = 1, lane: str = "buildrequest-1", **more: Any) -> Delivery:
    """Return a delivery about build 1, unless told otherwise."""
    values = {
        "id": f"msg_{number}",
        "lane": lane,
        "subject": f"build-{number}",
        "event": "builds.finished",
        "title": f"build {number}",
        "content_type": "application/json",
        "body": b'{"state": "success"}',
        "build": number,
        "group": lane,
    }
    return Delivery(**{**values, **more})


@implementer(ILogObserver)
class LogBook:
    """Keeps what is logged, and keeps it from all other logs."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.log = Logger(namespace="test", observer=self)

    def __call__(self, event: dict[str, Any]) -> None:
        """Keep an event."""
        self.events.append(event)

    @property
    def lines(self) -> list[str]:
        """The messages, as people read them."""
        return [formatEvent(each) for each in self.events]

    @property
    def levels(self) -> list[str]:
        """The levels of the messages."""
        return [each["log_level"].name for each in self.events]


@define
class Row:
    """A delivery in an outbox."""

    sequence: int
    delivery: Delivery
    created_at: float
    state: State = State.WAITING
    attempts: int = 0
    next_attempt: float = 0.0
    leased: bool = False
    lease_until: float = 0.0
    held_until: float = 0.0
    outcome: str = ""

    def claim(self, *, more: bool) -> LeasedDelivery:
        """Return it as it is handed out."""
        place = (self.sequence, self.lease_until, more)
        return LeasedDelivery(self.delivery, self.created_at, self.attempts, *place)


def _alike(one: Row, other: Row) -> bool:
    return one.delivery.subject == other.delivery.subject


@define
class MemoryOutbox:
    """What the relay needs of an outbox, in memory and in the order of the calls.

    Like the real one it answers later: a call is carried out when the test says ``step``, or at
    once where ``eager``.

    Args:
        clock: Tells which retries are due.
        eager: Whether calls are carried out at once.
    """

    clock: Clock
    eager: bool = True
    rows: list[Row] = field(factory=list)
    broken: Exception | None = None
    claims: int = 0
    leases: set[float] = field(factory=set)
    _calls: list[tuple[Callable[[], Any], Deferred[Any]]] = field(factory=list)

    def put(self, *deliveries: Delivery) -> None:
        """Keep deliveries."""
        for each in deliveries:
            self.rows.append(Row(len(self.rows) + 1, each, self.clock.seconds()))

    def claim(
        self,
        limit: int,
        lease: float,
        held: Collection[str] = (),
        turns: Sequence[Turn] | None = None,
    ) -> Deferred[list[LeasedDelivery]]:
        """Hand out deliveries."""
        self.leases.add(lease)
        return self._later(lambda: self._claim(limit, lease, held, turns))

    def renew(self, sequences: list[int], lease: float) -> Deferred[float]:
        """Lengthen leases."""
        return self._later(lambda: self._renew(sequences, self.clock.seconds() + lease))

    def _renew(self, sequences: list[int], until: float) -> float:
        for each in self.rows:
            if each.sequence in sequences and each.leased:
                each.lease_until = until
        return until

    def release(self, sequences: list[int] | None = None) -> Deferred[None]:
        """Take deliveries back."""
        return self._later(lambda: self._release(sequences))

    def clamp_future_times(self, wait: float, lease: float) -> Deferred[None]:
        """Do nothing: the test's clock goes one way."""
        return self._later(lambda: None)

    def record(self, claim: LeasedDelivery, disposition: Disposition) -> Deferred[State | None]:
        """Write down what becomes of a delivery."""
        return self._later(lambda: self._record(claim, disposition))

    def waiting(self) -> Deferred[int]:
        """Count what is still to be sent."""
        return self._later(lambda: sum(each.state in PENDING for each in self.rows))

    def step(self) -> None:
        """Carry out the oldest call."""
        if self._calls:
            call, done = self._calls.pop(0)
            if self.broken is None:
                done.callback(call())
            else:
                done.errback(self.broken)

    def settle(self) -> None:
        """Carry out all calls, and those that come of them."""
        while self._calls:
            self.step()

    def states(self) -> list[State]:
        """Return where each delivery stands."""
        return [each.state for each in self.rows]

    def row(self, delivery: Delivery) -> Row:
        """Return a delivery's row."""
        [row] = [each for each in self.rows if each.delivery.id == delivery.id]
        return row

    def _later(self, call: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self._calls.append((call, done))
        if self.eager:
            self.step()
        return done

    def _claim(
        self, limit: int, lease: float, held: Collection[str], turns: Sequence[Turn] | None
    ) -> list[LeasedDelivery]:
        self.claims += 1
        free = [each for each in self._heads() if not self._is_leased(each.delivery.lane)]
        taken = self._passing(free, held) if turns is None else self._in_turn(free, turns)
        taken = taken[:limit]
        for each in taken:
            each.leased, each.lease_until = True, self.clock.seconds() + lease
        pending = Counter(each.delivery.lane for each in self.rows if each.state in PENDING)
        always = turns is not None
        return [each.claim(more=always or pending[each.delivery.lane] > 1) for each in taken]

    def _passing(self, free: list[Row], held: Collection[str]) -> list[Row]:
        passing = [each for each in free if each.delivery.group not in held]
        waiting = [each for each in passing if each.state is State.WAITING]
        return [*waiting, *(each for each in passing if self._is_due(each))]

    def _in_turn(self, free: list[Row], turns: Sequence[Turn]) -> list[Row]:
        found = (self._of_turn(free, turn) for turn in turns)
        return [each for each in found if each is not None]

    def _of_turn(self, free: list[Row], turn: Turn) -> Row | None:
        mine = [each for each in free if each.delivery.group == turn.group]
        waiting = [each for each in mine if each.state is State.WAITING]
        if turn.newer_in in [head.delivery.lane for head in waiting]:
            rows = self._of_lane(turn.newer_in)
            same = list(takewhile(lambda each: _alike(each, rows[0]), rows))
            if len(same) > 1:
                return same[-1]
        for after in (turn.highest,) if turn.untried else (turn.highest, turn.last, -1):
            for each in waiting:
                if each.sequence > after:
                    return each
        return next((each for each in mine if not turn.untried and self._is_due(each)), None)

    def _of_lane(self, lane: str) -> list[Row]:
        rows = (each for each in self.rows if each.state is State.WAITING)
        return [each for each in rows if each.delivery.lane == lane]

    def _heads(self) -> Iterable[Row]:
        for lane in dict.fromkeys(each.delivery.lane for each in self.rows):
            rows = [each for each in self.rows if each.delivery.lane == lane]
            waiting = [each for each in rows if each.state is State.WAITING]
            yield from waiting[:1] or [each for each in rows if self._is_due(each)][:1]

    def _is_due(self, row: Row) -> bool:
        return row.state is State.RETRYING and row.next_attempt <= self.clock.seconds()

    def _is_leased(self, lane: str) -> bool:
        rows = [each for each in self.rows if each.delivery.lane == lane]
        return any(each.leased or each.held_until > self.clock.seconds() for each in rows)

    def _release(self, sequences: list[int] | None) -> None:
        for each in self.rows:
            if sequences is None or each.sequence in sequences:
                each.leased = False

    def _record(self, claim: LeasedDelivery, disposition: Disposition) -> State | None:
        row = self.row(claim.delivery)
        if not may_become(row.state, disposition.state):
            return None
        row.state, row.outcome, row.leased = disposition.state, disposition.outcome, False
        row.attempts = claim.attempts + 1
        row.next_attempt = disposition.next_attempt or 0.0
        row.held_until = row.next_attempt if row.state is State.WAITING else 0.0
        if row.state is State.DELIVERED:
            self._supersede_older(row)
        return row.state

    def _supersede_older(self, row: Row) -> None:
        for each in self.rows:
            same = each.delivery.subject == row.delivery.subject
            if same and each.sequence < row.sequence and each.state in PENDING:
                each.state = State.SUPERSEDED


@define
class Sends:
    """Attempts that are under way until the test answers them.

    Args:
        on_begin: Called with each delivery before it is under way.
    """

    on_begin: Callable[[Delivery], None] = lambda _: None
    log: list[Delivery] = field(factory=list)
    cut: list[Delivery] = field(factory=list)
    _under_way: dict[str, tuple[Delivery, Deferred[Outcome]]] = field(factory=dict)

    def __call__(self, delivery: Delivery) -> Deferred[Outcome]:
        """Begin an attempt."""
        self.on_begin(delivery)
        self.log.append(delivery)
        done: Deferred[Outcome] = Deferred(lambda _: self._cut(delivery))
        self._under_way[delivery.id] = (delivery, done)
        return done

    def _cut(self, delivery: Delivery) -> None:
        self.cut.append(delivery)
        self.answer(delivery, Unreachable("cut off"))

    @property
    def under_way(self) -> list[Delivery]:
        """What is being sent."""
        return [delivery for delivery, _ in self._under_way.values()]

    def answer(self, delivery: Delivery, outcome: Outcome) -> None:
        """End an attempt."""
        _, done = self._under_way.pop(delivery.id)
        done.callback(outcome)

    def break_down(self, delivery: Delivery, error: Exception) -> None:
        """End an attempt with an error that no attempt should end with."""
        _, done = self._under_way.pop(delivery.id)
        done.errback(error)
