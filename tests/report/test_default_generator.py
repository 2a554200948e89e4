"""The default generator's options, in a real master."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.plugins import reporters
from buildbot.process.results import FAILURE, SUCCESS
from buildbot.reporters.generators.build import BuildStatusGenerator
from buildbot.reporters.message import MessageFormatter, MessageFormatterFunction
from buildbot.steps.shell import ShellCommand
from buildbot.util.twisted import async_to_deferred
from buildbot.warnings import DeprecatedApiWarning
from support.inbox import Inbox
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial import unittest

from buildbot_http_status_push.report import state_catchup
from buildbot_http_status_push.report.default_generator import DefaultGenerator
from buildbot_http_status_push.reporter import HttpStatusPush

SUCCEED = {"success": [EndWith(SUCCESS)]}


class Shape(ReporterTestCase):
    """What a user can make of the body."""

    async def bodies(self, *, builders: Any = None, builds: int = 1, **options: Any) -> Inbox:
        """Run builds with a reporter of these options, and return what came of them."""
        inbox, url = await self.open_inbox()
        builders = builders or SUCCEED
        services = [HttpStatusPush(url, **options)]
        self.master = await self.start_master(configuration(services, builders))
        for _ in range(builds):
            await self.master.build(next(iter(builders)))
        return inbox

    @async_to_deferred
    async def test_format_fn(self) -> None:
        """A function of the build says what is sent; its build has times as the data API gives."""
        seen: list[dict[str, Any]] = []

        def format_fn(build: dict[str, Any]) -> Any:
            seen.append(build)
            build["builder"]["name"] = "spoilt"
            return {"number": build["number"], "done": build["complete"]}

        inbox = await self.bodies(format_fn=format_fn, builds=2)
        await inbox.until(4)
        self.assertEqual(
            inbox.builds,
            [{"number": number, "done": done} for number in (1, 2) for done in (False, True)],
        )
        self.assertIsInstance(seen[0]["started_at"], datetime)
        self.assertEqual([type(build["properties"]) for build in seen], [dict] * 4)

    @async_to_deferred
    async def test_format_fn_may_take_its_time(self) -> None:
        """A Deferred and a coroutine are waited for; a text is sent as text; None is not sent."""

        async def later(value: Any) -> Any:
            return value

        answers = {
            (1, False): lambda: succeed("ünì"),
            (1, True): lambda: None,
            (2, False): lambda: later([1, 2]),
            (2, True): lambda: succeed(None),
            (3, False): lambda: later(None),
            (3, True): lambda: 7,
        }
        inbox = await self.bodies(
            format_fn=lambda build: answers[build["number"], build["complete"]](), builds=3
        )
        await inbox.until(3)
        self.assertEqual(
            [(each.headers["content-type"], each.body.decode()) for each in inbox.statuses],
            [
                ("text/plain; charset=utf-8", "ünì"),
                ("application/json", "[1, 2]"),
                ("application/json", "7"),
            ],
        )

    @async_to_deferred
    async def test_format_fn_fails(self) -> None:
        """An exception in format_fn is one line that names it and the build; others are sent."""

        def picky(build: dict[str, Any]) -> Any:
            if build["number"] == 1:
                raise KeyError("colour")
            return build["number"]

        with capturedLogs() as lines:
            inbox = await self.bodies(format_fn=picky, builds=2)
            await inbox.until(2)
        self.assertEqual(inbox.builds, [2, 2])
        told = [each for each in lines if "format_fn" in (each.get("log_format") or "")]
        self.assertEqual(
            [(each["title"], each["kind"], str(each["trouble"])) for each in told],
            [("build success#1", "KeyError", "'colour'")] * 2,
        )

    @async_to_deferred
    async def test_detail_of_board(self) -> None:
        """What the board shows comes by one option: steps, links to logs, changes and the title.

        And requests, workers and builders.
        """
        self.patch(state_catchup, "SETTLED", 0.0)
        command = ShellCommand(command=["echo", "hello"], name="say")
        inbox = await self.bodies(builders={"one": [command]}, detail="board")
        whole = {"requests.complete", "builds.finished", "workers.connected", "builders.configured"}
        await inbox.when(lambda: whole <= {str(each.event) for each in inbox.statuses})
        [body] = [each for each in inbox.builds if "buildid" in each and each["complete"]]
        [step] = [each for each in body["steps"] if each["name"] == "say"]
        self.assertEqual([each["name"] for each in step["logs"]], ["stdio"])
        self.assertNotIn("content", step["logs"][0])
        self.assertEqual(body["changes"], [])
        config = self.master.master.config
        self.assertEqual(body["master"], {"title": config.title, "url": config.buildbotURL})

    @async_to_deferred
    async def test_steps_and_logs(self) -> None:
        """Steps, their logs and the logs' contents come where they are asked for."""
        step = ShellCommand(name="say", command=["echo", "hello"])
        inbox = await self.bodies(builders={"say": [step]}, want_logs_content=["say.stdio"])
        await inbox.until(2)
        [log] = [log for step in inbox.builds[1]["steps"] for log in step["logs"]]
        self.assertIn("hello", log["content"]["content"])
        self.assertTrue(log["url"].endswith("/steps/1/logs/stdio"), log["url"])
        self.assertEqual((log["stepname"], log["name"]), ("say", "stdio"))

    @async_to_deferred
    async def test_max_body(self) -> None:
        """A body over max_body has its log contents cut, marked with their full length."""
        step = ShellCommand(name="say", command=["seq", "1", "5000"])
        with capturedLogs() as lines:
            inbox = await self.bodies(
                builders={"say": [step]}, want_logs_content=True, max_body=8000
            )
            await inbox.until(2)
        self.assertLessEqual(len(inbox.statuses[1].body), 8000)
        [log] = [log for step in inbox.builds[1]["steps"] for log in step["logs"]]
        self.assertTrue(log["content"]["cut"])
        self.assertGreater(log["content"]["full_length"], 20000)
        self.assertEqual(
            [each["logs"] for each in lines if "max_body" in (each.get("log_format") or "")],
            ["say.stdio"],
        )

    @async_to_deferred
    async def test_no_properties(self) -> None:
        """Without want_properties the properties are empty, as the data API gives them."""
        inbox = await self.bodies(want_properties=False)
        await inbox.until(2)
        self.assertEqual([build["properties"] for build in inbox.builds], [{}, {}])

    @async_to_deferred
    async def test_filters(self) -> None:
        """Builders, schedulers, branches, tags and results choose what is sent."""
        inbox, url = await self.open_inbox()
        filters = {
            "builders": {"builders": ["failure"]},
            "results": {"results": ["failure"]},
            "branches": {"branches": ["stable"]},
            "schedulers": {"schedulers": ["nightly"]},
            "tags": {"tags": ["slow"]},
        }
        services = [
            HttpStatusPush(
                url,
                name=name,
                format_fn=lambda build, name=name: [
                    name,
                    build["builder"]["name"],
                    build["complete"],
                ],
                **options,
            )
            for name, options in filters.items()
        ]
        builders = {"failure": [EndWith(FAILURE)], **SUCCEED}
        config = configuration(services, builders)
        config["builders"][0].tags = ["slow"]
        master = await self.start_master(config)
        await master.build("success", properties={"scheduler": ("nightly", "test")})
        await master.build("failure", stamp={"branch": "stable"})
        await inbox.until(11)
        expected = [
            ["builders", "failure"],
            ["branches", "failure"],
            ["schedulers", "success"],
            ["tags", "failure"],
        ]
        wanted = [[*each, done] for each in expected for done in (False, True)]
        wanted += [["results", "failure", False], ["results", "failure", True]]
        wanted += [["results", "success", False]]
        self.assertCountEqual(inbox.builds, wanted)

    @async_to_deferred
    async def test_old_spellings(self) -> None:
        """The options' names of Buildbot 0.9 to 2 work, and say what to write."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            inbox = await self.bodies(wantSteps=True, wantPreviousBuild=True, builds=2)
            await inbox.until(4)
        told = [str(each.message) for each in caught if each.category is DeprecatedApiWarning]
        self.assertEqual(
            [each for each in told if "HttpStatusPush" in each],
            [
                "HttpStatusPush: wantSteps is the old spelling of want_steps: "
                "write want_steps=True",
                "HttpStatusPush: wantPreviousBuild is the old spelling of want_previous_build: "
                "write want_previous_build=True",
            ],
        )
        self.assertEqual(inbox.builds[3]["prev_build"]["number"], 1)
        self.assertIn("steps", inbox.builds[3])


class BranchTest(unittest.SynchronousTestCase):
    """Which builds are of a branch."""

    def test_every_codebase(self) -> None:
        """Each codebase's branch counts, and the property; None where there is none at all."""
        for stamps, properties, branches, wanted in (
            (["main", "stable"], {}, ["stable"], True),
            (["main", "stable"], {}, ["other"], False),
            (["main", "stable"], {}, [None], False),
            (["main", None], {}, [None], True),
            (["main"], {"branch": ("set by a step", "s")}, ["set by a step"], True),
            (["main"], {"branch": ("set by a step", "s")}, ["main"], True),
            (["main"], {"branch": (None, "s")}, [None], False),
            ([], {}, [None], True),
            (["main"], {}, None, True),
        ):
            build = {
                "builder": {"name": "b", "tags": []},
                "buildset": {"sourcestamps": [{"branch": each} for each in stamps]},
                "properties": properties,
            }
            generator = DefaultGenerator(branches=branches)
            self.assertEqual(generator._wants(build, finished=False), wanted)


