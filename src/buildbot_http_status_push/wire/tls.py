"""``verify=`` and ``cert=`` made into an HTTPS policy.

Knows OpenSSL and Twisted's TLS; must not know the reporter, nor what follows a failed attempt.
"""

from __future__ import annotations

import os
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeAlias, cast

from attrs import frozen
from OpenSSL import SSL
from OpenSSL.crypto import X509
from service_identity import CertificateError, VerificationError, cryptography
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from buildbot_http_status_push.wire.tls_errors import (
    ANOTHER_HOST,
    UNREADABLE_HOSTS,
    CertificateRefusedError,
    why_refused,
)
from buildbot_http_status_push.wire.tls_files import Trust, WatchedFile, load_identity

StrPath: TypeAlias = "str | os.PathLike[str]"


def make_policy(
    verify: bool | StrPath | None, cert: StrPath | tuple[StrPath, StrPath] | None
) -> IPolicyForHTTPS:
    """Make the policy by which connections to ``https`` receivers are made and checked.

    Args:
        verify: True or None to trust what the system trusts, False to check nothing, or the
            path of a PEM file with trusted certificates or of a directory of such files.
        cert: The path of a PEM file with the client's certificate, its chain and its key, or a
            pair of paths, the certificate's first; None for no client certificate.

    Returns:
        A policy for the innermost ``twisted.web.client.Agent``.
    """
    anchors = None if verify is None or isinstance(verify, bool) else Path(verify)
    pair = cert if isinstance(cert, tuple | list) else (cert, cert)
    identity = tuple(Path(path) for path in pair if path is not None)
    policy = FileWatchingPolicy(verify is not False, anchors, identity)
    return cast(IPolicyForHTTPS, policy)  # mypy can't see zope.interface's declarations


def faults(verify: object, cert: object) -> list[str]:
    """Say what is wrong with the options' shapes, for ``buildbot checkconfig``.

    Files are not looked at.
    """
    found = []
    if not (verify is None or isinstance(verify, bool) or _is_path(verify)):
        found.append(
            f"verify is {verify!r}: write True, False, or the path of a PEM file or directory "
            "with the certificates to trust"
        )
    if not (cert is None or _is_path(cert) or _is_pair_of_paths(cert)):
        found.append(
            f"cert is {cert!r}: write the path of a PEM file with the client's certificate and "
            "key, or a pair of paths (certificate, key)"
        )
    return found


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike) and value != ""


def _is_pair_of_paths(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_path, value))


@implementer(IPolicyForHTTPS)
class FileWatchingPolicy:
    """Makes TLS connections by files that are read when needed, and again when they change.

    Building an SSL context takes up to tens of milliseconds: it is kept while no file changes.

    Args:
        checks: Whether the receiver's certificate is checked.
        anchors: The trusted certificates' file or directory, or None for the system's.
        identity: The files of the client's certificate and of its key, or nothing.
    """

    def __init__(self, checks: bool, anchors: Path | None, identity: tuple[Path, ...]) -> None:
        self._checks = checks
        self._anchors = anchors
        self._identity = identity
        # A changed file is another argument; errors are not cached.
        self._make_context = lru_cache(maxsize=1)(_make_context)

    def creatorForNetloc(self, hostname: bytes, port: int) -> ConnectionCreator:
        """Return what makes the connections to a host.

        Raises:
            TLSFileError: A file is missing or broken. The next call looks again.
        """
        # A trailing dot is for the resolver; certificates and SNI (RFC 6066) have none.
        host = hostname.decode("ascii").rstrip(".")
        trust = Trust.stat(self._anchors) if self._checks else None
        identity = tuple(WatchedFile.stat("cert", path) for path in self._identity)
        return ConnectionCreator(self._make_context(host, trust, identity), host)


def _make_context(host: str, trust: Trust | None, identity: tuple[WatchedFile, ...]) -> SSL.Context:
    # Twisted's protocol versions and ciphers. Its checks of the receiver are not used: they
    # don't distinguish an expired certificate from an unknown issuer, and in some versions pass
    # a certificate that names no host at all.
    context = CertificateOptions().getContext()
    if trust:
        context.set_verify(SSL.VERIFY_PEER, partial(_check_certificate, host))
        trust.apply_to(context)
    if identity:
        load_identity(context, *identity)
    return context


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class ConnectionCreator:
    """Makes the TLS side of the connections to one host."""

    context: SSL.Context
    host: str

    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return a new connection in OpenSSL's terms, the protocol being Twisted's side of it."""
        connection = SSL.Connection(self.context, None)
        if not _is_ip_address(self.host):
            connection.set_tlsext_host_name(self.host.encode("ascii"))
        return connection


def _check_certificate(
    host: str, _: SSL.Connection, certificate: X509, error: int, depth: int, passes: int
) -> bool:
    """Judge one certificate of the chain; the receiver's own, at depth 0, comes last."""
    if not passes:
        raise CertificateRefusedError(why_refused(error, depth))
    if depth == 0:
        _check_host(certificate, host)
    return True


def _check_host(certificate: X509, host: str) -> None:
    try:
        if _is_ip_address(host):
            cryptography.verify_certificate_ip_address(certificate.to_cryptography(), host)
        else:
            cryptography.verify_certificate_hostname(certificate.to_cryptography(), host)
    except VerificationError:
        raise CertificateRefusedError(ANOTHER_HOST.format(host=host)) from None
    except (CertificateError, ValueError) as error:
        raise CertificateRefusedError(UNREADABLE_HOSTS.format(error=error)) from error


def _is_ip_address(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host)
