"""One attempt: a delivery is rendered, sent once within one deadline, and becomes one outcome.

Knows nothing of retries or storage.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from attrs import define, field, frozen
from twisted.internet import defer, error
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers

from buildbot_http_status_push import __version__, signing
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask, one_line
from buildbot_http_status_push.wire import cloudevents, urls
from buildbot_http_status_push.wire.auth_values import AuthenticationFailed
from buildbot_http_status_push.wire.bodies import Answer, receive
from buildbot_http_status_push.wire.deadline import attempt_within
from buildbot_http_status_push.wire.errors import explain, is_cancelled, is_unsent, was_stale
from buildbot_http_status_push.wire.requester import NO_COOKIES, OurHeaders, Requester
from buildbot_http_status_push.wire.target import RenderingError, Target, resolve
from buildbot_http_status_push.wire.tls_errors import TLSFileError

TOLERATED = 120.0


@define
class ClockCheck:
    """Warns once when the clocks differ so much that signatures will soon be refused."""

    log: Logger = field(factory=Logger)
    _warned: bool = field(default=False, init=False)

    def check(self, date: str | None, now: float) -> None:
        """Compare the clocks."""
        theirs = _read_date(date) if date else None
        if self._warned or theirs is None or abs(theirs - now) <= TOLERATED:
            return
        self._warned = True
        self.log.warn(
            "the receiver's clock is {off:.0f} s {direction} of this machine's: correct one of "
            "them, or the receiver will reject signatures as too old or too new",
            off=abs(theirs - now),
            direction="ahead" if theirs > now else "behind",
        )


SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3).

    Args:
        value: The header's value: seconds or an HTTP date. The RFC knows whole seconds only,
            but services that count in fractions send these.
        now: The time, in seconds since the epoch.

    Returns:
        Seconds from now, at least 0; None where there is none or it can't be read.
    """
    if value is None:
        return None
    text = value.strip()
    if SECONDS.fullmatch(text):
        return float(text)
    moment = _read_date(text)
    return None if moment is None else max(moment - now, 0.0)


def _read_date(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    # The oldest of the three forms (RFC 9110, 5.6.7) names no zone and is in UTC like the others.
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


USER_AGENT = f"buildbot-http-status-push/{__version__}"
ANSWER_EXCERPT = 200
OURS = (TLSFileError, AuthenticationFailed)
"""What goes wrong on this side, whatever the receiver does."""

REASON_MOST = 300


@frozen
class Client:
    """Sends a delivery once."""

    requester: Requester
    timeout: float
    clocks: ClockCheck = field(factory=ClockCheck)

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make one attempt.

        Returns:
            What came of it; trouble of the network is an outcome, not a failure.
        """
        return attempt_within(self.timeout, self._attempt(delivery), self.requester.reactor)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            target = resolve(await self.requester.render())
        except (RenderingError, urls.URLError) as trouble:
            return _unreachable(str(trouble), here=True)
        mask = Mask(target.secrets)
        try:
            answer = await self._exchange(delivery, target, mask)
        except Exception as trouble:  # any trouble of one attempt is that attempt's outcome
            if is_cancelled(trouble):
                raise defer.CancelledError from trouble
            reason, here = mask.text(explain(trouble)), isinstance(trouble, OURS)
            return _unreachable(reason, here=here, unsent=is_unsent(trouble))
        return self._outcome(answer, mask)

    async def _exchange(self, delivery: Delivery, target: Target, mask: Mask) -> Answer:
        post = partial(
            self.requester.request,
            target,
            mask,
            "POST",
            target.url,
            NO_COOKIES,
            headers=self._headers(delivery, target),
            data=delivery.body,
            cookies=NO_COOKIES,
            unbuffered=True,
        )
        answer = await receive(await _again_if_stale(post))
        if target.signing_keys:
            self.clocks.check(answer.header("Date"), self.requester.reactor.seconds())
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
        text = _redirection(answer, mask) or mask.text(answer.text)
        return Refused(
            answer.status,
            one_line(text)[:ANSWER_EXCERPT],
            parse_retry_after(answer.header("Retry-After"), self.requester.reactor.seconds()),
        )


def _redirection(answer: Answer, mask: Mask) -> str | None:
    location = answer.header("Location")
    if location is None or not 300 <= answer.status < 400:
        return None
    where = mask.url(location).partition("?")[0].partition("#")[0]
    return f"redirects to {where}, which is not followed"


def _unreachable(reason: str, **known: bool) -> Unreachable:
    return Unreachable(one_line(reason)[:REASON_MOST], **known)


async def _again_if_stale(post: Callable[[], Deferred[Any]]) -> Any:
    """Send once more at once where the receiver closed the connection without an answer.

    A kept-alive connection may be closed just when it is used again, and Twisted repeats no
    POST by itself. A receiver that took the first one sees the same ``webhook-id`` again.
    """
    try:
        return await post()
    except (ResponseNeverReceived, RequestTransmissionFailed) as trouble:
        if not was_stale(trouble):
            raise
        return await _again(post, trouble)


async def _again(post: Callable[[], Deferred[Any]], earlier: Exception) -> Any:
    try:
        return await post()
    except error.ConnectError as trouble:
        raise trouble from earlier  # the earlier one may have come through
