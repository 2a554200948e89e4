"""The ``outbox`` option in a real master."""

from __future__ import annotations

import stat
from typing import Any

from buildbot.plugins import util
from buildbot.process.results import SUCCESS
from buildbot.secrets.providers.file import SecretInAFile
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet import defer, reactor, task
from twisted.logger import capturedLogs

from buildbot_http_status_push.delivery import service
from buildbot_http_status_push.reporter import HttpStatusPush

BUILDERS = {"success": [EndWith(SUCCESS)]}


class OutboxOption(ReporterTestCase):
    """Where deliveries are kept."""

    async def run_build(self, services: list[Any], **more: Any) -> Any:
        """Start a master, run a build, and return the master."""
        master = await self.start_master({**configuration(services, BUILDERS), **more})
        await master.build("success")
        return master

    @async_to_deferred
    async def test_default(self) -> None:
        """By default it is a file in the master's folder that only its owner can read."""
        inbox, url = await self.open_inbox()
        master = await self.run_build([HttpStatusPush(url)])
        await inbox.until(2)
        mode = (master.basedir / "http_status_push.sqlite").stat().st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)

    @async_to_deferred
    async def test_relative_file(self) -> None:
        """A relative SQLite file stands in the master's folder."""
        inbox, url = await self.open_inbox()
        master = await self.run_build([HttpStatusPush(url, outbox="sqlite:///other.sqlite")])
        await inbox.until(2)
        self.assertTrue((master.basedir / "other.sqlite").exists())
        self.assertFalse((master.basedir / "http_status_push.sqlite").exists())

    @async_to_deferred
    async def test_memory(self) -> None:
        """With outbox=False there is no file, and statuses are delivered all the same."""
        inbox, url = await self.open_inbox()
        master = await self.run_build([HttpStatusPush(url, outbox=False)])
        await inbox.until(2)
        self.assertEqual(list(master.basedir.glob("http_status_push*")), [])

    @async_to_deferred
    async def test_secret_that_comes_later(self) -> None:
        """While its URL can't be had it is memory, with one clear line; then the database."""
        self.patch(service, "OUTBOX_RETRY", 0.05)
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        provider = SecretInAFile(dirname=str(secrets))
        inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, outbox=util.Secret("outbox"))]
        with capturedLogs() as lines:
            master = await self.run_build(services, secretsProviders=[provider])
            await inbox.until(2)
            key = secrets / "outbox"
            key.touch(mode=0o600)
            key.write_text("sqlite:///named.sqlite")
            provider.reconfigService(dirname=str(secrets))
            named = master.basedir / "named.sqlite"
            while not named.exists():
                await task.deferLater(reactor, 0.05)
        await master.build("success")
        await inbox.when(lambda: ("success", 2, "builds.finished") in inbox.seen())
        told = [each for each in lines if "kept in memory" in (each.get("log_format") or "")]
        self.assertEqual(len(told), 1)
        self.assertIn("secret key outbox is not found", str(told[0]["trouble"]))

    @async_to_deferred
    async def test_another_outbox(self) -> None:
        """What waits in one outbox is sent when a reconfig names another one."""
        inbox, url = await self.open_inbox()
        inbox.behave(fail=503)
        master = await self.run_build([HttpStatusPush(url)])
        inbox.behave()
        services = [HttpStatusPush(url, outbox="sqlite:///other.sqlite")]
        await master.reconfigure(configuration(services, BUILDERS))
        await inbox.when(lambda: ("success", 1, "builds.finished") in inbox.seen())

    @async_to_deferred
    async def test_database_that_is_not_there(self) -> None:
        """A database that can't be reached stops neither the master nor the statuses."""
        inbox, url = await self.open_inbox()
        nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/none"
        with capturedLogs() as lines:
            master = await self.run_build([HttpStatusPush(url, outbox=nowhere)])
            await inbox.until(2)
            before = reactor.seconds()
            await defer.ensureDeferred(master.stop())
        self.assertLess(reactor.seconds() - before, 5)
        told = [each for each in lines if "can't be used" in (each.get("log_format") or "")]
        self.assertEqual(len(told), 1)
