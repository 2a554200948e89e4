"""What a user may write, and what checkconfig says about the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from requests.auth import HTTPDigestAuth
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI

from buildbot_http_status_push.configuration.options import (
    OPTION_NAMES,
    OptionError,
    Options,
    check_headers,
    check_signing_keys,
    check_url,
    faults,
    read,
)
from buildbot_http_status_push.wire import urls

URL = "https://status.example.com/submit"
RIGHT_URL = f"write an http or https URL such as {URL!r}"
DIGEST = HTTPDigestAuth("u", "p")


class Renderable:
    """Stands for what is only known when the master runs."""


def told(**given: Any) -> list[str]:
    """Return the faults of options, a good URL among them unless another one is given."""
    known = ("name", "generators", "wantProperties")
    return list(faults({"serverUrl": URL, **given}, known, lambda it: isinstance(it, Renderable)))


class NamesTest(SynchronousTestCase):
    """Names of options."""

    def test_all_right(self) -> None:
        """The documented options, renderables among them, have no faults."""
        self.assertEqual(
            told(
                auth=("user", Renderable()),
                headers={"X-Token": Renderable(), "X-Plain": "1"},
                debug=True,
                verify="/etc/ssl/ca.pem",
                cert=("/etc/ssl/client.pem", "/etc/ssl/client.key"),
                skipEncoding=True,
                timeout=2.5,
                concurrency=1,
                outbox="sqlite:///file",
                give_up_after=timedelta(days=1),
                name="push",
            ),
            [],
        )
        self.assertEqual(told(serverUrl=Renderable(), auth=Renderable(), headers=Renderable()), [])

    def test_misspelled(self) -> None:
        """A misspelled option names the nearest right one, the caller's names included."""
        for name, right in (
            ("severUrl", "serverUrl"),
            ("server_url", "serverUrl"),
            ("header", "headers"),
            ("skipEncodign", "skipEncoding"),
            ("giveup_after", "give_up_after"),
            ("wantProperty", "wantProperties"),
        ):
            self.assertEqual(
                told(**{name: 1}), [f"unknown option '{name}': did you mean '{right}'?"]
            )

    def test_unknown(self) -> None:
        """A name that is like none gets the whole list."""
        names = ", ".join((*OPTION_NAMES, "skip_encoding", "name", "generators", "wantProperties"))
        self.assertEqual(told(zzz=1), [f"unknown option 'zzz': known are {names}"])

    def test_all_at_once(self) -> None:
        """Every fault is told, not only the first."""
        found = told(serverUrl=None, headers=[], timeout=0, concurrency=0, outbox=1, verfy=1)
        self.assertEqual(len(found), 6)


