"""Boards and browsers in processes of their own, and what is measured of them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attrs import frozen

BUILDERS = 200
IN_A_PROCESS = 1_250
BETWEEN = 0.5
ROUNDS = 4
"""How often a board and what it is measured against have their turn."""
SENDERS = 8
KIBIBYTE = 1024
BEGAN = int(time.time()) - 1_000_000


class Board:
    """A board in a process of its own.

    Args:
        folder: Where its database is.
        port: Its port, 0 for any.
    """

    def __init__(self, folder: str, port: int = 0) -> None:
        command = [sys.executable, "-m", "buildbot_http_status_push", "board", "--port", str(port)]
        self.process = subprocess.Popen(  # noqa: S603 - this project's own command
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        self.port = int(re.findall(r":(\d+)/", self.process.stdout.readline())[0])
        self._kept = threading.local()

    def post(self, number: int) -> float:
        """Send a status on this thread's connection, and return when it was accepted."""
        connection = self._connection()
        try:
            connection.request("POST", "/", json.dumps(body(number)))
        except ConnectionError:  # the board has closed it, while many browsers came
            connection.close()
            connection.request("POST", "/", json.dumps(body(number)))
        answer = connection.getresponse()
        at = time.monotonic()
        answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"a status was answered with {answer.status}")
        return at

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._kept, "connection"):
            self._kept.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        kept: http.client.HTTPConnection = self._kept.connection
        return kept

    def position(self) -> tuple[str, int]:
        """Return epoch and sequence, as the overview tells them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/")
        page = connection.getresponse().read().decode()
        connection.close()
        [(epoch, sequence)] = re.findall(r'data-epoch="(\w+)" data-sequence="(\d+)"', page)
        return epoch, int(sequence)

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


def body(number: int) -> dict[str, Any]:
    """Return a status of one of the builders; each is of a build of its own.

    A builder stays as it is: one that breaks or is mended is two updates, its incident's too.
    """
    place, began = number % BUILDERS, BEGAN + number
    return {
        "buildid": number + 1,
        "number": number // BUILDERS + 1,
        "builderid": place,
        "builder": {"name": f"builder {place}", "tags": ["stable"]},
        "started_at": began,
        "complete_at": began + 60,
        "complete": True,
        "results": 0 if place % 7 else 2,
        "state_string": "finished",
        "properties": {"workername": ["worker", "Worker"]},
        "url": f"https://ci.example.org/#/builders/{place}/builds/1",
        "buildset": {"sourcestamps": [{"branch": "main", "revision": f"r{number // BUILDERS}"}]},
    }


class Crowd:
    """Browsers, in as many processes as they need.

    Args:
        port: Where they connect.
        count: How many there are.
        epoch: The order of updates.
        since: Where they begin.
    """

    def __init__(self, port: int, count: int, epoch: str, since: int) -> None:
        sizes = [min(IN_A_PROCESS, count - begun) for begun in range(0, count, IN_A_PROCESS)]
        self._processes = [
            subprocess.Popen(  # noqa: S603 - the bench's own module
                [sys.executable, "-m", "bench.watchers", *map(str, (port, size, epoch, since))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for size in sizes
        ]
        self.count = count
        self._read()

    def report(self) -> list[dict[str, Any]]:
        """Return what each process tells."""
        for process in self._processes:
            print(file=process.stdin, flush=True)
        return self._read()

    def _read(self) -> list[dict[str, Any]]:
        return [json.loads(process.stdout.readline()) for process in self._processes]  # type: ignore[union-attr]  # pipes

    def live(self) -> int:
        """Return how many are live."""
        return sum(each["live"] for each in self.report())

    def end(self) -> None:
        """End all."""
        for process in self._processes:
            process.kill()
            process.communicate()


@frozen(kw_only=True)
class Told:
    """What a number of browsers was told.

    Args:
        median: Milliseconds from acceptance to a frame received, of the median frame.
        late: The same of the 99th percentile.
        processor: Microseconds of the server's processor time a frame and browser.
        memory: KiB that a browser costs the server.
    """

    median: float
    late: float
    processor: float
    memory: float


def told(
    crowd: Crowd,
    accepted: dict[int, float],
    process: subprocess.Popen[str],
    used: float,
    memory: float,
) -> Told:
    """Wait until all browsers have the last change, and return what they were told.

    Args:
        crowd: The browsers.
        accepted: When each change was accepted, in their order.
        process: The server's.
        used: The seconds of a processor that it had used before.
        memory: KiB that the browsers cost.
    """
    reports: list[dict[str, Any]] = []
    last, heard = max(accepted), 0
    while heard < crowd.count:
        time.sleep(0.5)
        new = crowd.report()
        heard += sum(count for each in new for number, _, count in each["seen"] if number >= last)
        reports += new
    lags: list[tuple[float, int]] = []
    for sequence, at, count in (each for report in reports for each in report["seen"]):
        if sequence in accepted:
            lags.append((max(at - accepted[sequence] * 1000, 0), count))
    lags.sort()
    frames = sum(count for _, count in lags)
    check(reports)
    return Told(
        median=_at(lags, frames * 0.5),
        late=_at(lags, frames * 0.99),
        processor=(processor_of(process) - used) * 1e6 / frames,
        memory=memory / crowd.count,
    )


def check(reports: list[dict[str, Any]]) -> None:
    """See that nobody missed anything.

    Raises:
        RuntimeError: Somebody did.
    """
    faults = sum(report["faults"] for report in reports)
    if faults:
        raise RuntimeError(f"browsers found {faults} holes and repeats")


def _at(lags: list[tuple[float, int]], place: float) -> float:
    passed = 0
    for lag, count in lags:
        passed += count
        if passed >= place:
            return lag
    return lags[-1][0]


def processor_of(process: subprocess.Popen[str]) -> float:
    """Return the seconds of a processor that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(process: subprocess.Popen[str]) -> float:
    """Return the KiB that a process has in memory."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return float(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


@contextlib.contextmanager
def crowded(process: subprocess.Popen[str], *asked: Any) -> Iterator[tuple[Crowd, float]]:
    """Let browsers watch; yields them and the KiB that they cost."""
    before = memory_of(process)
    crowd = Crowd(*asked)
    try:
        yield crowd, memory_of(process) - before
    finally:
        crowd.end()


def watch_both(board: Board, count: int, changes: int, size: int) -> list[tuple[Told, Told]]:
    """Measure a board and autobahn alone in turn, each with as many browsers.

    Args:
        board: The board.
        count: How many browsers each has.
        changes: How many changes each tells, in all rounds together.
        size: The bytes of a frame.

    Returns:
        What was measured in each round, of the board and of autobahn.
    """
    epoch, since = board.position()
    each = max(changes // ROUNDS, 1)
    with (
        floor() as alone,
        crowded(board.process, board.port, count, epoch, since) as (crowd, memory),
        crowded(alone.process, alone.port, count, "floor", 0) as (others, least),
    ):
        return [
            (
                tell(board, crowd, board.position()[1], each, memory),
                alone.tell(others, each, size, least),
            )
            for _ in range(ROUNDS)
        ]


def tell(board: Board, crowd: Crowd, since: int, changes: int, memory: float) -> Told:
    """Let a board tell browsers some changes, and return what they were told.

    Args:
        board: The board.
        crowd: Its browsers.
        since: Where the board stands.
        changes: How many changes there are.
        memory: KiB that the browsers cost.
    """
    used, accepted = processor_of(board.process), {}
    for nth in range(1, changes + 1):
        accepted[since + nth] = board.post(since + nth)
        time.sleep(BETWEEN)
    return told(crowd, accepted, board.process, used, memory)


class Alone:
    """Autobahn alone, in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.broadcast"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._line())
        self._sequence = 0

    def tell(
        self, crowd: Crowd, changes: int, size: int, memory: float, way: str = "by_autobahn"
    ) -> Told:
        """Let it send browsers some frames of a size in bytes, in one of its ways."""
        used, accepted = processor_of(self.process), {}
        for _ in range(changes):
            self._sequence += 1
            print(way, size, file=self.process.stdin, flush=True)
            accepted[self._sequence] = float(self._line())
            time.sleep(BETWEEN)
        return told(crowd, accepted, self.process, used, memory)

    def _line(self) -> str:
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        return self.process.stdout.readline()


