"""Connections: to which endpoint, with which TLS, and how long they are kept for the next request.

Knows Twisted's agents; must not know what is sent through them.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IPolicyForHTTPS,
    IResponse,
)
from zope.interface import implementer

from buildbot_http_status_push.wire.answer_heads import AnswerHeadsFactory
from buildbot_http_status_push.wire.errors import explain
from buildbot_http_status_push.wire.proxy_choice import Proxy
from buildbot_http_status_push.wire.proxy_connection import ProxyError, Tunnel

CONNECTION_IDLE = 30
CONNECTION_TIMEOUT = 30.0
PLACEHOLDER = "receiver"
"""A name that Twisted finds nothing wrong with."""


class Connections:
    """Makes the innermost agents, which share a pool of kept-alive connections.

    Args:
        reactor: The reactor that connects.
        policy: How TLS connections are made and checked.
        most: How many idle connections are kept at most.

    Attributes:
        pool: The connections.
    """

    def __init__(self, reactor: object, policy: IPolicyForHTTPS, most: int) -> None:
        self._reactor = reactor
        self._policy = policy
        self.pool = HTTPConnectionPool(reactor)
        self.pool.maxPersistentPerHost = most
        self.pool.cachedConnectionTimeout = CONNECTION_IDLE
        self._direct = self._agent(None)

    def agent(self, proxy: Proxy | None = None) -> IAgent:
        """Return the agent that sends, through a proxy if one is named."""
        if proxy is None:
            return self._direct
        return _ProxiedAgent(self._agent(proxy), self._absolute(proxy), proxy)

    def _agent(self, proxy: Proxy | None) -> Agent:
        endpoints = _Endpoints(self._reactor, self._policy, proxy)
        return cast(Agent, Agent.usingEndpointFactory(self._reactor, endpoints, self.pool))

    def _absolute(self, proxy: Proxy) -> ProxyAgent:
        place = URI.fromBytes(f"http://{proxy.address}".encode("ascii"))
        # Its equals share its kept-alive connections.
        endpoint = _Endpoint(self._reactor, self._policy, place.host, place.port, proxy)
        return ProxyAgent(endpoint, self._reactor, self.pool)


@implementer(IAgent)
@frozen
class _ProxiedAgent:
    """Sends through a proxy.

    Args:
        tunnel: Sends to https receivers, through tunnels.
        absolute: Sends to http receivers, whose whole URL the proxy is given (RFC 9112, 3.2.2).
        proxy: The proxy.
    """

    tunnel: IAgent
    absolute: IAgent
    proxy: Proxy

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Send a request."""
        if uri.startswith(b"https:"):
            return self.tunnel.request(method, uri, headers, bodyProducer)
        given = Headers() if headers is None else headers
        if authorization := self.proxy.authorization:
            given.setRawHeaders("Proxy-Authorization", [authorization])
        return self.absolute.request(method, uri, given, bodyProducer)


@frozen
class Place:
    """Where to connect to.

    Args:
        host: The host's name in ASCII, or its IP address.
        port: The port.
        timeout: Seconds for each of its addresses.
    """

    host: str
    port: int
    timeout: float = CONNECTION_TIMEOUT


def route(
    reactor: Any, place: Place, policy: IPolicyForHTTPS | None, proxy: Proxy | None
) -> IStreamClientEndpoint:
    """Return what connects to a receiver."""
    if proxy is None:
        endpoint = _direct(reactor, place)
    else:
        endpoint = _Reaching(
            _direct(reactor, evolve(place, host=proxy.host, port=proxy.port)), proxy
        )
        if policy is not None:
            endpoint = Tunnel(endpoint, proxy, place.host, place.port)
    if policy is None:
        return endpoint
    creator = policy.creatorForNetloc(place.host.encode("ascii"), place.port)
    return wrapClientTLS(creator, endpoint)


def _direct(reactor: Any, place: Place) -> IStreamClientEndpoint:
    """Return what connects to a host, at the fastest of its addresses."""
    named = _NameAsWritten(reactor, place.host)
    return HostnameEndpoint(named, PLACEHOLDER, place.port, place.timeout)


@implementer(IStreamClientEndpoint)
@frozen
class _Reaching:
    """Connects to a proxy, and says that it is the proxy which can't be reached."""

    endpoint: IStreamClientEndpoint
    proxy: Proxy

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        connected: Deferred[IProtocol] = self.endpoint.connect(protocolFactory)
        return connected.addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        if isinstance(failure.value, ConnectError | DNSLookupError):
            raise ProxyError(f"the proxy {self.proxy.address}: {explain(failure.value)}")
        return failure


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
    proxy: Proxy | None

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802 - Twisted's name
        is_secure = uri.scheme == b"https"
        return _Endpoint(self.reactor, self.policy, uri.host, uri.port, self.proxy, is_secure)


@implementer(IStreamClientEndpoint)
@frozen
class _Endpoint:
    """Is made in full when it connects."""

    reactor: Any
    policy: IPolicyForHTTPS = field(eq=False)
    host: bytes
    port: int
    proxy: Proxy | None
    is_secure: bool = False

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        place = Place(self.host.decode("ascii"), self.port)
        endpoint = route(self.reactor, place, self.policy if self.is_secure else None, self.proxy)
        # A connection's begin and end are no news for the master's log.
        cast(Any, protocolFactory).noisy = False
        connected: Deferred[Any] = endpoint.connect(AnswerHeadsFactory(protocolFactory))
        return connected.addCallback(lambda connection: connection.wrappedProtocol)
