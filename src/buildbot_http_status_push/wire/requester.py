"""Requests over treq: authenticated, logged where wanted, to URLs just as they are written.

Deliveries and ``self._http`` are sent from here. Must not know deliveries, retries or Buildbot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from http.cookiejar import Cookie, CookieJar
from typing import Any

from attrs import field, frozen
from hyperlink import EncodedURL
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer

from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.wire import auth
from buildbot_http_status_push.wire.bodies import BytesProducer
from buildbot_http_status_push.wire.debugging import DebugAgent
from buildbot_http_status_push.wire.proxy_choice import Proxy
from buildbot_http_status_push.wire.sent_secrets import NotingAgent
from buildbot_http_status_push.wire.target import Render, Target
from buildbot_http_status_push.wire.urls import ServerURL, parse


@frozen
class Requester:
    """Makes requests as one configuration says.

    Args:
        reactor: The clock of deadlines.
        agent: Returns the agent that sends, through a proxy or not; TLS is its concern.
        render: Yields the target anew for every request, or fails with ``RenderingError``.
        debug: Whether every request and response is logged.
        log: Where lines go.
    """

    reactor: Any
    agent: Callable[[Proxy | None], IAgent]
    render: Render
    debug: bool = False
    log: Logger = field(factory=Logger)

    def request(
        self,
        target: Target,
        mask: Mask,
        method: str,
        url: str,
        jar: CookieJar | None = None,
        **options: Any,
    ) -> Deferred[Any]:
        """Make a request; redirects are not followed.

        Args:
            target: As whom to send.
            mask: Hides secrets; it gets to know the forms in which they go out.
            method: The HTTP method.
            url: The absolute URL as it stands on the wire, without user info.
            jar: Where cookies are kept, None for a jar of the request's own.
            **options: What else treq takes.

        Returns:
            treq's response, as soon as its head has come.

        Raises:
            AuthenticationFailed: The credentials are of no known kind.
        """
        agent = self.agent(target.proxy)
        if self.debug:
            agent = DebugAgent(agent, mask, self.reactor, self.log)
        known: Any = jar  # treq requires a jar that can also be read by name, and does not do so
        client = HTTPClient(auth.wrap(NotingAgent(agent, mask), target.auth), known, _make_producer)
        return client.request(
            method, _written(url), allow_redirects=False, reactor=self.reactor, **options
        )


def _make_producer(data: Any) -> IBodyProducer:
    return BytesProducer(data) if isinstance(data, bytes) else IBodyProducer(data)


class WrittenURL(EncodedURL):
    """A URL that treq sends as it is written.

    By its own rules it would write escapes anew, and could not write hosts such as ``[::1]``.
    """

    def __init__(self, url: ServerURL) -> None:
        super().__init__(scheme=url.scheme, host=url.host, port=url.port)
        self._written = url.wire

    def to_uri(self) -> WrittenURL:
        """Return the URL in ASCII: itself."""
        return self

    def to_text(self, with_password: bool = False) -> str:
        """Return the URL as it is written; there is no password in it."""
        return self._written


@lru_cache(maxsize=16)
def _written(url: str) -> WrittenURL:
    return WrittenURL(parse(url))


class OurHeaders(Headers):
    """The headers of one request, which nobody copies on the way.

    treq does not add that it takes compressed answers: the little that is read of an answer is
    not worth it, and few bytes can become many.
    """

    def copy(self) -> OurHeaders:
        """Return these headers: they belong to their request alone."""
        return self

    def addRawHeader(self, name: str | bytes, value: str | bytes) -> None:  # noqa: N802 - Twisted's
        """Add a value, but not treq's offer."""
        if name != b"Accept-Encoding":
            super().addRawHeader(name, value)


class _NoCookies(CookieJar):
    """Keeps no cookie and sends none, at no cost."""

    def __iter__(self) -> Iterator[Cookie]:
        return iter(())

    def add_cookie_header(self, request: object) -> None:
        """Do nothing."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Do nothing."""


NO_COOKIES = _NoCookies()
