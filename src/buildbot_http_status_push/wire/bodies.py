"""Bodies of requests and of answers, as Twisted's agents want them."""

from __future__ import annotations

from typing import Any

from attrs import Factory, field, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

ANSWER_MOST = 64 * 1024


@implementer(IBodyProducer)
@frozen
class BytesProducer:
    """A request body that is at hand in full, so that it can be signed and sent again.

    Args:
        body: The bytes to send.
    """

    body: bytes
    length: int = field(init=False, default=Factory(lambda self: len(self.body), takes_self=True))

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:  # noqa: N802 - Twisted's name
        """Write all bytes at once."""
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: all bytes are written at once."""


class BodyReader(Protocol):
    """Collects the first 64 KiB of an answer's body, and cuts the connection where there is more.

    Attributes:
        body: What was read until now.
        reason: Why the body ended, once it has.
        finished: Fires at the end, whatever the reason; cancelling it cuts the connection.
    """

    transport: Any  # a body's reader is connected before anything else
    reason: Failure

    def __init__(self) -> None:
        self.body = bytearray()
        self.finished: Deferred[None] = Deferred(lambda _: self._abort())

    def dataReceived(self, data: bytes) -> None:
        """Collect bytes."""
        self.body += data[: ANSWER_MOST - len(self.body)]
        if len(self.body) >= ANSWER_MOST:
            self._abort()
            self._finish(Failure(ResponseDone()))

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        """Note the end."""
        self._finish(reason)

    def _finish(self, reason: Failure) -> None:
        if not self.finished.called:
            self.reason = reason
            self.finished.callback(None)

    def _abort(self) -> None:
        """Close the connection without a goodbye, which a silent TLS peer would never answer."""
        # Twisted hands a body's reader a proxy that can only say goodbye.
        inner = getattr(self.transport, "_producer", None) or self.transport
        getattr(inner, "abortConnection", inner.loseConnection)()
