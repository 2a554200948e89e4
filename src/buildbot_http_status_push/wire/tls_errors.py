"""What TLS trouble is called: OpenSSL's numbers and reasons put into words for an administrator."""

from __future__ import annotations

import re

from OpenSSL import SSL
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed


class TLSFileError(Exception):
    """A file that ``verify`` or ``cert`` names can't be used now; the text says why."""


class CertificateRefusedError(SSL.Error):
    """The receiver's certificate does not pass; the text says why.

    It has the shape of OpenSSL's own errors, so that Twisted ends the handshake with an alert
    and hands it on as the reason for which the connection was lost.
    """

    def __init__(self, why: str) -> None:
        super().__init__([("certificate", "", why)])


UNTRUSTED = (
    "the certificate is self-signed or its issuer is not trusted (set verify= to your CA's file)"
)

REFUSALS = dict.fromkeys((7, 18, 19, 20), UNTRUSTED) | {
    2: "the certificate's chain ends before a root (add the root to the file of verify=)",
    9: "{which} is not valid yet",
    10: "{which} has expired",
    26: "{which} is not meant for this use",
}
"""What the numbers say that OpenSSL calls ``X509_V_ERR_...``."""

UNKNOWN_REFUSAL = "{which} does not pass OpenSSL's verification (error {error})"
ANOTHER_HOST = "the certificate is for another host name than {host!r}"
UNREADABLE_HOSTS = "the certificate's host names can't be read: {error}"

BREAKDOWNS = {
    "certificate required": "the receiver requires a client certificate (set cert=)",
    "alert unknown ca": "the receiver does not trust the client certificate's issuer (see cert=)",
    "alert certificate expired": "the client certificate has expired (see cert=)",
    "alert .*certificate": "the receiver requires another client certificate, or any (see cert=)",
    "alert handshake failure": "the receiver ended the handshake: it has no cipher in common with "
    "us, or requires a client certificate (set cert=)",
    "protocol version|unsupported protocol": "the receiver does not speak TLS 1.2 or newer",
    "unrecognized name": "the receiver knows no host of this name",
    "wrong version number|packet length too long": "the receiver does not speak TLS on this port",
}
"""What OpenSSL's reasons mean for an administrator; the first pattern that fits counts."""


def why_refused(error: int, depth: int) -> str:
    """Say why a certificate is refused."""
    which = "the certificate" if depth == 0 else "an issuer's certificate"
    return REFUSALS.get(error, UNKNOWN_REFUSAL).format(which=which, error=error)


def describe(trouble: Failure | BaseException) -> str | None:
    """Put TLS trouble into a sentence for an administrator.

    Returns:
        The sentence, or None where TLS is not what failed.
    """
    error = trouble.value if isinstance(trouble, Failure) else trouble
    if isinstance(error, TLSFileError):
        return f"TLS: {error}"
    # An end of file in the middle is what other protocols call a lost connection.
    if isinstance(error, SSL.Error) and not isinstance(error, SSL.SysCallError):
        return f"TLS: {_explain(reasons(error))}"
    if isinstance(error, ResponseFailed | RequestTransmissionFailed):
        return next(filter(None, map(describe, error.reasons)), None)
    return None


def _explain(found: str) -> str:
    known = (text for pattern, text in BREAKDOWNS.items() if re.search(pattern, found))
    return next(known, found)


def reasons(error: SSL.Error) -> str:
    """Join the reasons in OpenSSL's queue of (library, function, reason)."""
    queue = error.args[0] if error.args else ()
    return ", ".join(reason for _, _, reason in queue) or "no reason given"
