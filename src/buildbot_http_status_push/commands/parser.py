"""An argument parser whose errors are one line: what is wrong, and what was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

LIKENESS = 0.75
"""From 0 to 1: how much an option must be like what was written to be meant by it."""


class Parser(argparse.ArgumentParser):
    """Tells of an unknown option in its own sub-command, and before what is missing.

    argparse itself names the missing option first, though it may be the misspelt one, and leaves
    what a sub-command does not know to the command, whose usage does not help.
    """

    def parse_known_args(  # type: ignore[override]  # typeshed has overloads for what is returned
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Read arguments; those of sub-commands are left to their own parsers."""
        if self._subparsers is not None or args is None:
            return super().parse_known_args(args, namespace)
        self._check_options(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"there is nothing to be done with {unknown[0]!r}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print what is wrong in one line, without the usage, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")

    def _check_options(self, args: Sequence[str]) -> None:
        for text in args:
            option = text.partition("=")[0]
            if option == "--":
                return
            if option.startswith("--") and not self._knows(option):
                close = get_close_matches(option.lower(), self._option_string_actions, 1, LIKENESS)
                hint = f", did you mean {close[0]}?" if close else ""
                self.error(f"there is no option {option}{hint}")

    def _knows(self, option: str) -> bool:
        return any(known.startswith(option) for known in self._option_string_actions)