class ServerURLTest(SynchronousTestCase):
    """``serverUrl``."""

    def fault(self, url: object) -> str:
        """Return the only fault of a URL, and see that rendering says the same."""
        [found] = told(serverUrl=url)
        with self.assertRaises(OptionError) as caught:
            check_url(url)
        self.assertEqual(str(caught.exception), found)
        return found

    def test_missing(self) -> None:
        """It can't be left out."""
        self.assertEqual(
            list(faults({}, (), lambda _: False)),
            [f"serverUrl is missing: write serverUrl={URL!r}"],
        )

    def test_good_ones(self) -> None:
        """What can be posted to passes as it is."""
        for url in (
            "http://localhost:8080",
            "HTTP://Host/",
            "https://host/trailing/?query=1&more",
            "http://[::1]:8080/x",
            "http://bücher.example/ä",
            "http://user:p@ss%40word@host/",
            "http://host./%2f/../x;y=z#fragment",
            "http://qa--site.example/",
            "http://r3---sn.example/",
            "http://status_receiver:8080/",
            "http://-a-.xn--zz/",
        ):
            self.assertEqual(told(serverUrl=url), [], url)
            self.assertEqual(check_url(url), url)

    def test_bad_ones(self) -> None:
        """Each fault has its own words."""
        unread = "its host or port can't be read (in user info, write / ? # as %2F %3F %23)"
        space = "it has a space, a control character or half a surrogate pair in it"
        no_name = "is no host name or IP address (letters, digits, - _ .)"
        zone = "its host '[fe80::1%25eth0]' has a zone, which nothing can be sent to"
        empty = (
            "it has an empty part that would not be sent as written: "
            "leave out a '?' or ';' with nothing behind it, or a second '/' behind the host"
        )
        for url, why in (
            ("", "it does not begin with http:// or https://"),
            ("ftp://host/", "it does not begin with http:// or https://"),
            ("host/submit", "it does not begin with http:// or https://"),
            ("http:/host", "it does not begin with http:// or https://"),
            ("http://", "it has no host"),
            ("https:///path", "it has no host"),
            ("http://:80/", "it has no host"),
            (" http://host/", space),
            ("http://host/a b", space),
            ("http://host/\n", space),
            ("http://host/\x00", space),
            ("http://host/\ud800", space),
            ("http://host:/", unread),
            ("http://host:8o/", unread),
            ("http://host:٨٠/", unread),
            ("http://host:80:80/", unread),
            ("http://[::1]x/", unread),
            ("http://[::1/", unread),
            ("http://[fe80::1%25eth0]/", zone),
            ("http://host:0/", "its port 0 is not from 1 to 65535"),
            ("http://host:65536/", "its port 65536 is not from 1 to 65535"),
            ("http://[foo]/", "its host '[foo]' is no IPv6 address"),
            ("http://a..b/", f"its host 'a..b' {no_name}"),
            ("http://h%6fst/", f"its host 'h%6fst' {no_name}"),
            ("http://host\\path", f"its host 'host\\\\path' {no_name}"),
            (f"http://{'a' * 64}/", f"its host {'a' * 64!r} {no_name}"),
            (f"http://{'a.' * 127}a/", f"its host {'a.' * 127 + 'a'!r} {no_name}"),
            (
                "http://☃.example/",
                "its host '☃.example' is no international host name (RFC 5891)",
            ),
            ("http://host/path?", empty),
            ("http://host/path;", empty),
        ):
            self.assertEqual(self.fault(url), f"serverUrl is {url!r}, {why}: {RIGHT_URL}")

    def test_other_types(self) -> None:
        """What is no text is told by its type."""
        self.assertEqual(self.fault(b"http://host/"), f"serverUrl is a bytes: {RIGHT_URL}")
        self.assertEqual(self.fault(["x"]), f"serverUrl is a list: {RIGHT_URL}")

    def test_masked(self) -> None:
        """A faulty URL is shown without its user info and its query's values."""
        for url in (
            "ftp://user:s3cret@host/?t=s3cret",
            "http://user:s3cret@host:0/?s3cret",
            "http://user:s3/s3cret@host/",
            "http://user:s3#s3cret@host:x/",
            "http://user:s3cret℀@host:x/",
            "http://user:s3cret@host/a b",
        ):
            found = self.fault(url)
            self.assertNotIn("s3", found)
            self.assertIn("***@host", found)

    def test_user_info(self) -> None:
        """User info that Basic authentication has no room for is told."""
        self.assertEqual(
            self.fault("http://us%3Aer:pw@host/"),
            "serverUrl is 'http://***@host/', its user info can't be sent: auth has a colon in "
            "its user: RFC 7617 takes what follows for the password",
        )
        self.assertIn("auth has a control character", self.fault("http://user:p%0Aw@host/"))