class Cost(ReporterTestCase):
    """How often the data API is asked."""

    async def calls(self, reporter: HttpStatusPush, count: int) -> list[tuple[Any, ...]]:
        """Return what a reporter's generator asks the data API for a second build."""
        master = await self.start_master(configuration([reporter], SUCCEED))
        await master.build("success")
        await self.inbox.until(count)
        [generator] = reporter.generators
        generate, counting = type(generator).generate, CountingMaster(master.master)
        self.patch(
            type(generator),
            "generate",
            lambda generator, _, *arguments: generate(generator, counting, *arguments),
        )
        self.patch(reporter.cache, "_master", counting)
        await master.build("success")
        await self.inbox.until(2 * count)
        return counting.asked

    @async_to_deferred
    async def test_default(self) -> None:
        """A status costs one data API call, for its properties: events tell the rest."""
        self.inbox, url = await self.open_inbox()
        asked = await self.calls(HttpStatusPush(url), 2)
        self.assertEqual([path[-1] for path in asked], ["properties", "properties"])

    @async_to_deferred
    async def test_users_nobody_sees(self) -> None:
        """Responsible users are not looked up for formatters that can't see them."""
        self.inbox, url = await self.open_inbox()
        formatter = MessageFormatterFunction(lambda context: {"a": 1}, "json")
        generators = [BuildStatusGenerator(message_formatter=formatter)]
        asked = await self.calls(HttpStatusPush(url, generators=generators), 1)
        self.assertNotIn("changes", [path[-1] for path in asked])

    @async_to_deferred
    async def test_users_somebody_sees(self) -> None:
        """Responsible users are looked up for a formatter that can see them."""
        self.inbox, url = await self.open_inbox()
        formatter = MessageFormatter(template="by {{ blamelist }}")
        generators = [BuildStatusGenerator(message_formatter=formatter)]
        asked = await self.calls(HttpStatusPush(url, generators=generators), 1)
        self.assertEqual(self.inbox.statuses[0].body, b"by []")
        self.assertIn("changes", [path[-1] for path in asked])


