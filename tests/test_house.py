"""The layers of the package, read from its source: which package may import which."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from twisted.trial.unittest import SynchronousTestCase

import buildbot_http_status_push
from buildbot_http_status_push.commands.board_settings import OWN_PATHS

pytestmark = pytest.mark.once

PACKAGE = "buildbot_http_status_push"
SOURCE = Path(buildbot_http_status_push.__file__).parent
TESTS = Path(__file__).parent

FLOORS = (
    {
        "durations",
        "excerpts",
        "group_commit",
        "model",
        "raw_requests",
        "redaction",
        "results",
        "signing",
    },
    {"database", "formats", "prepared_statements", "time_slices"},
    {"outbox", "receiver", "wire"},
    {"delivery"},
    {"board", "report"},
    {"configuration"},
    {"reporter"},
    {"commands"},
    {"__main__"},
)
"""A wing imports from itself and lower floors only. ``__init__`` holds the version, for all."""

BOARD_FLOORS = (
    {"model", "storable", "toml_files"},
    {"changes", "filters", "judgements", "personal_data"},
    {"failures", "test_results"},
    {"cluster", "verdicts"},
    {"body", "incidents"},
    {"notify", "store"},
    {"follower"},
    {"http"},
    {"pages"},
    {"live"},
    {"programs"},
    {"server"},
)
"""Likewise for the packages within ``board``."""

KNOW_BUILDBOT = {
    "commands.demo_master",
    "configuration.arguments",
    "configuration.rendering",
    "report.builds",
    "report.body",
    "report.default_generator",
    "report.failure_excerpts",
    "report.state_catchup",
    "report.state_generators",
    "report.users",
    "reporter",
}
PURE = {
    "board.http.access",
    "board.body",
    "board.cluster",
    "board.cluster.queue",
    "board.cluster.states",
    "board.changes",
    "board.filters",
    "board.failures",
    "board.failures.history",
    "board.failures.grouping",
    "board.failures.known",
    "board.failures.lines",
    "board.failures.words",
    "board.incidents",
    "board.incidents.acts",
    "board.incidents.common_lines",
    "board.incidents.engine",
    "board.incidents.events",
    "board.incidents.incident",
    "board.incidents.ranges",
    "board.incidents.words",
    "board.judgements",
    "board.test_results",
    "board.test_results.history",
    "board.test_results.query",
    "board.test_results.results",
    "board.test_results.words",
    "board.store.masters",
    "board.store.merging",
    "board.verdicts",
    "board.verdicts.revision",
    "board.model",
    "board.notify",
    "board.notify.announcing",
    "board.notify.composing",
    "board.notify.example",
    "board.notify.quiet_hours",
    "board.notify.rehearsing",
    "board.notify.rules",
    "board.notify.texts",
    "board.storable",
    "board.toml_files",
    "delivery.circuit_breaker",
    "delivery.retry",
    "durations",
    "excerpts",
    "excerpts.excerpt",
    "excerpts.rules",
    "excerpts.signature",
    "delivery.settings",
    "formats",
    "formats.discord_embed",
    "formats.mattermost_post",
    "formats.news",
    "formats.slack_blocks",
    "formats.teams_card",
    "formats.text",
    "model",
    "outbox.backfill_request",
    "redaction",
    "report.encoding",
    "report.events",
    "report.identity",
    "report.junit",
    "report.states",
    "results",
    "signing",
    "wire.cloudevents",
}
IMPURE = ("twisted.internet", "twisted.web", "treq", "sqlalchemy", "buildbot.")


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed modules by their dotted names within the package."""
    return {_name(each): ast.parse(each.read_text("utf-8")) for each in SOURCE.rglob("*.py")}


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of what is imported, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def rooms(tree: ast.Module) -> set[str]:
    """Return the modules of this package that a module imports."""
    inner = {each.partition(".")[2] for each in imported(tree) if each.split(".")[0] == PACKAGE}
    names = inner | {each.rpartition(".")[0] for each in inner}
    return names & set(modules())


def wing(module: str) -> str:
    """Return the wing that a module stands in; at the root that is the module itself."""
    return module.partition(".")[0]


