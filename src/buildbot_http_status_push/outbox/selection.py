"""Which of an outbox's deliveries a person means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from attrs import frozen

from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.schema import deliveries

_d = deliveries.c


@frozen(kw_only=True)
class Selection:
    """What a delivery must be; whatever is left out does not matter.

    Args:
        states: The states that it may be in; empty for any.
        reporter: The name of the reporter that it is of.
        builder: The name of its build's builder.
        title: Its subject in words, such as ``build linux#4``.
        build: The build's id in Buildbot's database.
        came_from: When it entered the outbox at the earliest, in seconds since the epoch.
        came_before: Before when it entered the outbox, in seconds since the epoch.
        with_body: Whether only those are meant whose body is kept.
    """

    states: frozenset[State] = frozenset()
    reporter: str | None = None
    builder: str | None = None
    title: str | None = None
    build: int | None = None
    came_from: float | None = None
    came_before: float | None = None
    with_body: bool = False

    @property
    def condition(self) -> Any:
        """What SQL asks for."""
        return sa.and_(sa.true(), *self._conditions())

    def _conditions(self) -> Iterator[Any]:
        if self.states:
            yield _d.state.in_(sorted(state.value for state in self.states))
        for column, value in (
            (_d.reporter, self.reporter),
            (_d.title, self.title),
            (_d.build, self.build),
        ):
            if value is not None:
                yield column == value
        if self.builder is not None:
            begin = f"build {self.builder}#"
            yield sa.func.substr(_d.title, 1, len(begin)) == begin
        if self.came_from is not None:
            yield _d.created_at >= self.came_from
        if self.came_before is not None:
            yield _d.created_at < self.came_before
        if self.with_body:
            yield _d.body.is_not(None)


ALL = Selection()
