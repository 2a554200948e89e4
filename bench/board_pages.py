"""The processor time that pages and answers of a board take, the first time and again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from time import process_time

from attrs import frozen
from support.outboxes import result
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from buildbot_http_status_push.board.http.documents import RouteRequest
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.programs.api_routes import ApiRoutes
from buildbot_http_status_push.board.store.store import Store

BEST_OF = 40
"""Other programs on the machine make the same work dearer, for seconds at a time."""


@frozen
class Cost:
    """What a page or an answer takes, in milliseconds of a processor.

    Args:
        first: For a board that has been started just now.
        again: After another reader has asked for it.
    """

    first: float
    again: float


def costs(urls: Sequence[str], now: int, asked: Iterable[str]) -> list[tuple[Cost, ...]]:
    """Return what pages and answers take, the best of several times, in their order.

    Args:
        urls: Databases of boards that are compared. All are asked in turn, for a machine may be
            slow for a minute.
        now: Seconds since the epoch.
        asked: Paths, each with its query.

    Returns:
        For each path its cost on each board.
    """
    paths = list(asked)
    best = {(path, url): Cost(inf, inf) for path in paths for url in urls}
    for _ in range(BEST_OF):
        for path, url in best:
            board = Board(url, now)
            first, *again = [board.milliseconds(path) for _ in range(3)]
            board.close()
            known = best[path, url]
            best[path, url] = Cost(min(known.first, first), min(known.again, *again))
    return [tuple(best[path, url] for url in urls) for path in paths]


class Board:
    """A board that nobody has asked yet.

    Args:
        url: Its database.
        now: Seconds since the epoch.
    """

    def __init__(self, url: str, now: int) -> None:
        clock = Clock()
        clock.advance(now)
        self.store = Store(clock, maybeDeferred, url)
        result(Deferred.fromCoroutine(self.store.open()))
        self._pages = Pages(self.store, clock.seconds, at_once)
        self._routes = dict(ApiRoutes(self.store, clock.seconds, at_once).routes)
        self._readers = 0

    def milliseconds(self, asked: str) -> float:
        """Return what one reader's page or answer takes."""
        path, _, query = asked.partition("?")
        self._readers += 1
        address = f"http://reader-{self._readers}/"  # else it would be the page that is kept
        request = RouteRequest(path=path, query=query, address=address)
        answer = self._routes.get(path, self._pages.page)
        began = process_time()
        result(Deferred.fromCoroutine(answer(request)))
        return 1000 * (process_time() - began)

    def close(self) -> None:
        """End it."""
        result(Deferred.fromCoroutine(self.store.close()))
