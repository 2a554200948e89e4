"""What a connection may cost: time, bytes that arrive, and bytes that nobody reads."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from http.client import HTTPException
from unittest.mock import patch
from urllib.parse import quote, urlsplit

from support.boards import PATIENCE, BoardCase, ask, reactor
from support.commands import Command, temporary_folder
from support.fakes import LogBook
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel, Request
from twisted.web.resource import Resource

from buildbot_http_status_push.board.filters import MOST_PARAMETERS, MOST_QUERY
from buildbot_http_status_push.board.http import connections
from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.http.connections import (
    BODY_RATE,
    BODY_WITHIN,
    CALM,
    HEAD_WITHIN,
    PIECE,
    READ_WITHIN,
    AcceptErrors,
    BoardRequest,
    BoardSite,
    Outgoing,
)
from buildbot_http_status_push.board.http.documents import Document, RouteRequest, answer, sentence
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.programs.api_routes import ApiRoutes
from buildbot_http_status_push.database import file_url

HEAD = b"POST / HTTP/1.1\r\nHost: board\r\nContent-Type: application/json\r\n"


class Echo(Resource):
    """Answers with a body of its own."""

    isLeaf = True
    body = b"x"

    def __init__(self, outgoing: Outgoing) -> None:
        super().__init__()
        self.outgoing = outgoing

    def render(self, request: Request) -> int:
        """Answer."""
        answer(request, Document(body=self.body), self.outgoing.send)
        return 1  # not done yet


class Everything:
    """Refuses forms only."""

    def judge(self, request: BoardRequest, length: int | None) -> Document | None:
        """Refuse a form."""
        is_form = request.getHeader("Content-Type") == "form"
        return sentence(415, "a form") if is_form else None

    def too_large(self, request: BoardRequest) -> Document:
        """Refuse what is too large."""
        return sentence(413, "too large")


class Wire(StringTransport):
    """A connection in memory, whose other end reads when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        """Take bytes, and be full when there are more than fit."""
        super().write(data)
        if self.producer is not None and len(self.value()) >= PIECE:
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """Read all that has been written."""
        told = self.value()
        self.clear()
        return told

    def abortConnection(self) -> None:  # noqa: N802 - Twisted's name
        """Note that the connection was cut off."""
        self.is_aborted = True


