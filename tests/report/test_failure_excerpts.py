"""The body's ``excerpts``: which logs are read, how much of them, and on a real master."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import jsonschema
from buildbot.process.results import CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS
from buildbot.steps.shell import ShellCommand
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet import defer, reactor
from twisted.trial import unittest

from buildbot_http_status_push.report.contract import body_schema
from buildbot_http_status_push.report.default_generator import faults
from buildbot_http_status_push.report.failure_excerpts import CALLS_MOST, Reader, candidates
from buildbot_http_status_push.reporter import HttpStatusPush

BUILD = {"buildid": 1, "builderid": 2, "number": 3, "results": FAILURE}


class FakeData:
    """A data API that knows the logs of steps."""

    def __init__(self, logs: dict[str, str], kind: str) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.contents = list(logs.values())
        self.logs = [
            {"logid": n, "name": name, "slug": name, "type": kind, "num_lines": text.count("\n")}
            for n, (name, text) in enumerate(logs.items())
        ]

    async def get(self, path: tuple[Any, ...], offset: int = 0, limit: int = 0) -> Any:
        """Return a step's logs, or some lines of one."""
        self.calls.append((*path, offset, limit))
        if path[0] == "steps":
            return self.logs
        lines = self.contents[path[1]].splitlines(keepends=True)
        return {"content": "".join(lines[offset : offset + limit])}


class FakeMaster:
    """A master with a data API and the real reactor's threads."""

    def __init__(self, logs: dict[str, str], kind: str = "t") -> None:
        self.data = FakeData(logs, kind)
        self.reactor = reactor
        self.config = self
        self.buildbotURL = "http://ci.example/"  # Buildbot's name


def step(**more: Any) -> dict[str, Any]:
    """Return a failed step."""
    return {"stepid": 7, "name": "test", "number": 4, "results": FAILURE, "hidden": False, **more}


def numbered(first: int, last: int) -> str:
    """Return lines in which nothing failed."""
    return "".join(f"step {number}\n" for number in range(first, last))


