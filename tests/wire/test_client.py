"""One attempt in memory: what goes out, and what each answer and each trouble becomes."""

from __future__ import annotations

import base64
import gzip
import zlib
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPBasicAuth
from support.fakes import LogBook, a_delivery
from support.memory import Answer, Receiver
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived

from buildbot_http_status_push import __version__
from buildbot_http_status_push.model import Accepted, Outcome, Refused, Unreachable
from buildbot_http_status_push.signing import verify
from buildbot_http_status_push.wire.client import Client, ClockCheck
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Render, RenderingError, Target, resolve
from buildbot_http_status_push.wire.tls_errors import TLSFileError

URL = "http://receiver.test/submit"
LOST = Failure(error.ConnectionLost())
DONE = Failure(error.ConnectionDone())


def answer(status: int, body: bytes = b"", **headers: str | bytes) -> Answer:
    """Make an answer."""
    made = Answer(status, None, body)
    for name, value in headers.items():
        raw = value.encode() if isinstance(value, str) else value
        made.headers.setRawHeaders(name.replace("_", "-").encode(), [raw])
    return made


class ClientTestCase(SynchronousTestCase):
    """A test case with a client whose receiver the test plays."""

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.clock.advance(1000.75)
        self.receiver = Receiver()
        self.book = LogBook()

    def send(self, target: Target | str = URL, **delivery: Any) -> Deferred[Outcome]:
        """Begin an attempt."""
        known = Target(target) if isinstance(target, str) else target
        return self.client(lambda: succeed(known)).send(a_delivery(**delivery))

    def client(self, render: Render, *, debug: bool = False, **options: Any) -> Client:
        """Return a client that has half a minute for an attempt."""
        requester = Requester(self.clock, lambda _: self.receiver, render, debug, self.book.log)
        return Client(requester, 30.0, **options)

    def outcome(self, given: Answer | Exception, target: Target | str = URL) -> Outcome:
        """Return what an answer or a trouble becomes."""
        sent = self.send(target)
        reply = self.receiver.sent[-1].answer
        reply.callback(given) if isinstance(given, Answer) else reply.errback(given)
        return self.successResultOf(sent)


class RequestTest(ClientTestCase):
    """What goes out."""

    def headers(self, target: Target | str = URL, **delivery: Any) -> dict[str, str]:
        """Return the headers of an attempt."""
        self.send(target, **delivery)
        raw = self.receiver.sent[-1].headers.getAllRawHeaders()
        return {name.decode().lower(): b" | ".join(values).decode() for name, values in raw}

    def test_defaults(self) -> None:
        """Headers name the delivery, its event, its kind and us, and the second of the attempt."""
        self.assertEqual(
            self.headers(id="msg_1", event="builds.new", content_type="text/plain"),
            {
                "user-agent": f"buildbot-http-status-push/{__version__}",
                "content-type": "text/plain",
                "webhook-id": "msg_1",
                "webhook-timestamp": "1000",
                "buildbot-event": "builds.new",
            },
        )

    def test_request(self) -> None:
        """The stored bytes are POSTed to the URL."""
        self.send(body=b"\x00exactly this\xff")
        [sent] = self.receiver.sent
        self.assertEqual((sent.method, sent.uri), (b"POST", URL.encode()))
        self.assertEqual(sent.body, b"\x00exactly this\xff")

    def test_own_headers_win(self) -> None:
        """A user's header takes the place of a default, whatever the case of its name."""
        headers = {"user-agent": "mine", "CONTENT-TYPE": "text/x", "X-More": "ä"}
        found = self.headers(Target(URL, headers=headers))
        self.assertEqual(found["user-agent"], "mine")
        self.assertEqual(found["content-type"], "text/x")
        self.assertEqual(found["x-more"], "ä")
        self.assertEqual(found["webhook-id"], "msg_1")

    def test_signature(self) -> None:
        """With signing keys the delivery is signed as it goes out, by each of them."""
        found = self.headers(Target(URL, signing_keys=("old", "new")), body=b"{}")
        self.assertEqual(len(found["webhook-signature"].split(" ")), 2)
        for key in ("old", "new"):
            verify(found, b"{}", key, now=1000.0)

    def test_user_info(self) -> None:
        """User info goes into the Authorization header and not into the URL."""
        found = self.headers("http://us%40er:p%3Aw@receiver.test/submit")
        expected = "Basic " + base64.b64encode(b"us@er:p:w").decode()
        self.assertEqual(found["authorization"], expected)
        self.assertEqual(self.receiver.sent[-1].uri, URL.encode())

    def test_auth_goes_before_user_info(self) -> None:
        """Credentials of the auth option win over user info."""
        found = self.headers(Target("http://u:p@receiver.test/submit", HTTPBasicAuth("a", "b")))
        self.assertEqual(found["authorization"], "Basic " + base64.b64encode(b"a:b").decode())
        self.assertEqual(self.receiver.sent[-1].uri, URL.encode())

    def test_resolve(self) -> None:
        """The password of user info, or a lone user that stands for a token, is a secret."""
        target = Target("http://u:p%2F@h/", secrets=frozenset({"x"}))
        self.assertEqual(resolve(target).secrets, {"x", "p/"})
        self.assertEqual(resolve(Target("http://token@h/")).secrets, {"token"})
        self.assertEqual(resolve(Target("http://h/")), Target("http://h/"))


