"""The pages in docs/ hold what the code has, and the tutorial's commands do what it shows."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import groupby
from pathlib import Path
from types import ModuleType
from unittest import mock

import jsonschema
import pytest
from chaos.cases import CASES
from support.boards import ask
from twisted.trial import unittest

from buildbot_http_status_push.configuration.options import OPTION_NAMES
from buildbot_http_status_push.delivery.retry import group_delay, own_delay, probe_delay
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.schema import deliveries
from buildbot_http_status_push.report import contract
from buildbot_http_status_push.report.default_generator import GENERATOR_OPTIONS
from buildbot_http_status_push.wire import errors, tls_errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "src" / "buildbot_http_status_push"
"""The sources' text is looked at; what is run is what is installed."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = r"--[a-z][a-z-]*"
PORT = "8099"
ACTIVATE = ". sandbox/bin/activate\n"
PATIENCE = 120
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
HELD_BY = re.compile(r"^\| .*\|([^|]*)\|$", re.MULTILINE)
"""A table's last cell."""


def load(name: str) -> ModuleType:
    """Load one of the programs in docs/."""
    specification = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def words(text: str) -> str:
    """Return a text with single spaces, the format of its fields left out."""
    return " ".join(re.sub(r"\{(\w+)[^}]*\}", r"{\1}", text).split())


def page(name: str) -> str:
    """Return a page's text."""
    return (DOCS / name).read_text(encoding="utf-8")


