"""The sub-command ``board``, run as a person runs it."""

from __future__ import annotations

from support.boards import ask
from support.commands import Command, temporary_folder
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