class ReaderTest(unittest.TestCase):
    """What is read of the logs, and what it costs."""

    timeout = 60

    async def read(
        self,
        master: FakeMaster,
        steps: Sequence[dict[str, Any]] = (step(),),
        own: Any = None,
        secrets: Sequence[str] = (),
        **build: Any,
    ) -> list[dict[str, Any]]:
        """Return the excerpts of a build."""
        reader = Reader(master, own, secrets)
        return await reader.excerpts({**BUILD, **build}, steps, ["junit*"])

    @async_to_deferred
    async def test_excerpt(self) -> None:
        """An excerpt names the step, the log, its page and the lines with their numbers."""
        text = numbered(1, 300) + "a.c:1:1: error: bad\n"
        (found, *_) = await self.read(FakeMaster({"stdio": text}))
        self.assertEqual(found["url"], "http://ci.example/#/builders/2/builds/3/steps/4/logs/stdio")
        self.assertEqual((found["stepid"], found["step"], found["log"]), (7, "test", "stdio"))
        at = found["matched"][0]
        self.assertEqual(
            (found["first_line"] + at, found["lines"][at]), (300, "a.c:1:1: error: bad")
        )
        self.assertEqual((found["rule"], found["cut"]), ("compiler", False))

    @async_to_deferred
    async def test_only_failures(self) -> None:
        """Builds that did not fail cost nothing, nor do hidden steps and those that passed."""
        master = FakeMaster({"stdio": "a.c:1:1: error: bad\n"})
        for results in (SUCCESS, WARNINGS, CANCELLED):
            self.assertEqual(await self.read(master, results=results), [])
            self.assertEqual(await self.read(master, [step(results=results)]), [])
        self.assertEqual(await self.read(master, [step(hidden=True)]), [])
        self.assertEqual(master.data.calls, [])
        self.assertNotEqual(await self.read(master, [step(results=EXCEPTION)]), [])

    @async_to_deferred
    async def test_five_steps(self) -> None:
        """Of many failed steps the first five are read."""
        master = FakeMaster({"stdio": "a.c:1:1: error: bad\n"})
        found = await self.read(master, [step(stepid=n) for n in range(9)])
        self.assertEqual([each["stepid"] for each in found], [0, 1, 2, 3, 4])

    @async_to_deferred
    async def test_end_first(self) -> None:
        """The last 500 lines are enough where they hold a reason, else more are read."""
        near = FakeMaster({"stdio": numbered(0, 5000) + "a.c:1:1: error: bad\n"})
        await self.read(near)
        self.assertEqual(near.data.calls[1:], [("logs", 0, "contents", 4501, 500)])
        far = FakeMaster({"stdio": "a.c:1:1: error: bad\n" + numbered(0, 1500)})
        (found, *_) = await self.read(far)
        self.assertEqual(found["rule"], "compiler")
        none = FakeMaster({"stdio": numbered(0, 9000)})
        (found, *_) = await self.read(none)
        self.assertEqual([call[3] for call in none.data.calls[1:]], [8500, 8000, 7500, 7000])
        self.assertEqual(found["rule"], "last-lines")

    @async_to_deferred
    async def test_large(self) -> None:
        """No more is read once 512 KiB were, and a step costs eight calls at most."""
        large = FakeMaster({"stdio": ("x" * 2000 + "\n") * 3000})
        await self.read(large)
        self.assertEqual(len(large.data.calls), 2)
        many = FakeMaster({f"FAIL: {n}": numbered(0, 3000) for n in range(20)})
        await self.read(many)
        self.assertLessEqual(len(many.data.calls), CALLS_MOST)

    @async_to_deferred
    async def test_telling_logs(self) -> None:
        """A log named after a failure is read before ``stdio``, and instead of it if it tells."""
        telling = {"stdio": "b.c:1:1: error: bad\n", "FAIL: a": "E   assert 3 == 4\n"}
        self.assertEqual(
            [each["log"] for each in await self.read(FakeMaster(telling))], ["FAIL: a"]
        )
        silent = {"stdio": "b.c:1:1: error: bad\n", "errors": "none here\n"}
        found = await self.read(FakeMaster(silent))
        self.assertEqual([each["log"] for each in found], ["stdio"])

    def test_candidates(self) -> None:
        """Without ``stdio`` the last text log is read that is no test's, and no HTML."""
        data = FakeData({"junit.xml": "x\n", "a": "x\n", "b": "x\n", "junit": "x\n", "e": ""}, "t")
        self.assertEqual(
            [log["name"] for log in list(candidates("s", data.logs, ["junit*"]))[1]], ["b"]
        )
        html = FakeData({"err.html": "x\n", "stdio": "x\n"}, "h")
        self.assertEqual(list(candidates("s", html.logs, [])), [[], []])

    @async_to_deferred
    async def test_streams(self) -> None:
        """The letters of streams are gone, header lines count, the environment does not."""
        lines = "hmake check\nh  TOKEN=error\noone\nhcommand timed out: 20 seconds\n"
        (found,) = await self.read(FakeMaster({"stdio": lines}, "s"))
        self.assertEqual(found["lines"], ["make check", "", "one", "command timed out: 20 seconds"])
        self.assertEqual(found["rule"], "buildbot-timeout")

    @async_to_deferred
    async def test_commands(self) -> None:
        """What a command is called with says nothing of why it failed, whatever words are in it."""
        for said in ("no tests today", "command timed out: 20 seconds"):
            kind = "h" if "timed" in said else "o"
            start = "hgit fetch\nh in dir /b\nh using PTY: False\noDone\nhelapsedTime=0.1\n"
            start += "hsh -c 'cat a.xml;\nhecho error: FAILED'\nh in dir /b\nh argv: [b'error:']\n"
            log = f"{start}h using PTY: False\n{kind}{said}\nhprogram finished with exit code 1\n"
            (found,) = await self.read(FakeMaster({"stdio": log}, "s"))
            matched = [found["lines"][each] for each in found["matched"]]
            self.assertIn(said, matched)
            self.assertNotIn("git fetch", found["lines"])
            self.assertNotIn("error: FAILED", str(found))

    @async_to_deferred
    async def test_secrets(self) -> None:
        """Known secrets are hidden, also where a line is cut within one."""
        text = f"error: {'x' * 985}hunter2hunter2 hunter2hunter2\nhunter2hunter2\n"
        found = await self.read(FakeMaster({"stdio": text}), secrets=["hunter2hunter2"])
        self.assertNotIn("hunter", str(found))
        self.assertIn("***", str(found))

    @async_to_deferred
    async def test_own_rules(self) -> None:
        """Rules of the configuration hold before the others."""
        text = "a.c:1:1: error: bad\n" + numbered(0, 60) + "no licence for quartz\n"
        own = [("licence", r"no licence for (?P<what>\w+)")]
        (found, *_) = await self.read(FakeMaster({"stdio": text}), own=own)
        self.assertEqual(found["rule"], "licence")


