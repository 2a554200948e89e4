"""The systemd unit in the docs, judged by systemd's own tools."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import SkipTest

from support.commands import run, temporary_folder
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "examples" / "buildbot-board.service"
EXPOSURE = 15
"""Tenths of what `systemd-analyze security` may rate the unit: 100 is unprotected."""


class UnitTest(SynchronousTestCase):
    """``buildbot-board.service``."""

    def setUp(self) -> None:
        """Write it with a command that exists on this machine."""
        tool = shutil.which("systemd-analyze")
        if tool is None:
            raise SkipTest("needs systemd-analyze")
        self.tool = tool
        self.unit = temporary_folder(self) / UNIT.name
        here = Path(sys.executable).parent
        self.unit.write_text(UNIT.read_text("utf-8").replace("/opt/buildbot-board/bin", str(here)))

    def analyze(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run systemd's tool on it."""
        return subprocess.run(
            [self.tool, *arguments, str(self.unit)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def test_verify(self) -> None:
        """Systemd has nothing to say about it."""
        told = self.analyze("verify")
        said = [line for line in told.stderr.splitlines() if self.unit.name in line]
        self.assertEqual((told.returncode, said), (0, []))

    def test_security(self) -> None:
        """It leaves a board little to do harm with."""
        told = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager")
        self.assertEqual(told.returncode, 0, told.stdout)

    def test_command(self) -> None:
        """Its command is one that the board understands, up to the key that is not there."""
        [line] = [line for line in UNIT.read_text("utf-8").splitlines() if "ExecStart=" in line]
        for name in ("STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"):
            line = line.replace(f"${{{name}}}", "/nowhere")
        code, output, errors = run(*shlex.split(line)[1:])
        self.assertEqual((code, output), (2, ""))
        self.assertIn("'/nowhere/key'", errors)
