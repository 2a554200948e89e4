"""``run.py``: what a newcomer types first."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]


def load() -> Any:
    """Load run.py as a module."""
    specification = importlib.util.spec_from_file_location("run", ROOT / "run.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it as a process of its own; whatever installs is not run by these tests."""
    command = [sys.executable, str(ROOT / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


class RunTests(SynchronousTestCase):
    """What it says, and what it installs."""

    def setUp(self) -> None:
        """Let it have an environment of its own."""
        self.run_py = load()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.run_py.VENV = folder.name
        self.run_py.BIN = str(Path(folder.name) / "bin")

    def told(self, function: Any, *arguments: Any) -> str:
        """What a function of it says."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            function(*arguments)
        return errors.getvalue()

    def test_help(self) -> None:
        """--help says what there is, and that is no failure."""
        ended = run("--help")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for command in self.run_py.COMMANDS:
            self.assertIn(f"\n{command} ", ended.stdout)

    def test_unknown(self) -> None:
        """What it does not know is told with what it knows."""
        ended = run("dance")
        self.assertEqual(ended.returncode, 2)
        self.assertIn("'python3 run.py demo' or 'python3 run.py test'", ended.stderr)

    def test_missing_servers(self) -> None:
        """What the machine lacks is told in one line, with the command that brings it."""
        self.run_py.SERVERS = (("apache2", ("no-such-program",)), ("sh", ("/bin/s*",)))
        (line,) = self.told(self.run_py.tell_what_is_left_out, ["-e", "py"]).splitlines()
        self.assertIn("tests that need apache2 are left out", line)
        self.assertTrue(line.endswith("apt-get install apache2"), line)

    def test_other_versions(self) -> None:
        """The versions that are left out are named, and there are such environments."""
        line = self.told(self.run_py.tell_what_is_left_out, []).splitlines()[-1]
        self.assertIn("Python {}.{} ".format(*sys.version_info), line)
        self.assertIn(f"run.py test -e {self.run_py.OTHER_ENVIRONMENTS}", line)
        ci = (ROOT / ".ci" / "run").read_text()
        for environment in self.run_py.OTHER_ENVIRONMENTS.split(","):
            self.assertIn(environment, ci)

    def test_own_python(self) -> None:
        """The tests run on the Python that calls it; a Python that is missing is a failure."""
        tox = ConfigParser()
        tox.read(ROOT / "tox.ini")
        environments = tox["tox"]["env_list"].split()
        self.assertEqual([each for each in environments if each.startswith("py")], ["py"])
        self.assertEqual(tox["tox"]["skip_missing_interpreters"], "false")

    def install_by(self, script: str) -> str:
        """Let the environment's Python be a script, install, and return what is said."""
        python = Path(self.run_py.BIN) / "python"
        python.parent.mkdir(exist_ok=True)
        (python.parent / "pip").touch()
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        return self.told(self.run_py.install, "demo", "something")

    def test_installs_once(self) -> None:
        """What is there is not installed again; something else is."""
        self.assertIn("installing into .venv what 'demo' needs", self.install_by("exit 0"))
        self.assertEqual(self.install_by("exit 1"), "")
        with self.assertRaises(SystemExit):
            self.told(self.run_py.install, "demo", "something else")

    def test_set_up_fails(self) -> None:
        """Where set-up fails, pip's last lines are shown, and the next run tries again."""
        for _ in range(2):
            with self.assertRaises(SystemExit) as ended:
                self.install_by("echo no network; exit 1")
            self.assertEqual(ended.exception.code, 2)
