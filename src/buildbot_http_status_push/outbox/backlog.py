"""Finds what may be sent now: of each free lane its first, retries, or a failing group's turn.

Made of plain looks at one index each: what is clever in a query is slow on some day, when the
database's planner misjudges it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import takewhile
from typing import Any, TypeAlias

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import State, Turn
from buildbot_http_status_push.outbox.schema import IS_WAITING, deliveries
from buildbot_http_status_push.prepared_statements import Prepared

PAGE = 200
SHARE_LEAST = 4
"""So many lanes of a group are looked at where groups are looked at one by one."""

_d = deliveries.c
_given = sa.bindparam
_mine = _d.reporter == _given("of_reporter")
_mine_waiting = sa.and_(_mine, _d.state == State.WAITING.value)
_mine_waiting_by_group = sa.and_(_mine, sa.text(IS_WAITING))
_of_group = _d.group == _given("of_group")

_leased = deliveries.alias()
_leased_lanes = sa.select(_leased.c.lane).where(
    _leased.c.reporter == _given("of_reporter"),
    _leased.c.owner.is_not(None),
    _leased.c.lease_until > _given("now"),
)
_lane_is_free = _d.lane.not_in(_leased_lanes)
_place = sa.select(_d.sequence, _d.lane).limit(_given("most", type_=sa.Integer))

Pages: TypeAlias = tuple[Prepared, Prepared]
"""The first page, and those that follow, without the lanes that have been seen."""


def _pages(first: sa.Select[Any]) -> Pages:
    return Prepared(lambda: first), Prepared(lambda seen: first.where(_d.lane.not_in(seen)))


_waiting_of_group = _place.where(_mine_waiting_by_group, _of_group, _lane_is_free)
# Nothing but a retry has a next attempt.
_retries_of_group = (
    _place.add_columns(_d.next_attempt)
    .where(_mine, _of_group, _d.next_attempt <= _given("now"), _lane_is_free)
    .order_by(_d.next_attempt, _d.sequence)
)

_WAITING = _pages(_place.where(_mine_waiting, _lane_is_free).order_by(_d.sequence))
_WAITING_OF_GROUP = _pages(_waiting_of_group.order_by(_d.sequence))
_RETRIES_OF_GROUP = _pages(_retries_of_group)
_WAITING_AFTER = Prepared(
    lambda: _waiting_of_group.where(_d.sequence > _given("after", type_=sa.BigInteger)).order_by(
        _d.sequence
    )
)


def _groups(mine: Any, *conditions: Any) -> Prepared:
    """Return what finds the groups of some rows, by one look at an index for each group."""
    first = sa.select(sa.func.min(_d.group).label("name")).where(mine)
    found = first.cte("found", recursive=True)
    next_one = sa.select(sa.func.min(_d.group)).where(mine, _d.group > found.c.name)
    following = sa.select(next_one.correlate(found).scalar_subquery())
    found = found.union_all(following.select_from(found).where(found.c.name.is_not(None)))
    any_row = sa.select(_d.sequence).where(_mine, _d.group == found.c.name, *conditions)
    is_there = [any_row.correlate(found).exists()] if conditions else []
    return Prepared(lambda: sa.select(found.c.name).where(found.c.name.is_not(None), *is_there))


_GROUPS_WAITING = _groups(_mine_waiting_by_group)
_GROUPS_RETRYING = _groups(
    sa.and_(_mine, _d.next_attempt.is_not(None)), _d.next_attempt <= _given("now")
)

_HEAD = Prepared(
    lambda: sa.select(sa.func.min(_d.sequence)).where(_mine_waiting, _d.lane == _given("of_lane"))
)

_OF_LANE = Prepared(
    lambda: (
        sa.select(_d.sequence, _d.subject)
        .where(_mine_waiting, _d.lane == _given("of_lane"), _lane_is_free)
        .order_by(_d.sequence)
        .limit(_given("most", type_=sa.Integer))
    )
)


@frozen
class Place:
    """Where a delivery stands in the backlog.

    Args:
        sequence: Its place in the order of all deliveries.
        more: Whether others may wait in its lane.
        order: Its place among those of its kind.
    """

    sequence: int
    more: bool
    order: tuple[float, int] = (0.0, 0)


@frozen
class Backlog:
    """A reporter's deliveries that are still to be sent."""

    connection: Connection
    reporter: str
    now: float

    def in_order(self, limit: int, held: Collection[str] = ()) -> list[Place]:
        """Return waiting ones, then retries that are due, without those of the groups held.

        While groups are held each of the others is looked at by itself: the backlog of those that
        are held may be long.
        """
        lanes: dict[str, Place] = {}
        if held:
            self._share(lanes, _WAITING_OF_GROUP, self._groups(_GROUPS_WAITING, held), limit)
            self._leave_heads(lanes)
        else:
            self._fill(lanes, _WAITING, limit)
        if len(lanes) < limit:
            self._share(lanes, _RETRIES_OF_GROUP, self._groups(_GROUPS_RETRYING, held), limit)
        return list(lanes.values())

    def in_turn(self, limit: int, turns: Iterable[Turn]) -> list[Place]:
        """Return one of each group whose turn it is, as far as it has any."""
        places: list[Place] = []
        for turn in turns:
            if len(places) < limit and (sequence := self._of_turn(turn)) is not None:
                places.append(Place(sequence, more=True))
        return places

    def _groups(self, statement: Prepared, held: Collection[str]) -> list[str]:
        mine = {"of_reporter": self.reporter, "now": self.now}
        rows = statement.rows(self.connection, mine)
        return [row.name for row in rows if row.name not in held]

    def _share(
        self, lanes: dict[str, Place], pages: Pages, groups: Collection[str], limit: int
    ) -> None:
        """Add the first ones of some groups."""
        room = limit - len(lanes)
        share = min(room, max(SHARE_LEAST, 2 * room // max(1, len(groups))))
        found: dict[str, Place] = {}
        for group in groups:
            of_group = dict(lanes)
            self._fill(of_group, pages, len(lanes) + share, of_group=group)
            found = {**of_group, **found}
        new = ((lane, place) for lane, place in found.items() if lane not in lanes)
        lanes.update(sorted(new, key=lambda each: each[1].order)[:room])

    def _leave_heads(self, lanes: dict[str, Place]) -> None:
        """Leave out what another group's delivery precedes in its lane."""
        for lane, place in list(lanes.items()):
            if self._number(_HEAD, of_lane=lane) != place.sequence:
                del lanes[lane]

    def _fill(self, lanes: dict[str, Place], pages: Pages, limit: int, **given: Any) -> None:
        first, following = pages
        size = min(PAGE, 4 * limit)
        while len(lanes) < limit:
            rows = (
                self._page(following, most=size, seen=list(lanes), **given)
                if lanes
                else self._page(first, most=size, **given)
            )
            for row in rows:
                if row.lane in lanes:
                    lanes[row.lane] = evolve(lanes[row.lane], more=True)
                elif len(lanes) < limit:
                    # Behind a full page nobody has looked.
                    order = (getattr(row, "next_attempt", 0.0), row.sequence)
                    lanes[row.lane] = Place(row.sequence, len(rows) == size, order)
            if len(rows) < size:
                return

    def _of_turn(self, turn: Turn) -> int | None:
        """Return what a group tries next: what was not tried yet, the next lane, or a retry."""
        if turn.newer_in and (newer := self._newer(turn.newer_in)):
            return newer
        for after in (turn.highest,) if turn.untried else (turn.highest, turn.last, -1):
            if (found := self._first_head(turn.group, after)) is not None:
                return found
        retries = [] if turn.untried else self._page(_RETRIES_OF_GROUP[0], of_group=turn.group)
        return next((row.sequence for row in retries), None)

    def _first_head(self, group: str, after: int) -> int | None:
        """Return the first behind a place that nothing precedes in its lane."""
        seen: set[str] = set()
        for row in self._page(_WAITING_AFTER, of_group=group, after=after):
            if row.lane not in seen and self._number(_HEAD, of_lane=row.lane) == row.sequence:
                return int(row.sequence)
            seen.add(row.lane)
        return None

    def _newer(self, lane: str) -> int | None:
        rows = self._page(_OF_LANE, of_lane=lane)
        same = list(takewhile(lambda row: row.subject == rows[0].subject, rows))
        return int(same[-1].sequence) if len(same) > 1 else None

    def _page(self, statement: Prepared, **given: Any) -> list[Any]:
        always = {"of_reporter": self.reporter, "now": self.now, "most": PAGE}
        return statement.rows(self.connection, {**always, **given})

    def _number(self, statement: Prepared, **given: str) -> int:
        return statement.scalar(self.connection, {"of_reporter": self.reporter, **given}) or 0