class AnswerTest(ClientTestCase):
    """What an answer becomes."""

    def test_accepted(self) -> None:
        """Any 2xx accepts, whatever else it says."""
        for status in (200, 201, 202, 204, 205, 299):
            given = answer(status, b"\xff", Location="http://elsewhere/", Retry_After="5")
            self.assertEqual(self.outcome(given), Accepted(status))

    def test_refused(self) -> None:
        """Other answers refuse, with the beginning of their body."""
        found = self.outcome(answer(422, b'{"error": "no such branch"}'))
        self.assertEqual(found, Refused(422, '{"error": "no such branch"}'))
        self.assertEqual(str(found), 'rejected with 422: {"error": "no such branch"}')
        self.assertEqual(str(self.outcome(answer(503))), "rejected with 503")

    def test_answer_in_words(self) -> None:
        """Of the body 200 characters are kept, in one line, without control characters."""
        body = b"<html>\r\n\x00\x1b[31m caf\xc3\xa9 \xff" + b"x" * 1000
        found = self.outcome(answer(400, body))
        assert isinstance(found, Refused)
        self.assertEqual(found.answer[:22], "<html> [31m café \ufffdxxxx")
        self.assertEqual(len(found.answer), 200)

    @given(st.binary())
    def test_any_answer(self, body: bytes) -> None:
        """Whatever comes back can be logged and stored."""
        self.setUp()
        found = self.outcome(answer(400, body))
        assert isinstance(found, Refused)
        self.assertTrue(found.answer.isprintable())
        self.assertLessEqual(len(found.answer), 200)

    def test_compressed(self) -> None:
        """A compressed body is read, up to a bound; of an unknown coding its name and size are."""
        for coding, body, expected in (
            ("gzip", gzip.compress(b"no such branch"), "no such branch"),
            ("X-GZIP", gzip.compress(b"no such branch")[:-4], "no such branch"),
            ("deflate", zlib.compress(b"no such branch"), "no such branch"),
            ("gzip", gzip.compress(b"x" * 2**24), "x" * 200),
            ("br", b"\x0b\x02\x80", "(3 bytes in the coding 'br')"),
            ("gzip", b"not so", "(6 bytes in the coding 'gzip')"),
            ("identity", b"plain", "plain"),
        ):
            found = self.outcome(answer(400, body, Content_Encoding=coding))
            self.assertEqual(found, Refused(400, expected), coding)

    def test_compressed_secret(self) -> None:
        """A secret that comes back compressed is hidden as well."""
        target = Target(URL, secrets=frozenset({"s3cret"}))
        given = answer(400, gzip.compress(b"bad s3cret"), Content_Encoding="gzip")
        self.assertEqual(self.outcome(given, target), Refused(400, "bad ***"))

    def test_charset(self) -> None:
        """The body is read in the charset that the answer names, else in UTF-8."""
        for content_type, body, expected in (
            ("text/plain; charset=iso-8859-1", "größer".encode("latin-1"), "größer"),
            ('text/html; Charset="Shift_JIS"', "失敗".encode("shift_jis"), "失敗"),
            ("text/plain", "größer".encode(), "größer"),
            ("text/plain; charset=klingon", "größer".encode(), "größer"),
            ("text/plain; charset=hex", b"abc", "abc"),
            ("text/plain; charset=idna", b"xn--\xff", "xn--\ufffd"),
        ):
            found = self.outcome(answer(400, body, Content_Type=content_type))
            self.assertEqual(found, Refused(400, expected), content_type)

    def test_echoed_secret(self) -> None:
        """A secret that the receiver echoes is hidden, also where it spans the cut."""
        target = Target(URL, secrets=frozenset({"s3c  ret"}))
        found = self.outcome(answer(400, b"bad token s3c  ret, " + b"s3c%20%20ret"), target)
        self.assertEqual(found, Refused(400, "bad token ***, ***"))
        found = self.outcome(answer(400, b"x" * 197 + b"s3c  ret"), target)
        self.assertEqual(found, Refused(400, "x" * 197 + "***"))

    def test_retry_after(self) -> None:
        """Retry-After is read, in both its forms, and also where it is nonsense."""
        for value, seconds in (
            (b"120", 120.0),
            (b"Thu, 01 Jan 1970 00:17:00 GMT", 19.25),
            (b"soon", None),
            (b"\xff\xfe", None),
        ):
            found = self.outcome(answer(429, Retry_After=value))
            self.assertEqual(found, Refused(429, "", seconds))

    def test_redirection(self) -> None:
        """A redirection is a refusal that names its target, but neither query nor user info."""
        for status in (300, 301, 302, 303, 307, 308):
            given = answer(status, b"Moved", Location="https://u:pw@other.test/login?next=s3#tok")
            words = "redirects to https://***@other.test/login, which is not followed"
            self.assertEqual(self.outcome(given), Refused(status, words))
        self.assertEqual(len(self.receiver.sent), 6)

    def test_redirection_in_other_bytes(self) -> None:
        """A Location that is no UTF-8 is no trouble."""
        found = self.outcome(answer(302, Location=b"/caf\xe9\x00"))
        self.assertEqual(found, Refused(302, "redirects to /caf\ufffd , which is not followed"))

    def test_location_without_redirection(self) -> None:
        """Where no redirection is meant the body says more."""
        self.assertEqual(self.outcome(answer(409, b"busy", Location="/x")), Refused(409, "busy"))
        self.assertEqual(self.outcome(answer(400, b"bad", Location="/x")), Refused(400, "bad"))
        self.assertEqual(self.outcome(answer(304, b"")), Refused(304))

    def test_clocks(self) -> None:
        """A receiver whose clock is far off is told of where signatures count, elsewhere not."""
        clocks = ClockCheck(self.book.log)
        for keys, lines in (((), 0), (("key",), 1)):
            target = Target(URL, signing_keys=keys)
            self.client(partial(succeed, target), clocks=clocks).send(a_delivery())
            given = answer(200, Date="Thu, 01 Jan 1970 01:00:00 GMT")
            self.receiver.sent[-1].answer.callback(given)
            self.assertEqual(len(self.book.lines), lines)

    def test_duration(self) -> None:
        """An outcome says how long the attempt took."""
        sent = self.send()
        self.clock.advance(2.5)
        self.receiver.sent[0].answer.callback(answer(200))
        outcome = self.successResultOf(sent)
        self.assertEqual(outcome, Accepted(200, 2.5))


