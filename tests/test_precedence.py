"""Which class ``reporters.HttpStatusPush`` is, and what making it so costs."""

from __future__ import annotations

import json
import os
import pkgutil
import sys
import tempfile
from importlib.metadata import distributions, entry_points
from pathlib import Path
from typing import Any

from support.environments import (
    BACKWARDS,
    FORWARDS,
    OWN,
    ROOT,
    Environment,
    build_wheel,
    output_of,
)
from twisted.trial.unittest import SynchronousTestCase

import buildbot_http_status_push
import buildbot_http_status_push_precedence as precedence

OURS = ["buildbot_http_status_push.reporter", "HttpStatusPush", "buildbot-http-status-push"]
BUILT_IN = ["buildbot.reporters.http", "HttpStatusPush", "buildbot"]

ENTRY_POINTS = "[buildbot.reporters]\nHttpStatusPush = {module}:HttpStatusPush\n"


def add_distribution(folder: Path, name: str, module: str, version: str = "1.0") -> None:
    """Put a distribution's metadata into a folder, as an installer does."""
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS.format(module=module))


def names(**search: Any) -> list[str]:
    """Search, and name what is found in the order of finding."""
    return [found.metadata["Name"] for found in distributions(**search)]


def foreign_finders() -> list[object]:
    """Take the interpreter's finders, without the one that an installation has put there."""
    return [f for f in sys.meta_path if not isinstance(f, precedence.OwnDistributionFirst)]


class FinderTests(SynchronousTestCase):
    """The finder in the searches of ``importlib.metadata``."""

    def setUp(self) -> None:
        """Make two folders of installed packages, one of them with this distribution."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.site, self.other = Path(folder.name, "site"), Path(folder.name, "other")
        add_distribution(self.site, "buildbot", "buildbot.reporters.http")
        add_distribution(self.site, precedence.DISTRIBUTION, OURS[0])
        add_distribution(self.other, "buildbot", "buildbot.reporters.http")
        add_distribution(self.other, "another", "another.http")
        self.patch(sys, "meta_path", foreign_finders())

    def list_folders(self, order: bool) -> None:
        """Let folders be listed in one order, as a file system might."""
        list_folder = os.listdir
        self.patch(os, "listdir", lambda *folder: sorted(list_folder(*folder), reverse=order))

    def test_first_of_all_when_listed_last(self) -> None:
        """This distribution comes first where the folder lists it last."""
        self.list_folders(FORWARDS)
        self.assertEqual(names(path=[str(self.site)]), ["buildbot", precedence.DISTRIBUTION])
        precedence.install()
        self.assertEqual(names(path=[str(self.site)])[0], precedence.DISTRIBUTION)

    def test_first_of_all_when_listed_first(self) -> None:
        """This distribution comes first where the folder lists it first."""
        self.list_folders(BACKWARDS)
        precedence.install()
        self.assertEqual(names(path=[str(self.site)])[0], precedence.DISTRIBUTION)

    def test_nothing_added_or_lost(self) -> None:
        """All other distributions are found as often and in the same order as without it."""
        without = names(path=[str(self.other), str(self.site)])
        precedence.install()
        self.assertEqual(
            names(path=[str(self.other), str(self.site)]), [precedence.DISTRIBUTION, *without]
        )

    def test_search_elsewhere(self) -> None:
        """A search of a path without this distribution does not find it."""
        without = names(path=[str(self.other)])
        precedence.install()
        self.assertEqual(names(path=[str(self.other)]), without)

    def test_search_of_the_module_path(self) -> None:
        """A search that names no path looks where modules are looked for."""
        self.patch(sys, "path", [str(self.other), str(self.site)])
        precedence.install()
        self.assertEqual(names()[0], precedence.DISTRIBUTION)
        self.assertEqual(names().count("another"), 1)

    def test_search_by_name(self) -> None:
        """A distribution that is asked for by name is found once, and no other with it."""
        precedence.install()
        for name in ("buildbot", precedence.DISTRIBUTION):
            self.assertEqual(names(name=name, path=[str(self.site)]), [name])

    def test_entry_points(self) -> None:
        """This distribution's entry point comes first, and once."""
        self.list_folders(FORWARDS)
        self.patch(sys, "path", [str(self.site)])
        precedence.install()
        offered = entry_points(group="buildbot.reporters", name="HttpStatusPush")
        self.assertEqual(
            [entry.value for entry in offered],
            ["buildbot_http_status_push.reporter:HttpStatusPush", ":".join(BUILT_IN[:2])],
        )

    def test_two_installations(self) -> None:
        """Of two installations only the one that comes first on the path is put first."""
        add_distribution(self.other, precedence.DISTRIBUTION, OURS[0], version="2.0")
        precedence.install()
        path = [str(self.other), str(self.site)]
        versions = [
            found.version
            for found in distributions(path=path)
            if found.metadata["Name"] == precedence.DISTRIBUTION
        ]
        self.assertEqual(versions, ["2.0", "2.0", "1.0"])

    def test_no_modules(self) -> None:
        """The finder leaves modules to others."""
        finder = precedence.OwnDistributionFirst()
        self.assertIsNone(finder.find_spec("buildbot_http_status_push.reporter", None))

    def test_installed_once(self) -> None:
        """However often it is installed, one finder stands in front of all others."""
        others = list(sys.meta_path)
        precedence.install()
        precedence.install()
        self.assertIsInstance(sys.meta_path[0], precedence.OwnDistributionFirst)
        self.assertEqual(sys.meta_path[1:], others)