class ReadURLTest(SynchronousTestCase):
    """How a URL is read: what passes checkconfig is what goes on the wire."""

    def test_wire(self) -> None:
        """All stays as written but user info, fragment and what is not ASCII."""
        for written, wire in (
            ("http://h", "http://h/"),
            ("http://h?a=b", "http://h/?a=b"),
            ("http://h/#f", "http://h/"),
            ("https://h:444/a/../b/./%7e%2F/?q=%zz&r", "https://h:444/a/../b/./%7e%2F/?q=%zz&r"),
            ("http://u:p@[::1]:1/", "http://[::1]:1/"),
            ("http://h/[x]|^`{}\"'<>\\!~", "http://h/[x]|^`{}\"'<>\\!~"),
            ("http://bücher.example/ä?ö", "http://xn--bcher-kva.example/%C3%A4?%C3%B6"),
        ):
            self.assertEqual(urls.parse(written).wire, wire)

    def test_credentials(self) -> None:
        """User info is percent-decoded; its first colon ends the user, its last @ all of it."""
        for user_info, credentials in (
            ("user:pass", ("user", "pass")),
            ("user", ("user", "")),
            ("user:p@s:s", ("user", "p@s:s")),
            ("us%40er:p%25", ("us@er", "p%")),
            ("user:100%", ("user", "100%")),
            ("", None),
        ):
            self.assertEqual(urls.parse(f"http://{user_info}@h/").credentials, credentials)
        self.assertIsNone(urls.parse("http://h/@").credentials)

    def test_password_is_not_shown(self) -> None:
        """A URL's representation has no user info in it."""
        self.assertNotIn("s3cret", repr(urls.parse("http://user:s3cret@h/")))

    @given(
        st.sampled_from(["h", "h:1", "u@h", "u:p@h", "[::1]", "[::1]:9", "ä.example", "a@b@h:2"]),
        st.text(st.characters(min_codepoint=0x21, exclude_categories=["Cs"])),
    )
    def test_agreement(self, authority: str, rest: str) -> None:
        """A URL that passes is taken apart by Twisted's agent into the same parts."""
        try:
            url = urls.parse(f"http://{authority}/{rest}")
        except urls.URLError:
            return
        uri = URI.fromBytes(url.wire.encode("ascii"))
        self.assertEqual(uri.host.decode(), url.host)
        self.assertEqual(uri.port, url.port or 80)
        self.assertEqual(uri.originForm.decode(), url.target)


class HeadersTest(SynchronousTestCase):
    """``headers``."""

    def test_other_types(self) -> None:
        """What is no dict is told by its type."""
        self.assertEqual(
            told(headers=[("X", "1")]),
            [
                "headers is a list: write a dict of names and values, such as "
                "headers={'X-Token': util.Secret('token')}"
            ],
        )

    def test_names(self) -> None:
        """Names are RFC 9110's tokens."""
        allowed = "RFC 9110 allows letters, digits and !#$%&'*+-.^_`|~"
        for name in ("", "X Y", "X:", "X\n", "\nX", "Ä", "X\x00", 5, b"X"):
            expected = f"headers has the name {name!r}: {allowed}"
            self.assertEqual(told(headers={name: "1"}), [expected])
        self.assertEqual(told(headers={"!#$%&'*+-.^_`|~aZ09": "1"}), [])

    def test_own_names(self) -> None:
        """Headers that frame the message or name the delivery can't be set, in any case."""
        for name in ("Content-Length", "HOST", "transfer-encoding", "Webhook-Id", "Connection"):
            expected = (
                f"headers has the name {name!r}, which is set for every request: leave it out"
            )
            self.assertEqual(told(headers={name: "1"}), [expected])

    def test_names_twice(self) -> None:
        """A name in two spellings is told, since only one of the values would be sent."""
        self.assertEqual(
            told(headers={"X-A": "1", "X-B": "2", "x-a": "3"}),
            ["headers has the names 'X-A' and 'x-a', which are one header: write one of them"],
        )

    def test_values(self) -> None:
        """Values are texts without control characters."""
        for value in ("a\r\nX: y", "a\rb", "\x00", "\x1b[0m", "\x7f", "\ud800"):
            expected = (
                "headers['X'] holds a line break or a control character: RFC 9110 allows none"
            )
            self.assertEqual(told(headers={"X": value}), [expected])
        expected = "headers['X'] ends in a line break: take it out of the text or secret"
        for value in ("a\n", "a\r\n"):
            self.assertEqual(told(headers={"X": value}), [expected])
        for other in (5, None, b"x", ["x"]):
            expected = f"headers['X'] is a {type(other).__name__}: write a text or a renderable"
            self.assertEqual(told(headers={"X": other}), [expected])
        for value in ("", "a\tb", "ä", "a: b; c=d"):
            self.assertEqual(told(headers={"X": value}), [])

    def test_rendered(self) -> None:
        """Rendered headers are judged alike; a value that stands for a secret is not shown."""
        self.assertEqual(check_headers(None), {})
        self.assertEqual(check_headers({"X": "1"}), {"X": "1"})
        for value in ({"X": "s3cret\r\nEvil: 1"}, {"X": Renderable()}, ["X"]):
            with self.assertRaises(OptionError) as caught:
                check_headers(value)
            self.assertNotIn("s3cret", str(caught.exception))


