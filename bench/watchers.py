"""A process of browsers that watch a board, with a client that is not autobahn's.

Tells on its output, a JSON object a line, when all have connected and, for each line of input,
what they were told since: how late, and what was missing or came twice.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

KIND = re.compile(rb'^\{"type": ?"(\w+)"')
FROM = re.compile(rb'[{,] ?"from": ?(\d+)')
SEQUENCE = re.compile(rb'[{,] ?"sequence": ?(\d+)')

AT_ONCE = 50
"""How many shake hands at the same time."""


class Watchers:
    """Browsers of one process.

    Args:
        port: Where the board is.
        epoch: The order of updates.
        since: Where all begin.
    """

    def __init__(self, port: int, epoch: str, since: int) -> None:
        self._address = f"ws://127.0.0.1:{port}/live?epoch={epoch}"
        self._since = since
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._seen: Counter[tuple[int, int]] = Counter()
        self.live: set[int] = set()
        self.faults = 0

    async def watch(self, number: int) -> None:
        """Watch for ever, as a browser that comes back where it was."""
        sequence = self._since
        while True:
            try:
                async with self._gate:
                    connection = await connect(
                        f"{self._address}&since={sequence}", compression=None, open_timeout=60
                    )
                while True:
                    text = await connection.recv(decode=False)
                    sequence = self._take(text, sequence)
                    self.live.add(number)
            except (OSError, TimeoutError, WebSocketException):
                pass
            self.live.discard(number)
            await asyncio.sleep(random.random())  # noqa: S311 - as the board's script does

    def _take(self, text: bytes, sequence: int) -> int:
        # To parse the whole frame takes longer than all that is measured here.
        kind, told = _first(KIND, text), int(_first(SEQUENCE, text))
        if kind == b"updates":
            self.faults += int(_first(FROM, text)) != sequence
            if told != sequence:
                self._seen[told, int(time.monotonic() * 1000)] += 1
        else:
            self.faults += kind != b"heard" or told != sequence
        return told

    def report(self) -> dict[str, Any]:
        """Tell what there was since the last report."""
        seen, self._seen = self._seen, Counter()
        told = [(sequence, at, count) for (sequence, at), count in seen.items()]
        return {"live": len(self.live), "faults": self.faults, "seen": told}


def _first(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    found = pattern.search(text)
    return found[1] if found else b"0"


async def main(port: int, count: int, epoch: str, since: int) -> None:
    """Watch until the input ends."""
    watchers = Watchers(port, epoch, since)
    watching = [asyncio.ensure_future(watchers.watch(number)) for number in range(count)]
    while len(watchers.live) < count:
        await asyncio.sleep(0.05)
    print(json.dumps(watchers.report()), flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(watchers.report()), flush=True)
    for each in watching:
        each.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
