"""The Digest authentication of requests: one by one, many at once, and on loopback."""

from __future__ import annotations

from collections.abc import Callable

import treq
import trustme
from OpenSSL import SSL
from requests.auth import HTTPDigestAuth
from support.digest import DigestServer, expected_response, parameters
from support.memory import BODY, Answer, Receiver, Sent, post
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IPullProducer
from twisted.internet.ssl import ContextFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.iweb import IResponse
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from buildbot_http_status_push.wire.tls import make_policy


def digest_auth(password: str = DigestServer.password) -> HTTPDigestAuth:
    """Return requests' Digest object."""
    return HTTPDigestAuth(DigestServer.user, password)


class DigestTest(SynchronousTestCase):
    """requests' HTTPDigestAuth, one request after the other."""

    def test_server_follows_the_rfc(self) -> None:
        """The server that judges here computes what the examples of RFC 7616, 3.9.1, say."""
        example = {
            "username": "Mufasa",
            "realm": "http-auth@example.org",
            "uri": "/dir/index.html",
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "nc": "00000001",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "qop": "auth",
        }
        for algorithm, response in (
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ):
            given = {**example, "algorithm": algorithm}
            self.assertEqual(expected_response("Circle of Life", "GET", given), response)

    def test_answers_a_challenge_and_reuses_the_nonce(self) -> None:
        """The first request is challenged, and the next ones count up that nonce's uses."""
        for algorithm in ("MD5", "SHA-256"):
            server, auth = DigestServer(algorithm), digest_auth()
            receiver = Receiver(lambda sent, server=server: sent.judged_by(server))
            for _ in range(3):
                self.assertEqual(self.successResultOf(post(receiver, auth)).code, 200)
            self.assertEqual(server.passed, [("nonce-1", f"{n:08x}") for n in (1, 2, 3)])
            self.assertEqual(len(receiver.sent), 4)
            self.assertEqual({sent.body for sent in receiver.sent}, {BODY})

    def test_stale(self) -> None:
        """A nonce that is stale is replaced, with a count from 1."""
        server, auth = DigestServer(), digest_auth()
        receiver = Receiver(lambda sent: sent.judged_by(server))
        self.successResultOf(post(receiver, auth))
        server.expire_nonces()
        for _ in range(2):
            self.assertEqual(self.successResultOf(post(receiver, auth)).code, 200)
        self.assertEqual(
            server.passed,
            [("nonce-1", "00000001"), ("nonce-2", "00000001"), ("nonce-2", "00000002")],
        )

    def test_several_challenges(self) -> None:
        """Digest is answered where the server offers other ways too, in headers of their own."""
        server = DigestServer("SHA-256")

        def judge(sent: Sent) -> Answer:
            answer = sent.judged_by(server)
            if challenges := answer.headers.getRawHeaders("WWW-Authenticate"):
                offers = ['Basic realm="receiver"', *challenges]
                answer.headers.setRawHeaders("WWW-Authenticate", offers)
            return answer

        response = self.successResultOf(post(Receiver(judge), digest_auth()))
        self.assertEqual(response.code, 200)

    def test_wrong_password(self) -> None:
        """A wrong password is refused after one answer, and the caller may read why."""
        server = DigestServer()
        receiver = Receiver(lambda sent: sent.judged_by(server))
        response = self.successResultOf(post(receiver, digest_auth("wrong")))
        self.assertEqual((response.code, len(receiver.sent)), (401, 2))
        self.assertEqual(self.successResultOf(readBody(response)), b"who are you?")


