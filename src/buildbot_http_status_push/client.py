"""One attempt: a delivery is rendered, sent once within one deadline, and becomes one outcome.

Foreign exceptions are mapped here and nowhere else. Knows nothing of retries or storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias
from urllib.parse import unquote, urlsplit, urlunsplit

from attrs import evolve, field, frozen
from twisted.internet import defer, error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push import __version__, auth, tls
from buildbot_http_status_push.debugging import DebugAgent, excerpt
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.retry import parse_retry_after
from buildbot_http_status_push.transport import Answer, Request, exchange

USER_AGENT = f"buildbot-http-status-push/{__version__}"
ANSWER_EXCERPT = 200


class RenderingError(Exception):
    """The URL, the headers or the credentials can't be had now; the text says why."""


@frozen
class Target:
    """Where and as whom to send, with all secrets in place.

    Args:
        url: The receiver's URL.
        auth: The rendered ``auth=`` option.
        headers: The rendered ``headers=`` option.
        secrets: Every secret value that was used, to be hidden from logs.
    """

    url: str
    auth: object = None
    headers: Mapping[str, str] = field(factory=dict)
    secrets: frozenset[str] = frozenset()


def without_user_info(target: Target) -> Target:
    """Turn user info in the URL into Basic credentials, unless the target has others."""
    parts = urlsplit(target.url)
    if "@" not in parts.netloc:
        return target
    user_info, _, host = parts.netloc.rpartition("@")
    user, _, password = (unquote(each) for each in user_info.partition(":"))
    return evolve(
        target,
        url=urlunsplit(parts._replace(netloc=host)),
        auth=target.auth or (user, password),
        secrets=target.secrets | {password, user_info},
    )


Render: TypeAlias = Callable[[], Deferred[Target]]


@frozen
class Client:
    """Sends a delivery once.

    Args:
        reactor: The clock of the deadline.
        agent: The agent that sends; TLS is its concern.
        render: Yields the target anew for every attempt, or fails with ``RenderingError``.
        timeout: Seconds for a whole exchange.
        debug: Whether every request and response is logged.
        log: Where lines go.
    """

    reactor: IReactorTime
    agent: IAgent
    render: Render
    timeout: float
    debug: bool = False
    log: Logger = field(factory=Logger)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make one attempt.

        Args:
            delivery: What to send.

        Returns:
            What came of it; trouble of the network is an outcome, not a failure.
        """
        return ensureDeferred(self._send(delivery))

    async def _send(self, delivery: Delivery) -> Outcome:
        began = self.reactor.seconds()
        try:
            target = without_user_info(await self.render())
        except RenderingError as trouble:
            return Unreachable(str(trouble))
        mask = Mask(target.secrets)
        outcome = await self._attempt(delivery, target, mask)
        return evolve(outcome, duration=self.reactor.seconds() - began)

    async def _attempt(self, delivery: Delivery, target: Target, mask: Mask) -> Outcome:
        headers = self._headers(delivery, target)
        request = Request(target.url, headers, delivery.body)
        try:
            answer = await self._exchange(request, target, mask)
        except Exception as trouble:  # any trouble of one attempt is that attempt's outcome
            return Unreachable(mask.text(self._explain(trouble)))
        return self._outcome(answer, mask)

    async def _exchange(self, request: Request, target: Target, mask: Mask) -> Answer:
        inner = DebugAgent(self.agent, mask, self.log) if self.debug else self.agent
        agent = _StaleConnectionAgent(auth.wrap(inner, target.auth))
        began = self.reactor.seconds()
        answer = await exchange(self.reactor, agent, request, self.timeout)
        if self.debug:
            self.log.info(
                "response body after {seconds:.3f} s: {body}",
                seconds=self.reactor.seconds() - began,
                body=mask.text(excerpt(answer.body)),
            )
        return answer

    def _headers(self, delivery: Delivery, target: Target) -> Headers:
        headers = Headers(
            {
                "User-Agent": [USER_AGENT],
                "Content-Type": [delivery.content_type],
                "webhook-id": [delivery.id],
                "webhook-timestamp": [str(int(self.reactor.seconds()))],
                "Buildbot-Event": [delivery.event],
            }
        )
        for name, value in target.headers.items():
            headers.setRawHeaders(name, [value])
        return headers

    def _outcome(self, answer: Answer, mask: Mask) -> Outcome:
        if 200 <= answer.status < 300:
            return Accepted(answer.status)
        words = answer.body.decode("utf-8", "replace")
        if location := answer.headers.getRawHeaders("Location"):
            words = f"redirects to {location[0].partition('?')[0]}, which is not followed"
        retry_after = answer.headers.getRawHeaders("Retry-After", [None])[0]
        return Refused(
            answer.status,
            mask.text(" ".join(words.split()))[:ANSWER_EXCERPT],
            parse_retry_after(retry_after, self.reactor.seconds()),
        )

    def _explain(self, trouble: Exception) -> str:
        if words := tls.describe(trouble):
            return words
        for kind, words in TROUBLES:
            if isinstance(trouble, kind):
                return words.format(timeout=self.timeout, trouble=trouble)
        return f"{type(trouble).__name__}: {trouble}"


TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    # The first that fits counts: subclasses stand before their bases.
    (defer.TimeoutError, "no answer within {timeout:g} s"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.DNSLookupError, "the host name can't be resolved: {trouble}"),
    (error.ConnectError, "no connection: {trouble}"),
    (auth.AuthenticationFailed, "{trouble}"),
    (tls.TLSFileError, "{trouble}"),
    (ResponseNeverReceived, "the connection was closed before an answer came"),
    (RequestTransmissionFailed, "the connection was closed while the request was sent"),
    (ResponseFailed, "the answer could not be read"),
)
"""What foreign exceptions are called in logs."""


@implementer(IAgent)
@frozen
class _StaleConnectionAgent:
    """Sends once more at once where the receiver closed the connection without an answer.

    A kept-alive connection may be closed just when it is used again, and Twisted repeats no
    POST by itself. A receiver that took the first one sees the same ``webhook-id`` again.
    """

    agent: IAgent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Send the request, twice if need be."""
        return ensureDeferred(self._request(method, uri, headers, bodyProducer))

    async def _request(
        self, method: bytes, uri: bytes, headers: Headers | None, body: IBodyProducer | None
    ) -> IResponse:
        try:
            return await self.agent.request(method, uri, headers, body)
        except ResponseNeverReceived as trouble:
            if tls.describe(trouble) or not _closed(trouble):
                raise
            return await self.agent.request(method, uri, headers, body)


def _closed(trouble: ResponseNeverReceived) -> bool:
    return any(each.check(error.ConnectionDone, error.ConnectionLost) for each in trouble.reasons)
