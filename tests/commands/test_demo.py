"""The demo: a real master, run as a person runs it, and the comparison that it rests on."""

from __future__ import annotations

import json
import re
import signal
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.boards import ask
from support.commands import Command, processes_in, run, temporary_folder
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands.demo_destinations import Arrivals
from buildbot_http_status_push.commands.demo_master import shielded
from buildbot_http_status_push.commands.demo_verdict import (
    Build,
    disagreements,
    misshown,
    undelivered,
)
from buildbot_http_status_push.model import State

pytestmark = pytest.mark.once

ENDINGS = {
    "passes": "success",
    "tests": "success",
    "warns": "warnings",
    "fails": "failure",
    "breaks": "exception",
    "is-stopped": "cancelled",
    "skips": "skipped",
}
BUILDS = (Build(1, "docs #1", 0), Build(2, "docs #2", 6))
NEW_1 = {"buildid": 1, "complete": False, "results": None}
NEW_2 = {"buildid": 2, "complete": False, "results": None}
END_1 = {"buildid": 1, "complete": True, "results": 0}
END_2 = {"buildid": 2, "complete": True, "results": 6}
LINE = re.compile(r"\d\d:\d\d:\d\d  (\S+) #(\d+) +(new|finished: \w+)")


class DemoTests(SynchronousTestCase):
    """The demo as a process."""

    def setUp(self) -> None:
        """Make a folder in which the demo makes its own."""
        self.temporary = temporary_folder(self)
        self.environment = {"TMPDIR": str(self.temporary)}

    def start(self, *arguments: str) -> Command:
        """Start the demo."""
        command = Command("demo", *arguments, environment=self.environment)
        self.addCleanup(command.kill)
        return command

    def run_demo(self, *arguments: str) -> tuple[int, str, str]:
        """Run the demo to its end."""
        return run("demo", *arguments, environment=self.environment)

    def test_all_endings(self) -> None:
        """Builds end in every way, each has two statuses, and all of them arrive."""
        code, output, errors = self.run_demo("--builds", "8")
        self.assertEqual((code, errors), (0, ""), output)
        arrived: dict[str, list[str]] = {}
        for builder, _, words in LINE.findall(output):
            arrived.setdefault(builder, []).append(words)
        self.assertEqual(
            arrived.pop("retries"), ["new", "finished: retry", "new", "finished: success"]
        )
        self.assertEqual(
            arrived, {name: ["new", f"finished: {result}"] for name, result in ENDINGS.items()}
        )
        *_, last = output.splitlines()
        self.assertEqual(last, "9 builds, 18 statuses, 18 delivered, 18 received. All is well.")
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_shows_a_body(self) -> None:
        """With --show-body one finished build is shown whole, as it arrived signed."""
        _, output, _ = self.run_demo("--builds", "1", "--show-body", "--secret", "a key")
        shown = output[output.index("\n{\n") : output.index("\n}\n") + 2]
        build = json.loads(shown)
        self.assertEqual((build["builder"]["name"], build["complete"]), ("passes", True))
        self.assertTrue(output.endswith("2 received. All is well.\n"), output)

    def test_keep(self) -> None:
        """With --keep the master's folder stays, and is told."""
        code, output, _ = self.run_demo("--builds", "1", "--keep")
        (folder,) = self.temporary.iterdir()
        self.assertEqual(code, 0)
        told = f"Starting a Buildbot master in {folder}, which is kept"
        self.assertEqual(output.splitlines()[0], told)
        configuration = (folder / "master.cfg").read_text()
        self.assertIn("reporters.HttpStatusPush(serverUrl='http://127.0.0.1:", configuration)
        self.assertIn("BuildMaster is stopped", (folder / "twistd.log").read_text())

    def receive(self, *arguments: str) -> tuple[Command, str]:
        """Start a receiver; return it and its URL."""
        receiver = Command("receive", "--port", "0", *arguments)
        self.addCleanup(receiver.kill)
        return receiver, receiver.line().split()[2].rstrip(",")

    def test_server_url(self) -> None:
        """With --server-url the statuses go there, signed, and are shown when accepted."""
        receiver, url = self.receive("--secret", "a key")
        sent = ("--builds", "2", "--server-url", url, "--secret", "a key")
        code, output, errors = self.run_demo(*sent)
        receiver.interrupt()
        _, received, _ = receiver.end()
        self.assertEqual((code, errors), (0, ""), output)
        self.assertEqual(sorted(LINE.findall(output)), sorted(LINE.findall(received)))
        self.assertEqual(len(LINE.findall(received)), 4)
        self.assertEqual(output.count("accepted with 200"), 4)
        self.assertEqual(output.splitlines()[-1], "2 builds, 4 statuses, 4 delivered. All is well.")

    def test_board(self) -> None:
        """With --board the builds are on a board, with reasons, which stays and gets more."""
        command = self.start("--board", "--builds", "10")
        address = command.line(lambda line: line.startswith("The board is at")).split()[-1]
        self.assertEqual(
            command.line(lambda line: "All is well" in line).strip(),
            "11 builds, 22 statuses, 22 delivered, 11 builds on the board. All is well.",
        )
        port = urlsplit(address).port
        assert port is not None
        known = json.loads(ask(port, "GET", "/api/builds").body)
        shown = {(each["builder_name"], each["number"]): each["result"] for each in known["builds"]}
        wanted = {(name, 1): result for name, result in ENDINGS.items()}
        again = {("retries", 1): "retry", ("retries", 2): "success"}
        self.assertLessEqual((wanted | again).items(), shown.items())
        lines = json.loads(ask(port, "GET", "/api/failures").body)["failures"]
        steps = {
            each["build"]["builder_name"]: each["memory"]["reasons"][0]["step"] for each in lines
        }
        self.assertEqual(steps, {"breaks": "generic", "fails": "compile", "tests": "test"})
        while json.loads(ask(port, "GET", "/api/builds").body)["sequence"] == known["sequence"]:
            pass
        command.interrupt()
        code, output, errors = command.end()
        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output.splitlines()[-1], "Stopping the master.")
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_refused(self) -> None:
        """Where nothing is accepted nothing is shown as if, and what to do next is said."""
        _, url = self.receive("--secret", "a key")
        code, output, errors = self.run_demo("--builds", "1", "--server-url", url)
        self.assertEqual((code, errors, LINE.findall(output)), (1, "", []), output)
        self.assertEqual(output.count("not accepted: rejected with 401"), 1)
        *_, fault, advice, verdict = output.splitlines()
        self.assertIn("2 of 2 statuses are not delivered: rejected with 401", fault)
        self.assertIn("'buildbot-http-status-push ping'", advice)
        self.assertTrue(verdict.endswith("That is wrong."), verdict)

    def test_wrong_server_url(self) -> None:
        """A URL that can't be sent to is refused before a master is started."""
        code, output, errors = self.run_demo("--server-url", "nonsense")
        self.assertEqual((code, output), (2, ""))
        self.assertIn("argument --server-url: serverUrl is 'nonsense'", errors)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_output_closed(self) -> None:
        """A demo whose output nobody reads any more ends at once and quietly."""
        command = self.start("--builds", "200")
        command.line()
        command.close_output()
        code, _, errors = command.end()
        self.assertEqual((code, errors), (141, ""))
        self.assertEqual(list(self.temporary.iterdir()), [])

    def assert_ends(self, command: Command) -> None:
        """The demo says that it was interrupted, and nothing is left behind."""
        code, output, errors = command.end()
        self.assertEqual((code, errors), (1, ""))
        self.assertEqual(output.splitlines()[-1], "Interrupted; stopping the master.")
        self.assertEqual(list(self.temporary.iterdir()), [])
        self.assertEqual(processes_in(self.temporary), [])

    def test_interrupted_at_start(self) -> None:
        """Ctrl-C while the master starts leaves nothing behind."""
        command = self.start()
        command.line(lambda line: line.startswith("Starting"))
        command.interrupt()
        self.assert_ends(command)

    def test_interrupted_while_forcing(self) -> None:
        """Ctrl-C while builds are still being started leaves nothing behind."""
        command = self.start("--builds", "200")
        command.line(lambda line: "new" in line)
        command.interrupt()
        self.assert_ends(command)

    def test_interrupted_builds(self) -> None:
        """SIGTERM while a build's process runs leaves nothing behind."""
        command = self.start("--builds", "21")
        command.line(lambda line: "is-stopped #1" in line)
        command.interrupt(signal.SIGTERM)
        self.assert_ends(command)

    def test_without_worker(self) -> None:
        """Where buildbot-worker is missing, one line says what to install."""
        module = temporary_folder(self)
        (module / "sitecustomize.py").write_text(
            "import sys; sys.modules['buildbot_worker'] = None"
        )
        code, output, errors = run("demo", environment={"PYTHONPATH": str(module)})
        self.assertEqual((code, output), (2, ""))
        self.assertEqual(
            errors,
            "buildbot-http-status-push: the demo runs workers: "
            "pip install 'buildbot-http-status-push[demo]'\n",
        )


