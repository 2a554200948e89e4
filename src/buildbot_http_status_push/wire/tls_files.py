"""The files that ``verify=`` and ``cert=`` name: whether they changed, and what is wrong with them.

Must not know when a connection is made, nor how the receiver's certificate is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from OpenSSL import SSL

from buildbot_http_status_push.wire.tls_errors import TLSFileError, reasons

ANCHOR_NAME = re.compile(r".+\.(pem|crt|cer)|[0-9a-f]{8}\.\d+")
"""A certificate's name in a directory: a usual ending, or the hash that ``c_rehash`` makes."""

CERTIFICATE = re.compile(rb"-----BEGIN (X509 |TRUSTED )?CERTIFICATE-----")
KEY = re.compile(rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----")
ENCRYPTED_KEY = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


@frozen
class WatchedFile:
    """A file as it is on disk now; once changed or replaced, it is another value."""

    option: str
    path: Path
    changed_ns: int
    size: int
    inode: int

    @classmethod
    def stat(cls, option: str, path: Path) -> WatchedFile:
        """Look at a file.

        Raises:
            TLSFileError: It is not there, or can't be looked at.
        """
        with _using(option, path):
            status = path.stat()
        return cls(option, path, status.st_mtime_ns, status.st_size, status.st_ino)

    def read(self) -> bytes:
        """Return what is in it.

        Raises:
            TLSFileError: It can't be read.
        """
        with _using(self.option, self.path):
            return self.path.read_bytes()


def _trouble(option: str, path: Path, what: str) -> TLSFileError:
    return TLSFileError(f"{option}: {str(path)!r} {what}")


@contextmanager
def _using(option: str, path: Path, otherwise: str = "can't be read") -> Iterator[None]:
    try:
        yield
    except (OSError, SSL.Error) as error:
        why = error.strerror if isinstance(error, OSError) else reasons(error)
        raise _trouble(option, path, f"{otherwise}: {why}") from error


@frozen
class Trust:
    """What is trusted: the system's certificates, or those in a file or a directory."""

    path: Path | None
    files: tuple[WatchedFile, ...]

    @classmethod
    def stat(cls, path: Path | None) -> Trust:
        """Look at what is to be trusted.

        Raises:
            TLSFileError: It is not there, or can't be looked at.
        """
        if path is None:
            return cls(path, ())
        if not path.is_dir():
            return cls(path, (WatchedFile.stat("verify", path),))
        with _using("verify", path):
            named = sorted(each for each in path.iterdir() if ANCHOR_NAME.fullmatch(each.name))
        # A link whose target is gone is no file.
        return cls(
            path, tuple(WatchedFile.stat("verify", each) for each in named if each.is_file())
        )

    def apply_to(self, context: SSL.Context) -> None:
        """Have a context trust it.

        Raises:
            TLSFileError: It holds no certificate, or a broken one.
        """
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


def load_identity(context: SSL.Context, certificate: WatchedFile, key: WatchedFile) -> None:
    """Have a context show a client certificate.

    Raises:
        TLSFileError: A file lacks what it should hold, or the two do not belong together.
    """
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
