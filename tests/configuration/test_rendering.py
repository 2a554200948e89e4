"""Secrets and other renderables put in place, with Buildbot's own properties."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

from buildbot.config.master import MasterConfig
from buildbot.plugins import util
from buildbot.secrets.manager import SecretManager
from buildbot.secrets.providers.file import SecretInAFile
from buildbot.secrets.secret import SecretDetails
from requests.auth import HTTPBasicAuth
from support.fakes import LogBook, a_delivery
from support.memory import Receiver, always_ok
from twisted.internet.defer import Deferred, FirstError, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.configuration.options import Options
from buildbot_http_status_push.configuration.placement import place
from buildbot_http_status_push.configuration.rendering import Renderer, is_renderable, render
from buildbot_http_status_push.model import Accepted, Unreachable
from buildbot_http_status_push.wire import urls
from buildbot_http_status_push.wire.client import Client
from buildbot_http_status_push.wire.proxy_choice import Proxy
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import RenderingError, Target

URL = "https://receiver.test/submit"


class Vault:
    """Keeps secrets, like Buildbot's secret manager with one provider."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.asked: list[str] = []

    def get(self, name: str) -> Deferred[SecretDetails | None]:
        """Return a secret, or do what stands in its place."""
        self.asked.append(name)
        value = self.values.get(name)
        if callable(value):
            value = value()
        if isinstance(value, Deferred):
            return value
        return succeed(None if value is None else SecretDetails("Vault", name, value))


class Master:
    """As much of a master as rendering needs."""

    def __init__(self, vault: Vault | None) -> None:
        self.namedServices: dict[str, Any] = {} if vault is None else {"secrets": vault}
        self.reactor = Clock()


def sealed() -> str:
    """Fail as a provider does."""
    raise OSError("the vault is sealed")


class RenderingTestCase(SynchronousTestCase):
    """A test case with a vault."""

    def setUp(self) -> None:
        """Begin."""
        self.vault = Vault(token="s3cret", user="me", path="h00k/x", bad="a\r\nEvil: 1")
        self.vault.values["sealed"] = sealed
        self.master = Master(self.vault)
        self.book = LogBook()

    def renderer(self, serverUrl: object = URL, **options: Any) -> Renderer:
        """Return what renders such options."""
        made = Options(serverUrl=serverUrl, **options)
        return Renderer(self.master, made, "push", self.book.log)

    def target(self, *args: Any, **options: Any) -> Target:
        """Return the target of such options."""
        return self.successResultOf(self.renderer(*args, **options)())

    def trouble(self, *args: Any, **options: Any) -> str:
        """Return why such options have no target."""
        failure = self.failureResultOf(self.renderer(*args, **options)(), RenderingError)
        return str(failure.value)