class ShieldTests(SynchronousTestCase):
    """Waiting for the master, interrupted."""

    def test_cancelled(self) -> None:
        """Who waits is cancelled, what it waits for goes on."""
        cancelled: list[Deferred[str]] = []
        inner = Deferred[str](cancelled.append)
        outer = shielded(inner)
        outer.cancel()
        self.failureResultOf(outer, CancelledError)
        inner.callback("done")
        self.assertEqual(cancelled, [])

    def test_passes_on(self) -> None:
        """A result is passed on, a failure too."""
        self.assertEqual(self.successResultOf(shielded(succeed("done"))), "done")
        self.failureResultOf(shielded(fail(OSError("gone"))), OSError)


def entry(message_id: str, event: str, state: State, outcome: str) -> Any:
    """A delivery about the build with id 1."""
    return SimpleNamespace(
        id=message_id, build=1, event=event, state=state, outcome=outcome, updated_at=0.0
    )


class ArrivalsTests(SynchronousTestCase):
    """What is told of statuses that go to a receiver elsewhere."""

    def setUp(self) -> None:
        """Know of a build's begin."""
        self.told: list[str] = []
        self.arrivals = Arrivals(lambda text, tone="": self.told.append(text[10:]))
        build = {**NEW_1, "number": 1, "builder": {"name": "docs"}}
        self.arrivals.note(("builds", "1", "new"), build)

    def test_accepted(self) -> None:
        """A status is told when it is accepted, once."""
        waits = entry("a", "builds.new", State.WAITING, "")
        accepted = entry("a", "builds.new", State.DELIVERED, "accepted with 200")
        for entries in ([waits], [accepted], [accepted]):
            self.arrivals.show_new(entries)
        self.assertEqual(
            [line.split() for line in self.told], [["docs", "#1", "new", "accepted", "with", "200"]]
        )

    def test_trouble(self) -> None:
        """A kind of trouble is told once, however many statuses have it."""
        refused = [entry(each, "builds.new", State.RETRYING, "401 no") for each in "ab"]
        self.arrivals.show_new(refused)
        self.arrivals.show_new(refused)
        self.assertEqual(self.told, ["not accepted: 401 no"])


