"""What real masters send, of this Buildbot's version, as the board takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from buildbot.plugins import reporters
from buildbot.reporters.generators.build import BuildStatusGenerator
from buildbot.reporters.generators.buildset import BuildSetStatusGenerator
from buildbot.reporters.http import HttpStatusPush as BuiltIn
from buildbot.reporters.message import MessageFormatterFunction
from buildbot.util.twisted import async_to_deferred
from support.inbox import Inbox
from support.master import BUILDERS, PATCHED, RESULTS, ReporterTestCase, configuration
from support.outboxes import result
from support.statuses import NOW
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock

from buildbot_http_status_push.board.body import BodyError, Status, read
from buildbot_http_status_push.board.http.documents import RouteRequest
from buildbot_http_status_push.board.model import Builder, Filter
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.reporter import HttpStatusPush


class RealBodiesTest(ReporterTestCase):
    """A board that is given what masters have sent."""

    def setUp(self) -> None:
        """Open the board."""
        super().setUp()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = Store(self.clock, maybeDeferred, file_url(self.folder / "board.sqlite"))
        result(Deferred.fromCoroutine(self.store.open()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.close()))

    async def sent(self, names: Iterable[str], count: int, *services: Any, **build: Any) -> Inbox:
        """Have a master build some builders once each; return what it sends."""
        inbox, url = await self.open_inbox()
        made = [each(url) for each in services]
        master = await self.start_master(configuration(made, BUILDERS))
        for name in names:
            await master.build(name, **build)
        await inbox.until(count)
        return inbox

    def shown(self, inbox: Inbox) -> dict[str, Builder]:
        """Give the board all that was sent, and return its builders by name."""
        for each in inbox.statuses:
            status = read(each.body)
            assert status is not None
            result(self.store.put(status))
        return {each.name: each for each in result(self.store.builders(Filter()))}

    def check_all_shown(self, inbox: Inbox, names: Iterable[str]) -> None:
        """Check that each builder is shown with its build, and that all pages can be made."""
        builders = self.shown(inbox)
        self.assertEqual(set(builders), set(names))
        for name, builder in builders.items():
            [build] = builder.recent
            self.assertEqual(build.results, RESULTS[name])
            self.assertEqual(build.worker, "local")
            self.assertTrue(str(build.url).startswith("http://localhost:8010/#/builders/"))
        self.assertTrue(
            all(each.is_red == each.last.is_bad for each in builders.values() if each.last)
        )
        pages = Pages(self.store, self.clock.seconds, at_once)
        for path in ("/", "/grid", "/revisions", "/builders/1", "/builds/1"):
            asked = RouteRequest(path=path, query="", address="http://board/")
            page = result(Deferred.fromCoroutine(pages.page(asked)))
            self.assertEqual(page.status, 200)

    @async_to_deferred
    async def test_default(self) -> None:
        """Statuses with all that can be asked for are shown."""
        stamp = {"branch": "main", "revision": "abc", "project": "runtime", **PATCHED}
        wanted = {"want_steps": True, "want_logs": True, "want_previous_build": True}
        properties = {"owner": ("Ada", "tests"), "got_revision": ("def", "Git")}
        names = ("success", "failure", "skipped")
        inbox = await self.sent(
            names,
            2 * len(names),
            lambda url: HttpStatusPush(url, want_properties=True, want_changes=True, **wanted),
            stamp=stamp,
            properties=properties,
        )
        self.check_all_shown(inbox, names)
        [build] = result(self.store.builds(Filter(builder="success")))
        source = (build.branch, build.revision, build.project, build.owner)
        self.assertEqual(source, ("main", "def", "runtime", "Ada"))

    @async_to_deferred
    async def test_built_in(self) -> None:
        """Buildbot's built-in reporter will do for a board: what it sends is shown."""
        names = {"success", "warnings", "failure"}
        inbox = await self.sent(names, 6, lambda url: BuiltIn(url, name="built-in"))
        self.check_all_shown(inbox, names)

    @async_to_deferred
    async def test_own_generators(self) -> None:
        """What a subclass with generators of its own sends is shown where it is a build."""

        class Own(reporters.HttpStatusPush):  # type: ignore[misc]
            name = "Own"

        whole = MessageFormatterFunction(lambda context: context["build"], "json")
        generator = BuildStatusGenerator(mode="all", message_formatter=whole)
        names = ("success", "failure")
        inbox = await self.sent(
            names, len(names), lambda url: Own(serverUrl=url, generators=[generator])
        )
        self.check_all_shown(inbox, names)

    @async_to_deferred
    async def test_refused(self) -> None:
        """What is no build is refused, in a sentence that says why."""
        chat = MessageFormatterFunction(of_chat, "json")
        whole = MessageFormatterFunction(
            lambda context: {"bsid": context["build"]["buildset"]["bsid"]}, "json"
        )
        generators = {
            "default texts": BuildStatusGenerator(),
            "chat": BuildStatusGenerator(message_formatter=chat),
            "buildset": BuildSetStatusGenerator(message_formatter=whole),
        }
        services = (
            lambda url, name=name, one=one: HttpStatusPush(url, generators=[one], name=name)
            for name, one in generators.items()
        )
        inbox = await self.sent(["success"], 3, *services)
        told = sorted(refusal(each.body) for each in inbox.statuses)
        wanted = ("about a whole buildset", "send the default body", "is not JSON")
        for words, sentence in zip(wanted, told, strict=True):
            self.assertIn(words, sentence)


def of_chat(context: dict[str, Any]) -> dict[str, Any]:
    """Return what a chat might want to know."""
    return {"text": f"build {context['build']['number']} has ended"}


def refusal(body: bytes) -> str:
    """Return why a body is not taken."""
    try:
        taken: Status | None = read(body)
    except BodyError as refused:
        return str(refused)
    raise AssertionError(json.dumps(str(taken)))