class TargetTest(RenderingTestCase):
    """What comes of options."""

    def test_plain(self) -> None:
        """Plain values are as they were, and hold no secret but a password."""
        self.assertEqual(self.target(), Target(URL))
        found = self.target(auth=("user", "pw"), headers={"X": "1"})
        expected = Target(URL, ("user", "pw"), {"X": "1"}, frozenset({"pw"}))
        self.assertEqual(found, expected)
        self.assertEqual(self.target(auth=["user", b"pw"]).secrets, {"pw"})

    def test_proxy(self) -> None:
        """A proxy is found anew for each attempt, and what it is told with stays secret."""
        found = self.target(proxy=util.Interpolate("http://me:%(secret:token)s@proxy:3128"))
        self.assertEqual(found.proxy, Proxy("proxy", 3128, ("me", "s3cret")))
        self.assertEqual(found.secrets, {"s3cret", "bWU6czNjcmV0"})
        self.assertIsNone(self.target().proxy)
        self.vault.values["kind"] = "socks5"
        trouble = self.trouble(
            proxy=util.Interpolate("%(secret:kind)s://me:%(secret:token)s@proxy")
        )
        self.assertIn("it does not begin with http://", trouble)
        self.assertNotIn("s3cret", trouble)

    def test_proxy_of_the_environment(self) -> None:
        """The environment names one only where that is asked for."""
        scheme = urls.parse(URL).scheme
        with patch.dict(os.environ, {f"{scheme}_proxy": "http://proxy:1", "no_proxy": ""}):
            self.assertIsNone(self.target().proxy)
            self.assertEqual(self.target(proxy="environment").proxy, Proxy("proxy", 1))
        with patch.dict(os.environ, {f"{scheme}_proxy": "socks5://me:hush@proxy"}):
            trouble = self.trouble(proxy="environment")
        self.assertIn(f"the environment's {scheme}_proxy can't be used", trouble)
        self.assertNotIn("hush", trouble)

    def test_secrets(self) -> None:
        """Secrets stand where they belong, at any depth, and are known as secrets."""
        found = self.target(
            util.Interpolate("https://receiver.test/%(secret:path)s"),
            auth=(util.Secret("user"), util.Secret("token")),
            headers={"X-Token": util.Secret("token"), "X-Plain": "1"},
        )
        self.assertEqual(found.url, "https://receiver.test/h00k/x")
        self.assertEqual(found.auth, ("me", "s3cret"))
        self.assertEqual(found.headers, {"X-Token": "s3cret", "X-Plain": "1"})
        self.assertEqual(found.secrets, {"h00k/x", "me", "s3cret"})

    def test_made_from_a_secret(self) -> None:
        """A header that was made from a secret is hidden as a whole, others are not."""
        found = self.target(
            headers={
                "X-Turned": util.Transform(lambda text: text[::-1], util.Secret("token")),
                "X-Plain": util.Interpolate("plain"),
            }
        )
        self.assertEqual(found.headers, {"X-Turned": "terc3s", "X-Plain": "plain"})
        self.assertEqual(found.secrets, {"s3cret", "terc3s"})

    def test_renderable_as_a_whole(self) -> None:
        """The headers and the credentials may be one renderable."""
        headers = util.Transform(dict, [("X-Token", util.Secret("token"))])
        found = self.target(headers=headers, auth=util.Transform(HTTPBasicAuth, "me", "pw"))
        self.assertEqual(found.headers, {"X-Token": "s3cret"})
        self.assertEqual(found.secrets, {"s3cret"})
        self.assertEqual(found.auth, HTTPBasicAuth("me", "pw"))

    def test_every_time(self) -> None:
        """Each attempt asks again: a rotated secret needs no restart."""
        renderer = self.renderer(headers={"X-Token": util.Secret("token")})
        self.successResultOf(renderer())
        self.vault.values["token"] = "rotated"
        self.assertEqual(self.successResultOf(renderer()).headers, {"X-Token": "rotated"})
        self.assertEqual(self.vault.asked, ["token", "token"])

    def test_every_place(self) -> None:
        """That holds wherever the secret stands."""
        token = util.Secret("token")
        for options in (
            {"serverUrl": util.Interpolate("https://receiver.test/%(secret:token)s")},
            {"auth": ("user", token)},
            {"auth": ["user", token]},
        ):
            renderer, found = self.renderer(**options), []
            for value in ("one", "two"):
                self.vault.values["token"] = value
                found.append(self.successResultOf(renderer()).secrets)
            self.assertIn("two", found[1], options)

    def test_only_once(self) -> None:
        """What holds no renderable is put in place once."""
        renderer = self.renderer(auth=("user", "pw"), headers={"X": "1"})
        first = self.successResultOf(renderer())
        self.assertIs(self.successResultOf(renderer()), first)

    def test_is_renderable(self) -> None:
        """Renderables are told from plain values."""
        for value in (util.Secret("x"), util.Interpolate("x"), util.Property("x")):
            self.assertTrue(is_renderable(value))
        for plain in (None, "x", ("u", "p"), HTTPBasicAuth("u", "p"), 5):
            self.assertFalse(is_renderable(plain))


