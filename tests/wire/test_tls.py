"""The TLS policy in handshakes without a network, its files, and its words."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from OpenSSL import SSL, crypto
from support.certificates import (
    DAY,
    FOR_CLIENTS,
    expired,
    issue,
    not_yet_valid,
    write_authorities,
    write_leaf,
    write_pair,
)
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived
from twisted.web.iweb import IPolicyForHTTPS

from buildbot_http_status_push.wire import tls, tls_errors

UNTRUSTED = (
    "TLS: the certificate is self-signed or its issuer is not trusted "
    "(set verify= to your CA's file)"
)


def make_server(
    identity: Path, client_authorities: Path | None = None, newest: int = SSL.TLS1_3_VERSION
) -> SSL.Connection:
    """Make the server's side of a connection.

    Args:
        identity: A PEM file with its key, its certificate and the chain.
        client_authorities: Those whose clients it lets in; None for everybody.
        newest: The newest TLS version it speaks.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(newest)
    context.use_certificate_chain_file(str(identity))
    context.use_privatekey_file(str(identity))
    if client_authorities:
        context.load_verify_locations(str(client_authorities))
        flags = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        context.set_verify(flags, lambda *arguments: bool(arguments[-1]))
    server = SSL.Connection(context, None)
    server.set_accept_state()
    return server


def shake_hands(policy: IPolicyForHTTPS, host: bytes, server: SSL.Connection) -> bytes:
    """Let a client of the policy connect to the server and say hello.

    Returns:
        What the server hears.

    Raises:
        SSL.Error: What the client sees go wrong.
    """
    client = policy.creatorForNetloc(host, 443).clientConnectionForTLS(None)
    client.set_connect_state()
    for _ in range(4):
        try:
            _advance(client)
        finally:
            _carry(client, server)
        # What the client is told of a server's trouble is what counts.
        with contextlib.suppress(SSL.Error):
            _advance(server)
        _carry(server, client)
    client.send(b"hello")
    _carry(client, server)
    return server.recv(5)


