"""The sub-command ping: what it sends, what it says, and what it hides."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import socket
import subprocess
import sys
from typing import Any

import trustme
from OpenSSL import SSL
from support.certificates import expired, write_authorities, write_pair
from support.commands import Command, run, temporary_folder
from support.servers import OK, ServerTestCase, never, write, write_and_close
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostnameResolver, IOpenSSLContextFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from buildbot_http_status_push.commands.main import main, make_parser
from buildbot_http_status_push.commands.ping import make_settings
from buildbot_http_status_push.commands.ping_steps import Ping, verdict
from buildbot_http_status_push.model import Accepted, Refused, Unreachable

KEY = "a key for tests"
ACCEPTED = "The receiver accepted the test status with 200."
UNTRUSTED = (
    "the certificate is self-signed or its issuer is not trusted (set verify= to your CA's file)"
)


@implementer(IHostnameResolver)
class FakeResolver:
    """Knows some names, and of others nothing, ever or at once.

    Args:
        known: The addresses of each name; None for a name that gets no answer.
    """

    def __init__(self, known: dict[str, list[str] | None]) -> None:
        self.known = known

    def resolveHostName(  # noqa: N802 - Twisted's name
        self,
        receiver: Any,
        hostName: str,  # noqa: N803 - Twisted's name
        portNumber: int = 0,  # noqa: N803 - Twisted's name
        *_: object,
        **__: object,
    ) -> Any:
        """Tell the receiver what is known."""
        receiver.resolutionBegan(self)
        addresses = self.known[hostName]
        if addresses is not None:
            for address in addresses:
                receiver.addressResolved(IPv4Address("TCP", address, portNumber))
            receiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """Do nothing: there is nothing under way."""


class PingTestCase(ServerTestCase):
    """Runs pings on the real reactor, to servers on loopback."""

    def make_ping(self, *arguments: str) -> Ping:
        """Make what the arguments ask for; what it says goes to ``self.lines``."""
        self.lines: list[str] = []
        settings = make_settings(make_parser().parse_args(["ping", *arguments]))
        ping = Ping(reactor, settings, "ping_1", self.lines.append)
        self.addCleanup(lambda: Deferred.fromCoroutine(ping.clean_up()))
        return ping

    async def ping(self, url: str, *arguments: str) -> int:
        """Send a test status; return the exit code."""
        return await self.make_ping("--server-url", url, *arguments).work()

    @property
    def said(self) -> list[str]:
        """What was said, without the times, whose form alone is asserted."""
        times = re.compile(r" \([\d.]+ m?s\)$")
        return [times.sub(" (time)", line) for line in self.lines]

    def resolve(self, **known: list[str] | None) -> None:
        """Replace the reactor's resolver during the test."""
        old = reactor.installNameResolver(FakeResolver(known))
        self.addCleanup(reactor.installNameResolver, old)


