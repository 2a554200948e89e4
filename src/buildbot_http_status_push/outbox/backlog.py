"""Finds what may be sent now: of each free lane its first, or retries beside it.

Made of plain looks at one index each: what is clever in a query is slow on some day, when the
database's planner misjudges it.
"""

from __future__ import annotations

from itertools import takewhile
from typing import Any, TypeAlias

import sqlalchemy as sa
from attrs import evolve, frozen
from sqlalchemy.engine import Connection

from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.schema import deliveries
from buildbot_http_status_push.prepared import Prepared

PAGE = 200

_d = deliveries.c
_given = sa.bindparam
_mine = _d.reporter == _given("of_reporter")
_mine_waiting = sa.and_(_mine, _d.state == State.WAITING.value)

_leased = deliveries.alias()
_leased_lanes = sa.select(_leased.c.lane).where(
    _leased.c.reporter == _given("of_reporter"),
    _leased.c.owner.is_not(None),
    _leased.c.lease_until > _given("now"),
)
_lane_is_free = sa.and_(_d.lane.not_in(_leased_lanes), _d.lane != _given("avoid"))
_place = sa.select(_d.sequence, _d.lane).limit(_given("most", type_=sa.Integer))

_waiting = _place.where(_mine_waiting, _lane_is_free).order_by(_d.sequence)
_WAITING = Prepared(lambda: _waiting)
_WAITING_FROM = Prepared(
    lambda: _waiting.where(_d.sequence >= _given("first", type_=sa.BigInteger))
)

# Nothing but a retry has a next attempt.
_retries = _place.where(_mine, _d.next_attempt <= _given("now"), _lane_is_free).order_by(
    _d.next_attempt, _d.sequence
)

Pages: TypeAlias = tuple[Prepared, Prepared]
"""The first page, and those that follow, without the lanes that have been seen."""


def _pages(first: sa.Select[Any]) -> Pages:
    return Prepared(lambda: first), Prepared(lambda seen: first.where(_d.lane.not_in(seen)))


_WAITING_PAGES, _RETRIES_PAGES = _pages(_waiting), _pages(_retries)

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

# Two queries: an index answers each at once, but not both in one.
_LOW = Prepared(lambda: sa.select(sa.func.min(_d.sequence)).where(_mine_waiting))
_HIGH = Prepared(lambda: sa.select(sa.func.max(_d.sequence)).where(_mine_waiting))


@frozen
class Place:
    """Where a delivery stands in the backlog.

    Args:
        sequence: Its place in the order of all deliveries.
        more: Whether others may wait in its lane.
    """

    sequence: int
    more: bool


@frozen
class Backlog:
    """A reporter's deliveries that are still to be sent.

    Args:
        connection: The running transaction.
        reporter: The reporter's name.
        now: The time, in seconds since the epoch.
    """

    connection: Connection
    reporter: str
    now: float

    def in_order(self, limit: int, avoid: str = "") -> list[Place]:
        """Return waiting ones, then retries that are due."""
        lanes: dict[str, Place] = {}
        for pages in (_WAITING_PAGES, _RETRIES_PAGES):
            self._fill(lanes, pages, limit, avoid)
        return list(lanes.values())

    def for_probe(self, draw: float, avoid: str, *, strict: bool, newer: bool) -> list[Place]:
        """Return one of another lane than the avoided one, else of what there is.

        Args:
            draw: From 0 to 1: where to look first; 1 is what came last.
            avoid: The lane to avoid.
            strict: Whether to return none rather than one of that lane, or a retry.
            newer: Whether to return the newest one of the build at the head of that lane instead,
                if it is not the first.
        """
        if newer and (found := self._newer(avoid)):
            return found
        waiting = self._drawn(draw, avoid)
        if waiting or strict:
            return waiting
        return self.in_order(1, avoid) or self.in_order(1)

    def _fill(self, lanes: dict[str, Place], pages: Pages, limit: int, avoid: str) -> None:
        first, following = pages
        while len(lanes) < limit:
            rows = (
                self._page(following, avoid=avoid, seen=list(lanes))
                if lanes
                else self._page(first, avoid=avoid)
            )
            for row in rows:
                if row.lane in lanes:
                    lanes[row.lane] = evolve(lanes[row.lane], more=True)
                elif len(lanes) < limit:
                    # Behind a full page nobody has looked.
                    lanes[row.lane] = Place(row.sequence, more=len(rows) == PAGE)
            if len(rows) < PAGE:
                return

    def _newer(self, lane: str) -> list[Place]:
        rows = self._page(_OF_LANE, of_lane=lane, avoid="")
        same = list(takewhile(lambda row: row.subject == rows[0].subject, rows))
        return [Place(same[-1].sequence, more=True)] if len(same) > 1 else []

    def _drawn(self, draw: float, avoid: str) -> list[Place]:
        low, high = self._number(_LOW), self._number(_HIGH)
        first = low + int(draw * (high - low))
        for statement in (_WAITING_FROM, _WAITING):
            for row in self._page(statement, avoid=avoid, first=first, most=1):
                return [Place(self._number(_HEAD, of_lane=row.lane), more=True)]
        return []

    def _page(self, statement: Prepared, **given: Any) -> list[Any]:
        always = {"of_reporter": self.reporter, "now": self.now, "most": PAGE}
        return statement.rows(self.connection, {**always, **given})

    def _number(self, statement: Prepared, **given: str) -> int:
        return statement.scalar(self.connection, {"of_reporter": self.reporter, **given}) or 0
