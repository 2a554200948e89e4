"""The command ``buildbot-http-status-push``: what a person may type.

Buildbot is imported, and the global reactor installed, only by sub-commands that need them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

from buildbot_http_status_push import __version__
from buildbot_http_status_push.commands.board import add_board
from buildbot_http_status_push.commands.claim import add_claim
from buildbot_http_status_push.commands.console import DONE, FAILED, UNREAD
from buildbot_http_status_push.commands.demo_arguments import add_demo
from buildbot_http_status_push.commands.outbox import add_outbox
from buildbot_http_status_push.commands.ping import add_ping
from buildbot_http_status_push.commands.receive import add_receive
from buildbot_http_status_push.commands.terminal import Output, forget_stdout
from buildbot_http_status_push.commands.watch import add_watch

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers


LIKENESS = 0.75
"""From 0 to 1: how much an option must be like what was written to be meant by it."""


class Parser(argparse.ArgumentParser):
    """Reports an unknown option in its own sub-command, and before what is missing.

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
            self.error(f"unrecognized argument: {unknown[0]}")
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
                hint = f"; did you mean {close[0]}?" if close else ""
                self.error(f"unrecognized option: {option}{hint}")

    def _knows(self, option: str) -> bool:
        return any(known.startswith(option) for known in self._option_string_actions)


def main(argv: Sequence[str] | None = None) -> int | None:
    """Run a sub-command.

    Args:
        argv: The arguments after the program's name; those of the process when ``None``.

    Returns:
        The exit code: 0, 1, 2, or 141 where who read the output has gone away.
    """
    output = Output()
    try:
        return _run(sys.argv[1:] if argv is None else argv, output)
    finally:
        _flush()


def _run(argv: Sequence[str], output: Output) -> int:
    try:
        arguments = make_parser(argv).parse_args(argv)
    except BrokenPipeError:  # of what --help prints; newer Pythons than 3.10 pass over it
        return DONE
    try:
        code = int(arguments.run(arguments, output))
    except KeyboardInterrupt:
        # Before the reactor runs, which takes Ctrl-C for itself; nothing has begun yet.
        return FAILED
    except BrokenPipeError:
        return UNREAD
    return UNREAD if output.closed else code


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # of what --help has printed
        forget_stdout()


def make_parser(argv: Sequence[str] = ()) -> argparse.ArgumentParser:
    """Make the parser, with all sub-commands unless the first argument names one."""
    parser: argparse.ArgumentParser = Parser(
        prog="buildbot-http-status-push",
        description="Tools around Buildbot's HttpStatusPush reporter.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = COMMANDS.get(argv[0]) if argv else None
    for add_command in (named,) if named else COMMANDS.values():
        add_command(commands)
    return parser


COMMANDS: dict[str, Callable[[SubParsers], None]] = {
    "demo": add_demo,
    "board": add_board,
    "claim": add_claim,
    "receive": add_receive,
    "ping": add_ping,
    "outbox": add_outbox,
    "watch": add_watch,
}
"""Each adds one sub-command, whose ``run`` takes arguments and output, and returns the exit code.

A new sub-command has its place here; what is slow to import, it imports when it runs.
"""
