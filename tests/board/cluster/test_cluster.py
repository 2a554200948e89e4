"""Requests, workers and builders: taken, kept, and shown."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
from support.boards import BoardCase
from support.outboxes import result
from support.postgres import server
from support.reasons import excerpts
from support.results import results_key
from support.states import EXAMPLES, a_builder, a_request, a_worker, an_example
from support.statuses import NOW, a_status
from support.threads import LaterThread
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import BodyError, read_any
from buildbot_http_status_push.board.cluster.states import KINDS, RequestState
from buildbot_http_status_push.board.model import Builder, Filter
from buildbot_http_status_push.board.store import cluster
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.board.store.writing import Stored
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.report.contract import body_schema
from buildbot_http_status_push.results import FAILURE, RETRY, SUCCESS

OTHER = "https://other.example.org/"


def as_bytes(body: Any) -> bytes:
    """Return what is sent."""
    return json.dumps(body).encode()


class BodyTests(SynchronousTestCase):
    """What bodies say."""

    def test_examples(self) -> None:
        """Each documented body is read, and fits its schema."""
        found = [each for each in sorted(EXAMPLES.glob("*.json")) if "-1" not in each.stem]
        seen = set()
        for path in found:
            body = json.loads(path.read_text())
            if body.get("schema") in KINDS:
                jsonschema.validate(body, body_schema(kind=body["schema"].partition("-")[0]))
                seen.add(type(read_any(as_bytes(body))).__name__)
        self.assertEqual(seen, {"RequestState", "WorkerState", "BuilderState"})

    def test_faults(self) -> None:
        """A key that is missing or can't be true is named."""
        for event, key, value in (
            ("requests.new", "buildrequestid", "3"),
            ("requests.new", "submitted_at", -1),
            ("requests.new", "claimed", 1),
            ("requests.new", "builder", []),
            ("requests.new", "priority", 2**70),
            ("workers.connected", "name", ""),
            ("workers.connected", "reported_at", "now"),
            ("builders.configured", "removed", None),
            ("builders.configured", "tags", "a"),
        ):
            for body in (an_example(event, 0, **{key: value}), an_example(event, 0)):
                if body[key] != value:
                    del body[key]
                fault = self.assertRaises(BodyError, read_any, as_bytes(body))
                self.assertIn(repr(key), str(fault))
                self.assertEqual(fault.status, 422)

    def test_bounds(self) -> None:
        """Names, lists and texts are cut, and what no database takes is replaced."""
        body = a_request("requests.new", 1, builder="b" * 900)
        body["buildset"]["reason"] = "\0" * 9000
        body["buildset"]["sourcestamps"] *= 90
        state = read_any(as_bytes(body))
        assert isinstance(state, RequestState)
        self.assertEqual((len(state.builder), len(state.reason)), (500, 2000))
        self.assertEqual((len(state.sources), state.reason[0]), (20, "\ufffd"))
        for schema in ([], {}, 3, None):
            self.assertRaises(BodyError, read_any, as_bytes({"schema": schema}))


