"""The durable table of deliveries, seen from the reactor's thread: group commit and memory.

What arrives while one transaction is under way goes into the next one. When the database can't
be used, the outbox goes on in memory, and returns to the database when it can.
Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from buildbot_http_status_push.database import Operation, StorageError
from buildbot_http_status_push.model import Delivery, Disposition, LeasedDelivery, State, Turn
from buildbot_http_status_push.outbox import backfill
from buildbot_http_status_push.outbox.backfill_request import Backfill
from buildbot_http_status_push.outbox.fallback_database import FallbackDatabase
from buildbot_http_status_push.outbox.inspection import Stats, stats_of
from buildbot_http_status_push.outbox.recorder import Recorder
from buildbot_http_status_push.outbox.repository import DeliveryRepository

RESTORE_INTERVAL = 10.0

T = TypeVar("T")
R = TypeVar("R", bound="_Asked")
InThread: TypeAlias = Callable[..., Deferred[Any]]


@frozen(kw_only=True)
class _Asked:
    done: Deferred[Any] = field(factory=Deferred)


@frozen
class _Request(_Asked):
    operation: Operation


@frozen
class _Ended(_Asked):
    claim: LeasedDelivery
    disposition: Disposition


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
        self._recorder = Recorder(repository.reporter, repository.owner)
        self._gather = gather
        self._requests: list[_Request] = []
        self._ended: list[_Ended] = []
        self._busy = False
        self._gathering: IDelayedCall | None = None
        self._closed = False
        self._restore_due = False
        self._last_end = -gather
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

        Args:
            delivery: What to keep.
            again: Whether to keep it though it has been sent.

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
            What ``Recorder.record`` says of it.
        """
        return self._ask(self._ended, _Ended(claim, disposition))

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
        """Believe no time that lies too far ahead: the clock has been set back since.

        Args:
            wait: Seconds between two attempts at most.
            lease: Seconds that any master's lease lasts at most.
        """
        now = self._reactor.seconds()
        return self._run(self._repository.clamp_future_times, now=now, wait=wait, lease=lease)

    def tidy(self) -> Deferred[bool]:
        """Delete some rows that ended long ago; say whether there may be more."""
        now = self._reactor.seconds()
        return self._run(self._repository.tidy, now=now)

    def close(self) -> Deferred[None]:
        """Finish what was asked for, and close the database; what is asked later fails."""
        flushed = self._run(lambda _: None)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return flushed.addCallback(lambda _: self._in_thread(self._storage.close))

    def _run(self, operation: Callable[..., T], **arguments: Any) -> Deferred[T]:
        return self._ask(self._requests, _Request(partial(operation, **arguments)))

    def _ask(self, asked: list[R], request: R) -> Deferred[Any]:
        if self._closed:
            return fail(StorageError("the outbox is closed"))
        asked.append(request)
        self._next()
        return request.done

    def _next(self) -> None:
        if self._gathering and self._gathering.getTime() > self._reactor.seconds() + self._gather:
            self._gathering.reset(0)  # the clock was set back: it would wait for as long
        if self._busy or not (self._requests or self._ended or self._restore_due):
            return
        self._busy = True
        if self._gather:
            # Never now: what belongs together is asked for in one go.
            self._gathering = self._reactor.callLater(self._wait(), self._begin)
        else:
            self._begin()

    def _wait(self) -> float:
        left = self._last_end + self._gather - self._reactor.seconds()
        return min(max(left, 0.0), self._gather)  # whatever happens to the clock

    def _begin(self) -> None:
        self._gathering = None
        job = self._restore() if self._restore_due else self._commit()
        job.addBoth(self._done)

    def _commit(self) -> Deferred[None]:
        batch, self._requests = self._requests, []
        if self._ended:
            # First: the lanes that this frees can be claimed in the same transaction.
            batch.insert(0, self._recording())
        job = self._in_thread(self._storage.transact, [each.operation for each in batch])
        return job.addCallbacks(_succeed, _fail, callbackArgs=(batch,), errbackArgs=(batch,))

    def _recording(self) -> _Request:
        ended, self._ended = self._ended, []
        pairs = [(each.claim, each.disposition) for each in ended]
        now = self._reactor.seconds()
        request = _Request(partial(self._recorder.record_all, ended=pairs, now=now))
        request.done.addCallbacks(_succeed, _fail, callbackArgs=(ended,), errbackArgs=(ended,))
        return request

    def _restore(self) -> Deferred[None]:
        self._restore_due = False
        return self._in_thread(self._storage.restore)

    def _done(self, result: T) -> T:
        self._busy = False
        self._last_end = self._reactor.seconds()
        if self._storage.fallen_back:
            self._restore_later()
        self._next()
        return result

    def _restore_later(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._reactor.callLater(RESTORE_INTERVAL, self._restore_now)

    def _restore_now(self) -> None:
        self._timer = None
        self._restore_due = True
        self._next()


def _succeed(results: list[Any], asked: Sequence[_Asked]) -> None:
    for request, result in zip(asked, results, strict=True):
        request.done.callback(result)


def _fail(failure: Any, asked: Sequence[_Asked]) -> None:
    for request in asked:
        request.done.errback(failure)
