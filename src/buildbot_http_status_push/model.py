"""What a delivery is, what may come of an attempt, and the states a delivery may pass through.

Knows no other module of this package, no network, no database and no Buildbot.
"""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen


@frozen
class Delivery:
    """One status as it is kept and sent.

    Args:
        id: Derived from the event, so that the same event has the same id after a restart.
        lane: Deliveries of one lane are sent in order; a lane is a build request.
        group: Whose failures count together: the builder; where there is none, the kind of subject.
        subject: What the status is about (a build). A newer accepted status of the same
            subject, of an event that follows, makes an older one superfluous.
        event: The event's name as receivers see it, such as ``builds.finished``.
        title: The subject in words, for log lines.
        build: The build's id in Buildbot's database, where it is about one.
        created_at: When it entered the outbox, in seconds since the epoch, once it is there.
        content_type: The value of the ``Content-Type`` header.
        body: The exact bytes that are signed and sent.
    """

    id: str
    lane: str
    subject: str
    event: str
    title: str
    content_type: str
    body: bytes
    build: int | None = None
    group: str = ""
    created_at: float | None = field(default=None, eq=False)


@frozen
class Accepted:
    """The receiver answered 2xx.

    Args:
        status: The HTTP status code.
        duration: Seconds from the attempt's begin to the answer's end.
    """

    status: int
    duration: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        return f"accepted with {self.status}"


@frozen
class Refused:
    """The receiver answered with another status than 2xx.

    Args:
        status: The HTTP status code.
        answer: The beginning of the answer's body, or the target of a redirect.
        retry_after: Seconds that the receiver asked to wait, where it did.
        duration: Seconds from the attempt's begin to the answer's end.
    """

    status: int
    answer: str = ""
    retry_after: float | None = None
    duration: float = 0.0

    def __str__(self) -> str:
        """Say it in words."""
        return f"rejected with {self.status}" + (f": {self.answer}" if self.answer else "")


@frozen
class Unreachable:
    """No HTTP answer came: connection, TLS or time trouble, or a secret that can't be had.

    Args:
        reason: What happened, in words fit for a log line, without secrets.
        duration: Seconds from the attempt's begin to its end.
        here: Whether nothing was sent because of a file or a secret on this side.
        unsent: Whether it is known that nothing was sent.
    """

    reason: str
    duration: float = 0.0
    here: bool = field(default=False, eq=False)
    unsent: bool = field(default=False, eq=False)

    def __str__(self) -> str:
        """Say it in words."""
        return self.reason


Outcome = Accepted | Refused | Unreachable


class State(Enum):
    """Where a delivery stands."""

    WAITING = "waiting"
    """To be sent in its lane's order."""

    RETRYING = "retrying"
    """Refused for reasons of its own: tried again on its own schedule, beside its lane."""

    DELIVERED = "delivered"
    """Accepted by the receiver."""

    SUPERSEDED = "superseded"
    """Not sent any more: a newer status of the same subject was accepted, or may have been."""

    DEAD = "dead"
    """Given up: kept for a while, listed, and sent again on request."""


MOVES: dict[State, frozenset[State]] = {
    State.WAITING: frozenset(State),
    State.RETRYING: frozenset(State),
    State.DELIVERED: frozenset({State.WAITING}),
    State.SUPERSEDED: frozenset({State.WAITING, State.DELIVERED}),
    State.DEAD: frozenset({State.WAITING, State.DELIVERED, State.SUPERSEDED}),
}
"""The legal moves: what an attempt finds is recorded only where this table allows it.

Only a person brings back what is not pending: by ``redeliver``, or by a backfill.
"""

SUPERFLUOUS_AFTER: dict[str, frozenset[str]] = {
    "buildrequests.cancel": frozenset({"buildrequests.new"}),
    "buildrequests.complete": frozenset({"buildrequests.new"}),
    "builds.new": frozenset({"buildrequests.new"}),
    # Of two masters one may end a build for the other, which it believes dead.
    "builds.finished": frozenset({"buildrequests.new", "builds.new", "builds.finished"}),
    "buildsets.complete": frozenset({"buildsets.new"}),
    "steps.started": frozenset({"steps.new"}),
    "steps.finished": frozenset({"steps.new", "steps.started"}),
    "logs.finished": frozenset({"logs.new"}),
}
"""Which older events of the same thing need not be sent once one was accepted. Only these are
known to follow each other; of a build request it is its builds' events too that do."""

SUCCESSIVE = frozenset(SUPERFLUOUS_AFTER).union(*SUPERFLUOUS_AFTER.values())
"""All events that one of the others follows, or that follow one."""

REQUEST_EVENTS = frozenset(
    f"requests.{each}" for each in ("new", "claimed", "unclaimed", "cancelled", "complete")
)
WORKER_EVENTS = frozenset(
    f"workers.{each}"
    for each in (
        *("connected", "disconnected", "missing", "paused", "graceful"),
        *("resumed", "removed"),
    )
)
BUILDER_EVENTS = frozenset({"builders.configured", "builders.removed"})

STATES: dict[str, frozenset[str]] = {
    event: kind for kind in (REQUEST_EVENTS, WORKER_EVENTS, BUILDER_EVENTS) for event in kind
}
"""Events whose bodies are the whole state of their subject, each with all events of its kind: the
newest makes all older ones superfluous, as soon as it is kept."""


def makes_superfluous(event: str) -> frozenset[str]:
    """Return the events of the same thing that need not be sent after this one."""
    return SUPERFLUOUS_AFTER.get(event) or STATES.get(event, frozenset())


PENDING = frozenset({State.WAITING, State.RETRYING})
"""The states of a delivery that is still to be sent."""


@frozen
class Disposition:
    """What becomes of a delivery after an attempt.

    Args:
        state: The state that it moves to.
        next_attempt: When to try again, in seconds since the epoch. Until then a delivery that is
            ``WAITING`` keeps its lane; None where that is when the receiver accepts again.
        outcome: What came of the attempt, in words.
        may_have_arrived: Whether the receiver may have taken it, though it did not say so.
    """

    state: State
    outcome: str
    next_attempt: float | None = None
    may_have_arrived: bool = False


@frozen
class LeasedDelivery:
    """A delivery handed out for one attempt.

    Args:
        delivery: What to send.
        created_at: When it entered the outbox, in seconds since the epoch.
        attempts: How many attempts were made before this one.
        sequence: Its place in the order of all deliveries.
        lease_until: Until when no other master takes it, in seconds since the epoch.
        more: Whether others may wait in its lane.
    """

    delivery: Delivery
    created_at: float
    attempts: int
    sequence: int
    lease_until: float
    more: bool


@frozen
class Turn:
    """A failing group's turn: which one of its deliveries is to be tried.

    Args:
        group: The group.
        last: The sequence of its delivery that was tried last: those behind it come next.
        highest: The highest sequence tried since it fails: those behind that come first of all.
        untried: Whether only a delivery behind the highest will do.
        newer_in: A lane whose newest status of the same build is tried before its older ones, where
            there is one: the receiver may fail on the older ones only. Empty for none.
    """

    group: str
    last: int = 0
    highest: int = 0
    untried: bool = False
    newer_in: str = ""
