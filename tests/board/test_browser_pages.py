"""The board's pages in a real Chromium: whether everybody can read them, and find their way."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, ClassVar

import pytest
from selenium.webdriver.common.keys import Keys
from support.board_process import BoardProcess
from support.browser import Browser, axe, browser
from support.builders import STARS
from support.reasons import excerpts
from support.sample import MASTER, Plan, Sample, plans
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.filters import name_fits
from buildbot_http_status_push.board.pages import wording
from buildbot_http_status_push.results import FAILURE, SUCCESS

pytestmark = pytest.mark.once

SCRIPT = "<script>document.title = 'owned'</script>"
BUILDS = 7
running = ExitStack()

HOSTILE = (
    "[...document.querySelectorAll('.red')].find((each) => each.innerText.includes('<script'))"
)
CUT = """
const parts = [...document.querySelectorAll(".wall > :not(h2), .wall .red, .wall .runs")];
return parts.filter((each) => {
    const { bottom, right } = each.getBoundingClientRect();
    return bottom > innerHeight || right > innerWidth || each.scrollHeight > each.clientHeight + 1;
}).map((each) => [each.className, each.scrollHeight, each.clientHeight])
"""
HIDDEN = """
return [...document.querySelectorAll(".red, .runs")].filter((each) => !each.checkVisibility())
    .map((each) => each.className)
"""
WIDE = """
const isWide = document.documentElement.scrollWidth > arguments[0];
return [...document.querySelectorAll("*")]
    .filter((each) => isWide && each.getBoundingClientRect().right > arguments[0])
    .map((each) => each.outerHTML.slice(0, 99))
"""
SMALLEST = """
return Math.min(...[...document.querySelectorAll(".wall :not(h2)")]
    .filter((each) => each.innerText && each.checkVisibility())
    .map((each) => parseFloat(getComputedStyle(each).fontSize)))
"""
AUDIT = """
const [script, options, done] = arguments;
new Function(script)();
axe.run({ resultTypes: ["violations"], ...options }).then(
  ({ violations }) => done(violations.map(({ id, help, nodes }) => [id, help, nodes[0].html])),
  (fault) => done([String(fault)]));
