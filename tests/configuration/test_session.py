"""``self._http``: single requests of subclasses, with all that the reporter is configured with."""

from __future__ import annotations

import base64
import io
from typing import Any

from support.fakes import LogBook
from support.memory import Answer, Receiver
from support.servers import OK, ServerTestCase, never, write
from twisted.internet import defer, reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent

from buildbot_http_status_push.configuration.session import Response, Session
from buildbot_http_status_push.report.encoding import EncodingError
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Render, RenderingError, Target

URL = "http://receiver.test/base"


class SessionTest(SynchronousTestCase):
    """Requests in memory."""

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.receiver = Receiver()
        self.book = LogBook()

    def session(self, target: Target | str = URL, *, debug: bool = False) -> Session:
        """Return a session with a receiver that the test plays."""
        known = Target(target) if isinstance(target, str) else target
        return self.rendering(lambda: succeed(known), debug=debug)

    def rendering(self, render: Render, *, debug: bool = False) -> Session:
        """Return a session that renders."""
        return Session(
            Requester(self.clock, lambda _: self.receiver, render, debug, self.book.log), 30.0
        )

    def post(self, target: Target | str = URL, ep: str = "", **options: Any) -> Any:
        """Post, and return what is sent."""
        self.session(target).post(ep, **options)
        return self.receiver.sent[-1]

    def test_json(self) -> None:
        """A value is posted as JSON, times and all."""
        sent = self.post(json={"state": ["success"]})
        self.assertEqual((sent.method, sent.uri), (b"POST", URL.encode()))
        self.assertEqual(sent.body, b'{"state": ["success"]}')
        self.assertEqual(sent.header("Content-Type"), "application/json")

    def test_empty_json(self) -> None:
        """An empty dict is JSON, too."""
        self.assertEqual(self.post(json={}).body, b"{}")

    def test_no_json(self) -> None:
        """What has no JSON form is an error that names the place."""
        failure = self.failureResultOf(self.session().post("", json={"x": {1}}), EncodingError)
        self.assertIn("body['x']", failure.getErrorMessage())

    def test_other_bodies(self) -> None:
        """Bytes go as they are, a dict as a form, and a file as treq takes it."""
        self.assertEqual(self.post(data=b"raw").body, b"raw")
        sent = self.post(data={"a": "1 2"})
        self.assertEqual(sent.body, b"a=1+2")
        self.assertEqual(sent.header("Content-Type"), "application/x-www-form-urlencoded")

    def test_methods(self) -> None:
        """GET, PUT and DELETE are there beside POST."""
        session = self.session()
        for method in (session.get, session.put, session.delete):
            method("/x")
        self.assertEqual(
            [(sent.method, sent.uri) for sent in self.receiver.sent],
            [(name, b"http://receiver.test/base/x") for name in (b"GET", b"PUT", b"DELETE")],
        )

    def test_url(self) -> None:
        """What is given is added to the URL as it is written; a whole URL stands for itself."""
        for target, ep, options, uri in (
            ("http://h/a/", "", {}, "http://h/a/"),
            ("http://h", "/x", {}, "http://h/x"),
            ("http://h/a", "/%2f/../b;c?d", {}, "http://h/a/%2f/../b;c?d"),
            ("http://h/a", "", {"params": {"q": "1 2"}}, "http://h/a?q=1+2"),
            ("http://h/a?b=c", "", {"params": [("q", "1")]}, "http://h/a?b=c&q=1"),
            ("http://h/a", "https://other/x", {}, "https://other/x"),
            ("http://[::1]:80/a", "", {}, "http://[::1]:80/a"),
            ("http://h/[x]|y", "", {}, "http://h/[x]|y"),
        ):
            self.assertEqual(self.post(target, ep, **options).uri.decode(), uri)

    def test_headers(self) -> None:
        """The reporter's headers win over the call's, these over defaults, in any case."""
        target = Target(URL, headers={"x-a": "reporter"})
        sent = self.post(
            target, json={}, headers={"X-A": "call", "X-B": "call", "content-type": "x/y"}
        )
        self.assertEqual(sent.header("X-A"), "reporter")
        self.assertEqual(sent.header("X-B"), "call")
        self.assertEqual(sent.header("Content-Type"), "x/y")

    def test_further_headers(self) -> None:
        """Headers that a subclass adds win over all others, from then on."""
        session = self.session(Target(URL, headers={"X-A": "reporter", "X-B": "reporter"}))
        for update in (session.update_headers, session.updateHeaders):
            update({"x-a": update.__name__})
            session.post("", headers={"X-A": "call"})
            self.assertEqual(self.receiver.sent[-1].header("X-A"), update.__name__)
            self.assertEqual(self.receiver.sent[-1].header("X-B"), "reporter")

    def test_auth(self) -> None:
        """The reporter's credentials, or those of the URL, go along."""
        expected = "Basic " + base64.b64encode(b"u:p").decode()
        for target in (Target(URL, ("u", "p")), Target("http://u:p@receiver.test/base")):
            self.assertEqual(self.post(target).header("Authorization"), expected)
            self.assertEqual(self.receiver.sent[-1].uri, URL.encode())

    def test_redirection(self) -> None:
        """A redirection is the answer, and is not followed."""
        posted = self.session().post("", json={})
        answer = Answer(303)
        answer.headers.setRawHeaders("Location", ["http://receiver.test/other"])
        self.receiver.sent[0].answer.callback(answer)
        self.assertEqual(self.successResultOf(posted).code, 303)
        self.assertEqual(len(self.receiver.sent), 1)

    def test_deadline(self) -> None:
        """A request that has no answer fails in time, and leaves no timer."""
        posted = self.session().post("", json={})
        self.clock.advance(30)
        failure = self.failureResultOf(posted, defer.TimeoutError)
        self.assertEqual(failure.getErrorMessage(), "no answer within 30 s")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endless_rendering(self) -> None:
        """So does one whose secrets never come."""
        posted = self.rendering(Deferred).post("")
        self.clock.advance(30)
        self.failureResultOf(posted, defer.TimeoutError)

    def test_no_rendering(self) -> None:
        """A secret that can't be had is the caller's to handle."""
        session = self.rendering(lambda: fail(RenderingError("no")))
        self.failureResultOf(session.post(""), RenderingError)

    def test_debug(self) -> None:
        """With debug=True its requests are logged like the reporter's own, masked."""
        target = Target(URL, ("u", "s3cret"), secrets=frozenset({"s3cret"}))
        self.session(target, debug=True).post("", json={"x": "s3cret"})
        [line] = self.book.lines
        self.assertTrue(line.startswith(f"request POST {URL} ["), line)
        self.assertTrue(line.endswith('15 bytes: {"x": "***"}'), line)

    def test_no_debug(self) -> None:
        """Without it nothing is logged."""
        self.post(json={})
        self.assertEqual(self.book.lines, [])


