"""Sees that the package does its work where the tests' own tools can't be installed.

Run it with the Python that the package is installed for; it needs the standard library only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BIN = Path(sys.executable).parent
PRINT_CLASS = "from buildbot.plugins import reporters; print(reporters.HttpStatusPush)"
CONFIGURATION = """\
from buildbot.plugins import reporters, schedulers, util, worker

factory = util.BuildFactory()
c = BuildmasterConfig = {
    "buildbotNetUsageData": None,
    "workers": [worker.Worker("worker", "password")],
    "protocols": {"pb": {"port": 9989}},
    "builders": [util.BuilderConfig("builder", workernames=["worker"], factory=factory)],
    "schedulers": [schedulers.Triggerable("all", builderNames=["builder"])],
    "services": [reporters.HttpStatusPush(OPTION="http://127.0.0.1:8020/")],
}
"""


class SmokeTests(unittest.TestCase):
    """The package, seen from outside."""

    def test_name(self) -> None:
        """Buildbot's name for the reporter gives ours."""
        self.assertIn("buildbot_http_status_push", run("python", "-c", PRINT_CLASS))

    def test_checkconfig(self) -> None:
        """A right configuration is good, and a wrong option is named."""
        self.assertIn("Config file is good", check("serverUrl"))
        self.assertIn("did you mean 'serverUrl'", check("serverURL"))

    def test_demo(self) -> None:
        """A real master's statuses arrive."""
        self.assertIn("All is well", run("buildbot-http-status-push", "demo", "--builds", "12"))


def check(option: str) -> str:
    """Return what ``buildbot checkconfig`` says of a configuration with an option of this name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "master.cfg"
        file.write_text(CONFIGURATION.replace("OPTION", option))
        return run("buildbot", "checkconfig", str(file))


def run(program: str, *arguments: str) -> str:
    """Return what a program of this Python's environment prints, within two minutes."""
    done = subprocess.run(  # noqa: S603  the arguments are ours
        [BIN / program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout


if __name__ == "__main__":
    unittest.main()