class OtherOptionsTest(SynchronousTestCase):
    """The rest."""

    def test_auth(self) -> None:
        """Authentication of no known kind is told."""
        [found] = told(auth="user:password")
        self.assertTrue(found.startswith("auth is a str: write None, a pair (user, password)"))

    def test_signing_secret(self) -> None:
        """It is one key or several, whose faults are told without showing a key."""
        right = "write a key such as 'whsec_' and 24 to 64 bytes in base64, or util.Secret('key')"
        for value, fault in (
            (5, f"signing_secret is a int: {right}"),
            (b"key", f"signing_secret is a bytes: {right}"),
            ([], "signing_secret is an empty list: write a key, or leave it out"),
            ("", f"signing_secret is *** (a signing key must not be empty): {right}"),
            (
                ["fine", "whsec_s3cret!"],
                "signing_secret is *** (a signing key's part after whsec_ must be base64): "
                + right,
            ),
        ):
            self.assertEqual(told(signing_secret=value), [fault])
            with self.assertRaises(OptionError) as caught:
                check_signing_keys(value)
            self.assertEqual(str(caught.exception), fault)
        self.assertEqual(told(signing_secret=[Renderable(), "plain"]), [])

    def test_signing_keys(self) -> None:
        """One key or several become a tuple of keys."""
        self.assertEqual(check_signing_keys(None), ())
        self.assertEqual(check_signing_keys("key"), ("key",))
        self.assertEqual(check_signing_keys(["old", "new"]), ("old", "new"))

    def test_tls(self) -> None:
        """Verify and cert are judged by the room that uses them."""
        self.assertEqual([fault.split()[0] for fault in told(verify=5, cert=5)], ["verify", "cert"])

    def test_credentials_twice(self) -> None:
        """Credentials in two places are told, since only one of them would be sent."""
        header = {"authorization": "Bearer x"}
        pair, with_user = ("u", "p"), "https://u:p@host/"

        def function(request: object) -> object:
            return request

        for places, options in (
            ("auth and in the header Authorization", {"auth": pair, "headers": header}),
            ("auth and in the header Authorization", {"auth": DIGEST, "headers": header}),
            ("auth and in the user info of serverUrl", {"auth": pair, "serverUrl": with_user}),
            ("auth and in the user info of serverUrl", {"auth": function, "serverUrl": with_user}),
            (
                "the header Authorization and in the user info of serverUrl",
                {"headers": header, "serverUrl": with_user},
            ),
        ):
            expected = f"credentials are in {places}: write them in one place"
            self.assertEqual(told(**options), [expected])
        for fine in (
            {"auth": function, "headers": header},
            {"auth": Renderable(), "headers": header},
            {"auth": pair, "headers": {"X-Authorization": "x"}},
        ):
            self.assertEqual(told(**fine), [])

    def test_skip_encoding(self) -> None:
        """Its two spellings may not say different things."""
        self.assertEqual(
            told(skipEncoding=True, skip_encoding=False),
            [
                "skipEncoding is True and skip_encoding is False: "
                "they mean the same, write one of them"
            ],
        )
        self.assertEqual(told(skipEncoding=True, skip_encoding=1), [])
        self.assertEqual(told(skip_encoding=True), [])

    def test_timeout(self) -> None:
        """It is a number of seconds, above zero and up to a day."""
        for value in (0, -1, float("nan"), float("inf"), 86401, "30", True, [30], 10**400):
            expected = f"timeout is {value!r}: write seconds up to a day, such as timeout=30"
            self.assertEqual(told(timeout=value), [expected])
        for value in (0.1, 30, 86400):
            self.assertEqual(told(timeout=value), [])

    def test_concurrency(self) -> None:
        """It is a whole number from 1 on."""
        for value in (0, -1, 1.5, "10", True, [1]):
            expected = f"concurrency is {value!r}: write a whole number from 1 on"
            self.assertEqual(told(concurrency=value), [expected])
        self.assertEqual(told(concurrency=1), [])

    def test_proxy(self) -> None:
        """It is an HTTP proxy's URL or the word for the environment; a password is not shown."""
        right = "write 'http://user:password@proxy.example.com:3128', or 'environment'"
        for value, words in (
            (True, "proxy is a bool"),
            ("Environment", "proxy is 'Environment', it does not begin with http:// or https://"),
            (
                "https://me:hush@proxy",
                "proxy is 'https://***@proxy', it does not begin with http://, and other kinds of "
                "proxies are not known",
            ),
            (
                "http://me:hu@sh@proxy/x",
                "proxy is 'http://***@proxy/x', it has a path, and a proxy has none",
            ),
        ):
            self.assertEqual(told(proxy=value), [f"{words}: {right}"])
        for value in (None, "environment", "http://proxy:3128", "http://me:pw@[::1]", Renderable()):
            self.assertEqual(told(proxy=value), [])

    def test_give_up_after(self) -> None:
        """It is a time above zero, in seconds or a timedelta; endless is a time, too."""
        for value in ("7d", True, [7]):
            expected = f"give_up_after is {value!r}: write seconds or timedelta(days=7)"
            self.assertEqual(told(give_up_after=value), [expected])
        for none in (0, -5.0, timedelta(0), timedelta(days=-1), float("nan")):
            expected = f"give_up_after is {none!r}: write a time longer than zero"
            self.assertEqual(told(give_up_after=none), [expected])
        for some in (1, 0.5, timedelta(seconds=1), float("inf")):
            self.assertEqual(told(give_up_after=some), [])

    def test_outbox(self) -> None:
        """It is None, False or a URL of a database that is known; passwords are not shown."""
        right = (
            "write None for a file in the master's directory, False for memory only, or a "
            "SQLAlchemy URL (sqlite:///file or postgresql://user@host/database)"
        )
        for value, shown in (
            (True, "True"),
            (5, "5"),
            ("", "''"),
            ("outbox.sqlite", "'outbox.sqlite'"),
            ("mysql://u:s3cret@h/d?x=s3cret", "'mysql://***@h/d?x=***'"),
        ):
            self.assertEqual(told(outbox=value), [f"outbox is {shown}: {right}"])
        for good in (
            False,
            "sqlite://",
            "sqlite:////tmp/x.sqlite",
            "postgresql+psycopg2://u@h/d",
            Renderable(),
        ):
            self.assertEqual(told(outbox=good), [])


