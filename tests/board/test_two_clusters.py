"""Two clusters on one board, with builders, workers, tests and numbers of the same names."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import urlencode

from support.boards import BoardCase
from support.reasons import excerpts
from support.results import results_key
from support.states import a_builder, a_request, a_worker
from support.statuses import MASTER, as_bytes

from buildbot_http_status_push.commands.watching import lines
from buildbot_http_status_push.results import FAILURE, SUCCESS

OTHER = "https://other.example.org/"
NAMES = ("ci.example.org", "other.example.org")
PAGES = (
    *("/", "/grid", "/revisions", "/revisions/abc", "/revisions/9f2c", "/queue", "/workers"),
    *("/workers/w1", "/tests", "/tests/test_login", "/failures", "/incidents", "/search?q=linux"),
)
FILTERED = (
    "/",
    "/grid",
    "/revisions",
    "/revisions/abc",
    "/tests",
    "/tests/test_login",
    "/failures",
)
PROGRAMS = (
    *("/feed.atom", "/incidents.atom", "/cctray.xml", "/api/builders", "/api/builds"),
    *("/api/tests", "/api/failures", "/api/incidents", "/api/revisions/abc", "/metrics"),
)


def shown(html: str) -> str:
    """Return the text of a page's own part."""
    main = html.partition("<main")[2].partition("</main>")[0]
    return " ".join(unescape(re.sub("<[^>]*>", " ", main)).split())


class TwoClustersTest(BoardCase):
    """The builder ``linux`` of both has failed alike; ``mac`` is red in the first cluster only."""

    async def setUp(self) -> None:
        """Send what two masters report."""
        await super().setUp()
        for url in (MASTER, OTHER):
            at = {"url": f"{url}#/builders/7/builds/1"}
            why = {**excerpts("fatal error: no x.h"), "tests": results_key(["test_login"])}
            await self.put(1, SUCCESS, **at)
            await self.put(2, FAILURE, **at, **why)
            results = FAILURE if url == MASTER else SUCCESS
            await self.put(5, results, builder="mac", **at)
            for state in (
                a_builder("builders.configured", "linux", 1, url=url),
                a_request("requests.new", 3, url=url),
                a_worker("workers.disconnected", "w1", url=url),
            ):
                answer = await self.ask("POST", "/", as_bytes(state))
                self.assertEqual(answer.status, 200, answer.text)
        await self.board.store.follow()

    async def said(self, path: str) -> str:
        """Return what a page or a program's answer says."""
        answer = await self.get(path)
        self.assertEqual(answer.status, 200, path)
        return answer.text if path.startswith(PROGRAMS) else shown(answer.text)

    async def test_named(self) -> None:
        """Where builders of both may be, the cluster of each is named."""
        failures = re.findall("/failures/[0-9a-f]{16}", (await self.get("/failures")).text)
        self.assertEqual(len(set(failures)), 2)
        for path in (*PAGES, *failures, *PROGRAMS):
            said = await self.said(path)
            for name in NAMES:
                self.assertIn(name, said, path)

    async def test_one(self) -> None:
        """With a filter, or on the page of one, there is nothing of the other cluster."""
        query = urlencode({"master": NAMES[1]})
        paths = [f"{path}?{query}" for path in (*FILTERED, "/feed.atom", "/api/builders")]
        told = json.loads((await self.get("/api/incidents")).text)["incidents"]
        [incident] = [each["id"] for each in told if each["master"] == NAMES[1]]
        found = json.loads((await self.get("/api/builders")).text)["builders"]
        builders = [each for each in found if each["master"]["name"] == NAMES[1]]
        self.assertEqual([each["name"] for each in builders], ["linux", "mac"])
        paths += [f"/incidents/{incident}"]
        paths += [f"/builders/{each['id']}" for each in builders]
        paths += [f"/builds/{each['last']['id']}" for each in builders]
        for path in paths:
            said = await self.said(path)
            self.assertIn(NAMES[1], said, path)
            self.assertNotIn(NAMES[0], said, path)

    async def test_apart(self) -> None:
        """They have no incident in common; a badge and a watch say which is red."""
        told = json.loads((await self.get("/api/incidents")).text)["incidents"]
        places = sorted((each["master"], [at["name"] for at in each["places"]]) for each in told)
        first, second = NAMES
        self.assertEqual(places, [(first, ["linux"]), (first, ["mac"]), (second, ["linux"])])
        for query, word in (
            ("", "failing"),
            (f"?master={NAMES[0]}", "failing"),
            (f"?master={NAMES[1]}", "passing"),
        ):
            self.assertIn(f"mac: {word}", (await self.get(f"/badge/mac.svg{query}")).text)
        told = json.loads((await self.get("/api/revisions/abc")).text)
        said = sorted(text for text, _ in lines(None, told))
        self.assertEqual(
            said,
            [
                "linux (ci.example.org) #2: new red: fatal error: no x.h",
                "linux (other.example.org) #2: new red: fatal error: no x.h",
                "mac (ci.example.org) #5: red",
                "mac (other.example.org) #5: good",
            ],
        )