class StoreCase(SynchronousTestCase):
    """A store."""

    def setUp(self) -> None:
        """Open an empty one."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = self.opened(self.new_url())

    def new_url(self) -> str:
        """Return where an empty store may be."""
        return file_url(self.mktemp())

    def opened(self, url: str) -> Store:
        """Open a store."""
        store = Store(self.clock, LaterThread(), url)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        return store

    def put(self, body: dict[str, Any]) -> Stored:
        """Keep a state."""
        state = read_any(as_bytes(body))
        assert state is not None
        return result(self.store.put(state))

    def build(self, number: int, results: int | None, **more: Any) -> None:
        """Keep a build."""
        result(self.store.put(a_status(number, results, **more)))

    def waits(self) -> dict[str, int]:
        """Return how many requests wait, by builder."""
        queue = result(self.store.queue())
        return {each.builder.name: each.count for each in queue.waiting}

    def builder(self, name: str = "linux") -> Builder:
        """Return a builder."""
        found = result(self.store.builders(Filter()))
        [builder] = [each for each in found if each.name == name]
        return builder


class StoreTests(StoreCase):
    """What the store keeps of them."""

    def test_life(self) -> None:
        """A request waits until it is claimed, and again when it is given back."""
        self.assertFalse(result(self.store.queue()).is_known)
        for at, (event, expected) in enumerate(
            (
                ("requests.new", 1),
                ("requests.claimed", 0),
                ("requests.unclaimed", 1),
                ("requests.cancelled", 0),
            )
        ):
            self.assertEqual(self.put(a_request(event, 3, at)), Stored.NEW)
            self.assertEqual(self.waits().get("linux", 0), expected, event)
        self.assertTrue(result(self.store.queue()).is_known)

    def test_any_order(self) -> None:
        """Whatever the order, and however often each comes, the newest holds."""
        story = [
            a_request("requests.new", 3, 0),
            a_request("requests.claimed", 3, 5),
            a_request("requests.unclaimed", 3, 9),
            a_request("requests.new", 4, 0),
            a_request("requests.complete", 4, 2),
            a_request("requests.new", 4, 7),
            a_worker("workers.connected", "w1", 1),
            a_worker("workers.disconnected", "w1", 8, disconnected_at=NOW + 8),
            a_builder("builders.configured", "linux", 1),
            a_builder("builders.removed", "linux", 2),
        ]
        for seed in range(4):
            self.store = self.opened(file_url(self.mktemp()))
            shuffled = random.Random(seed).sample(story * 2, len(story) * 2)  # noqa: S311  any
            for body in shuffled:
                self.put(body)
            self.assertEqual(self.waits(), {"linux": 1}, seed)
            self.assertTrue(self.builder().removed)
            [worker] = result(self.store.workers(None, 9))
            self.assertEqual((worker.worker.connected, worker.worker.since), (False, NOW + 8))

    def test_builds(self) -> None:
        """A request whose build runs does not wait; once that ended as retry it does."""
        self.put(a_request("requests.new", 2001, submitted_at=NOW + 50))
        self.build(1, None)
        self.assertEqual(self.waits(), {})
        self.put(a_request("requests.unclaimed", 2001, 300, submitted_at=NOW + 50))
        self.assertEqual(self.waits(), {})
        self.build(1, RETRY)
        self.assertEqual(self.waits(), {"linux": 1})
        self.build(2, SUCCESS)
        self.put(a_request("requests.new", 2002, submitted_at=NOW + 50))
        self.assertEqual(self.waits(), {"linux": 1})

    def test_database_anew(self) -> None:
        """A master's database that counts from 1 again has other requests."""
        self.put(a_request("requests.complete", 3, 5))
        self.put(a_request("requests.new", 3, 9, submitted_at=NOW + 8))
        self.assertEqual(self.waits(), {"linux": 1})

    def test_clusters(self) -> None:
        """Builders and workers of one name in two clusters are others."""
        self.put(a_builder("builders.configured", "linux"))
        self.put(a_builder("builders.configured", "linux", url=OTHER))
        self.put(a_worker("workers.connected", "w1"))
        self.put(a_worker("workers.disconnected", "w1", url=OTHER))
        self.put(a_request("requests.new", 3, url=OTHER))
        builders = result(self.store.builders(Filter()))
        self.assertEqual(len({each.master.name for each in builders}), 2)
        unmanned = {each.master.url: each.unmanned for each in builders}
        self.assertEqual(unmanned, {"https://ci.example.org/": 0, OTHER: 1})
        [waiting] = result(self.store.queue()).waiting
        self.assertEqual(waiting.builder.master.url, OTHER)
        self.assertEqual(waiting.why, "its worker w1 is not connected")
        self.assertEqual(len(result(self.store.workers("w1", 9))), 2)

    def test_configured(self) -> None:
        """A builder is known before its first build, as its configuration has it."""
        self.put(a_builder("builders.configured", "new", tags=["x"], description="Builds"))
        found = self.builder("new")
        self.assertEqual((found.tags, found.description, found.recent), (("x",), "Builds", ()))
        self.build(1, FAILURE)
        self.put(a_builder("builders.configured", "linux", 1, tags=["y"]))
        self.assertEqual(self.builder().tags, ("y",))
        self.assertTrue(self.builder().is_red)
        self.put(a_builder("builders.removed", "linux", 2))
        self.assertFalse(self.builder().is_red)

    def test_unmanned(self) -> None:
        """A builder is marked where no worker is connected, unless one can be started."""
        self.put(a_worker("workers.connected", "w1"))
        self.put(a_worker("workers.connected", "w2"))
        self.put(a_worker("workers.disconnected", "w1", 5))
        self.assertEqual(self.builder().unmanned, 0)
        self.put(a_worker("workers.disconnected", "w2", 6))
        self.assertEqual(self.builder().unmanned, 2)
        self.put(a_worker("workers.removed", "w1", 7, builders=[]))
        self.assertEqual(self.builder().unmanned, 1)
        self.put(a_worker("workers.disconnected", "w2", 8, latent=True))
        self.assertEqual(self.builder().unmanned, 0)

    def test_since(self) -> None:
        """Since when a worker is away is kept through later reports that do not say it."""
        self.put(a_worker("workers.disconnected", "w1", 5, disconnected_at=None))
        self.put(a_worker("workers.missing", "w1", 3605, disconnected_at=None))
        [found] = result(self.store.workers(None, 9))
        self.assertEqual((found.worker.since, found.worker.missing), (NOW + 5, True))
        self.put(a_worker("workers.connected", "w1", 4000))
        [found] = result(self.store.workers(None, 9))
        self.assertIsNone(found.worker.since)

    def test_workers(self) -> None:
        """A worker is busy with its builds of its cluster, and has a last one."""
        self.put(a_worker("workers.connected", "w1"))
        self.build(1, SUCCESS)
        self.build(2, None)
        [found] = result(self.store.workers("w1", 9))
        self.assertEqual([build.number for _, build in found.running], [2])
        assert found.last is not None
        self.assertEqual((found.last.number, found.last.builder_name), (1, "linux"))

    def test_revision(self) -> None:
        """What should build a revision is said by the requests that are not complete."""
        self.build(1, SUCCESS, revision="9f2c1e07a4d3")
        self.put(a_request("requests.new", 3, builder="mac"))
        self.put(a_request("requests.claimed", 4, builder="win"))
        self.put(a_request("requests.cancelled", 5, builder="bsd"))
        self.put(a_request("requests.new", 6, builder="linux"))
        [found] = result(self.store.revision_verdicts("9f2c", Filter()))
        said = {each.builder.name: each.kind for each in found.builders}
        self.assertEqual(said, {"linux": "good", "mac": "waiting", "win": "waiting"})

    def test_only_requested(self) -> None:
        """A revision of which nothing has begun yet is known too."""
        self.put(a_request("requests.new", 3))
        [found] = result(self.store.revision_verdicts("9f2c1e07a4d3", Filter()))
        self.assertEqual([each.kind for each in found.builders], ["waiting"])

    def test_pruning(self) -> None:
        """What is long complete is forgotten, what waits is not."""
        self.patch(cluster, "AT_ONCE", 1)
        self.put(a_request("requests.complete", 5, 0))
        self.put(a_request("requests.complete", 3, 0))
        self.put(a_request("requests.new", 4, 0))
        self.clock.advance(8 * 86_400)
        result(Deferred.fromCoroutine(self.store.prune_updates()))
        self.assertEqual(self.put(a_request("requests.complete", 5, 0)), Stored.NEW)
        self.assertEqual(self.waits(), {"linux": 1})
        self.assertEqual(self.put(a_request("requests.complete", 3, 0)), Stored.NEW)

    def test_never_complete(self) -> None:
        """A request that has waited for longer than builds are kept is deleted."""
        self.patch(cluster, "AT_ONCE", 1)
        self.put(a_request("requests.new", 3))
        self.put(a_request("requests.new", 2001, builder="mac"))
        submitted = 1 + max(each.submitted_at for each in result(self.store.requests(None, 9)))
        result(Deferred.fromCoroutine(self.store.prune(float(submitted))))
        self.assertEqual(self.waits(), {})
        self.assertEqual(result(self.store.revision_verdicts("9f2c1e07a4d3", Filter())), [])