class DigestAtOnceTest(SynchronousTestCase):
    """requests' HTTPDigestAuth with many requests under way at once."""

    def setUp(self) -> None:
        """Have a receiver that answers when it is told to."""
        self.receiver = Receiver()
        self.auth = digest_auth()

    def post(self, count: int) -> list[Deferred[IResponse]]:
        """Send several statuses at once."""
        return [post(self.receiver, self.auth) for _ in range(count)]

    def answer_all(self, server: DigestServer, order: Callable[[list[Sent]], Sent]) -> None:
        """Have the server answer, in an order, until nobody waits."""
        while waiting := self.receiver.waiting():
            sent = order(waiting)
            sent.answer.callback(sent.judged_by(server))

    def assert_all_pass(self, server: DigestServer, order: Callable[[list[Sent]], Sent]) -> None:
        """Ten at once, twice, all pass, and no use of a nonce is sent twice."""
        for _ in range(2):
            responses = self.post(10)
            self.answer_all(server, order)
            codes = [self.successResultOf(each).code for each in responses]
            self.assertEqual(codes, [200] * 10)
        self.assertEqual(server.replays, [])

    def test_all_challenged(self) -> None:
        """Each of ten requests that are challenged at once passes, in any order of answers."""
        orders: tuple[Callable[[list[Sent]], Sent], ...] = (
            lambda waiting: waiting[0],
            lambda waiting: waiting[-1],
            lambda waiting: waiting[len(waiting) // 2],
        )
        for order in orders:
            self.setUp()
            server = DigestServer()
            self.assert_all_pass(server, order)
            # One challenge taught all of them.
            self.assertEqual({nonce for nonce, _ in server.passed}, {server.passed[0][0]})
            self.assertEqual(len(self.receiver.sent), 30)

    def test_one_time_nonces(self) -> None:
        """All pass where every nonce is good for one request only."""
        self.assert_all_pass(DigestServer(one_time=True), lambda waiting: waiting[0])
        self.setUp()
        self.assert_all_pass(DigestServer(one_time=True), lambda waiting: waiting[-1])

    def test_late_challenge_with_an_older_nonce(self) -> None:
        """A challenge that comes late does not take the nonce back to one that was used."""
        server = DigestServer()
        responses = self.post(3)
        for sent, nonce in zip(tuple(self.receiver.sent), ("old", "new", "old"), strict=True):
            sent.answer.callback(Answer(401, server.challenge(nonce)))
            self.answer_only(server, -1)
        self.assertEqual([self.successResultOf(each).code for each in responses], [200] * 3)
        self.assertEqual(server.passed, [("old", f"{n:08x}") for n in (1, 2, 3)])

    def answer_only(self, server: DigestServer, index: int) -> None:
        """Have the server answer one request."""
        sent = self.receiver.sent[index]
        sent.answer.callback(sent.judged_by(server))

    def test_waits_for_the_first_use(self) -> None:
        """A new nonce is not used by others before its first use was answered."""
        server = DigestServer()
        first = post(self.receiver, self.auth)
        self.answer_only(server, 0)
        second = post(self.receiver, self.auth)
        self.assertEqual(len(self.receiver.sent), 2)
        self.answer_all(server, lambda waiting: waiting[0])
        self.assertEqual(self.successResultOf(first).code, 200)
        self.assertEqual(self.successResultOf(second).code, 200)
        self.assertEqual(server.passed, [("nonce-1", "00000001"), ("nonce-1", "00000002")])

    def test_first_use_frees_all(self) -> None:
        """When a new nonce was accepted, all that were challenged go on side by side."""
        server = DigestServer()
        self.post(10)
        for sent in self.receiver.waiting():
            sent.answer.callback(sent.judged_by(server))
        self.assertEqual(len(self.receiver.waiting()), 1)
        self.answer_only(server, -1)
        self.assertEqual(len(self.receiver.waiting()), 9)

    def test_known_nonce_holds_nobody_up(self) -> None:
        """Once a nonce is known, requests are under way side by side."""
        server = DigestServer()
        self.post(1)
        self.answer_all(server, lambda waiting: waiting[0])
        self.post(10)
        self.assertEqual(len(self.receiver.waiting()), 10)
        counts = [parameters(sent.header("Authorization") or "")["nc"]
                  for sent in self.receiver.waiting()]  # fmt: skip
        self.assertEqual(counts, [f"{n:08x}" for n in range(2, 12)])

    def test_cancelled_answer_makes_way(self) -> None:
        """A request that is cancelled while it answers a challenge lets the others go on."""
        server = DigestServer()
        first, second = self.post(2)
        self.answer_only(server, 0)
        self.answer_only(server, 1)
        waits_and_leaves = post(self.receiver, self.auth)
        waits_and_leaves.cancel()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.failureResultOf(waits_and_leaves, CancelledError)
        self.answer_all(server, lambda waiting: waiting[0])
        self.assertEqual(self.successResultOf(second).code, 200)

    def test_wrong_password(self) -> None:
        """With a wrong password each of ten is refused after a few answers, never in a loop."""
        self.auth = digest_auth("wrong")
        responses = self.post(10)
        self.answer_all(DigestServer(), lambda waiting: waiting[0])
        self.assertEqual([self.successResultOf(each).code for each in responses], [401] * 10)
        self.assertLessEqual(len(self.receiver.sent), 40)


class DigestSite(Resource):
    """A receiver that wants Digest authentication, on loopback."""

    isLeaf = True

    def __init__(self, server: DigestServer) -> None:
        super().__init__()
        self.digest_server = server
        self.bodies: list[bytes] = []

    def render_POST(self, request: Request) -> bytes:
        """Accept a status of whom the server lets pass."""
        challenge = self.digest_server.judge(
            "POST", request.uri.decode(), request.getHeader("Authorization")
        )
        if challenge is not None:
            request.setResponseCode(401)
            request.setHeader("WWW-Authenticate", challenge)
            return b"who are you?"
        self.bodies.append(request.content.read())
        return b"thanks"


@implementer(IPullProducer)
class EndlessChallenge(Resource):
    """A receiver that says 401 to who is unknown, and never stops saying it."""

    isLeaf = True

    def render_POST(self, request: Request) -> bytes | int:
        """Accept a status that comes with an answer to the challenge."""
        if request.getHeader("Authorization"):
            return b"thanks"
        request.setResponseCode(401)
        request.setHeader("WWW-Authenticate", DigestServer().challenge())
        self.abandoned = request.notifyFinish()
        self.request = request
        request.registerProducer(self, streaming=False)
        return NOT_DONE_YET

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Say more."""
        self.request.write(b"x" * 16_384)

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        """Do nothing: the request ends by itself."""


class ServerTLS(ContextFactory):
    """Serves with a certificate of its own."""

    def __init__(self) -> None:
        self.certificate = trustme.CA().issue_cert("127.0.0.1")

    def getContext(self) -> SSL.Context:  # noqa: N802 - Twisted's name
        """Return the context of a connection."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self.certificate.configure_cert(context)
        return context


class DigestOnLoopbackTest(TestCase):
    """Digest through real connections, with what Apache's httpd lacks."""

    def setUp(self) -> None:
        """Have an agent with a pool, which trusts everyone."""
        pool = HTTPConnectionPool(reactor)
        self.addCleanup(pool.closeCachedConnections)
        self.agent = Agent(reactor, make_policy(verify=False, cert=None), pool=pool)

    def serve(self, resource: Resource) -> str:
        """Serve with TLS, and return the URL."""
        port = reactor.listenSSL(0, Site(resource), ServerTLS(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"https://127.0.0.1:{port.getHost().port}/submit?from=ci"

    async def send(self, url: str, auth: object, body: bytes) -> int:
        """Send a status, and return the status of the answer, which is read."""
        response = await post(self.agent, auth, url, body)
        await treq.content(response)
        return int(response.code)

    async def test_sha256(self) -> None:
        """Statuses sent one by one and ten at once arrive, challenged only once."""
        site, auth = DigestSite(DigestServer("SHA-256")), digest_auth()
        url = self.serve(site)
        bodies = [f"status {n}".encode() for n in range(11)]
        self.assertEqual(await self.send(url, auth, bodies[0]), 200)
        codes = await gatherResults(
            [Deferred.fromCoroutine(self.send(url, auth, body)) for body in bodies[1:]],
            consumeErrors=True,
        )
        self.assertEqual(codes, [200] * 10)
        self.assertEqual(sorted(site.bodies), sorted(bodies))
        self.assertEqual((site.digest_server.nonces_made, site.digest_server.replays), (1, []))

    async def test_endless_challenge(self) -> None:
        """The connection of a challenge that never ends is closed, and the status arrives."""
        site = EndlessChallenge()
        self.assertEqual(await self.send(self.serve(site), digest_auth(), BODY), 200)
        with self.assertRaises(ConnectionLost):
            await site.abandoned
