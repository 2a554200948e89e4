"""The live connection: WebSockets over autobahn, on the same port as the pages.

Knows connections, their limits and the sites they may come from. What is sent is the hub's matter.
Browsers let any page open a WebSocket anywhere, and only say where the page is from: hence origins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import parse_qs

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from txaio.tx import make_logger
from zope.interface import implementer

from buildbot_http_status_push.board.http.access import is_allowed
from buildbot_http_status_push.board.live.hub import Hub, expect_cancelling
from buildbot_http_status_push.board.model import Position

MOST_BYTES = 1_024
"""How much a browser may say at once: it has nothing to say but to answer pings."""
MOST_DIGITS = 19
MOST_REFUSALS = 100
"""How many origins are logged, each once."""
PING_EVERY = 30.0
PONG_WITHIN = 60.0
NOWHERE = Position("", 0)
"""The position of who does not say where it stands: its page is older than anything known."""
SHAKING_HANDS = frozenset(
    (b"host", b"origin", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version")
)
"""Headers that a handshake needs. Without the others no compression is agreed on, and a
connection keeps no cookies in memory."""

Send: TypeAlias = Callable[[Request, bytes], object]


@implementer(IPushProducer)
class LiveConnection(WebSocketServerProtocol):
    """One browser's connection."""

    # Autobahn's lines about browsers that left or stumbled are no operator's concern.
    log = make_logger(level="error")  # type: ignore[no-untyped-call]
    factory: LiveFactory
    transport: Any  # a TCP connection; Twisted's interfaces don't say all that it can
    _is_full = False

    def onConnect(self, request: ConnectionRequest) -> None:  # noqa: N802  autobahn's name
        """Let pages of the board in.

        Raises:
            ConnectionDeny: Another site's page opens the connection.
        """
        self.factory.check_origin(request.origin, request.headers.get("host"))
        self._since = position_in(request.params)

    def onOpen(self) -> None:  # noqa: N802  autobahn's name
        """Ask for what the browser missed."""
        self.transport.registerProducer(self, True)
        self._joining = self.factory.hub.join(self, self._since)

    def onPing(self, payload: bytes) -> None:  # noqa: N802  autobahn's name
        """Answer, unless earlier answers were not read: they would wait in memory without end."""
        if not self._is_full:
            super().onPing(payload)

    def onClose(self, *_: object) -> None:  # noqa: N802  autobahn's name
        """Forget the browser."""
        joining: Deferred[None] | None = getattr(self, "_joining", None)
        if joining is not None:
            joining.cancel()
        self.factory.hub.browsers.leave(self)

    def send(self, message: PreparedMessage) -> None:
        """Send a frame."""
        # Autobahn's own way spends most of its time on a line for the log that nobody sees.
        if self.state == self.STATE_OPEN:
            write_at_once(self.transport, message.payloadHybi)

    def drop(self) -> None:
        """End the connection at once."""
        self.dropConnection(abort=True)

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """Note that the browser takes less than it is sent: 64 KiB wait for it."""
        self._is_full = True
        self.factory.hub.browsers.pause(self)

    def resumeProducing(self) -> None:  # noqa: N802  Twisted's name
        """Note that it has taken all."""
        self._is_full = False
        self.factory.hub.browsers.resume(self)

    def stopProducing(self) -> None:  # noqa: N802  Twisted's name
        """Do nothing: autobahn calls it when the connection is closed."""


def write_at_once(transport: Any, data: bytes) -> None:
    """Write to a connection, without a turn of the reactor where the system takes the data at once.

    Twisted would register the connection with epoll, write when it is called back, and unregister
    the connection: for a frame that fits into the system's buffer that is most of the cost.

    Args:
        transport: The connection. With TLS, or with data that waits already, Twisted does it all.
        data: What to write, after all that was written before.
    """
    sent: int | BaseException = 0
    if isinstance(transport, Connection) and not (
        transport.TLS
        or transport.dataBuffer
        or transport._tempDataLen  # there is no public name for it
        or transport.disconnecting
        or not transport.connected
    ):
        sent = transport.writeSomeData(data)
    if isinstance(sent, BaseException):
        sent = 0  # the connection is lost: the reactor meets the same and cleans up
    if sent < len(data):
        transport.write(data[sent:])


