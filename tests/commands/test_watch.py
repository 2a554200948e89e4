"""The command ``watch``: what it prints, how it ends, and that a board may be restarted."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from support.boards import BoardCase
from support.reasons import excerpts
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.server import Board, Settings
from buildbot_http_status_push.commands.board_requests import SilentError
from buildbot_http_status_push.commands.main import main, make_parser
from buildbot_http_status_push.commands.watching import BoardClient, RefusalError, Watch, decided
from buildbot_http_status_push.results import EXCEPTION, FAILURE, SUCCESS

SHA = "4f2a9c1d5e6b7a8990a1b2c3d4e5f60718293a4b"
reactor: Any = global_reactor  # Twisted types it as less than it is


class Paper:
    """What is printed, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: list[tuple[int, int]] = []

    def say(self, text: str, tone: str = "") -> None:
        """Note a line."""
        self.lines.append(text)

    @contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Note how far it is."""
        yield lambda done, total: self.bars.append((done, total))


def an_answer(*said: str, is_over: bool | None = None) -> dict[str, Any]:
    """Return what a board says, a builder for each word."""
    ended = sum(each not in ("running", "waiting") for each in said)
    return {
        "words": f"{ended} of {len(said)} ended",
        "builders_count": len(said),
        "ended": ended,
        "is_over": ended == len(said) if is_over is None else is_over,
        "counts": {each: said.count(each) for each in said},
        "requests_known": True,
        "codebases": [
            {
                "codebase": "",
                "branch": "main",
                "builders": [
                    {
                        "builder": number,
                        "name": f"b{number}",
                        "master": "ci",
                        "stuck": None,
                        "says": each,
                        "build": {"number": 7},
                        "memory": {"reasons": [{"text": "error: no frob"}]},
                    }
                    for number, each in enumerate(said)
                ],
            }
        ],
    }


class WatchTests(SynchronousTestCase):
    """Decisions and lines, without a board."""

    def watched(self, *answers: Any, until: str = "all", **more: Any) -> int:
        """Watch a board that gives some answers, and the last one for ever; return the code."""
        self.paper, self.now, left = Paper(), 0.0, [*answers]

        def ask() -> Mapping[str, Any] | None:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, BaseException):
                raise answer
            return answer  # type: ignore[no-any-return]  # what the test gives

        def sleep(seconds: float) -> None:
            self.now += seconds

        watch = Watch(
            ask,
            self.paper,  # type: ignore[arg-type]  # as much of it as is used
            lambda: self.now,
            sleep,
            until=until,
            timeout=more.get("timeout", 60.0),
            is_json=more.get("is_json", False),
        )
        return watch.run(SHA)

    def test_codes(self) -> None:
        """0 is good or known, 1 red otherwise, 2 what nobody can say."""
        for said, until, code in (
            (("good", "known"), "all", 0),
            (("good", "new"), "all", 1),
            (("running", "red"), "first-failure", 1),
            (("running", "new reason"), "all", None),
            (("running", "known"), "first-failure", None),
            (("good", "no result"), "all", 2),
            (("no result", "red"), "all", 1),
            ((), "all", None),
        ):
            verdict = decided(an_answer(*said), until)
            self.assertEqual(verdict and verdict.code, code, (said, until))

    def test_lines(self) -> None:
        """Each change of a builder is one line, and nothing is printed twice."""
        code = self.watched(
            None,
            None,
            an_answer("running", "running"),
            an_answer("running", "running"),
            an_answer("good", "running"),
            an_answer("good", "new"),
        )
        self.assertEqual(code, 1)
        self.assertEqual(
            self.paper.lines,
            [
                f"no build of {SHA} is known yet",
                "b0 #7: running",
                "b1 #7: running",
                "b0 #7: good",
                "b1 #7: new red: error: no frob",
                f"{SHA}: red: 2 of 2 ended",
            ],
        )
        self.assertEqual(self.paper.bars[-1], (2, 2))

    def test_without_requests(self) -> None:
        """Where the board knows no requests, all are those that began, which is said."""
        answer = {**an_answer("good"), "requests_known": False}
        self.assertEqual(self.watched(answer), 0)
        self.assertIn("all are the builds that began", self.paper.lines[-1])

    def test_stuck(self) -> None:
        """Where nothing that is left can go on there will be no verdict."""
        answer = an_answer("good", "waiting", "running")
        builders = answer["codebases"][0]["builders"]
        builders[1]["stuck"] = "no worker of 2 is connected"
        self.assertIsNone(decided(answer, "all"))
        del builders[2]
        self.assertEqual(self.watched(answer), 2)
        self.assertIn("b1 waits: no worker of 2 is connected", self.paper.lines[-1])

    def test_masters(self) -> None:
        """Builders of one name on two masters are told apart."""
        answer = an_answer("good", "good")
        for each, master in zip(answer["codebases"][0]["builders"], ("one", "two"), strict=True):
            each.update(name="linux", master=master)
        self.watched(answer)
        self.assertEqual(self.paper.lines[:2], ["linux (one) #7: good", "linux (two) #7: good"])

    def test_silence(self) -> None:
        """A board that does not answer is asked again, which is said once."""
        silent = SilentError("Connection refused")
        self.assertEqual(self.watched(silent, silent, an_answer("good")), 0)
        self.assertEqual(sum("Connection refused" in each for each in self.paper.lines), 1)

    def test_timeout(self) -> None:
        """After the time that was given there is no verdict."""
        self.assertEqual(self.watched(an_answer("good", "running")), 2)
        self.assertIn("timeout: 1 of 2 ended", self.paper.lines[-1])
        self.assertEqual(self.watched(SilentError("Connection refused")), 2)
        self.assertIn("timeout", self.paper.lines[-1])
        self.assertEqual(self.watched(an_answer("running"), timeout=3.0), 2)
        self.assertEqual(self.now, 3.0)

    def test_known_red(self) -> None:
        """What is red already is the verdict where the others do not end, or cannot."""
        self.assertEqual(self.watched(an_answer("new", "running")), 1)
        self.assertIn("timeout: 1 of 2 ended", self.paper.lines[-1])
        answer = an_answer("new", "waiting")
        answer["codebases"][0]["builders"][1]["stuck"] = "the builder was removed"
        self.assertEqual(self.watched(answer), 1)

    def test_refusal(self) -> None:
        """Where asking again is of no use it ends at once."""
        self.assertEqual(self.watched(RefusalError("give --auth-env")), 2)
        self.assertEqual(self.paper.lines, [f"{SHA}: unknown: give --auth-env"])

    def test_interrupt(self) -> None:
        """Ctrl-C is no verdict on the revision."""
        self.assertEqual(self.watched(KeyboardInterrupt()), 2)

    def test_json(self) -> None:
        """With --json one object is printed, and nothing else."""
        self.assertEqual(self.watched(None, an_answer("new"), is_json=True), 1)
        [line] = self.paper.lines
        told = json.loads(line)
        self.assertEqual((told["verdict"], told["answer"]["counts"]), ("red", {"new": 1}))

    def test_arguments(self) -> None:
        """Arguments that make no sense are refused, with what would be right."""
        for given, words in (
            (["--board", "board.example.org"], "e.g. https://board.example.org/"),
            (["--board", "https://ada:pw@board.example.org"], "--auth-env"),
            (["--board", "https://b.example", "--timeout", "soon"], "such as 90d"),
        ):
            refusal = self.assertRaises(SystemExit, self.parsed, given)
            self.assertEqual(refusal.code, 2)
            self.assertIn(words, self.errors())

    def parsed(self, given: list[str]) -> None:
        """Parse arguments."""
        import sys

        self.patch(sys, "stderr", io.StringIO())
        make_parser().parse_args(["watch", SHA, *given])

    def errors(self) -> str:
        """Return what was printed on standard error."""
        import sys

        return str(sys.stderr.getvalue())  # type: ignore[attr-defined]  # it is patched


class ServerTests(SynchronousTestCase):
    """What is asked of a server that is no board."""

    def serve(self, status: int, body: bytes = b"", **headers: str) -> str:
        """Answer all requests alike, and return the URL; the requests' headers are kept."""
        seen: list[Message] = []
        self.seen = seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def test_other_answers(self) -> None:
        """An answer that lacks what is read of it is refused."""
        for change in (
            {"counts": None},
            {"codebases": [{}]},
            {"codebases": [7]},
            {"ended": "x"},
            {"words": None},
        ):
            url = self.serve(200, json.dumps({**an_answer("good"), **change}).encode())
            with self.assertRaises(RefusalError) as refusal:
                BoardClient(url, SHA, None, None).ask()
            self.assertIn("not that of a board of this version", str(refusal.exception))
        url = self.serve(200, json.dumps(an_answer("new", "waiting")).encode())
        self.assertTrue(BoardClient(url, SHA, None, None).ask())

    def test_redirects(self) -> None:
        """Neither command follows a redirect, since that would carry the password elsewhere."""
        other = self.serve(200)
        elsewhere = self.seen
        url = self.serve(302, Location=other)
        with self.assertRaises(RefusalError) as refusal:
            BoardClient(url, SHA, None, ("ada", "pw")).ask()
        self.assertIn(f"redirects to {other}", str(refusal.exception))
        code, said = self.claim("--board", url, "--auth", "ada:pw")
        self.assertEqual((code, f"redirects to {other}: give that URL" in said), (2, True), said)
        self.assertEqual((len(self.seen), elsewhere), (2, []))

    def test_claim_without_http(self) -> None:
        """A server that does not speak HTTP, or a URL with a password, is one line."""
        rude = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(rude.close)

        def hang_up() -> None:
            connection, _ = rude.accept()
            connection.recv(65536)
            connection.sendall(b"hello\r\n\r\n")
            connection.close()

        thread = Thread(target=hang_up)
        thread.start()
        code, said = self.claim("--board", f"http://127.0.0.1:{rude.getsockname()[1]}")
        thread.join()
        self.assertEqual((code, "no answer (" in said), (2, True), said)
        for url in ("https://ada:opensesame@b.example", "https://ada:opensesame@[b.example"):
            refusal = self.assertRaises(SystemExit, self.claim, "--board", url)
            said = self.complained.getvalue()
            self.assertEqual((refusal.code, "--auth-env" in said), (2, True))
            self.assertNotIn("opensesame", said)

    def claim(self, *arguments: str) -> tuple[int | None, str]:
        """Run ``claim``, and return its exit code and what it complained of."""
        self.complained = io.StringIO()
        with redirect_stderr(self.complained):
            code = main(["claim", "0123456789ab", *arguments])
        return code, self.complained.getvalue()


