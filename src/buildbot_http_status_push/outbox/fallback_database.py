"""The outbox's database, and memory as the fallback while the database fails.

Blocking, and used by one thread at a time. The outbox may break; the master may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection
from twisted.logger import Logger

from buildbot_http_status_push.database import (
    MEMORY,
    CorruptStorageError,
    Database,
    LostStorageError,
    Operation,
    StorageError,
    file_of,
    masked,
)
from buildbot_http_status_push.model import PENDING, State
from buildbot_http_status_push.outbox import statements
from buildbot_http_status_push.outbox.repository import (
    DeliveryRepository,
    find,
    insert,
    may_become,
    supersede_older,
    write,
)
from buildbot_http_status_push.outbox.schema import count_on_from, open_database


def export(connection: Connection) -> list[dict[str, Any]]:
    """Return all rows, in order, for another outbox to take over."""
    return [row._asdict() for row in statements.EVERYTHING.rows(connection, {})]


def take_over(connection: Connection, reporter: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep what another outbox holds: its new rows, and what it knows more of others."""
    for row in rows:
        fresh = {name: row[name] for name in row if name != "sequence"}
        if not insert(connection, reporter, fresh):
            _merge(connection, row)
        if row["attempts"] or row["owner"] is not None:
            place, accepted = find(connection, row["id"]), row["state"] == State.DELIVERED.value
            supersede_older(
                connection, reporter, place, row["updated_at"], may_have_arrived=not accepted
            )


def _merge(connection: Connection, row: Mapping[str, Any]) -> None:
    """Write down what another outbox found out about a delivery that is known here too."""
    place = find(connection, row["id"])
    known, found = State(place.state), State(row["state"])
    if row["outcome"] is not None and may_become(known, found):
        attempts = max(place.attempts, row["attempts"])
        write(connection, row["id"], {**row, "attempts": attempts})
    elif row["owner"] is not None and known in PENDING:
        leased = {"to_owner": row["owner"], "until": row["lease_until"]}
        statements.LEASE.run(connection, {"sequences": [place.sequence], **leased})


class FallbackDatabase:
    """Runs transactions on a database, and on memory while the database fails.

    Args:
        url: The SQLAlchemy URL of the database, None for memory and nothing else.
        repository: The statements of this reporter.
        seconds: The clock, in seconds since the epoch.
        on_lost: Called, in this thread, when what the outbox held is gone.
        log: Where lines go.
    """

    def __init__(
        self,
        url: str | None,
        repository: DeliveryRepository,
        seconds: Callable[[], float],
        on_lost: Callable[[], None],
        log: Logger,
    ) -> None:
        self._url = url
        self._repository = repository
        self._seconds = seconds
        self._on_lost = on_lost
        self._log = log
        self._database: Database | None = None
        self._trouble_logged = False
        self.fallen_back = False

    def transact(self, operations: Sequence[Operation]) -> list[Any]:
        """Run operations in one transaction, in memory if need be.

        Returns:
            What each operation returned.

        Raises:
            StorageError: Memory, where there is nothing else, refuses them too.
        """
        for _ in range(2):
            try:
                results = self._opened().transact(operations)
            except StorageError as trouble:
                self._fall_back(trouble)
            else:
                self._log_recovery()
                return results
        return self._opened().transact(operations)

    def _opened(self) -> Database:
        if self._database is None:
            self._database = open_database(self._url or MEMORY)
        return self._database

    def _fall_back(self, trouble: StorageError) -> None:
        """Put something in the failed database's place: a new file, or memory."""
        if self._url is None or self.fallen_back:
            raise trouble  # memory itself failed: there is no other fallback
        self._discard()
        self._database = self._recreated(trouble)
        if self._database is None:
            self._database = self._empty(MEMORY)
            self.fallen_back = True
            self._log_trouble(trouble)

    def _recreated(self, trouble: StorageError) -> Database | None:
        """Begin a new file in place of one that is broken or gone."""
        if not isinstance(trouble, LostStorageError):
            return None
        path = Path(str(file_of(str(self._url))))
        kept = ""
        try:
            if isinstance(trouble, CorruptStorageError):
                kept = f"kept it as {_set_aside(path, int(self._seconds()))}, "
            database = self._empty(str(self._url))
        except (OSError, StorageError):
            return None
        self._log.error(
            "the outbox {path} is lost ({trouble}): {kept}created a new one; builds are found "
            "again in the master's database",
            path=path,
            trouble=trouble,
            kept=kept,
        )
        self._on_lost()
        return database

    def _empty(self, url: str) -> Database:
        """Make a new outbox, whose sequences differ from those of the one that it replaces."""
        database = open_database(url)
        milliseconds = int(self._seconds() * 1000)
        database.transact([partial(count_on_from, sequence=milliseconds)])
        return database

    def restore(self) -> None:
        """Return to the database if it can be used, with what memory holds."""
        database = self._reopened()
        if database is None:
            return
        memory = self._opened()
        [rows] = memory.transact([export])
        try:
            database.transact([partial(take_over, reporter=self._repository.reporter, rows=rows)])
        except StorageError:
            database.close()
            return
        memory.close()
        self._database, self.fallen_back = database, False

    def _reopened(self) -> Database | None:
        try:
            return open_database(str(self._url))
        except StorageError as trouble:
            return self._recreated(trouble)

    def _log_trouble(self, trouble: StorageError) -> None:
        if not self._trouble_logged:
            self._log.error(
                "the outbox {url} can't be used ({trouble}): statuses are kept in memory and "
                "sent from there meanwhile",
                url=masked(str(self._url)),
                trouble=trouble,
            )
        self._trouble_logged = True

    def _log_recovery(self) -> None:
        """Say that all is well once a transaction proves it: a full disk can still be opened."""
        if self._trouble_logged and not self.fallen_back:
            self._log.info("the outbox {url} can be used again", url=masked(str(self._url)))
            self._trouble_logged = False

    def _discard(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def close(self) -> None:
        """Return to the database if that is possible at once, and close it."""
        if self.fallen_back:
            self.restore()
        if self.fallen_back:
            self._log_loss()
        self._discard()

    def _log_loss(self) -> None:
        [waiting] = self._opened().transact([self._repository.waiting])
        if waiting:
            self._log.warn(
                "the outbox {url} still can't be used: {waiting} statuses in memory "
                "are lost at this shutdown; builds are found again in the master's database",
                url=masked(str(self._url)),
                waiting=waiting,
            )


def _set_aside(path: Path, now: int) -> str:
    """Give a broken file another name, and return that."""
    aside = path.with_name(f"{path.name}.broken-{now}")
    if aside.exists():
        raise FileExistsError(aside)
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return aside.name
