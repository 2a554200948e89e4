"""The ``auth=`` option: its faults, Basic, objects of requests and others, and their hooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import traceback
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from requests_oauthlib import OAuth1
from support.digest import DigestServer
from support.memory import BODY, URL, Answer, Receiver, Sent, always_ok, post
from twisted.internet.defer import CancelledError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    FileBodyProducer,
    ResponseFailed,
    readBody,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface.verify import verifyObject

from buildbot_http_status_push.wire.auth import AuthenticationFailed, fault, wrap
from buildbot_http_status_push.wire.bodies import BytesProducer


class Renderable:
    """Stands for what is only known when the master runs."""


def is_renderable(value: object) -> bool:
    """Recognise what stands for a renderable."""
    return isinstance(value, Renderable)


class FaultTest(SynchronousTestCase):
    """What checkconfig says about ``auth=``."""

    def test_known_kinds(self) -> None:
        """None, pairs, requests' objects, callables and renderables are all right."""
        for auth in (
            None,
            ("user", "password"),
            ["user", "password"],
            (b"user", b"password"),
            ("", ""),
            ("user", Renderable()),
            (Renderable(), "pass:word"),
            HTTPDigestAuth("user", "password"),
            lambda request: request,
            Renderable(),
        ):
            self.assertIsNone(fault(auth, is_renderable))

    def test_unknown_kinds(self) -> None:
        """Any other value is told by its type and by what would be right, not by itself."""
        for auth, seen in (
            ("Bearer s3cret", "auth is a str: "),
            ({"user": "s3cret"}, "auth is a dict: "),
            (("user", "s3cret", "more"), "auth is a tuple of (str, str, str): "),
            (["s3cret"], "auth is a list of (str): "),
            (("user", None), "auth is a tuple of (str, NoneType): "),
            (HTTPDigestAuth, "auth is the class HTTPDigestAuth, not an instance of it: "),
        ):
            told = fault(auth, is_renderable)
            assert told is not None
            self.assertEqual(told.partition("write None, a pair (user, password), ")[0], seen)
            self.assertNotIn("s3cret", told)

    def test_what_basic_can_not_carry(self) -> None:
        """A colon in the user, or a control character anywhere, is told at checkconfig."""
        for auth, seen in (
            (("us:er", "s3cret"), "a colon in its user"),
            ((b"us:er", Renderable()), "a colon in its user"),
            (("user", "s3cret\n"), "a control character"),
            (("us\x7fer", Renderable()), "a control character"),
        ):
            told = fault(auth, is_renderable)
            assert told is not None
            self.assertIn(seen, told)
            self.assertIn("RFC 7617", told)
            self.assertNotIn("s3cret", told)


class BytesProducerTest(SynchronousTestCase):
    """The body producer that shows its bytes."""

    def test_provides_the_interface(self) -> None:
        """It is a body producer as Twisted defines one."""
        verifyObject(IBodyProducer, BytesProducer(BODY))

    def test_writes_all_and_again(self) -> None:
        """It writes exactly its bytes, as often as it is asked to."""
        producer = BytesProducer(BODY)
        for _ in range(2):
            transport = StringTransport()
            self.assertIsNone(self.successResultOf(producer.startProducing(transport)))
            self.assertEqual(transport.value(), BODY)
        self.assertEqual(producer.length, len(BODY))