class ReferenceTests(unittest.SynchronousTestCase):
    """The reference is held against the code."""

    def test_options_page_is_up_to_date(self) -> None:
        """The pages have each option, and the error texts that wrong values get now."""
        table = load("options_table")
        named = [option.name for option in table.options()]
        assert sorted(named) == sorted([*OPTION_NAMES, *GENERATOR_OPTIONS, "generators", "name"])
        assert page("reference/options.md") == table.page(), "run: python docs/options_table.py"
        errors = page("reference/errors.md")
        assert errors == table.errors_page(), "run: python docs/options_table.py"

    def test_cli_page_is_up_to_date(self) -> None:
        """The page has all options of each command's --help."""
        cli_page = load("cli_page")
        text = page("reference/cli.md")
        assert text == cli_page.page(), "run: python docs/cli_page.py"
        for command in cli_page.commands(cli_page.make_parser()):
            with mock.patch.dict(os.environ, COLUMNS="1000"):  # no option's name is broken
                printed = command.format_help()
            section = text.partition(f"## {command.prog.partition(' ')[2]}\n")[2].partition("##")[0]
            assert set(re.findall(OPTION, printed)) == {"--help", *re.findall(OPTION, section)}

    def test_picture_is_up_to_date(self) -> None:
        """The picture of the packages has today's imports."""
        drawn = load("packages_picture").picture()
        assert page("project/packages.svg") == drawn, "run: python docs/packages_picture.py"

    def test_every_log_line_is_explained(self) -> None:
        """The page of log messages quotes each line that reporter and board can log."""
        explained = words(page("operate/log-messages.md"))
        missing = [each for each in load("log_lines").log_lines() if words(each) not in explained]
        assert not missing

    def test_every_cause_of_trouble_is_explained(self) -> None:
        """The page on operating has the words for each kind of network and TLS trouble."""
        told = page("operate/log-messages.md")
        texts = [text for _, text in errors.TROUBLES]
        texts += [*tls_errors.REFUSALS.values(), *tls_errors.BREAKDOWNS.values()]
        texts += [tls_errors.ANOTHER_HOST, tls_errors.UNREADABLE_HOSTS, tls_errors.UNKNOWN_REFUSAL]
        plain = [max(re.split(r"\{[^}]*\}", text), key=len).strip(" :") for text in texts]
        assert not [text for text in plain if text not in told]

    def test_states_are_listed(self) -> None:
        """The page on states has a row for each of them, and for no other."""
        rows = re.findall(r"^\| `(\w+)` \|", page("reference/states.md"), re.MULTILINE)
        assert rows == [state.value for state in State]

    def test_schedules_are_the_codes(self) -> None:
        """The page on retries has the waits of the code."""

        def waits(*seconds: float) -> str:
            first = ", ".join(f"{each:g} s" for each in seconds[:-1])
            return f"| {first}, … up to {seconds[-1]:g} s |".replace("3600 s", "1 h")

        counts, most, middle = (1, 2, 3), 99, 0.5
        text = page("reference/retry.md")
        assert waits(*(group_delay(each, middle) for each in (*counts, most))) in text
        refused = (group_delay(each, middle, is_refusal=True) for each in (*counts, most))
        assert waits(*refused) in text
        assert waits(*(own_delay(each, middle) for each in (*counts, 4, 5, most))) in text
        for lasted, wait in (("1 s", 1), ("10 minutes", 599), ("onger", 600)):
            assert re.search(rf"{lasted} \| {probe_delay(wait, middle):g} s \|", text)

    def test_columns_are_listed(self) -> None:
        """The page on stored data has a row for each column."""
        table = page("reference/stored.md").partition("| --- |")[2].partition("\n\n")[0]
        named = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
        assert sorted(named) == sorted(deliveries.c.keys())

    def test_body_page_has_the_keys_of_the_schema(self) -> None:
        """The table of the body's keys has those of the shipped schema."""
        rows = re.findall(r"^\| (`.*?`) \|", page("reference/body.md"), re.MULTILINE)
        named = re.findall(r"`(\w+)`", " ".join(rows))
        assert sorted(named) == sorted(contract.body_schema()["properties"])

    def test_examples_fulfil_the_schema(self) -> None:
        """The bodies shown as examples are valid."""
        for example in ("builds-new", "builds-finished"):
            body = json.loads(page(f"reference/examples/{example}.json"))
            jsonschema.validate(body, contract.body_schema())

    def test_each_event_has_an_example(self) -> None:
        """Of each event of requests, workers and builders there is a valid body."""
        for kind in contract.KINDS[1:]:
            schema = contract.body_schema(kind=kind)
            for event in schema["properties"]["event"]["enum"]:
                body = json.loads(page(f"reference/examples/{event.replace('.', '-')}.json"))
                jsonschema.validate(body, schema)
                assert body["event"] == event
                assert f"`{event}`" in page("reference/events.md")

    def test_promises_are_held(self) -> None:
        """Each promise names tests or cases of the fault suite, and all that are named exist."""
        text = page("concepts/guarantees.md")
        promised = text.partition("## Promised\n")[2].partition("## Not promised\n")[0]
        cells = HELD_BY.findall(promised)
        assert cells
        assert not [each for each in cells if not re.search(r"`|^ tests $|---", each)]
        named = re.findall(r"`(\w+)`", " ".join(HELD_BY.findall(text)))
        assert not set(named) - {case.__name__ for case in CASES}
        files = re.findall(r"`([\w/]*test_\w+\.py)`", text)
        assert not [each for each in files if not (ROOT / "tests" / each).is_file()]

    def test_wings_are_listed(self) -> None:
        """The architecture page has each package, and each module beside them."""
        table = page("project/architecture.md").partition("## Packages")[2].partition("## ")[0]
        rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
        named = re.findall(r"`(\w+)/?`", " ".join(rows))
        wings = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
        assert sorted(named) == sorted(wing for wing in wings if not wing.startswith("__"))

    def test_links_lead_somewhere(self) -> None:
        """Each relative link in the texts names a file that is there."""
        texts = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
        broken = [
            f"{text.name}: {target}"
            for text in texts
            for target in LINK.findall(text.read_text(encoding="utf-8"))
            if "://" not in target and not (text.parent / target).exists()
        ]
        assert not broken


