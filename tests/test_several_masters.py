"""Several masters on one PostgreSQL database, with nothing configured for it."""

from __future__ import annotations

import sqlalchemy as sa
from buildbot.process.results import SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.inbox import Inbox
from support.master import EndWith, Master, ReporterTestCase, configuration, create_database
from support.postgres import server

from buildbot_http_status_push.outbox.schema import deliveries
from buildbot_http_status_push.reporter import HttpStatusPush

NAMES = ("one", "two")
EVENTS = ("builds.new", "builds.finished")


class SeveralMasters(ReporterTestCase):
    """Two masters, which hear of each other's builds through the database only."""

    timeout = 90

    def setUp(self) -> None:
        """Make a database for both."""
        super().setUp()
        self.database = server().url()
        server().clear()
        create_database(self.database)

    async def start_both(self, *urls: str, **options: str) -> list[Master]:
        """Start both masters, each with a receiver."""
        return [
            await self.start(name, HttpStatusPush(url, **options))
            for name, url in zip(NAMES, urls, strict=True)
        ]

    async def start(self, name: str, reporter: HttpStatusPush) -> Master:
        """Start one of the masters."""
        config = configuration([reporter], {name: [EndWith(SUCCESS)]})
        config |= {"multiMaster": True, "db": {"db_url": self.database}}
        config["schedulers"][0].name = f"scheduler of {name}"
        folder = self.folder / name
        folder.mkdir()
        (folder / "state.sqlite").touch()  # its tables are elsewhere
        return await self.start_master(config, folder)

    async def build_and_scan(self, masters: list[Master]) -> None:
        """Run a build on each, and have each look for what was not announced."""
        for master, name in zip(masters, NAMES, strict=True):
            await master.build(name)
        for master in masters:
            await master.master.service_manager.namedServices["HttpStatusPush"]._catchup.scan()

    @async_to_deferred
    async def test_one_outbox(self) -> None:
        """Buildbot's database is their outbox: each status goes out once, whoever sends it."""
        inbox, url = await self.open_inbox()
        masters = await self.start_both(url, url)
        await self.build_and_scan(masters)
        await inbox.until(4)
        self.assertEqual(
            sorted(inbox.seen()), sorted((name, 1, event) for name in NAMES for event in EVENTS)
        )
        self.assertEqual(self.kept(), 4)
        for master in masters:
            self.assertEqual(list(master.basedir.glob("http_status_push*")), [])

    def kept(self) -> int:
        """Count the rows of the outbox in Buildbot's database."""
        engine = sa.create_engine(self.database)
        with engine.begin() as connection:
            count = sa.select(sa.func.count()).select_from(deliveries)
            found = int(connection.execute(count).scalar_one())
        engine.dispose()
        return found

    @async_to_deferred
    async def test_outboxes_of_their_own(self) -> None:
        """Without a common outbox each sends what ran on it, and nothing of the other's."""
        inboxes: list[tuple[Inbox, str]] = [await self.open_inbox() for _ in NAMES]
        urls = [url for _, url in inboxes]
        masters = await self.start_both(*urls, outbox="sqlite:///own.sqlite")
        await self.build_and_scan(masters)
        for (inbox, _), name in zip(inboxes, NAMES, strict=True):
            await inbox.until(2)
            self.assertEqual(inbox.seen(), [(name, 1, event) for event in EVENTS])