class ConnectionTest(SynchronousTestCase):
    """Connections in memory, and a clock."""

    def setUp(self) -> None:
        """Make the site."""
        self.clock = Clock()
        self.outgoing = Outgoing(self.clock, most=3_000_000)
        self.echo = Echo(self.outgoing)
        errors = AcceptErrors(self.clock.seconds, LogBook().log)
        self.site = BoardSite(self.echo, 1000, Everything(), self.outgoing, errors, self.clock)

    def connect(self) -> tuple[HTTPChannel, Wire]:
        """Open a connection."""
        channel, wire = self.site.buildProtocol(None), Wire()
        channel.makeConnection(wire)
        return channel, wire

    def test_slow_head(self) -> None:
        """Headers that come byte by byte are given up, however often a byte comes."""
        channel, wire = self.connect()
        for byte in range(int(HEAD_WITHIN) // 5):
            self.assertFalse(wire.is_aborted, byte)
            channel.dataReceived(HEAD[byte : byte + 1])
            self.clock.advance(5)
        self.assertTrue(wire.is_aborted)

    def test_slow_body(self) -> None:
        """A body has as long as its bytes earn it."""
        channel, wire = self.connect()
        channel.dataReceived(HEAD + b"Content-Length: 900\r\n\r\n")
        passed = 0
        while not wire.is_aborted:
            channel.dataReceived(b" ")
            self.clock.advance(12)
            passed += 12
        self.assertLessEqual(passed, HEAD_WITHIN + BODY_WITHIN + 12 + 900 / BODY_RATE)
        self.assertGreaterEqual(passed, HEAD_WITHIN + BODY_WITHIN)

    def test_next_request(self) -> None:
        """Each request of a connection has the whole time; between two of them none runs."""
        channel, wire = self.connect()
        for _ in range(5):
            channel.dataReceived(b"GET / HTTP/1.1\r\n")
            self.clock.advance(HEAD_WITHIN - 1)
            channel.dataReceived(b"Host: board\r\n\r\n")
            self.assertIn(b"200 OK", wire.read())
            self.clock.advance(30)
        self.assertFalse(wire.is_aborted)

    def test_refused_unread(self) -> None:
        """What its headers refuse is answered before the body has come, which is dropped."""
        channel, wire = self.connect()
        head = HEAD.replace(b"application/json", b"form") + b"Expect: 100-continue\r\n"
        channel.dataReceived(head + b"Content-Length: 900\r\n\r\n")
        told = wire.read()
        self.assertTrue(told.startswith(b"HTTP/1.1 415 "), told)
        self.assertTrue(told.endswith(b"\r\n\r\na form\n"))
        channel.dataReceived(b"x" * 899)
        self.assertEqual((self.site.arriving, wire.disconnecting), (0, False))
        channel.dataReceived(b"x")
        self.assertEqual((wire.read(), wire.disconnecting), (b"", True))

    def test_endless_body(self) -> None:
        """A body without end is refused when it is too large, and cut off when it goes on."""
        channel, wire = self.connect()
        with patch.object(connections, "MOST_DROPPED", 5000):
            channel.dataReceived(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            for sent in range(0, 8000, 1000):
                self.assertFalse(wire.is_aborted)
                channel.dataReceived(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
                self.assertEqual(self.site.arriving, 1000 if sent == 0 else 0)
        self.assertTrue(wire.is_aborted)
        self.assertTrue(wire.read().startswith(b"HTTP/1.1 413 "))

    def test_body_of_a_get(self) -> None:
        """A body that nobody looks at is kept nowhere."""
        channel, wire = self.connect()
        channel.dataReceived(HEAD.replace(b"POST", b"GET") + b"Content-Length: 900\r\n\r\n")
        channel.dataReceived(b"x" * 900)
        self.assertIn(b"200 OK", wire.read())
        self.assertEqual(self.site.arriving, 0)

    def test_much_at_once(self) -> None:
        """Bodies of many connections together are bounded; who comes later is asked to wait."""
        first, last = self.connect(), self.connect()
        with patch.object(connections, "MOST_ARRIVING", 1500):
            for channel, _ in (first, last):
                channel.dataReceived(HEAD + b"Content-Length: 900\r\n\r\n" + b"x" * 800)
        self.assertEqual(first[1].read(), b"")
        told = last[1].read()
        self.assertTrue(told.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After: 10\r\n", told)
        first[0].dataReceived(b"x" * 100)
        self.assertIn(b"200 OK", first[1].read())
        self.assertEqual(self.site.arriving, 0)

    def ask(self) -> tuple[HTTPChannel, Wire]:
        """Ask for the answer."""
        channel, wire = self.connect()
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: board\r\n\r\n")
        return channel, wire

    def test_large_answer(self) -> None:
        """A large answer is handed over piece by piece as its reader takes it, and is whole."""
        self.echo.body = bytes(range(250)) * 4000
        channel, wire = self.ask()
        told = b""
        while piece := wire.read():
            self.assertLessEqual(len(piece), 2 * PIECE)
            told += piece
            channel.resumeProducing()
        self.assertTrue(told.endswith(self.echo.body))
        self.assertEqual((self.outgoing.held, self.clock.getDelayedCalls()[1:]), (0, []))

    def test_many_that_do_not_read(self) -> None:
        """Many readers of one answer keep it once; those that stall longest are cut off."""
        self.echo.body = bytes(1_000_000)
        same = [self.ask() for _ in range(40)]
        self.assertEqual(self.outgoing.held, 1_000_000)
        others = []
        for number in range(1, 4):
            self.echo.body = bytes([number]) * 1_000_000
            others.append(self.ask()[1])
        self.assertTrue(all(wire.is_aborted for _, wire in same))
        self.assertEqual([wire.is_aborted for wire in others], [False, False, False])
        self.assertEqual(self.outgoing.held, 3_000_000)

    def test_reader_that_stalls(self) -> None:
        """A reader that takes nothing is cut off in time; one that takes something is not."""
        self.echo.body = bytes(1_000_000)
        (reading, slow), (_, deaf) = self.ask(), self.ask()
        for _ in range(3):
            self.clock.advance(READ_WITHIN / 2)
            slow.read()
            reading.resumeProducing()
        self.assertEqual((slow.is_aborted, deaf.is_aborted), (False, True))

    def test_reader_that_leaves(self) -> None:
        """What a reader that left was to be sent is forgotten."""
        self.echo.body = bytes(1_000_000)
        channel, _ = self.ask()
        channel.connectionLost()
        self.assertEqual((self.outgoing.held, self.clock.getDelayedCalls()), (0, []))


class AcceptTest(SynchronousTestCase):
    """Connections that can't be accepted."""

    def test_told_once(self) -> None:
        """It is logged when no descriptor is left, and when there is one again, each once."""
        clock, book = Clock(), LogBook()
        errors = AcceptErrors(clock.seconds, book.log)
        for _ in range(3):
            errors({"log_format": "EMFILE encountered; releasing reserved file descriptor."})
            errors({"log_format": "Something else"})
            errors.accepted()
            clock.advance(CALM)
        self.assertEqual(len(book.lines), 1)
        self.assertIn("no file descriptor is left", book.lines[0])
        clock.advance(CALM)
        errors.accepted()
        errors.accepted()
        self.assertEqual(book.lines[1:], ["accepting connections works again"])

    def test_real(self) -> None:
        """A board without descriptors says so in one line, and goes on when it has some."""
        folder = temporary_folder(self)
        command = Command("board", "--port", "0", "--database", file_url(folder / "board.sqlite"))
        self.addCleanup(command.kill)
        line = command.line(lambda line: "The board is at" in line)
        port = urlsplit(line.split()[4].rstrip(",")).port or 0
        _, most = resource.prlimit(command.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(command.pid, resource.RLIMIT_NOFILE, (32, most))
        clients = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(40)]
        # The last one is closed unheard: no descriptor is left for it.
        self.assertEqual(clients[-1].recv(1), b"")
        for client in clients:
            client.close()
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(OSError, HTTPException):
                if ask(port, "GET", "/robots.txt").status == 200:
                    break
        command.interrupt()
        _, _, errors = command.end()
        self.assertEqual(errors.count("accepting connections failed"), 1, errors)


class AskedTests(BoardCase):
    """Requests that ask for too much, over real sockets."""

    async def test_parameters(self) -> None:
        """An address with too many parameters, or too long ones, is refused in one sentence."""
        many = "&".join(f"tag={number}" for number in range(MOST_PARAMETERS + 1))
        long = "x=" + "y" * MOST_QUERY
        for path in ("/", "/grid", "/api/builders", "/feed.atom", "/static/board.js", "/live"):
            for query in (many, long):
                told = await self.get(f"{path}?{query}")
                self.assertEqual(told.status, 414, path)
                self.assertEqual(told.text.count("\n"), 1)
        value = await self.get(f"/?builder={'x' * 501}")
        self.assertEqual(value.status, 400)
        self.assertIn("more than 500 characters", value.text)

    async def test_cost_of_filters(self) -> None:
        """What a page says of its filters grows with them, not with their square."""
        await self.put()
        name = quote("ü" * 40)
        sizes = [
            len((await self.get("/?" + "&".join(f"tag={n}{name}" for n in range(count)))).body)
            for count in (0, 12, 24)
        ]
        self.assertLess(sizes[2] - sizes[0], 2.2 * (sizes[1] - sizes[0]))

    async def test_steps(self) -> None:
        """A page is made in steps, none of which is about more than one builder."""
        for number in range(1, 9):
            await self.put(number, builder=f"builder {number}")
        seconds = reactor.seconds
        steps: list[int] = []

        async def counted(work: Iterator[object]) -> None:
            steps.append(sum(1 for _ in work))

        pages = Pages(self.board.store, seconds, counted)
        for path in ("/", "/grid", "/?kiosk=1"):
            address, _, query = path.partition("?")
            await pages.page(RouteRequest(path=address, query=query, address="http://board/"))
        for path, route in ApiRoutes(self.board.store, seconds, counted).routes:
            if path in ("/api/builders", r"/cctray\.xml", r"/feed\.atom"):
                await route(RouteRequest(path=path, query="", address="http://board/"))
        self.assertEqual(len(steps), 6)
        self.assertGreaterEqual(min(steps), 8)

    async def test_form(self) -> None:
        """A form is refused before anything reads it, and with the password's question first."""
        body = b"&" * self.max_body
        form = "application/x-www-form-urlencoded"
        with patch("twisted.web.http.parse_qs", side_effect=AssertionError):
            told = await self.ask("POST", "/", body, Content_Type=form)
        self.assertEqual((told.status, told.text.count("\n")), (415, 1))


class CredentialsTests(BoardCase):
    """Senders without credentials."""

    access = Access(senders={"ci": "secret"}, keys=("a key",))

    async def test_unread(self) -> None:
        """The answer is there before the body is: nothing of it is read for a stranger."""

        def say() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
                client.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
                return client.recv(4096)

        told = await deferToThread(say)
        self.assertTrue(told.startswith(b"HTTP/1.1 401 "), told)
        self.assertIn(b"Basic realm", told)
