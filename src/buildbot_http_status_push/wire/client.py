"""One attempt: a delivery is rendered, sent once within one deadline, and becomes one outcome.

Foreign exceptions are mapped here and nowhere else. Knows nothing of retries or storage.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import evolve, field, frozen
from twisted.internet import defer, error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from buildbot_http_status_push import __version__, signing
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask, one_line
from buildbot_http_status_push.wire import auth, cloudevents, tls, urls
from buildbot_http_status_push.wire.clocks import ClockCheck
from buildbot_http_status_push.wire.debugging import DebugAgent
from buildbot_http_status_push.wire.retry_after import parse_retry_after
from buildbot_http_status_push.wire.transport import Answer, Request, exchange

USER_AGENT = f"buildbot-http-status-push/{__version__}"
ANSWER_EXCERPT = 200
REASON_MOST = 300
CANCELLATIONS = (defer.CancelledError, error.ConnectingCancelledError)


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
        signing_keys: The rendered ``signing_secret=`` option.
        source: The source that requests name as CloudEvents, None where they are none.
    """

    url: str
    auth: object = None
    headers: Mapping[str, str] = field(factory=dict)
    secrets: frozenset[str] = frozenset()
    signing_keys: tuple[str, ...] = ()
    source: str | None = None


def resolve(target: Target) -> Target:
    """Put the URL as it stands on the wire, and its user info in the place of missing credentials.

    Raises:
        URLError: The URL can't be posted to.
    """
    url = urls.parse(target.url)
    if url.credentials is None:
        return evolve(target, url=url.wire)
    user, password = url.credentials
    return evolve(
        target,
        url=url.wire,
        auth=url.credentials if target.auth is None else target.auth,
        secrets=target.secrets | {password or user},
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
        clocks: Warns when the receiver's clock would make it refuse signatures.
    """

    reactor: IReactorTime
    agent: IAgent
    render: Render
    timeout: float
    debug: bool = False
    log: Logger = field(factory=Logger)
    clocks: ClockCheck = field(factory=ClockCheck)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make one attempt.

        Args:
            delivery: What to send.

        Returns:
            What came of it; trouble of the network is an outcome, not a failure.
        """
        began = self.reactor.seconds()
        attempt = ensureDeferred(self._attempt(delivery)).addTimeout(self.timeout, self.reactor)
        attempt.addErrback(self._cut_off)
        return attempt.addCallback(self._timed, began)

    def _cut_off(self, failure: Failure) -> Outcome:
        if failure.trap(defer.TimeoutError, defer.CancelledError) is defer.TimeoutError:
            return Unreachable(f"no answer within {self.timeout:g} s")
        return Unreachable("the attempt was cut off")

    def _timed(self, outcome: Outcome, began: float) -> Outcome:
        return evolve(outcome, duration=self.reactor.seconds() - began)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            target = resolve(await self.render())
        except (RenderingError, urls.URLError) as trouble:
            return _unreachable(str(trouble), here=True)
        mask = Mask(target.secrets)
        try:
            answer = await self._exchange(delivery, target, mask)
        except Exception as trouble:  # any trouble of one attempt is that attempt's outcome
            if _is_cancelled(trouble):
                raise defer.CancelledError from trouble
            here = isinstance(trouble, tls.TLSFileError)
            return _unreachable(mask.text(_explain(trouble)), here=here)
        return self._outcome(answer, mask)

    async def _exchange(self, delivery: Delivery, target: Target, mask: Mask) -> Answer:
        inner = DebugAgent(self.agent, mask, self.reactor, self.log) if self.debug else self.agent
        agent = auth.wrap(inner, target.auth)
        request = Request(target.url, self._headers(delivery, target), delivery.body)
        answer = await _exchange_again_if_stale(agent, request)
        if target.signing_keys:
            self.clocks.look(answer.header("Date"), self.reactor.seconds())
        return answer

    def _headers(self, delivery: Delivery, target: Target) -> Headers:
        timestamp = int(self.reactor.seconds())
        headers = Headers(
            {
                "User-Agent": [USER_AGENT],
                "Content-Type": [delivery.content_type],
                signing.ID_HEADER: [delivery.id],
                signing.TIMESTAMP_HEADER: [str(timestamp)],
                "Buildbot-Event": [delivery.event],
            }
        )
        if target.signing_keys:
            signature = signing.sign(target.signing_keys, delivery.id, timestamp, delivery.body)
            headers.setRawHeaders(signing.SIGNATURE_HEADER, [signature])
        event = cloudevents.headers(delivery, target.source, timestamp) if target.source else {}
        for name, value in (*event.items(), *target.headers.items()):
            headers.setRawHeaders(name, [value])
        return headers

    def _outcome(self, answer: Answer, mask: Mask) -> Outcome:
        if 200 <= answer.status < 300:
            return Accepted(answer.status)
        words = _redirection(answer, mask) or mask.text(answer.body.decode("utf-8", "replace"))
        return Refused(
            answer.status,
            one_line(words)[:ANSWER_EXCERPT],
            parse_retry_after(answer.header("Retry-After"), self.reactor.seconds()),
        )


def _redirection(answer: Answer, mask: Mask) -> str | None:
    location = answer.header("Location")
    if location is None or not 300 <= answer.status < 400:
        return None
    where = mask.url(location).partition("?")[0].partition("#")[0]
    return f"redirects to {where}, which is not followed"


def _unreachable(words: str, *, here: bool = False) -> Unreachable:
    return Unreachable(one_line(words)[:REASON_MOST], here=here)


def _is_cancelled(trouble: Exception) -> bool:
    # Twisted's agent wraps a cancellation once a connection is there.
    reasons = trouble.reasons if isinstance(trouble, ResponseFailed) else ()
    return isinstance(trouble, CANCELLATIONS) or any(each.check(*CANCELLATIONS) for each in reasons)


def _explain(trouble: Exception) -> str:
    if words := tls.describe(trouble):
        return words
    for kind, words in TROUBLES:
        if isinstance(trouble, kind):
            return words.format(trouble=trouble)
    return f"{type(trouble).__name__}: {trouble}"


TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    # The first that fits counts: subclasses stand before their bases.
    (error.ConnectionRefusedError, "connection refused"),
    (error.DNSLookupError, "the host name can't be resolved"),
    (error.TimeoutError, "no connection came about in time"),
    (error.ConnectError, "no connection: {trouble}"),
    (auth.AuthenticationFailed, "{trouble}"),
    (tls.TLSFileError, "{trouble}"),
    (ResponseNeverReceived, "the connection was closed before an answer came"),
    (RequestTransmissionFailed, "the connection was closed while the request was sent"),
    (ResponseFailed, "the answer could not be read"),
)
"""What foreign exceptions are called in logs."""


async def _exchange_again_if_stale(agent: IAgent, request: Request) -> Answer:
    """Send once more at once where the receiver closed the connection without an answer.

    A kept-alive connection may be closed just when it is used again, and Twisted repeats no
    POST by itself. A receiver that took the first one sees the same ``webhook-id`` again.
    """
    try:
        return await exchange(agent, request)
    except (ResponseNeverReceived, RequestTransmissionFailed) as trouble:
        if tls.describe(trouble) or not _closed(trouble):
            raise
        return await exchange(agent, request)


def _closed(trouble: ResponseNeverReceived | RequestTransmissionFailed) -> bool:
    return any(each.check(error.ConnectionDone, error.ConnectionLost) for each in trouble.reasons)
