"""Browsers that read nothing at all, among others that do."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from attrs import frozen

from bench.crowds import ROUNDS, Board, Told, crowded, memory_of, tell

DEAF = 100
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
        growth: MiB that the board grew by, in each round.
        rounds: What the others were told without them and with them, in each round.
    """

    growth: tuple[float, ...]
    rounds: list[tuple[Told, Told]]


def deafness(board: Board, count: int, changes: int) -> Deafness:
    """Measure without them and with them in turn.

    Args:
        board: The board.
        count: How many browsers read what they are told.
        changes: How many changes there are with them, in all rounds together.
    """
    epoch, since = board.position()
    rounds, growth = [], []
    each = max(changes // ROUNDS, 1)
    with crowded(board.process, board.port, count, epoch, since) as (crowd, _):
        for _ in range(ROUNDS):
            without = tell(board, crowd, board.position()[1], each, memory=0)
            with _deaf(board.port, epoch, board.position()[1]):
                before = memory_of(board.process)
                among = tell(board, crowd, board.position()[1], each, memory=0)
                growth.append((memory_of(board.process) - before) / 1024)
            rounds.append((without, among))
    return Deafness(tuple(growth), rounds)


@contextlib.contextmanager
def _deaf(port: int, epoch: str, since: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(DEAF):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            connection.connect(("127.0.0.1", port))
            connection.sendall(ASKED.format(epoch=epoch, since=since, port=port).encode())
        yield
