"""Really failing builds of a real master, and what a real browser shows of them."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from buildbot.plugins import steps, util, worker
from buildbot.process.results import FAILURE
from buildbot.util.twisted import async_to_deferred
from support.board_process import BoardProcess
from support.browser import browser
from support.master import EndWith, Master, MasterTestCase, configuration
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from buildbot_http_status_push.reporter import HttpStatusPush

pytestmark = [pytest.mark.once, pytest.mark.timeout(900)]

TESTS = Path(__file__).parents[1]
CORPUS = TESTS / "excerpts/corpus"
REPORTS = TESTS / "report/junit"
REPORT = {"logfiles": {"junit": "report.xml"}, "lazylogfiles": True}
CARDS = "return [...document.querySelectorAll('li.red')].map((each) => each.innerText)"
ROW = """
const row = [...document.querySelectorAll("li.builder")].find((each) =>
  each.querySelector(".named").innerText.trim() === arguments[0]);
return row?.querySelector(".state")?.title ?? "";
"""
UNFOLD = "document.querySelector('.causes .fold').open = true"


def command(name: str, words: Any, **more: Any) -> Any:
    """Return a step that runs a command on the worker."""
    return steps.ShellCommand(name=name, command=words, usePTY=False, logEnviron=False, **more)


def shell(name: str, text: str, **more: Any) -> Any:
    """Return a step that runs a line of shell."""
    return command(name, ["sh", "-c", text], **more)


def python(name: str, text: str, *switches: str, **more: Any) -> Any:
    """Return a step that runs a script."""
    return command(name, [sys.executable, *switches, "-c", text], **more)


def tool(name: str, program: str, text: str, log: str) -> Any:
    """Return a step that runs a tool; where it is missing, one that prints what it prints."""
    return shell(name, text if shutil.which(program) else f"cat '{CORPUS / log}.log'; exit 2")


def pytest_of(text: str) -> list[str]:
    """Return the command that runs pytest on a file's text."""
    script = (
        "import os, pathlib, sys; os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1';"
        "import pytest;"
        f"pathlib.Path('test_units.py').write_text({text!r});"
        "sys.exit(pytest.main(['-q', '--color=no', '-p', 'no:cacheprovider', '--rootdir=.',"
        " '--override-ini=addopts=', '--junit-xml=report.xml', 'test_units.py']))"
    )
    return [sys.executable, "-c", script]


class Broken(EndWith):
    """A step with a fault of its own: its builds end as exceptions."""

    def run(self) -> Any:
        """Raise."""
        raise ValueError("the price list is empty")


@frozen
class Case:
    """A builder that fails.

    Args:
        step: What fails.
        says: What its card says.
    """

    step: Any
    says: str


REFUSED = "import socket; socket.create_connection(('127.0.0.1', 1))"
REDS = {
    "gcc": Case(
        tool("compile", "gcc", "echo 'int f(void) { return n; }' >a.c; gcc a.c", "gcc-undeclared"),
        "undeclared (first use in this function)",
    ),
    "pytest": Case(command("test", pytest_of("def test_mean(): assert 2 == 9\n")), "assert 2 == 9"),
    "segfault": Case(
        python("test", "import ctypes; ctypes.string_at(0)", "-X", "faulthandler"),
        "Segmentation fault",
    ),
    "hangs": Case(
        python("test", "import time; time.sleep(60)", timeout=1),
        "command timed out: 1 seconds without output",
    ),
    "syntax": Case(python("compile", "compile('def f(:', 'bad.py', 'exec')"), "SyntaxError"),
    "traceback": Case(python("report", "{}['price']"), "KeyError: 'price'"),
    "missing": Case(shell("build", "quartz-build --all"), "quartz-build: not found"),
    "killed": Case(shell("link", "kill -9 $$"), "process killed by signal 9"),
    "disk": Case(shell("pack", "cat /bin/sh >/dev/full"), "No space left on device"),
    "network": Case(python("fetch", REFUSED), "Connection refused"),
}
AGAIN = ("gcc", "pytest")

UNITS = {
    "r1": "def test_sum(): pass\ndef test_flips(): pass\n",
    "r2": (
        "import pathlib\ndef test_sum(): assert 3 == 4\n"
        "def test_flips():\n    seen = pathlib.Path('seen')\n"
        "    assert seen.exists() or seen.touch()\n"
    ),
    "r3": "def test_total(): assert 3 == 4\ndef test_flips(): pass\n",
}
"""The tests of each revision; those of the next one do not run at all."""


@util.renderer
def units(properties: Any) -> list[str]:
    """Return the command that runs a revision's tests."""
    text = UNITS.get(properties["revision"])
    if text is None:
        return [sys.executable, "-c", "raise SystemExit('error: no tests today')"]
    return pytest_of(text)


def reported(file: str, said: str) -> Any:
    """Return a step that leaves the report of a tool, and prints what the tool prints."""
    return shell("test", f"cp '{REPORTS / file}' report.xml; echo '{said}'; exit 1", **REPORT)


NODE = (
    "echo \"require('node:test')('adds', () => require('assert').equal(1, 2))\" >adds.test.js;"
    "node --test --test-reporter=junit adds.test.js >report.xml"
)
SUITES = {
    "units": command("test", units, **REPORT),
    "go": reported("gotestsum.xml", "--- FAIL: TestBad (0.00s)"),
    "gtest": reported("gtest.xml", "[  FAILED  ] Foo.Bad"),
    "ctest": reported("ctest.xml", "2 - bad (Failed)"),
    "node": shell("test", NODE, **REPORT) if shutil.which("node") else reported("node.xml", "adds"),
}


