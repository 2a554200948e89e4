"""The house's rules, read from its source: who may import whom, and how long things may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import buildbot_http_status_push

PACKAGE = "buildbot_http_status_push"
SOURCE = Path(buildbot_http_status_push.__file__).parent

FLOORS = {
    "ground: values, words and formats, each by itself": {
        "arguments", "clocks", "console", "contract", "encoding", "events", "known", "model",
        "precedence", "redaction", "requests_shapes", "schema", "signing", "tls", "turns", "urls",
    },
    "first: rules and tools": {
        "auth", "backlog", "database", "debugging", "identity", "notices", "ping_look",
        "receiver", "retry", "rows", "statements", "trimming",
    },
    "second: what a user writes, what is kept, what goes out": {
        "catchup", "endpoint", "ledger", "options", "payload", "transport",
    },
    "third: one attempt, one transaction, the order of all": {
        "client", "inspection", "relay", "storage", "users",
    },
    "fourth: what a configured reporter or a command has of these": {
        "outbox", "outbox_words", "ping", "rendering", "session",
    },
    "fifth: the parts put together": {"pipeline"},
    "sixth: Buildbot's side": {"reporter"},
    "seventh: a master to look at": {"demo_master"},
    "eighth: commands": {"cli_outbox", "cli_ping", "cli_receive", "demo"},
    "roof: what a person types": {"cli"},
    "flag: python -m": {"__main__"},
}  # fmt: skip
"""A module imports from lower floors only. ``__init__`` holds the version, for all."""

KNOW_BUILDBOT = {"arguments", "catchup", "demo_master", "payload", "rendering", "reporter", "users"}
PURE = {"encoding", "endpoint", "events", "identity", "model", "redaction", "retry", "signing"}
IMPURE = ("twisted.internet", "twisted.web", "treq", "sqlalchemy", "buildbot.")

LINES_MOST = 350
STATEMENTS_MOST = 25


@cache
def modules() -> dict[str, ast.Module]:
    """Return the parsed modules by name."""
    return {each.stem: ast.parse(each.read_text("utf-8")) for each in SOURCE.glob("*.py")}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of what is imported, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def rooms(tree: ast.Module) -> set[str]:
    """Return the modules of this package that a module imports."""
    parts = [name.split(".") for name in imported(tree)]
    names = {each[1] for each in parts if each[0] == PACKAGE and len(each) > 1}
    return names & set(modules())


def functions() -> Iterator[tuple[str, int]]:
    """Yield each function's name and how many statements it has, those of inner ones included."""
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                statements = sum(isinstance(each, ast.stmt) for each in ast.walk(node)) - 1
                documented = ast.get_docstring(node) is not None
                yield f"{module}.{node.name}", statements - documented


class FloorsTest(SynchronousTestCase):
    """Who imports whom."""

    def test_everyone_has_a_place(self) -> None:
        """Each module stands on one floor, and each name in the table is a module."""
        placed = [name for floor in FLOORS.values() for name in floor]
        self.assertEqual(sorted(placed), sorted(set(modules()) - {"__init__"}))

    def test_downwards_only(self) -> None:
        """A module imports from lower floors only: there is no circle, late imports included."""
        level = {name: number for number, floor in enumerate(FLOORS.values()) for name in floor}
        upwards = [
            f"{name} imports {other}"
            for name, tree in modules().items()
            for other in rooms(tree)
            if level.get(other, -1) >= level.get(name, len(FLOORS))
        ]
        self.assertEqual(upwards, [])

    def test_buildbot(self) -> None:
        """Few modules know Buildbot."""
        knowing = {
            name
            for name, tree in modules().items()
            if any(each.split(".")[0] == "buildbot" for each in imported(tree))
        }
        self.assertEqual(knowing, KNOW_BUILDBOT)

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
            if not name.startswith("cli"):
                self.assertNotIn("twisted.internet.reactor", imported(tree), name)


class SizesTest(SynchronousTestCase):
    """How long things may be."""

    def test_modules(self) -> None:
        """No module has more than 350 lines."""
        sizes = {
            each.name: len(each.read_text("utf-8").splitlines()) for each in SOURCE.glob("*.py")
        }
        self.assertEqual({name: size for name, size in sizes.items() if size > LINES_MOST}, {})

    def test_functions(self) -> None:
        """No function has more than 25 statements, and most have less than ten."""
        sizes = list(functions())
        self.assertEqual([each for each in sizes if each[1] > STATEMENTS_MOST], [])
        short = [name for name, size in sizes if size < 10]
        self.assertGreater(len(short) / len(sizes), 0.85)
