"""Answers with heads that stricter clients refuse."""

from __future__ import annotations

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from support.fakes import a_delivery
from support.servers import Connection, ServerTestCase, TLSContext, write
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import Accepted, Outcome, Refused
from buildbot_http_status_push.wire.answer_heads import could_be_http, readable

UNUSUAL = {
    "a header line over 16 KiB": b"Content-Security-Policy: " + b"x" * 20_000,
    "a head over 256 KiB": b"\r\n".join(b"X-%d: " % n + b"x" * 9_000 for n in range(40)),
    "a space before the colon": b"Server : x",
    "no colon": b"just words",
    "no name": b": x",
    "a name that is not ASCII": "Größe: 5".encode(),
    "another transfer coding": b"Transfer-Encoding: identity",
    "a length that is no number": b"Content-Length: two",
    "two lengths": b"Content-Length: 2\r\nContent-Length: 3",
    "a negative length": b"Content-Length: -2",
    "a NUL": b"X: \x00",
}


class AnswersTest(ServerTestCase):
    """What comes of such answers, over a real connection."""

    async def outcome(self, answer: bytes, tls_context: TLSContext | None = None) -> Outcome:
        """Return what an answer becomes, the connection being closed after it."""

        def respond(connection: Connection) -> None:
            connection.write(answer)
            connection.close()

        server = self.serve(respond, tls_context=tls_context)
        scheme = "https" if tls_context else "http"
        client = self.client(f"{scheme}://127.0.0.1:{server.port}/")
        return evolve(await client.send(a_delivery()), duration=0.0)

    async def test_accepted(self) -> None:
        """Once a 2xx status line has come, the status is accepted, whatever follows."""
        for what, lines in UNUSUAL.items():
            found = await self.outcome(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n\r\nok")
            self.assertEqual(found, Accepted(200), what)

    async def test_over_tls(self) -> None:
        """Over TLS it is the same."""
        answer = b"HTTP/1.1 201 Created\r\nServer : x\r\nno colon\r\n\r\n"
        self.assertEqual(await self.outcome(answer, TLSContext()), Accepted(201))

    async def test_refused(self) -> None:
        """A refusal is one as well, with its body and the headers that can be read."""
        for what, lines in UNUSUAL.items():
            head = b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\n" + lines
            found = await self.outcome(head + b"\r\n\r\nbusy")
            assert isinstance(found, Refused)
            self.assertEqual((found.status, found.retry_after), (503, 5.0), what)
            if "lengths" not in what and "256" not in what:
                self.assertEqual(found.answer, "busy", what)

    async def test_kept_alive(self) -> None:
        """A connection goes on after such an answer, and its next one may be as unusual."""
        server = self.serve(
            write(
                b"HTTP/1.1 100 Continue\r\nno colon\r\n\r\n",
                b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nok",
            )
        )
        client = self.client(f"http://127.0.0.1:{server.port}/")
        for _ in range(3):
            found = await client.send(a_delivery())
            self.assertEqual(evolve(found, duration=0.0), Accepted(200))
        self.assertEqual([each.served for each in server.connections], [3])

    async def test_unasked(self) -> None:
        """What comes behind an answer, unasked for, belongs to no other request."""
        server = self.serve(write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"\r\n"))
        client = self.client(f"http://127.0.0.1:{server.port}/")
        for _ in range(3):
            found = await client.send(a_delivery())
            self.assertEqual(evolve(found, duration=0.0), Accepted(200))


class ReadableTest(SynchronousTestCase):
    """What is handed on of a head."""

    def test_usual(self) -> None:
        """Of a usual head all is handed on."""
        head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-a: 2\r\nContent-Length: 2"
        self.assertEqual(readable(head, is_whole=True), head + b"\r\n\r\n")

    def test_folded(self) -> None:
        """A line that begins with a space belongs to the one before, and goes where that goes."""
        head = b"HTTP/1.1 200 OK\nX-A: 1\n\t2\nbad\n Content-Length: 7"
        self.assertEqual(readable(head, is_whole=True), b"HTTP/1.1 200 OK\r\nX-A: 1 2\r\n\r\n")

    def test_length(self) -> None:
        """The body's length is what chunks say, or one number, or not known."""
        for lines, told in (
            (b"Content-Length: 5\r\nContent-Length: 5", b"Content-Length: 5\r\n"),
            (b"Content-Length: 5, 5", b"Content-Length: 5\r\n"),
            (b"Content-Length: 5, 6", b""),
            (b"Content-Length: 5\r\nTransfer-Encoding: Chunked", b"transfer-encoding: chunked\r\n"),
            (b"Transfer-Encoding: gzip, chunked", b"transfer-encoding: chunked\r\n"),
            (b"Transfer-Encoding: identity\r\nContent-Length: 5", b"Content-Length: 5\r\n"),
        ):
            found = readable(b"HTTP/1.1 200 OK\r\n" + lines, is_whole=True)
            self.assertEqual(found, b"HTTP/1.1 200 OK\r\n" + told + b"\r\n", lines)

    def test_broken_off(self) -> None:
        """A head that broke off ends its connection: nothing says how long the body would be."""
        found = readable(b"HTTP/1.1 200 OK\r\nContent-Length: 5", is_whole=False)
        self.assertEqual(found, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")

    @given(st.lists(st.binary(max_size=30)))
    @example([b"!:"])
    def test_any_lines(self, lines: list[bytes]) -> None:
        """Whatever the lines are, what is handed on is a head with names and values only."""
        found = readable(b"\r\n".join([b"HTTP/1.1 200 OK", *lines]), is_whole=True)
        status, *fields = found.removesuffix(b"\r\n\r\n").split(b"\r\n")
        self.assertTrue(status.startswith(b"HTTP/1.1 200 OK"))
        for field in fields:
            name, colon, value = field.partition(b":")
            self.assertTrue(name and not name.endswith(b" ") and colon, field)
            self.assertNotIn(b"\n", value)

    def test_could_be_http(self) -> None:
        """It is told as early as it can be."""
        for begins in (b"", b"H", b"HTTP/1.1 2", b"HTTP/1.1 200\n", b"HTTP/1.0 599 What ever\r\n"):
            self.assertTrue(could_be_http(begins), begins)
        for begins in (b"S", b"\r\n", b"HTTP/1.1 2000 OK\n", b"HTTP/1.1 OK\r\n", b"ICY 200 OK\r\n"):
            self.assertFalse(could_be_http(begins), begins)
