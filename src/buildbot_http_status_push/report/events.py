"""Which Buildbot event is being handled, for code that Buildbot does not hand it to.

Buildbot calls ``sendMessage`` with the reports only; the event that they come from is known to
whoever handles it through a context variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from attrs import define


@define
class Event:
    """One event on its way through the generators.

    Args:
        key: The routing key, such as ``("builds", "7", "finished")``.
        message: The event's content: for builds the build as the data API gives it, for other
            things mostly a dict too.
        settled: Whether a generator has said that this event will never give a report.
        failed: Whether the report could not be made now and is to be tried again.
        sent: How many deliveries came of it until now.
        again: Whether it is to be sent though it was before.
    """

    key: tuple[str, ...]
    message: Any
    settled: bool = False
    failed: bool = False
    sent: int = 0
    again: bool = False

    @property
    def path(self) -> tuple[str, ...]:
        """What the event is about: kinds and ids in turn, such as ``("builds", "7")``."""
        return self.key[:-1]

    @property
    def kind(self) -> str:
        """What kind of thing it is about, such as ``builds``; the last one that is named."""
        named = self.path[::2] or self.key
        return named[-1]


_CURRENT: ContextVar[Event | None] = ContextVar("buildbot_http_status_push_event", default=None)


def current() -> Event | None:
    """Return the event that is being handled, None where there is none."""
    return _CURRENT.get()


@contextmanager
def handling(event: Event) -> Iterator[None]:
    """Make an event the current one, for what is called (and what that awaits)."""
    token = _CURRENT.set(event)
    try:
        yield
    finally:
        _CURRENT.reset(token)
