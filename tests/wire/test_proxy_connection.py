"""Through proxies: a real one, and some that the test plays."""

from __future__ import annotations

from typing import Any

import trustme
from support.certificates import write_authorities, write_leaf
from support.commands import run, temporary_folder
from support.fakes import LogBook, a_delivery
from support.inbox import Inbox
from support.nginx import Nginx
from support.servers import ServerTestCase, reactor, write
from support.tinyproxy import Tinyproxy
from twisted.internet import defer
from twisted.internet.defer import succeed
from twisted.internet.threads import deferToThread

from buildbot_http_status_push.model import Accepted, Outcome, Refused, Unreachable
from buildbot_http_status_push.wire import proxy_choice, tls
from buildbot_http_status_push.wire.client import Client
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Target
from buildbot_http_status_push.wire.transport import Connections

CREDENTIALS = "me:hush-hush"


class ProxiedCase(ServerTestCase):
    """A test case that sends through proxies."""

    def setUp(self) -> None:
        """Make a folder."""
        super().setUp()
        self.folder = temporary_folder(self)
        self.book = LogBook()
        self.verify: Any = None

    def sending(self, url: str, proxy: str) -> Client:
        """Return a client of its own."""
        found = proxy_choice.parse(proxy)
        target = Target(url, secrets=found.secrets, proxy=found)
        connections = Connections(reactor, tls.make_policy(self.verify, None), 2)
        self.addCleanup(connections.pool.closeCachedConnections)
        requester = Requester(
            reactor, connections.agent, lambda: succeed(target), debug=True, log=self.book.log
        )
        return Client(requester, 10.0)

    async def send(self, url: str, proxy: str) -> Outcome:
        """Send a status."""
        return await self.sending(url, proxy).send(a_delivery())


class TinyproxyTest(ProxiedCase):
    """Through a real proxy."""

    def start(self, *lines: str) -> str:
        """Start it, and return its address."""
        self.proxy = Tinyproxy(self.folder, *lines)
        self.addCleanup(self.proxy.stop)
        return f"127.0.0.1:{self.proxy.port}"

    def secure(self, name: str = "localhost") -> str:
        """Start a receiver with TLS, and return its URL."""
        authority = trustme.CA()
        self.verify = write_authorities(self.folder / "authority.pem", authority)
        nginx = Nginx(self.folder)
        self.addCleanup(nginx.stop)
        nginx.start(write_leaf(self.folder / "server.pem", authority.issue_cert(name)))
        return f"https://localhost:{nginx.port}/"

    async def test_https(self) -> None:
        """An https receiver is reached through a tunnel, which serves the next one too."""
        client = self.sending(self.secure(), f"http://{self.start()}")
        for _ in range(2):
            self.assertEqual(str(await client.send(a_delivery())), "accepted with 204")
        self.assertEqual(self.proxy.told().count("CONNECT localhost"), 1)

    async def test_certificates(self) -> None:
        """Certificates are checked against the receiver."""
        outcome = await self.send(self.secure("other.example"), f"http://{self.start()}")
        assert isinstance(outcome, Unreachable)
        self.assertIn("TLS", outcome.reason)

    async def test_http(self) -> None:
        """An http receiver is asked for by its whole URL, over kept-alive connections."""
        inbox = Inbox()
        url = await inbox.open()
        self.addCleanup(lambda: defer.ensureDeferred(inbox.close()))
        client = self.sending(url, f"http://{self.start()}")
        for _ in range(2):
            self.assertIsInstance(await client.send(a_delivery()), Accepted)
        self.assertEqual(self.proxy.told().count(f"POST {url}"), 2)

    async def test_credentials(self) -> None:
        """The proxy gets user and password, the receiver does not, and nobody sees them."""
        address = self.start(f"BasicAuth {CREDENTIALS.replace(':', ' ')}")
        inbox = Inbox()
        self.addCleanup(lambda: defer.ensureDeferred(inbox.close()))
        for url in (await inbox.open(), self.secure()):
            outcome = await self.send(url, f"http://{CREDENTIALS}@{address}")
            self.assertIsInstance(outcome, Accepted, str(outcome))
        [received] = inbox.statuses
        self.assertNotIn("proxy-authorization", received.headers)
        self.assertNotIn("hush", "\n".join(self.book.lines))

    async def test_wrong_credentials(self) -> None:
        """A proxy that wants other credentials is told in words, and nothing was sent."""
        address = self.start(f"BasicAuth {CREDENTIALS.replace(':', ' ')}")
        tunnelled = await self.send(self.secure(), f"http://me:wrong-one@{address}")
        assert isinstance(tunnelled, Unreachable)
        self.assertRegex(
            tunnelled.reason,
            rf"^the proxy {address} does not connect to localhost:\d+: it answered 401 "
            r"|^the proxy .* it answered 407 Proxy Authentication Required, it requires user and",
        )
        self.assertTrue(tunnelled.unsent)
        plain = await self.send("http://127.0.0.1:1/", f"http://me:wrong-one@{address}")
        assert isinstance(plain, Refused)
        self.assertIn(plain.status, (401, 407))

    async def test_not_allowed(self) -> None:
        """A port that the proxy does not connect to is told."""
        outcome = await self.send(self.secure(), f"http://{self.start('ConnectPort 1')}")
        assert isinstance(outcome, Unreachable)
        self.assertIn("it answered 403 ", outcome.reason)

    async def test_ping(self) -> None:
        """``ping --proxy`` goes the same way, and says so."""
        url, address = self.secure(), self.start()
        arguments = ("--server-url", url, "--verify", str(self.verify))
        code, output, errors = await deferToThread(
            run, "ping", *arguments, "--proxy", f"http://{address}"
        )
        self.assertEqual((code, errors), (0, ""), output)
        self.assertIn(f"resolved by the proxy {address}", output)
        self.assertIn("certificate checked", output)
        environment = {"https_proxy": f"http://{address}", "no_proxy": "localhost"}
        code, output, _ = await deferToThread(
            run, "ping", *arguments, "--proxy", "environment", environment=environment
        )
        self.assertEqual(code, 0)
        self.assertNotIn("resolved by the proxy", output)


class PlayedTest(ProxiedCase):
    """Proxies that do what they should not."""

    async def test_answers(self) -> None:
        """Whatever a proxy answers is told."""
        for answer, words in (
            (b"HTTP/1.1 407 No\r\n\r\n", "407 Proxy Authentication Required, it requires user and"),
            (b"HTTP/1.0 502 x\r\nA: b\r\n\r\n", "it answered 502 Bad Gateway"),
            (b"HTTP/1.1 299 Fine\r\n\r\nno TLS", "TLS"),
            (b"HTTP/1.1 abc\r\n\r\n", "gave no answer in HTTP"),
            (b"SSH-2.0-x\r\n\r\n", "gave no answer in HTTP"),
            (b"x" * 70_000, "gave no answer in HTTP"),
        ):
            outcome = await self.send(
                "https://status.example/", f"http://127.0.0.1:{self.serve(write(answer)).port}"
            )
            assert isinstance(outcome, Unreachable)
            self.assertIn(words, outcome.reason)

    async def test_not_there(self) -> None:
        """A proxy that is not there is told as the proxy."""
        for url in ("https://status.example/", "http://status.example/"):
            outcome = await self.send(url, "http://127.0.0.1:1")
            self.assertEqual(str(outcome), "the proxy 127.0.0.1:1: connection refused")
            outcome = await self.send(url, "http://nowhere.invalid:1")
            self.assertIn("nowhere.invalid:1: the host name can't be resolved", str(outcome))