class ComparisonTests(SynchronousTestCase):
    """What has arrived against what the database says."""

    def test_agreement(self) -> None:
        """Two statuses for each build, in their order, are as it should be."""
        statuses = [NEW_1, NEW_2, END_2, END_1]
        self.assertEqual(disagreements(BUILDS, statuses), [])

    def test_missing(self) -> None:
        """A missing end is told."""
        self.assertEqual(
            disagreements(BUILDS, [NEW_1, NEW_2, END_1]),
            ["docs #2: expected new, finished: cancelled; arrived new"],
        )

    def test_none(self) -> None:
        """A build without any status is told."""
        self.assertEqual(
            disagreements(BUILDS[:1], []),
            ["docs #1: expected new, finished: success; arrived none"],
        )

    def test_wrong(self) -> None:
        """Another result, another order and a status too many are told."""
        for statuses in (
            [NEW_1, END_1 | {"results": 2}],
            [END_1, NEW_1],
            [NEW_1, END_1, END_1],
        ):
            self.assertEqual(len(disagreements(BUILDS[:1], statuses)), 1)

    def test_on_a_board(self) -> None:
        """What a board lacks, or shows otherwise, is told."""
        self.assertEqual(misshown(BUILDS, {1: 0, 2: 6, 3: None}), [])
        self.assertEqual(
            misshown(BUILDS, {2: None}),
            [
                "docs #1: ended as success, the board shows nothing",
                "docs #2: ended as cancelled, the board shows running",
            ],
        )

    def test_delivered(self) -> None:
        """Deliveries that were accepted, or that a newer one has replaced, are settled."""
        self.assertEqual(undelivered([("delivered", "ok"), ("superseded", "newer")], 2), [])

    def test_undelivered(self) -> None:
        """Deliveries that wait, or that never came to be, are counted with a reason."""
        outbox = [("delivered", "ok"), ("waiting", None), ("waiting", "connection refused")]
        self.assertEqual(
            undelivered(outbox, 4), ["3 of 4 statuses are not delivered: connection refused"]
        )
        self.assertEqual(undelivered([], 2), ["2 of 2 statuses are not delivered: not tried yet"])