class TroubleTest(ClientTestCase):
    """What trouble becomes."""

    def test_words(self) -> None:
        """Each kind of trouble is one sentence."""
        for trouble, words in (
            (error.ConnectionRefusedError("111: Connection refused"), "connection refused"),
            (error.DNSLookupError("no results"), "the host name can't be resolved"),
            (error.TimeoutError(), "no connection came about in time"),
            (
                error.NoRouteError(113, "No route to host"),
                "no connection: No route to host: 113: No route to host.",
            ),
            (ResponseFailed([LOST]), "the answer could not be read"),
            (
                RequestTransmissionFailed([Failure(ValueError())]),
                "the connection was closed while the request was sent",
            ),
            (
                ResponseNeverReceived([Failure(ValueError())]),
                "the connection was closed before an answer came",
            ),
            (TLSFileError("cert: 'x' is missing"), "TLS: cert: 'x' is missing"),
            (RuntimeError("two\nlines\x00"), "RuntimeError: two lines"),
        ):
            self.assertEqual(self.outcome(trouble), Unreachable(words))

    def test_bounds(self) -> None:
        """No trouble is longer than 300 characters, and none shows a secret."""
        target = Target(URL, secrets=frozenset({"s3cret"}))
        found = self.outcome(RuntimeError("s3cret " + "x" * 1000), target)
        assert isinstance(found, Unreachable)
        self.assertTrue(found.reason.startswith("RuntimeError: *** xxx"))
        self.assertEqual(len(found.reason), 300)

    def test_unknown_auth(self) -> None:
        """Credentials of no known kind are told, and nothing is sent."""
        found = self.successResultOf(self.send(Target(URL, auth=5)))
        assert isinstance(found, Unreachable)
        self.assertTrue(found.reason.startswith("auth is a int: write None"))
        self.assertEqual(self.receiver.sent, [])

    def test_unsendable_url(self) -> None:
        """A URL that can't be posted to is told, and nothing is sent."""
        found = self.successResultOf(self.send("http://a..b/"))
        expected = "its host 'a..b' is no host name or IP address (letters, digits, - _ .)"
        self.assertEqual(found, Unreachable(expected))
        self.assertEqual(self.receiver.sent, [])

    def test_unsendable_header(self) -> None:
        """A header that has no form on the wire is that attempt's trouble, no error beyond it."""
        found = self.successResultOf(self.send(Target(URL, headers={"X": "\ud800"})))
        assert isinstance(found, Unreachable)
        self.assertTrue(found.reason.startswith("UnicodeEncodeError: "))

    def test_no_rendering(self) -> None:
        """A secret that can't be had is told, and nothing is sent."""
        client = self.client(lambda: fail(RenderingError("vault\nsealed")))
        self.assertEqual(
            self.successResultOf(client.send(a_delivery())), Unreachable("vault sealed")
        )
        self.assertEqual(self.receiver.sent, [])


