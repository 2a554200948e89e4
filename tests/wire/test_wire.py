"""Attempts over loopback: what crosses the wire, and what a server can do to it."""

from __future__ import annotations

import contextlib
import socket
from unittest import skipUnless

from attrs import evolve
from support.fakes import a_delivery
from support.servers import (
    HEAD_ONLY,
    OK,
    Answer,
    Connection,
    ServerTestCase,
    Telling,
    endless,
    never,
    write,
    write_and_close,
)
from twisted.internet.task import Clock, LoopingCall

from buildbot_http_status_push.model import Accepted, Outcome, Refused, Unreachable
from buildbot_http_status_push.wire.target import Target

CLOSED = Unreachable("the connection was closed before an answer came")


def has_ipv6() -> bool:
    """Tell whether this machine has an IPv6 loopback address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


class WireTestCase(ServerTestCase):
    """A test case that compares outcomes."""

    def assert_outcome(self, outcome: Outcome, expected: Outcome) -> None:
        """See what came of an attempt, however long it took."""
        self.assertEqual(evolve(outcome, duration=0.0), expected)


class RequestTest(WireTestCase):
    """What a server sees."""

    async def test_url(self) -> None:
        """A URL is asked for exactly as it is written."""
        server = self.serve(write(OK))
        for written, target in (
            ("", "/"),
            ("/", "/"),
            ("/submit", "/submit"),
            ("/trailing/", "/trailing/"),
            ("?query=only", "/?query=only"),
            ("/a?b=c&d=%zz&e", "/a?b=c&d=%zz&e"),
            ("/%7euser/%2F%2f", "/%7euser/%2F%2f"),
            ("/a/../b/./c/..", "/a/../b/./c/.."),
            ("/a;b=c;d", "/a;b=c;d"),
            ("/a//b//", "/a//b//"),
            ("/<x>|[y]^`{z}\"'\\", "/<x>|[y]^`{z}\"'\\"),
            ("/ä?ö=€", "/%C3%A4?%C3%B6=%E2%82%AC"),
            ("/a#fragment", "/a"),
        ):
            sent = self.client(f"http://127.0.0.1:{server.port}{written}").send(a_delivery())
            self.assert_outcome(await sent, Accepted(200))
            self.assertEqual(server.requests[-1].line, f"POST {target} HTTP/1.1")

    async def test_host(self) -> None:
        """Host names may be written in any case, and digits in any script."""
        server = self.serve(write(OK))
        for host in ("localhost", "LOCALHOST", "127.0.0.1", "\uff11\uff12\uff17.0.0.1"):
            sent = self.client(f"HTTP://{host}:{server.port}/").send(a_delivery())
            self.assert_outcome(await sent, Accepted(200))

    @skipUnless(has_ipv6(), "this machine has no IPv6 loopback address")
    async def test_ipv6(self) -> None:
        """An IPv6 address is a host, too."""
        server = self.serve(write(OK), interface="::1")
        sent = self.client(f"http://[::1]:{server.port}/").send(a_delivery())
        self.assert_outcome(await sent, Accepted(200))
        self.assertEqual(server.requests[0].values("Host"), [f"[::1]:{server.port}"])

    async def test_user_info(self) -> None:
        """User info arrives as Basic credentials, whatever signs there are in it."""
        server = self.serve(write(OK))
        for user_info, credentials in (
            ("user:pass", "dXNlcjpwYXNz"),
            ("user:p@ss", "dXNlcjpwQHNz"),
            ("user:p%40ss", "dXNlcjpwQHNz"),
            ("user:100%", "dXNlcjoxMDAl"),
        ):
            url = f"http://{user_info}@127.0.0.1:{server.port}/"
            self.assert_outcome(await self.client(url).send(a_delivery()), Accepted(200))
            request = server.requests[-1]
            self.assertEqual(request.values("Authorization"), [f"Basic {credentials}"])
            self.assertEqual(request.values("Host"), [f"127.0.0.1:{server.port}"])
            self.assertNotIn("user", "\n".join(self.book.lines).replace("user-agent", ""))

    async def test_headers(self) -> None:
        """Each header is there once, the user's in the place of the default."""
        server = self.serve(write(OK))
        target = Target(
            f"http://127.0.0.1:{server.port}/",
            headers={"content-TYPE": "application/x-own", "X-Letters": "äöü"},
        )
        await self.client(target).send(a_delivery(id="msg_7", event="builds.new", body=b"12345"))
        [request] = server.requests
        for name, value in (
            ("Content-Type", "application/x-own"),
            ("X-Letters", "äöü"),
            ("webhook-id", "msg_7"),
            ("Buildbot-Event", "builds.new"),
            ("Content-Length", "5"),
        ):
            self.assertEqual(request.values(name), [value])
        self.assertEqual(len(request.values("webhook-timestamp")), 1)
        self.assertEqual(request.body, b"12345")