class BasicTest(SynchronousTestCase):
    """``auth=(user, password)``."""

    def credentials(self, auth: object, **headers: str) -> bytes:
        """Return the credentials that a receiver decodes."""
        receiver = Receiver(always_ok)
        self.successResultOf(post(receiver, auth, **headers))
        scheme, token = (receiver.sent[0].header("Authorization") or "").split(" ")
        self.assertEqual(scheme, "Basic")
        return base64.b64decode(token, validate=True)

    def test_utf8(self) -> None:
        """A pair is sent in UTF-8, bytes as they are, and only the first colon separates."""
        self.assertEqual(self.credentials(("jürgen", "pä:ß")), "jürgen:pä:ß".encode())
        self.assertEqual(self.credentials([b"caf\xe9", b"\xff"]), b"caf\xe9:\xff")

    def test_wins_over_a_header(self) -> None:
        """The credentials stand in place of an Authorization header that was set by hand."""
        self.assertEqual(self.credentials(("a", "b"), Authorization="Bearer x"), b"a:b")

    def test_leaves_the_rest_alone(self) -> None:
        """The request is otherwise passed on as it is, and the caller's headers don't change."""
        receiver = Receiver(always_ok)
        headers = Headers({"Content-Type": ["application/json"]})
        response = wrap(receiver, ("a", "b")).request(
            b"POST", URL.encode(), headers, BytesProducer(BODY)
        )
        self.assertEqual(self.successResultOf(response).code, 200)
        [sent] = receiver.sent
        self.assertEqual((sent.method, sent.uri, sent.body), (b"POST", URL.encode(), BODY))
        self.assertEqual(sent.header("Content-Type"), "application/json")
        self.assertFalse(headers.hasHeader("Authorization"))

    def test_none(self) -> None:
        """Without auth the agent itself is used."""
        receiver = Receiver()
        self.assertIs(wrap(receiver, None), receiver)

    def test_rendered_to_nonsense(self) -> None:
        """A value that was rendered to no known kind is told when it is used."""
        with self.assertRaises(AuthenticationFailed) as told:
            wrap(Receiver(), ("user", None))
        self.assertIn("auth is a tuple of (str, NoneType): write None", str(told.exception))


