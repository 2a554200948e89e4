"""Live pages in a real Chromium: whether they show the truth, and say so when they can't."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support.board_process import BoardProcess
from support.browser import browser
from support.master import EndWith, Master, MasterTestCase, configuration
from support.sample import Plan, Sample
from support.statuses import a_body
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.reporter import HttpStatusPush
from buildbot_http_status_push.results import FAILURE, SUCCESS

pytestmark = pytest.mark.once

SHOWS = "return document.querySelector(`[data-region=${arguments[0]}]`).innerText"
NO_WEBSOCKETS = """
WebSocket = class extends EventTarget {
  constructor() { super(); setTimeout(() => this.dispatchEvent(new Event("close"))); }
  close() {}
};
"""


class TroubleTest(SynchronousTestCase):
    """A board that can't write, and a browser."""

    def test_can_not_store(self) -> None:
        """A page says that it may be old while the board can't store; below a path as well."""
        with tempfile.TemporaryDirectory() as folder, browser() as window:
            board = BoardProcess(Path(folder), "--public-url", "http://127.0.0.1/ci/board/")
            board.start()
            self.addCleanup(board.kill)
            board.send([a_body(1)])
            window.open(f"{board.address}ci/board/")
            window.wait(lambda: window.is_live)
            self.assertEqual(window.complaints(), [])
            with closing(sqlite3.connect(str(Path(folder) / "board.sqlite"))) as database:
                database.execute("BEGIN IMMEDIATE")
                with self.assertRaises(AssertionError):
                    board.send([a_body(2)])
                window.wait(lambda: "can't store what it is sent" in window.text("#connection"))
                self.assertFalse(window.is_live)
            board.send([a_body(2)])
            window.wait(lambda: window.is_live and window.text("#connection") == "")


class MasterTest(MasterTestCase):
    """A real master, its reporter, a board in a process of its own, and a browser."""

    timeout = 110

    def setUp(self) -> None:
        """Start board and browser."""
        super().setUp()
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.window = stack.enter_context(browser())
        self.board = stack.enter_context(BoardProcess.running())
        self.gates: list[Deferred[None]] = [Deferred(), Deferred(), Deferred()]
        self.told: list[float] = []

    async def begin(self) -> Master:
        """Start the master, and have the window show its first build."""
        held = {f"held-{place}": [EndWith(FAILURE, gate)] for place, gate in enumerate(self.gates)}
        builders = {"good": [EndWith(SUCCESS)], "late": [EndWith(FAILURE)], **held}
        reporter = HttpStatusPush(self.board.address)
        master = await self.start_master(configuration([reporter], builders))
        await master.master.mq.startConsuming(
            lambda *_: self.told.append(time.monotonic()), ("builds", None, None)
        )
        await master.build("good")
        await deferToThread(self.window.open, self.board.address)
        await self.until(lambda: self.window.is_live and "good" in self.shown("rows"))
        await deferToThread(self.window.run, "window.isTheSame = true")
        return master

    def shown(self, region: str) -> str:
        """Return the text of a region of the page."""
        return str(self.window.run(SHOWS, region))

    async def until(self, condition: Callable[[], Any]) -> float:
        """Wait for the page, and return how long ago the master told of a build."""
        await deferToThread(self.window.wait, condition)
        return time.monotonic() - self.told[-1]

    async def test_forced_builds(self) -> None:
        """A build is shown as running, and then as red, within a second and without a reload."""
        master = await self.begin()
        waits: list[tuple[float, float]] = []
        for place, gate in enumerate(self.gates):
            name = f"held-{place}"
            done = Deferred.fromCoroutine(master.build(name))
            running = await self.until(lambda name=name: name in self.shown("running"))
            gate.callback(None)
            await done
            red = await self.until(lambda name=name: name in self.shown("red"))
            self.assertNotIn(name, await deferToThread(self.shown, "running"))
            waits.append((running, red))
        # A machine that has other things to do may delay one of them.
        self.assertLess(min(running for running, _ in waits), 1)
        self.assertLess(min(red for _, red in waits), 1)
        self.assertTrue(await deferToThread(self.window.run, "return window.isTheSame"))
        self.assertIn("✗ 3 red", await deferToThread(lambda: self.window.driver.title))
        await deferToThread(self.window.switch_scripts, False)
        await deferToThread(self.window.open, self.board.address)
        self.assertEqual((await deferToThread(self.window.text, "h1")).strip(), "3 red")

    async def test_killed_board(self) -> None:
        """After a board that was killed is back, the page shows what happened meanwhile."""
        master = await self.begin()
        await deferToThread(self.board.kill)
        await self.until(lambda: "Connection lost" in self.window.text("#connection"))
        await master.build("late")
        self.gates[0].callback(None)
        await master.build("held-0")
        self.assertEqual((await deferToThread(self.shown, "red")).strip(), "")
        await deferToThread(self.board.start)
        await self.until(lambda: self.window.is_live)
        await self.until(lambda: all(each in self.shown("red") for each in ("late", "held-0")))
        self.assertIn("good", await deferToThread(self.shown, "rows"))
        self.assertEqual(await deferToThread(self.window.text, "#connection"), "")
        self.assertTrue(await deferToThread(self.window.run, "return window.isTheSame"))


class ConnectionTest(SynchronousTestCase):
    """What is told of a connection that is lost, or that is no WebSocket."""

    def setUp(self) -> None:
        """Start a board on which all is green, and a browser."""
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.window = stack.enter_context(browser())
        self.board = stack.enter_context(BoardProcess.running())
        self.send(SUCCESS)

    def send(self, *results: int) -> None:
        """Send builds of a builder."""
        plan = Plan("linux", ("stable",), 60, results)
        self.board.send(Sample(int(time.time()), [plan], builds=len(results)).bodies())

    def icon(self) -> str:
        """Return the address of the page's icon."""
        return str(self.window.run("return document.querySelector('#favicon').href"))

    def test_lost(self) -> None:
        """It is told at once, and what is on the screen is marked as old, in words too."""
        self.window.open(self.board.address)
        self.window.wait(lambda: self.window.is_live)
        self.assertIn("favicon-good", self.icon())
        self.window.wait(
            lambda: (
                self.window.run("return document.querySelector('#favicon').dataset.lost")[:5]
                == "data:"
            )
        )
        self.board.kill()
        began = time.monotonic()
        self.window.wait(lambda: "Connection lost" in self.window.text("#connection"))
        self.assertLess(time.monotonic() - began, 15)
        look = "return getComputedStyle(document.querySelector('main')).opacity"
        self.assertLess(float(self.window.run(look)), 1)
        self.assertTrue(self.icon().startswith("data:image/svg+xml"))
        self.board.start()
        self.window.wait(lambda: self.window.is_live)
        self.assertEqual(float(self.window.run(look)), 1)
        self.assertIn("favicon-good", self.icon())

    def test_no_websockets(self) -> None:
        """Where WebSockets don't get through, the page asks for what is new."""
        self.window.command("Page.addScriptToEvaluateOnNewDocument", source=NO_WEBSOCKETS)
        self.window.open(self.board.address)
        self.window.wait(lambda: self.window.is_live)
        self.assertIn("✓ all green", self.window.driver.title)
        self.send(SUCCESS, FAILURE)
        self.window.wait(lambda: "linux" in self.window.run(SHOWS, "red"))
        self.assertIn("✗ 1 red", self.window.driver.title)
        self.assertEqual(self.window.text(".tally .if-red").strip(), "1 cause")
        self.assertIn("favicon-bad", self.icon())