def _advance(side: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        side.do_handshake()
        side.recv(1)  # an alert may come after the handshake


def _carry(sender: SSL.Connection, receiver: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        receiver.bio_write(sender.bio_read(2**16))


class TLSTestCase(SynchronousTestCase):
    """Has a folder, an authority, its file, and the file of a good server."""

    def setUp(self) -> None:
        """Make them."""
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = trustme.CA()
        self.trusted = write_authorities(self.folder / "ca.pem", self.authority)
        leaf = self.authority.issue_cert("localhost", "127.0.0.1", "::1")
        self.good = write_leaf(self.folder / "server.pem", leaf)

    def assert_accepted(
        self, policy: IPolicyForHTTPS, identity: Path | None = None, host: bytes = b"localhost"
    ) -> None:
        """Assert that a client accepts a server with this identity."""
        server = make_server(identity or self.good)
        self.assertEqual(shake_hands(policy, host, server), b"hello")

    def assert_refused(
        self,
        policy: IPolicyForHTTPS,
        words: str,
        identity: Path | None = None,
        host: bytes = b"localhost",
    ) -> None:
        """Assert that a client refuses a server, tells it so, and in which words it says why."""
        server = make_server(identity or self.good)
        error = self.assertRaises(SSL.Error, shake_hands, policy, host, server)
        self.assertEqual(tls_errors.describe(error), words)
        self.assertRaises(SSL.Error, server.do_handshake)

    def write(self, name: str, text: bytes) -> Path:
        """Write a file and return its path."""
        path = self.folder / name
        path.write_bytes(text)
        return path


class TrustTests(TLSTestCase):
    """Whose certificates are accepted."""

    def test_system_does_not_know_issuer(self) -> None:
        """By default an issuer that the system does not trust is refused."""
        for verify in (None, True):
            self.assert_refused(tls.make_policy(verify, None), UNTRUSTED)

    def test_system_knows_issuer(self) -> None:
        """By default an issuer that the system trusts is accepted."""
        self.addCleanup(os.environ.update, dict(os.environ))
        self.addCleanup(os.environ.pop, "SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(self.trusted)
        self.assert_accepted(tls.make_policy(None, None))

    def test_no_checks(self) -> None:
        """With verify=False any certificate is accepted."""
        policy = tls.make_policy(False, None)
        self.assert_accepted(policy, issue(age=3 * DAY).write(self.folder / "bad.pem"))

    def test_bundle(self) -> None:
        """Every authority in a file is trusted."""
        bundle = write_authorities(self.folder / "bundle.pem", trustme.CA(), self.authority)
        self.assert_accepted(tls.make_policy(str(bundle), None))

    def test_only_the_file(self) -> None:
        """An authority that is not in the file is not trusted."""
        other = write_authorities(self.folder / "other.pem", trustme.CA())
        self.assert_refused(tls.make_policy(other, None), UNTRUSTED)

    def test_self_signed(self) -> None:
        """A self-signed certificate is refused, and accepted where it is its own CA file."""
        identity = issue("localhost").write(self.folder / "self.pem")
        self.assert_refused(tls.make_policy(self.trusted, None), UNTRUSTED, identity)
        self.assert_accepted(tls.make_policy(identity, None), identity)

    def test_chain_to_unknown_root(self) -> None:
        """A root that only the server vouches for is refused."""
        other = trustme.CA()
        identity = write_leaf(self.folder / "chained.pem", other.issue_cert("localhost"))
        identity.write_bytes(identity.read_bytes() + other.cert_pem.bytes())
        self.assert_refused(tls.make_policy(self.trusted, None), UNTRUSTED, identity)

    def test_root_is_missing(self) -> None:
        """An authority that another one signed is not enough: the root is asked for."""
        child = self.authority.create_child_ca()
        trusted = write_authorities(self.folder / "child.pem", child)
        identity = write_leaf(self.folder / "leaf.pem", child.issue_cert("localhost"))
        words = (
            "TLS: the certificate's chain ends before a root (add the root to the file of verify=)"
        )
        self.assert_refused(tls.make_policy(trusted, None), words, identity)

    def test_kinds_of_pem(self) -> None:
        """OpenSSL's other names for a certificate in a PEM file are understood."""
        text = self.trusted.read_bytes()
        for kind in (b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"):
            self.trusted.write_bytes(text.replace(b"CERTIFICATE", kind))
            self.assert_accepted(tls.make_policy(self.trusted, None))

    def test_intermediate_authority(self) -> None:
        """A chain that the server sends is followed up to a trusted authority."""
        leaf = self.authority.create_child_ca().issue_cert("localhost")
        identity = write_leaf(self.folder / "chained.pem", leaf)
        self.assert_accepted(tls.make_policy(self.trusted, None), identity)

    def test_time(self) -> None:
        """A certificate is refused before and after its time."""
        policy = tls.make_policy(self.trusted, None)
        old = write_leaf(self.folder / "old.pem", expired(self.authority, "localhost"))
        self.assert_refused(policy, "TLS: the certificate has expired", old)
        new = write_leaf(self.folder / "new.pem", not_yet_valid(self.authority, "localhost"))
        self.assert_refused(policy, "TLS: the certificate is not valid yet", new)

    def test_time_of_issuer(self) -> None:
        """Where an authority has expired, it is what the words are about."""
        authority = issue(authority=True, age=3 * DAY).as_authority()
        trusted = write_authorities(self.folder / "expired-ca.pem", authority)
        identity = write_leaf(self.folder / "leaf.pem", authority.issue_cert("localhost"))
        policy = tls.make_policy(trusted, None)
        self.assert_refused(policy, "TLS: an issuer's certificate has expired", identity)

    def test_purpose(self) -> None:
        """A client's certificate is refused as a server's."""
        issued = issue("localhost", issuer=self.authority, usage=FOR_CLIENTS)
        identity = issued.write(self.folder / "client.pem")
        words = "TLS: the certificate is not meant for this use"
        self.assert_refused(tls.make_policy(self.trusted, None), words, identity)

    def test_authority_made_anew(self) -> None:
        """An authority of the same name with another key is not trusted."""
        first, second = (trustme.CA(organization_unit_name="Ours") for _ in range(2))
        trusted = write_authorities(self.folder / "first.pem", first)
        identity = issue("localhost", issuer=second).write(self.folder / "leaf.pem")
        self.assert_refused(tls.make_policy(trusted, None), UNTRUSTED, identity)

    def test_other_refusal(self) -> None:
        """Whatever else OpenSSL does not like is refused, with OpenSSL's number."""
        no_authority = issue("someone.example.com")
        trusted = no_authority.write(self.folder / "trusted.pem")
        leaf = issue("localhost", issuer=no_authority.as_authority())
        identity = leaf.write(self.folder / "leaf.pem")
        words = "TLS: an issuer's certificate does not pass OpenSSL's verification (error 79)"
        self.assert_refused(tls.make_policy(trusted, None), words, identity)


class HostTests(TLSTestCase):
    """Which hosts a certificate is good for."""

    def setUp(self) -> None:
        """Trust the authority."""
        super().setUp()
        self.policy = tls.make_policy(self.trusted, None)

    def test_own_names(self) -> None:
        """A host name, its form with a trailing dot, and IP addresses are accepted."""
        for host in (b"localhost", b"LOCALHOST", b"localhost.", b"127.0.0.1", b"::1"):
            self.assert_accepted(self.policy, host=host)

    def test_other_names(self) -> None:
        """A host name or IP address that the certificate does not name is refused."""
        for host in ("example.com", "localhost.example.com", "127.0.0.2", "::2"):
            words = f"TLS: the certificate is for another host name than '{host}'"
            self.assert_refused(self.policy, words, host=host.encode())

    def test_no_name(self) -> None:
        """A certificate without a subjectAltName is refused: RFC 9525 ignores common names."""
        identity = issue(issuer=self.authority).write(self.folder / "nameless.pem")
        server = make_server(identity)
        error = self.assertRaises(SSL.Error, shake_hands, self.policy, b"localhost", server)
        self.assertIn("subjectAltName", tls_errors.describe(error) or "")

    def test_each_host_is_checked(self) -> None:
        """A policy that has accepted one host still checks the next one's name."""
        self.assert_accepted(self.policy)
        words = "TLS: the certificate is for another host name than 'example.com'"
        self.assert_refused(self.policy, words, host=b"example.com")

    def test_server_name_indication(self) -> None:
        """The server is told the host's name, checks or not, but no IP address (RFC 6066)."""
        for verify in (self.trusted, False):
            for host, told in ((b"localhost.", b"localhost"), (b"127.0.0.1", None)):
                server = make_server(self.good)
                shake_hands(tls.make_policy(verify, None), host, server)
                self.assertEqual(server.get_servername(), told)

    def test_old_versions(self) -> None:
        """TLS 1.1 is not spoken."""
        server = make_server(self.good, newest=SSL.TLS1_1_VERSION)
        error = self.assertRaises(SSL.Error, shake_hands, self.policy, b"localhost", server)
        self.assertEqual(
            tls_errors.describe(error), "TLS: the receiver does not speak TLS 1.2 or newer"
        )


class ClientCertificateTests(TLSTestCase):
    """What the receiver is shown, and how its refusal reads."""

    def setUp(self) -> None:
        """Issue a client's certificate."""
        super().setUp()
        self.leaf = self.authority.issue_cert("buildbot@example.com")

    def connect(
        self, cert: Path | tuple[Path, Path] | None, newest: int = SSL.TLS1_3_VERSION
    ) -> bytes:
        """Connect to a server that wants a certificate of the authority."""
        server = make_server(self.good, self.trusted, newest)
        return shake_hands(tls.make_policy(self.trusted, cert), b"localhost", server)

    def refusal(self, cert: Path | None, newest: int = SSL.TLS1_3_VERSION) -> str | None:
        """Return the words for what such a server refuses."""
        return tls_errors.describe(self.assertRaises(SSL.Error, self.connect, cert, newest))

    def test_one_file(self) -> None:
        """A file with the key and the certificate is enough."""
        identity = write_leaf(self.folder / "client.pem", self.leaf)
        self.assertEqual(self.connect(identity), b"hello")

    def test_two_files(self) -> None:
        """Certificate and key may be in files of their own."""
        self.assertEqual(self.connect(write_pair(self.folder, self.leaf)), b"hello")

    def test_chain(self) -> None:
        """The chain in the file is sent along."""
        leaf = self.authority.create_child_ca().issue_cert("buildbot@example.com")
        self.assertEqual(self.connect(write_leaf(self.folder / "client.pem", leaf)), b"hello")

    def test_missing(self) -> None:
        """A receiver that wants a certificate is understood, as far as its TLS version tells."""
        self.assertEqual(
            self.refusal(None), "TLS: the receiver requires a client certificate (set cert=)"
        )
        self.assertEqual(
            self.refusal(None, SSL.TLS1_2_VERSION),
            "TLS: the receiver ended the handshake: it has no cipher in common with us, or "
            "requires a client certificate (set cert=)",
        )

    def test_wrong_authority(self) -> None:
        """A receiver that does not trust the certificate's issuer is understood."""
        other = write_leaf(self.folder / "other.pem", trustme.CA().issue_cert("us@example.com"))
        words = "TLS: the receiver does not trust the client certificate's issuer (see cert=)"
        self.assertEqual(self.refusal(other), words)

    def test_expired(self) -> None:
        """A receiver that finds the certificate expired is understood."""
        old = write_leaf(self.folder / "old.pem", expired(self.authority, "us@example.com"))
        words = "TLS: the client certificate has expired (see cert=)"
        self.assertEqual(self.refusal(old), words)

    def test_not_for_clients(self) -> None:
        """A receiver that refuses the certificate for another reason is understood."""
        issued = issue("buildbot.example.com", issuer=self.authority)
        words = "TLS: the receiver requires another client certificate, or any (see cert=)"
        self.assertEqual(self.refusal(issued.write(self.folder / "wrong.pem")), words)


class FileTests(TLSTestCase):
    """When files are read, and what is said of those that can't be used."""

    def assert_trouble(
        self, words: str, verify: Path | None, cert: Path | tuple[Path, Path] | None = None
    ) -> None:
        """Assert that no connection can be made, and why."""
        policy = tls.make_policy(verify, cert)
        error = self.assertRaises(
            tls_errors.TLSFileError, policy.creatorForNetloc, b"localhost", 443
        )
        self.assertEqual(str(error), words)
        self.assertEqual(tls_errors.describe(error), f"TLS: {words}")

    def test_kept(self) -> None:
        """While no file changes, the costly context is kept."""
        policy = tls.make_policy(self.trusted, self.good)
        first = policy.creatorForNetloc(b"localhost", 443)
        second = policy.creatorForNetloc(b"localhost", 444)
        self.assertIs(first.context, second.context)

    def test_changes(self) -> None:
        """A file is read again when its time, its size or its place on disk is another."""
        policy = tls.make_policy(self.trusted, None)
        text, status = self.trusted.read_bytes(), self.trusted.stat()
        times = (status.st_atime_ns, status.st_mtime_ns)

        def touch() -> None:
            os.utime(self.trusted, ns=(0, 0))

        def grow() -> None:
            self.trusted.write_bytes(text + b"# a comment")
            os.utime(self.trusted, ns=times)

        def replace() -> None:
            self.write("replacement", text).rename(self.trusted)
            os.utime(self.trusted, ns=times)

        def restore() -> None:
            self.trusted.write_bytes(text)
            os.utime(self.trusted, ns=times)

        for change in (touch, grow, restore, replace):
            before = policy.creatorForNetloc(b"localhost", 443).context
            change()
            after = policy.creatorForNetloc(b"localhost", 443).context
            self.assertIsNot(before, after, change.__name__)

    def test_broken_file_is_repaired(self) -> None:
        """A broken file fails each attempt until it is repaired, and no old trust is used."""
        policy = tls.make_policy(self.trusted, None)
        self.assert_accepted(policy)
        text = self.trusted.read_bytes()
        self.trusted.write_bytes(b"")
        for _ in range(2):
            self.assertRaises(tls_errors.TLSFileError, policy.creatorForNetloc, b"localhost", 443)
        self.trusted.write_bytes(text)
        self.assert_accepted(policy)

    def test_plain_directory(self) -> None:
        """In a directory every PEM file with a certificate counts, and nothing else."""
        folder = self.folder / "trusted"
        folder.mkdir()
        policy = tls.make_policy(folder, None)
        write_authorities(folder / "other.crt", trustme.CA())
        (folder / "key.pem").write_bytes(self.authority.private_key_pem.bytes())
        (folder / "gone.pem").symlink_to(self.folder / "nowhere")
        (folder / "deeper.pem").mkdir()
        write_authorities(folder / "README", self.authority)
        self.assert_refused(policy, UNTRUSTED)
        write_authorities(folder / "ours.pem", self.authority)
        self.assert_accepted(policy)

    def test_hashed_directory(self) -> None:
        """In a directory the names that c_rehash makes count too."""
        folder = self.folder / "hashed"
        folder.mkdir()
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, self.trusted.read_bytes())
        (folder / f"{certificate.subject_name_hash():08x}.0").symlink_to(self.trusted)
        self.assert_accepted(tls.make_policy(folder, None))

    def test_empty_directory(self) -> None:
        """A directory without a certificate is told."""
        folder = self.folder / "empty"
        folder.mkdir()
        self.assert_trouble(f"verify: '{folder}' holds no certificate in PEM format", folder)

    def test_missing_files(self) -> None:
        """A missing file is told with its option and path."""
        nowhere = self.folder / "nowhere.pem"
        words = f"'{nowhere}' can't be read: No such file or directory"
        self.assert_trouble(f"verify: {words}", nowhere)
        self.assert_trouble(f"cert: {words}", None, nowhere)
        self.assert_trouble(f"cert: {words}", None, (self.good, nowhere))

    def test_unreadable_files(self) -> None:
        """What can't be read is told with the system's reason."""
        words = f"cert: '{self.folder}' can't be read: Is a directory"
        self.assert_trouble(words, None, self.folder)

    def test_no_certificate(self) -> None:
        """A file without a certificate is told."""
        key = self.write("key.pem", self.authority.private_key_pem.bytes())
        words = f"'{key}' holds no certificate in PEM format"
        self.assert_trouble(f"verify: {words}", key)
        self.assert_trouble(f"cert: {words}", None, key)

    def test_broken_certificate(self) -> None:
        """A certificate that can't be decoded is told with OpenSSL's reason."""
        text = self.good.read_bytes().replace(
            b"BEGIN CERTIFICATE-----\n", b"BEGIN CERTIFICATE-----\n!"
        )
        broken = self.write("broken.pem", text)
        for option, verify, cert in (("verify", broken, None), ("cert", None, broken)):
            policy = tls.make_policy(verify, cert)
            error = self.assertRaises(
                tls_errors.TLSFileError, policy.creatorForNetloc, b"localhost", 443
            )
            self.assertIn(f"{option}: '{broken}' holds a broken certificate: ", str(error))

    def test_no_key(self) -> None:
        """A certificate without a key is told, and what to do."""
        words = (
            f"cert: '{self.trusted}' holds no private key in PEM format: add it, or write "
            "cert=(certificate, key)"
        )
        self.assert_trouble(words, None, self.trusted)

    def test_encrypted_keys(self) -> None:
        """Encrypted keys of both kinds are told, and no passphrase is asked for."""
        leaf = self.authority.issue_cert("us@example.com")
        certificate, key = write_pair(self.folder, leaf)
        decrypted = load_pem_private_key(key.read_bytes(), None)
        words = (
            f"cert: '{key}' holds an encrypted key, and nobody is there to type a passphrase: "
            "decrypt it"
        )
        for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            encryption = BestAvailableEncryption(b"secret")
            key.write_bytes(decrypted.private_bytes(Encoding.PEM, kind, encryption))
            self.assert_trouble(words, None, (certificate, key))

    def test_other_key(self) -> None:
        """A key that is not the certificate's is told, whether of the same kind or another."""
        kinds = (trustme.KeyType.ECDSA, trustme.KeyType.RSA)
        for kind in kinds:
            leaf = self.authority.issue_cert("us@example.com", key_type=kind)
            key = self.write(f"{kind.name}.pem", leaf.private_key_pem.bytes())
            policy = tls.make_policy(None, (self.good, key))
            error = self.assertRaises(
                tls_errors.TLSFileError, policy.creatorForNetloc, b"localhost", 443
            )
            words = f"cert: '{key}' holds no key that fits '{self.good}': "
            self.assertIn(words, str(error))


class DescribeTests(SynchronousTestCase):
    """How what Twisted's agent fails with is put into words."""

    def test_reasons(self) -> None:
        """OpenSSL's error is found among an agent's reasons, and alone."""
        error = SSL.Error([("SSL routines", "", "wrong version number")])
        words = "TLS: the receiver does not speak TLS on this port"
        reasons = [Failure(ConnectionLost()), Failure(error)]
        for wrapper in (ResponseNeverReceived, RequestTransmissionFailed):
            self.assertEqual(tls_errors.describe(wrapper(reasons)), words)
            self.assertEqual(tls_errors.describe(Failure(wrapper(reasons))), words)
        self.assertEqual(tls_errors.describe(Failure(error)), words)

    def test_unknown_reasons(self) -> None:
        """Words of OpenSSL that are not known are passed on."""
        error = SSL.Error([("SSL", "", "bad extension"), ("SSL", "", "excessive")])
        self.assertEqual(tls_errors.describe(error), "TLS: bad extension, excessive")
        self.assertEqual(tls_errors.describe(SSL.Error([])), "TLS: no reason given")
        self.assertEqual(tls_errors.describe(SSL.Error()), "TLS: no reason given")

    def test_other_trouble(self) -> None:
        """What TLS has no part in is left to others."""
        lost = ConnectionLost()
        never = ResponseNeverReceived([Failure(lost)])
        for trouble in (lost, never, ValueError("no"), SSL.SysCallError(-1, "Unexpected EOF")):
            self.assertIsNone(tls_errors.describe(trouble))

    def test_alerts(self) -> None:
        """The alerts of OpenSSL's versions 3 and 4 are understood, newer ones by their gist."""
        for alert, gist in (
            ("sslv3 alert handshake failure", "no cipher in common"),
            ("tls alert handshake failure", "no cipher in common"),
            ("sslv3 alert bad certificate", "another client certificate"),
            ("tls alert certificate unknown", "another client certificate"),
            ("tlsv1 unrecognized name", "no host of this name"),
            ("unsupported protocol", "1.2 or newer"),
            ("packet length too long", "does not speak TLS on this port"),
        ):
            error = SSL.Error([("SSL routines", "", alert)])
            self.assertIn(gist, tls_errors.describe(error) or "")


class FaultTests(SynchronousTestCase):
    """What ``buildbot checkconfig`` says about the options' shapes."""

    def test_good(self) -> None:
        """Everything that make_policy takes is fine, whether the files exist or not."""
        for verify in (None, True, False, "ca.pem", Path("ca.pem")):
            for cert in (None, "us.pem", Path("us.pem"), ("us.pem", Path("us.key"))):
                self.assertEqual(tls.faults(verify, cert), [])

    def test_verify(self) -> None:
        """Another verify is told with its value and what to write."""
        for verify in (1, "", b"ca.pem", ["ca.pem"]):
            self.assertEqual(
                tls.faults(verify, None),
                [
                    f"verify is {verify!r}: write True, False, or the path of a PEM file or "
                    "directory with the certificates to trust"
                ],
            )

    def test_cert(self) -> None:
        """Another cert is told with its value and what to write."""
        for cert in (True, "", ("us.pem",), ("a", "b", "c"), ("us.pem", ""), ("us.pem", None)):
            self.assertEqual(
                tls.faults(None, cert),
                [
                    f"cert is {cert!r}: write the path of a PEM file with the client's "
                    "certificate and key, or a pair of paths (certificate, key)"
                ],
            )

    def test_both(self) -> None:
        """All faults are told at once."""
        self.assertEqual(len(tls.faults(0, 0)), 2)
