"""Mail over SMTP, to a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trustme
from support.certificates import write_authorities, write_leaf
from support.fakes import a_delivery
from support.mail import PASSWORD, MailServer
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.basic import LineReceiver
from twisted.trial.unittest import TestCase

from buildbot_http_status_push.model import Accepted, Outcome, Refused, Unreachable
from buildbot_http_status_push.wire import tls
from buildbot_http_status_push.wire.mail import MailClient, MailTarget
from buildbot_http_status_push.wire.target import RenderingError

reactor: Any = global_reactor
BODY = (
    b"From: b@example.org\r\nTo: =?utf-8?q?Ad=C3=A9?= <ada@example.org>\r\nSubject: x\r\n"
    b"Message-ID: <1@example.org>\r\n\r\n.dots\r\n..\r\n"
)


class MailTest(TestCase):
    """One attempt."""

    def setUp(self) -> None:
        """Make an authority and a server with a certificate."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        authority = trustme.CA()
        self.trusted = write_authorities(self.folder / "ca.pem", authority)
        self.leaf = write_leaf(self.folder / "leaf.pem", authority.issue_cert("localhost"))

    def serve(self, **options: Any) -> MailServer:
        """Start a server."""
        server = MailServer(**options)
        server.start()
        self.addCleanup(server.stop)
        return server

    def send(
        self, port: int, verify: Any = None, body: bytes = BODY, **changed: Any
    ) -> Deferred[Outcome]:
        """Make an attempt."""
        known = {
            "host": "localhost",
            "port": port,
            "is_tls": False,
            "starttls": False,
            "sender": "b@example.org",
        }
        target = MailTarget(**{**known, **changed})
        policy = tls.make_policy(self.trusted if verify is None else verify, None)
        client = MailClient(reactor, policy, lambda: succeed(target), 10.0)
        return client.send(a_delivery(1, content_type="message/rfc822", body=body))

    async def test_plain(self) -> None:
        """A mail arrives whole, for whom it is, without TLS where that is asked for."""
        server = self.serve()
        self.assertEqual(str(await self.send(server.port)), "accepted with 250")
        [mail] = server.seen
        self.assertEqual(mail["Message-ID"], "<1@example.org>")
        self.assertEqual(mail.get_content(), ".dots\r\n..\r\n")
        self.assertEqual(server.recipients, [["ada@example.org"]])

    async def test_several_recipients(self) -> None:
        """A mail of an earlier version to several recipients is sent to those not refused."""
        server = self.serve(refused={"bob@example.org"})
        body = BODY.replace(b"<ada@example.org>", b"<ada@example.org>, bob@example.org")
        self.assertEqual(str(await self.send(server.port, body=body)), "accepted with 250")
        self.assertEqual(server.recipients, [["ada@example.org"]])
        server.refused.add("ada@example.org")
        outcome = await self.send(server.port, body=body)
        self.assertEqual(str(outcome), "rejected with 450: greylisted")

    async def test_starttls_and_login(self) -> None:
        """STARTTLS comes before the login; a wrong password is the server's refusal."""
        server = self.serve(certificate=self.leaf)
        for password, expected in ((PASSWORD, Accepted), ("wrong", Refused)):
            outcome = await self.send(server.port, starttls=True, login=("board", password))
            self.assertIsInstance(outcome, expected, str(outcome))
        self.assertEqual((len(server.seen), set(server.logins)), (1, {b"board"}))
        self.assertIn("535", str(outcome))

    async def test_tls(self) -> None:
        """A connection may begin with TLS; a certificate of nobody's is refused."""
        server = self.serve(certificate=self.leaf, is_tls=True)
        outcome = await self.send(server.port, is_tls=True)
        self.assertIsInstance(outcome, Accepted, str(outcome))
        outcome = await self.send(server.port, verify=True, is_tls=True)
        self.assertIn("its issuer is not trusted", str(outcome))

    async def test_untrusted_starttls(self) -> None:
        """STARTTLS with a certificate that is not trusted sends nothing, no password either."""
        server = self.serve(certificate=self.leaf)
        outcome = await self.send(
            server.port, verify=True, starttls=True, login=("board", PASSWORD)
        )
        self.assertIn("its issuer is not trusted", str(outcome))
        self.assertEqual((server.seen, server.logins), ([], []))

    async def test_no_starttls(self) -> None:
        """Without STARTTLS nothing is sent where it is required."""
        server = self.serve()
        outcome = await self.send(server.port, starttls=True)
        self.assertEqual(str(outcome), "the server offers no STARTTLS (set starttls = false)")
        self.assertEqual(server.seen, [])

    async def test_refusals(self) -> None:
        """4yz is trouble of the moment, after which nothing has arrived; 5yz is a refusal."""
        answers = iter(["452 no room", "554 no thanks"])
        server = self.serve(answer=lambda: next(answers))
        first, second = await self.send(server.port), await self.send(server.port)
        assert isinstance(first, Unreachable)
        self.assertEqual((first.reason, first.unsent), ("rejected with 452: no room", True))
        assert isinstance(second, Refused)
        self.assertEqual(str(second), "rejected with 554: no thanks")

    async def scripted(self, *answers: str) -> Outcome:
        """Send to a server that gives some answers in turn."""

        class Scripted(LineReceiver):
            def connectionMade(self) -> None:
                self.left, self.is_data = [*answers], False
                self.sendLine(b"220 here")

            def lineReceived(self, line: bytes) -> None:  # noqa: N802 - Twisted's name
                if self.is_data and line != b".":
                    return
                self.is_data = False
                words = "250 ok" if line.startswith(b"EHLO") else (self.left or ["221 bye"]).pop(0)
                self.is_data = words.startswith("354")
                self.sendLine(words.encode())

        port = reactor.listenTCP(0, Factory.forProtocol(Scripted), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return await self.send(port.getHost().port)

    async def test_refused_recipient(self) -> None:
        """A recipient may be refused, or for the moment only."""
        outcome = await self.scripted("250 ok", "450 greylisted")
        assert isinstance(outcome, Unreachable)
        self.assertEqual((outcome.reason, outcome.unsent), ("rejected with 450: greylisted", True))
        outcome = await self.scripted("250 ok", "550 no ada")
        self.assertEqual(str(outcome), "rejected with 550: no ada")

    async def test_unexpected_success(self) -> None:
        """A 2yz before the mail was sent is no success."""
        for answers in (("250 ok", "250 ok", "250 ok"), ("251 what",)):
            outcome = await self.scripted(*answers)
            assert isinstance(outcome, Unreachable)
            self.assertIn("unexpected answer 25", outcome.reason)

    async def test_no_server(self) -> None:
        """Nobody listens: nothing was sent."""
        server = self.serve()
        server.stop()
        outcome = await self.send(server.port)
        assert isinstance(outcome, Unreachable)
        self.assertEqual((outcome.reason, outcome.unsent), ("connection refused", True))

    async def test_no_secret(self) -> None:
        """A password that can't be read is trouble on this side."""

        def render() -> Deferred[MailTarget]:
            return fail(RenderingError("no file"))

        client = MailClient(reactor, tls.make_policy(None, None), render, 10.0)
        outcome = await client.send(a_delivery(1))
        assert isinstance(outcome, Unreachable)
        self.assertEqual((outcome.reason, outcome.here), ("no file", True))

    async def test_cut_off(self) -> None:
        """A server that says nothing, or hangs up, has perhaps taken the mail; nothing stays."""
        lost: list[Deferred[None]] = []

        class Silent(Protocol):
            def connectionMade(self) -> None:
                lost.append(Deferred())
                attempt.cancel()

            def connectionLost(self, _: object = None) -> None:
                lost[-1].callback(None)

        class HangingUp(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.loseConnection()

        silent = reactor.listenTCP(0, Factory.forProtocol(Silent), interface="127.0.0.1")
        self.addCleanup(silent.stopListening)
        attempt = self.send(silent.getHost().port)
        self.assertEqual(str(await attempt), "the attempt was cut off")
        await lost[-1]
        rude = reactor.listenTCP(0, Factory.forProtocol(HangingUp), interface="127.0.0.1")
        self.addCleanup(rude.stopListening)
        outcome = await self.send(rude.getHost().port)
        self.assertEqual(str(outcome), "the connection was closed before an answer came")