class ReadTest(SynchronousTestCase):
    """The frozen value."""

    def test_defaults(self) -> None:
        """What is left out has its documented default."""
        options = read({"serverUrl": URL})
        self.assertEqual(options, Options(serverUrl=URL))
        self.assertEqual((options.timeout, options.concurrency), (30.0, 10))
        self.assertEqual(options.give_up_after, 7 * 86400)
        self.assertIs(options.outbox, None)
        self.assertEqual((options.debug, options.skipEncoding), (False, False))

    def test_other_forms(self) -> None:
        """A timedelta becomes seconds, truth becomes a bool, and skip_encoding its first name."""
        options = read(
            {"serverUrl": URL, "skip_encoding": 1, "debug": 1, "give_up_after": timedelta(hours=1)}
        )
        self.assertIs(options.skipEncoding, True)
        self.assertIs(options.debug, True)
        self.assertEqual(options.give_up_after, 3600.0)

    def test_value(self) -> None:
        """Options compare by value, so that a reconfiguration without changes is one."""
        given = {"serverUrl": URL, "auth": ("u", "p"), "headers": {"X": "1"}}
        same = {"serverUrl": URL, "auth": ("u", "p"), "headers": {"X": "1"}}
        self.assertEqual(read(given), read(same))
        self.assertNotEqual(read(given), read({**same, "timeout": 31}))
        with self.assertRaises(AttributeError):
            read(given).timeout = 5.0  # type: ignore[misc]  # that it can't be set is the point
