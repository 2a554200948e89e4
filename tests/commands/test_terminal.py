"""What a command's output looks like on a terminal, and what it leaves out elsewhere."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import sys
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands.terminal import Output

RED = "\x1b[31m"


def read(screen: io.FileIO) -> bytes:
    """Return what a terminal is sent next, nothing at the end."""
    try:
        return screen.read(65536) or b""
    except OSError:  # how Linux tells that nobody writes any more
        return b""


class TerminalTests(SynchronousTestCase):
    """Standard output that is a terminal."""

    def setUp(self) -> None:
        """Have a terminal that knows colours."""
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ |= {"TERM": "xterm", "COLUMNS": "40", "NO_COLOR": ""}

    def shown(self, use: Callable[[Output], object]) -> str:
        """Return what a terminal is sent."""
        master, slave = pty.openpty()
        with os.fdopen(slave, "w") as terminal, contextlib.redirect_stdout(terminal):
            use(Output())
        with os.fdopen(master, "rb", buffering=0) as screen:
            return b"".join(iter(lambda: read(screen), b"")).decode()

    def test_colour(self) -> None:
        """A line has the colour of what it means, and its text is not touched."""
        text = "[bold]/tmp 12 'x' " * 5
        shown = self.shown(lambda output: output.say(text, "bad"))
        self.assertEqual(shown, f"{RED}{text}\x1b[0m\r\n")

    def test_no_color(self) -> None:
        """NO_COLOR leaves colours out."""
        os.environ["NO_COLOR"] = "1"
        self.assertEqual(self.shown(lambda output: output.say("broken", "bad")), "broken\r\n")

    def test_redrawn(self) -> None:
        """Lines that change take the place of those before, cut to the window's width."""

        def work(output: Output) -> None:
            with output.redrawn() as redraw:
                redraw(["one", "x" * 50])
                redraw(["two"])

        shown = self.shown(work)
        self.assertIn("one", shown)
        self.assertNotIn("x" * 41, shown)
        self.assertRegex(shown, r"one(?s:.*)\x1b\[1A(?s:.*)two")

    def test_progress(self) -> None:
        """What is done of how much is shown, in a line that the next line takes the place of."""

        def work(output: Output) -> None:
            with output.progress("builds") as advance:
                advance(17, 350)
                output.say("a build")
            output.say("done")

        shown = self.shown(work)
        self.assertIn("17/350", shown)
        self.assertTrue(shown.endswith("\x1b[2Kdone\r\n"), repr(shown[-60:]))

    def test_without_rich(self) -> None:
        """Without Rich, a terminal has plain lines too."""
        self.patch(sys, "modules", sys.modules | {"rich": None})
        self.patch(sys, "meta_path", [])
        self.assertEqual(self.shown(lambda output: output.say("a line", "bad")), "a line\r\n")


class PipeTests(SynchronousTestCase):
    """Standard output that is none."""

    def test_plain(self) -> None:
        """A file has the lines alone."""
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            output = Output()
            with output.progress("builds") as advance:
                advance(1, 2)
                output.say("a build", "good")
        self.assertEqual(written.getvalue(), "a build\n")
        self.assertIsNone(output.width)