class PostgresTests(StoreCase):
    """The same on PostgreSQL, as far as the statements are others."""

    def new_url(self) -> str:
        """Return the URL of an empty database."""
        server().clear()
        return server().url()

    def test_states(self) -> None:
        """Requests, workers and builders are kept, superseded and pruned."""
        self.put(a_request("requests.new", 3))
        self.put(a_request("requests.new", 2001, builder="mac"))
        self.build(1, None, builder="mac")
        self.put(a_request("requests.complete", 4))
        self.put(a_worker("workers.connected", "w1"))
        self.put(a_worker("workers.disconnected", "w1", 5))
        self.put(a_builder("builders.removed", "old"))
        self.assertEqual(self.waits(), {"linux": 1})
        self.assertEqual((self.builder().unmanned, self.builder("old").removed), (1, True))
        [found] = result(self.store.revision_verdicts("9f2c", Filter()))
        self.assertEqual([each.builder.name for each in found.builders], ["linux", "mac"])
        self.assertEqual(result(self.store.quiet()), [])
        self.assertEqual(len(result(self.store.requests(None, 9))), 1)
        self.clock.advance(8 * 86_400)
        result(Deferred.fromCoroutine(self.store.prune_updates()))
        result(Deferred.fromCoroutine(self.store.prune(NOW)))


