"""Catch-up in a real master: what the database says should have been sent is sent."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import Any, cast

from buildbot.process.results import FAILURE, SUCCESS
from buildbot.reporters.generators.build import BuildStatusGenerator
from buildbot.reporters.message import MessageFormatterFunction
from buildbot.util.twisted import async_to_deferred
from sqlalchemy.exc import OperationalError
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs

from buildbot_http_status_push.report import catchup, default_generator
from buildbot_http_status_push.reporter import HttpStatusPush

BUILDERS = {"success": [EndWith(SUCCESS)], "failure": [EndWith(FAILURE)]}

ENDED = ("failure", 1, "builds.finished")


class Catchup(ReporterTestCase):
    """What a reporter does about builds whose announcement is missing."""

    async def restart(self, master: Any, services: list[Any]) -> Any:
        """Stop a master and start it again in the same folder."""
        await master.stop()
        return await self.start_master(configuration(services, BUILDERS))

    @async_to_deferred
    async def test_first_start(self) -> None:
        """The very first start announces nothing of the past."""
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([], BUILDERS))
        await master.build("success")
        # Build times have whole seconds: the past is what ended in an earlier one.
        await after_this_second()
        master = await self.restart(master, [HttpStatusPush(url)])
        await master.build("failure")
        await inbox.until(2)
        self.assertEqual({name for name, _, _ in inbox.seen()}, {"failure"})

    @async_to_deferred
    async def test_builds_without_events(self) -> None:
        """Builds that ended while the reporter did not listen are announced as finished only."""
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        await master.build("success")
        await inbox.until(2)
        master = await self.restart(master, [])
        await master.build("failure")
        await master.build("success")
        await self.restart(master, [HttpStatusPush(url)])
        await inbox.until(4)
        self.assertEqual(
            inbox.seen()[2:], [("failure", 1, "builds.finished"), ("success", 2, "builds.finished")]
        )

    @async_to_deferred
    async def test_lost_event(self) -> None:
        """A finished build whose event was lost is announced by the running master."""
        self.patch(catchup, "INTERVAL", 0.1)
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        produce, lost = master.master.mq.produce, list[Any]()

        def lose(key: tuple[str, ...], message: Any) -> None:
            if key[0] == "builds" and key[-1] == "finished":
                lost.append(key)
            else:
                produce(key, message)

        self.patch(master.master.mq, "produce", lose)
        await master.build("success")
        await inbox.until(2)
        names = ["builds.new", "builds.finished"]
        self.assertEqual(inbox.seen(), [("success", 1, name) for name in names])
        self.assertNotEqual(lost, [])

    @async_to_deferred
    async def test_scan_amid_a_start(self) -> None:
        """Whenever a scan is made, a build's start has all properties, and is the event's."""
        inbox, url = await self.open_inbox()
        reporter = HttpStatusPush(url)
        master = await self.start_master(configuration([reporter], BUILDERS))
        owner = {"owner": ("Jo", "test")}
        await master.build("success", properties=owner)
        await inbox.until(2)
        updates, scans = master.master.data.updates, list[str]()
        for name in ("setBuildProperties", "setBuildStateString", "generateNewBuildEvent"):
            self.patch(updates, name, scan_around(reporter, getattr(updates, name), scans))
        await master.build("success", properties=owner)
        await inbox.until(4)
        self.assertIn("generateNewBuildEvent", scans)
        control, start = (build for build in inbox.builds if not build["complete"])
        self.assertEqual(start["state_string"], "starting")
        self.assertIn("owners", start["properties"])
        self.assertEqual(list(start["properties"]), list(control["properties"]))

    @async_to_deferred
    async def test_receiver_down_over_a_restart(self) -> None:
        """What could not be sent before a restart is sent after it, in order, and once."""
        inbox, url = await self.open_inbox()
        await inbox.close()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        await master.build("success")
        await master.build("failure")
        await inbox.open(inbox.port)
        await self.restart(master, [HttpStatusPush(url)])
        await inbox.until(4)
        expected = [
            (name, 1, event) for name in BUILDERS for event in ("builds.new", "builds.finished")
        ]
        self.assertEqual(sorted(inbox.seen()), sorted(expected))
        self.assertEqual(len({each.id for each in inbox.statuses}), 4)

    @async_to_deferred
    async def test_lost_outbox(self) -> None:
        """A lost outbox is rebuilt, with the same ids."""
        inbox, url = await self.open_inbox()
        inbox.behave(fail=503)
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        await master.build("success")
        ids_before = self.ids(master.basedir)
        self.assertEqual(len(ids_before), 2)
        await master.stop()
        for name in os.listdir(master.basedir):
            if name.startswith("http_status_push.sqlite"):
                (master.basedir / name).unlink()
        inbox.behave()
        await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        await inbox.until(1)
        self.assertEqual(inbox.seen(), [("success", 1, "builds.finished")])
        self.assertIn(inbox.statuses[0].id, ids_before)

    @async_to_deferred
    async def test_moved(self) -> None:
        """A master in another folder, which Buildbot names anew, goes on where it was."""
        for place, outbox in (("with its outbox", None), ("without one", False)):
            inbox, url = await self.open_inbox()
            services = [HttpStatusPush(url, outbox=outbox)]
            master = await self.start_master(configuration(services, BUILDERS))
            await master.build("success")
            await inbox.until(2)
            inbox.behave(fail=503)
            await master.build("failure")
            name = master.master.name
            await master.stop()
            moved_to = self.folder / place
            shutil.move(master.basedir, moved_to)
            inbox.behave()
            services = [HttpStatusPush(url, outbox=outbox)]
            moved = await self.start_master(configuration(services, BUILDERS), moved_to)
            self.assertNotEqual(moved.master.name, name)
            await inbox.when(lambda inbox=inbox: ENDED in inbox.seen())
            await moved.stop()

    def ids(self, basedir: Any) -> list[str]:
        """Return the ids that an outbox holds."""
        with sqlite3.connect(basedir / "http_status_push.sqlite") as connection:
            rows = connection.execute("select id from http_status_push_deliveries").fetchall()
        connection.close()
        return [row[0] for row in rows]

    @async_to_deferred
    async def test_subclass_that_delivers_for_itself(self) -> None:
        """Catch-up leaves a subclass alone that overrides sendMessage."""
        _, url = await self.open_inbox()
        sent: list[Any] = []

        class Own(HttpStatusPush):
            def sendMessage(self, reports: list[dict[str, Any]]) -> None:
                sent.append(reports)

        master = await self.start_master(configuration([Own(url)], BUILDERS))
        master = await self.restart(master, [])
        await master.build("success")
        master = await self.restart(master, [Own(url)])
        await master.build("failure")
        self.assertEqual(
            [each[0]["builds"][0]["builder"]["name"] for each in sent], ["failure"] * 2
        )

    @async_to_deferred
    async def test_database_trouble(self) -> None:
        """An event whose report can't be made now is tried again, and not lost."""
        self.patch(catchup, "SOON", 0.05)
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        make_body, failures = default_generator.make_body, [2]

        async def make_body_with_trouble(*args: Any) -> Any:
            if failures[0]:
                failures[0] -= 1
                raise RuntimeError("database trouble")
            return await make_body(*args)

        self.patch(default_generator, "make_body", make_body_with_trouble)
        await master.build("success")
        await inbox.when(lambda: inbox.seen()[-1:] == [("success", 1, "builds.finished")])
        self.assertEqual(len(self.flushLoggedErrors()), 2)

    @async_to_deferred
    async def test_database_away(self) -> None:
        """A database that is away for a moment is one line, and the event comes all the same."""
        self.patch(catchup, "SOON", 0.05)
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        get, failures = master.master.data.get, [2]

        def get_with_trouble(path: tuple[Any, ...], *more: Any, **named: Any) -> Deferred[Any]:
            # The master's own questions have ids as texts.
            if failures[0] and path[-1] == "properties" and isinstance(path[1], int):
                failures[0] -= 1
                return fail(OperationalError("SELECT 1", {}, Exception("connection refused")))
            return cast("Deferred[Any]", get(path, *more, **named))

        self.patch(master.master.data, "get", get_with_trouble)
        with capturedLogs() as lines:
            await master.build("success")
            await inbox.when(lambda: inbox.seen()[-1:] == [("success", 1, "builds.finished")])
        told = [each for each in lines if "reading it from" in str(each.get("log_format"))]
        self.assertEqual([each["trouble"] for each in told], ["connection refused"] * 2)

    @async_to_deferred
    async def test_unwanted_builds(self) -> None:
        """A generator that does not want a build is not asked for ever again."""
        inbox, url = await self.open_inbox()
        asked: list[str] = []

        class Picky(BuildStatusGenerator):
            def generate(self, master: Any, reporter: Any, key: Any, build: Any) -> Deferred[Any]:
                asked.append(key[1])
                return super().generate(master, reporter, key, build)

        formatter = MessageFormatterFunction(lambda context: {"b": 1}, "json")
        generators = [Picky(builders=["success"], message_formatter=formatter)]
        reporter = HttpStatusPush(url, generators=generators)
        master = await self.start_master(configuration([reporter], BUILDERS))
        await master.build("failure")
        await master.build("success")
        await inbox.until(1)
        for _ in range(5):
            await reporter._catchup.scan()
        self.assertEqual(asked.count("1"), 1 + catchup.TRIES)
        self.assertEqual(asked.count("2"), 1)

    @async_to_deferred
    async def test_asking_fails(self) -> None:
        """A database that can't be asked is one line in the log, and asked again."""
        self.patch(catchup, "AFTER_FAILURE", 0.06)
        inbox, url = await self.open_inbox()
        master = await self.start_master(configuration([HttpStatusPush(url)], BUILDERS))
        master = await self.restart(master, [])
        await master.build("success")
        state = master.master.db.state
        get_state, failures = type(state).getState, [3]

        def get_state_with_trouble(*args: Any, **kwargs: Any) -> Any:
            if failures[0] and "progress" in args:
                failures[0] -= 1
                raise RuntimeError("database trouble")
            return get_state(*args, **kwargs)

        self.patch(type(state), "getState", get_state_with_trouble)
        with capturedLogs() as events:
            await self.restart(master, [HttpStatusPush(url)])
            await inbox.until(1)
        told = [each for each in events if "unreported builds" in (each.get("log_format") or "")]
        self.assertEqual(len(told), 3)


def scan_around(reporter: Any, update: Any, scans: list[str]) -> Any:
    """Return a function that has catch-up scan before and after another one."""

    async def update_and_scan(*args: Any) -> Any:
        await reporter._catchup.scan()
        result = await update(*args)
        await reporter._catchup.scan()
        scans.append(update.__name__)
        return result

    return lambda *args: Deferred.fromCoroutine(update_and_scan(*args))


async def after_this_second() -> None:
    """Wait until the clock shows another whole second."""
    now = reactor.seconds()
    await task.deferLater(reactor, int(now) + 1.01 - now)