class HTTPTests(PingTestCase):
    """Over plain HTTP."""

    async def test_accepted(self) -> None:
        """Every step of a ping that comes through is told, and the exit code is 0."""
        server = self.serve(write(OK))
        code = await self.ping(f"http://127.0.0.1:{server.port}/submit")
        self.assertEqual(code, 0)
        self.assertEqual(
            self.said,
            [
                f"POST http://127.0.0.1:{server.port}/submit",
                "  name        127.0.0.1 is an address; no lookup needed",
                f"  connection  to 127.0.0.1 port {server.port} (time)",
                "  TLS         none: traffic is not encrypted",
                "  answer      200 OK (time)",
                "              ok",
                ACCEPTED,
            ],
        )

    async def test_what_is_sent(self) -> None:
        """One marked status is sent, as the reporter sends, with credentials and headers."""
        server = self.serve(write(OK))
        await self.ping(
            f"http://127.0.0.1:{server.port}/submit",
            *("--auth", "me:pass:word", "--header", "X-One: 1", "--header", "X-Two:  a b "),
        )
        self.assertEqual(self.said[0], f"POST http://127.0.0.1:{server.port}/submit")
        [request] = server.requests
        credentials = base64.b64encode(b"me:pass:word").decode()
        self.assertEqual(request.line, "POST /submit HTTP/1.1")
        for name, value in (
            ("webhook-id", "ping_1"),
            ("Buildbot-Event", "ping"),
            ("Content-Type", "application/json"),
            ("Authorization", f"Basic {credentials}"),
            ("X-One", "1"),
            ("X-Two", "a b"),
        ):
            self.assertEqual(request.values(name), [value])
        body = json.loads(request.body)
        self.assertIs(body["test"], True)
        self.assertEqual((body["builder"], body["complete"]), ({"name": "ping"}, False))

    async def test_name(self) -> None:
        """A host name's addresses are told, each once."""
        server = self.serve(write(OK))
        self.resolve(receiver=["127.0.0.1", "127.0.0.1", "127.0.0.2"])
        code = await self.ping(f"http://receiver:{server.port}/")
        self.assertEqual(code, 0)
        self.assertEqual(
            self.said[1:3],
            [
                "  name        receiver resolves to 127.0.0.1, 127.0.0.2 (time)",
                f"  connection  to 127.0.0.1 port {server.port} (time)",
            ],
        )

    async def test_unknown_name(self) -> None:
        """A host name without an address is the end, in words."""
        self.resolve(receiver=[])
        code = await self.ping("http://receiver/")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[1:],
            [
                "  name        receiver resolves to no address (time)",
                "The test status was not delivered: the host name can't be resolved.",
            ],
        )

    async def test_name_without_answer(self) -> None:
        """A lookup that takes too long is given up after the timeout."""
        self.resolve(receiver=None)
        code = await self.ping("http://receiver/", "--timeout", "0.1")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[1:],
            [
                "  name        nothing within 0.1 s",
                "The test status was not delivered: the host name was not resolved within 0.1 s.",
            ],
        )

    async def test_connection_refused(self) -> None:
        """Where nothing listens, the connection is refused."""
        code = await self.ping(f"http://127.0.0.1:{closed_port()}/")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[2:],
            [
                "  connection  none",
                "The test status was not delivered: connection refused.",
            ],
        )

    async def test_refused(self) -> None:
        """A refusal is told with its status, the answer's text and what to look at."""
        answer = b"HTTP/1.1 401 No\r\nContent-Length: 10\r\n\r\nwho\n are u"
        server = self.serve(write(answer))
        code = await self.ping(f"http://127.0.0.1:{server.port}/")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[4:],
            [
                "  answer      401 Unauthorized (time)",
                "              who are u",
                "The receiver refused the test status with 401: credentials or a signature are "
                "missing or wrong (--auth, --header, --secret).",
            ],
        )

    async def test_redirect(self) -> None:
        """A redirect is told with where it leads, and not followed."""
        answer = b"HTTP/1.1 302 F\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
        server = self.serve(write(answer))
        code = await self.ping(f"http://127.0.0.1:{server.port}/")
        self.assertEqual((code, len(server.requests)), (1, 1))
        self.assertIn("redirects to /there, which is not followed", self.said[-2])
        self.assertIn("with 302: redirects are not followed; use the URL", self.said[-1])

    async def test_long_answer(self) -> None:
        """Only the first 200 characters of an answer are told, on one line."""
        server = self.serve(write_and_close(b"HTTP/1.1 200 OK\r\n\r\n" + b"ab\r\n\x1b" * 1000))
        await self.ping(f"http://127.0.0.1:{server.port}/")
        self.assertEqual(self.said[-2].strip(), ("ab " * 100)[:200].strip())

    async def test_unknown_status(self) -> None:
        """A status that has no name is told by its number."""
        server = self.serve(write(b"HTTP/1.1 299 ?\r\nContent-Length: 0\r\n\r\n"))
        code = await self.ping(f"http://127.0.0.1:{server.port}/")
        self.assertEqual((code, self.said[4]), (0, "  answer      299 (time)"))

    async def test_secrets(self) -> None:
        """Credentials, header values and keys are hidden, wherever they come back."""
        hidden = ("pass", "t0ken", "whole", "h-key", "query")
        basic = base64.b64encode(b"me:pass").decode()
        echo = f"Location? {' '.join(hidden)} Bearer t0ken Basic {basic}".encode()
        for status in (b"200", b"403"):
            head = b"HTTP/1.1 %b ?\r\nContent-Length: %d\r\n\r\n" % (status, len(echo))
            server = self.serve(write(head + echo))
            await self.ping(
                f"http://127.0.0.1:{server.port}/?token=query",
                *("--auth", "me:pass", "--header", "Authorization-2: Bearer t0ken"),
                *("--header", "X-Whole: whole", "--secret", "h-key"),
            )
            told = "\n".join(self.lines[:-2])
            for secret in (*hidden, basic):
                self.assertNotIn(secret, told)
            self.assertEqual(self.said[-2].strip(), "Location? *** *** *** *** query *** ***")

    async def test_user_info(self) -> None:
        """User info in the URL is used, and not shown."""
        server = self.serve(write(OK))
        await self.ping(f"http://me:hush@127.0.0.1:{server.port}/")
        [request] = server.requests
        credentials = base64.b64encode(b"me:hush").decode()
        self.assertEqual(request.values("Authorization"), [f"Basic {credentials}"])
        self.assertNotIn("hush", "\n".join(self.lines))

    async def test_interrupted(self) -> None:
        """A ping that is cancelled says so, and its exit code is 1."""
        self.resolve(receiver=None)
        working = Deferred.fromCoroutine(self.ping("http://receiver/"))
        working.cancel()
        self.assertEqual(await working, 1)
        self.assertEqual(self.said[1:], ["Interrupted."])