class FilesTest(RenderingTestCase):
    """Secrets in files, which Buildbot's provider reads when the master starts."""

    def setUp(self) -> None:
        """Give the master a provider of files."""
        super().setUp()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.write("token", "s3cret")
        provider = SecretInAFile(dirname=str(self.folder))
        provider.reconfigService(dirname=str(self.folder))
        self.manager = SecretManager()
        self.manager.services = [provider]
        self.master.namedServices["secrets"] = self.manager

    def write(self, name: str, value: bytes | str) -> None:
        """Write a secret."""
        file = self.folder / name
        file.write_bytes(value if isinstance(value, bytes) else value.encode())
        file.chmod(0o600)

    def test_changed(self) -> None:
        """An attempt uses what a file holds, at most a second late."""
        renderer = self.renderer(headers={"X": util.Secret("token")})
        self.assertEqual(self.successResultOf(renderer()).headers, {"X": "s3cret"})
        self.write("token", "rotated")
        self.master.reactor.advance(1)
        self.assertEqual(self.successResultOf(renderer()).headers, {"X": "rotated"})

    def test_added(self) -> None:
        """It finds a file that was not there when the master started."""
        self.write("later", "value")
        self.assertEqual(self.target(headers={"X": util.Secret("later")}).headers, {"X": "value"})

    def test_unreadable(self) -> None:
        """Files that can't be read leave the values as they were, and are logged once."""
        self.write("binary", b"\xff\xfe")
        renderer = self.renderer(headers={"X": util.Secret("token")})
        for _ in range(2):
            self.assertEqual(self.successResultOf(renderer()).headers, {"X": "s3cret"})
            self.master.reactor.advance(1)
        [line] = self.book.lines
        self.assertIn("push: secrets: can't read files again: SecretInAFile: Unicode", line)
        shutil.rmtree(self.folder)
        self.assertEqual(self.successResultOf(renderer()).headers, {"X": "s3cret"})
        self.assertIn("FileNotFoundError", self.book.lines[1])

    def test_outbox(self) -> None:
        """The outbox's URL is rendered from what a file holds now."""
        self.write("file", "sqlite:////tmp/later.sqlite")
        self.master.config = MasterConfig()
        self.master.name, self.master.basedir = "master", "/"
        placed = Deferred.fromCoroutine(place(self.master, util.Secret("file")))
        self.assertEqual(self.successResultOf(placed).url, "sqlite:////tmp/later.sqlite")


class SigningKeysTest(RenderingTestCase):
    """Several signing keys, of which one is not there yet."""

    def test_unknown(self) -> None:
        """A key that no provider knows does not stop the other, and is logged once."""
        for keys in ((util.Secret("new"), "old"), ["old", util.Secret("sealed")]):
            self.book = LogBook()
            renderer = self.renderer(signing_secret=keys)
            for _ in range(2):
                self.assertEqual(self.successResultOf(renderer()).signing_keys, ("old",))
            [line] = self.book.lines
            self.assertTrue(
                line.startswith("push: signing_secret: signing without one of the keys: "), line
            )

    def test_known_later(self) -> None:
        """It is used as soon as a provider knows it."""
        renderer = self.renderer(signing_secret=[util.Secret("new"), "old"])
        self.successResultOf(renderer())
        self.vault.values["new"] = "fresh"
        found = self.successResultOf(renderer())
        self.assertEqual((found.signing_keys, found.secrets), (("fresh", "old"), {"fresh"}))

    def test_none_known(self) -> None:
        """Without any key nothing is sent, since a receiver would not trust it."""
        keys = [util.Secret("new"), util.Secret("newer")]
        self.assertIn("secret key new is not found", self.trouble(signing_secret=keys))

    def test_endless(self) -> None:
        """A provider that does not answer in time fails the attempt."""
        self.vault.values["slow"] = Deferred
        rendered = self.renderer(signing_secret=["old", util.Secret("slow")])()
        rendered.cancel()
        failure = self.failureResultOf(rendered, RenderingError)
        self.assertEqual(str(failure.value), "a secret or renderable did not come in time")