class LiveFactory(WebSocketServerFactory):
    """Makes connections, and bounds what autobahn leaves open.

    Args:
        reactor: Where they live.
        max_browsers: How many there may be at once.
        origins: Other sites whose pages may connect.
        log: Where rejected pages are logged.
    """

    noisy = False
    hub: Hub[PreparedMessage]

    def __init__(
        self,
        reactor: IReactorTime,
        max_browsers: int,
        origins: Collection[str] = (),
        log: Logger | None = None,
    ) -> None:
        # Autobahn is typed in parts only, here and below.
        super().__init__(reactor=reactor, server="")  # type: ignore[no-untyped-call]
        self._origins = origins
        self._refused: set[str] = set()
        self._logger = log or Logger()
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            webStatus=False,
            maxConnections=max_browsers,
            maxFramePayloadSize=MOST_BYTES,
            maxMessagePayloadSize=MOST_BYTES,
            autoPingInterval=PING_EVERY,
            autoPingTimeout=PONG_WITHIN,
            allowNullOrigin=True,  # judged with all others, see `check_origin`
        )
        self.protocol = _with_options_of(self)

    def prepare(self, text: bytes) -> PreparedMessage:
        """Make a frame ready to be sent to any number of browsers."""
        message: PreparedMessage = self.prepareMessage(text, doNotCompress=True)
        return message

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Let pages of the board connect, and those of the sites that were named.

        Raises:
            ConnectionDeny: It is another site's.
        """
        if is_allowed(origin, host, self._origins):
            return
        self._tell_refusal(str(origin), str(host))
        raise ConnectionDeny(403, "another site's page")  # type: ignore[no-untyped-call]

    def _tell_refusal(self, origin: str, host: str) -> None:
        if origin in self._refused or len(self._refused) >= MOST_REFUSALS:
            return
        self._refused.add(origin)
        self._logger.warn(
            "live: rejected a page from {origin} that asked for {host}: to allow it, start the "
            "board with --origin {origin}, or let the proxy pass the Host header",
            origin=repr(origin),
            host=repr(host),
        )


def _with_options_of(factory: LiveFactory) -> type[LiveConnection]:
    """Give a class the options that autobahn would copy to each connection.

    It would also print them, each time, for a line in the log that nobody sees: half of the time
    that a handshake takes.
    """
    options = {name: getattr(factory, name) for name in LiveConnection.CONFIG_ATTRS}
    return type("LiveConnection", (LiveConnection,), {**options, "CONFIG_ATTRS": ()})


class LiveResource(Resource):
    """The web resource that browsers connect to; below it, those poll that can't."""

    def __init__(self, factory: LiveFactory, send: Send) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._factory = factory
        self.putChild(b"updates", UpdatesResource(factory.hub, send))

    def render_GET(self, request: Request) -> int:
        """Hand the connection over to a WebSocket.

        Twisted's HTTP channel and request are left behind: they would cost as much memory as the
        WebSocket, and the channel would stay the transport's producer.
        """
        channel: Any = request.channel
        transport, channel.transport = channel.transport, None
        transport.unregisterProducer()
        connection: Any = self._factory.buildProtocol(transport.getPeer())
        transport.protocol = connection
        connection.makeConnection(transport)
        connection.dataReceived(handshake_of(request))
        transport.resumeProducing()
        return NOT_DONE_YET


class UpdatesResource(Resource):
    """What has changed since a position, for browsers that WebSockets don't reach."""

    isLeaf = True

    def __init__(self, hub: Hub[PreparedMessage], send: Send) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self._hub = hub
        self._send = send

    def render_GET(self, request: Request) -> int:
        """Answer with a frame, or with nothing where nothing is new."""
        query = request.uri.partition(b"?")[2].decode("ascii", "replace")
        since = position_in(parse_qs(query))
        answer = self._hub.changes_since(since)
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallback(self._answer, request, since)
        answer.addErrback(expect_cancelling)
        return NOT_DONE_YET

    def _answer(self, frame: bytes, request: Request, since: Position) -> None:
        request.setHeader(b"cache-control", b"no-store")
        if since == self._hub.position and self._hub.is_storing:
            request.setResponseCode(204)
            request.finish()
        else:
            request.setHeader(b"content-type", b"application/json")
            request.setHeader(b"content-length", str(len(frame)).encode())
            self._send(request, frame)


def position_in(arguments: Mapping[str, Sequence[str]]) -> Position:
    """Read what a browser says of where it stands.

    Returns:
        The position, ``NOWHERE`` without one.
    """
    epoch, since = (arguments.get(name, [""])[0] for name in ("epoch", "since"))
    # Longer numbers are no sequences, and Python refuses to read very long ones.
    is_number = since.isascii() and since.isdigit() and len(since) < MOST_DIGITS
    return Position(epoch, int(since)) if is_number else NOWHERE


def handshake_of(request: Request) -> bytes:
    """Return what a handshake needs of a request, as it came over the wire."""
    lines = [b"%s %s HTTP/1.1" % (request.method, request.uri)]
    for name, values in request.requestHeaders.getAllRawHeaders():
        if name.lower() in SHAKING_HANDS:
            lines += [b"%s: %s" % (name, value) for value in values]
    return b"\r\n".join((*lines, b"", b""))