class CountingMaster:
    """A master that notes what its data API is asked."""

    def __init__(self, master: Any) -> None:
        self._master = master
        self.data = self
        self.asked: list[tuple[Any, ...]] = []

    def get(self, path: tuple[Any, ...], **more: Any) -> Deferred[Any]:
        """Ask the real data API."""
        self.asked.append(path)
        return self._master.data.get(path, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._master, name)


class Faults(unittest.SynchronousTestCase):
    """What checkconfig says of wrong values."""

    def test_faults(self) -> None:
        """Each wrong value is told with what would be right."""
        wrong = {
            "format_fn": ("x", "format_fn is a str: write a function of the build"),
            "builders": ("b", "builders is a str: write a list of names, or leave it out"),
            "tags": ([1], "tags holds 1: write a list of names, or leave it out"),
            "want_steps": (1, "want_steps is 1: write True or False"),
            "want_logs_content": (
                "stdio",
                "want_logs_content is 'stdio': write True, False or a list of log names",
            ),
            "max_body": (0, "max_body is 0: write bytes, such as max_body=16 * 1024 * 1024"),
        }
        for name, (value, text) in wrong.items():
            with self.assertRaises(ConfigErrors) as caught:
                HttpStatusPush("http://example.com/", **{name: value})
            self.assertEqual(caught.exception.errors, [f"HttpStatusPush: {text}"])

    def test_with_generators(self) -> None:
        """An option of the default generator together with generators is an error."""
        with self.assertRaises(ConfigErrors) as caught:
            HttpStatusPush(
                "http://example.com/",
                generators=[reporters.BuildStatusGenerator()],
                want_steps=True,
            )
        self.assertEqual(
            caught.exception.errors,
            [
                "HttpStatusPush: want_steps shapes the default generator: "
                "leave it out where generators is given"
            ],
        )