class TroubleTest(RenderingTestCase):
    """What can't be rendered."""

    def test_failing_provider(self) -> None:
        """A provider's failure is told with its own words, wherever the secret stands."""
        secret = util.Secret("sealed")
        words = "a secret or renderable can't be had: OSError: the vault is sealed"
        for options in (
            {"serverUrl": secret},
            {"auth": ("u", secret)},
            {"headers": {"X": secret}},
        ):
            self.assertEqual(self.trouble(**options), words)

    def test_failing_provider_within_a_text(self) -> None:
        """So is one whose secret is a part of a text."""
        words = self.trouble(util.Interpolate("https://h/%(secret:sealed)s"))
        self.assertEqual(words, "a secret or renderable can't be had: OSError: the vault is sealed")
        # Buildbot 4.0 logs it besides, when it collects what Interpolate has left behind.
        gc.collect()
        self.flushLoggedErrors(OSError, FirstError)

    def test_unknown_secret(self) -> None:
        """A secret that no provider knows is named."""
        self.assertIn("nosuch", self.trouble(headers={"X": util.Secret("nosuch")}))

    def test_no_provider(self) -> None:
        """A master without providers says what is to be configured."""
        self.master = Master(None)
        self.assertIn("SecretManager", self.trouble(headers={"X": util.Secret("token")}))

    def test_secret_in_the_words(self) -> None:
        """Secrets that were used before the trouble are hidden in its words."""

        def broken(text: str) -> str:
            raise ValueError(f"can't use {text}")

        words = self.trouble(headers={"X": util.Transform(broken, util.Secret("token"))})
        expected = "a secret or renderable can't be had: ValueError: can't use ***"
        self.assertEqual(words, expected)

    def test_property(self) -> None:
        """A renderable that asks for a build's property is told that there is none."""

        @util.renderer
        def address(properties: Any) -> str:
            return f"https://h/{properties.getProperty('buildername')}"

        expected = (
            "a secret or renderable asks for the property 'buildername', which needs a build: "
            "options are rendered without one"
        )
        self.assertEqual(self.trouble(address), expected)

    def test_endless(self) -> None:
        """A provider that is given up is told in words."""
        self.vault.values["slow"] = Deferred
        rendered = self.renderer(headers={"X": util.Secret("slow")})()
        rendered.cancel()
        failure = self.failureResultOf(rendered, RenderingError)
        expected = "a secret or renderable did not come in time"
        self.assertEqual(str(failure.value), expected)

    def test_unfit_values(self) -> None:
        """What is rendered is judged like what is written, and secrets in it are not shown."""
        self.assertIn(
            "serverUrl is 'ftp://host/***', it does not begin with http:// or https://",
            self.trouble(util.Interpolate("ftp://host/%(secret:token)s")),
        )
        self.assertIn("serverUrl is a int", self.trouble(util.Transform(len, "abc")))
        self.assertIn("auth is a int", self.trouble(auth=util.Transform(len, "abc")))
        self.assertIn("headers is a int", self.trouble(headers=util.Transform(len, "abc")))
        self.assertEqual(
            self.trouble(headers={"X-Token": util.Secret("bad")}),
            "headers['X-Token'] holds a line break or a control character: RFC 9110 allows none",
        )
        header = {"Authorization": util.Secret("token")}
        self.assertEqual(
            self.trouble(auth=util.Transform(lambda: ("me", "pw")), headers=header),
            "credentials are in auth and in the header Authorization: write them in one place",
        )
        words = self.trouble(headers={util.Secret("bad"): "1"})
        self.assertTrue(words.startswith("headers has the name '***': RFC 9110"), words)

    def test_other_values(self) -> None:
        """The outbox's URL is rendered by the same function."""
        rendered = Deferred.fromCoroutine(render(self.master, util.Interpolate("%(secret:path)s")))
        self.assertEqual(self.successResultOf(rendered), ("h00k/x", frozenset({"h00k/x"})))


def forget(_: object) -> None:
    """Authenticate nothing."""