class NoAnswerTest(WireTestCase):
    """Servers that don't answer as they should."""

    async def test_refuses_connections(self) -> None:
        """Where nobody listens, the connection is refused."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        sent = self.client(f"http://127.0.0.1:{port}/").send(a_delivery())
        self.assert_outcome(await sent, Unreachable("connection refused"))

    async def test_accepts_no_connections(self) -> None:
        """Where a connection does not come about, the deadline ends the attempt, too."""
        with contextlib.ExitStack() as sockets:
            full = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):
                queued = sockets.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}/"
            found = await self.client(url, timeout=0.2).send(a_delivery())
        self.assert_outcome(found, Unreachable("no answer within 0.2 s"))

    async def test_never_answers(self) -> None:
        """At its deadline an attempt ends, and so does its connection."""
        server, clock = self.serve(never), Clock()
        requested = server.next_request()
        sent = self.post(server, clock=clock, timeout=30)
        await requested
        clock.advance(30)
        self.assertEqual(self.successResultOf(sent), Unreachable("no answer within 30 s", 30.0))
        await server.connections[0].lost

    async def test_cut_off(self) -> None:
        """An attempt that is cancelled ends at once, and so does its connection."""
        server = self.serve(never)
        requested = server.next_request()
        sent = self.post(server)
        await requested
        sent.cancel()
        found = self.successResultOf(sent)
        self.assert_outcome(found, Unreachable("the attempt was cut off"))
        await server.connections[0].lost

    async def test_stops_after_the_head(self) -> None:
        """Where only the head comes, its status counts when the deadline is reached."""
        server, clock = self.serve(write(HEAD_ONLY)), Clock()
        agent = Telling(self.agent())
        sent = self.post(server, agent=agent, clock=clock, timeout=30)
        await agent.answered
        clock.advance(29.9)
        self.assertNoResult(sent)
        clock.advance(0.1)
        self.assertEqual(self.successResultOf(sent), Accepted(200, 30.0))
        await server.connections[0].lost

    async def test_trickling_head(self) -> None:
        """A head that comes byte by byte does not put the deadline off, and its status counts."""
        for first, outcome in (
            (b"HTTP/1.1 20", Unreachable("no answer within 0.2 s")),
            (b"HTTP/1.1 200 OK\r\nX: ", Accepted(200)),
        ):
            found = await self.post(self.serve(self.trickle(first, b"0")), timeout=0.2)
            self.assert_outcome(found, outcome)
            self.assertLess(found.duration, 2)

    async def test_trickling_body(self) -> None:
        """Neither does a body."""
        head = b"HTTP/1.1 500 Oops\r\nContent-Length: 100000\r\n\r\n"
        found = await self.post(self.serve(self.trickle(head, b"x")), timeout=0.2)
        assert isinstance(found, Refused)
        self.assertEqual((found.status, found.answer.strip("x")), (500, ""))
        self.assertTrue(0.2 <= found.duration < 2)

    def trickle(self, first: bytes, then: bytes) -> Answer:
        """Return an answer that begins at once and goes on slowly."""

        def answer(connection: Connection) -> None:
            connection.write(first)
            call = LoopingCall(connection.write, then)
            call.start(0.01)
            self.addCleanup(call.stop)

        return answer

    async def test_a_gibibyte(self) -> None:
        """Of an endless answer the beginning is read and logged, and the connection is cut."""
        server = self.serve(endless(500))
        self.assert_outcome(await self.post(server), Refused(500, "x" * 200))
        await server.connections[0].lost
        self.assertLess(server.written, 2**26)
        self.assertTrue(self.book.lines[2].endswith(": " + "x" * 2048), self.book.lines[2][-90:])

    async def test_no_http(self) -> None:
        """What is no HTTP is shown by its beginning, and not asked again."""
        words = "what answers does not speak HTTP, it begins with "
        for sent, shown in (
            (b"220 mail.example.com ESMTP\r\n", "'220 mail.example.com ESMTP\\r'"),
            (b"J\x00\x00\x00\x0a8.0.36", "'J\\x00\\x00\\x00'"),
            (
                b"\x15\x03\x03\x00\x02\x02F",
                "'\\x15\\x03\\x03\\x00\\x02\\x02F': it may need https",
            ),
            (b"HTTP/1.1 20x OK\r\n", "'HTTP/1.1 20x OK\\r'"),
        ):
            server = self.serve(write(sent))
            self.assert_outcome(await self.post(server), Unreachable(words + shown))
            self.assertEqual(len(server.requests), 1)


class ClosedTest(WireTestCase):
    """Connections that end too early."""

    async def test_before_the_request(self) -> None:
        """A server that accepts and closes is asked twice, on two connections."""
        server = self.serve(never)
        server.on_connect = Connection.close
        self.assert_outcome(await self.post(server), CLOSED)
        self.assertEqual(len(server.connections), 2)

    async def test_before_the_answer(self) -> None:
        """So is one that reads the request and closes, or resets."""
        for end in (Connection.close, Connection.reset):
            server = self.serve(end)
            self.assert_outcome(await self.post(server), CLOSED)
            self.assertEqual(len(server.requests), 2)
            self.assertEqual(len(set(server.requests)), 1)

    async def test_within_the_head(self) -> None:
        """Where a head breaks off, its status counts."""
        server = self.serve(write_and_close(b"HTTP/1.1 200 OK\r\nContent-"))
        self.assert_outcome(await self.post(server), Accepted(200))
        self.assertEqual(len(server.requests), 1)

    async def test_within_the_body(self) -> None:
        """A body that breaks off changes nothing about the status."""
        server = self.serve(write_and_close(HEAD_ONLY + b"half"))
        self.assert_outcome(await self.post(server), Accepted(200))

    async def test_after_the_answer(self) -> None:
        """A server that closes after each answer is asked on a new connection each time."""
        server = self.serve(write_and_close(OK))
        client = self.client(f"http://127.0.0.1:{server.port}/")
        for _ in range(3):
            self.assert_outcome(await client.send(a_delivery()), Accepted(200))
        self.assertEqual([each.served for each in server.connections], [1, 1, 1])

    async def test_stale(self) -> None:
        """A kept connection that ends when it is used again costs one more try, and no failure."""

        def once(connection: Connection) -> None:
            connection.write(OK) if connection.served == 1 else connection.close()

        server = self.serve(once)
        client = self.client(f"http://127.0.0.1:{server.port}/")
        for _ in range(2):
            self.assert_outcome(await client.send(a_delivery()), Accepted(200))
        self.assertEqual([each.served for each in server.connections], [2, 1])
        ids = [request.values("webhook-id") for request in server.requests]
        self.assertEqual(ids, [["msg_1"]] * 3)


class RedirectionTest(WireTestCase):
    """Servers that send elsewhere."""

    async def test_not_followed(self) -> None:
        """Nobody goes where a redirection points, and the words name the place."""
        elsewhere = self.serve(write(OK))
        place = f"http://127.0.0.1:{elsewhere.port}/login"
        for status in (301, 302, 303, 307, 308):
            head = f"HTTP/1.1 {status} Go\r\nLocation: {place}?t=1\r\nContent-Length: 0\r\n\r\n"
            found = await self.post(self.serve(write(head.encode())))
            words = f"redirects to {place}, which is not followed"
            self.assert_outcome(found, Refused(status, words))
        self.assertEqual(elsewhere.connections, [])


class DebugTest(WireTestCase):
    """What ``debug=True`` logs of it."""

    async def test_lines(self) -> None:
        """The request, the answer and the answer's body are there, the credentials are not."""
        answer = (
            b"HTTP/1.1 403 No\r\nSet-Cookie: sid=s3cret\r\nContent-Length: 14\r\n\r\ns3cret s3cret!"
        )
        server = self.serve(write(answer))
        target = Target(
            f"http://127.0.0.1:{server.port}/s3cret?key=value",
            ("user", "s3cret"),
            {"X-Key": "s3cret"},
            frozenset({"s3cret"}),
        )
        await self.client(target).send(a_delivery(body=b"s3cret"))
        text = "\n".join(self.book.lines)
        self.assertEqual(server.requests[0].body, b"s3cret")
        self.assertIn(f"request POST http://127.0.0.1:{server.port}/***?key=*** [", text)
        self.assertIn("6 bytes: ***", text)
        self.assertIn(": 403 after ", text)
        self.assertIn("14 bytes after ", text)
        self.assertIn(": *** ***!", text)
        for leak in ("s3cret", "value", "sid", "Basic"):
            self.assertNotIn(leak, text)
