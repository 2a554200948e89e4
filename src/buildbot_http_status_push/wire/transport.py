"""Connections: to which endpoint, with which TLS, and how long they are kept for the next request.

Knows Twisted's agents; must not know what is sent through them.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from buildbot_http_status_push.wire.answer_heads import AnswerHeadsFactory

CONNECTION_IDLE = 30
CONNECTION_TIMEOUT = 30.0
PLACEHOLDER = "receiver"
"""A name that Twisted finds nothing wrong with."""


def make_agent(
    reactor: object, policy: IPolicyForHTTPS, connections: int
) -> tuple[Agent, HTTPConnectionPool]:
    """Make the innermost agent, with a pool of kept-alive connections.

    Args:
        reactor: The reactor that connects.
        policy: How TLS connections are made and checked.
        connections: How many idle connections are kept at most.
    """
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = connections
    pool.cachedConnectionTimeout = CONNECTION_IDLE
    return Agent.usingEndpointFactory(reactor, _Endpoints(reactor, policy), pool), pool


def endpoint_of(
    reactor: Any, host: str, port: int, timeout: float = CONNECTION_TIMEOUT
) -> IStreamClientEndpoint:
    """Return where a host is connected to, at the fastest of its addresses.

    Args:
        reactor: The reactor that resolves and connects.
        host: The host's name in ASCII, or its IP address.
        port: The port.
        timeout: Seconds for each of its addresses.
    """
    return HostnameEndpoint(_NameAsWritten(reactor, host), PLACEHOLDER, port, timeout)


@implementer(IReactorPluggableNameResolver)
class _NameAsWritten:
    """A reactor that resolves one name, just as it is written.

    Twisted's endpoint has names decoded by IDNA 2008, and does not ask the resolver for those
    that it forbids, such as ``status_receiver``.
    """

    def __init__(self, reactor: Any, host: str) -> None:
        self._reactor = reactor
        self._host = host

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    @property
    def nameResolver(self) -> _NameAsWritten:  # noqa: N802 - Twisted's name
        """What resolves names."""
        return self

    def resolveHostName(  # noqa: N802 - Twisted's name
        self, receiver: IResolutionReceiver, _: str, *others: Any, **more: Any
    ) -> IHostResolution:
        """Resolve the name, whichever is asked for."""
        resolver = self._reactor.nameResolver
        return cast(
            IHostResolution, resolver.resolveHostName(receiver, self._host, *others, **more)
        )


@implementer(IAgentEndpointFactory)
@frozen
class _Endpoints:
    """Says where requests go, at next to no cost where a kept-alive connection serves them.

    Twisted's own factory encodes the host name and sets TLS up for every request.
    """

    reactor: Any
    policy: IPolicyForHTTPS

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802 - Twisted's name
        return _Endpoint(self.reactor, self.policy, uri)


@implementer(IStreamClientEndpoint)
@frozen
class _Endpoint:
    """Is made in full when it connects."""

    reactor: Any
    policy: IPolicyForHTTPS
    uri: URI

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        endpoint = endpoint_of(self.reactor, self.uri.host.decode("ascii"), self.uri.port)
        if self.uri.scheme == b"https":
            creator = self.policy.creatorForNetloc(self.uri.host, self.uri.port)
            endpoint = wrapClientTLS(creator, endpoint)
        # A connection's begin and end are no news for the master's log.
        cast(Any, protocolFactory).noisy = False
        connected: Deferred[Any] = endpoint.connect(AnswerHeadsFactory(protocolFactory))
        return connected.addCallback(lambda connection: connection.wrappedProtocol)