@implementer(IOpenSSLContextFactory)
class Context:
    """A server's side of TLS.

    Args:
        leaf: Its certificate.
        clients: The authority of those that it lets in; None for everybody.
    """

    def __init__(self, leaf: trustme.LeafCert, clients: trustme.CA | None) -> None:
        self.leaf = leaf
        self.clients = clients

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted's name
        """Make OpenSSL's context."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.leaf.configure_cert(context)
        if self.clients:
            self.clients.configure_trust(context)
            flags = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            context.set_verify(flags, lambda *arguments: bool(arguments[-1]))
        return context


class TLSTests(PingTestCase):
    """Over HTTPS."""

    def setUp(self) -> None:
        """Make an authority, and its file."""
        self.folder = temporary_folder(self)
        self.authority = trustme.CA()
        self.trusted = str(write_authorities(self.folder / "ca.pem", self.authority))

    def start(self, leaf: trustme.LeafCert, for_clients: bool = False) -> str:
        """Start a server with a certificate; return its URL."""
        context = Context(leaf, self.authority if for_clients else None)
        return f"https://127.0.0.1:{self.serve(write(OK), tls_context=context).port}/"

    async def test_checked(self) -> None:
        """TLS' version and the certificate's subject, issuer and end are told."""
        url = self.start(self.authority.issue_cert("127.0.0.1", common_name="receiver"))
        code = await self.ping(url, "--verify", self.trusted)
        self.assertEqual(code, 0)
        tls_line, subject, issuer, end = self.said[3:7]
        self.assertEqual(tls_line, "  TLS         TLSv1.3, certificate checked (time)")
        self.assertRegex(subject, r"^ {14}subject  CN=receiver,")
        self.assertRegex(issuer, r"^ {14}issuer   .*O=trustme")
        self.assertRegex(end, r"^ {14}ends     \d{4}-\d\d-\d\d \d\d:\d\d UTC, in \d+ days$")
        self.assertEqual(
            self.said[7:], ["  answer      200 OK (time)", "              ok", ACCEPTED]
        )

    async def test_unchecked(self) -> None:
        """With --no-verify any certificate passes, and the line says that it is not checked."""
        url = self.start(self.authority.issue_cert("elsewhere.example"))
        code = await self.ping(url, "--no-verify")
        self.assertEqual(code, 0)
        self.assertIn("certificate not checked (--no-verify)", self.said[3])

    async def test_untrusted(self) -> None:
        """A certificate that does not pass is shown with the reason, and nothing is sent."""
        url = self.start(self.authority.issue_cert("127.0.0.1", common_name="receiver"))
        code = await self.ping(url)
        self.assertEqual(code, 1)
        self.assertEqual(self.said[3], f"  TLS         {UNTRUSTED} (time)")
        self.assertIn("CN=receiver", self.said[4])
        self.assertEqual(
            self.said[-2:],
            [
                "  answer      none (time)",
                f"The test status was not delivered: TLS: {UNTRUSTED}.",
            ],
        )

    async def test_expired(self) -> None:
        """An expired certificate is told with the time since."""
        url = self.start(expired(self.authority, "127.0.0.1"))
        await self.ping(url, "--verify", self.trusted)
        self.assertIn("the certificate has expired", self.said[3])
        self.assertRegex(self.said[6], r" UTC, 1 days ago$")

    async def test_client_certificate(self) -> None:
        """A client certificate is shown to a receiver that wants one."""
        url = self.start(self.authority.issue_cert("127.0.0.1"), for_clients=True)
        certificate, key = write_pair(self.folder, self.authority.issue_cert("client.example"))
        own = ("--cert", str(certificate), "--key", str(key))
        self.assertEqual(await self.ping(url, "--verify", self.trusted, *own), 0)
        self.assertEqual(await self.ping(url, "--verify", self.trusted), 1)
        self.assertIn("TLS: the receiver requires a client certificate", self.said[-1])

    async def test_no_tls_there(self) -> None:
        """A port that speaks plain HTTP is recognised."""
        server = self.serve(never)
        server.on_connect = write_and_close(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        code = await self.ping(f"https://127.0.0.1:{server.port}/")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[3], "  TLS         the receiver does not speak TLS on this port (time)"
        )

    async def test_closed(self) -> None:
        """A connection that the receiver closes instead of a handshake is told as such."""
        server = self.serve(never)
        server.on_connect = lambda connection: connection.close()
        await self.ping(f"https://127.0.0.1:{server.port}/")
        self.assertEqual(self.said[3], "  TLS         the connection was closed (time)")

    async def test_silent(self) -> None:
        """A handshake that never ends is given up after the timeout."""
        server = self.serve(never)
        code = await self.ping(f"https://127.0.0.1:{server.port}/", "--timeout", "0.1")
        self.assertEqual(code, 1)
        self.assertEqual(
            self.said[3:],
            [
                "  TLS         nothing within 0.1 s",
                "The test status was not delivered: the TLS handshake did not complete "
                "within 0.1 s; a receiver without TLS requires an http:// URL.",
            ],
        )


class VerdictTests(SynchronousTestCase):
    """The last sentence."""

    def test_advice(self) -> None:
        """Each kind of refusal has its own advice."""
        for status, words in (
            (204, "test status with 204"),
            (403, "credentials or a signature"),
            (404, "no receiver at this URL"),
            (405, "this URL does not accept POST requests"),
            (410, "the receiver has been retired"),
            (418, "see the response above"),
            (429, "the receiver is busy"),
            (503, "server error"),
        ):
            outcome = Accepted(status) if status < 300 else Refused(status)
            self.assertIn(words, verdict(outcome))
            self.assertIn(str(status), verdict(outcome))
        self.assertEqual(
            verdict(Unreachable("it rains")), "The test status was not delivered: it rains."
        )


class ArgumentTests(SynchronousTestCase):
    """What is refused before anything is sent."""

    def refusal(self, *arguments: str) -> str:
        """What is written for arguments that can't be used, with exit code 2."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as ended:
            main(["ping", *arguments])
        self.assertEqual(ended.exception.code, 2)
        return errors.getvalue().splitlines()[-1]

    def test_refusals(self) -> None:
        """Each option that can't be used is named, with what would be right, without secrets."""
        to = ("--server-url", "http://127.0.0.1/")
        for arguments, words in (
            ((), "required: --server-url"),
            (("--server-url", "ftp://me:hush@a/"), "write an http or https URL"),
            ((*to, "--auth", "hush"), "argument --auth: write USER:PASSWORD"),
            ((*to, "--auth", "me:hush\n"), "argument --auth: auth has a control character"),
            ((*to, "--auth-env", "NOT_SET_HERE"), "the environment has no variable 'NOT_SET_HERE'"),
            ((*to, "--auth", "a:hush", "--auth-env", "PATH"), "not allowed with argument --auth"),
            ((*to, "--header", "hush"), "argument --header: write 'Name: value'"),
            ((*to, "--header", "a b: hush"), "argument --header: headers has the name 'a b'"),
            ((*to, "--header", "host: hush"), "which is set for every request"),
            ((*to, "--header", "a: hush\n hush"), "a line break or a control character"),
            ((*to, "--secret", "whsec_hush"), "argument --secret: a whsec_ signing key"),
            ((*to, "--secret-file", "/is/not"), "argument --secret-file: /is/not can't be read"),
            ((*to, "--secret-env", "NOT_SET"), "the environment has no variable 'NOT_SET'"),
            ((*to, "--timeout", "0"), "a timeout in seconds is from 0.1 to 86400, not '0'"),
            ((*to, "--verify", "/is/not"), "argument --verify: '/is/not' can't be read"),
            ((*to, "--verify", "/is/not", "--no-verify"), "not allowed with argument --verify"),
            ((*to, "--cert", "/is/not"), "argument --cert: '/is/not' can't be read"),
            ((*to, "--key", "/is/not"), "argument --key: it needs --cert"),
        ):
            refusal = self.refusal(*arguments)
            self.assertIn(words, refusal)
            self.assertNotIn("hush", refusal)

    def test_keys_from_elsewhere(self) -> None:
        """--secret-file and --secret-env take signing keys too, and add to --secret."""
        file = temporary_folder(self) / "key"
        file.write_text("of a file\n")
        self.patch(os, "environ", {"PING_KEY": "of a variable"})
        to = ("ping", "--server-url", "http://127.0.0.1/", "--secret", "typed")
        more = ("--secret-file", str(file), "--secret-env", "PING_KEY")
        target = make_settings(make_parser().parse_args([*to, *more])).target
        self.assertEqual(target.signing_keys, ("typed", "of a file", "of a variable"))
        self.assertLessEqual({"of a file", "of a variable"}, target.secrets)

    def test_auth_from_the_environment(self) -> None:
        """--auth-env takes the credentials from a variable."""
        self.patch(os, "environ", {"PING_AUTH": "me:hush"})
        parsed = make_parser().parse_args(
            ["ping", "--server-url", "http://127.0.0.1/", "--auth-env", "PING_AUTH"]
        )
        target = make_settings(parsed).target
        self.assertEqual((target.auth, target.secrets), (("me", "hush"), frozenset({"hush"})))


class ProcessTests(SynchronousTestCase):
    """The command as a person runs it."""

    def start(self, *arguments: str) -> str:
        """Start a receiver of its own process; return its URL."""
        command = Command("receive", "--port", "0", *arguments)
        self.addCleanup(command.kill)
        return command.line().removeprefix("Listening on ").partition(",")[0]

    def test_signed(self) -> None:
        """A receiver that checks signatures accepts what is signed with its key, and only that."""
        url = self.start("--secret", KEY)
        code, output, errors = run(
            *("ping", "--server-url", url, "--secret-env", "PING_KEY"),
            environment={"PING_KEY": KEY},
        )
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output.splitlines()[-1], ACCEPTED)
        code, output, errors = run("ping", "--server-url", url)
        self.assertEqual((code, errors), (1, ""))
        self.assertIn("refused the test status with 401", output.splitlines()[-1])

    def test_imports(self) -> None:
        """Neither Buildbot nor SQLAlchemy is imported."""
        script = (
            "import sys; from buildbot_http_status_push.commands.main import main;"
            f"main(['ping', '--server-url', 'http://127.0.0.1:{closed_port()}/']);"
            "print(sorted({'buildbot', 'sqlalchemy'} & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(ended.stdout.splitlines()[-1], "[]")


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
