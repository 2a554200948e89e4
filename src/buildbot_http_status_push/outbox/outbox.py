"""The durable table of deliveries, seen from the reactor's thread: group commit and memory.

What arrives while one transaction is under way goes into the next one. When the database can't
be used, the outbox goes on in memory, and returns to the database when it can.
Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from buildbot_http_status_push.database import Operation, StorageError
from buildbot_http_status_push.group_commit import GroupCommit
from buildbot_http_status_push.model import Delivery, Disposition, LeasedDelivery, State, Turn
from buildbot_http_status_push.outbox import backfill
from buildbot_http_status_push.outbox.backfill_request import Backfill
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.inspection import Stats, stats_of
from buildbot_http_status_push.outbox.repository import DeliveryRepository

RESTORE_INTERVAL = 10.0

T = TypeVar("T")
InThread: TypeAlias = Callable[..., Deferred[Any]]


@frozen(eq=False)
class _Ended:
    claim: LeasedDelivery
    disposition: Disposition


_Asked: TypeAlias = Operation | _Ended | None
"""An operation, what becomes of a delivery, or None for a return to the database."""


class Outbox:
    """Keeps deliveries, one transaction at a time, off the reactor's thread.

    Args:
        reactor: The clock.
        in_thread: Runs a function in another thread, like ``twisted.internet.threads``.
        storage: The database, or memory as its fallback.
        repository: The statements of this reporter.
        gather: Seconds from the end of a transaction to the next one, which carries out all that is
            asked for meanwhile; 0 to begin at once.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        in_thread: InThread,
        storage: FallbackDatabase,
        repository: DeliveryRepository,
        gather: float = 0.0,
    ) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._storage = storage
        self._repository = repository
        self._commits: GroupCommit[_Asked, Any] = GroupCommit(reactor, self._commit, gather=gather)
        self._closed = False
        self._timer: IDelayedCall | None = None

    @property
    def durable(self) -> bool:
        """Whether deliveries are on disk, or memory is all that was asked for."""
        return not self._storage.fallen_back

    def register_reporter(self) -> Deferred[None]:
        """Let people find this outbox's reporter by its name."""
        return self._run(self._repository.register_reporter)

    def put(self, delivery: Delivery, *, again: bool = False) -> Deferred[bool]:
        """Keep a delivery, unless its id has been seen.

        Returns:
            Once it is committed: whether it is to be sent.
        """
        now = self._reactor.seconds()
        put = self._repository.put_again if again else self._repository.put
        return self._run(put, delivery=delivery, now=now)

    def backfill(self) -> Deferred[Backfill | None]:
        """Return a person's request to send past builds again."""
        return self._run(backfill.find, reporter=self._repository.reporter)

    def advance_backfill(self, known: Backfill) -> Deferred[bool]:
        """Write down how far that has come; say whether it is still wanted."""
        return self._run(backfill.advance, backfill=known)

    def known(self, ids: Collection[str]) -> Deferred[set[str]]:
        """Return those of the ids that have been seen."""
        return self._run(self._repository.known, ids=ids)

    def claim(
        self,
        limit: int,
        lease: float,
        held: Collection[str] = (),
        turns: Sequence[Turn] | None = None,
    ) -> Deferred[list[LeasedDelivery]]:
        """Take deliveries that may be sent now; see ``DeliveryRepository.claim``."""
        now = self._reactor.seconds()
        return self._run(
            self._repository.claim, now=now, lease=lease, limit=limit, held=held, turns=turns
        )

    def stats(self) -> Deferred[Stats]:
        """Count this reporter's deliveries."""
        return self._run(stats_of, reporter=self._repository.reporter)

    def renew(self, sequences: list[int], lease: float) -> Deferred[float]:
        """Lengthen the leases of what is claimed.

        Returns:
            Until when they last, in seconds since the epoch.
        """
        until = self._reactor.seconds() + lease
        return self._run(self._repository.renew, sequences=sequences, until=until)

    def release(self, sequences: Sequence[int] | None = None) -> Deferred[None]:
        """Give claimed deliveries back: those named untried, or all of this master's."""
        if sequences is not None:
            return self._run(self._repository.release, sequences=sequences)
        now = self._reactor.seconds()
        return self._run(self._repository.release_all, now=now)

    def record(self, claim: LeasedDelivery, disposition: Disposition) -> Deferred[State | None]:
        """Write down what becomes of a delivery, at once with all others of the transaction.

        Returns:
            What ``DeliveryRepository.record`` returns.
        """
        return self._ask(_Ended(claim, disposition))

    def waiting(self) -> Deferred[int]:
        """Return how many deliveries are still to be sent."""
        return self._run(self._repository.waiting)

    def oldest_pending_build(self) -> Deferred[int | None]:
        """Return the lowest id of the builds that have a delivery still to be sent."""
        return self._run(self._repository.oldest_pending_build)

    def oldest_pending_request(self) -> Deferred[float | None]:
        """Return since when a state of a build request is still to be sent."""
        return self._run(self._repository.oldest_pending_request)

    def give_up(self, groups: Collection[str], created_before: float) -> Deferred[None]:
        """Make deliveries dead that waited too long for a receiver that refuses their group."""
        now = self._reactor.seconds()
        return self._run(
            self._repository.give_up, groups=groups, created_before=created_before, now=now
        )

    def clamp_future_times(self, wait: float, lease: float) -> Deferred[None]:
        """Believe no time that lies too far ahead: the clock has been set back since."""
        now = self._reactor.seconds()
        return self._run(self._repository.clamp_future_times, now=now, wait=wait, lease=lease)

    def tidy(self) -> Deferred[bool]:
        """Delete some rows that ended long ago; say whether there may be more."""
        now = self._reactor.seconds()
        return self._run(self._repository.tidy, now=now)

    def close(self) -> Deferred[None]:
        """Finish what was asked for, and close the database; what is asked later fails."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return self._commits.idle().addCallback(lambda _: self._in_thread(self._storage.close))

    def _run(self, operation: Callable[..., T], **arguments: Any) -> Deferred[T]:
        return self._ask(partial(operation, **arguments))

    def _ask(self, what: _Asked) -> Deferred[Any]:
        if self._closed:
            return fail(StorageError("the outbox is closed"))
        return self._commits.ask(what)

    async def _commit(self, asked: Sequence[_Asked]) -> list[Any]:
        """Carry out in one transaction what is asked for."""
        ended = [each for each in asked if isinstance(each, _Ended)]
        operations = [each for each in asked if callable(each)]
        if ended:
            # First: the lanes that this frees can be claimed in the same transaction.
            operations.insert(0, self._recording(ended))
        try:
            if None in asked:
                await self._in_thread(self._storage.restore)
            transact = self._storage.transact
            results = await self._in_thread(transact, operations) if operations else []
        finally:
            self._restore_later()
        states, others = iter(results[0] if ended else ()), iter(results[bool(ended) :])
        return [
            next(states if isinstance(each, _Ended) else others) if each else None for each in asked
        ]

    def _recording(self, ended: Sequence[_Ended]) -> Operation:
        pairs = [(each.claim, each.disposition) for each in ended]
        return partial(self._repository.record_all, ended=pairs, now=self._reactor.seconds())

    def _restore_later(self) -> None:
        if self._storage.fallen_back and self._timer is None and not self._closed:
            self._timer = self._reactor.callLater(RESTORE_INTERVAL, self._restore)

    def _restore(self) -> None:
        self._timer = None
        self._commits.ask(None)