class BoardAloneTests(unittest.SynchronousTestCase):
    """A board where Buildbot is not installed."""

    def test_requirements(self) -> None:
        """The page installs what the extra names."""
        project = (ROOT / "pyproject.toml").read_text()
        extra = re.search(r"^board = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
        assert extra is not None
        needs = re.findall(r'"(.*?)"', extra[1])
        command = " ".join(["pip install", *map(json.dumps, needs)])
        assert f"{command}\n" in page("operate/production.md")


@pytest.mark.timeout(300)
class TutorialTests(unittest.SynchronousTestCase):
    """The tutorial, word by word."""

    def setUp(self) -> None:
        """Work in a new folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="http-status-push-tutorial-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.printed = self.folder / "printed by the receiver"
        self.printed.touch()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path}

    def test_commands_do_what_the_tutorial_shows(self) -> None:
        """Builds arrive, statuses wait while the receiver is away, and arrive when it is back."""
        blocks = FENCE.findall(page("get-started/tutorial.md"))
        (config,) = [block for language, block in blocks if language == "python"]
        shell = [block for language, block in blocks if language == "shell"]
        install, receive, create, check, start, look, list_outbox, again, board, stop = shell

        assert "pip install ./buildbot-http-status-push" in install
        port = self.begin_receiving(receive, port="0")
        self.run_block(create)
        (self.folder / "master" / "master.cfg").write_text(config.replace(PORT, port))
        assert "Config file is good!" in self.run_block(check)
        self.guard_master()
        self.run_block(start.replace("start master", f"start --start_timeout={PATIENCE} master"))
        self.wait_until_printed("hello #2 .*finished: success")
        self.end_receiving()
        assert "does not accept statuses: connection refused" in self.run_block(look)
        assert re.search("waiting .*hello#[0-9]+ finished", self.run_block(list_outbox))
        self.begin_receiving(again, port)
        for number in range(3, 6):
            self.wait_until_printed(f"hello #{number} .*finished: success")
        self.end_receiving()
        self.begin_receiving(board, port)
        self.wait_until_shown(int(port), "hello")
        self.run_block(stop)
        self.end_receiving()
        assert (self.folder / "board.sqlite").exists()

        arrived = re.findall(r"hello #(\d+) +(new|finished)", self.printed.read_text())
        for number in map(str, range(1, 6)):
            # A receiver that ends before it has answered is sent the same again.
            statuses = [what for what, _ in groupby(w for each, w in arrived if each == number)]
            assert statuses == ["new", "finished"], f"build {number}: {statuses}"

    def run_block(self, block: str) -> str:
        """Run a block in the tests' own environment, and return what it printed."""
        command = ["/bin/bash", "-euc", block]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def guard_master(self) -> None:
        """End the master when this process ends, in whatever way: it is a child of nobody."""
        command = 'cat; kill "$(cat master/twistd.pid)"; rm -f master/twistd.pid'
        guard = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.addCleanup(guard.communicate, timeout=PATIENCE)

    def begin_receiving(self, block: str, port: str) -> str:
        """Run the receiver of a block, but on another port, which is returned."""
        command = block.replace(ACTIVATE, "").replace(PORT, port).split()
        before = len(self.printed.read_text())
        with self.printed.open("ab") as output:
            self.receiver = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output
            )
        self.addCleanup(self.end_receiving)
        listening = self.wait_until_printed(r" http://127\.0\.0\.1:(\d+)[,/]", before)
        return listening[1]

    def end_receiving(self) -> None:
        """Press Ctrl-C in the receiver's terminal."""
        if self.receiver.poll() is None:
            self.receiver.send_signal(signal.SIGINT)
        try:
            self.receiver.wait(PATIENCE)
        finally:
            self.receiver.kill()

    def wait_until_shown(self, port: int, word: str) -> None:
        """Wait until a word is on the board's page."""
        end = time.monotonic() + PATIENCE
        while word not in ask(port, "GET", "/").text:
            assert time.monotonic() < end, f"no {word!r} on the board:\n{self.told()}"
            time.sleep(0.1)

    def told(self) -> str:
        """Return what the receiver printed and what the master logged."""
        logs = [self.printed, self.folder / "master" / "twistd.log"]
        return "\n".join(log.read_text() for log in logs if log.exists())

    def wait_until_printed(self, pattern: str, begin: int = 0) -> re.Match[str]:
        """Wait until the receiver has printed something, and return it."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.printed.read_text()[begin:])):
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.told()}"
            time.sleep(0.1)
        return found
