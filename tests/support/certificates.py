"""Certificates for tests, good ones and bad ones, and the PEM files they are kept in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import trustme
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
FOR_SERVERS = ExtendedKeyUsageOID.SERVER_AUTH
FOR_CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH


def write_authorities(path: Path, *authorities: trustme.CA) -> Path:
    """Write the certificates of authorities into one file and return its path."""
    path.write_bytes(b"".join(each.cert_pem.bytes() for each in authorities))
    return path


def write_leaf(path: Path, leaf: trustme.LeafCert) -> Path:
    """Write a key, its certificate and the chain into one file and return its path."""
    path.write_bytes(leaf.private_key_and_cert_chain_pem.bytes())
    return path


def write_pair(folder: Path, leaf: trustme.LeafCert) -> tuple[Path, Path]:
    """Write a certificate with its chain, and its key, into two files and return their paths."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(each.bytes() for each in leaf.cert_chain_pems))
    key.write_bytes(leaf.private_key_pem.bytes())
    return certificate, key


def expired(authority: trustme.CA, *names: str) -> trustme.LeafCert:
    """Issue a certificate whose time is over."""
    now = datetime.now(timezone.utc)
    return authority.issue_cert(*names, not_before=now - 2 * DAY, not_after=now - DAY)


def not_yet_valid(authority: trustme.CA, *names: str) -> trustme.LeafCert:
    """Issue a certificate whose time is to come."""
    now = datetime.now(timezone.utc)
    return authority.issue_cert(*names, not_before=now + DAY, not_after=now + 2 * DAY)


@frozen
class Issued:
    """A certificate and its key, both in PEM format."""

    certificate: bytes
    key: bytes

    def write(self, path: Path) -> Path:
        """Write both into one file and return its path."""
        path.write_bytes(self.key + self.certificate)
        return path

    def as_authority(self) -> trustme.CA:
        """Return the authority that signs with this certificate."""
        return trustme.CA.from_pem(self.certificate, self.key)


def issue(
    *names: str,
    issuer: trustme.CA | None = None,
    usage: x509.ObjectIdentifier = FOR_SERVERS,
    authority: bool = False,
    age: timedelta = DAY,
) -> Issued:
    """Make a certificate of a kind that ``trustme`` makes none of.

    Args:
        names: The DNS names in the certificate; with none, it has only a common name,
            ``localhost``.
        issuer: Who signs; None for a self-signed certificate.
        usage: What the certificate is for.
        authority: Whether it may sign others.
        age: How long ago it became valid, for two days.
    """
    own_key = ec.generate_private_key(ec.SECP256R1())
    common_name = names[0] if names else "localhost"
    own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    began = datetime.now(timezone.utc) - age
    builder = x509.CertificateBuilder(
        issuer_name=_name_of(issuer) if issuer else own_name,
        subject_name=own_name,
        public_key=own_key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=began,
        not_valid_after=began + 2 * DAY,
    )
    builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
    if authority:
        identifier = x509.SubjectKeyIdentifier.from_public_key(own_key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = builder.sign(_key_of(issuer) if issuer else own_key, hashes.SHA256())
    key = own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(certificate.public_bytes(Encoding.PEM), key)


def _name_of(authority: trustme.CA) -> x509.Name:
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject


def _key_of(authority: trustme.CA) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key
