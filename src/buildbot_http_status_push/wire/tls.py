"""``verify=`` and ``cert=`` made into an HTTPS policy, and TLS trouble put into words.

Knows OpenSSL and Twisted's TLS; must not know the reporter, nor what follows a failed attempt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
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
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

StrPath: TypeAlias = "str | os.PathLike[str]"


class TLSFileError(Exception):
    """A file that ``verify`` or ``cert`` names can't be used now; the text says why."""


class CertificateRefusedError(SSL.Error):
    """The receiver's certificate does not pass; the text says why.

    It has the shape of OpenSSL's own errors, so that Twisted ends the handshake with an alert
    and hands it on as the reason for which the connection was lost.
    """

    def __init__(self, why: str) -> None:
        super().__init__([("certificate", "", why)])


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

    Args:
        verify: What the user wrote.
        cert: What the user wrote.

    Returns:
        A sentence for every fault.
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

        Args:
            hostname: The host name in ASCII or the IP address, as in the URL.
            port: Not used: a certificate knows no ports.

        Raises:
            TLSFileError: A file is missing or broken. The next call looks again.
        """
        # A trailing dot is for the resolver; certificates and SNI (RFC 6066) have none.
        host = hostname.decode("ascii").rstrip(".")
        trust = _Trust.look(self._anchors) if self._checks else None
        identity = tuple(_File.look("cert", path) for path in self._identity)
        return ConnectionCreator(self._make_context(host, trust, identity), host)


def _make_context(host: str, trust: _Trust | None, identity: tuple[_File, ...]) -> SSL.Context:
    # Twisted's protocol versions and ciphers. Its checks of the receiver are not used: they
    # don't tell an expired certificate from an unknown issuer, and in some versions they pass
    # a certificate that names no host at all.
    context = CertificateOptions().getContext()
    if trust:
        context.set_verify(SSL.VERIFY_PEER, partial(_check_certificate, host))
        trust.apply_to(context)
    if identity:
        _identify(context, *identity)
    return context


@implementer(IOpenSSLClientConnectionCreator)
@frozen
class ConnectionCreator:
    """Makes the TLS side of the connections to one host.

    Args:
        context: What is trusted, and who we are.
        host: The host name in ASCII, or an IP address.
    """

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
        which = "the certificate" if depth == 0 else "an issuer's certificate"
        otherwise = "{which} does not pass OpenSSL's verification (error {error})"
        why = REFUSALS.get(error, otherwise).format(which=which, error=error)
        raise CertificateRefusedError(why)
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
        why = f"the certificate is for another host name than {host!r}"
        raise CertificateRefusedError(why) from None
    except (CertificateError, ValueError) as error:
        why = f"the certificate's host names can't be read: {error}"
        raise CertificateRefusedError(why) from error


def _is_ip_address(host: str) -> bool:
    return isIPAddress(host) or isIPv6Address(host)


ANCHOR_NAME = re.compile(r".+\.(pem|crt|cer)|[0-9a-f]{8}\.\d+")
"""A certificate's name in a directory: a usual ending, or the hash that ``c_rehash`` makes."""

CERTIFICATE = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
KEY = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----")
ENCRYPTED_KEY = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


@frozen
class _File:
    """A file as it is on disk now; once changed or replaced, it is another value."""

    option: str
    path: Path
    changed_ns: int
    size: int
    inode: int

    @classmethod
    def look(cls, option: str, path: Path) -> _File:
        with _using(option, path):
            status = path.stat()
        return cls(option, path, status.st_mtime_ns, status.st_size, status.st_ino)

    def read(self) -> bytes:
        with _using(self.option, self.path):
            return self.path.read_bytes()


def _trouble(option: str, path: Path, what: str) -> TLSFileError:
    return TLSFileError(f"{option}: {str(path)!r} {what}")


@contextmanager
def _using(option: str, path: Path, otherwise: str = "can't be read") -> Iterator[None]:
    try:
        yield
    except (OSError, SSL.Error) as error:
        why = error.strerror if isinstance(error, OSError) else _reasons(error)
        raise _trouble(option, path, f"{otherwise}: {why}") from error


