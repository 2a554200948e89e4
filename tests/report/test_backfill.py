"""Past builds sent once more: what is asked for in the outbox, and a master that carries it out."""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.catchup import NOW, FakeMaster
from support.commands import Command, run
from support.master import EndWith, Master, ReporterTestCase, configuration
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.outbox.backfill_request import Backfill, Stage
from buildbot_http_status_push.report import backfill
from buildbot_http_status_push.report.backfill import PATIENCE, WAITING_MOST, Backfiller
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.builds import PAGE, BuildQueries
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.reporter import HttpStatusPush

LINE = "E   assert 3 == 4"
REPORT = "<testsuite name='unit'><testcase name='test_sum'>{}</testcase></testsuite>"
BUILDERS = {"success": [EndWith(SUCCESS)], "failure": [EndWith(FAILURE)]}


class FailsInTurn(EndWith):
    """A step that passes and fails in turn, and says why in its logs."""

    async def _run(self) -> int:
        is_bad = self.build.number % 2 == 0
        output = await self.addLog("stdio")
        output.addStdout(f"collected 1 item\n{LINE}\n" if is_bad else "1 passed\n")
        report = await self.addLog("junit")
        report.addStdout(REPORT.format("<failure message='assert 3 == 4'/>" if is_bad else ""))
        return self.result if is_bad else SUCCESS

    def run(self) -> Any:
        """End."""
        return Deferred.fromCoroutine(self._run())


class FakeOutbox:
    """Holds what is asked for."""

    def __init__(self) -> None:
        self.asked: Backfill | None = None
        self.waits = 0

    def backfill(self) -> Deferred[Backfill | None]:
        """Return it."""
        return succeed(self.asked)

    def advance_backfill(self, backfill: Backfill) -> Deferred[bool]:
        """Keep it."""
        if self.asked is None:
            return succeed(False)
        self.asked = backfill
        return succeed(True)

    def waiting(self) -> Deferred[int]:
        """Return what the test says."""
        return succeed(self.waits)


