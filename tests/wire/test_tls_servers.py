"""TLS over the wire: the policy in Twisted's agent, against nginx."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import treq
import trustme
from support.certificates import expired, write_authorities, write_leaf
from support.nginx import Nginx
from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool
from twisted.web.iweb import IPolicyForHTTPS

from buildbot_http_status_push.wire import tls, tls_errors

MEBIBYTE = 1024 * 1024

UNTRUSTED = (
    "TLS: the certificate is self-signed or its issuer is not trusted "
    "(set verify= to your CA's file)"
)


class ServerTestCase(TestCase):
    """Has an authority, its file, and an nginx to send requests to."""

    def setUp(self) -> None:
        """Make the authority's file; nginx is started by each test."""
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = trustme.CA()
        self.trusted = write_authorities(self.folder / "ca.pem", self.authority)
        self.nginx = Nginx(self.folder)
        self.addCleanup(self.nginx.stop)

    def start(self, *names: str, client_authorities: Path | None = None) -> None:
        """Start nginx with a certificate of the authority, by default for this host."""
        leaf = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
        self.nginx.start(write_leaf(self.folder / "server.pem", leaf), client_authorities)

    async def post(
        self, policy: IPolicyForHTTPS, host: str = "localhost", body: bytes = b"{}"
    ) -> tuple[int, bytes]:
        """Send a request over a new connection and return the answer's status and body."""
        pool = HTTPConnectionPool(reactor, persistent=False)
        agent = Agent(reactor, contextFactory=policy, pool=pool)
        url = f"https://{host}:{self.nginx.port}/".encode()
        producer = FileBodyProducer(io.BytesIO(body))
        response = await agent.request(b"POST", url, bodyProducer=producer)
        return response.code, await treq.content(response)

    async def assert_accepted(self, policy: IPolicyForHTTPS, host: str = "localhost") -> None:
        """Assert that a request comes through."""
        self.assertEqual(await self.post(policy, host), (204, b""))

    async def assert_fails(self, policy: IPolicyForHTTPS, words: str, body: bytes = b"{}") -> None:
        """Assert that a request fails, and how the failure is described."""
        with self.assertRaises(Exception) as caught:
            await self.post(policy, body=body)
        self.assertEqual(tls_errors.describe(caught.exception), words)


class VerifyTests(ServerTestCase):
    """What ``verify`` makes of a receiver's certificate."""

    async def test_unknown_issuer(self) -> None:
        """By default an issuer that the system does not know is refused."""
        self.start()
        await self.assert_fails(tls.make_policy(None, None), UNTRUSTED)

    async def test_unknown_issuer_of_a_large_request(self) -> None:
        """The refusal is described even if it comes while a large body is on its way."""
        self.start()
        await self.assert_fails(tls.make_policy(True, None), UNTRUSTED, body=b"x" * MEBIBYTE)

    async def test_no_checks(self) -> None:
        """With verify=False an unknown issuer is accepted."""
        self.start()
        await self.assert_accepted(tls.make_policy(False, None))

    async def test_file(self) -> None:
        """An issuer in the file that verify names is accepted, for a name and an address."""
        self.start()
        policy = tls.make_policy(self.trusted, None)
        await self.assert_accepted(policy)
        await self.assert_accepted(policy, "127.0.0.1")

    async def test_directory(self) -> None:
        """An issuer in the directory that verify names is accepted."""
        self.start()
        authorities = self.folder / "authorities"
        authorities.mkdir()
        write_authorities(authorities / "ours.pem", self.authority)
        write_authorities(authorities / "other.crt", trustme.CA())
        await self.assert_accepted(tls.make_policy(str(authorities), None))

    async def test_wrong_host(self) -> None:
        """A certificate for another host is refused."""
        self.start("status.example.com")
        words = "TLS: the certificate is for another host name than 'localhost'"
        await self.assert_fails(tls.make_policy(self.trusted, None), words)

    async def test_expired(self) -> None:
        """An expired certificate is refused."""
        leaf = expired(self.authority, "localhost")
        self.nginx.start(write_leaf(self.folder / "server.pem", leaf))
        policy = tls.make_policy(self.trusted, None)
        await self.assert_fails(policy, "TLS: the certificate has expired")

    async def test_renewed_authority(self) -> None:
        """A new CA file and a new server certificate are accepted without a new policy."""
        self.start()
        policy = tls.make_policy(self.trusted, None)
        await self.assert_accepted(policy)
        self.nginx.stop()
        self.authority = trustme.CA()
        self.start()
        await self.assert_fails(policy, UNTRUSTED)
        write_authorities(self.folder / "renewed.pem", self.authority).replace(self.trusted)
        await self.assert_accepted(policy)

    async def test_missing_file_appears(self) -> None:
        """While the CA file is missing attempts fail with words; once it is there they pass."""
        self.start()
        later = self.folder / "later.pem"
        policy = tls.make_policy(later, None)
        words = f"TLS: verify: '{later}' can't be read: No such file or directory"
        await self.assert_fails(policy, words)
        write_authorities(later, self.authority)
        await self.assert_accepted(policy)

    async def test_no_tls(self) -> None:
        """A port that speaks plain HTTP is told from one with TLS trouble."""
        self.nginx.start(certificate=None)
        policy = tls.make_policy(self.trusted, None)
        await self.assert_fails(policy, "TLS: the receiver does not speak TLS on this port")


class CertTests(ServerTestCase):
    """How a receiver takes what ``cert`` names. What nginx does not let in, it answers with 400."""

    def setUp(self) -> None:
        """Start nginx."""
        super().setUp()
        self.start(client_authorities=self.trusted)
        self.client_file = self.folder / "client.pem"

    async def test_required_and_given(self) -> None:
        """A certificate of the authority that the receiver trusts is let in."""
        write_leaf(self.client_file, self.authority.issue_cert("buildbot@example.com"))
        await self.assert_accepted(tls.make_policy(self.trusted, self.client_file))

    async def test_required_and_missing(self) -> None:
        """Without a certificate the receiver answers that it wants one."""
        status, body = await self.post(tls.make_policy(self.trusted, None))
        self.assertEqual(status, 400)
        self.assertIn(b"No required SSL certificate was sent", body)

    async def test_wrong_authority(self) -> None:
        """A certificate of another authority reaches the receiver, which refuses it."""
        write_leaf(self.client_file, trustme.CA().issue_cert("buildbot@example.com"))
        status, body = await self.post(tls.make_policy(self.trusted, self.client_file))
        self.assertEqual(status, 400)
        self.assertIn(b"The SSL certificate error", body)

    async def test_renewed(self) -> None:
        """A certificate that has expired and is renewed on disk is let in by the same policy."""
        write_leaf(self.client_file, expired(self.authority, "buildbot@example.com"))
        policy = tls.make_policy(self.trusted, self.client_file)
        status, _ = await self.post(policy)
        self.assertEqual(status, 400)
        renewed = self.authority.issue_cert("buildbot@example.com")
        write_leaf(self.folder / "renewed.pem", renewed).replace(self.client_file)
        await self.assert_accepted(policy)