class StaleConnectionTest(ClientTestCase):
    """A connection that is closed just when it is used again."""

    def test_once_more(self) -> None:
        """The same request is sent once more at once."""
        for trouble in (
            ResponseNeverReceived([LOST]),
            ResponseNeverReceived([DONE]),
            RequestTransmissionFailed([LOST]),
        ):
            self.receiver.sent.clear()
            sent = self.send()
            self.receiver.sent[0].answer.errback(trouble)
            first, second = self.receiver.sent
            self.assertEqual((first.headers, first.body), (second.headers, second.body))
            second.answer.callback(answer(200))
            self.assertEqual(self.successResultOf(sent), Accepted(200))

    def test_not_twice(self) -> None:
        """A second time it is trouble."""
        sent = self.send()
        for number in range(2):
            self.receiver.sent[number].answer.errback(ResponseNeverReceived([LOST]))
        words = "the connection was closed before an answer came"
        self.assertEqual(self.successResultOf(sent), Unreachable(words))
        self.assertEqual(len(self.receiver.sent), 2)

    def test_no_connection(self) -> None:
        """Nothing was sent where no connection came about, but for what was sent before it."""
        for repeated in (False, True):
            self.receiver.sent.clear()
            sent = self.send()
            if repeated:
                self.receiver.sent[0].answer.errback(ResponseNeverReceived([LOST]))
            self.receiver.sent[-1].answer.errback(error.ConnectionRefusedError())
            found = self.successResultOf(sent)
            self.assertEqual(found, Unreachable("connection refused"))
            self.assertEqual(getattr(found, "unsent", None), not repeated)

    def test_other_troubles(self) -> None:
        """Where a part of an answer came, or anything else happened, it is not sent again."""
        for trouble in (
            ResponseFailed([LOST]),
            error.ConnectionRefusedError(),
            ResponseNeverReceived([Failure(CancelledError())]),
        ):
            self.receiver.sent.clear()
            self.outcome(trouble)
            self.assertEqual(len(self.receiver.sent), 1)


