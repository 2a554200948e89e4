"""The body's ``tests``, on a real master: JUnit logs from a worker, and test result sets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import jsonschema
from buildbot.process.results import FAILURE
from buildbot.steps.shell import ShellCommand
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet import defer

from buildbot_http_status_push.report.contract import body_schema
from buildbot_http_status_push.report.test_results import is_wanted
from buildbot_http_status_push.reporter import HttpStatusPush

REPORTS = Path(__file__).parent / "junit"


def reporting(name: str, *logs: str, fails: bool = False) -> ShellCommand:
    """Return a step that writes a report and has it uploaded as logs."""
    copy = f"import shutil; shutil.copyfile({str(REPORTS / name)!r}, 'report.xml')"
    command = [sys.executable, "-c", copy + ("; raise SystemExit(1)" if fails else "")]
    logfiles = dict.fromkeys(logs, "report.xml")
    return ShellCommand(name=name, command=command, logfiles=logfiles, usePTY=False)


class WithResults(EndWith):
    """A step that stores test results in the master's database."""

    @defer.inlineCallbacks
    def run(self) -> Any:
        """Store results of two categories, and some of a category that has no tests."""
        add = self.addTestResultSet
        setid = yield add("unit", "pass_fail", "boolean")
        self.addTestResult(setid, "1", test_name="ok", duration_ns=1_500_000_000)
        self.addTestResult(setid, "0", test_name="bad", test_code_path="a.py", line=3)
        lint = yield add("lint", "code_issue", "message")
        self.addTestResult(lint, "unused import", test_code_path="b.py", line=9)
        yield add("speed", "performance", "ms")
        return self.result


class TestsTest(ReporterTestCase):
    """What the worker's tests become."""

    async def run_tests(self, steps: list[Any], wanted: Any = True) -> list[Any]:
        """Run a build, and return ``tests`` of its start and its finish, None where it has none."""
        inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, want_tests=wanted)]
        self.master = await self.start_master(configuration(services, {"b": steps}))
        await self.master.build("b")
        await inbox.until(2)
        for body in inbox.builds:
            jsonschema.validate(body, body_schema())
        return [body.get("tests") for body in inbox.builds]

    @async_to_deferred
    async def test_junit(self) -> None:
        """JUnit logs of all steps are counted together, those of other names are not read."""
        steps = [
            reporting("pytest.xml", "junit", "not-read", fails=True),
            reporting("ctest.xml", "report.xml"),
        ]
        start, tests = await self.run_tests(steps)
        self.assertIsNone(start)
        self.assertEqual(
            {**tests["totals"], "seconds": 0},
            {"passed": 11, "failed": 7, "errors": 2, "skipped": 6, "seconds": 0},
        )
        self.assertEqual(
            [(each["name"], each["log"]) for each in tests["suites"]],
            [("pytest", "junit"), ("(empty)", "report.xml")],
        )
        self.assertEqual(len(tests["failures"]), 9)
        self.assertEqual((tests["omitted"], tests["problems"]), (0, []))

    @async_to_deferred
    async def test_names(self) -> None:
        """A list names the logs to read, with their step where only that one's is meant."""
        steps = [reporting("node.xml", "out", fails=True), reporting("bats.xml", "out")]
        _, tests = await self.run_tests(steps, ["bats*.out"])
        self.assertEqual([each["name"] for each in tests["failures"]], ["a.bats.bad"])

    @async_to_deferred
    async def test_long_log(self) -> None:
        """A log that takes several data API calls is read whole."""
        lines = "".join(f"print('<testcase name=\"{n}\"/>')\n" for n in (1, 2))
        script = (
            f"print('<testsuite>')\nfor _ in range(6000):\n  {lines.strip().replace(chr(10), '; ')}"
        )
        command = [sys.executable, "-c", script + "\nprint('</testsuite>')"]
        step = ShellCommand(name="long", command=command, usePTY=False)
        _, tests = await self.run_tests([step], ["stdio"])
        self.assertEqual((tests["totals"]["passed"], tests["problems"]), (12_000, []))

    @async_to_deferred
    async def test_result_sets(self) -> None:
        """Complete test result sets are included, those without tests are not."""
        _, tests = await self.run_tests([WithResults(FAILURE)])
        self.assertEqual(
            [(s["name"], s["passed"], s["failed"]) for s in tests["suites"]],
            [("unit", 1, 1), ("lint", 0, 1)],
        )
        self.assertEqual(
            [(f["name"], f["message"], f["file"], f["line"]) for f in tests["failures"]],
            [("bad", "", "a.py", 3), ("b.py", "unused import", "b.py", 9)],
        )

    @async_to_deferred
    async def test_none(self) -> None:
        """A build without such logs has no ``tests``."""
        self.assertEqual(await self.run_tests([EndWith(FAILURE)]), [None, None])

    def test_types(self) -> None:
        """Logs in HTML, and deleted ones, are not read."""
        for kind, read in (("s", True), ("t", True), ("h", False), ("d", False)):
            self.assertEqual(is_wanted("s", {"name": "junit", "type": kind}, ["junit*"]), read)