class RequestsObjectTest(SynchronousTestCase):
    """Authentication objects that change one request."""

    def sent_with(self, auth: object, **arguments: Any) -> Sent:
        """Return the one request that a receiver gets."""
        receiver = Receiver(always_ok)
        self.successResultOf(post(receiver, auth, **arguments))
        [sent] = receiver.sent
        return sent

    def test_basic_of_requests(self) -> None:
        """The HTTPBasicAuth of requests works as it does there."""
        sent = self.sent_with(HTTPBasicAuth("user", "password"), Content_Type="text/plain")
        self.assertEqual(sent.header("Authorization"), "Basic dXNlcjpwYXNzd29yZA==")
        self.assertEqual(sent.header("Content-Type"), "text/plain")
        self.assertEqual((sent.method, sent.uri, sent.body), (b"POST", URL.encode(), BODY))

    def test_answer_is_passed_on_untouched(self) -> None:
        """Without hooks the caller gets the very response, its body unread, whatever it is."""
        for answer in (Answer(200), Answer(401, "Basic", b"no")):
            got = post(Receiver(lambda _, answer=answer: answer), HTTPBasicAuth("a", "b"))
            self.assertIs(self.successResultOf(got), answer)

    def test_signs_the_body(self) -> None:
        """A hand-written callable sees method, path, headers and body, and signs them."""

        def sign(request: Any) -> Any:
            assert request.headers["CONTENT-type"] == "application/json"
            text = f"{request.method} {request.path_url} ".encode() + request.body
            request.headers["x-signature"] = hmac.new(b"key", text, "sha256").hexdigest()
            return request

        sent = self.sent_with(sign, Content_Type="application/json")
        expected = hmac.new(b"key", b"POST /submit?from=ci " + BODY, hashlib.sha256)
        self.assertEqual(sent.header("X-Signature"), expected.hexdigest())

    def test_changes_everything(self) -> None:
        """A callable may change method, URL, body and headers, in text or bytes."""

        def rewrite(request: Any) -> Any:
            request.method = "PUT"
            request.prepare_url(request.url, {"token": "a b"})
            request.body = "größer"
            request.headers[b"X-Raw"] = b"\xff"
            del request.headers["x-old"]
            request.headers["Content-Length"] = "3"
            return request

        sent = self.sent_with(rewrite, X_Old="1")
        self.assertEqual((sent.method, sent.uri), (b"PUT", URL.encode() + b"&token=a+b"))
        self.assertEqual(sent.body, "größer".encode())
        self.assertEqual(sent.headers.getRawHeaders(b"X-Raw"), [b"\xff"])
        # Twisted adds the right length.
        self.assertEqual([name for name, _ in sent.headers.getAllRawHeaders()], [b"X-Raw"])

    def test_path_url(self) -> None:
        """The path to sign is the one in the request line, which is never empty."""
        seen = []
        for url in (
            "http://receiver.test",
            "http://receiver.test?a=b",
            "http://receiver.test/c;d#e",
        ):
            self.sent_with(lambda request: seen.append(request.path_url) or request, url=url)
        self.assertEqual(seen, ["/", "/?a=b", "/c;d"])

    def test_no_body(self) -> None:
        """A request without a body has the body None, and stays without one."""
        bodies = []
        sent = self.sent_with(lambda request: bodies.append(request.body) or request, body=None)
        self.assertEqual(bodies, [None])
        self.assertIsNone(sent.producer)

    def test_returns_another_request(self) -> None:
        """What the callable returns is sent, even if it is an object of requests itself."""

        def replace(request: Any) -> requests.PreparedRequest:
            other = requests.Request("POST", request.url, data={"payload": request.body})
            return other.prepare()

        sent = self.sent_with(replace)
        self.assertEqual(sent.body, b"payload=" + quote(BODY).replace("%20", "+").encode())
        self.assertEqual(sent.header("Content-Type"), "application/x-www-form-urlencoded")

    def test_same_request_every_time(self) -> None:
        """What a callable changes in one request is not seen in the next one."""
        receiver = Receiver(always_ok)

        def count(request: Any) -> Any:
            request.headers["Count"] = request.headers.get("Count", "") + "1"
            return request

        agent = wrap(receiver, count)
        headers = Headers()
        for _ in range(2):
            self.successResultOf(agent.request(b"POST", URL.encode(), headers))
        self.assertEqual([sent.header("Count") for sent in receiver.sent], ["1", "1"])

    @given(st.text(st.characters(categories=["L", "N", "P"], max_codepoint=0xFF)))
    def test_header_bytes_survive(self, text: str) -> None:
        """The bytes of a header value pass through unchanged."""
        value = text.encode("latin-1")
        receiver = Receiver(always_ok)
        agent = wrap(receiver, lambda request: request)
        self.successResultOf(agent.request(b"POST", URL.encode(), Headers({b"X": [value]})))
        self.assertEqual(receiver.sent[0].headers.getRawHeaders(b"X"), [value])


