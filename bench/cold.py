"""What the first page of a board costs that has many builds and knows nothing yet."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.large import Large
from support.outboxes import result
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from buildbot_http_status_push.board.http.documents import RouteRequest
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url

NOW = 1_790_000_000
LARGE = Large(builders=200, builds=50_000, until=NOW, waiting=10_000)


@contextmanager
def large_board() -> Iterator[str]:
    """Have the database of a board as large as ``LARGE``; its URL."""
    with tempfile.TemporaryDirectory() as folder:
        url = file_url(Path(folder) / "board.sqlite")
        database = open_database(url)
        database.transact([LARGE.fill])
        database.close()
        yield url


def first_page(url: str, path: str) -> float:
    """Return the milliseconds of a processor that a page takes, the first one of its board.

    Args:
        url: The board's database.
        path: The page's path.
    """
    clock = Clock()
    clock.advance(NOW)
    store = Store(clock, maybeDeferred, url)
    result(Deferred.fromCoroutine(store.open()))
    pages = Pages(store, clock.seconds, at_once)
    began = time.process_time()
    asked = RouteRequest(path=path, query="", address="http://board/")
    result(Deferred.fromCoroutine(pages.page(asked)))
    took = time.process_time() - began
    result(Deferred.fromCoroutine(store.close()))
    return took * 1000


def first_pages(path: str, times: int) -> tuple[float, ...]:
    """Return what some first views of a page take, in milliseconds of a processor each."""
    with large_board() as url:
        return tuple(first_page(url, path) for _ in range(times))
