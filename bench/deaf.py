"""Browsers that read nothing at all, among others that do."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from attrs import frozen

from bench.crowds import Board, Crowd, Told, crowded, memory_of, tell

DEAF = 100
CHANGES = 120
"""Two a second, for a minute."""
SMALL = 4096
"""Bytes that the kernel keeps for who does not read, about."""
ASKED = (
    "GET /live?epoch={epoch}&since={since} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@frozen
class Deafness:
    """What deaf browsers cost.

    Args:
        growth: MiB that the board grew by.
        without: What the others were told without them.
        among: The same with them.
    """

    growth: float
    without: Told
    among: Told


def deafness(board: Board, count: int) -> Deafness:
    """Measure.

    Args:
        board: The board.
        count: How many browsers read what they are told.
    """
    epoch, since = board.position()
    with crowded(board.process, board.port, count, epoch, since) as (crowd, _):
        without = _told(board, crowd)
        with _deaf(board.port, epoch, board.position()[1]):
            before = memory_of(board.process)
            among = _told(board, crowd)
            growth = (memory_of(board.process) - before) / 1024
    return Deafness(growth, without, among)


def _told(board: Board, crowd: Crowd) -> Told:
    return tell(board, crowd, board.position()[1], CHANGES, memory=0)


@contextlib.contextmanager
def _deaf(port: int, epoch: str, since: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(DEAF):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            connection.connect(("127.0.0.1", port))
            connection.sendall(ASKED.format(epoch=epoch, since=since, port=port).encode())
        yield
