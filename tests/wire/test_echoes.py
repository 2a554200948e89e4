"""Receivers that quote the request in their answer: nothing secret is shown when it comes back."""

from __future__ import annotations

import base64
import gzip
import html
import json
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from requests.auth import HTTPDigestAuth
from support.digest import DigestServer, parameters
from support.fakes import LogBook, a_delivery
from support.memory import Answer, Receiver, Sent
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import Refused
from buildbot_http_status_push.wire.client import ANSWER_EXCERPT, Client
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Target

URL = "http://receiver.test/submit"
KEY = "whsec_" + base64.b64encode(b"\x01" * 24).decode()


def quotations(sent: Sent) -> list[str]:
    """Return what a receiver may quote of a request: each header, its parts, and the address."""
    found = [sent.uri.decode(), urlsplit(sent.uri.decode()).path]
    for name in ("Authorization", "webhook-signature", "Cookie", "X-Api-Key"):
        for value in sent.headers.getRawHeaders(name, []):
            found += [value, value.partition(" ")[2], value.partition(",")[2]]
            found += value.split()[1:]
            if value.startswith("Basic "):
                found.append(base64.b64decode(value[6:]).decode())
            if value.startswith("Digest "):
                found.append(parameters(value)["response"])
    return [each for each in found if each]


def spellings(text: str) -> list[str]:
    """Return the ways in which a receiver may write a text."""
    return [text, quote(text, safe=""), unquote(text), json.dumps(text), html.escape(text)]


class Echo:
    """Refuses everything, and quotes one thing of the request in one spelling.

    Args:
        which: The number of the quotation.
        challenge: What the first request is answered with.
    """

    def __init__(self, which: int, challenge: str | None = None) -> None:
        self.which = which
        self.challenge = challenge
        self.quoted: str | None = None

    def __call__(self, sent: Sent) -> Answer:
        """Answer a request."""
        if self.challenge and not sent.header("Authorization"):
            return Answer(401, self.challenge)
        every = [form for each in quotations(sent) for form in spellings(each)]
        self.quoted = every[self.which] if self.which < len(every) else None
        answer = Answer(403, None, f"bad: {self.quoted}".encode())
        answer.headers.setRawHeaders("X-Seen", [quote(self.quoted or "", safe=' /?=&,:"%+;')])
        return answer


