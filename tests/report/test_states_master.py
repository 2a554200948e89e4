"""Requests, workers and builders of a real master: what was delivered agrees with its data API."""

from __future__ import annotations

from typing import Any

from buildbot.plugins import worker
from buildbot.process.results import CANCELLED, SUCCESS
from buildbot.util.twisted import async_to_deferred
from jsonschema import Draft202012Validator
from report.test_contract import strict
from support.inbox import Inbox
from support.master import EndWith, Master, ReporterTestCase, configuration
from twisted.internet.defer import Deferred

from buildbot_http_status_push.report import state_catchup
from buildbot_http_status_push.report.contract import body_schema
from buildbot_http_status_push.report.state_generators import StateGenerator
from buildbot_http_status_push.reporter import HttpStatusPush

WANTS = {"want_requests": True, "want_workers": True, "want_builders": True}
IDS = {"requests": "buildrequestid", "workers": "workerid", "builders": "builderid"}
COMPARED = {
    "requests": ("claimed", "claimed_by_masterid", "complete", "builderid", "priority"),
    "workers": ("name", "connected_to", "paused", "graceful"),
    "builders": ("name", "masterids", "description", "tags"),
}


def config(services: list[Any], *names: str) -> dict[str, Any]:
    """Return a configuration with two workers and these builders, of which one can't build."""
    steps = {"success": [EndWith(SUCCESS)], **{name: [] for name in names}}
    found = configuration(services, steps)
    found["workers"].append(worker.LocalWorker("second", missing_timeout=0))
    for builder in found["builders"][1:]:
        builder.workernames = ["second"]
        builder.tags, builder.collapseRequests = ["more"], False
        if builder.name == "waiting":
            builder.canStartBuild = lambda *_: False
    return found


def newest(inbox: Inbox, kind: str) -> dict[int, dict[str, Any]]:
    """Return the newest body of each request, worker or builder, by its id."""
    bodies = [each for each in inbox.builds if each.get("schema") == f"{kind}-1"]
    ordered = sorted(bodies, key=lambda each: (each["reported_at"], each.get("complete", False)))
    return {each[IDS[kind]]: each for each in ordered}


class Broken(StateGenerator):
    """A generator that raises."""

    async def _generate(self, *_: Any) -> None:
        raise ZeroDivisionError