class OptionsTest(unittest.TestCase):
    """The options at checkconfig."""

    def test_right(self) -> None:
        """Rules are pairs of a name and a pattern that RE2 knows."""
        for own in (None, [], [("a", "b+")], (["a", "(?i)b"],)):
            self.assertEqual(list(faults({"want_excerpts": True, "excerpt_rules": own})), [])

    def test_wrong(self) -> None:
        """Everything else is reported, with what to write."""
        for own, expected in (
            ("licence", "a list of up to 50 pairs"),
            ([("a", "b")] * 51, "a list of up to 50 pairs"),
            (["ab"], "a pair of name and pattern"),
            ([("a", "")], "a pair of name and pattern"),
            ([("a", "(b")], "the pattern '(b' of 'a' is not valid: missing )"),
            ([("a", r"(b)\1")], "is not valid"),
            ([("a", "b" * 501)], "has 501 characters: write at most 500"),
        ):
            (found,) = faults({"excerpt_rules": own})
            self.assertIn(expected, found)
        self.assertEqual(len(list(faults({"want_excerpts": "yes"}))), 1)


class Broken(EndWith):
    """A step with a fault of its own."""

    @defer.inlineCallbacks
    def run(self) -> Any:
        """Raise."""
        yield self.addLog("notes")
        raise ValueError("the price list is empty")


def script(name: str, text: str, **more: Any) -> ShellCommand:
    """Return a step that runs a Python script on the worker."""
    return ShellCommand(name=name, command=[sys.executable, "-c", text], usePTY=False, **more)


class MasterTest(ReporterTestCase):
    """Excerpts of a real master and worker."""

    async def run_steps(self, steps: list[Any]) -> tuple[Any, Any]:
        """Run a build; return ``excerpts`` of its start and its finish, None where it has none."""
        inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, want_excerpts=True)]
        self.master = await self.start_master(configuration(services, {"b": steps}))
        await self.master.build("b")
        await inbox.until(2)
        for body in inbox.builds:
            jsonschema.validate(body, body_schema())
        start, finish = inbox.builds
        return start.get("excerpts"), finish.get("excerpts")

    @async_to_deferred
    async def test_kinds(self) -> None:
        """A traceback, a time-out and a step's exception are what the body shows."""
        steps = [
            script("passes", "print('error: none')"),
            script("raises", "open('missing.toml')", haltOnFailure=False),
            script("hangs", "import time; time.sleep(60)", timeout=1, haltOnFailure=False),
            Broken(FAILURE),
        ]
        start, found = await self.run_steps(steps)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertIsNone(start)
        lines = {each["step"]: [each["lines"][at] for at in each["matched"]] for each in found}
        self.assertIn("missing.toml", lines["raises"][-1])
        self.assertIn("command timed out: 1 seconds", "\n".join(lines["hangs"]))
        self.assertIn("ValueError: the price list is empty", "\n".join(lines["end"]))
        self.assertNotIn("passes", lines)

    @async_to_deferred
    async def test_success(self) -> None:
        """A build that passes has no excerpts."""
        self.assertEqual(await self.run_steps([script("passes", "print('error')")]), (None, None))

    @async_to_deferred
    async def test_hidden(self) -> None:
        """A hidden step's log stays hidden."""
        steps = [script("secretive", "1/0", hideStepIf=True), EndWith(FAILURE)]
        _, found = await self.run_steps(steps)
        self.assertNotIn("ZeroDivisionError", str(found))