class BackfillerTests(SynchronousTestCase):
    """Which builds are sent, in what order, and how fast."""

    def setUp(self) -> None:
        """Make a master with builds, one an hour, the last one still running."""
        self.master, self.outbox = FakeMaster(), FakeOutbox()
        self.master.names = {1: "linux", 2: "windows"}
        for number in range(1, 11):
            self.master.add(number, at=NOW - 3600 * (10 - number), builder=1 + number % 2)
        self.master.add(10, complete=False)
        self.announced: list[int] = []
        self.begin()

    def begin(self) -> None:
        """Start the master."""
        ownership = BuildOwnership(self.master, for_all_masters=True)
        self.backfiller = Backfiller(self.master, self.outbox, self.announce, ownership, Logger())

    def announce(self, event: Event) -> Deferred[Event]:
        """Take note of an event."""
        assert event.again
        assert event.key == ("builds", str(event.message["buildid"]), "finished")
        self.announced.append(event.message["buildid"])
        return succeed(event)

    def ask(self, hours: float, **more: Any) -> None:
        """Ask for the builds of some hours."""
        self.outbox.asked = Backfill(reporter="push", since=NOW - 3600 * hours, **more)

    def poll(self) -> Deferred[None]:
        """Let it look."""
        return Deferred.fromCoroutine(self.backfiller.poll())

    def done(self) -> Backfill:
        """Let it look, and return what became of it."""
        self.successResultOf(self.poll())
        assert self.outbox.asked is not None
        return self.outbox.asked

    def test_nothing(self) -> None:
        """Where nothing is asked for, nothing is done."""
        self.successResultOf(self.poll())
        self.assertEqual(self.announced, [])

    def test_since(self) -> None:
        """What ended since is sent in order, once, and not what runs."""
        self.ask(3)
        done = self.done()
        self.assertEqual((done.stage, done.done, done.total), (Stage.DONE, 3, 3))
        self.assertEqual(self.announced, [7, 8, 9])
        self.done()
        self.assertEqual(self.announced, [7, 8, 9])

    def test_builder(self) -> None:
        """One builder's can be asked for; of an unknown one there are none."""
        self.ask(24, builder="linux")
        self.assertEqual(self.done().done, 4)
        self.assertEqual(self.announced, [2, 4, 6, 8])
        self.ask(24, builder="other")
        self.assertEqual(self.done().total, 0)

    def test_one_of_several(self) -> None:
        """Of masters with a common outbox one sends them: the active one of the lowest number."""
        self.master.masters = {1: False, 2: True, 3: True}
        for me, sent in ((3, []), (2, [8, 9])):
            self.master.masterid = me
            self.begin()
            self.ask(2)
            self.done()
            self.assertEqual(self.announced, sent)

    def test_only_count(self) -> None:
        """They can be counted, which sends nothing."""
        self.ask(24, only_count=True)
        done = self.done()
        self.assertEqual((done.stage, done.done, done.total), (Stage.DONE, 0, 9))
        self.assertEqual(self.announced, [])

    def test_begun(self) -> None:
        """It is seen to have begun before the builds are found, which may take long."""
        self.ask(24)
        found = BuildQueries.older_than
        stages = []

        def look(queries: BuildQueries, before: int | None) -> Any:
            assert self.outbox.asked is not None
            stages.append(self.outbox.asked.stage)
            return found(queries, before)

        self.patch(BuildQueries, "older_than", look)
        self.done()
        self.assertEqual(stages[0], Stage.RUNNING)

    def test_many_pages(self) -> None:
        """A long past is sent in order too."""
        for number in range(11, 3 * PAGE):
            self.master.add(number)
        self.ask(0)
        self.done()
        self.assertEqual(self.announced, list(range(11, 3 * PAGE)))

    def test_throttled(self) -> None:
        """While many wait none is added."""
        self.ask(3)
        self.outbox.waits = WAITING_MOST
        polling = self.poll()
        self.master.reactor.advance(10 * PATIENCE)
        self.assertEqual(self.announced, [])
        self.outbox.waits = 0
        self.master.reactor.advance(PATIENCE)
        self.successResultOf(polling)
        self.assertEqual(len(self.announced), 3)

    def test_over_a_restart(self) -> None:
        """A master that starts goes on where the one before was."""
        self.ask(3)
        assert self.outbox.asked is not None
        self.outbox.asked = evolve(self.outbox.asked, stage=Stage.RUNNING, place=7, done=1, total=3)
        done = self.done()
        self.assertEqual(self.announced, [8, 9])
        self.assertEqual((done.done, done.total), (3, 3))

    def test_stopped(self) -> None:
        """What nobody wants any more ends after the build that is being sent."""
        self.ask(24)
        announce = self.announce

        def announce_and_stop(event: Event) -> Deferred[Event]:
            self.outbox.asked = None
            return announce(event)

        self.announce = announce_and_stop  # type: ignore[method-assign]  # for this test
        self.begin()
        self.successResultOf(self.poll())
        self.assertEqual(self.announced, [1])


