"""Pages that show why builds failed."""

from __future__ import annotations

import json
import re

import jsonschema
from support.boards import BoardCase
from support.reasons import excerpts, failed_tests
from support.statuses import NOW

from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.results import FAILURE, SUCCESS

LINE = "widget.c:42:18: error: 'struct frob' has no member named <size>"
SHOWN = "widget.c:42:18: error: &#39;struct frob&#39; has no member named &lt;size&gt;"


class FailurePagesTest(BoardCase):
    """The overview, a build's page, and those of failures."""

    async def page(self, path: str, status: int = 200) -> str:
        """Return a page."""
        answer = await self.ask("GET", path)
        self.assertEqual(answer.status, status)
        return answer.text

    async def fail(self, number: int, *lines: str, builder: str = "linux", **more: str) -> None:
        """Send a build that fails, after one that passed."""
        before = {"linux": 0, "mac": 5000, "windows": 7000}[builder]
        await self.put(
            number - 1, SUCCESS, builder=builder, buildid=before + number - 1, revision="good"
        )
        await self.put(
            number, FAILURE, builder=builder, buildid=before + number, **excerpts(*lines, **more)
        )

    async def test_card(self) -> None:
        """A red card shows the step, the first line, what is remembered, and further lines."""
        await self.fail(2, LINE, "and another one", step="compile")
        html = await self.page("/")
        card = re.search(r'<li class="red.*?<div class="who">', html, re.DOTALL)
        assert card is not None
        for text in (SHOWN, "new", "1 more", "and another one"):
            self.assertIn(text, card[0])
        self.assertNotIn("<size>", html)

    async def test_shared_card(self) -> None:
        """Builders that fail with the same line share a card, whatever their step's revision."""
        await self.fail(2, LINE)
        await self.fail(4, LINE, builder="mac")
        await self.fail(6, "something else", builder="windows")
        html = await self.page("/")
        self.assertEqual(html.count('data-key="cause/'), 2)

    async def test_lacking(self) -> None:
        """A board that is told of no line says once how to get them, and no more when it has."""
        await self.put(1, FAILURE)
        await self.put(2, FAILURE, builder="mac", buildid=5000)
        for path in ("/", "/failures"):
            self.assertEqual((await self.page(path)).count("want_excerpts=True"), 1, path)
        await self.fail(4, LINE)
        for path in ("/", "/failures"):
            self.assertNotIn("want_excerpts", await self.page(path))

    async def test_build(self) -> None:
        """A build's page has all lines with their numbers, those that matter marked."""
        await self.fail(2, LINE)
        [build] = await self.store_builds(FAILURE)
        html = await self.page(f"/builds/{build}")
        self.assertIn("collected 12 items", html)
        self.assertIn(f"<mark>{SHOWN}</mark>", html)
        self.assertIn('<span class="at">118</span>', html)

    async def test_tests(self) -> None:
        """Failed tests are shown as lines are."""
        await self.put(1, FAILURE, **failed_tests("test_login"))
        self.assertIn("test_login", await self.page("/"))

    async def test_failures(self) -> None:
        """The list of failures has each line once, and filters as all pages do."""
        await self.fail(2, LINE)
        await self.fail(4, LINE, builder="mac")
        await self.fail(6, "something else", builder="windows")
        html = await self.page("/failures")
        self.assertEqual((html.count(SHOWN), html.count("something else")), (1, 1))
        html = await self.page("/failures?builder=windows")
        self.assertEqual((html.count(SHOWN), html.count("something else")), (0, 1))
        self.assertIn("No failure fits", await self.page("/failures?branch=other"))
        self.assertIn(SHOWN, await self.page("/failures?worker=w1&branch=main"))

    async def test_failure(self) -> None:
        """A failure's page has each build with the lines around."""
        await self.fail(2, LINE)
        await self.fail(4, LINE, builder="mac")
        [signature] = set(re.findall(r"/failures/([0-9a-f]{16})", await self.page("/failures")))
        html = await self.page(f"/failures/{signature}")
        self.assertEqual(html.count(f"<mark>{SHOWN}</mark>"), 2)
        await self.page("/failures/0123456789abcdef", status=404)
        await self.page("/failures/1", status=404)

    async def test_api(self) -> None:
        """A program asks by revision, builder, signature and time, and reads memory's words."""
        await self.fail(2, LINE)
        await self.fail(4, LINE, builder="mac")
        for query, expected in (
            ("", 2),
            ("?revision=abc", 2),
            ("?revision=other", 0),
            ("?builder=mac", 1),
            (f"?since={NOW + 300}", 1),
            ("?limit=1", 1),
            ("?signature=0123456789abcdef", 0),
        ):
            found = json.loads((await self.get(f"/api/failures{query}")).text)["failures"]
            self.assertEqual(len(found), expected, query)
        first = json.loads((await self.get("/api/failures")).text)["failures"][0]
        self.assertEqual(first["build"]["builder_name"], "mac")
        memory = first["memory"]
        self.assertEqual((memory["state"], memory["other_builders"]), ("new", 1))
        self.assertEqual(memory["words"], ["new", "also on 1 builder"])
        signature = memory["reasons"][0]["signature"]
        found = json.loads((await self.get(f"/api/failures?signature={signature}")).text)
        self.assertEqual(len(found["failures"]), 2)
        description = json.loads((await self.get("/api/openapi.json")).text)
        whole = {"$ref": "#/components/schemas/Failures", "components": description["components"]}
        jsonschema.validate(found, whole, cls=jsonschema.Draft202012Validator)

    async def test_feed(self) -> None:
        """An entry of the feed has the line and memory's words."""
        await self.fail(2, "disk is full")
        text = (await self.get("/feed.atom")).text
        self.assertIn("test: disk is full\nnew", text)

    async def store_builds(self, results: int) -> list[int]:
        """Return the numbers of builds with a result."""
        found = await self.board.store.builds(Filter(results=frozenset({results})))
        return [each.id for each in found]
