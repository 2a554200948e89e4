"""Hears that another board has committed something to the same PostgreSQL database.

What is heard is a hint only: nothing is lost where the server can't be reached, where the driver
psycopg 3 is missing or where a proxy of connections swallows it, since the store is looked at every
few seconds anyway. Blocking: runs in a thread of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Event
from typing import Any

from attrs import define, field
from sqlalchemy.engine import make_url

from buildbot_http_status_push.board.store.statements import CHANNEL

RETRY = 3.0
"""Seconds between two tries to connect."""
LOOK_UP = 0.5
"""Seconds after which the thread looks whether it is to end."""


@define(eq=False)
class Listener:
    """Listens until it is told to stop.

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
            while self._is_wanted():
                self._listen_once()
                self._stopped.wait(RETRY)

    def stop(self) -> None:
        """Make ``listen`` return; may be called in another thread."""
        self._stopped.set()

    def _is_wanted(self) -> bool:
        is_server = make_url(self._url).get_backend_name() == "postgresql"
        return is_server and not self._stopped.is_set()

    def _listen_once(self) -> None:
        """Listen until the connection is lost; the store's own connections tell of the trouble."""
        import psycopg

        with (
            contextlib.suppress(psycopg.Error, OSError),
            psycopg.connect(**_parameters(self._url), autocommit=True) as connection,
        ):
            connection.execute(f"LISTEN {CHANNEL}")
            # What was committed while nobody listened.
            self._heard()
            while not self._stopped.is_set():
                for _ in connection.notifies(timeout=LOOK_UP):
                    self._heard()


def _parameters(url: str) -> dict[str, Any]:
    """Return libpq's parameters, as SQLAlchemy takes them from a URL."""
    parts = make_url(url)
    named: dict[str, Any] = parts.translate_connect_args(username="user", database="dbname")
    several = {
        name: value if isinstance(value, str) else ",".join(value)
        for name, value in parts.query.items()
    }
    return {**named, **several}
