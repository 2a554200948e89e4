"""A receiver in a process of its own, as lean as can be: the sender is what is measured.

``POST /kept`` keeps the body with the time it was accepted, ``POST /counted`` only counts,
``GET /`` returns what was kept as JSON and forgets it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Factory, Protocol

HEAD_END = b"\r\n\r\n"


class Kept:
    """The bodies that came, and when."""

    def __init__(self) -> None:
        self.bodies: list[tuple[float, bytes]] = []

    def tell(self) -> bytes:
        """Return build, whether it is complete, and the time of each, and forget them."""
        bodies, self.bodies = self.bodies, []
        return json.dumps([_told(at, json.loads(body)) for at, body in bodies]).encode()


def _told(at: float, build: dict[str, Any]) -> list[Any]:
    return [build["buildid"], build["complete"], at]


class Connection(Protocol):
    """One kept-alive HTTP/1.1 connection; bodies have a Content-Length."""

    transport: ITransport  # it is there before anything comes

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._buffer = b""

    def dataReceived(self, data: bytes) -> None:
        """Answer each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(HEAD_END)) >= 0:
            head, begin = self._buffer[:end], end + len(HEAD_END)
            length = _content_length(head)
            if len(self._buffer) < begin + length:
                return
            body = self._buffer[begin : begin + length]
            self._buffer = self._buffer[begin + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        answer = self._kept.tell() if head.startswith(b"GET") else b"ok"
        if head.startswith(b"POST /kept"):
            self._kept.bodies.append((time.time(), body))
        size = str(len(answer)).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: " + size + HEAD_END + answer)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def main() -> None:
    """Listen on a free port, tell it, and answer until the process is ended."""
    kept = Kept()
    factory: Any = Factory.forProtocol(lambda: Connection(kept))
    port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