class FloorsTest(SynchronousTestCase):
    """Who imports whom."""

    def test_everyone_has_a_place(self) -> None:
        """Each wing stands on one floor, and each name in the table is a wing that exists."""
        placed = [name for floor in FLOORS for name in floor]
        self.assertEqual(sorted(placed), sorted({wing(name) for name in modules()} - {"__init__"}))

    def test_downwards_only(self) -> None:
        """A wing imports from lower floors only, late imports included."""
        level = {name: number for number, floor in enumerate(FLOORS) for name in floor}
        upwards = [
            f"{name} imports {other}"
            for name, tree in modules().items()
            for other in rooms(tree) - {"__init__"}
            if wing(other) != wing(name) and level[wing(other)] >= level.get(wing(name), 0)
        ]
        self.assertEqual([each for each in upwards if not each.startswith("__init__ ")], [])

    def test_board(self) -> None:
        """A package of the board imports from lower floors only."""
        level = {name: number for number, floor in enumerate(BOARD_FLOORS) for name in floor}
        inside: dict[str, set[str]] = {
            name.split(".")[1]: set() for name in modules() if name.startswith("board.")
        }
        for name, tree in modules().items():
            if name.startswith("board."):
                part = name.split(".")[1]
                inside[part] |= {
                    other.split(".")[1] for other in rooms(tree) if other.startswith("board.")
                } - {part}
        self.assertEqual(sorted(inside), sorted(level))
        upwards = [
            f"{part} imports {other}"
            for part, others in inside.items()
            for other in others
            if level[other] >= level[part]
        ]
        self.assertEqual(upwards, [])

    def test_addresses(self) -> None:
        """All routes of the board begin with what no path of a public address may begin with."""
        sources = "".join(each.read_text() for each in (SOURCE / "board").rglob("*.py"))
        first = set(re.findall(r"""\(r"/([a-z]+(?:\\\.[a-z]+)?)""", sources))
        own = {each.replace("\\", "") for each in first}
        self.assertEqual(own - {"favicon"}, set(OWN_PATHS) - {"favicon.svg", "favicon.ico", "live"})

    def test_no_circles(self) -> None:
        """Inside the wings too no module imports, by whatever way round, what imports it."""
        graph = {
            name: rooms(tree) - {name} for name, tree in modules().items() if name != "__init__"
        }
        order = list(TopologicalSorter(graph).static_order())
        self.assertEqual(set(order) - {"__init__"}, set(graph))

    def test_buildbot(self) -> None:
        """Few modules know Buildbot."""
        knowing = {
            name
            for name, tree in modules().items()
            if any(each.split(".")[0] == "buildbot" for each in imported(tree))
        }
        self.assertEqual(knowing, KNOW_BUILDBOT)

    def test_without_buildbot(self) -> None:
        """The sender and the board can be imported where Buildbot is not installed."""
        apart = ("board", "delivery", "outbox", "receiver", "wire", "formats")
        names = sorted(f"{PACKAGE}.{each}" for each in modules() if wing(each) in apart)
        script = f"""
import importlib, sys
class Blocker:
    def find_spec(self, name, *_):
        if name.split(".")[0] == "buildbot":
            raise ModuleNotFoundError(f"{{name}} is not installed", name=name)
sys.meta_path.insert(0, Blocker())
for name in {names!r}:
    importlib.import_module(name)
"""
        ran = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120
        )
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_pure_rooms(self) -> None:
        """Decisions know no network, no storage and no Buildbot, the model no Twisted at all."""
        for name in PURE:
            found = [each for each in imported(modules()[name]) if each.startswith(IMPURE)]
            self.assertEqual(found, [], name)
            self.assertLessEqual(rooms(modules()[name]), PURE)
        self.assertEqual([n for n in imported(modules()["model"]) if n.startswith("twisted")], [])

    def test_reactor(self) -> None:
        """Nobody imports the global reactor but an entry point when it runs."""
        for name, tree in modules().items():
            at_import = [
                each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)
            ]
            for statement in at_import:
                self.assertNotIn("twisted.internet.reactor", imported(statement), name)
            if wing(name) != "commands":
                self.assertNotIn("twisted.internet.reactor", imported(tree), name)


class ChildrenTest(SynchronousTestCase):
    """What tests start ends with them."""

    def run_in_suite(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script in a process that prepares itself as the suite does."""
        begin = (
            "import os, signal, subprocess, sys, pytest, conftest\n"
            "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
            "config = pytest.Config.fromdictargs({}, ['--noconftest', '-p', 'no:randomly'])\n"
            "conftest.pytest_configure(config)\n"
        )
        return subprocess.run(
            [sys.executable, "-c", begin + script],
            cwd=TESTS.parent,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    def test_ctrl_c(self) -> None:
        """A suite that was started with Ctrl-C ignored does not hand that down."""
        told = self.run_in_suite("print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)")
        self.assertEqual((told.stdout.strip(), told.stderr), ("False", ""))

    def test_killed(self) -> None:
        """A suite that is killed leaves no child, not even one with a session of its own."""
        told = self.run_in_suite(
            "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
            "os.kill(os.getpid(), signal.SIGKILL)"
        )
        # The child holds the output open: this is reached when it has ended.
        self.assertEqual((told.returncode, told.stdout), (-signal.SIGKILL, ""))

    def test_waits_have_a_limit(self) -> None:
        """No test waits for a process without a limit."""
        endless = [
            f"{path.name}:{node.lineno}"
            for path in TESTS.rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("communicate", "wait")
            and not (node.args or node.keywords)
            and "process" in ast.unparse(node.func.value).lower()
        ]
        self.assertEqual(endless, [])