class PageTests(BoardCase):
    """A board that is sent them."""

    async def send(self, body: Any) -> None:
        """Send a state."""
        answer = await self.ask("POST", "/", as_bytes(body))
        self.assertEqual(answer.status, 200, answer.text)

    async def test_lacking(self) -> None:
        """A board that is not sent them says so."""
        await self.put(1)
        for path, option in (("/queue", "want_requests"), ("/workers", "want_workers")):
            self.assertIn(option, (await self.get(path)).text)
        self.assertNotIn("wait", (await self.get("/")).text.partition("data-region")[2][:80])

    async def test_pages(self) -> None:
        """The queue, workers and the overview say what waits and why; names do no harm."""
        await self.put(1)
        await self.send(a_worker("workers.disconnected", "<w1>"))
        await self.send(a_request("requests.new", 3))
        await self.send(a_builder("builders.removed", "old <b>"))
        overview = (await self.get("/")).text
        self.assertIn("<b>1</b> waits", overview)
        self.assertIn("its worker &lt;w1&gt; is not connected", overview)
        self.assertIn("no worker</span>", overview)
        self.assertIn("removed</span>", overview)
        self.assertNotIn("<w1>", overview)
        queue = (await self.get("/queue")).text
        self.assertIn("SingleBranchScheduler", queue)
        self.assertIn('href="/revisions/9f2c1e07a4d3"', queue)
        workers = (await self.get("/workers")).text
        self.assertIn("&lt;w1&gt;", workers)
        worker = await self.get("/workers/%3Cw1%3E")
        self.assertIn("missing", worker.text)
        self.assertEqual((await self.get("/workers/nobody")).status, 404)

    async def test_live(self) -> None:
        """A browser is sent the line of what waits, and the row of a builder that is not manned."""
        await self.put(1)
        since = f"/live/updates?epoch={self.board.store.latest.epoch}&since=1"
        await self.send(a_request("requests.new", 3))
        await self.send(a_worker("workers.disconnected", "w1"))
        frame = json.loads((await self.get(since)).text)
        fragments = {
            fragment["key"]: fragment["html"]
            for each in (frame, *frame["changes"])
            for fragment in each["fragments"]
        }
        self.assertIn("<b>1</b> waits", fragments["queue"])
        self.assertIn("no worker", fragments["row/1"])

    async def test_stuck(self) -> None:
        """A program is told why a builder that waits may never end."""
        await self.send(a_worker("workers.disconnected", "w1"))
        await self.send(a_request("requests.new", 3))
        told = json.loads((await self.get("/api/revisions/9f2c1e07a4d3")).text)
        [builder] = told["codebases"][0]["builders"]
        self.assertEqual(
            (builder["says"], builder["stuck"], told["requests_known"]),
            ("waiting", "its worker is not connected", True),
        )

    async def test_search(self) -> None:
        """A worker, a failing line and a test are found by a part of their text."""
        await self.put(1, FAILURE, **excerpts("fatal error: no %frob"))
        await self.put(2, FAILURE, tests=results_key(["test_login"]))
        await self.send(a_worker("workers.connected", "arm-worker"))
        for wanted, found in (
            ("ARM", "arm-worker"),
            ("no %25frob", "fatal error"),
            ("test_log", "test_login"),
        ):
            page = (await self.get(f"/search?q={wanted.replace(' ', '+')}")).text
            self.assertIn(found, page)
            self.assertNotIn("Nothing fits", page)
        self.assertIn("Nothing fits", (await self.get("/search?q=nothing+such")).text)

    async def test_refused(self) -> None:
        """A body that can't be true is refused, with its key."""
        answer = await self.ask("POST", "/", as_bytes(a_worker("workers.connected", "")))
        self.assertEqual(answer.status, 422)
        self.assertIn("'name'", answer.text)
