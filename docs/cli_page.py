"""Writes ``reference/cli.md`` from the commands themselves.

Run it after a change of the commands: ``python docs/cli_page.py``. A test says when to.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from buildbot_http_status_push.commands.main import make_parser

PAGE = Path(__file__).with_name("reference") / "cli.md"

INTRODUCTION = """\
# Command line

`python -m buildbot_http_status_push` is the same command as `buildbot-http-status-push`. Exit
codes: 0 done, 1 failed, 2 invalid arguments, unless stated otherwise. `--help` lists the
arguments of any command.
"""


def page() -> str:
    """Return the whole page."""
    return INTRODUCTION + "".join(map(_section, commands(make_parser())))


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands that do something, in order."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if parser.get_default("run"):
        yield parser
    for group in groups:
        for command in group.choices.values():
            yield from commands(command)


def _section(parser: argparse.ArgumentParser) -> str:
    rows = "".join(map(_row, (each for each in parser._actions if each.dest != "help")))
    return (
        f"\n## {parser.prog.partition(' ')[2]}\n\n{parser.description or ''}\n\n"
        f"| argument | meaning |\n| --- | --- |\n{rows}"
    )


def _row(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    value = f" {action.metavar or action.dest.upper()}" if _takes_value(action) else ""
    needed = " (required)" if action.required and action.option_strings else ""
    meaning = (action.help or "") % {"default": action.default, "prog": "the command"}
    return f"| `{names}{value}` | {meaning.replace('|', '&#124;')}{needed} |\n"


def _takes_value(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.nargs != 0


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
