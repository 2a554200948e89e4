"""Browsers that follow a board over a WebSocket, and check that they miss nothing.

They run in threads, with a client that is not of autobahn, and do what the board's script does:
they begin where a page stood, and come back from where they were when they lose the connection.
"""

from __future__ import annotations

import json
import re
import time
from threading import Event, Thread
from typing import Any

from support.boards import ask
from websockets.exceptions import InvalidHandshake, InvalidMessage, WebSocketException
from websockets.sync.client import connect

PAUSE = 0.1
LOOK_UP = 0.5


class Follower(Thread):
    """A browser.

    Args:
        port: Where it finds the board, on loopback.

    Attributes:
        sequence: Where it stands.
        faults: What it was told wrong.
        snapshots: How often it was told to look for itself.
        losses: How often it lost its connection.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.epoch, self.sequence = self._page()
        self.faults: list[str] = []
        self.snapshots = 0
        self.losses = 0
        self._ended = Event()

    def _page(self) -> tuple[str, int]:
        page = ask(self.port, "GET", "/").text
        found = re.search(r'data-epoch="(\w+)" data-sequence="(\d+)"', page)
        assert found is not None, page[:500]
        return found[1], int(found[2])

    def run(self) -> None:
        """Follow, until it is told to stop."""
        while not self._ended.is_set():
            try:
                self._follow()
            except (OSError, InvalidHandshake, InvalidMessage, WebSocketException):
                self.losses += 1
                time.sleep(PAUSE)  # as browsers do: it is no use to hurry

    def leave(self) -> None:
        """Leave soon, and do not wait for it."""
        self._ended.set()

    def stop(self) -> None:
        """End."""
        self.leave()
        self.join()

    def _follow(self) -> None:
        address = f"ws://127.0.0.1:{self.port}/live?epoch={self.epoch}&since={self.sequence}"
        with connect(address, close_timeout=LOOK_UP) as connection:
            while not self._ended.is_set():
                try:
                    self._take(json.loads(connection.recv(LOOK_UP)))
                except TimeoutError:
                    continue

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["epoch"] != self.epoch:
            self.faults.append(f"another epoch: {frame}")
        if frame["type"] == "snapshot":
            self.snapshots += 1
        elif frame["type"] == "updates" and frame["from"] != self.sequence:
            self.faults.append(f"from {frame['from']} at {self.sequence}")
        elif frame["type"] == "heard" and frame["sequence"] != self.sequence:
            self.faults.append(f"heard of {frame['sequence']} at {self.sequence}")
        self.sequence = frame["sequence"]
