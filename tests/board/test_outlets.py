"""Badges, CCTray, the feed and the JSON API over real sockets, read by programs of others."""

from __future__ import annotations

import json
import sys
import unittest
from typing import Any, ClassVar
from urllib.parse import urlencode
from xml.etree import ElementTree

import feedparser
import jsonschema
import pytest
from attrs import frozen
from openapi_spec_validator import validate
from support.boards import Answer, BoardCase

from buildbot_http_status_push.results import EXCEPTION, FAILURE, SUCCESS, WARNINGS

pytestmark = pytest.mark.once

SVG = "image/svg+xml; charset=utf-8"


@frozen
class Feed:
    """What buildnotify knows of a feed."""

    url: str = "http://board/"
    prefix: None = None
    timezone: str = "None"
    excluded_projects: tuple[str, ...] = ()


class OutletCase(BoardCase):
    """A board with builds, and answers that may be kept."""

    hosts = ("board.example.org", "a.example")

    async def fresh(self, path: str, content_type: str) -> Answer:
        """Ask twice: the second answer is only that nothing has changed."""
        answer = await self.get(path)
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, content_type))
        self.assertEqual(answer.headers["Cache-Control"], "no-cache")
        again = await self.get(path, If_None_Match=answer.headers["ETag"])
        self.assertEqual((again.status, again.body), (304, b""))
        return answer


class BadgeTests(OutletCase):
    """``/badge/BUILDER.svg``."""

    async def told(self, path: str) -> str | None:
        """Return what a badge says to those who can't see it."""
        answer = await self.fresh(path, SVG)
        return ElementTree.fromstring(answer.body).get("aria-label")  # noqa: S314 - our own

    async def test_builder(self) -> None:
        """A badge follows its builder, and is another one for caches as soon as it says more."""
        await self.put(1)
        before = await self.get("/badge/linux.svg")
        self.assertEqual(await self.told("/badge/linux.svg"), "linux: passing")
        await self.put(2, FAILURE)
        after = await self.get("/badge/linux.svg", If_None_Match=before.headers["ETag"])
        self.assertEqual(after.status, 200)
        self.assertEqual(await self.told("/badge/linux.svg"), "linux: failing")

    async def test_name(self) -> None:
        """A name may hold whatever an address can; it is the whole name."""
        await self.put(1, builder="a/b c.svg ü?")
        self.assertEqual(
            await self.told("/badge/a%2Fb%20c.svg%20%C3%BC%3F.svg"), "a/b c.svg ü?: passing"
        )
        self.assertEqual(await self.told("/badge/a.svg"), "a: unknown")

    async def test_any_address(self) -> None:
        """A badge is well-formed XML whatever stands in its address."""
        for bad in ("%01", "%EF%BF%BF", "%ED%A0%80", "%00", "%1B%5B31m", "a%0Bb"):
            self.assertTrue(await self.told(f"/badge/{bad}.svg"))

    async def test_unknown(self) -> None:
        """A builder that is not known has a grey badge, so that no image is broken."""
        self.assertEqual(await self.told("/badge/nobody.svg"), "nobody: unknown")

    async def test_branch(self) -> None:
        """A badge of a branch is about the last build on it."""
        stamps = {"sourcestamps": [{"branch": "1.x", "revision": "d", "project": "runtime"}]}
        await self.put(1, FAILURE, buildset=stamps)
        await self.put(2)
        self.assertEqual(await self.told("/badge/linux.svg?branch=1.x"), "linux (1.x): failing")
        self.assertEqual(await self.told("/badge/linux.svg?branch=main"), "linux (main): passing")
        self.assertEqual(await self.told("/badge/linux.svg?branch=x"), "linux (x): unknown")

    async def test_masters(self) -> None:
        """Of several masters' builders of one name the badge shows the bad one, or a chosen one."""
        other = "https://other.example.org/"
        await self.put(1, FAILURE)
        await self.put(2, url=f"{other}#/builders/7/builds/2", buildbotURL=other)
        masters = {each.name for each in await self.board.store.masters()}
        self.assertEqual(await self.told("/badge/linux.svg"), "linux: failing")
        told = {
            await self.told(f"/badge/linux.svg?{urlencode({'master': each})}") for each in masters
        }
        self.assertEqual(told, {"linux: failing", "linux: passing"})

    async def test_other_sites(self) -> None:
        """Browsers let pages of other sites show badges, and nothing else."""
        badge = await self.get("/badge/linux.svg")
        self.assertEqual(badge.headers["Cross-Origin-Resource-Policy"], "cross-origin")
        feed = await self.get("/feed.atom")
        self.assertEqual(feed.headers["Cross-Origin-Resource-Policy"], "same-origin")