class RealBuildsTest(MasterTestCase):
    """A master with workers, a board, and a window."""

    timeout = 880

    def setUp(self) -> None:
        """Start the board, and open the window."""
        super().setUp()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.window = stack.enter_context(browser())
        self.board = stack.enter_context(BoardProcess.running())
        self.window.resize(1440, 900)

    async def start(self) -> Master:
        """Start the master."""
        push = HttpStatusPush(
            self.board.address, detail="board", want_excerpts=True, want_tests=True
        )
        failing = {name: each.step for name, each in REDS.items()}
        builders = {
            **SUITES,
            **failing,
            "broken": Broken(FAILURE),
            "lost": python("test", "import time; time.sleep(900)"),
        }
        config = configuration([push], {name: [step] for name, step in builders.items()})
        config["workers"] = [
            worker.LocalWorker("local", max_builds=2, missing_timeout=0),
            worker.LocalWorker("fragile", missing_timeout=0),
        ]
        config["builders"] = [
            util.BuilderConfig(
                name=name,
                workernames=["fragile" if name == "lost" else "local"],
                factory=util.BuildFactory([step]),
            )
            for name, step in builders.items()
        ]
        return await self.start_master(config)

    async def build(self, master: Master, revision: str, *names: str) -> None:
        """Build a revision on some builders, until all have ended."""
        stamp = {"branch": "main", "revision": revision}
        some = (Deferred.fromCoroutine(master.build(each, stamp=stamp)) for each in names)
        await gatherResults(list(some))

    async def open(self, path: str) -> None:
        """Open a page of the board."""
        await deferToThread(self.window.open, self.board.address + path)

    async def shows(self, *words: str, without: str = "") -> None:
        """Wait until the page has some words, and lacks others."""

        def is_so() -> bool:
            text = " ".join(self.window.text("main").split())
            return all(each in text for each in words) and not (without and without in text)

        await self.until(is_so, words)

    async def card_shows(self, name: str, *words: str, without: str = "") -> None:
        """Wait until a builder's card has some words, and lacks others."""

        def is_so() -> bool:
            card = next((each for each in self.cards() if f" {name} " in f"{each} "), "")
            return all(each in card for each in words) and not (without and without in card)

        await self.until(is_so, (name, *words))

    async def until(self, condition: Any, words: Any) -> None:
        """Wait for the page, and say what was missing and what was there."""
        try:
            await deferToThread(self.window.wait, condition, 120, 0.5)
        except Exception as error:
            text = await deferToThread(self.window.text, "main")
            raise AssertionError(f"{words} not in {text}") from error

    def cards(self) -> list[str]:
        """Return what the cards in the window show."""
        return [" ".join(each.split()) for each in self.window.run(CARDS)]

    @async_to_deferred
    async def test_pages(self) -> None:
        """Pages that are open say which tests fail since when, and why each builder is red."""
        master = await self.start()
        await self.see_tests(master)
        await self.see_reasons(master)

    async def see_tests(self, master: Master) -> None:
        """See tests break, flip, be renamed and not run, and reports of four more tools."""
        await self.build(master, "r1", *SUITES)
        await self.open("tests")
        for name, builder in (
            ("ex.test/m.TestBad/sub", "go"),
            ("Foo.Bad", "gtest"),
            ("bad", "ctest"),
            ("adds", "node"),
        ):
            await self.shows(name, builder)
        await self.shows("no earlier result here", without="test_sum")
        await self.build(master, "r2", "units")
        for name in ("test_sum", "test_flips"):
            await self.shows(name, "units new failed here for the first time, first bad #2 r2")
        await self.open("")
        await self.card_shows("units", "2 tests fail, 2 new")
        await self.build(master, "r2", "units")
        await self.card_shows("units", "1 test fails", "2 builds in a row", without="new")
        await self.open("tests/test_units.test_flips")
        await self.shows("1 of 3", "passed when repeated", "failed in #2, passed in #3")
        await self.open("tests")
        await self.shows("test_sum", "fails since #2", without="test_flips")
        await self.build(master, "r3", "units")
        await self.shows("test_total", "failed here for the first time", without="test_sum")
        await self.open("tests/test_units.test_sum")
        await self.shows("passed when it last ran")
        await self.open("")
        await self.card_shows("units", "1 test fails, 1 new", "assert 3 == 4")
        await self.build(master, "r4", "units")
        await self.card_shows("units", "no tests today", without="test fails")

    async def see_reasons(self, master: Master) -> None:
        """See each red builder's reason on the overview, and that a second run failed alike."""
        await master.submit("lost", {"branch": "main", "revision": "r5"})
        await self.build(master, "r5", *REDS, "broken")
        self.flushLoggedErrors(ValueError)
        await deferToThread(self.window.run, UNFOLD)
        for name, case in REDS.items():
            await self.card_shows(name, case.says)
        await self.build(master, "r6", *AGAIN)
        for name in AGAIN:
            await self.card_shows(name, REDS[name].says, "2 builds in a row")
        await self.row_says("broken", "exception")
        await master.master.workers.workers["fragile"].disconnect()
        await self.row_says("lost", "retry")
        cards = await deferToThread(self.cards)
        self.assertFalse([each for each in cards if " lost " in each or " broken " in each])

    async def row_says(self, name: str, result: str) -> None:
        """Wait until a builder's row has a result, which is no judgement on the code."""
        await self.until(lambda: result in self.window.run(ROW, name), (name, result))
