"""The demo: a real master, run as a person runs it, and the comparison that it rests on."""

from __future__ import annotations

import json
import re
import signal

from support.commands import Command, processes_in, run, temporary_folder
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.commands.demo import Build, disagreements, undelivered
from buildbot_http_status_push.commands.demo_master import shielded

ENDINGS = {
    "passes": "success",
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
        code, output, errors = self.run_demo("--builds", "7")
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
        self.assertIn("8 builds, 16 statuses, 16 delivered, 16 received. All is well.", output)
        self.assertEqual(list(self.temporary.iterdir()), [])

    def test_shows_a_status(self) -> None:
        """One finished build is shown whole, as it arrived."""
        _, output, _ = self.run_demo("--builds", "1")
        shown = output[output.index("\n{\n") : output.index("\n}\n") + 2]
        build = json.loads(shown)
        self.assertEqual((build["builder"]["name"], build["complete"]), ("passes", True))

    def test_keep(self) -> None:
        """With --keep the master's folder stays, and is told."""
        code, output, _ = self.run_demo("--builds", "1", "--keep")
        (folder,) = self.temporary.iterdir()
        self.assertEqual(code, 0)
        self.assertEqual(output.splitlines()[-1], f"The master's folder is {folder}")
        configuration = (folder / "master.cfg").read_text()
        self.assertIn("reporters.HttpStatusPush(serverUrl='http://127.0.0.1:", configuration)
        self.assertIn("BuildMaster is stopped", (folder / "twistd.log").read_text())

    def test_server_url(self) -> None:
        """With --server-url the statuses go there, and the demo tells what it has sent."""
        receiver = Command("receive", "--port", "0")
        self.addCleanup(receiver.kill)
        url = receiver.line().split()[2].rstrip(",")
        code, output, errors = self.run_demo("--builds", "2", "--server-url", url)
        receiver.interrupt()
        _, received, _ = receiver.end()
        self.assertEqual((code, errors), (0, ""), output)
        self.assertEqual(sorted(LINE.findall(output)), sorted(LINE.findall(received)))
        self.assertEqual(len(LINE.findall(received)), 4)
        self.assertIn("2 builds, 4 statuses, 4 delivered. All is well.", output)

    def test_wrong_server_url(self) -> None:
        """A master that does not start is told with the end of its log."""
        code, output, errors = self.run_demo("--server-url", "nonsense")
        self.assertEqual((code, errors), (1, ""))
        self.assertIn("The master did not start:", output)
        self.assertIn("serverUrl is 'nonsense'", output)
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