def oauth_signature(sent: Sent, oauth: dict[str, str], form: str = "") -> str:
    """Compute the HMAC-SHA1 signature of RFC 5849, 3.4, on the receiver's side."""
    parts = urlsplit(sent.uri.decode())
    pairs = [*parse_qsl(parts.query), *parse_qsl(form), *oauth.items()]
    encoded = sorted(
        (quote(name, safe="~"), quote(value, safe="~"))
        for name, value in pairs
        if name not in ("oauth_signature", "realm")
    )
    normal = "&".join(f"{name}={value}" for name, value in encoded)
    base = "&".join(
        quote(each, safe="~")
        for each in (sent.method.decode(), f"{parts.scheme}://{parts.netloc}{parts.path}", normal)
    )
    digest = hmac.new(b"client-secret&token-secret", base.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


class OAuthTest(SynchronousTestCase):
    """requests_oauthlib's OAuth1."""

    keys = ("client", "client-secret", "token", "token-secret")

    def sent_with(self, auth: OAuth1, body: bytes, content_type: str) -> Sent:
        """Return the one request that a receiver gets."""
        receiver = Receiver(always_ok)
        self.successResultOf(post(receiver, auth, body=body, Content_Type=content_type))
        [sent] = receiver.sent
        self.assertEqual(sent.header("Content-Type"), content_type)
        return sent

    def oauth_header(self, sent: Sent) -> dict[str, str]:
        """Return the decoded OAuth parameters of the header."""
        scheme, _, rest = (sent.header("Authorization") or "").partition(" ")
        self.assertEqual(scheme, "OAuth")
        pairs = (pair.split("=", 1) for pair in rest.split(", "))
        return {name: unquote(value.strip('"')) for name, value in pairs}

    def test_signs_in_a_header(self) -> None:
        """A JSON status is signed in the Authorization header, its body unchanged."""
        sent = self.sent_with(OAuth1(*self.keys), BODY, "application/json")
        oauth = self.oauth_header(sent)
        self.assertEqual(oauth["oauth_signature"], oauth_signature(sent, oauth))
        self.assertEqual((sent.uri, sent.body), (URL.encode(), BODY))

    def test_signs_a_form(self) -> None:
        """A form's fields are part of what is signed."""
        form = "application/x-www-form-urlencoded"
        sent = self.sent_with(OAuth1(*self.keys), b"state=all+good", form)
        oauth = self.oauth_header(sent)
        self.assertEqual(oauth["oauth_signature"], oauth_signature(sent, oauth, sent.body.decode()))
        self.assertEqual(sent.body, b"state=all+good")

    def test_signs_in_the_body(self) -> None:
        """The signature may be put into a form's body, which is then what is sent."""
        form = "application/x-www-form-urlencoded"
        auth = OAuth1(*self.keys, signature_type="body")
        sent = self.sent_with(auth, b"state=good", form)
        fields = dict(parse_qsl(sent.body.decode()))
        self.assertEqual(fields["state"], "good")
        self.assertEqual(fields["oauth_signature"], oauth_signature(sent, fields))

    def test_signs_in_the_url(self) -> None:
        """The signature may be put into the URL's query."""
        auth = OAuth1(*self.keys, signature_type="query")
        sent = self.sent_with(auth, BODY, "application/json")
        query = dict(parse_qsl(urlsplit(sent.uri.decode()).query))
        self.assertEqual(query["from"], "ci")
        unsigned = sent.uri.decode().partition("&oauth_")[0]
        plain = Sent(sent.method, unsigned.encode(), sent.headers, sent.producer)
        oauth = {name: value for name, value in query.items() if name.startswith("oauth_")}
        self.assertEqual(query["oauth_signature"], oauth_signature(plain, oauth))


class FailureTest(SynchronousTestCase):
    """What is told when an authentication object does not do its part."""

    def told(self, auth: object, receiver: Receiver | None = None) -> str:
        """Return the text of the failure, which nowhere holds the secret."""
        failure = self.failureResultOf(
            post(receiver or Receiver(always_ok), auth), AuthenticationFailed
        )
        self.assertNotIn("s3cret", failure.getTraceback())
        self.assertNotIn("s3cret", "".join(traceback.format_exception(failure.value)))
        self.assertNotIn("s3cret", str(failure.value))
        return str(failure.value)

    def test_raises(self) -> None:
        """An object that raises is named, with the kind of error and its place."""

        class Vault:
            """A hand-written authentication object."""

            def __call__(self, request: object) -> object:
                raise KeyError("s3cret")

        text = self.told(Vault())
        self.assertRegex(text, r"^auth: .*Vault raised KeyError \(test_auth.py, line \d+\)$")

    def test_takes_the_place_of_a_header(self) -> None:
        """One that sets the Authorization header over a user's own fails: both can't be sent."""
        receiver = Receiver()
        sent = post(receiver, HTTPBasicAuth("u", "p"), Authorization="Bearer s3cret")
        self.assertEqual(
            str(self.failureResultOf(sent, AuthenticationFailed).value),
            "auth: HTTPBasicAuth sets the Authorization header, and so does headers: "
            "write credentials in one place",
        )
        self.assertEqual(receiver.sent, [])

    def test_returns_no_request(self) -> None:
        """A callable that forgets to return the request is told to."""

        def forget(request: Any) -> None:
            request.headers["Authorization"] = "s3cret"

        text = self.told(forget)
        self.assertRegex(text, r"^auth: .*forget returned a NoneType: it must return the request$")

    def test_puts_nonsense(self) -> None:
        """A header that is no text is told by its type."""

        def number(request: Any) -> Any:
            request.headers["Authorization"] = 5
            return request

        self.assertEqual(self.told(number), "auth put a int into the request: write str or bytes")

    def test_puts_what_http_can_not_carry(self) -> None:
        """A header that can't be encoded fails without being shown."""

        def exotic(request: Any) -> Any:
            request.headers["Authorization"] = "s3cret \N{SNOWMAN}"
            return request

        self.assertIn("raised UnicodeEncodeError", self.told(exotic))

    def test_hook_raises(self) -> None:
        """A hook that raises is told as the object's fault."""

        def hooked(request: Any) -> Any:
            request.register_hook("response", lambda _: {}["s3cret"])
            return request

        self.assertRegex(self.told(hooked), r"hooked raised KeyError \(test_auth.py, line \d+\)$")

    def test_hook_returns_nonsense(self) -> None:
        """A hook must return a response or None."""

        def hooked(request: Any) -> Any:
            request.register_hook("response", lambda _: "s3cret")
            return request

        self.assertRegex(self.told(hooked), r"^auth: a hook of .*hooked returned a str$")

    def test_hook_reads_too_early(self) -> None:
        """A hook that reads the answer in the same breath is told why it can't."""

        def hook(response: Any) -> Any:
            return response.connection.send(response.request).status_code

        def hooked(request: Any) -> Any:
            request.register_hook("response", hook)
            return request

        self.assertIn("a hook reads 'status_code' of the answer", self.told(hooked))

    def test_unknown_event(self) -> None:
        """A hook for an event that requests does not know is an error, as it is there."""

        def hooked(request: Any) -> Any:
            request.register_hook("send", print)
            return request

        self.assertIn("raised KeyError", self.told(hooked))

    def test_other_body_producers(self) -> None:
        """A body whose bytes can't be seen can't be authenticated."""
        agent = wrap(Receiver(always_ok), HTTPBasicAuth("a", "b"))
        with self.assertRaisesRegex(TypeError, "BytesProducer"):
            agent.request(b"POST", URL.encode(), None, FileBodyProducer(BytesIO(BODY)))

    def test_network_trouble_passes_through(self) -> None:
        """What the agent fails with reaches the caller as it is."""
        receiver = Receiver()
        response = post(receiver, HTTPBasicAuth("a", "b"))
        receiver.sent[0].answer.errback(ResponseFailed([]))
        self.failureResultOf(response, ResponseFailed)


class HookTest(SynchronousTestCase):
    """What response hooks see and do."""

    def test_sees_a_response(self) -> None:
        """A hook sees status, headers, the body of a 401, and the request."""
        seen: list[Any] = []

        def hooked(request: Any) -> Any:
            request.headers["X-Mine"] = "1"
            request.register_hook("response", seen.append)
            return request

        receiver = Receiver(lambda _: Answer(401, "Negotiate", b"wh", b"o?"))
        response = self.successResultOf(post(receiver, hooked))
        [shown] = seen
        self.assertEqual((shown.status_code, shown.ok, shown.url), (401, False, URL))
        self.assertEqual((shown.content, shown.text), (b"who?", "who?"))
        self.assertEqual(shown.headers["www-AUTHENTICATE"], "Negotiate")
        self.assertEqual(shown.request.headers["x-mine"], "1")
        self.assertFalse(shown.is_redirect)
        self.assertEqual(self.successResultOf(readBody(response)), b"who?")

    def test_sees_a_redirect(self) -> None:
        """A redirect is one only if it says where to go."""
        seen: list[Any] = []

        def hooked(request: Any) -> Any:
            request.register_hook("response", seen.append)
            return request

        answers = [Answer(302), Answer(302), Answer(201)]
        for answer in answers[1:]:
            answer.headers.setRawHeaders("Location", ["/elsewhere"])
        for answer in answers:
            self.successResultOf(post(Receiver(lambda _, answer=answer: answer), hooked))
        self.assertEqual([shown.is_redirect for shown in seen], [False, True, False])

    def test_body_of_success_is_the_callers(self) -> None:
        """The body of any other answer is not waited for: the status alone may count."""

        def hooked(request: Any) -> Any:
            request.register_hook("response", lambda _: None)
            return request

        stalled = Answer(200, None, b"par", end=None)
        self.assertIs(self.successResultOf(post(Receiver(lambda _: stalled), hooked)), stalled)

    def test_answers_with_a_copy(self) -> None:
        """What a hook changes in a copy of the request leaves the request as it was."""

        def answer(response: Any) -> Any:
            again = response.request.copy()
            again.headers["X-Answer"] = "1"
            again.register_hook("response", lambda _: None)
            assert "X-Answer" not in response.request.headers
            assert response.request.hooks == {"response": [answer]}
            return response.connection.send(again)

        def hooked(request: Any) -> Any:
            request.register_hook("response", answer)
            return request

        receiver = Receiver(always_ok)
        self.successResultOf(post(receiver, hooked))
        self.assertEqual([sent.header("X-Answer") for sent in receiver.sent], [None, "1"])

    def test_later_hook_sees_the_later_response(self) -> None:
        """A hook that is registered after the one that answers sees the answer's answer."""
        statuses: list[int] = []

        def hooked(request: Any) -> Any:
            request.register_hook("response", lambda r: r.connection.send(r.request.copy()))
            request.register_hook("response", lambda r: statuses.append(r.status_code))
            return request

        answers = iter((Answer(401, "Custom"), Answer(204)))
        response = post(Receiver(lambda _: next(answers)), hooked)
        self.assertEqual(self.successResultOf(response).code, 204)
        self.assertEqual(statuses, [204])

    def test_body_is_bounded(self) -> None:
        """At most 64 KiB of a challenge are read, then its connection is abandoned."""
        piece = b"x" * 50_000
        challenge = Answer(401, DigestServer().challenge(), piece, piece, piece, end=None)
        answers = iter((challenge, Answer(200)))
        response = post(Receiver(lambda _: next(answers)), HTTPDigestAuth("a", "b"))
        self.assertEqual(self.successResultOf(response).code, 200)
        self.assertTrue(challenge.transport.disconnecting)

    def test_bounded_body_is_passed_on(self) -> None:
        """The caller reads the 64 KiB that were kept of a refusal that is too long."""
        refusal = Answer(401, "Negotiate", b"x" * 70_000, end=None)
        response = post(Receiver(lambda _: refusal), HTTPDigestAuth("a", "b"))
        body = self.successResultOf(readBody(self.successResultOf(response)))
        self.assertEqual(body, b"x" * 65_536)

    def test_broken_body_is_passed_on(self) -> None:
        """A refusal whose body breaks off breaks off for the caller too."""
        refusal = Answer(401, "Negotiate", b"we", end=Failure(ResponseFailed([])))
        response = post(Receiver(lambda _: refusal), HTTPDigestAuth("a", "b"))
        self.failureResultOf(readBody(self.successResultOf(response)), ResponseFailed)

    def test_cancelled_while_the_body_stalls(self) -> None:
        """A deadline that ends while a challenge's body stalls abandons the connection."""
        stalled = Answer(401, "Negotiate", b"wh", end=None)
        response = post(Receiver(lambda _: stalled), HTTPDigestAuth("a", "b"))
        response.cancel()
        self.failureResultOf(response, CancelledError)
        self.assertTrue(stalled.transport.disconnecting)