class MasterTests(ReporterTestCase):
    """The command beside a real master."""

    timeout = 90

    async def command(self, *arguments: str) -> tuple[int, Any]:
        """Run it, and return its exit code and its document."""
        where = ("--basedir", str(self.folder / "master"), "--json")
        code, output, errors = await deferToThread(run, "outbox", "backfill", *where, *arguments)
        self.assertEqual(errors, "Waiting up to 60 s for a running master to start.\n")
        return code, json.loads(output)

    async def begin(self) -> tuple[Any, Master]:
        """Start a master that has built something."""
        self.patch(backfill, "LOOK_EVERY", 0.1)
        inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url)]
        master = await self.start_master(configuration(services, BUILDERS))
        for name in ("success", "failure", "success"):
            await master.build(name)
        await inbox.until(6)
        return inbox, master

    @async_to_deferred
    async def test_new_receiver(self) -> None:
        """A receiver that has lost all gets the ends again, with their ids and in their order."""
        inbox, _ = await self.begin()
        ends = [each.id for each in inbox.statuses if each.event == "builds.finished"]
        inbox.forget()
        code, told = await self.command("--since", "1h", "--dry-run")
        self.assertEqual((code, told["total"]), (0, 3))
        code, told = await self.command("--since", "1h")
        self.assertEqual((code, told), (0, {"stage": "done", "done": 3, "total": 3}))
        await inbox.until(3)
        self.assertEqual([each.id for each in inbox.statuses], ends)
        self.assertEqual([each["results"] for each in inbox.builds], [SUCCESS, FAILURE, SUCCESS])
        code, stats, _ = await deferToThread(
            run, "outbox", "stats", "--basedir", str(self.folder / "master"), "--json"
        )
        self.assertEqual((code, json.loads(stats)["all"]["produced"]), (0, 6))
        inbox.forget()
        code, told = await self.command("--since", "1h", "--builder", "nope", "--dry-run")
        self.assertEqual((code, told["total"]), (0, 0))
        await self.command("--since", "1h", "--builder", "failure")
        await inbox.until(1)
        self.assertEqual(inbox.seen(), [("failure", 1, "builds.finished")])

    @async_to_deferred
    async def test_reasons(self) -> None:
        """A board's memory begins with older builds: their failing lines and tests come too."""
        self.patch(backfill, "LOOK_EVERY", 0.1)
        inbox, url = await self.open_inbox()
        builders = {"linux": [FailsInTurn(FAILURE)]}
        master = await self.start_master(configuration([HttpStatusPush(url)], builders))
        for _ in range(4):
            await master.build("linux")
        await inbox.until(8)
        inbox.forget()
        push = HttpStatusPush(url, want_excerpts=True, want_tests=True)
        await master.reconfigure(configuration([push], builders))
        code, _ = await self.command("--since", "1h")
        self.assertEqual(code, 0)
        await inbox.until(4)
        store = Store(reactor, maybeDeferred, file_url(self.folder / "board.sqlite"))
        await store.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        for each in inbox.statuses:
            status = read(each.body)
            assert status is not None
            await store.put(status)
        [builder] = await store.builders(Filter())
        assert builder.memory is not None
        assert builder.tests is not None
        reasons = {(each.rule, each.text) for each in builder.memory.reasons}
        self.assertEqual(reasons, {("pytest", LINE), ("test", "test_sum")})
        self.assertEqual((builder.memory.state, builder.memory.earlier), ("recurring", 1))
        self.assertEqual((builder.tests.names, builder.tests.new), (("test_sum",), 1))

    @async_to_deferred
    async def test_no_master(self) -> None:
        """Where no master runs, Ctrl-C leaves it for the next one, and --stop takes it back."""
        _, master = await self.begin()
        await master.stop()
        where = ("--basedir", str(self.folder / "master"))
        waiting = Command("outbox", "backfill", *where, "--since", "1h")
        self.addCleanup(waiting.kill)
        await deferToThread(self.until_asked, where)
        waiting.interrupt()
        code, _, errors = await deferToThread(waiting.end)
        self.assertEqual(code, 1)
        self.assertIn("the backfill continues in the master", errors)
        for code in (0, 1):
            ended, _, _ = await deferToThread(run, "outbox", "backfill", *where, "--stop")
            self.assertEqual(ended, code)

    def until_asked(self, where: tuple[str, ...]) -> None:
        """Wait until the request is written down."""
        from buildbot_http_status_push.commands.outbox_access import OUTBOX_FILE
        from buildbot_http_status_push.outbox import backfill as kept
        from buildbot_http_status_push.outbox.schema import open_database

        database = open_database(file_url(self.folder / "master" / OUTBOX_FILE))
        try:
            while database.transact([lambda one: kept.find(one, "HttpStatusPush")]) == [None]:
                pass
        finally:
            database.close()
