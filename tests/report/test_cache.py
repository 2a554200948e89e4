"""What is remembered of the data API's answers, and when it is forgotten."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from buildbot.process.results import SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, MasterTestCase, configuration
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred, succeed
from twisted.trial import unittest

from buildbot_http_status_push.report.cache import (
    CAPACITY,
    CHANGES,
    NEW_BUILDSETS,
    REQUESTS,
    DataCache,
)


class FakeMaster:
    """A master whose data API answers with how often it was asked, and whose queue is called."""

    def __init__(self, queue: str = "simple") -> None:
        self.data = self.mq = self
        self.config = SimpleNamespace(mq={"type": queue})
        self.asked = 0
        self.more: dict[str, Any] = {}
        self.slow: Deferred[None] | None = None
        self.consumers: dict[tuple[str | None, ...], Any] = {}

    def get(self, path: tuple[str, int]) -> Deferred[dict[str, Any]]:
        """Answer, later where ``slow`` is set."""
        self.asked += 1
        answer = {"asked": self.asked, "tags": [], **self.more}
        return succeed(answer) if self.slow is None else self.slow.addCallback(lambda _: answer)

    def startConsuming(self, callback: Any, key: tuple[str | None, ...]) -> Any:  # noqa: N802 - Buildbot's name
        """Note who wants to hear of what."""
        self.consumers[key] = callback
        return succeed(FakeConsumer(self, key))


class FakeConsumer:
    """What ends a subscription."""

    def __init__(self, master: FakeMaster, key: tuple[str | None, ...]) -> None:
        self.master, self.key = master, key

    def stopConsuming(self) -> None:  # noqa: N802 - Buildbot's name
        """End it."""
        del self.master.consumers[self.key]


class DataCacheTest(unittest.SynchronousTestCase):
    """Builders and buildsets, which are asked for once."""

    def setUp(self) -> None:
        """Know nothing."""
        self.master = FakeMaster()
        self.cache = DataCache(self.master)

    def get(self, kind: str, number: int) -> Any:
        """Ask for one."""
        return self.successResultOf(ensureDeferred(self.cache.get(kind, number)))

    def test_asked_once(self) -> None:
        """The data API is asked once; what a caller does to an answer stays with that caller."""
        self.get("builders", 1)["tags"].append("spoilt")
        self.assertEqual(self.get("builders", 1), {"asked": 1, "tags": []})

    def test_told_of_a_change(self) -> None:
        """An event makes what it tells of be asked for anew, and nothing else."""
        self.successResultOf(ensureDeferred(self.cache.listen()))
        self.assertEqual(set(self.master.consumers), {*CHANGES, REQUESTS, NEW_BUILDSETS})
        for kind, number in (("builders", 1), ("builders", 2), ("buildsets", 1)):
            self.get(kind, number)
        self.master.consumers["builders", None, None](("builders", "1", "update"), {})
        found = [self.get(*key)["asked"] for key in (("builders", 2), ("buildsets", 1))]
        self.assertEqual((*found, self.get("builders", 1)["asked"]), (2, 3, 4))

    def test_changed_while_read(self) -> None:
        """An answer that was under way when something changed is not remembered."""
        self.master.slow = Deferred()
        asking = ensureDeferred(self.cache.get("builders", 1))
        self.cache.invalidate(("builders", "1", "update"))
        self.master.slow.callback(None)
        self.assertEqual(self.successResultOf(asking)["asked"], 1)
        self.master.slow = None
        self.assertEqual(self.get("builders", 1)["asked"], 2)

    def test_bounded(self) -> None:
        """The one that nobody has asked for the longest is forgotten first."""
        for number in range(CAPACITY):
            self.get("buildsets", number)
        self.get("buildsets", 0)
        self.get("buildsets", CAPACITY)
        self.assertEqual(self.get("buildsets", 0)["asked"], 1)
        self.assertEqual(self.get("buildsets", 1)["asked"], CAPACITY + 2)

    def test_claimed_requests(self) -> None:
        """A build request is known from its claim until the next event of it."""
        self.successResultOf(ensureDeferred(self.cache.listen()))
        tell = self.master.consumers[REQUESTS]
        for end in ("unclaimed", "complete"):
            tell(("buildrequests", "7", "claimed"), {"for": [end]})
            (self.cache.claimed(7) or {})["for"].append("spoilt")
            self.assertEqual(self.cache.claimed(7), {"for": [end]})
            tell(("buildrequests", "7", end), {})
            self.assertIsNone(self.cache.claimed(7))

    def test_requests_of_other_queues(self) -> None:
        """Where events are made JSON of, none of build requests is listened to."""
        master = FakeMaster("wamp")
        self.successResultOf(ensureDeferred(DataCache(master).listen()))
        self.assertEqual(set(master.consumers), set(CHANGES))

    def test_claims_bounded(self) -> None:
        """Of more claims than are kept the first one is forgotten."""
        for number in range(CAPACITY + 1):
            self.cache.follow(("buildrequests", str(number), "claimed"), {"number": number})
        known = [self.cache.claimed(number) for number in (0, CAPACITY)]
        self.assertEqual(known, [None, {"number": CAPACITY}])

    def test_new_buildsets(self) -> None:
        """Once one is known, a new one is not asked for, unless its event lacks something."""
        buildset = {"parent_buildid": None, "sourcestamps": [{"patch": None}], "scheduler": "any"}
        self.cache.expect(("buildsets", "1", "new"), {**buildset, "asked": 0, "tags": []})
        self.assertEqual(self.get("buildsets", 1)["asked"], 1)
        told = {**buildset, "asked": 0, "tags": []}
        for number, event in enumerate(
            (
                {**told, "parent_buildid": 7},
                {**told, "sourcestamps": [{"patch": {"level": 1}}]},
                {**told, "sourcestamps": [{"patch": None}] * 2},
                {**buildset, "asked": 0},
            ),
            2,
        ):
            self.cache.expect(("buildsets", str(number), "new"), event)
            self.assertEqual(self.get("buildsets", number)["asked"], number)
        self.cache.expect(("buildsets", "9", "new"), told)
        self.assertEqual(self.get("buildsets", 9), {"asked": 0, "tags": []})

    def test_several_codebases(self) -> None:
        """A buildset of several codebases is asked for each time: the order may change."""
        self.master.more = {"sourcestamps": [{"codebase": "a"}, {"codebase": "b"}]}
        asked = [self.get("buildsets", 1)["asked"] for _ in range(2)]
        self.assertEqual(asked, [1, 2])

    def test_stop(self) -> None:
        """Afterwards no event is listened to."""
        self.successResultOf(ensureDeferred(self.cache.listen()))
        self.successResultOf(ensureDeferred(self.cache.stop()))
        self.assertEqual(self.master.consumers, {})


class MasterTests(MasterTestCase):
    """Beside a real master."""

    @async_to_deferred
    async def test_new_buildsets(self) -> None:
        """What the event of a new buildset tells is what the data API gives."""
        gate: Deferred[None] = Deferred()
        builders = {"waits": [EndWith(SUCCESS, gate)]}
        master = await self.start_master(configuration([], builders))
        cache = DataCache(master.master)
        await cache.listen()
        await cache.get("buildsets", await master.submit("waits"))
        heard: Deferred[None] = Deferred()
        consumer = await master.master.mq.startConsuming(
            lambda *_: heard.callback(None), NEW_BUILDSETS
        )
        second = await master.submit("waits", scheduler="any", external_idstring="an id")
        await heard
        given = await master.master.data.get(("buildsets", second))
        self.patch(master.master.data, "get", None)
        self.assertEqual(await cache.get("buildsets", second), given)
        self.assertEqual(given["external_idstring"], "an id")
        await maybeDeferred(consumer.stopConsuming)
        await cache.stop()
        gate.callback(None)
