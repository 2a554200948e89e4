"""The board below a path of another site: ``--public-url``."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support.boards import PATIENCE, BoardCase
from support.reasons import excerpts, failed_tests
from twisted.internet.threads import deferToThread
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from buildbot_http_status_push.board import pages
from buildbot_http_status_push.board.server import Settings
from buildbot_http_status_push.results import FAILURE

pytestmark = pytest.mark.once

ADDRESSES = {"href", "src", "action", "data-good", "data-bad", "data-unknown", "data-lost"}


class Links(HTMLParser):
    """All addresses of the board in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the addresses of an element."""
        for name, value in attrs:
            if name in ADDRESSES and value and not value.startswith(("#", "https://ci.")):
                self.found.add(value)


class PathTests(BoardCase):
    """A board that readers open below a path."""

    public_url = "https://ci.example.org/ci/board/"
    root = "/ci/board/"

    async def test_links(self) -> None:
        """Each page that any page leads to is there, and its links begin with the root."""
        await self.put(1)
        await self.put(2, FAILURE, branch="other")
        await self.put(3, None)
        why = excerpts("E   assert 3 == 4") | failed_tests("a/b?c", "test_x")
        await self.put(4, FAILURE, builder="windows", **why)
        seen, new = set[str](), {self.root, f"{self.root}nowhere?tag=x", f"{self.root}known"}
        while new:
            seen |= new
            links: set[str] = set()
            for each in sorted(new):
                answer = await self.get(each)
                self.assertEqual(answer.status, 404 if "nowhere" in each else 200, each)
                if answer.headers["Content-Type"].startswith("text/html"):
                    links |= Links(answer.text).found
            self.assertEqual([each for each in links if not each.startswith(self.root)], [])
            new = {re.split("[?#]", each)[0] for each in links} - seen
        kinds = {each.removeprefix(self.root).partition("?")[0].partition("/")[0] for each in seen}
        self.assertLessEqual({"", "builds", "builders", "failures", "tests", "static"}, kinds)

    async def test_addresses(self) -> None:
        """Redirects, feeds and the empty page name the public address."""
        told = (await self.get("/")).text
        self.assertIn(f"serverUrl=&#34;{self.public_url}&#34;", told.replace('"', "&#34;"))
        await self.put(1, FAILURE)
        for path in ("/feed.atom", f"{self.root}cctray.xml"):
            answer = await self.get(path, Host="127.0.0.1:1")
            self.assertIn(f'"{self.public_url}build', answer.text)
            self.assertNotIn("127.0.0.1", answer.text)
        sent = await self.get(f"{self.root}tests/a%3Fb?tag=")
        self.assertEqual(sent.headers["Location"], f"{self.root}tests/a%3Fb")

    async def test_without_the_path(self) -> None:
        """A proxy may leave the path in a request, or take it away."""
        await self.put(1)
        page = (await self.get("/grid")).body
        self.assertEqual((await self.get(f"{self.root}grid")).body, page)
        self.assertEqual((await self.get(self.root[:-1])).body, (await self.get("/")).body)
        self.assertEqual((await self.get("/cigrid")).status, 404)
        self.assertEqual((await self.get(f"/ci{self.root}grid")).status, 404)
        self.assertEqual((await self.get(f"{self.root}live/updates")).status, 200)

    async def test_live(self) -> None:
        """What changes is sent below the path, with links that begin with it."""
        stack = ExitStack()
        self.addCleanup(deferToThread, stack.close)
        for origin in ("https://ci.example.org", f"http://127.0.0.1:{self.port}"):
            watching = await deferToThread(self.watch, stack, origin)
            await deferToThread(watching.recv, PATIENCE)  # from now on it is told of changes
        await self.put(1)
        frame: dict[str, Any] = {}
        while not frame.get("changes"):
            frame = json.loads(await deferToThread(watching.recv, PATIENCE))
        for each in (frame, *frame["changes"]):
            for fragment in each["fragments"]:
                for link in Links(fragment["html"] or "").found:
                    self.assertTrue(link.startswith(self.root), link)
        for origin in ("http://ci.example.org", "https://evil.example"):
            with self.assertRaises(InvalidStatus):
                await deferToThread(self.watch, stack, origin)

    def watch(self, stack: ExitStack, origin: str) -> ClientConnection:
        """Open a WebSocket."""
        where = f"ws://127.0.0.1:{self.port}{self.root}live"
        return stack.enter_context(connect(where, origin=Origin(origin)))

    async def test_host(self) -> None:
        """An open board answers to the public address's host, and to no other one."""
        self.assertEqual((await self.get("/", Host="ci.example.org")).status, 200)
        self.assertEqual((await self.get("/", Host="example.org")).status, 421)


class NoPathTests(BoardCase):
    """A board with a name of its own."""

    public_url = "https://ci.example.org/"

    async def test_addresses(self) -> None:
        """Links on pages begin with a slash, those in feeds with the public address."""
        await self.put()
        self.assertIn('"/builders/1"', (await self.get("/grid")).text)
        self.assertIn('"https://ci.example.org/builders/1"', (await self.get("/cctray.xml")).text)


class UnnamedTests(BoardCase):
    """A board without a public address."""

    hosts = ("a.example", "b.example")

    async def test_each_reader(self) -> None:
        """Each reader gets the address that they asked by, also while a page is kept."""
        self.assertEqual(Settings(database="").root, "/")
        for host in ("a.example", "b.example", "a.example"):
            self.assertIn(f"http://{host}/", (await self.get("/", Host=host)).text)
            self.assertIn(f"http://{host}/", (await self.get("/feed.atom", Host=host)).text)

    async def test_templates(self) -> None:
        """No template writes an address of the board without its root."""
        folder = Path(pages.__file__).parent / "templates"
        for each in folder.iterdir():
            found = re.findall(r"""(?:["'=(]|^)/(?![/>]).*""", each.read_text(), re.MULTILINE)
            self.assertEqual(found, [], each.name)