class AttemptTest(RenderingTestCase):
    """Attempts of a client that renders."""

    def attempt(self, **options: Any) -> tuple[Receiver, Any]:
        """Make an attempt, and return what was sent and what came of it."""
        receiver, clock = Receiver(always_ok), Clock()
        requester = Requester(clock, lambda _: receiver, self.renderer(**options))
        sent = Client(requester, 30.0).send(a_delivery())
        clock.advance(30)
        return receiver, self.successResultOf(sent)

    def test_header_injection(self) -> None:
        """A secret with a line break in it does not make a header of its own: nothing is sent."""
        receiver, outcome = self.attempt(headers={"X-Token": util.Secret("bad")})
        self.assertEqual(receiver.sent, [])
        assert isinstance(outcome, Unreachable)
        self.assertTrue(outcome.reason.startswith("headers['X-Token'] holds a line break"))

    def test_whose_fault_it_is(self) -> None:
        """What makes a request impossible is this side's fault, and nothing is sent."""
        self.vault.values |= {"file": "s3cret\n", "channel": "#general", "odd": "s3cret?s3cret"}
        for options, words in (
            ({"headers": {"X": util.Secret("file")}}, "headers['X'] ends in a line break: take"),
            ({"auth": ("u", util.Secret("file"))}, "auth has a control character in its user or"),
            ({"auth": util.Transform(len, "abc")}, "auth is a int"),
            ({"auth": forget}, "auth: forget returned a NoneType"),
            (
                {"serverUrl": util.Interpolate("http://h/%(secret:channel)s/x?y")},
                "serverUrl is rendered to an address with a '#', which cuts off what follows: "
                "write it as %23 in the secret or text that it comes from",
            ),
            (
                {"serverUrl": util.Interpolate("http://h/%(secret:odd)s/x")},
                "serverUrl is rendered with a secret in its path that has a '?', which makes a "
                "query of what follows: write it as %3F in the secret",
            ),
        ):
            receiver, outcome = self.attempt(**options)
            assert isinstance(outcome, Unreachable)
            self.assertTrue(outcome.reason.startswith(words), outcome.reason)
            self.assertTrue(outcome.here, words)
            self.assertNotIn("s3cret", outcome.reason)
            self.assertEqual(receiver.sent, [])

    def test_query_from_a_secret(self) -> None:
        """A query that is a secret's own, or has one as a value, is sent as it is."""
        self.vault.values |= {"whole": "http://h/a?b", "hook": "T0/B0?key=1", "value": "a?b"}
        for url, sent in (
            (util.Secret("whole"), "http://h/a?b"),
            (util.Interpolate("http://h/%(secret:hook)s"), "http://h/T0/B0?key=1"),
            (util.Interpolate("http://h/?key=%(secret:value)s"), "http://h/?key=a?b"),
        ):
            receiver, outcome = self.attempt(serverUrl=url)
            self.assertIsInstance(outcome, Accepted)
            self.assertEqual(receiver.sent[0].uri.decode(), sent)

    def test_endless(self) -> None:
        """A provider that never answers is told after the timeout."""
        self.vault.values["slow"] = Deferred
        _, outcome = self.attempt(headers={"X": util.Secret("slow")})
        self.assertEqual(outcome, Unreachable("a secret or renderable did not come in time", 30.0))

    def test_all_right(self) -> None:
        """Otherwise what was rendered is sent."""
        receiver, outcome = self.attempt(headers={"X-Token": util.Secret("token")})
        self.assertIsInstance(outcome, Accepted)
        self.assertEqual(receiver.sent[0].header("X-Token"), "s3cret")


class PlainHTTPTest(RenderingTestCase):
    """Credentials that others can read on their way."""

    def warnings(self, url: str, **options: Any) -> list[str]:
        """Return the warnings of two attempts."""
        self.book = LogBook()
        renderer = self.renderer(url, **options)
        for _ in range(2):
            self.successResultOf(renderer())
        return self.book.lines

    def test_warned_once(self) -> None:
        """Credentials of any kind over plain http are worth one warning, without them in it."""
        for url, options in (
            ("http://receiver.test/", {"auth": ("u", "pw")}),
            ("http://u:pw@receiver.test/", {}),
            ("http://receiver.test/", {"headers": {"X": util.Secret("token")}}),
        ):
            self.assertEqual(
                self.warnings(url, **options),
                [
                    "push: credentials go over plain http to receiver.test, where others can "
                    "read them: use an https serverUrl"
                ],
            )

    def test_not_warned(self) -> None:
        """TLS, this very machine and requests without credentials are all right."""
        for url, options in (
            ("https://receiver.test/", {"auth": ("u", "pw")}),
            ("http://localhost:8080/", {"auth": ("u", "pw")}),
            ("http://127.0.0.1/", {"auth": ("u", "pw")}),
            ("http://[::1]/", {"auth": ("u", "pw")}),
            ("http://receiver.test/", {"headers": {"X": "1"}}),
            ("http://receiver.test/", {"signing_secret": util.Secret("token")}),
        ):
            self.assertEqual(self.warnings(url, **options), [])
