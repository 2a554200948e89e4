"""The outbox's database, or the memory that stands in for it while the database is out.

Blocking, and used by one thread at a time. The outbox may break; the master may not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from buildbot_http_status_push.database import (
    MEMORY,
    CorruptStorageError,
    Database,
    Operation,
    StorageError,
    file_of,
)
from buildbot_http_status_push.ledger import Ledger
from buildbot_http_status_push.redaction import mask_url


class Storage:
    """Runs transactions on a database, and on memory while the database fails.

    Args:
        url: The SQLAlchemy URL of the database, None for memory and nothing else.
        ledger: The statements that carry deliveries from memory to the database.
        seconds: The clock, for naming a file that is set aside.
        on_lost: Called, in this thread, when what the outbox held is gone.
        log: Where lines go.
    """

    def __init__(
        self,
        url: str | None,
        ledger: Ledger,
        seconds: Callable[[], float],
        on_lost: Callable[[], None],
        log: Logger,
    ) -> None:
        self._url = url
        self._ledger = ledger
        self._seconds = seconds
        self._on_lost = on_lost
        self._log = log
        self._database: Database | None = None
        self.fallen_back = False

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run operations in one transaction, in memory if need be.

        Returns:
            What each operation returned.
        """
        try:
            return self._opened().transact(operations)
        except StorageError as trouble:
            self._stand_in(trouble)
            return self._opened().transact(operations)

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database(self._url or MEMORY)
        return self._database

    def _stand_in(self, trouble: StorageError) -> None:
        """Put something in the failed database's place: a new file, or memory."""
        if self._url is None or self.fallen_back:
            raise trouble  # memory itself failed: nothing is left to stand in
        self._discard()
        self._database = self._begun_anew(trouble)
        if self._database is not None:
            return
        self._database, self.fallen_back = Database(MEMORY), True
        self._log.error(
            "the outbox {url} can't be used ({trouble}): statuses are kept in memory and "
            "delivered from there until it can",
            url=mask_url(self._url),
            trouble=trouble,
        )

    def _begun_anew(self, trouble: StorageError) -> Database | None:
        """Set a broken file aside and begin a new one, where that is the trouble."""
        path = file_of(str(self._url))
        if path is None or not isinstance(trouble, CorruptStorageError):
            return None
        aside = path.with_name(f"{path.name}.broken-{int(self._seconds())}")
        try:
            _set_aside(path, aside)
            database = Database(str(self._url))
        except (OSError, StorageError):
            return None
        self._log.error(
            "the outbox {path} is broken ({trouble}): it is kept as {aside}, a new one was "
            "begun, and what it held is found again in the master's database",
            path=path,
            trouble=trouble,
            aside=aside.name,
        )
        self._on_lost()
        return database

    def come_back(self) -> None:
        """Go back to the database if it can be used, with what memory holds."""
        database = self._reopened()
        if database is None:
            return
        memory = self._opened()
        [rows] = memory.transact([self._ledger.export])
        try:
            database.transact([partial(self._ledger.take_over, rows=rows)])
        except StorageError:
            database.close()
            return
        memory.close()
        self._database, self.fallen_back = database, False
        self._log.info("the outbox {url} can be used again", url=mask_url(str(self._url)))

    def _reopened(self) -> Database | None:
        try:
            return Database(str(self._url))
        except StorageError as trouble:
            return self._begun_anew(trouble)

    def _discard(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def close(self) -> None:
        """Come back to the database if that is possible at once, and close it."""
        if self.fallen_back:
            self.come_back()
        self._discard()


def _set_aside(path: Path, aside: Path) -> None:
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
