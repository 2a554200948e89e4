"""Authentication against a real Apache httpd, in front of a receiver that records."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import treq
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from requests_oauthlib import OAuth1
from support.apache import Apache
from support.digest import parameters
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from buildbot_http_status_push.wire.auth import wrap
from buildbot_http_status_push.wire.bodies import BytesProducer

BODY = '{"state": "größer"}'.encode()
USER, PASSWORD, REALM = "jürgen", "pä:ß ☃", "receiver"


class Recorder(Resource):
    """Accepts every status, and keeps its body and its headers."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []
        self.headers: list[Headers] = []

    def render_POST(self, request: Request) -> bytes:
        """Keep a status."""
        self.bodies.append(request.content.read())
        self.headers.append(request.requestHeaders)
        return b"thanks"

    def header(self, name: str) -> list[str]:
        """Return the values of a header in all statuses."""
        return [value for each in self.headers for value in each.getRawHeaders(name, [])]

    def counts(self) -> list[tuple[str, str]]:
        """Return which use of which nonce each status came with."""
        given = [parameters(value) for value in self.header("Authorization")]
        return [(each["nonce"], each["nc"]) for each in given]


class ApacheTestCase(TestCase):
    """Has a receiver, and sends statuses to an Apache in front of it."""

    def setUp(self) -> None:
        """Start the receiver, and have a pool of connections."""
        self.receiver = Recorder()
        self.upstream = reactor.listenTCP(0, Site(self.receiver), interface="127.0.0.1")
        self.addCleanup(self.upstream.stopListening)
        self.pool = HTTPConnectionPool(reactor)
        self.addCleanup(self.pool.closeCachedConnections)
        self.agent = Agent(reactor, pool=self.pool)
        self.exchanges = 0

    def start_apache(self, user_file: str, *lines: str) -> Apache:
        """Start an Apache that lets its users pass to the receiver."""
        upstream = f"http://127.0.0.1:{self.upstream.getHost().port}/"
        apache = Apache(f"ProxyPass / {upstream} disablereuse=On")
        users = apache.folder / "users"
        users.write_text(user_file)
        apache.lines += [
            "<Location />",
            f'AuthName "{REALM}"',
            f'AuthUserFile "{users}"',
            "Require valid-user",
            *lines,
            "</Location>",
        ]
        self.addCleanup(apache.stop)
        apache.start()
        self.url = f"http://127.0.0.1:{apache.port}/submit?from=ci".encode()
        return apache

    def request(self, *arguments: Any) -> Deferred[Any]:
        """Count an exchange: this is the agent that is wrapped."""
        self.exchanges += 1
        return self.agent.request(*arguments)

    async def post(self, auth: object, body: bytes = BODY) -> tuple[int, bytes]:
        """Send a status the way the client does, and return status and body of the answer."""
        headers = Headers({"Content-Type": ["application/json"]})
        agent = wrap(self, auth)  # type: ignore[arg-type]  # has an agent's only method
        response = await agent.request(b"POST", self.url, headers, BytesProducer(body))
        return response.code, await treq.content(response)

    async def post_all(self, auth: object, bodies: Iterable[bytes]) -> set[int]:
        """Send statuses at once, and return all statuses of the answers."""
        posts = [Deferred.fromCoroutine(self.post(auth, body)) for body in bodies]
        return {code for code, _ in await gatherResults(posts, consumeErrors=True)}


class BasicTest(ApacheTestCase):
    """mod_auth_basic, whose users may have any UTF-8."""

    def setUp(self) -> None:
        """Start an Apache that wants Basic authentication."""
        super().setUp()
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode()).digest()).decode()  # noqa: S324 - Apache's file format
        self.start_apache(f"{USER}:{{SHA}}{digest}\n", "AuthType Basic", "AuthBasicProvider file")

    async def test_pair(self) -> None:
        """A pair in UTF-8 is let in, and the status arrives unchanged."""
        self.assertEqual(await self.post((USER, PASSWORD)), (200, b"thanks"))
        self.assertEqual(self.receiver.bodies, [BODY])
        self.assertEqual(self.receiver.header("Content-Type"), ["application/json"])
        self.assertEqual(self.receiver.header("Content-Length"), [str(len(BODY))])

    async def test_object_of_requests(self) -> None:
        """The HTTPBasicAuth of requests is let in; it takes UTF-8 as bytes."""
        auth = HTTPBasicAuth(USER.encode(), PASSWORD.encode())
        self.assertEqual(await self.post(auth), (200, b"thanks"))

    async def test_wrong_password(self) -> None:
        """A wrong password is refused, and nothing arrives."""
        code, body = await self.post((USER, PASSWORD + "!"))
        self.assertEqual(code, 401)
        self.assertIn(b"Unauthorized", body)
        self.assertEqual(self.receiver.bodies, [])


