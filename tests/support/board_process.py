"""A board in a process of its own, that can be killed."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.commands import Command

from buildbot_http_status_push.database import file_url


class BoardProcess:
    """``buildbot-http-status-push board``, with its database in a folder.

    Args:
        folder: Where its database is.
        arguments: More arguments.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._arguments = ("--database", file_url(folder / "board.sqlite"), *arguments)
        self._command: Command | None = None
        self.address = ""

    @classmethod
    @contextmanager
    def running(cls, *arguments: str) -> Iterator[BoardProcess]:
        """Start one in a folder of its own; it is ended at the end."""
        with tempfile.TemporaryDirectory() as folder:
            board = cls(Path(folder), *arguments)
            board.start()
            try:
                yield board
            finally:
                board.kill()

    def start(self) -> None:
        """Start it, at the port that it had before, and wait until it listens."""
        port = str(urlsplit(self.address).port or 0)
        self._command = Command("board", "--port", port, *self._arguments)
        line = self._command.line(lambda line: "The board is at" in line)
        assert line, f"the board did not start: {self._command.end()}"
        self.address = next(word for word in line.split() if word.startswith("http")).rstrip(",")

    def kill(self) -> None:
        """End it as a power failure would; nothing happens where it does not run."""
        if self._command is not None:
            self._command.interrupt(signal.SIGKILL)
            self._command.kill()
        self._command = None

    def send(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Send it statuses, and wait until it has kept them."""
        parts = urlsplit(self.address)
        with closing(HTTPConnection(parts.hostname or "", parts.port)) as connection:
            for body in bodies:
                head = {"Content-Type": "application/json"}
                connection.request("POST", "/", json.dumps(body), head)
                answer = connection.getresponse()
                told = answer.read()
                assert answer.status < 300, (answer.status, told)
