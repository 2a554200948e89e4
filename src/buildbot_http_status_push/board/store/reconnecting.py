"""A database in another thread: one transaction at a time, and opened anew after an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define, field
from sqlalchemy.engine import Connection
from twisted.internet.defer import Deferred, DeferredLock

from buildbot_http_status_push.database import StorageError, Transactions

T = TypeVar("T")


@define(eq=False)
class ReconnectingDatabase:
    """Runs transactions in another thread.

    A thread can't be stopped. After a transaction is cancelled, the next one still begins only when
    the thread has ended: they share a connection, and two threads on one connection crash the
    interpreter.

    Args:
        in_thread: Runs a function in another thread, like ``twisted.internet.threads``.
        open: Opens the database, in that thread; called again after a transaction failed.
    """

    _in_thread: Callable[..., Deferred[Any]]
    _open: Callable[[], Transactions]
    _opened: Transactions | None = field(default=None, init=False)
    _lock: DeferredLock = field(factory=DeferredLock, init=False)

    def transact(self, operation: Callable[[Connection], T]) -> Deferred[T]:
        """Run an operation in a transaction of its own, when those before it have ended.

        Returns:
            Fires with what the operation returned, or fails with ``StorageError`` or as the
            operation did. If it is cancelled before it began, the operation is left out.
        """
        return self._run(self._transact, operation)

    def close(self) -> Deferred[None]:
        """Close the database when all transactions have ended; the next one opens it again."""
        return self._run(self._close)

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self._lock.run(self._begin, answer, function, arguments)
        return answer

    def _begin(
        self, answer: Deferred[Any], function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> Deferred[Any] | None:
        if answer.called:  # it was cancelled
            return None
        return self._in_thread(function, *arguments).chainDeferred(answer)

    def _transact(self, operation: Callable[[Connection], Any]) -> Any:
        if self._opened is None:
            self._opened = self._open()
        try:
            [result] = self._opened.transact([operation])
        except StorageError:
            # A file may have been replaced, a server restarted: what was opened is of no use.
            self._close()
            raise
        return result

    def _close(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