class DigestTest(ApacheTestCase):
    """mod_auth_digest, with MD5 and qop auth."""

    def start(self, *lines: str) -> Apache:
        """Start an Apache that wants Digest authentication."""
        digest = hashlib.md5(f"ci:{REALM}:{PASSWORD}".encode()).hexdigest()  # noqa: S324 - RFC 7616's MD5
        provider = ("AuthType Digest", "AuthDigestProvider file", "AuthDigestQop auth")
        return self.start_apache(f"ci:{REALM}:{digest}\n", *provider, *lines)

    async def test_challenge_then_reuse(self) -> None:
        """One challenge is answered, and its nonce is used again with a rising count."""
        self.start()
        auth = HTTPDigestAuth("ci", PASSWORD)
        for _ in range(3):
            self.assertEqual(await self.post(auth), (200, b"thanks"))
        [(nonce, _), *_] = self.receiver.counts()
        self.assertEqual(self.receiver.counts(), [(nonce, f"{n:08x}") for n in (1, 2, 3)])
        self.assertEqual(self.receiver.bodies, [BODY] * 3)
        self.assertEqual(self.exchanges, 4)

    async def test_stale(self) -> None:
        """A nonce that Apache calls stale is replaced at once, for each status."""
        self.start("AuthDigestNonceLifetime 0")
        auth = HTTPDigestAuth("ci", PASSWORD)
        for _ in range(3):
            self.assertEqual(await self.post(auth), (200, b"thanks"))
        self.assertEqual([count for _, count in self.receiver.counts()], ["00000001"] * 3)
        self.assertEqual(self.exchanges, 6)

    async def test_wrong_password(self) -> None:
        """A wrong password is refused after one answer, and the reason can be read."""
        self.start()
        code, body = await self.post(HTTPDigestAuth("ci", "wrong"))
        self.assertEqual((code, self.exchanges), (401, 2))
        self.assertIn(b"Unauthorized", body)
        self.assertEqual(self.receiver.bodies, [])

    async def assert_ten_at_once(self, *lines: str) -> None:
        """Ten statuses at once, again and again, all pass with uses of nonces of their own."""
        self.start(*lines)
        auth = HTTPDigestAuth("ci", PASSWORD)
        bodies = [f"status {n}".encode() for n in range(50)]
        for begin in range(0, 50, 10):
            self.assertEqual(await self.post_all(auth, bodies[begin : begin + 10]), {200})
        self.assertEqual(sorted(self.receiver.bodies), sorted(bodies))
        self.assertEqual(len(set(self.receiver.counts())), 50)

    async def test_ten_at_once(self) -> None:
        """Ten at once pass, and only the very first ones are challenged."""
        await self.assert_ten_at_once()
        self.assertEqual(self.exchanges, 60)

    async def test_ten_at_once_with_one_time_nonces(self) -> None:
        """Ten at once pass where every nonce is good for one request."""
        await self.assert_ten_at_once("AuthDigestNonceLifetime 0")

    async def test_ten_at_once_with_strict_counts(self) -> None:
        """Ten at once pass where the uses of a nonce must arrive in order."""
        await self.assert_ten_at_once("AuthDigestNcCheck On")


class SignedTest(ApacheTestCase):
    """Objects that sign, through an Apache that lets everyone pass."""

    def setUp(self) -> None:
        """Start an Apache that passes on what it gets."""
        super().setUp()
        self.start_apache("", "Require all granted")

    async def test_signed_body(self) -> None:
        """A signature over the body arrives together with exactly that body."""

        def sign(request: Any) -> Any:
            request.body += b"\n"
            request.headers["X-Signature"] = hmac.new(b"key", request.body, "sha256").hexdigest()
            return request

        self.assertEqual(await self.post(sign), (200, b"thanks"))
        [body] = self.receiver.bodies
        self.assertEqual(body, BODY + b"\n")
        expected = hmac.new(b"key", body, "sha256").hexdigest()
        self.assertEqual(self.receiver.header("X-Signature"), [expected])
        self.assertEqual(self.receiver.header("Content-Length"), [str(len(body))])

    async def test_oauth1(self) -> None:
        """An OAuth 1 header arrives, and the body is unchanged."""
        self.assertEqual(await self.post(OAuth1("client", "secret")), (200, b"thanks"))
        [header] = self.receiver.header("Authorization")
        self.assertRegex(header, r'^OAuth .*oauth_consumer_key="client".*oauth_signature="')
        self.assertEqual(self.receiver.bodies, [BODY])
