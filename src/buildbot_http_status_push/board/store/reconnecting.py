"""A database that is opened when it is needed, and anew after trouble.

Blocking, and used by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from buildbot_http_status_push.database import Operation, StorageError, Transactions


@define(eq=False)
class ReconnectingDatabase:
    """Runs transactions on a database.

    Args:
        open: Opens it.
    """

    _open: Callable[[], Transactions]
    _opened: Transactions | None = field(default=None, init=False)

    def transact(self, operation: Operation) -> Any:
        """Run an operation in a transaction of its own.

        Returns:
            What the operation returned.

        Raises:
            StorageError: The database can't be opened, or the transaction failed.
        """
        if self._opened is None:
            self._opened = self._open()
        try:
            [result] = self._opened.transact([operation])
        except StorageError:
            # A file may have been replaced, a server started again: what was opened is of no use.
            self.close()
            raise
        return result

    def close(self) -> None:
        """Close it; it may be opened again."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()
