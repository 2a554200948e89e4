"""Builders, a receiver and the real relay and outbox in virtual time, the same each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from attrs import define, field, frozen
from support.fakes import LogBook, a_delivery
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from buildbot_http_status_push.delivery.operator_log import OperatorLog
from buildbot_http_status_push.delivery.pipeline import GATHER
from buildbot_http_status_push.delivery.relay import Relay
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.outbox import Outbox
from buildbot_http_status_push.outbox.repository import DeliveryRepository

BEGIN = 1_700_000_000.0
QUICK, TIMEOUT = 0.02, 30.0
SHORTEST, LONGEST = 2.0, 20.0
"""Seconds that a build takes."""
AFTERWARDS = LONGEST + 5.0

RESET = Unreachable("the connection was reset")
SILENCE = Unreachable("no answer within 30 s")
MODES: dict[str, Outcome] = {
    "400": Refused(400),
    "500": Refused(500),
    "503": Refused(503),
    "429, Retry-After 5": Refused(429, retry_after=5.0),
    "429, Retry-After 60": Refused(429, retry_after=60.0),
    "reset": RESET,
    "no answer": SILENCE,
}
OK = Accepted(200)

Answers = Callable[[int, float], Outcome]
"""What a builder's status is answered with: its number, seconds since the beginning."""


@frozen
class Attempt:
    """An attempt that has ended, or not.

    Args:
        builder: The builder's number.
        at: When it began, in seconds since the beginning.
        outcome: What came of it.
    """

    builder: int
    at: float
    outcome: Outcome