class EchoTest(SynchronousTestCase):
    """What stays hidden."""

    def send(self, target: Target, rule: Any) -> tuple[str, str]:
        """Make an attempt, and return the excerpt of its answer, and what is logged of it."""
        book = LogBook()
        receiver = Receiver(rule)
        requester = Requester(Clock(), lambda _: receiver, lambda: succeed(target), True, book.log)
        outcome = self.successResultOf(Client(requester, 30.0).send(a_delivery()))
        assert isinstance(outcome, Refused)
        return outcome.answer, "\n".join(book.lines)

    def check(self, target: Target, *leaks: str, challenge: str | None = None) -> None:
        """See that no leak is shown, whatever of the request comes back, and however."""
        which = 0
        while (echo := Echo(which, challenge)) and which < 500:
            answer, log = self.send(target, echo)
            if echo.quoted is None:
                break
            for text in (answer, log):
                for leak in leaks:
                    self.assertNotIn(leak, text, echo.quoted)
                    self.assertNotIn(quote(leak, safe=""), text, echo.quoted)
            which += 1
        self.assertGreaterEqual(which, 10)

    def test_basic(self) -> None:
        """Neither the password of Basic authentication nor the base64 of it."""
        encoded = base64.b64encode(b"user:pa/ss+?>").decode()
        for target in (
            Target(URL, ("user", "pa/ss+?>"), secrets=frozenset({"pa/ss+?>"})),
            Target("http://user:pa%2Fss+%3F%3E@receiver.test/submit"),
            Target(URL, headers={"Authorization": f"Basic {encoded}"}),
        ):
            self.check(target, encoded, "pa/ss", "pa%2Fss")

    def test_digest(self) -> None:
        """The response of Digest authentication, which stands for the password."""
        seen = set[str]()

        def note(sent: Sent) -> Answer:
            if authorization := sent.header("Authorization"):
                seen.add(parameters(authorization)["response"])
                words = f"{authorization} {parameters(authorization)['response']}"
                return Answer(403, None, words.encode())
            return Answer(401, DigestServer().challenge())

        answer, log = self.send(Target(URL, HTTPDigestAuth("Mufasa", "Circle of Life")), note)
        self.assertEqual(len(seen), 1)
        for response in seen:
            self.assertNotIn(response, answer)
            self.assertNotIn(response, log)
        self.assertEqual(answer, "*** ***")

    def test_other_schemes(self) -> None:
        """Tokens, and what a callable of the user's own makes of what only it knows."""

        def sign(request: Any) -> Any:
            request.headers["Authorization"] = 'Own id="me", Signature="c2lnbmVk/A=="'
            return request

        self.check(Target(URL, sign), "c2lnbmVk/A==")
        self.check(Target(URL, headers={"Authorization": "Bearer t0ken.abc"}), "t0ken.abc")
        self.check(Target(URL, headers={"Cookie": "sid=c00kie; a=b"}), "c00kie")
        self.check(Target(URL, headers={"X-Api-Key": "k3y-of-mine"}), "k3y-of-mine")

    def test_signatures(self) -> None:
        """Signatures, with which a status could be sent again."""
        signatures = set[str]()

        def echo(sent: Sent) -> Answer:
            value = sent.header("webhook-signature") or ""
            signatures.update(each.partition(",")[2] for each in value.split())
            return Answer(401, None, value.encode())

        answer, log = self.send(Target(URL, signing_keys=(KEY, "other")), echo)
        self.assertEqual(len(signatures), 2)
        for signature in signatures:
            self.assertNotIn(signature, answer + log)

    def test_secret_addresses(self) -> None:
        """An address that is secret in whole or in part, written as in the request or decoded."""
        for url, secret in (
            (
                "http://receiver.test/services/T0K3N-0fMine",
                "http://receiver.test/services/T0K3N-0fMine",
            ),
            ("http://receiver.test/in/T0K3N-0fMine/x", "T0K3N-0fMine"),
            ("http://receiver.test/a%2Fb?k=T0K3N-0fMine", "a%2Fb?k=T0K3N-0fMine"),
            ("http://receiver.test/%54T0K3N%2D0fMine", "%54T0K3N%2D0fMine"),
            ("http://u@receiver.test/T0K3N-0fMine", "http://u@receiver.test/T0K3N-0fMine"),
        ):
            self.check(Target(url, secrets=frozenset({secret})), "T0K3N")

    def test_what_is_no_secret(self) -> None:
        """The host and the words of an answer can still be read."""
        url = "http://receiver.test/services/T0K3N-0fMine"
        words = b"receiver.test: the submit form of user is closed"
        target = Target(url, ("user", "s3cret"), secrets=frozenset({url, "s3cret"}))
        answer, _ = self.send(target, lambda _: Answer(403, None, words))
        self.assertEqual(answer, words.decode())

    def test_other_bodies(self) -> None:
        """The log of debug=True shows a compressed body, and one in another charset, masked."""
        quoted = "Basic " + base64.b64encode(b"user:s3cret").decode()

        def compressed(_: Sent) -> Answer:
            answer = Answer(403, None, gzip.compress(f"bad: {quoted}".encode()))
            answer.headers.setRawHeaders("Content-Encoding", ["gzip"])
            return answer

        def wide(_: Sent) -> Answer:
            answer = Answer(403, None, f"bad: {quoted}".encode("utf-16"))
            answer.headers.setRawHeaders("Content-Type", ["text/plain; charset=utf-16"])
            return answer

        for rule in (compressed, wide):
            answer, log = self.send(Target(URL, ("user", "s3cret")), rule)
            self.assertEqual(answer, "bad: ***")
            self.assertTrue(log.endswith(": bad: ***"), log[-80:])

    def test_cut(self) -> None:
        """Half of what was sent is not shown at the end of the excerpt."""
        encoded = base64.b64encode(b"user:a password of some length").decode()
        words = "x" * (ANSWER_EXCERPT - 20) + encoded
        answer, _ = self.send(
            Target(URL, ("user", "a password of some length")),
            lambda _: Answer(403, None, words.encode()),
        )
        self.assertEqual(answer, "x" * (ANSWER_EXCERPT - 20) + "***")
