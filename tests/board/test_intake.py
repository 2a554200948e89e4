"""What becomes of deliveries: each bad one is refused in its own way, and nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define, field
from support.fakes import LogBook
from support.outboxes import result
from support.statuses import NOW, a_body, as_bytes
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push import signing
from buildbot_http_status_push.board.body import Status
from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.http.documents import Document
from buildbot_http_status_push.board.http.intake import QUIET, Delivery, Intake
from buildbot_http_status_push.board.store.writing import Stored
from buildbot_http_status_push.database import StorageError

KEY = "a key of the sender"
FORM = "Application/X-WWW-form-urlencoded; charset=utf-8"


@define
class MemoryKeeper:
    """Keeps statuses in a list."""

    kept: list[Status] = field(factory=list)
    answer: Any = None

    def put(self, status: Status) -> Deferred[Stored]:
        """Keep a status."""
        self.kept.append(status)
        answered: Deferred[Stored] = succeed(Stored.NEW) if self.answer is None else self.answer
        return answered


class IntakeTest(SynchronousTestCase):
    """An intake that demands signatures."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.keeper = MemoryKeeper()
        self.book = LogBook()
        self.intake = Intake(
            self.keeper, Access(keys=(KEY,)), 1000, self.clock.seconds, self.book.log
        )

    def delivery(
        self,
        body: bytes | None = None,
        key: str = KEY,
        headers: Mapping[str, str] | None = None,
    ) -> Delivery:
        """Return a delivery that is signed now.

        Args:
            body: Its body, a status where none is given.
            key: The key that signs it.
            headers: What is otherwise in its headers.
        """
        content = as_bytes(a_body()) if body is None else body
        at = int(self.clock.seconds())
        signed = {
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signing.sign(key, "msg_1", at, content),
        }
        return Delivery(headers={**signed, **(headers or {})}, body=content, sender="192.0.2.7")

    def take(self, delivery: Delivery) -> Document:
        """Hand it a delivery."""
        return result(Deferred.fromCoroutine(self.intake.take(delivery)))

    def test_good(self) -> None:
        """A good status is kept, and answered once it is."""
        self.keeper.answer = Deferred()
        taken = Deferred.fromCoroutine(self.intake.take(self.delivery()))
        self.assertNoResult(taken)
        self.keeper.answer.callback(Stored.NEW)
        document = self.successResultOf(taken)
        self.assertEqual((document.status, document.body), (200, b"stored\n"))
        self.assertEqual([each.builder for each in self.keeper.kept], ["linux"])
        self.assertEqual(self.book.lines, [])

    def test_known(self) -> None:
        """A repeat and a late start are fine too: nobody needs to send them again."""
        for stored in (Stored.REPEAT, Stored.OLDER):
            self.keeper.answer = succeed(stored)
            document = self.take(self.delivery())
            self.assertEqual((document.status, document.body), (200, f"{stored.value}\n".encode()))

    def test_ping(self) -> None:
        """A test status is taken and not kept."""
        self.assertEqual(self.take(self.delivery(b'{"test": true}')).status, 200)
        self.assertEqual(self.keeper.kept, [])

    def test_database_down(self) -> None:
        """While the database is out of order a sender is asked to come again."""
        self.keeper.answer = fail(StorageError("no route"))
        document = self.take(self.delivery())
        self.assertEqual((document.status, document.retry_after), (503, 10))

    def test_refusals(self) -> None:
        """Each bad input has its status and one sentence; nothing is stored, one line is logged."""
        old = str(int(NOW) - 1000)
        bad = {
            "not JSON": (self.delivery(b"{"), 400),
            "no 'buildid'": (self.delivery(b"{}"), 422),
            "more than 1000 bytes (--max-body": (self.delivery(b" " * 1001), 413),
            "a form is no status": (self.delivery(headers={"content-type": FORM}), 415),
            "no signature in": (self.delivery(key="another"), 401),
            "too old": (self.delivery(headers={"webhook-timestamp": old}), 401),
            "webhook-id is missing": (self.delivery(headers={"webhook-id": ""}), 401),
            "not taken from web pages": (self.delivery(headers={"origin": "https://x"}), 403),
        }
        for words, (delivery, status) in bad.items():
            document = self.take(delivery)
            text = document.body.decode()
            self.assertEqual((document.status, document.caching), (status, "no-store"))
            self.assertIn(words, text)
            self.assertEqual(text.count("\n"), 1)
        self.assertEqual(self.keeper.kept, [])
        self.assertEqual(len(self.book.lines), 1)

    def test_head(self) -> None:
        """What its headers refuse is refused before the body is there."""
        good = self.delivery().headers
        without = {name: value for name, value in good.items() if name != "webhook-signature"}
        for words, headers, length, status in (
            ("more than 1000 bytes", good, 1001, 413),
            ("not taken from web pages", {**good, "origin": "https://x"}, 5, 403),
            ("a form is no status", {**good, "content-type": "multipart/form-data; x=y"}, 5, 415),
            ("webhook-signature is missing", without, None, 401),
            ("too old", {**good, "webhook-timestamp": "1"}, None, 401),
        ):
            document = self.intake.judge(headers, length, "192.0.2.7")
            assert document is not None
            self.assertEqual(document.status, status)
            self.assertIn(words, document.body.decode())
        for length in (0, 1000, None):
            self.assertIsNone(self.intake.judge(good, length, "192.0.2.7"))

    def test_quiet(self) -> None:
        """One line a minute is logged at most, and tells how many more there were."""
        for _ in range(1000):
            self.take(self.delivery(b"{"))
        [line] = self.book.lines
        self.assertIn("a status from 192.0.2.7 was rejected with 400: the body is not JSON", line)
        self.clock.advance(QUIET)
        self.take(self.delivery(b"{"))
        self.assertEqual(len(self.book.lines), 2)
        self.assertIn("(999 others were rejected before)", self.book.lines[1])
        self.assertEqual(self.book.levels, ["warn", "warn"])

    def test_clock_put_back(self) -> None:
        """A clock that was put back does not silence the log."""
        self.take(self.delivery(b"{"))
        self.clock.advance(-5000)
        self.take(self.delivery(b"{"))
        self.assertEqual(len(self.book.lines), 2)

    def test_log_line_is_one(self) -> None:
        """What a sender has written can't begin a line of its own in the log."""
        self.take(self.delivery(as_bytes(a_body(buildid="1\n2026 forged\x1b[2J"))))
        [line] = self.book.lines
        self.assertTrue(line.isprintable())
