"""The sub-command ``board``, run as a person runs it."""

from __future__ import annotations

import base64
import signal
import time

from support.boards import ask
from support.commands import Command, run, temporary_folder
from support.statuses import a_body, as_bytes
from twisted.trial.unittest import SynchronousTestCase

ABSENT = ("buildbot", "buildbot_worker", "treq", "psycopg", "psycopg2")


class AloneTests(SynchronousTestCase):
    """On a machine without Buildbot."""

    def test_runs(self) -> None:
        """It takes a status and shows it, though nothing but what it needs can be imported."""
        folder = temporary_folder(self)
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.modules.update(dict.fromkeys({ABSENT!r}))\n"
        )
        where = ("--port", "0", "--database", f"sqlite:///{folder}/board.sqlite")
        board = Command("board", *where, environment={"PYTHONPATH": str(folder)})
        self.addCleanup(board.kill)
        port = int(board.line().partition("127.0.0.1:")[2].partition("/")[0])
        self.assertEqual(ask(port, "POST", "/", as_bytes(a_body())).status, 200)
        self.assertIn("linux", ask(port, "GET", "/").text)
        board.interrupt()
        code, output, errors = board.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertTrue(output.endswith("The board has ended.\n"), output)


class ReloadTests(SynchronousTestCase):
    """SIGHUP."""

    def test_passwords(self) -> None:
        """Files are read again, and what makes no sense leaves everything as it was."""
        folder = temporary_folder(self)
        password = folder / "password"
        password.write_text("first\n")
        where = ("--port", "0", "--database", f"sqlite:///{folder}/board.sqlite")
        board = Command("board", *where, "--read-auth", f"ada:{password}")
        self.addCleanup(board.kill)
        port = int(board.line().partition("127.0.0.1:")[2].partition("/")[0])

        def status(of: str) -> int:
            encoded = base64.b64encode(f"ada:{of}".encode()).decode()
            return ask(port, "GET", "/", headers={"Authorization": f"Basic {encoded}"}).status

        self.assertEqual((status("first"), status("second")), (200, 401))
        password.write_text("")
        board.interrupt(signal.SIGHUP)
        self.assertEqual((status("first"), status("")), (200, 401))
        password.write_text("second\n")
        board.interrupt(signal.SIGHUP)
        end = time.monotonic() + 60
        while status("second") != 200 and time.monotonic() < end:
            pass
        self.assertEqual((status("first"), status("second")), (401, 200))
        board.interrupt()
        code, _, errors = board.end()
        self.assertEqual(code, 0)
        self.assertIn("reloading keys and passwords failed", errors)
        self.assertEqual(errors.count("keys and passwords reloaded"), 1)


class CheckTests(SynchronousTestCase):
    """``board check``."""

    def test_known_failures(self) -> None:
        """Each fault has its file, line and key; the exit code says whether there is one."""
        folder = temporary_folder(self)
        code, output, _ = run("board", "check", str(folder))
        self.assertEqual((code, output), (1, f"{folder}: the directory has no *.toml file\n"))
        (folder / "disk.toml").write_text('title = "Disk full"\npattern = "No space left"\n')
        self.assertEqual(run("board", "check", str(folder))[0], 0)
        (folder / "other.toml").write_text('title = "x"\npatern = "y"\n')
        code, output, errors = run("board", "check", str(folder))
        self.assertEqual((code, errors), (1, ""))
        self.assertIn("disk.toml: no faults\n", output)
        self.assertIn("other.toml: line 2: patern: must be one of title", output)
