"""Virtual environments in which this package is, or is not, installed the way users install it."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).parents[2]
OWN = "buildbot_http_status_push"

FORWARDS, BACKWARDS = False, True

# What a file system decides elsewhere is decided here: in which order folders are listed.
_LIST_FOLDERS_IN_ORDER = """
import os
list_folder = os.listdir
os.listdir = lambda *folder: sorted(list_folder(*folder), reverse={backwards})
"""

# Plugins may be instances, modules or classes: their entry point's text names each of them.
_PRINT_PLUGINS = """
import json
import buildbot.plugins
from buildbot.plugins import db

plugins = {}
for namespace in db.namespaces():
    of_namespace = db.get_plugins(namespace)
    for name, (distribution, version) in of_namespace.info_all().items():
        entry = of_namespace._get_entry(name)._entry
        plugins[f"{namespace}.{name}"] = [distribution, entry.value]
print(json.dumps(plugins))
"""

_PRINT_NAME = """
import json
from buildbot.plugins import reporters

given = reporters.HttpStatusPush
print(json.dumps([given.__module__, given.__name__, reporters.info("HttpStatusPush")[0]]))
"""


def output_of(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command that must succeed.

    Args:
        command: The program and its arguments.
        cwd: The folder to run it in.

    Returns:
        What it printed.

    Raises:
        AssertionError: It failed; the text says what it printed to stderr.
    """
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build this tree's wheel without any network.

    Args:
        folder: An empty folder for it.

    Returns:
        The wheel's file.
    """
    output_of(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@frozen
class Environment:
    """A virtual environment.

    Args:
        python: Its interpreter.
        site_packages: The folder that holds what is installed.
    """

    python: Path
    site_packages: Path

    @classmethod
    def create(cls, folder: Path) -> Environment:
        """Make an environment with all that the running one has, except this package.

        Args:
            folder: Where to make it.

        Returns:
            The environment; its packages are links to the running one's.
        """
        venv.create(folder, symlinks=True)
        paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
        environment = cls(Path(paths["scripts"], "python"), Path(paths["purelib"]))
        for installed in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
            environment._link_foreign_packages(Path(installed))
        return environment

    def _link_foreign_packages(self, installed: Path) -> None:
        for entry in installed.iterdir():
            if OWN not in entry.name and entry.name != "__pycache__":
                (self.site_packages / entry.name).symlink_to(entry)

    def run(self, program: str) -> str:
        """Run a program, undisturbed by the surroundings' variables and folders.

        Args:
            program: Its text.

        Returns:
            What it printed.
        """
        return output_of(self.python, "-I", "-c", program)

    def pip(self, *arguments: str | Path) -> str:
        """Run pip without any network.

        Args:
            arguments: What to do.

        Returns:
            What it printed.
        """
        return output_of(self.python, "-I", "-m", "pip", "--isolated", *arguments)

    def install(self, *what: str | Path) -> None:
        """Install this package, whose requirements are there already.

        Args:
            what: A wheel, or the options that make an editable installation.
        """
        self.pip("install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", *what)

    def http_status_push(self, order: bool) -> list[str]:
        """Ask Buildbot for the reporter.

        Args:
            order: How folders are listed: ``FORWARDS`` or ``BACKWARDS``.

        Returns:
            The class's module and name, and the distribution that Buildbot says it comes from.
        """
        named: list[str] = json.loads(self._run_in_order(order, _PRINT_NAME))
        return named

    def plugins(self, order: bool) -> dict[str, list[str]]:
        """Ask Buildbot for all its plugins.

        Args:
            order: How folders are listed: ``FORWARDS`` or ``BACKWARDS``.

        Returns:
            The distribution and the object's place, by namespace and name.
        """
        plugins: dict[str, list[str]] = json.loads(self._run_in_order(order, _PRINT_PLUGINS))
        return plugins

    def _run_in_order(self, order: bool, program: str) -> str:
        return self.run(_LIST_FOLDERS_IN_ORDER.format(backwards=order) + program)

    def own_files(self) -> list[str]:
        """List what is there of this package.

        Returns:
            The names in the folder of installed packages.
        """
        return sorted(path.name for path in self.site_packages.glob(f"*{OWN}*"))