@contextlib.contextmanager
def floor() -> Iterator[Alone]:
    """Run autobahn alone."""
    alone = Alone()
    try:
        yield alone
    finally:
        alone.process.kill()
        alone.process.communicate()


def frame_size(board: Board) -> int:
    """Return how many bytes the frame of one change has."""
    epoch, sequence = board.position()
    board.post(sequence + 1)
    connection = http.client.HTTPConnection("127.0.0.1", board.port, timeout=60)
    connection.request("GET", f"/live/updates?epoch={epoch}&since={sequence}")
    return len(connection.getresponse().read())


def intake(board: Board, count: int, statuses: int) -> float:
    """Return how many statuses a second are committed while browsers watch."""
    epoch, since = board.position()
    with (
        crowded(board.process, board.port, count, epoch, since),
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        began = time.monotonic()
        list(pool.map(board.post, range(since + 1, since + 1 + statuses)))
        return statuses / (time.monotonic() - began)


def restart(folder: str, board: Board, count: int) -> tuple[Board, float]:
    """Kill a board and start it again.

    Returns:
        The new one, and after how many seconds all browsers were live again.
    """
    epoch, since = board.position()
    crowd = Crowd(board.port, count, epoch, since)
    try:
        board.end()
        while crowd.live():
            time.sleep(0.1)
        began = time.monotonic()
        again = Board(folder, board.port)
        while crowd.live() < count:
            time.sleep(0.2)
        took = time.monotonic() - began
        check(crowd.report())
        return again, took
    finally:
        crowd.end()


def page_view(board: Board, views: int) -> float:
    """Return the milliseconds of the board's processor time that a view of the overview takes."""
    used = processor_of(board.process)
    for _ in range(views):
        board.position()
    return (processor_of(board.process) - used) * 1000 / views