class LoopbackTest(ServerTestCase):
    """Requests over loopback."""

    def session(self, url: str, timeout: float = 10.0, agent: IAgent | None = None) -> Session:
        """Return a session on the real clock."""
        found = agent or self.agent()
        requester = Requester(reactor, lambda _: found, lambda: succeed(Target(url)))
        return Session(requester, timeout)

    async def test_response(self) -> None:
        """The answer has its code, its URL, its content and its JSON."""
        head = b"HTTP/1.1 201 Made\r\nContent-Length: 8\r\n\r\n"
        server = self.serve(write(head, b'{"a": 1}'))
        url = f"http://127.0.0.1:{server.port}/submit"
        response = await self.session(url).post("", json={})
        assert isinstance(response, Response)
        self.assertEqual((response.code, response.url), (201, url))
        self.assertEqual(await response.content(), b'{"a": 1}')
        self.assertEqual(await response.json(), {"a": 1})

    async def test_file(self) -> None:
        """A file is sent as treq does it."""
        server = self.serve(write(OK))
        url = f"http://127.0.0.1:{server.port}/"
        response = await self.session(url).post("", data=io.BytesIO(b"file"))
        await response.content()
        self.assertEqual(server.requests[0].body, b"file")

    async def test_deadline(self) -> None:
        """A server that never answers is given up, and the connection closed."""
        server = self.serve(never)
        posted = self.session(f"http://127.0.0.1:{server.port}/", timeout=0.1).post("")
        await self.assertFailure(posted, defer.TimeoutError)
        await server.connections[0].lost
