"""Finds every line that the reporter can write into the master's log."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "buildbot_http_status_push"
LEVELS = frozenset({"info", "warn", "error", "critical", "failure"})


def log_lines() -> Iterator[str]:
    """Yield the format of each line, with its fields in braces."""
    for module in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_log_call(node.func):
                yield ast.literal_eval(node.args[0])


def _is_log_call(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in LEVELS
        and ast.unparse(function.value) in ("log", "self.log", "self._log", "self._logger")
    )
