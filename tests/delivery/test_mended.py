"""What the fault suite has shown, in small."""

from __future__ import annotations

from typing import Any

from support.catchup import NOW, FakeMaster, FakeOutbox
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.trial import unittest

from buildbot_http_status_push.database import StorageError
from buildbot_http_status_push.delivery.pipeline import Pipeline, Sender
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.outbox.repository import DeliveryRepository
from buildbot_http_status_push.report.build_ownership import BuildOwnership
from buildbot_http_status_push.report.catchup import Catchup
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.wire.target import Target


class StopTests(unittest.TestCase):
    """A stop that meets trouble."""

    async def test_trouble(self) -> None:
        """It is logged, the outbox is closed all the same, and the master's process can end."""
        target = succeed(Target("http://127.0.0.1:1/"))
        sender = Sender(reactor, SenderSettings(), lambda: target, Logger())
        repository = DeliveryRepository("reporter", "master")
        pipeline = Pipeline(reactor, None, repository, sender, lambda: None, Logger())
        pipeline.start()
        self.patch(pipeline.outbox, "release", lambda: fail(StorageError("broken")))
        await Deferred.fromCoroutine(pipeline.stop())
        self.assertEqual(len(self.flushLoggedErrors(StorageError)), 1)
        await self.assertFailure(pipeline.outbox.waiting(), StorageError)


class MasterWithRequests(FakeMaster):
    """A master that knows which build requests will get another build."""

    unfinished = frozenset({3, 4, 5})

    def get(self, path: tuple[Any, ...], filters: Any = (), **more: Any) -> Deferred[Any]:
        """Answer like the data API."""
        if path != ("buildrequests",):
            return super().get(path, filters, **more)
        wanted = self.unfinished.intersection(filters[0].values)
        return succeed([{"buildrequestid": each} for each in wanted])


class UnfinishedRequestsTests(unittest.SynchronousTestCase):
    """What must be announced before builds start."""

    def setUp(self) -> None:
        """Make a master whose builds were interrupted, except the second one."""
        self.master, self.outbox = MasterWithRequests(), FakeOutbox()
        self.announced: list[tuple[str, ...]] = []
        self.master.add(1, at=NOW - 1000)
        ownership = BuildOwnership(self.master, for_all_masters=True)
        self.catchup = Catchup(
            self.master, "r", self.outbox, self.announce, lambda key: True, ownership, Logger()
        )
        self.successResultOf(Deferred.fromCoroutine(self.catchup.prepare()))
        for number in (2, 3, 4):
            self.master.add(number)
        self.master.add(5, complete=False)

    def announce(self, event: Event) -> Deferred[Event]:
        """Take note of an event."""
        self.announced.append(event.key)
        event.sent += 1
        return succeed(event)

    def settle(self) -> None:
        """Do what the reporter does before builds start."""
        self.successResultOf(Deferred.fromCoroutine(self.catchup.settle_unfinished_requests()))

    def test_interrupted(self) -> None:
        """Ended builds of unfinished requests are announced, oldest first, and no other ones."""
        self.settle()
        self.assertEqual(self.announced, [("builds", "3", "finished"), ("builds", "4", "finished")])

    def test_trouble(self) -> None:
        """A database that can't be asked does not keep the master from starting."""
        self.outbox.failures = 1
        self.settle()
        self.assertEqual(self.announced, [])