class CctrayTests(OutletCase):
    """``/cctray.xml``."""

    async def test_buildnotify(self) -> None:
        """The program buildnotify reads it: the last result stays while the next build runs."""
        if sys.version_info < (3, 11):
            raise unittest.SkipTest("buildnotify is for Python 3.11 and newer")
        try:
            from buildnotifylib.core.cctray import parse
        except ImportError:
            raise unittest.SkipTest("pip install --no-deps buildnotify") from None
        await self.put(1, FAILURE)
        await self.put(2, None)
        await self.put(3, WARNINGS, builder="windows")
        answer = await self.fresh("/cctray.xml", "application/xml; charset=utf-8")
        linux, windows = parse(answer.body, Feed())
        self.assertEqual(
            (linux.name, linux.status.value, linux.activity.value, linux.last_build_label),
            ("linux", "Failure", "Building", "1"),
        )
        self.assertEqual((windows.status.value, windows.activity.value), ("Success", "Sleeping"))
        assert linux.build_time is not None
        self.assertEqual(linux.build_time.timestamp(), 1_700_000_160)
        self.assertEqual((await self.get(linux.url[linux.url.index("/builders") :])).status, 200)

    async def test_filter(self) -> None:
        """The feed's address says which builders are in it."""
        await self.put(1)
        await self.put(2, builder="windows")
        answer = await self.get("/cctray.xml?builder=win*")
        root = ElementTree.fromstring(answer.body)  # noqa: S314 - our own
        self.assertEqual([each.get("name") for each in root], ["windows"])
        wrong = await self.get("/cctray.xml?result=x")
        self.assertEqual(wrong.status, 400)
        self.assertIn("result='x' is no result", wrong.text)

    async def test_address(self) -> None:
        """Links go where the reader came from, by https where a proxy says so."""
        await self.put(1)
        for headers, begin in (
            ({"Host": "board.example.org"}, "http://board.example.org/"),
            ({"Host": "a.example", "X_Forwarded_Proto": "https"}, "https://a.example/"),
            ({"Host": "a.example", "X_Forwarded_Proto": "HTTPS, http"}, "https://a.example/"),
            ({"Host": "a.example", "X_Forwarded_Proto": "http,https"}, "http://a.example/"),
        ):
            answer = await self.get("/cctray.xml", **headers)
            self.assertIn(f'webUrl="{begin}builders/1"', answer.text)


class FeedTests(OutletCase):
    """``/feed.atom``."""

    async def test_news(self) -> None:
        """Failures and recoveries are in it, the newest first, and nothing else."""
        for number, results in enumerate((SUCCESS, FAILURE, FAILURE, SUCCESS, SUCCESS)):
            await self.put(number, results)
        answer = await self.fresh("/feed.atom?tag=stable", "application/atom+xml; charset=utf-8")
        parsed = feedparser.parse(answer.body)
        self.assertFalse(parsed.bozo, parsed.get("bozo_exception"))
        self.assertEqual(
            [each.title for each in parsed.entries], ["linux #3: recovered", "linux #1: failure"]
        )
        links = {each.rel: each.href for each in parsed.feed.links}
        self.assertEqual(links["self"], f"http://127.0.0.1:{self.port}/feed.atom?tag=stable")
        other = await self.get("/feed.atom?branch=other")
        self.assertEqual(feedparser.parse(other.body).entries, [])