"""


def setUpModule() -> None:  # noqa: N802  unittest's name
    """Start a board and a browser, once for all tests."""
    PagesTest.window = running.enter_context(browser())
    PagesTest.board = running.enter_context(BoardProcess.running("--master", f"main={MASTER}"))
    hostile = Plan(SCRIPT, (SCRIPT,), 60, (SUCCESS, FAILURE, None))
    PagesTest.board.send(Sample(int(time.time()), [*plans(), hostile], builds=BUILDS).bodies())


def tearDownModule() -> None:  # noqa: N802  unittest's name
    """End both."""
    running.close()


class PagesTest(SynchronousTestCase):
    """A board that has something of everything, and a window."""

    board: ClassVar[BoardProcess]
    window: ClassVar[Browser]

    def setUp(self) -> None:
        """Be an ordinary person with an ordinary screen, who has seen nothing yet."""
        self.window.open("about:blank")
        self.window.complaints()
        self.window.switch_scripts(True)
        self.window.resize(1280, 800)
        self.window.prefer(prefers_color_scheme="light")

    def open(self, path: str) -> None:
        """Open a page, and wait until it follows the board."""
        self.window.open(self.board.address + path)
        self.window.wait(lambda: self.window.is_live)

    def paths(self) -> list[str]:
        """Return a page of each kind."""
        self.open("")
        red = self.window.run("return document.querySelector('.red .why').pathname")
        running = self.window.run("return document.querySelector('.runs a').pathname")
        kinds = ("", "grid", "revisions", "builders/9", red[1:], running[1:], "?kiosk=1",
                 "?group=tag", "search?q=debug", "search?q=watanabe", "tests", "failures",
                 "incidents", "queue", "workers")  # fmt: skip
        return [*kinds, "?builder=debug&tag=stable&result=failure", "?builder=none", "nowhere"]


class ReadingTest(PagesTest):
    """Everybody can read every page."""

    def test_accessible(self) -> None:
        """axe-core finds nothing that keeps people out, in light and in dark."""
        found: dict[str, Any] = {}
        script = axe()
        for path in self.paths():
            self.open(path)
            # Nothing but colours differs.
            for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
                # Without motion a colour is the new one at once.
                self.window.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
                if violations := self.window.run_async(AUDIT, script, options):
                    found[f"/{path} {scheme}"] = violations
        self.assertEqual(found, {})

    def test_without_scripts(self) -> None:
        """Without JavaScript the pages say the same."""
        for path in self.paths():
            self.open(path)
            words = self.window.text("main h1") + self.window.text("footer, .tally")
            self.window.switch_scripts(False)
            self.window.open(self.board.address + path)
            # The driver's own scripts run all the same.
            self.assertFalse(self.window.is_live)
            self.assertEqual(
                self.window.text("main h1") + self.window.text("footer, .tally"), words, path
            )
            self.window.switch_scripts(True)

    def test_names_are_text(self) -> None:
        """A name that looks like a script is text, as it comes and when it changes live."""
        for path in self.paths():
            self.open(path)
            self.assertNotIn("owned", self.window.driver.title, path)
            self.assertEqual(self.window.run("return document.scripts.length"), 1, path)
            unasked = [each for each in self.window.complaints() if "404 (Not Found)" not in each]
            self.assertEqual(unasked, [], path)
        self.open("")
        self.assertEqual(self.window.run(f"{HOSTILE}.dataset.before = 'yes'; return 1"), 1)
        hostile = Plan(SCRIPT, (SCRIPT,), 60, (SUCCESS, FAILURE))
        *_, last = Sample(int(time.time()), [*plans(), hostile], builds=BUILDS + 1).bodies()
        self.board.send([last])
        self.window.wait(lambda: self.window.run(f"return {HOSTILE}.dataset.before") is None)
        self.assertEqual(self.window.run("return document.scripts.length"), 1)
        self.assertNotIn("owned", self.window.driver.title)

    def test_nothing_moves(self) -> None:
        """Nothing moves by itself, and who wants it still sees no transition either."""
        moving = """return [...document.querySelectorAll("*")].filter((each) => {
            const style = getComputedStyle(each);
            return style.animationName !== "none" || parseFloat(style.transitionDuration) > %s;
        }).length"""
        self.open("")
        self.assertEqual(self.window.run(moving % 0.2), 0)
        self.window.prefer(prefers_reduced_motion="reduce")
        self.assertEqual(self.window.run(moving % 0), 0)


class ScreenTest(PagesTest):
    """Every screen shows a page whole."""

    def test_wall(self) -> None:
        """A wall screen shows everything without scrolling, nothing cut and nothing tiny."""
        for width, height in ((1920, 1080), (1280, 720), (3840, 2160)):
            self.window.resize(width, height)
            for path in ("?kiosk=1", "?kiosk=1&builder=fedora", "?kiosk=1&builder=wasi"):
                self.open(path)
                self.assertEqual(self.window.run(HIDDEN), [], (path, width))
                self.assertEqual(self.window.run(CUT), [], (path, width))
                self.assertGreaterEqual(self.window.run(SMALLEST), height * 0.02)

    def test_many_builders(self) -> None:
        """So does one for many builders of which many are red."""
        made = [
            Plan(f"{each.name} {place}", each.tags, each.usual, (SUCCESS, FAILURE, result))
            for place in range(5)
            for each, result in zip(plans(), (FAILURE, None, SUCCESS, SUCCESS) * 10, strict=True)
        ]
        self.window.resize(1920, 1080)
        with BoardProcess.running() as board:
            sent = list(Sample(int(time.time()), made, builds=3).bodies())
            for each in sent:
                if each["results"] == FAILURE:
                    line = f"E   {each['builder']['name']}: {'a long line ' * 20}"
                    each.update(excerpts(line))
            board.send(sent)
            self.window.open(board.address + "?kiosk=1")
            self.assertEqual(self.window.text("h1"), " 100 red")
            self.assertEqual(self.window.run(CUT), [])
            self.assertGreaterEqual(self.window.run(SMALLEST), 1080 * 0.02)

    def test_narrow(self) -> None:
        """On a phone, no page is wider than the screen."""
        for path in self.paths():
            self.window.resize(390, 844)
            self.open(path)
            self.assertEqual(self.window.run(WIDE, 390), [], path)
            heights = "return [...document.querySelectorAll('nav a')].map(e => e.offsetHeight)"
            self.assertLess(max(self.window.run(heights), default=0), 40, path)
            self.window.resize(1280, 800)


class KeysTest(PagesTest):
    """Keys."""

    def focused(self) -> str:
        """Return what the focus is on, in words."""
        return str(
            self.window.run("return document.activeElement.id || document.activeElement.innerText")
        )

    def test_filter(self) -> None:
        """A slash leads to the filter, in which it is a letter like others; Escape leads out."""
        self.open("")
        self.window.press("/")
        self.assertEqual(self.focused(), "filter")
        self.window.press("fedora/")
        self.assertEqual(
            self.window.run("return document.querySelector('#filter').value"), "fedora/"
        )
        self.window.press(Keys.ESCAPE, "j")
        self.assertNotEqual(self.focused(), "filter")

    def test_next_and_previous(self) -> None:
        """J and k lead through what can be opened, red builders first, and Enter opens it."""
        self.open("")
        names = self.window.run(
            "return [...document.querySelectorAll('.red h3 a')].map((each) => each.href)"
        )
        href = "return document.activeElement.href"
        self.window.press("j")
        first = self.window.run(href)
        self.window.press("j")
        second = self.window.run(href)
        self.window.press("k")
        self.assertEqual(([first, second], self.window.run(href)), (names[:2], names[0]))
        self.window.press(Keys.ENTER)
        self.window.wait(lambda: "/builds/" in self.window.driver.current_url)

    def test_help(self) -> None:
        """A question mark tells the keys, Escape closes that."""
        self.open("")
        self.window.press("?")
        self.assertEqual(self.window.text("dialog[open] h2"), "Keys")
        self.window.press(Keys.ESCAPE)
        self.assertIsNone(self.window.run("return document.querySelector('dialog[open]')"))


CALLS = """
const [calls, done] = arguments;
import(document.querySelector("script[type=module]").src).then((board) => done(
  calls.map(([name, ...values]) => board[name](...values))));
