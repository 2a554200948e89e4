"""One attempt: a delivery is rendered, sent once within one deadline, and becomes one outcome.

Foreign exceptions are mapped here and nowhere else. Knows nothing of retries or storage.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet import defer, error
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers

from buildbot_http_status_push import __version__, signing
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask, one_line
from buildbot_http_status_push.wire import auth, cloudevents, tls, urls
from buildbot_http_status_push.wire.answers import Answer, receive
from buildbot_http_status_push.wire.clocks import ClockCheck
from buildbot_http_status_push.wire.requester import NO_COOKIES, OurHeaders, Requester
from buildbot_http_status_push.wire.retry_after import parse_retry_after
from buildbot_http_status_push.wire.target import RenderingError, Target, resolve

USER_AGENT = f"buildbot-http-status-push/{__version__}"
ANSWER_EXCERPT = 200
REASON_MOST = 300
CANCELLATIONS = (defer.CancelledError, error.ConnectingCancelledError)


@frozen
class Client:
    """Sends a delivery once.

    Args:
        requester: Makes the requests.
        timeout: Seconds for a whole exchange.
        clocks: Warns when the receiver's clock would make it refuse signatures.
    """

    requester: Requester
    timeout: float
    clocks: ClockCheck = field(factory=ClockCheck)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make one attempt.

        Args:
            delivery: What to send.

        Returns:
            What came of it; trouble of the network is an outcome, not a failure.
        """
        reactor = self.requester.reactor
        began = reactor.seconds()
        attempt = ensureDeferred(self._attempt(delivery)).addTimeout(self.timeout, reactor)
        attempt.addErrback(self._cut_off)
        return attempt.addCallback(self._timed, began)

    def _cut_off(self, failure: Failure) -> Outcome:
        if failure.trap(defer.TimeoutError, defer.CancelledError) is defer.TimeoutError:
            return Unreachable(f"no answer within {self.timeout:g} s")
        return Unreachable("the attempt was cut off")

    def _timed(self, outcome: Outcome, began: float) -> Outcome:
        return evolve(outcome, duration=self.requester.reactor.seconds() - began)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            target = resolve(await self.requester.render())
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
        post = partial(
            self.requester.request,
            self.requester.client(target, mask, NO_COOKIES),
            "POST",
            target.url,
            headers=self._headers(delivery, target),
            data=delivery.body,
            cookies=NO_COOKIES,
            unbuffered=True,
        )
        answer = await receive(await _again_if_stale(post))
        if target.signing_keys:
            self.clocks.look(answer.header("Date"), self.requester.reactor.seconds())
        return answer

    def _headers(self, delivery: Delivery, target: Target) -> Headers:
        timestamp = int(self.requester.reactor.seconds())
        headers = OurHeaders(
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
            parse_retry_after(answer.header("Retry-After"), self.requester.reactor.seconds()),
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


async def _again_if_stale(post: Callable[[], Deferred[Any]]) -> Any:
    """Send once more at once where the receiver closed the connection without an answer.

    A kept-alive connection may be closed just when it is used again, and Twisted repeats no
    POST by itself. A receiver that took the first one sees the same ``webhook-id`` again.
    """
    try:
        return await post()
    except (ResponseNeverReceived, RequestTransmissionFailed) as trouble:
        if tls.describe(trouble) or not _closed(trouble):
            raise
        return await post()


def _closed(trouble: ResponseNeverReceived | RequestTransmissionFailed) -> bool:
    return any(each.check(error.ConnectionDone, error.ConnectionLost) for each in trouble.reasons)