@frozen
class _Trust:
    """What is trusted: the system's certificates, or those in a file or a directory."""

    path: Path | None
    files: tuple[_File, ...]

    @classmethod
    def look(cls, path: Path | None) -> _Trust:
        if path is None:
            return cls(path, ())
        if not path.is_dir():
            return cls(path, (_File.look("verify", path),))
        with _using("verify", path):
            named = sorted(each for each in path.iterdir() if ANCHOR_NAME.fullmatch(each.name))
        # A link whose target is gone is no file.
        return cls(path, tuple(_File.look("verify", each) for each in named if each.is_file()))

    def apply_to(self, context: SSL.Context) -> None:
        if self.path is None:
            context.set_default_verify_paths()
            return
        # A directory may hold keys too.
        certificates = [each.path for each in self.files if CERTIFICATE.search(each.read())]
        if not certificates:
            raise _trouble("verify", self.path, "holds no certificate in PEM format")
        for each in certificates:
            with _using("verify", each, "holds a broken certificate"):
                context.load_verify_locations(str(each))


def _identify(context: SSL.Context, certificate: _File, key: _File) -> None:
    if not CERTIFICATE.search(certificate.read()):
        raise _trouble("cert", certificate.path, "holds no certificate in PEM format")
    text = key.read()
    # OpenSSL would ask for the passphrase on the terminal, and the master would stand still.
    if ENCRYPTED_KEY.search(text):
        what = "holds an encrypted key, and nobody is there to type a passphrase: decrypt it"
        raise _trouble("cert", key.path, what)
    if not KEY.search(text):
        what = "holds no private key in PEM format: add it, or write cert=(certificate, key)"
        raise _trouble("cert", key.path, what)
    with _using("cert", certificate.path, "holds a broken certificate"):
        context.use_certificate_chain_file(str(certificate.path))
    with _using("cert", key.path, f"holds no key that fits {str(certificate.path)!r}"):
        context.use_privatekey_file(str(key.path))
        context.check_privatekey()


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

BREAKDOWNS = {
    "certificate required": "the receiver wants a client certificate (set cert=)",
    "alert unknown ca": "the receiver does not trust the client certificate's issuer (see cert=)",
    "alert certificate expired": "the client certificate has expired (see cert=)",
    "alert .*certificate": "the receiver wants another client certificate, or any (see cert=)",
    "alert handshake failure": "the receiver ended the handshake: it has no cipher in common with "
    "us, or wants a client certificate (set cert=)",
    "protocol version|unsupported protocol": "the receiver does not speak TLS 1.2 or newer",
    "unrecognized name": "the receiver knows no host of this name",
    "wrong version number|packet length too long": "the receiver does not speak TLS on this port",
}
"""What OpenSSL's reasons mean for an administrator; the first pattern that fits counts."""


def describe(trouble: Failure | BaseException) -> str | None:
    """Put TLS trouble into a sentence for an administrator.

    Args:
        trouble: What an attempt failed with, as Twisted's agent gives it.

    Returns:
        The sentence, or None where TLS is not what failed.
    """
    error = trouble.value if isinstance(trouble, Failure) else trouble
    if isinstance(error, TLSFileError):
        return f"TLS: {error}"
    # An end of file in the middle is what other protocols call a lost connection.
    if isinstance(error, SSL.Error) and not isinstance(error, SSL.SysCallError):
        return f"TLS: {_in_words(_reasons(error))}"
    if isinstance(error, ResponseFailed | RequestTransmissionFailed):
        return next(filter(None, map(describe, error.reasons)), None)
    return None


def _in_words(reasons: str) -> str:
    known = (words for pattern, words in BREAKDOWNS.items() if re.search(pattern, reasons))
    return next(known, reasons)


def _reasons(error: SSL.Error) -> str:
    """Join the reasons in OpenSSL's queue of (library, function, reason)."""
    queue = error.args[0] if error.args else ()
    return ", ".join(reason for _, _, reason in queue) or "no reason given"
