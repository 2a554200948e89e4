"""Signed deliveries of a real master, verified by an independent party."""

from __future__ import annotations

import base64
from email.utils import formatdate
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.plugins import util
from buildbot.process.results import SUCCESS
from buildbot.secrets.providers.file import SecretInAFile
from buildbot.util.twisted import async_to_deferred
from standardwebhooks import Webhook, WebhookVerificationError
from support.master import EndWith, ReporterTestCase, configuration
from twisted.logger import capturedLogs
from twisted.trial import unittest

from buildbot_http_status_push.reporter import HttpStatusPush
from buildbot_http_status_push.wire.client import ClockCheck

BUILDERS = {"success": [EndWith(SUCCESS)]}
OLD, NEW = ("whsec_" + base64.b64encode(bytes([each]) * 32).decode() for each in (1, 2))


class Signed(ReporterTestCase):
    """The ``signing_secret`` option."""

    async def deliveries(self, secret: Any, **more: Any) -> Any:
        """Run a build with a signing secret, and return what came of it."""
        inbox, url = await self.open_inbox()
        config = configuration([HttpStatusPush(url, signing_secret=secret)], BUILDERS)
        self.master = await self.start_master({**config, **more})
        await self.master.build("success")
        await inbox.until(2)
        return inbox

    @async_to_deferred
    async def test_verified_by_standardwebhooks(self) -> None:
        """Another implementation verifies each delivery, and refuses it once it is changed."""
        inbox = await self.deliveries(OLD)
        for each in inbox.statuses:
            headers = dict(each.headers)
            Webhook(OLD).verify(each.body, headers)
            for tampered in (
                (each.body + b" ", headers),
                (each.body, headers | {"webhook-id": headers["webhook-id"][:-1] + "x"}),
                (
                    each.body,
                    headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
                ),
            ):
                with self.assertRaises(WebhookVerificationError):
                    Webhook(OLD).verify(*tampered)

    @async_to_deferred
    async def test_rotation(self) -> None:
        """While a key takes another's place, both verify."""
        inbox = await self.deliveries([NEW, OLD])
        for key in (OLD, NEW):
            Webhook(key).verify(inbox.statuses[0].body, dict(inbox.statuses[0].headers))

    @async_to_deferred
    async def test_from_a_secret_provider(self) -> None:
        """A malformed key from a provider is a failed attempt, one that is mended is used."""
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        key = secrets / "key"
        key.touch(mode=0o600)
        key.write_text("whsec_broken!")
        inbox, url = await self.open_inbox()
        provider = SecretInAFile(dirname=str(secrets))
        reporter = HttpStatusPush(url, signing_secret=util.Secret("key"))
        config = configuration([reporter], BUILDERS) | {"secretsProviders": [provider]}
        master = await self.start_master(config)
        await master.build("success")
        self.assertEqual(inbox.statuses, [])
        key.write_text(OLD)
        provider.reconfigService(dirname=str(secrets))
        await inbox.until(2)
        Webhook(OLD).verify(inbox.statuses[0].body, dict(inbox.statuses[0].headers))


class Faults(unittest.SynchronousTestCase):
    """What checkconfig says of signing secrets."""

    def test_malformed(self) -> None:
        """A malformed key is told at checkconfig, and never shown."""
        for secret in ("whsec_broken!", "", [], 7, [OLD, "whsec_AAAA"]):
            with self.assertRaises(ConfigErrors) as caught:
                HttpStatusPush("http://example.com/", signing_secret=secret)
            [text] = caught.exception.errors
            self.assertIn("HttpStatusPush: signing_secret is ", text)
            self.assertNotIn("AAAA", text)
            self.assertNotIn("broken", text)


class Clocks(unittest.SynchronousTestCase):
    """The comparison of clocks."""

    def warnings(self, *offsets: float | None) -> list[str]:
        """Return what is said of receivers whose clocks are off by so many seconds."""
        check, now = ClockCheck(), 1_700_000_000.0
        with capturedLogs() as lines:
            for offset in offsets:
                check.check(None if offset is None else formatdate(now + offset, usegmt=True), now)
        return [f"{each['off']:.0f} s {each['direction']}" for each in lines]

    def test_far_apart(self) -> None:
        """Clocks more than two minutes apart are warned of, once."""
        self.assertEqual(self.warnings(121, 500), ["121 s ahead"])
        self.assertEqual(self.warnings(-300), ["300 s behind"])

    def test_near(self) -> None:
        """Clocks within two minutes, and answers without a date, are nothing to speak of."""
        self.assertEqual(self.warnings(120, -120, 0, None), [])

    def test_broken_date(self) -> None:
        """A date that can't be read is passed over."""
        with capturedLogs() as lines:
            ClockCheck().check("yesterday", 0.0)
        self.assertEqual(lines, [])