class StartUpFileTests(SynchronousTestCase):
    """The two start-up files, read as the interpreter reads them."""

    def lines(self, suffix: str) -> list[str]:
        """Read a start-up file without its comments."""
        lines = (ROOT / "src" / f"{OWN}{suffix}").read_text(encoding="ascii").splitlines()
        return [line for line in lines if line and not line.startswith("#")]

    def test_start(self) -> None:
        """The ``.start`` file holds one entry point, and it is the installer (PEP 829)."""
        (entry,) = self.lines(".start")
        self.assertIn(":", entry)
        self.assertIs(pkgutil.resolve_name(entry), precedence.install)

    def test_pth(self) -> None:
        """The ``.pth`` file holds one line to execute, and it installs the finder."""
        (line,) = self.lines(".pth")
        self.assertTrue(line.startswith("import "))
        self.patch(sys, "meta_path", foreign_finders())
        exec(line)  # noqa: S102 - this is what Python's site module does with the line
        self.assertIsInstance(sys.meta_path[0], precedence.OwnDistributionFirst)

    def test_cheap(self) -> None:
        """A start of the interpreter imports nothing but this one module."""
        (line,) = self.lines(".pth")
        program = (
            "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
            f"{line}\n"
            "print(*sorted(set(sys.modules) - before))"
        )
        imported = output_of(sys.executable, "-I", "-S", "-c", program, ROOT / "src").split()
        self.assertEqual(imported, [f"{OWN}_precedence"])


class WheelTests(SynchronousTestCase):
    """The wheel in an environment of its own."""

    folder: Path
    wheel: Path
    environment: Environment
    plugins_without: dict[str, list[str]]

    @classmethod
    def setUpClass(cls) -> None:
        """Install the wheel into one environment, after looking at it without the package."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.wheel = build_wheel(cls.folder)
        cls.environment = Environment.create(cls.folder / "installed")
        cls.plugins_without = cls.environment.plugins(FORWARDS)
        cls.environment.install(cls.wheel)

    def test_http_status_push_is_ours(self) -> None:
        """Buildbot gives this package's class, however the file system lists folders."""
        self.assertEqual(self.environment.http_status_push(FORWARDS), OURS)
        self.assertEqual(self.environment.http_status_push(BACKWARDS), OURS)

    def test_all_other_plugins_stay(self) -> None:
        """Every other plugin is the same object of the same distribution as without us."""
        expected = {
            **self.plugins_without,
            "reporters.HttpStatusPush": [OURS[2], ":".join(OURS[:2])],
        }
        self.assertEqual(self.environment.plugins(FORWARDS), expected)
        self.assertEqual(self.environment.plugins(BACKWARDS), expected)

    def test_listed_once(self) -> None:
        """Pip lists this distribution once."""
        listed = json.loads(self.environment.pip("list", "--format=json"))
        own = [package for package in listed if package["name"] == precedence.DISTRIBUTION]
        self.assertEqual(len(own), 1)

    def test_order_decides_without_the_start_up_files(self) -> None:
        """Without start-up files the order of the folder decides, which the tests above rely on."""
        environment = Environment.create(self.folder / "without-start-up-files")
        environment.install(self.wheel)
        for suffix in (".pth", ".start"):
            (environment.site_packages / f"{OWN}{suffix}").unlink()
        self.assertEqual(environment.http_status_push(FORWARDS), BUILT_IN)
        self.assertEqual(environment.http_status_push(BACKWARDS), OURS)

    def test_uninstalled(self) -> None:
        """After an uninstall the built-in is back and nothing of the package is left."""
        environment = Environment.create(self.folder / "uninstalled")
        environment.install(self.wheel)
        environment.pip("uninstall", "--yes", precedence.DISTRIBUTION)
        self.assertEqual(environment.own_files(), [])
        self.assertEqual(environment.http_status_push(FORWARDS), BUILT_IN)
        self.assertEqual(environment.http_status_push(BACKWARDS), BUILT_IN)


class EditableTests(SynchronousTestCase):
    """An editable installation of this tree."""

    def test_http_status_push_is_ours(self) -> None:
        """Buildbot gives this package's class, however the file system lists folders."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        environment = Environment.create(Path(folder.name))
        environment.install("--editable", ROOT)
        self.assertEqual(environment.http_status_push(FORWARDS), OURS)
        self.assertEqual(environment.http_status_push(BACKWARDS), OURS)


class PackageTests(SynchronousTestCase):
    """What the package itself offers."""

    def test_reporter(self) -> None:
        """The reporter is had from the package too, and nothing else is."""
        from buildbot_http_status_push import HttpStatusPush, reporter

        self.assertIs(HttpStatusPush, reporter.HttpStatusPush)
        with self.assertRaisesRegex(AttributeError, "has no attribute 'HttpStatusPull'"):
            _ = buildbot_http_status_push.HttpStatusPull
