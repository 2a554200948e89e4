"""The floor of what a board can do: autobahn alone, which sends the same bytes to all.

Sends when a line is read, and tells when that was; takes its port first.
"""

from __future__ import annotations

import json
import sys
import time

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor, stdio
from twisted.protocols.basic import LineReceiver


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


class Orders(LineReceiver):
    """Sends a frame to all for each line, which is its size."""

    delimiter = b"\n"

    def __init__(self, factory: WebSocketServerFactory) -> None:
        self._factory = factory

    def lineReceived(self, line: bytes) -> None:  # noqa: N802  Twisted's name
        """Send."""
        factory = self._factory
        at = time.monotonic()
        text = frame(factory.sequence, factory.sequence + 1, int(line))
        factory.sequence += 1
        message = factory.prepareMessage(text, doNotCompress=True)
        for connection in factory.connections:
            connection.sendPreparedMessage(message)
        print(at, flush=True)

    def connectionLost(self, *_: object) -> None:
        """End with the input."""
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