class DeadlineTest(ClientTestCase):
    """The time that an attempt may take."""

    def test_no_answer(self) -> None:
        """Without an answer an attempt ends at its deadline, and gives up its request."""
        sent = self.send()
        self.clock.advance(29.9)
        self.assertNoResult(sent)
        self.clock.advance(0.1)
        found = self.successResultOf(sent)
        self.assertEqual(found, Unreachable("no answer within 30 s", 30.0))
        self.assertEqual(self.receiver.waiting(), [])

    def test_no_body(self) -> None:
        """With a status that came in time, it counts, though its body did not come."""
        sent = self.send()
        stalled = Answer(200, None, b"half", end=None)
        self.receiver.sent[0].answer.callback(stalled)
        self.clock.advance(29.9)
        self.assertNoResult(sent)
        self.clock.advance(0.1)
        self.assertEqual(self.successResultOf(sent), Accepted(200, 30.0))
        self.assertTrue(stalled.transport.disconnecting)

    def test_one_for_all(self) -> None:
        """Rendering, connecting, both tries, head and body share one deadline."""
        rendered: Deferred[Target] = Deferred()
        sent = self.client(lambda: rendered).send(a_delivery())
        self.clock.advance(10)
        rendered.callback(Target(URL))
        self.clock.advance(10)
        self.receiver.sent[0].answer.errback(ResponseNeverReceived([LOST]))
        self.clock.advance(9.9)
        self.assertNoResult(sent)
        self.clock.advance(0.1)
        self.successResultOf(sent)

    def test_endless_rendering(self) -> None:
        """A secret that never comes does not hold an attempt for ever."""
        sent = self.client(Deferred).send(a_delivery())
        self.clock.advance(30)
        self.assertEqual(self.successResultOf(sent), Unreachable("no answer within 30 s", 30.0))

    def test_no_timer_is_left(self) -> None:
        """When an attempt has ended, so has its deadline."""
        self.outcome(answer(200))
        self.outcome(RuntimeError())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cut_off(self) -> None:
        """An attempt that is cancelled ends at once, with an outcome, and gives up its request."""
        sent = self.send()
        sent.cancel()
        self.assertEqual(self.successResultOf(sent), Unreachable("the attempt was cut off"))
        self.assertEqual(self.receiver.waiting(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DebugTest(ClientTestCase):
    """``debug=True``."""

    SECRETS = frozenset({"s3cr/et"})

    def logged(self, target: Target, given: Answer | Exception, **delivery: Any) -> list[str]:
        """Return what is logged of an attempt that takes half a second."""
        client = self.client(lambda: succeed(target), debug=True)
        sent = client.send(a_delivery(**delivery))
        self.clock.advance(0.5)
        reply = self.receiver.sent[-1].answer
        reply.callback(given) if isinstance(given, Answer) else reply.errback(given)
        self.successResultOf(sent)
        return self.book.lines

    def test_off(self) -> None:
        """Without it nothing is logged of an attempt."""
        self.outcome(answer(200))
        self.assertEqual(self.book.lines, [])

    def test_lines(self) -> None:
        """Request and response are logged with all that matters."""
        target = Target("http://u:pw@receiver.test/submit?key=1", headers={"X-Own": "2"})
        lines = self.logged(target, answer(202, b"thanks", X_Id="9"), body=b'{"a": 1}')
        name = "POST http://receiver.test/submit?key=***"
        self.assertEqual(
            lines,
            [
                f"request {name} [User-Agent: buildbot-http-status-push/{__version__}, "
                "Content-Type: application/json, Webhook-Id: msg_1, Webhook-Timestamp: 1000, "
                "Buildbot-Event: builds.finished, X-Own: 2, Authorization: ***] "
                '8 bytes: {"a": 1}',
                f"response to {name}: 202 after 0.500 s [X-Id: 9]",
                f"response body of {name}: 6 bytes after 0.500 s: thanks",
            ],
        )

    def test_no_response(self) -> None:
        """Where none came, that is logged, too."""
        lines = self.logged(Target(URL), error.ConnectionRefusedError("s3cr/et"))
        self.assertTrue(
            lines[1].startswith(f"no response to POST {URL} after 0.500 s: ConnectionRefusedError")
        )

    def test_secrets(self) -> None:
        """No secret is logged, wherever it stands and however it is spelled."""
        target = Target(
            "http://receiver.test/hook/s3cr%2Fet/s3cr%2fet?token=other",
            auth=("user", "s3cr/et"),
            headers={"X-Route": "to s3cr/et", "Cookie": "a=b"},
            secrets=self.SECRETS,
        )
        given = answer(
            500, b'{"seen": "s3cr\\/et"} s3cr%2Fet', Set_Cookie="sid=1", X_Echo="s3cr/et"
        )
        text = "\n".join(self.logged(target, given, body=b'{"x": "s3cr/et"}'))
        for leak in ("s3cr", "other", "a=b", "sid=1", base64.b64encode(b"user:s3cr/et").decode()):
            self.assertNotIn(leak, text)
        self.assertIn("X-Route: to ***", text)
        self.assertIn("http://receiver.test/hook/***/***?token=***", text)
        self.assertIn('{"seen": "***"} ***', text)

    def test_excerpts(self) -> None:
        """Of each body 2 KiB are shown, and no half of a secret at the cut."""
        long = b"x" * 2045 + b"s3cr/et" + b"y" * 5000
        lines = self.logged(Target(URL, secrets=self.SECRETS), answer(200, long), body=long)
        for line in (lines[0], lines[2]):
            self.assertIn("7052 bytes", line)
            self.assertTrue(line.endswith(": " + "x" * 2045 + "***"), line[-40:])

    def test_braces(self) -> None:
        """Braces in bodies and headers are no fields of the log."""
        lines = self.logged(Target(URL, headers={"X": "{y}"}), answer(200, b"{z}"), body=b"{a!r}")
        self.assertIn("X: {y}", lines[0])
        self.assertTrue(lines[0].endswith(": {a!r}"))
        self.assertTrue(lines[2].endswith(": {z}"))

    def test_every_request(self) -> None:
        """A request that is sent once more is logged once more."""
        self.client(lambda: succeed(Target(URL)), debug=True).send(a_delivery())
        self.receiver.sent[0].answer.errback(ResponseNeverReceived([LOST]))
        self.assertEqual(
            [line.split(" ")[0] for line in self.book.lines], ["request", "no", "request"]
        )
