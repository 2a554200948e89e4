"""What goes out through treq: the URL and the headers as they are, and nothing that it adds."""

from __future__ import annotations

from typing import Any

import treq.client
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import a_delivery
from support.memory import Answer, Receiver, Sent
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from buildbot_http_status_push.configuration.session import Session
from buildbot_http_status_push.model import Accepted
from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.wire.client import Client
from buildbot_http_status_push.wire.requester import NO_COOKIES, OurHeaders, Requester
from buildbot_http_status_push.wire.target import Target
from buildbot_http_status_push.wire.urls import URLError, parse

URL = "http://receiver.test/submit"


def sets_a_cookie(_: Sent) -> Answer:
    """Accept, and set a cookie."""
    answer = Answer(200)
    answer.headers.setRawHeaders("Set-Cookie", ["session=1; Path=/"])
    return answer


class RequesterTestCase(SynchronousTestCase):
    """A test case whose agent keeps what it is sent."""

    def setUp(self) -> None:
        """Begin."""
        self.receiver = Receiver(sets_a_cookie)

    def requester(self, target: Target | str = URL) -> Requester:
        """Return a requester for a target."""
        known = Target(target) if isinstance(target, str) else target
        return Requester(Clock(), lambda _: self.receiver, lambda: succeed(known))


class TreqTest(RequesterTestCase):
    """Everything is sent by treq."""

    def setUp(self) -> None:
        """Have treq's client tell what it is asked for."""
        super().setUp()
        self.asked: list[tuple[Any, ...]] = []
        request = treq.client.HTTPClient.request

        def telling(client: Any, method: str, url: Any, **options: Any) -> Deferred[Any]:
            self.asked.append((method, url.to_text(), options["allow_redirects"]))
            return request(client, method, url, **options)

        self.patch(treq.client.HTTPClient, "request", telling)

    def test_deliveries(self) -> None:
        """A delivery is posted by treq's client, and the agent sees what it sends."""
        sent = Client(self.requester(), 30.0).send(a_delivery(body=b"body"))
        self.assertEqual(self.successResultOf(sent), Accepted(200))
        self.assertEqual(self.asked, [("POST", URL, False)])
        [seen] = self.receiver.sent
        self.assertEqual((seen.method, seen.uri, seen.body), (b"POST", URL.encode(), b"body"))

    def test_sessions(self) -> None:
        """So is what a subclass posts."""
        posted = Session(self.requester(), 30.0).post("/more", json={})
        self.assertEqual(self.successResultOf(posted).code, 200)
        self.assertEqual(self.asked, [("POST", f"{URL}/more", False)])
        self.assertEqual(self.receiver.sent[0].uri, f"{URL}/more".encode())


class AsWrittenTest(RequesterTestCase):
    """What goes out is what was given."""

    def sent(self, url: str = URL, **headers: str) -> Sent:
        """Post something."""
        requester = self.requester()
        given = OurHeaders({name.replace("_", "-"): [value] for name, value in headers.items()})
        requester.request(
            Target(url),
            Mask(),
            "POST",
            parse(url).wire,
            NO_COOKIES,
            headers=given,
            cookies=NO_COOKIES,
        )
        return self.receiver.sent[-1]

    def test_addresses(self) -> None:
        """Addresses in brackets and odd escapes stay as they are."""
        for url in (
            "http://[::1]:8080/a",
            "http://h/%7e%2f%zz?a=%41&b",
            "http://h/<x>|[y]^`{z}\"'",
        ):
            self.assertEqual(self.sent(url).uri.decode(), url)

    @given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40))
    def test_any_address(self, path: str) -> None:
        """Whatever path can be posted to at all stays as it is."""
        self.setUp()
        url = f"http://h/{path.replace('#', '')}"
        try:
            parse(url)
        except URLError:
            return
        self.assertEqual(self.sent(url).uri.decode(), url)

    def test_headers(self) -> None:
        """Treq adds no header; a user's own offer to take compressed answers is kept."""
        self.assertEqual(self.sent(X_A="1").headers, Headers({"X-A": ["1"]}))
        self.assertEqual(self.sent(Accept_Encoding="br").header("Accept-Encoding"), "br")

    def test_cookies(self) -> None:
        """A cookie that an answer sets is not sent back, a user's own is."""
        self.sent()
        self.assertIsNone(self.sent().header("Cookie"))
        self.assertEqual(self.sent(Cookie="a=b").header("Cookie"), "a=b")
        self.assertEqual(list(NO_COOKIES), [])
