"""Which proxy is taken: what is written, and what curl would make of the environment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.wire import proxy_choice, urls
from buildbot_http_status_push.wire.proxy_choice import Proxy, find_proxy, from_environment
from buildbot_http_status_push.wire.urls import URLError

PROXY = Proxy("proxy.example.com", 3128)
URL = "http://proxy.example.com:3128"


class WrittenTest(SynchronousTestCase):
    """A proxy's URL."""

    def test_read(self) -> None:
        """Host, port and credentials are read; the port is curl's where none is named."""
        for text, found in (
            (URL, PROXY),
            (f"{URL}/", PROXY),
            (
                "http://me:p%40ss@proxy.example.com",
                Proxy("proxy.example.com", 1080, ("me", "p@ss")),
            ),
            ("http://[::1]:8080", Proxy("::1", 8080)),
        ):
            self.assertEqual(proxy_choice.parse(text), found)
        self.assertEqual((PROXY.address, Proxy("::1", 1).address), (URL[7:], "[::1]:1"))

    def test_authorization(self) -> None:
        """Credentials go out as Basic, and are secrets in each form; they are never shown."""
        known = Proxy("p", 1, ("Aladdin", "open sesame"))
        token = "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, 2
        self.assertEqual(known.authorization, f"Basic {token}")
        self.assertEqual(known.secrets, {"open sesame", token})
        self.assertNotIn("sesame", repr(known))
        self.assertEqual((PROXY.authorization, PROXY.secrets), (None, frozenset()))

    def test_faults(self) -> None:
        """What is no HTTP proxy is told."""
        for text, words in (
            ("https://proxy", "it does not begin with http://, and other kinds"),
            ("socks5://proxy", "it does not begin with http://"),
            ("proxy:3128", "it does not begin with http://"),
            ("http://proxy/path", "it has a path"),
            ("http://:3128", "it has no host"),
        ):
            with self.assertRaises(URLError) as refused:
                proxy_choice.parse(text)
            self.assertIn(words, str(refused.exception))

    def test_wanted(self) -> None:
        """None is no proxy, a URL is that one, and the environment counts only where wanted."""
        environment = {"https_proxy": URL}
        for wanted, found in ((None, None), ("http://other:1", Proxy("other", 1))):
            self.assertEqual(find_proxy(wanted, "https://a", environment), found)
        self.assertEqual(find_proxy("environment", "https://a", environment), PROXY)


class EnvironmentTest(SynchronousTestCase):
    """The variables."""

    def found(self, url: str, **environment: str) -> Proxy | None:
        """Return what the environment says."""
        return from_environment(urls.parse(url), environment)

    def test_variables(self) -> None:
        """The scheme's variable counts first, in lower case first; HTTP_PROXY never does."""
        one, other = "http://one:1", "http://other:2"
        for url, environment, host in (
            ("https://a", {"https_proxy": one, "HTTPS_PROXY": other, "all_proxy": other}, "one"),
            ("https://a", {"HTTPS_PROXY": one, "all_proxy": other}, "one"),
            ("https://a", {"all_proxy": one, "ALL_PROXY": other}, "one"),
            ("https://a", {"ALL_PROXY": one}, "one"),
            ("https://a", {"http_proxy": one}, None),
            ("http://a", {"http_proxy": one, "https_proxy": other}, "one"),
            ("http://a", {"HTTP_PROXY": one}, None),
            ("http://a", {"HTTP_PROXY": other, "all_proxy": one}, "one"),
            ("https://a", {"https_proxy": ""}, None),
            ("https://a", {"https_proxy": "", "all_proxy": one}, "one"),
            ("https://a", {"https_proxy": "one:1"}, "one"),
            ("https://a", {}, None),
        ):
            found = self.found(url, **environment)
            self.assertEqual(found.host if found else None, host, str((url, environment)))

    def test_no_proxy(self) -> None:
        """Hosts, domains, ports, addresses and networks are excepted as curl does it."""
        for url, entry, is_excepted in (
            ("https://status.example.com", "example.com", True),
            ("https://status.example.com", ".example.com", True),
            ("https://example.com", ".example.com", True),
            ("https://badexample.com", "example.com", False),
            ("https://STATUS.Example.com.", "status.EXAMPLE.com", True),
            ("https://status.example.com", "other.org, example.com", True),
            ("https://status.example.com", "other.org example.com", True),
            ("https://status.example.com", "*", True),
            ("https://status.example.com", "", False),
            ("https://status.example.com:8443", "example.com:8443", True),
            ("https://status.example.com", "example.com:443", True),
            ("https://status.example.com", "example.com:8443", False),
            ("http://10.1.2.3", "10.0.0.0/8", True),
            ("http://10.1.2.3", "10.1.2.3", True),
            ("http://11.1.2.3", "10.0.0.0/8", False),
            ("http://10.1.2.3:81", "10.1.2.3:80", False),
            ("http://[fd00::1]", "fd00::/8", True),
            ("http://[fd00::1]:81", "[fd00::1]:81", True),
            ("http://[fd00::1]", "10.0.0.0/8", False),
            ("http://10.1.2.3", "2.3", False),
        ):
            for name in ("no_proxy", "NO_PROXY"):
                found = self.found(url, all_proxy=URL, **{name: entry})
                self.assertEqual(found is None, is_excepted, f"{url} {entry}")
        found = self.found("https://a.b", all_proxy=URL, no_proxy="c.d", NO_PROXY="a.b")
        self.assertEqual(found, PROXY)

    @given(st.text(max_size=30))
    def test_any_exception(self, entry: str) -> None:
        """Nothing that stands there is a fault."""
        for url in ("https://a.b:1", "http://10.0.0.1", "http://[::1]:2"):
            self.assertIn(self.found(url, all_proxy=URL, no_proxy=entry), (None, PROXY))

    def test_fault(self) -> None:
        """A variable that can't be used is named, and not shown: it may have a password."""
        with self.assertRaises(URLError) as refused:
            self.found("https://a", https_proxy="socks5://me:hush@b")
        self.assertIn(
            "the environment's https_proxy can't be used, it does", str(refused.exception)
        )
        self.assertNotIn("hush", str(refused.exception))
