"""Requests through an HTTP proxy: a tunnel for https, the whole URL for http.

Twisted's agents do the rest. Must not know which proxy is to be used, nor why.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from buildbot_http_status_push.wire.proxy_choice import Proxy, authority

HEAD_MOST = 65_536
END = b"\r\n\r\n"
ADVICE = {
    403: "it may not be reached through it",
    407: "it requires user and password, or other ones",
}


class ProxyError(ConnectError):
    """A proxy can't be reached, or does not connect; the text says which, and why."""

    def __init__(self, words: str) -> None:
        super().__init__(string=words)  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._words = words

    def __str__(self) -> str:
        return self._words


@implementer(IStreamClientEndpoint)
@frozen
class Tunnel:
    """Connects to a receiver through a proxy's CONNECT (RFC 9110, 9.3.6)."""

    endpoint: IStreamClientEndpoint
    proxy: Proxy
    host: str
    port: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        """Return the receiver's connection, once the tunnel is open.

        Raises:
            ProxyError: The proxy does not connect.
        """

        def make() -> _Opening:
            return _Opening(self.proxy, authority(self.host, self.port), protocolFactory)

        factory = Factory.forProtocol(cast(Any, make))
        factory.noisy = False
        connected: Deferred[Any] = self.endpoint.connect(factory)
        return connected.addCallback(lambda opening: opening.opened)


class _Opening(Protocol):
    """Asks for a tunnel, and is the tunnel once it is open.

    Attributes:
        opened: Fires with the protocol that uses the tunnel.
    """

    def __init__(self, proxy: Proxy, receiver: str, factory: IProtocolFactory) -> None:
        self._proxy = proxy
        self._receiver = receiver
        self._factory = factory
        self._inner: Any = None
        self._head = b""
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self._abort())

    def _abort(self) -> None:
        cast(Any, self.transport).abortConnection()

    def connectionMade(self) -> None:
        lines = [f"CONNECT {self._receiver} HTTP/1.1", f"Host: {self._receiver}"]
        if authorization := self._proxy.authorization:
            lines.append(f"Proxy-Authorization: {authorization}")
        cast(Any, self.transport).write("\r\n".join([*lines, "", ""]).encode("ascii"))

    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._head += data
        head, end, rest = self._head.partition(END)
        if end or len(head) > HEAD_MOST:
            self._answered(head, rest)

    def _answered(self, head: bytes, rest: bytes) -> None:
        words = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdecimal():
            self._fail("gave no answer in HTTP")
        elif not 200 <= int(words[1]) < 300:
            self._fail(f"does not connect to {self._receiver}: {_refusal(int(words[1]))}")
        else:
            self._open(rest)

    def _open(self, rest: bytes) -> None:
        transport = cast(Any, self.transport)
        self._inner = self._factory.buildProtocol(transport.getPeer())
        self._inner.makeConnection(transport)
        self.opened.callback(self._inner)
        if rest:
            self._inner.dataReceived(rest)

    def _fail(self, words: str) -> None:
        if not self.opened.called:
            self.opened.errback(ProxyError(f"the proxy {self._proxy.address} {words}"))
        self._abort()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._fail("closed the connection before it answered")


def _refusal(status: int) -> str:
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    advice = f", {ADVICE[status]}" if status in ADVICE else ""
    return f"it answered {status}{phrase}{advice}"