"""


class RulesTest(PagesTest):
    """What the script says follows the same rules as what the server says."""

    def call(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Return what the script's functions return."""
        found: list[Any] = self.window.run_async(CALLS, calls)
        return found

    def test_times(self) -> None:
        """Times and durations are told in the same words."""
        self.open("")
        seconds = [-5, 0, 4, 5, 59, 60, 61, 599, 600, 3599, 3600, 7500, 86_399, 86_400, 10**7]
        spans = self.call(*(("span", each) for each in seconds))
        agos = self.call(*(("ago", each) for each in seconds))
        self.assertEqual(spans, [wording.span(each) for each in seconds])
        self.assertEqual(agos, [wording.ago(each) for each in seconds])
        self.assertEqual(self.call(("utc", 1_769_853_723)), [wording.utc(1_769_853_723)])

    def test_what_is_left(self) -> None:
        """What is left of a build is told in the same words."""
        self.open("")
        due = wording.Due(1000, 1060)
        moments = (0, 399, 940, 941, 1000, 1059, 1060, 9000)
        told = self.call(*(("due", due.at - now, due.is_over(now)) for now in moments))
        self.assertEqual(told, [due.remaining(now) for now in moments])

    def test_names(self) -> None:
        """The same names fit a filter."""
        self.open("")
        cases = [
            (wanted, name)
            for wanted in (
                "bug", "x86*", "*bug", "x?6", "a.c", "[ab]", "(", "É", "*\n*", "*b*b", "*?*?", "**",
                "x*x", "ab*bc", "*6*g",
            )
            for name in (
                "x86", "x86 Debug", "abc", "x[ab]y", "(", "é", "two\nlines", "x", "bb", "🦊b",
            )
        ]  # fmt: skip
        found = self.call(*(("nameFits", *case) for case in cases))
        self.assertEqual(found, [name_fits(*case) for case in cases])

    def test_many_stars(self) -> None:
        """A filter of many stars is judged at once, however little it fits."""
        self.open("")
        cases = [("nameFits", wanted, name) for wanted, name in STARS]
        self.assertEqual(self.call(*cases), [False for _ in cases])