class ApiTests(OutletCase):
    """``/api``, whose answers are as the document says that is shipped with it."""

    document: ClassVar[Any]

    async def setUp(self) -> None:
        """Read the document, and let it allow nothing that it does not name."""
        await super().setUp()
        answer = await self.fresh("/api/openapi.json", "application/json")
        self.document = json.loads(answer.body)
        validate(self.document)
        for schema in self.document["components"]["schemas"].values():
            schema["additionalProperties"] = False

    async def call(self, path: str, template: str = "", status: int = 200) -> Any:
        """Ask, and hold the answer against the document."""
        if status == 200:
            answer = await self.fresh(path, "application/json")
        else:
            answer = await self.get(path)
        self.assertEqual(answer.status, status)
        operation = self.document["paths"][template or path.partition("?")[0]]["get"]
        content = operation["responses"][str(status)]["content"]["application/json"]
        told = json.loads(answer.body)
        whole = {**content["schema"], "components": self.document["components"]}
        jsonschema.validate(told, whole, cls=jsonschema.Draft202012Validator)
        return told

    async def test_revision(self) -> None:
        """A program asks what all builders say of a revision."""
        change = {"changeid": 5, "author": "Ada", "revision": "abc", "comments": "Mend it"}
        await self.put(1, FAILURE, revision="abc", changes=[change])
        template = "/api/revisions/{revision}"
        told = await self.call("/api/revisions/abc", template)
        self.assertEqual(told["words"], "1 of 1 ended: 1 red")
        await self.call("/api/revisions/other", template, 404)

    async def test_builders(self) -> None:
        """One call tells how all builders stand, with what runs and what ran."""
        await self.put(1)
        await self.put(2, FAILURE)
        await self.put(3, None)
        steps = [{"name": "compile", "results": EXCEPTION}]
        await self.put(4, EXCEPTION, builder="macos", steps=steps, title="CI")
        told = await self.call("/api/builders")
        linux, macos = told["builders"]
        self.assertEqual((macos["no_result"]["number"], macos["no_result"]["step"]), (4, "compile"))
        self.assertEqual((macos["branch"], macos["no_result"]["judges"]), ("main", True))
        self.assertEqual((linux["state"], linux["first_bad"]["number"]), ("red", 2))
        self.assertEqual([each["number"] for each in linux["running"]], [3])
        self.assertEqual([each["result"] for each in linux["recent"]], [None, "failure", "success"])
        self.assertEqual((await self.call("/api/builders?builder=windows"))["builders"], [])

    async def test_builds(self) -> None:
        """Builds come in pages, the newest first; what makes no sense is told."""
        for number in range(1, 6):
            await self.put(number, FAILURE if number == 2 else SUCCESS)
        first = await self.call("/api/builds?limit=2")
        last = first["builds"][-1]["id"]
        second = await self.call(f"/api/builds?limit=2&before={last}")
        numbers = [each["number"] for page in (first, second) for each in page["builds"]]
        self.assertEqual(numbers, [5, 4, 3, 2])
        [source] = first["builds"][0]["sources"]
        self.assertEqual(source, {"codebase": "", "branch": "main", "revision": "abc"})
        red = await self.call("/api/builds?result=failure")
        self.assertEqual(red["builds"][0]["master"], "ci.example.org")
        self.assertEqual([each["number"] for each in red["builds"]], [2])
        for query in ("limit=x", "limit=201", "before=-1", "result=x"):
            fault = await self.call(f"/api/builds?{query}", status=400)
            self.assertIn(query.partition("=")[0], fault["error"])

    async def test_build(self) -> None:
        """A build is told with the status as it was sent."""
        await self.put(1, FAILURE, extra={"a": [1]})
        told = await self.call("/api/builds/1", "/api/builds/{id}")
        self.assertEqual((told["result"], told["body"]["extra"]), ("failure", {"a": [1]}))
        await self.call("/api/builds/2", "/api/builds/{id}", 404)

    async def test_changes(self) -> None:
        """Who asks again with the last sequence gets what came since, once each."""
        await self.put(1, None)
        begin = await self.call("/api/builders")
        await self.put(1)
        await self.put(2)
        told = await self.call(f"/api/changes?since={begin['sequence']}&epoch={begin['epoch']}")
        self.assertEqual([each["build"] for each in told["changes"]], [1, 2])
        latest = told["changes"][-1]["sequence"]
        self.assertEqual((await self.call(f"/api/changes?since={latest}"))["changes"], [])
        for path in ("/api/changes?since=99", "/api/changes?since=0&epoch=other"):
            self.assertIn("/api/builders", (await self.call(path, status=410))["error"])
        await self.call("/api/changes", status=400)
        await self.call("/api/changes?since=x", status=400)

    async def test_elsewhere(self) -> None:
        """Other addresses under /api are told in JSON to be nothing."""
        answer = await self.get("/api/masters")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (404, "application/json"))
        self.assertIn("openapi.json", json.loads(answer.body)["error"])