class States(ReporterTestCase):
    """What a reporter sends beside builds."""

    def setUp(self) -> None:
        """Look at the inventory at once."""
        super().setUp()
        self.patch(state_catchup, "SETTLED", 0.05)

    async def until_agreed(self, inbox: Inbox, master: Master) -> None:
        """Wait until what was delivered agrees with the data API, and hold bodies to the schema."""
        truth = {
            kind: list(await master.master.data.get((path,)))
            for kind, path in zip(IDS, ("buildrequests", "workers", "builders"), strict=True)
        }
        await inbox.when(lambda: not differences(inbox, truth))
        for body in inbox.builds:
            if "schema" in body:
                kind = body["schema"].partition("-")[0]
                validator = Draft202012Validator(strict(body_schema(kind=kind)))
                self.assertEqual([each.message for each in validator.iter_errors(body)], [])
        for status, body in zip(inbox.statuses, inbox.builds, strict=True):
            self.assertEqual(status.event, body.get("event", status.event))

    async def cancel(self, master: Master, request: int) -> None:
        """Cancel a request that waits."""
        done: Deferred[Any] = Deferred()
        start = master.master.mq.startConsuming
        consumer = await start(lambda *_: done.callback(None), ("buildrequests", None, "complete"))
        await master.master.data.control("cancel", {"reason": "test"}, ("buildrequests", request))
        await done
        consumer.stopConsuming()

    @async_to_deferred
    async def test_one_that_raises(self) -> None:
        """A report that can't be made holds up no other, is logged once, and is made later."""
        self.patch(state_catchup, "SOON", 0.05)
        inbox, url = await self.open_inbox()
        failures = ["workers", "buildrequests", "builders"]
        make = StateGenerator._generate_safely

        def fail_once(generator: StateGenerator, *event: Any) -> Any:
            made = make(generator, *event)
            if generator.kind not in failures:
                return made
            failures.remove(generator.kind)
            made.close()
            return make(Broken(generator.wants), *event)

        self.patch(StateGenerator, "_generate_safely", fail_once)
        master = await self.start_master(config([HttpStatusPush(url, **WANTS)], "waiting"))
        await master.submit("waiting")
        await master.submit("waiting")
        await self.until_agreed(inbox, master)
        self.assertEqual(failures, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    @async_to_deferred
    async def test_request_before_the_first_scan(self) -> None:
        """A request between the reporter's start and its first scan is reported once."""
        self.patch(state_catchup, "SETTLED", 3600.0)
        make, made = StateGenerator._generate_safely, list[tuple[str, ...]]()

        def record(generator: StateGenerator, master: Any, reporter: Any, *event: Any) -> Any:
            made.append(event[0])
            return make(generator, master, reporter, *event)

        self.patch(StateGenerator, "_generate_safely", record)
        inbox, url = await self.open_inbox()
        reporter = HttpStatusPush(url, want_requests=True)
        master = await self.start_master(config([reporter], "waiting"))
        await master.submit("waiting")
        await inbox.when(lambda: bool(newest(inbox, "requests")))
        await reporter._states.scan()
        self.assertEqual(made, [("buildrequests", "1", "new")])

    @async_to_deferred
    async def test_agrees(self) -> None:
        """A life with a stopped worker, waiting and cancelled requests, and a renamed builder."""
        inbox, url = await self.open_inbox()

        def services() -> list[Any]:
            return [HttpStatusPush(url, **WANTS, want_changes=True)]

        master = await self.start_master(config(services(), "waiting", "old", "never"))
        await self.until_agreed(inbox, master)
        await master.build("success")
        for _ in range(3):
            await master.submit("waiting", codebases=("a", "b"))
        await self.until_agreed(inbox, master)
        await self.cancel(master, 2)
        master.master.workers.workers["second"].conn.loseConnection()
        await self.until_agreed(inbox, master)
        gone = next(each for each in newest(inbox, "workers").values() if each["name"] == "second")
        self.assertFalse(gone["connected"])
        self.assertIsNotNone(gone["disconnected_at"])
        await master.reconfigure(config(services(), "waiting", "new", "never"))
        await self.until_agreed(inbox, master)
        builders = {each["name"]: each["removed"] for each in newest(inbox, "builders").values()}
        names = dict.fromkeys(("success", "waiting", "never", "new"), False)
        self.assertEqual(
            {**names, "old": True}, {k: v for k, v in builders.items() if k in {*names, "old"}}
        )
        self.assertEqual(newest(inbox, "requests")[2]["event"], "requests.cancelled")
        # Buildbot's own: it tries to start a build for a worker that has gone meanwhile.
        self.flushLoggedErrors(AttributeError)
        # What happens while the reporter is away is found when it is back.
        await master.stop()
        master = await self.start_master(config([], "waiting", "new"))
        await self.cancel(master, 3)
        await master.build("success")
        await master.stop()
        master = await self.start_master(config(services(), "waiting", "new"))
        await self.until_agreed(inbox, master)
        self.assertEqual(newest(inbox, "requests")[3]["results"], CANCELLED)
        self.assertTrue(
            next(each for each in newest(inbox, "builders").values() if each["name"] == "never")[
                "removed"
            ]
        )


def differences(inbox: Inbox, truth: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Say what was delivered otherwise than it is."""
    found = []
    for kind, rows in truth.items():
        known = newest(inbox, kind)
        for row in rows:
            body = known.get(row[IDS[kind]], {})
            found += [
                f"{kind} {row[IDS[kind]]}: {name} is {row[name]!r}, reported {body.get(name)!r}"
                for name in COMPARED[kind]
                if body.get(name) != row[name]
            ]
    return found
