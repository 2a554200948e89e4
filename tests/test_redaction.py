"""What is hidden before a text reaches a log."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.redaction import Mask, mask_url, one_line


def lower_case_escapes(text: str) -> str:
    """Percent-encode as some servers do, with hexadecimal digits in lower case."""
    return "".join(each if each.isalnum() else quote(each, safe="").lower() for each in text)


SPELLINGS = (
    str,
    quote,
    lambda text: quote(text, safe=""),
    quote_plus,
    lower_case_escapes,
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    lambda text: "".join(f"\\u{ord(each):04X}" if ord(each) < 0x10000 else each for each in text),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#039;"),
)
# What hides a secret would be mistaken for a part of one with a star in it.
characters = st.characters(exclude_characters="*", exclude_categories=["Cs"])
secrets = st.text(characters, min_size=1).filter(lambda text: text.strip())
tricky = st.text("%25&amp;+ /\\\"'<>=?#ä😀u0\n", min_size=1).filter(lambda text: text.strip())
surroundings = st.text(characters)


class MaskTest(SynchronousTestCase):
    """Secrets in texts."""

    @given(secrets | tricky, st.sampled_from(SPELLINGS), surroundings, surroundings)
    def test_every_spelling(self, secret: str, spell: object, before: str, after: str) -> None:
        """A secret does not survive, as it is or as URLs, JSON and HTML write it."""
        assert callable(spell)
        spelled = spell(secret.strip())
        self.assertNotIn(spelled, Mask([secret]).text(f"{before}{spelled}{after}"))

    @given(st.lists(secrets | tricky, min_size=1, max_size=4), surroundings)
    def test_several(self, known: list[str], text: str) -> None:
        """None of several secrets survives, though one be a part of another."""
        whole = text.join(known)
        hidden = Mask(known).text(whole)
        for secret in known:
            self.assertNotIn(secret.strip(), hidden)

    @given(surroundings, st.lists(st.sampled_from(["", " ", "\n\t"])))
    def test_no_secrets(self, text: str, blank: list[str]) -> None:
        """Without secrets, or with blank ones only, a text stays as it is."""
        self.assertEqual(Mask(blank).text(text), text)

    def test_known_spellings(self) -> None:
        """The forms of a secret with all that is special in it are told, and nothing is left."""
        for spelled in (
            "a /&'\"ä😀&",
            "a+/&'\"ä😀&",
            "a+%2F%26%27%22%C3%A4%F0%9F%98%80%26",
            "a%20%2f&'%22%c3%a4%f0%9f%98%80&",
            "a \\/&'\\\"ä😀&",
            "a /\\u0026'\\\"\\u00e4\\ud83d\\ude00\\u0026",
            "a /\\u0026\\u0027\\u0022\\u00E4\\uD83D\\uDE00\\u0026",
            "a /&amp;&#x27;&quot;ä😀&amp;",
            "a /&amp;&#039;&#34;&#228;&#x1F600;&amp;",
        ):
            self.assertEqual(Mask(["a /&'\"ä😀&"]).text(f"<{spelled}>"), "<***>", spelled)

    def test_longest_first(self) -> None:
        """Of a secret that contains another one nothing is left over."""
        self.assertEqual(Mask(["abc", "abcdef", "b"]).text("abcdef abc b c"), "*** *** *** c")

    def test_headers(self) -> None:
        """Sensitive headers are hidden by name, secrets in others by value, in one line."""
        shown = Mask(["s3cret"]).headers(
            [
                ("Authorization", "Basic dXNlcjpwYXNz"),
                ("Proxy-Authorization", "Basic dXNlcjpwYXNz"),
                ("cookie", "session=1"),
                ("Set-Cookie", "session=1"),
                ("webhook-signature", "v1,abc"),
                ("X-Hub-Signature-256", "sha256=abc"),
                ("X-Api-Key", "static"),
                ("X-Gitlab-Token", "static"),
                ("Content-Type", "application/json"),
                ("X-Route", "to/s3cret/there"),
                ("Location", "https://user:pw@host/s3cret?code=1#x"),
            ]
        )
        self.assertEqual(
            shown,
            "Authorization: ***, Proxy-Authorization: ***, cookie: ***, Set-Cookie: ***, "
            "webhook-signature: ***, X-Hub-Signature-256: ***, X-Api-Key: ***, "
            "X-Gitlab-Token: ***, Content-Type: application/json, X-Route: to/***/there, "
            "Location: https://***@host/***?code=***#***",
        )

    def test_url(self) -> None:
        """In a URL secrets are hidden before its parts are, however they cut into each other."""
        mask = Mask(["path?with=query", "s3/cret"])
        self.assertEqual(mask.url("http://h/path?with=query"), "http://h/***")
        self.assertEqual(mask.url("http://h/s3%2Fcret/x?a=b"), "http://h/***/x?a=***")


class URLTest(SynchronousTestCase):
    """URLs whose secrets nobody has named."""

    def test_parts(self) -> None:
        """User info, the query's values and the fragment are hidden, all else stays."""
        for url, shown in (
            ("http://host/path/", "http://host/path/"),
            ("http://u:p@host:80/a@b", "http://***@host:80/a@b"),
            ("http://token@host", "http://***@host"),
            ("http://u:p@ss@host/", "http://***@host/"),
            ("http://h/?a=1&b=&c&=d#e", "http://h/?a=***&b=&***&=***#***"),
            ("http://h/?T0KEN", "http://h/?***"),
            ("http://h/?", "http://h/?"),
            ("http://h/#a?b", "http://h/#***"),
            ("http://h/a=b&c=d", "http://h/a=b&c=d"),
            ("postgresql://u:p@host/db?sslmode=require", "postgresql://***@host/db?sslmode=***"),
        ):
            self.assertEqual(mask_url(url), shown)

    @given(st.text(st.characters(exclude_characters="*/?#"), min_size=1))
    def test_user_info(self, user_info: str) -> None:
        """Whatever the user info is, it is hidden in full."""
        self.assertEqual(mask_url(f"https://{user_info}@host/p"), "https://***@host/p")


class OneLineTest(SynchronousTestCase):
    """Texts fit for a log line and for every database."""

    def test_words(self) -> None:
        """Line breaks, tabs and control characters become single spaces."""
        self.assertEqual(one_line(" a\r\n\tb\x00\x1b[31mc\x85d\u2028e\u200f "), "a b [31mc d e")

    @given(st.text(st.characters()))
    def test_any_text(self, text: str) -> None:
        """The result is printable, has no blanks beside each other, and is storable."""
        line = one_line(text)
        self.assertTrue(line.isprintable())
        self.assertNotIn("  ", line)
        line.encode("utf-8")
