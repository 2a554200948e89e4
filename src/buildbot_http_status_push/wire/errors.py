"""What trouble of a request is called: foreign exceptions are put into words here and nowhere else.

Only those of TLS have a module of their own. Must not know what follows a failed attempt.
"""

from __future__ import annotations

from twisted.internet import defer, error
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived

from buildbot_http_status_push.wire import tls_errors
from buildbot_http_status_push.wire.answer_heads import NotHTTPError
from buildbot_http_status_push.wire.auth_values import AuthenticationFailed
from buildbot_http_status_push.wire.proxy_connection import ProxyError

WITH_REASONS = (ResponseFailed, RequestTransmissionFailed)
CANCELLATIONS = (defer.CancelledError, error.ConnectingCancelledError)


def was_stale(trouble: ResponseNeverReceived | RequestTransmissionFailed) -> bool:
    """Return whether the receiver had closed the connection, and for no reason of TLS."""
    closed = any(each.check(error.ConnectionDone, error.ConnectionLost) for each in trouble.reasons)
    return closed and not tls_errors.describe(trouble)


def is_unsent(trouble: Exception) -> bool:
    """Return whether neither the request nor one that it repeats had a connection."""
    no_connection = isinstance(trouble, error.ConnectError | error.DNSLookupError)
    return no_connection and trouble.__cause__ is None


def is_cancelled(trouble: Exception) -> bool:
    """Return whether a request ended because it was cancelled."""
    # Twisted's agent wraps a cancellation once a connection is there.
    reasons = trouble.reasons if isinstance(trouble, ResponseFailed) else ()
    return isinstance(trouble, CANCELLATIONS) or any(each.check(*CANCELLATIONS) for each in reasons)


def explain(trouble: Exception) -> str:
    """Put what a request ended with into words for an administrator."""
    if text := tls_errors.describe(trouble):
        return text
    for reason in trouble.reasons if isinstance(trouble, WITH_REASONS) else ():
        if reason.check(NotHTTPError):
            return str(reason.value)
    for kind, words in TROUBLES:
        if isinstance(trouble, kind):
            return words.format(trouble=trouble)
    return f"{type(trouble).__name__}: {trouble}"


TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    # The first that fits counts: subclasses stand before their bases.
    (ProxyError, "{trouble}"),
    (error.ConnectionRefusedError, "connection refused"),
    (error.DNSLookupError, "the host name can't be resolved"),
    (error.TimeoutError, "no connection came about in time"),
    (error.ConnectError, "no connection: {trouble}"),
    (error.ConnectionClosed, "the connection was closed before an answer came"),
    (AuthenticationFailed, "{trouble}"),
    (tls_errors.TLSFileError, "{trouble}"),
    (ResponseNeverReceived, "the connection was closed before an answer came"),
    (RequestTransmissionFailed, "the connection was closed while the request was sent"),
    (ResponseFailed, "the answer could not be read"),
)
"""What foreign exceptions are called in logs."""
