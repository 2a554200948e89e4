"""A real master tells a chat service of its builds, also of one that is told to wait."""

from __future__ import annotations

import json
from typing import Any

import pytest
from buildbot.process.results import CANCELLED, FAILURE, SKIPPED, SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, Master, ReporterTestCase, configuration
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from buildbot_http_status_push import formats
from buildbot_http_status_push.reporter import HttpStatusPush

pytestmark = pytest.mark.once

WAIT = 1.5


class EndInTurn(EndWith):
    """A step that ends with the first result in the first build, with the second in the second."""

    def __init__(self, results: list[int]) -> None:
        super().__init__(SUCCESS)
        self.results_in_turn = results

    def run(self) -> Any:
        """End."""
        self.result = self.results_in_turn[self.build.number - 1]
        return super().run()


class DiscordLike(Resource):
    """Answers the first request as Discord does when there were too many, all others with 204."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.came: list[float] = []
        self.titles: list[str] = []
        self.told: Deferred[None] = Deferred()

    def render_POST(self, request: Request) -> bytes:
        """Answer."""
        self.came.append(reactor.seconds())
        if len(self.came) > 1:
            [embed] = json.loads(request.content.read())["embeds"]
            self.titles.append(embed["title"])
            if len(self.titles) == 2:
                reactor.callLater(0, self.told.callback, None)
            request.setResponseCode(204)
            return b""
        request.setResponseCode(429)
        request.setHeader("Content-Type", "application/json")
        request.setHeader("Retry-After", str(WAIT))
        request.setHeader("X-RateLimit-Scope", "user")
        told = {"message": "You are being rate limited.", "retry_after": WAIT, "global": False}
        return json.dumps(told).encode()


class ChatTest(ReporterTestCase):
    """What a chat service hears of a master's builds."""

    async def start(self, results: list[int], **options: Any) -> Master:
        """Start a master whose builds end with these results."""
        self.inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, **options)]
        builders = {"linux": [EndInTurn(results)]}
        return await self.start_master(configuration(services, builders))

    def heads(self) -> list[str]:
        """Return the first lines of the messages to Mattermost."""
        return [each["attachments"][0]["fallback"] for each in self.inbox.builds]

    @async_to_deferred
    async def test_recovery(self) -> None:
        """A recovery is told, also where a build in between was cancelled; a success is not."""
        results = [SUCCESS, FAILURE, CANCELLED, SUCCESS, SUCCESS, FAILURE]
        master = await self.start(results, format_fn=formats.mattermost(), want_properties=False)
        for _ in results:
            await master.build("linux")
        await self.inbox.until(3)
        self.assertEqual(self.heads(), ["linux #2 failed", "linux #4 recovered", "linux #6 failed"])
        recovery = self.inbox.builds[1]["attachments"][0]["fields"]
        self.assertIn({"title": "Before", "value": r"\#2 failed", "short": True}, recovery)

    @async_to_deferred
    async def test_broken(self) -> None:
        """Of several failures in a row the first is reported, whatever came in between."""
        results = [FAILURE, SUCCESS, FAILURE, SKIPPED, FAILURE, SUCCESS, CANCELLED, FAILURE]
        form = formats.mattermost(on=("broken", "recovery"))
        master = await self.start(results, format_fn=form)
        for _ in results:
            await master.build("linux")
        await self.inbox.until(4)
        heads = ["linux #2 recovered", "linux #3 broke", "linux #6 recovered", "linux #8 broke"]
        self.assertEqual(self.heads(), heads)

    @async_to_deferred
    async def test_branches(self) -> None:
        """A success on one branch is no recovery from a failure on another one."""
        results = [FAILURE, SUCCESS, SUCCESS, FAILURE]
        master = await self.start(results, format_fn=formats.mattermost())
        for branch in ("topic", "main", "topic", "main"):
            await master.build("linux", stamp={"branch": branch})
        await self.inbox.until(3)
        self.assertEqual(self.heads(), ["linux #1 failed", "linux #3 recovered", "linux #4 failed"])

    @async_to_deferred
    async def test_changes(self) -> None:
        """The changes that a build has built are told, with who made them."""
        master = await self.start([FAILURE], format_fn=formats.mattermost())
        stamp = {"branch": "main", "revision": "abcdef", "repository": "r", "project": "p"}
        await master.master.data.updates.addChange(
            author="Jo Doe <jo@example.com>",
            comments="Mend it\nat last",
            revlink="https://code.example.com/abcdef",
            **stamp,
        )
        await master.build("linux", stamp=stamp)
        await self.inbox.until(1)
        [attachment] = self.inbox.builds[0]["attachments"]
        self.assertIn(
            "- [abcdef](https://code.example.com/abcdef) Mend it — Jo Doe", attachment["text"]
        )

    @async_to_deferred
    async def test_too_many_requests(self) -> None:
        """After a 429 nothing is sent for as long as the service asks; then all is, each once."""
        service = DiscordLike()
        port = reactor.listenTCP(0, Site(service), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"http://127.0.0.1:{port.getHost().port}/"
        chat = HttpStatusPush(url, format_fn=formats.discord())
        config = configuration([chat], {"linux": [EndInTurn([FAILURE, FAILURE])]})
        master = await self.start_master(config)
        await master.build("linux")
        await master.build("linux")
        await service.told
        self.assertCountEqual(service.titles, [r"linux \#1 failed", r"linux \#2 failed"])
        self.assertGreaterEqual(service.came[1] - service.came[0], WAIT)
        self.assertEqual(len(service.came), 3)
