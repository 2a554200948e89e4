"""A board on a real port, and requests to it that no library tidies up."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define
from support.fakes import LogBook
from support.statuses import a_body
from twisted.internet import reactor as global_reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from buildbot_http_status_push.board import follower
from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.server import Board, Settings
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import SUCCESS

reactor: Any = global_reactor  # Twisted types it as less than it is

PATIENCE = 30.0


@define
class Answer:
    """What a board answers."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


def ask(
    port: int,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and wait for the answer, in the present thread."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        named = dict(headers or {})
        is_chunked = "Transfer-Encoding" in named
        connection.request(method, path, body, named, encode_chunked=is_chunked)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


class BoardCase(TestCase):
    """A test case with a board."""

    timeout = 60
    access = Access()
    max_body = 20_000
    hosts: tuple[str, ...] = ()
    known: Path | None = None
    public_url: str | None = None
    verdicts: Path | None = None
    notify: Path | None = None

    async def setUp(self) -> None:
        """Start the board; it makes incidents only when a test asks for it."""
        for name in ("GATHER", "EVERY"):
            self.patch(follower, name, 3600.0)
        self.book = LogBook()
        self.url = file_url(self.mktemp())
        settings = Settings(
            database=self.url,
            access=self.access,
            max_body=self.max_body,
            hosts=self.hosts,
            known=self.known,
            public_url=self.public_url,
            verdicts=self.verdicts,
            notify=self.notify,
        )
        self.board = Board(reactor, settings, deferToThread, self.book.log)
        self.port = await self.board.start()

    async def tearDown(self) -> None:
        """Stop it."""
        await self.board.stop()

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send a request; a header's name has an underscore for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer: Answer = await deferToThread(ask, self.port, method, path, body, named)
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page."""
        return await self.ask("GET", path, **headers)

    async def put(self, number: int = 1, results: int | None = SUCCESS, **more: Any) -> Answer:
        """Send a status."""
        body = json.dumps(a_body(number, results, **more)).encode()
        return await self.ask("POST", "/", body)