@define
class Simulation:
    """Ten builders and a receiver.

    Args:
        answers: What it answers.
        rate: Builds a second.
        seed: All chance comes from it.
        seconds: For how long builds begin.
        builders: How many there are.
        concurrency: How many attempts may be under way at once.
    """

    answers: Answers
    rate: float
    seed: str
    seconds: float = 600.0
    builders: int = 10
    concurrency: int = 10
    attempts: list[Attempt] = field(factory=list, init=False)
    waits: dict[str, tuple[int, float, float | None]] = field(factory=dict, init=False)
    book: LogBook = field(factory=LogBook, init=False)
    clock: Clock = field(factory=Clock, init=False)
    relay: Relay = field(init=False)
    outbox: Outbox = field(init=False)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return float(self.clock.seconds()) - BEGIN

    def run(self) -> Simulation:
        """Let all builds begin and end, and a moment pass."""
        self.clock.advance(BEGIN)
        self.start()
        for at, number, builder, event in sorted(self._events()):
            self.pass_until(at)
            self.put(number, builder, event)
        self.pass_until(self.seconds + AFTERWARDS)
        return self

    def _events(self) -> Iterator[tuple[float, int, int, str]]:
        chance = Random(self.seed)  # noqa: S311 - no secret
        at, number = 0.0, 0
        while (at := at + chance.expovariate(self.rate)) < self.seconds:
            number += 1
            builder, takes = chance.randrange(self.builders), chance.uniform(SHORTEST, LONGEST)
            yield at, number, builder, "builds.new"
            yield at + takes, number, builder, "builds.finished"

    def start(self) -> None:
        """Start a master on an empty outbox in memory."""
        repository = DeliveryRepository("push", "master")
        storage = FallbackDatabase(
            None, repository, self.clock.seconds, lambda: None, self.book.log
        )
        self.outbox = Outbox(self.clock, maybeDeferred, storage, repository, GATHER)
        jitter = Random(f"jitter {self.seed}")  # noqa: S311 - no secret
        settings = SenderSettings(self.concurrency, timeout=TIMEOUT)
        operator_log = OperatorLog(self.clock, "push", self.book.log)
        self.relay = Relay(
            self.clock, self.outbox, self.send, settings, jitter.random, operator_log
        )
        self.relay.start()

    def pass_until(self, moment: float) -> None:
        """Let time pass, from one call that is due to the next."""
        while (calls := self.clock.getDelayedCalls()) and calls[0].getTime() - BEGIN <= moment:
            self.clock.advance(max(0.0, calls[0].getTime() - self.clock.seconds()))
        self.clock.advance(moment - self.now)

    def put(self, number: int, builder: int, event: str) -> None:
        """Bring a status."""
        delivery = a_delivery(
            number,
            f"buildrequest-{number}",
            id=f"{number} {event}",
            event=event,
            group=f"builder-{builder}",
        )
        self.waits[delivery.id] = builder, self.now, None
        self.outbox.put(delivery)
        self.relay.added(delivery)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make an attempt."""
        builder = int(delivery.group.partition("-")[2])
        outcome = self.answers(builder, self.now)
        self.attempts.append(Attempt(builder, self.now, outcome))
        done: Deferred[Outcome] = Deferred()
        wait = TIMEOUT if outcome is SILENCE else QUICK
        self.clock.callLater(wait, self.end, delivery, outcome, done)
        return done

    def end(self, delivery: Delivery, outcome: Outcome, done: Deferred[Outcome]) -> None:
        """End an attempt."""
        if isinstance(outcome, Accepted):
            builder, came, _ = self.waits[delivery.id]
            self.waits[delivery.id] = builder, came, self.now
        done.callback(outcome)

    def longest_wait(self, builders: range) -> float:
        """Return how many seconds a status of some builders waited at most, accepted or not."""
        return max(
            (
                (self.now if accepted is None else accepted) - came
                for builder, came, accepted in self.waits.values()
                if builder in builders
            ),
            default=0.0,
        )

    def failing(self, begin: float = 0.0, end: float = float("inf")) -> int:
        """Count the attempts of some time that were not accepted."""
        within = (each for each in self.attempts if begin <= each.at < end)
        return sum(not isinstance(each.outcome, Accepted) for each in within)

    def recovery(self, since: float) -> float:
        """Return how many seconds after a moment something was accepted, once anything could be."""
        later = [
            (accepted, max(came, self._hangs_until(builder, since)))
            for builder, came, accepted in self.waits.values()
            if accepted is not None and accepted >= since
        ]
        possible = min((possible for _, possible in later), default=since)
        return min((accepted for accepted, _ in later), default=since) - max(since, possible)

    def _hangs_until(self, builder: int, moment: float) -> float:
        """Return when an attempt ends that a builder's statuses wait for at a moment, else 0."""
        ends = (
            each.at + TIMEOUT
            for each in self.attempts
            if each.builder == builder and each.outcome is SILENCE and each.at < moment
        )
        return max(ends, default=0.0)


def some_refused(mode: str, refused: int, rate: float, seed: int, **more: Any) -> Simulation:
    """Refuse the first builders for ten minutes.

    Args:
        mode: One of ``MODES``.
        refused: How many of ten.
        rate: Builds a second.
        seed: Says when which builds run.
        more: What else is not as usual.
    """

    def answers(builder: int, _: float) -> Outcome:
        return MODES[mode] if builder < refused else OK

    return Simulation(answers, rate, f"{mode}/{refused}/{rate}/{seed}", **more).run()


def outage(mode: str, lasts: float, rate: float, seed: int, **more: Any) -> Simulation:
    """Refuse all builders for a while, from second 100 on.

    Args:
        mode: One of ``MODES``.
        lasts: Seconds.
        rate: Builds a second.
        seed: Says when which builds run.
        more: What else is not as usual.
    """

    def answers(_: int, now: float) -> Outcome:
        return MODES[mode] if OUTAGE_BEGINS <= now < OUTAGE_BEGINS + lasts else OK

    seconds = OUTAGE_BEGINS + lasts + 100.0
    return Simulation(answers, rate, f"{mode}/{lasts}/{rate}/{seed}", seconds, **more).run()


OUTAGE_BEGINS = 100.0