class BoardWatchTests(BoardCase):
    """A board that is watched over HTTP."""

    access = Access(readers={"ada": "pw"})

    def client(self, auth: tuple[str, str] | None = ("ada", "pw"), sha: str = SHA) -> BoardClient:
        """Return what asks the board."""
        return BoardClient(f"http://127.0.0.1:{self.port}", sha, None, auth)

    async def test_restart(self) -> None:
        """Three builders, one red, and a board that is restarted meanwhile: each is one line."""
        await self.put(1, SUCCESS, builder="mac", buildid=1, revision="older")
        red = excerpts("error: no frob")
        steps = [
            lambda: self.put(2, None, builder="linux", buildid=2, revision=SHA),
            lambda: self.put(3, None, builder="win", buildid=5, revision=SHA),
            lambda: self.put(2, None, builder="mac", buildid=3, revision=SHA),
            lambda: self.put(2, SUCCESS, builder="linux", buildid=2, revision=SHA),
            self.board.stop,
            self.start_again,
            lambda: self.put(3, SUCCESS, builder="win", buildid=5, revision=SHA),
            lambda: self.put(2, FAILURE, builder="mac", buildid=3, revision=SHA, **red),
        ]
        paper = Paper()

        def sleep(_: float) -> None:
            step = steps.pop(0)
            blockingCallFromThread(reactor, lambda: Deferred.fromCoroutine(step()))

        watch = Watch(
            self.client().ask,
            paper,  # type: ignore[arg-type]  # as much of it as is used
            lambda: 0.0,
            sleep,
            until="all",
            timeout=60.0,
            is_json=False,
        )
        code = await deferToThread(watch.run, SHA)
        self.assertEqual(code, 1, paper.lines)
        told = [each for each in paper.lines if not each.startswith("the board does not answer")]
        self.assertEqual(len(paper.lines) - len(told), 1)
        self.assertEqual(told[0], f"no build of {SHA} is known yet")
        self.assertEqual(
            told[1:-1],
            [
                "linux #2: running",
                "win #3: running",
                "mac #2: running",
                "linux #2: good",
                "win #3: good",
                "mac #2: new red: error: no frob",
            ],
        )
        self.assertIn("All 3 ended: 2 good, 1 new red", told[-1])

    async def start_again(self) -> None:
        """Start the board once more, where it was."""
        settings = Settings(database=self.url, access=self.access, port=self.port)
        self.board = Board(reactor, settings, deferToThread, self.book.log)
        await self.board.start()

    async def test_refusals(self) -> None:
        """Without the password, and with a beginning of several revisions, it ends at once."""
        await self.put(1, EXCEPTION, revision="12")
        await self.put(2, EXCEPTION, revision="13")
        for client, words in (
            (self.client(None), "--auth-env"),
            (self.client(sha="1"), "write more of it"),
        ):
            refusal = await self.assertFailure(deferToThread(client.ask), RefusalError)
            self.assertIn(words, str(refusal))
