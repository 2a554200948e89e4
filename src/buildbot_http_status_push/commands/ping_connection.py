"""A connection that only looks: at a name's addresses, and at what a receiver says of itself.

Nothing is sent through it but TLS' own handshake. Must not know what it is looked at for.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, cast

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from buildbot_http_status_push.redaction import one_line

DAY = 86400.0


def addresses_of(reactor: Any, host: str) -> Deferred[list[str]]:
    """Return the addresses that an agent would connect to, none where there are none."""
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, host)
    return receiver.complete


@implementer(IResolutionReceiver)
class _Addresses:
    """Collects the addresses of a host name."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolution: object) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: there is no need to cancel it."""

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802 - Twisted's name
        """Keep an address."""
        self._found.append(str(cast(Any, address).host))

    def resolutionComplete(self) -> None:  # noqa: N802 - Twisted's name
        """Hand the addresses over."""
        self.complete.callback(list(dict.fromkeys(self._found)))


async def connect(endpoint: IStreamClientEndpoint) -> Look:
    """Connect, and begin with TLS if that is the endpoint's way.

    Args:
        endpoint: Connects to the receiver.

    Returns:
        The connection, to be closed by the caller.

    Raises:
        ConnectError: There is no connection; or an ``OSError``.
    """
    return cast(Look, await endpoint.connect(Factory.forProtocol(Look)))


@implementer(IHandshakeListener)
class Look(Protocol):
    """A connection that only looks.

    Attributes:
        version: TLS' version, once there was a handshake.
        certificate: The receiver's certificate, likewise.
    """

    transport: Any  # of TCP or TLS, connected before anything else
    version: str
    certificate: X509

    def __init__(self) -> None:
        self._secured: Deferred[BaseException | None] = Deferred()
        self._lost: Deferred[None] = Deferred()

    @property
    def where(self) -> str:
        """The peer's address and port."""
        address = self.transport.getPeer()
        return f"{address.host} port {address.port}"

    async def handshake(self) -> BaseException | None:
        """Wait for the handshake's end, and close the connection.

        Returns:
            Why it failed, None where it did not.
        """
        try:
            return await self._secured
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connection, unless it is closed."""
        self.transport.abortConnection()
        await self._lost

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        """Keep what there is to see."""
        connection: SSL.Connection = self.transport.getHandle()
        self.version = connection.get_protocol_version_name()
        self.certificate = cast(X509, connection.get_peer_certificate())
        self._secured.callback(None)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted's default is a Failure
        """End the handshake, if it goes on, and the waiting for this."""
        if not self._secured.called:
            self._secured.callback(reason.value)
        self._lost.callback(None)


def describe_certificate(certificate: X509, now: float) -> list[str]:
    """Return lines with a certificate's subject, issuer and end."""
    names = certificate.to_cryptography()
    return [
        f"subject  {one_line(names.subject.rfc4514_string())}",
        f"issuer   {one_line(names.issuer.rfc4514_string())}",
        f"ends     {_end_of(certificate, now)}",
    ]


def _end_of(certificate: X509, now: float) -> str:
    text = (certificate.get_notAfter() or b"").decode("ascii")
    end = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)
    days = (end.timestamp() - now) / DAY
    distance = f"{int(-days)} days ago" if days < 0 else f"in {int(days)} days"
    return f"{end:%Y-%m-%d %H:%M} UTC, {distance}"
