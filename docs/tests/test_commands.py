"""The commands on the pages do what the page says, together with what stands beside them."""

from __future__ import annotations

import os
import re
import shlex
from itertools import takewhile
from pathlib import Path

from support.commands import Command, run, temporary_folder
from support.examples import KEY, Example
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands.main import make_parser

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^ *buildbot-http-status-push (.*)$", re.MULTILINE)
BLOCK = re.compile(r"^ *```(?:sh|shell)\n(.*?)```$", re.MULTILINE | re.DOTALL)
FOR_THE_SHELL = {">", "|", "&&"}
EXAMPLES = ("receiver_flask.py", "receiver_fastapi.py", "receiver.mjs")


def commands(page: Path) -> list[list[str]]:
    """Return the arguments of this package's command wherever a page calls it."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    lines = [line for block in blocks for line in COMMAND.findall(block)]
    return [
        [*takewhile(lambda word: word not in FOR_THE_SHELL, shlex.split(each))] for each in lines
    ]


def command(page: str, *words: str) -> list[str]:
    """Return the one command of a page on receivers that has these words."""
    there = commands(ROOT / "docs" / "receivers" / page)
    [found] = [each for each in there if set(words) <= set(each)]
    return found


class DocumentedTests(SynchronousTestCase):
    """What readers copy from the pages."""

    def test_arguments(self) -> None:
        """Each command's arguments are such that it takes, where the files that it names are."""
        folder = temporary_folder(self)
        for name in ("board-key", "wall-password", "team-password", "verdicts.toml"):
            (folder / name).write_text(KEY)
        (folder / "known-failures").mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(folder)
        parser = make_parser()
        self.patch(os, "environ", os.environ | {"BOARD_AUTH": f"ada:{KEY}"})
        parsed = [parser.parse_args(each) for page in PAGES for each in commands(page)]
        self.assertGreater(len(parsed), 10)

    def use(self, example: Example, words: list[str]) -> tuple[int, str, str]:
        """Run a command of the page on receivers, with this receiver's address and key."""
        place = {"http://127.0.0.1:8080/submit": f"{example.url}/submit", "$WEBHOOK_KEY": KEY}
        return run(*(place.get(word, word) for word in words))

    def test_try_it(self) -> None:
        """Each complete receiver accepts what ping and the demo of the page on them send."""
        for name in EXAMPLES:
            example = Example(name, temporary_folder(self))
            self.addCleanup(example.kill)
            code, output, errors = self.use(example, command("write.md", "ping"))
            self.assertEqual((code, errors), (0, ""), output)
            self.assertEqual(example.builds(), [])
        demo = command("write.md", "demo")
        code, output, errors = self.use(example, [*demo, "--builds", "2"])
        self.assertEqual((code, errors), (0, ""), output)
        self.assertEqual(len(example.builds()), 2)

    def test_bad_receivers(self) -> None:
        """Each bad receiver does to a ping what its option says."""
        answers = {
            "--fail": "it answered|503",
            "--fail-rate": "accepted the test status|503",
            "--delay": "accepted the test status",
            "--hang": "was not delivered",
        }
        for option, words in answers.items():
            arguments = command("write.md", "receive", option)
            arguments[arguments.index("8099")] = "0"
            receiver = Command(*arguments)
            self.addCleanup(receiver.kill)
            url = receiver.line().split()[2].rstrip(",")
            _, output, _ = run("ping", "--server-url", url, "--timeout", "3")
            self.assertRegex(output.splitlines()[-1], words)
