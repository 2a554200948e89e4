"""Failing tests on the board's pages, in its API and in its metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import jsonschema
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.boards import BoardCase
from support.reasons import excerpts
from support.results import results_key
from support.statuses import NOW

from buildbot_http_status_push.results import FAILURE, SUCCESS

OUTLETS = Path(__file__).parents[3] / "docs/reference/board-outlets.md"
QUESTION = re.compile(r"\$ curl '[^']*(/api/tests[^']*)' \| jq '.tests\[0\]\.(\w+)'\n(.+)\n")
CARD = re.compile(r'<p class="tests">.*?</p>', re.DOTALL)
SCRIPT = "<script>alert(1)</script>"


class PagesOfTestsTest(BoardCase):
    """A board whose builders send test results."""

    max_body = 400_000
    document: ClassVar[Any]

    async def run_tests(self, number: int, *failed: str, **more: Any) -> None:
        """Send a build with failed tests."""
        key = results_key(failed, message=more.pop("message", "assert 1 == 2"))
        revision = more.pop("revision", f"revision-{number}")
        result = FAILURE if failed else SUCCESS
        answer = await self.put(number, result, tests=key, revision=revision, **more)
        self.assertEqual(answer.status, 200)

    async def page(self, path: str, status: int = 200) -> str:
        """Return a page."""
        answer = await self.get(path)
        self.assertEqual(answer.status, status, path)
        return answer.text

    async def test_build(self) -> None:
        """A build's page has its failed tests with their messages, the new ones first."""
        await self.run_tests(1)
        await self.run_tests(2, "test_old")
        await self.run_tests(3, "test_old", "test_new", message="assert 3 == 4")
        page = await self.page("/builds/3")
        new, old = page.index('href="/tests/test_new"'), page.index('href="/tests/test_old"')
        self.assertLess(new, old)
        self.assertIn("failed here for the first time", page[new:old])
        self.assertIn("fails since #2", page[old:])
        self.assertIn("assert 3 == 4", page)
        self.assertIn("8 passed, 2 failed", page)

    async def test_card(self) -> None:
        """A red card says how many tests fail, how many are new, and which."""
        await self.run_tests(1)
        await self.run_tests(2, "a")
        await self.run_tests(3, "a", "b", "c", "d")
        page = await self.page("/")
        self.assertIn("4 tests fail, 3 new", page)
        for name in ("b", "c", "d"):
            self.assertIn(f'href="/tests/{name}"', page)

    async def test_later_build_without_tests(self) -> None:
        """A card says nothing of tests where the last build sent none."""
        await self.run_tests(1, "a")
        await self.put(2, FAILURE)
        self.assertNotIn("test fails", await self.page("/"))

    async def test_list(self) -> None:
        """What fails now is listed by test; a part of a name finds it, and what failed before."""
        await self.run_tests(1, "zebra")
        await self.run_tests(2)
        await self.run_tests(3, "suite/a::test_x", "test_y")
        page = await self.page("/tests")
        self.assertIn("test_y", page)
        self.assertIn("failed here for the first time", page)
        self.assertIn("first bad", page)
        self.assertNotIn("zebra", page)
        found = await self.page("/tests?q=ZEB")
        self.assertIn("Tests that failed before", found)
        self.assertNotIn("test_y", found)
        self.assertIn("No failing test fits", await self.page("/tests?builder=none"))

    async def test_many_builders(self) -> None:
        """A test that fails on many builders is listed with three of them, by programs with all."""
        for number in range(5):
            await self.run_tests(1, "test_x", builder=f"linux-{number}", buildid=70 + number)
        page = await self.page("/tests")
        for number in range(5):
            self.assertEqual(f"linux-{number}</bdi>" in page, number < 3, number)
        self.assertIn(">5</td>", page)
        self.assertIn("and 2 more", page)
        found = (await self.call("/api/tests"))["tests"]
        self.assertEqual(len(found), 5)

    async def test_filters(self) -> None:
        """A part of a message, a day or a builder leave out the tests that do not fit."""
        await self.run_tests(1, "test_a", message="Connection refused by db")
        await self.run_tests(1, "test_b", builder="mac", buildid=70, message="assert 3 == 4")
        for query, fits in (
            ("text=connection+REFUSED", ["test_a"]),
            ("q=test_&text=assert&builder=ma*", ["test_b"]),
            ("text=assert&builder=linux", []),
            ("since=2023-11-14", ["test_a", "test_b"]),
            ("since=2023-11-15", []),
        ):
            page = await self.page(f"/tests?{query}")
            told = [each for each in ("test_a", "test_b") if f'href="/tests/{each}"' in page]
            self.assertEqual(told, fits, query)
            found = (await self.call(f"/api/tests?{query}"))["tests"]
            self.assertEqual(sorted(each["name"] for each in found), fits, query)
        self.assertEqual((await self.get("/tests?since=tomorrow")).status, 400)

    async def test_documented(self) -> None:
        """Each question in the reference has the answer that the page gives beside it."""
        await self.run_tests(1, revision="1d8c0ffee")
        more = {"message": "Connection refused", "revision": "4f2a9c1aa"}
        await self.run_tests(2, "test_login", **more)
        asked = QUESTION.findall(OUTLETS.read_text(encoding="utf-8"))
        self.assertEqual(len(asked), 4)
        for path, key, value in asked:
            [found] = (await self.call(path.replace("2026-11-01", "2023-11-14")))["tests"]
            self.assertEqual(found[key], json.loads(value), path)

    async def test_revisions(self) -> None:
        """A revision has the tests that its builds broke, over all builders."""
        for name, first in (("linux", 1), ("mac", 50)):
            await self.run_tests(first, "test_old", builder=name, revision="r1")
            broken = ("test_old", "test_new", f"test_{name}")
            await self.run_tests(first + 1, *broken, builder=name, revision="r2")
        page = await self.page("/revisions")
        self.assertIn("3 new failing tests", page)
        self.assertRegex(page, "test_new</bdi></a> on 2 builders")
        self.assertNotIn("test_old", page)

    async def test_renamed(self) -> None:
        """A test with another name is new, and the old name passed: no report says otherwise."""
        await self.run_tests(1, "test_before")
        await self.run_tests(2, "test_after")
        self.assertNotIn("test_before", await self.page("/tests"))
        self.assertIn("failed here for the first time", await self.page("/tests/test_after"))
        self.assertIn("passed when it last ran", await self.page("/tests/test_before"))

    async def test_once(self) -> None:
        """A card names a test once where the failing line has its name."""
        await self.run_tests(1)
        line = "FAILED test_a.py::test_x - assert 3 == 4"
        await self.run_tests(2, "test_x", "test_y", **excerpts(line))
        card = CARD.search(await self.page("/"))
        assert card is not None
        names = re.findall(r'href="/tests/(\w+)"', card[0])
        self.assertEqual(names, ["test_y"])
        self.assertIn("2 tests fail, 2 new", card[0])

    async def test_history(self) -> None:
        """A test's page has its runs on each builder, the evidence, and what it said."""
        name = "a/../b?x=1#y %2F"
        await self.run_tests(1)
        await self.run_tests(2, name, revision="same")
        await self.run_tests(3, revision="same")
        page = await self.page(f"/tests/{quote(name, safe='')}")
        self.assertIn("a/../b?x=1#y %2F", page)
        self.assertIn('aria-label="failed 1 of 3 times"', page)
        self.assertIn("passed when repeated", page)
        self.assertIn("with nothing changed", page)
        self.assertIn("assert 1 == 2", page)
        self.assertIn(quote(name, safe=""), await self.page("/builds/2"))
        await self.page("/tests/none", 404)

    async def test_hostile(self) -> None:
        """Names and messages are shown as text, whatever they are."""
        names = (SCRIPT, f"{SCRIPT}::{SCRIPT}", "\u202egnp", "x" * 30_000, "line\nbreak")
        await self.run_tests(1)
        await self.run_tests(2, *names, message=f"{SCRIPT}{'y' * 30_000}")
        for path in ("/", "/tests", "/builds/2", "/tests/line%0Abreak", f"/tests/{quote(SCRIPT)}"):
            page = await self.page(path)
            self.assertNotIn(SCRIPT, page, path)
            self.assertLess(len(page), 90_000, path)

    async def call(self, path: str) -> Any:
        """Ask the API, and hold the answer against its document."""
        document = json.loads((await self.get("/api/openapi.json")).body)
        for schema in document["components"]["schemas"].values():
            schema["additionalProperties"] = False
        answer = await self.get(path)
        self.assertEqual(answer.status, 200, answer.text)
        told = json.loads(answer.body)
        schema = {"$ref": "#/components/schemas/Tests", "components": document["components"]}
        jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)
        return told

    async def test_api(self) -> None:
        """The API tells a test's pass rate on a branch, since when it fails, and at a revision."""
        await self.run_tests(1)
        await self.run_tests(2, "a")
        await self.run_tests(3, "a")
        [test] = (await self.call("/api/tests?name=a&branch=main&since=0"))["tests"]
        self.assertEqual((test["failed"], test["ran"], test["pass_rate"]), (2, 3, 0.3333))
        self.assertEqual((test["fails"], test["in_a_row"], test["flaky"]), (True, 2, False))
        self.assertEqual(test["first_bad"], {"id": 2, "number": 2, "revision": "revision-2"})
        [late] = (await self.call(f"/api/tests?name=a&since={NOW + 300}"))["tests"]
        self.assertEqual((late["failed"], late["ran"]), (1, 1))
        for revision, ended in (("revision-1", "passed"), ("revision-3", "failed"), ("none", None)):
            path = f"/api/tests?name=a&since=0&revision={revision}"
            [test] = (await self.call(path))["tests"]
            self.assertEqual(test["at_revision"], ended)
        self.assertEqual((await self.call("/api/tests?name=other&since=0"))["tests"], [])
        self.assertEqual((await self.call("/api/tests?name=a&branch=x&since=0"))["tests"], [])
        [now] = (await self.call("/api/tests"))["tests"]
        self.assertEqual((now["name"], now["says"]), ("a", "fails since #2"))
        self.assertEqual((await self.get("/api/tests?since=x")).status, 400)

    async def test_metrics(self) -> None:
        """Failing and flaky tests are counted by builder."""
        await self.run_tests(1)
        await self.run_tests(2, "a", revision="same")
        await self.run_tests(3, revision="same")
        await self.run_tests(4, "b", "c")
        answer = await self.get("/metrics")
        told = {
            each.name: each.value
            for family in text_string_to_metric_families(answer.text)
            for each in family.samples
            if each.labels.get("builder") == "linux"
        }
        name = "buildbot_board_"
        self.assertEqual(told, {f"{name}failing_tests": 2, f"{name}flaky_tests": 1})
