"""Autobahn alone, which sends the same bytes to all: in its own way, and in others.

Prints its port; then sends when a line is read, and prints when that was.
"""

from __future__ import annotations

import json
import sys
import time

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from twisted.internet import reactor, stdio
from twisted.protocols.basic import LineReceiver

from buildbot_http_status_push.board.live.browsers import SLICE
from buildbot_http_status_push.board.live.websocket import write_at_once


class Connection(WebSocketServerProtocol):
    """A browser's connection."""

    def onOpen(self) -> None:  # noqa: N802  autobahn's name
        """Tell where it stands."""
        self.factory.connections.add(self)
        self.sendMessage(frame(self.factory.sequence, self.factory.sequence, 0))

    def onClose(self, *_: object) -> None:  # noqa: N802  autobahn's name
        """Forget it."""
        self.factory.connections.discard(self)


def frame(since: int, sequence: int, size: int) -> bytes:
    """Return a frame that looks like a board's, of a size in bytes."""
    told = {"type": "updates", "from": since, "sequence": sequence, "padding": ""}
    told["padding"] = "x" * (size - len(json.dumps(told)))
    return json.dumps(told).encode()


def by_autobahn(connections: set[Connection], message: PreparedMessage) -> None:
    """Send as autobahn's users do."""
    for connection in connections:
        connection.sendPreparedMessage(message)


def by_transport(connections: set[Connection], message: PreparedMessage) -> None:
    """Send without autobahn's work for each message."""
    for connection in connections:
        connection.transport.write(message.payloadHybi)


def at_once(connections: set[Connection], message: PreparedMessage) -> None:
    """Send without a turn of the reactor, as the board does."""
    for connection in connections:
        write_at_once(connection.transport, message.payloadHybi)


def by_socket(connections: set[Connection], message: PreparedMessage) -> None:
    """Send with nothing but a system call: the least that there can be."""
    for connection in connections:
        connection.transport.socket.send(message.payloadHybi)


def in_slices(connections: set[Connection], message: PreparedMessage) -> None:
    """Send at once, as the board does to many."""
    rest = list(connections)
    at_once(set(rest[:SLICE]), message)
    if rest[SLICE:]:
        reactor.callLater(0, in_slices, set(rest[SLICE:]), message)


WAYS = {each.__name__: each for each in (by_autobahn, by_transport, at_once, in_slices, by_socket)}


class Orders(LineReceiver):
    """Sends a frame to all for each line, which names a way to send and a size in bytes."""

    delimiter = b"\n"

    def __init__(self, factory: WebSocketServerFactory) -> None:
        self._factory = factory

    def lineReceived(self, line: bytes) -> None:  # noqa: N802  Twisted's name
        """Send."""
        factory = self._factory
        at = time.monotonic()
        way, size = line.decode().split()
        text = frame(factory.sequence, factory.sequence + 1, int(size))
        factory.sequence += 1
        message = factory.prepareMessage(text, doNotCompress=True)
        WAYS[way](factory.connections, message)
        print(at, flush=True)

    def connectionLost(self, *_: object) -> None:
        """End with the input."""
        if reactor.running:
            reactor.stop()


def main() -> None:
    """Serve until the input ends."""
    factory = WebSocketServerFactory()
    factory.protocol, factory.connections, factory.sequence = Connection, set(), 0
    port = reactor.listenTCP(0, factory, interface="127.0.0.1", backlog=1000)
    stdio.StandardIO(Orders(factory))
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    sys.exit(main())
