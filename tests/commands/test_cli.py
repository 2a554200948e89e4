"""What a person types and sees: the command and its sub-command receive."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time

from hypothesis import given
from hypothesis import strategies as st
from support.commands import Command, run, temporary_folder
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push import __version__
from buildbot_http_status_push.commands.main import main, make_parser
from buildbot_http_status_push.commands.receive import file_name
from buildbot_http_status_push.receiver.receiver import Received
from buildbot_http_status_push.signing import sign

KEY = "a key for tests"
BUILD = {"number": 7, "complete": True, "builder": {"name": "docs"}, "results": 2}


class ArgumentTests(SynchronousTestCase):
    """What is refused before anything is done."""

    def refusal(self, *arguments: str) -> str:
        """What is written for arguments that can't be used, with exit code 2."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit) as ended:
            main(arguments)
        self.assertEqual(ended.exception.code, 2)
        [line] = errors.getvalue().splitlines()
        return line

    def test_one_line(self) -> None:
        """A usage error is one line: what is wrong, and where the help is."""
        name = "buildbot-http-status-push outbox list"
        self.assertEqual(
            self.refusal("outbox", "list", "--bogus"),
            f"{name}: error: unrecognized option: --bogus; see {name} --help",
        )
        self.assertIn("; see buildbot-http-status-push --help", self.refusal())

    def test_version(self) -> None:
        """--version prints the version."""
        output = io.StringIO()
        with contextlib.redirect_stdout(output), self.assertRaises(SystemExit) as ended:
            main(["--version"])
        self.assertEqual((ended.exception.code, output.getvalue().strip()), (0, __version__))

    def test_no_command(self) -> None:
        """Without a sub-command, one is asked for."""
        self.assertIn("required: COMMAND", self.refusal())

    def test_unknown_command(self) -> None:
        """An unknown sub-command is told with those that there are."""
        refusal = self.refusal("dance")
        self.assertIn("'dance'", refusal)
        self.assertIn("demo", refusal)
        self.assertIn("receive", refusal)

    def test_unknown_options(self) -> None:
        """An unknown option is told by its sub-command, with what was probably meant."""
        url = "http://127.0.0.1/"
        for arguments, words in (
            (
                ("ping", "--serverUrl", url),
                "ping: error: unrecognized option: --serverUrl; did you",
            ),
            (("ping", "--serverUrl", url), "did you mean --server-url?"),
            (("ping", f"--url={url}"), "ping: error: unrecognized option: --url"),
            (("demo", "--bord"), "demo: error: unrecognized option: --bord; did you mean --board?"),
            (("outbox", "list", "--since", "1d"), "list: error: unrecognized option: --since"),
            (("demo", "now"), "demo: error: unrecognized argument: now"),
        ):
            self.assertIn(words, self.refusal(*arguments))

    def test_numbers(self) -> None:
        """A number out of its limits is told with the limits."""
        receive = ("receive", "--port", "0")
        for arguments, words in (
            (("receive", "--port", "65536"), "a port is from 0 to 65535, not '65536'"),
            (("receive", "--port", "http"), "a port is from 0 to 65535, not 'http'"),
            ((*receive, "--fail", "200"), "that refuses is from 300 to 599, not '200'"),
            ((*receive, "--fail-rate", "1.1"), "of the requests is from 0 to 1, not '1.1'"),
            ((*receive, "--fail-rate", "nan"), "of the requests is from 0 to 1, not 'nan'"),
            ((*receive, "--delay=-1"), "in seconds is from 0 to 86400, not '-1'"),
            (("demo", "--builds", "0"), "a number of builds is from 1 to 1000, not '0'"),
        ):
            self.assertIn(words, self.refusal(*arguments))

    def test_default_port(self) -> None:
        """Receive listens on a port of its own unless it is told another one."""
        self.assertEqual(make_parser().parse_args(["receive"]).port, 8099)

    def test_malformed_secret(self) -> None:
        """A malformed key is rejected without being shown."""
        for key in ("whsec_notforyou", "", "whsk_notforyou", "notforyou\udcff"):
            refusal = self.refusal("receive", "--port", "0", "--secret", key)
            self.assertIn("argument --secret: a", refusal)
            self.assertNotIn("notforyou", refusal)

    def test_help_closed(self) -> None:
        """Help that nobody reads to its end is no failure."""
        reading, writing = os.pipe()
        os.close(reading)
        asked = [sys.executable, "-m", "buildbot_http_status_push", "demo", "--help"]
        ended = subprocess.run(
            asked, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False
        )
        os.close(writing)
        self.assertEqual((ended.returncode, ended.stderr), (0, b""))

    def test_imports(self) -> None:
        """Neither Buildbot nor a reactor is imported for receive's sake."""
        script = (
            "import sys, buildbot_http_status_push.commands.main as cli; cli.make_parser();"
            "print(sorted({'buildbot', 'sqlalchemy', 'twisted.internet.reactor'}"
            " & set(sys.modules)))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        self.assertEqual(ended.stdout.strip(), "[]")


class ReceiveTests(SynchronousTestCase):
    """The sub-command receive as a process."""

    def start(self, *arguments: str) -> Command:
        """Start it on a free port, and wait until it listens."""
        command = Command("receive", "--port", "0", *arguments)
        self.addCleanup(command.kill)
        first = command.line()
        self.assertRegex(first, r"^Listening on http://127\.0\.0\.1:\d+, Ctrl-C ends it\.$")
        self.port = int(first.rpartition(":")[2].partition(",")[0])
        return command

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> int:
        """Send a request; return the answer's status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", "/", body, headers or {})
            return connection.getresponse().status

    def end(self, command: Command, number: signal.Signals = signal.SIGINT) -> str:
        """Interrupt it; return what it has printed since its first line."""
        command.interrupt(number)
        code, output, errors = command.end()
        self.assertEqual((code, errors), (0, ""))
        return output

    def test_lines(self) -> None:
        """Each delivery gives one line, a repeat none, and a closing count comes at Ctrl-C."""
        command = self.start()
        body = json.dumps(BUILD).encode()
        for message_id in ("one", "one", "two"):
            self.assertEqual(self.post(body, {"webhook-id": message_id}), 200)
        *lines, count = self.end(command).splitlines()
        self.assertEqual(
            [line.split()[1:] for line in lines], [["docs", "#7", "finished:", "failure"]] * 2
        )
        self.assertEqual(count, "2 received, 1 duplicate, 0 rejected, 0 unanswered.")

    def test_local_time(self) -> None:
        """A line begins with the local time."""
        command = self.start()
        before = time.strftime("%H:%M:%S")
        self.post(b"hello")
        after = time.strftime("%H:%M:%S")
        self.assertIn(self.end(command).partition("  ")[0], (before, after))

    def test_sigterm(self) -> None:
        """SIGTERM ends it like Ctrl-C."""
        output = self.end(self.start(), signal.SIGTERM)
        self.assertEqual(output, "0 received, 0 duplicate, 0 rejected, 0 unanswered.\n")

    def test_secret(self) -> None:
        """What is signed with one of the keys is taken, all else is answered 401 and told."""
        command = self.start("--secret", "another", "--secret", KEY)
        now = int(time.time())
        headers = {
            "webhook-id": "one",
            "webhook-timestamp": str(now),
            "webhook-signature": sign(KEY, "one", now, b"hello"),
        }
        self.assertEqual(self.post(b"hello", headers), 200)
        self.assertEqual(self.post(b"hullo", headers), 401)
        output = self.end(command)
        self.assertIn("rejected with 401: no signature", output)
        self.assertIn("1 received, 0 duplicate, 1 rejected", output)

    def test_save(self) -> None:
        """Each body is written into a file that is named after the delivery's id."""
        folder = temporary_folder(self) / "deeper" / "still"
        command = self.start("--save", str(folder))
        self.post(b'{"a": 1}', {"webhook-id": "one"})
        self.post(b"no json", {"webhook-id": "../../two"})
        self.end(command)
        self.assertEqual((folder / "one.json").read_bytes(), b'{"a": 1}')
        (other,) = (path for path in folder.iterdir() if path.name != "one.json")
        self.assertEqual((other.read_bytes(), other.suffix), (b"no json", ".txt"))

    def test_save_nothing_over(self) -> None:
        """What lies there under the same name is told and left alone; a link is not followed."""
        folder = temporary_folder(self)
        (folder / "one.json").write_bytes(b"precious")
        (folder / "two.json").symlink_to(folder / "elsewhere")
        command = self.start("--save", str(folder))
        for name in ("one", "two"):
            self.assertEqual(self.post(b'{"a": 1}', {"webhook-id": name}), 200)
        output = self.end(command)
        self.assertEqual((folder / "one.json").read_bytes(), b"precious")
        self.assertFalse((folder / "elsewhere").exists())
        for name in ("one", "two"):
            self.assertIn(f"{folder / name}.json exists, and is not overwritten", output)

    def test_save_impossible(self) -> None:
        """A folder that can't be made is told at once."""
        file = temporary_folder(self) / "file"
        file.write_text("")
        code, output, errors = run("receive", "--port", "0", "--save", str(file))
        self.assertEqual((code, output), (2, ""))
        self.assertIn("--save", errors)
        self.assertIn(str(file), errors)

    def test_port_taken(self) -> None:
        """A port that is taken is told in one line."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            code, output, errors = run("receive", "--port", port)
        self.assertEqual((code, output), (2, ""))
        self.assertIn(f"--port {port}: can't listen there", errors)
        self.assertEqual(len(errors.splitlines()), 1)

    def test_output_closed(self) -> None:
        """A receiver whose output nobody reads any more ends quietly with the next line."""
        command = self.start()
        command.close_output()
        with contextlib.suppress(ConnectionError):  # it ends before it has answered
            self.post(b"hello")
        code, _, errors = command.end()
        self.assertEqual((code, errors), (141, ""))

    def test_fail(self) -> None:
        """With --fail every request is answered so."""
        command = self.start("--fail", "429")
        self.assertEqual(self.post(b"hello"), 429)
        self.assertIn("rejected with 429: failing on request", self.end(command))

    def test_fail_rate_and_seed(self) -> None:
        """With the same seed the same requests fail."""
        answers = []
        for _ in range(2):
            command = self.start("--fail-rate", "0.5", "--seed", "7")
            answers.append([self.post(b"hello") for _ in range(12)])
            self.end(command)
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(set(answers[0]), {200, 503})

    def test_delay(self) -> None:
        """With --delay an answer takes as long."""
        self.start("--delay", "0.3")
        before = time.monotonic()
        self.assertEqual(self.post(b"hello"), 200)
        self.assertGreaterEqual(time.monotonic() - before, 0.3)

    def test_hang(self) -> None:
        """With --hang no answer comes, and Ctrl-C ends it all the same."""
        command = self.start("--hang")
        with socket.create_connection(("127.0.0.1", self.port)) as sender:
            sender.settimeout(0.3)
            sender.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            self.assertRaises(TimeoutError, sender.recv, 1)
            self.assertIn("1 unanswered", self.end(command))


class FileNameTests(SynchronousTestCase):
    """Names for saved bodies."""

    def name(self, message_id: str | None, body: bytes = b"{}") -> str:
        """The name for a delivery."""
        return file_name(Received(message_id, None, body, {}, 0.0))

    def test_plain_id(self) -> None:
        """A harmless id is the name."""
        self.assertEqual(self.name("build_1-new"), "build_1-new.json")

    @given(st.text())
    def test_any_id(self, message_id: str) -> None:
        """A name is short and holds nothing that means something to a file system."""
        self.assertRegex(self.name(message_id), r"\A[A-Za-z0-9_-]{1,100}\.json\Z")

    def test_long_id(self) -> None:
        """A long id gives a short name, which still differs from that of another long id."""
        names = {self.name("a" * 300 + end) for end in "bc"}
        self.assertEqual({len(name) <= 100 for name in names}, {True})
        self.assertEqual(len(names), 2)

    @given(st.sets(st.text(alphabet="a/._", max_size=80), min_size=2, max_size=2))
    def test_different_ids(self, pair: set[str]) -> None:
        """Different ids have different names."""
        self.assertEqual(len({self.name(each) for each in pair}), 2)

    def test_without_id(self) -> None:
        """Without an id, the same body has the same name, and another body another one."""
        self.assertEqual(self.name(None), self.name(None))
        self.assertNotEqual(self.name(None), self.name(None, b"[]"))
