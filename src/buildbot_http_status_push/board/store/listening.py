"""Hears that another board has committed something to the same PostgreSQL database.

What is heard is a hint only: nothing is lost where the server can't be reached, where the driver
psycopg 3 is missing or behind a pooler of connections, since the store is looked at every few
seconds anyway. Blocking: runs in a thread of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any

from attrs import define, field
from sqlalchemy.engine import make_url

from buildbot_http_status_push.board.store.statements import CHANNEL

if TYPE_CHECKING:
    from psycopg import Connection

RETRY = 3.0
"""Seconds between two tries to connect."""
LOOK_UP = 0.5
"""Seconds after which the thread looks whether it is to end."""


@define(eq=False)
class Listener:
    """Listens until it is stopped; not through a pooler.

    A session of the server that a pooler shares would go on listening for whoever gets it next,
    whose driver keeps every notification.

    Args:
        url: The database's SQLAlchemy URL; there is nothing to hear of a SQLite file.
        heard: Called, in the thread, when something may have been committed.
    """

    _url: str
    _heard: Callable[[], object]
    _stopped: Event = field(factory=Event, init=False)

    def listen(self) -> None:
        """Listen; returns soon after ``stop``, or at once where there is nothing to hear."""
        with contextlib.suppress(ImportError):
            while self._is_wanted() and self._listen_once():
                self._stopped.wait(RETRY)

    def stop(self) -> None:
        """Make ``listen`` return; may be called in another thread."""
        self._stopped.set()

    def _is_wanted(self) -> bool:
        is_server = make_url(self._url).get_backend_name() == "postgresql"
        return is_server and not self._stopped.is_set()

    def _listen_once(self) -> bool:
        """Listen until the connection is lost; the store's own connections report the trouble.

        Returns:
            Whether there may be something to hear of another time.
        """
        import psycopg

        with (
            contextlib.suppress(psycopg.Error, OSError),
            psycopg.connect(**_parameters(self._url), autocommit=True) as connection,
        ):
            if _is_pooled(connection):
                return False
            connection.execute(f"LISTEN {CHANNEL}")
            # What was committed while nobody listened.
            self._heard()
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=LOOK_UP):
                    self._heard()
        return True


def _is_pooled(connection: Connection[Any]) -> bool:
    """Return whether a pooler answers: it names another process than the server's own."""
    [own] = connection.execute("SELECT pg_backend_pid()").fetchone() or (None,)
    return bool(own != connection.info.backend_pid)


def _parameters(url: str) -> dict[str, Any]:
    """Return libpq's parameters, as SQLAlchemy takes them from a URL."""
    parts = make_url(url)
    named: dict[str, Any] = parts.translate_connect_args(username="user", database="dbname")
    several = {
        name: value if isinstance(value, str) else ",".join(value)
        for name, value in parts.query.items()
    }
    return {**named, **several}
