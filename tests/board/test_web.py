"""The board over real sockets: what every answer has, and what each kind of request gets."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
from pathlib import Path

from support.boards import PATIENCE, BoardCase
from support.reasons import excerpts
from support.results import results_key
from support.states import a_builder, a_request, a_worker
from support.statuses import a_body, as_bytes
from twisted.internet.threads import deferToThread

from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.http.documents import FOREVER, SECURITY
from buildbot_http_status_push.database import file_of
from buildbot_http_status_push.results import FAILURE


def basic(credentials: str) -> str:
    """Return an Authorization header."""
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


class WebTests(BoardCase):
    """A public board."""

    async def test_every_answer(self) -> None:
        """Whatever is asked for, the headers that keep hostile names harmless are there."""
        await self.put()
        tag = (await self.get("/")).headers["ETag"]
        answers = [
            await self.get("/"),
            await self.get("/", If_None_Match=tag),
            await self.get("/nowhere"),
            await self.get("/robots.txt"),
            await self.get("/favicon.svg"),
            await self.get("/static/board.js"),
            await self.get("/live/updates"),
            await self.ask("PUT", "/"),
            await self.ask("POST", "/", b"{"),
            await self.ask("HEAD", "/grid"),
        ]
        for answer in answers:
            found = {name: answer.headers[name] for name in SECURITY}
            self.assertEqual(found, SECURITY, str(answer))
            self.assertIsNone(answer.headers["Set-Cookie"])
        self.assertNotIn("unsafe", SECURITY["Content-Security-Policy"])
        no_page = await self.get("/live")
        self.assertEqual((no_page.status, no_page.body), (426, b""))

    async def test_etag(self) -> None:
        """A page that has not changed is not sent again, and one that has is."""
        await self.put(1)
        first = await self.get("/")
        tag = first.headers["ETag"]
        self.assertEqual((first.status, first.headers["Cache-Control"]), (200, "no-cache"))
        for known in (tag, f"W/{tag}", f'"other", {tag}'):
            again = await self.get("/", If_None_Match=known)
            self.assertEqual((again.status, again.body), (304, b""))
            self.assertEqual(again.headers["ETag"], tag)
        await self.put(2, FAILURE)
        changed = await self.get("/", If_None_Match=tag)
        self.assertEqual(changed.status, 200)
        self.assertNotEqual(changed.headers["ETag"], tag)

    async def test_compressed(self) -> None:
        """Pages and files are compressed for those that take it, each with a tag of its own."""
        await self.put()
        for path in ("/", "/static/board.css", "/api/builders"):
            plain = await self.get(path)
            zipped = await self.get(path, Accept_Encoding="br, gzip;q=0.5")
            self.assertEqual(gzip.decompress(zipped.body), plain.body)
            self.assertEqual(zipped.headers["Content-Encoding"], "gzip")
            self.assertIsNone(plain.headers["Content-Encoding"])
            self.assertNotEqual(plain.headers["ETag"], zipped.headers["ETag"])
            for answer in (plain, zipped):
                self.assertEqual(answer.headers["Vary"], "Accept-Encoding")
            known = {"If_None_Match": zipped.headers["ETag"], "Accept_Encoding": "gzip"}
            self.assertEqual((await self.get(path, **known)).status, 304)
            refused = await self.get(path, Accept_Encoding="gzip;q=0, *")
            self.assertEqual(refused.body, plain.body)

    async def test_pages(self) -> None:
        """Each page is there and says where it stands; what is not there is told with 404."""
        await self.put(1, FAILURE, builder="<b>linux</b>")
        for path in ("/", "/?kiosk=1", "/grid", "/revisions", "/builders/1", "/builds/1"):
            page = await self.get(path)
            self.assertEqual((page.status, page.headers["Content-Type"]), (200, HTML), path)
            self.assertIn('data-sequence="1"', page.text)
            self.assertNotIn("<b>linux", page.text)
        for path in ("/nowhere", "/builds/2", "/builders/9", "/builds/x", "/builds/" + "9" * 30,
                     "/builds/%D9%A1"):  # fmt: skip
            missing = await self.get(path)
            self.assertEqual((missing.status, missing.headers["Content-Type"]), (404, HTML), path)
        wrong = await self.get("/?result=<script>")
        self.assertEqual(wrong.status, 400)
        self.assertNotIn("<script>'", wrong.text)

    async def test_odd_parameters(self) -> None:
        """Numbers that are too large and characters that no database takes are no mistake."""
        await self.put()
        for path, status in (
            ("/builders/1?before=9999999999999999999", 400),
            ("/builders/1?before=" + "9" * 400, 400),
            ("/builders/1?before=%D9%A3", 400),
            ("/?branch=%00", 200),
            ("/builders/1?branch=%00&worker=%ED%A0%80", 200),
            ("/revisions?branch=%00", 200),
            ("/api/builds?branch=%00&owner=%EF%BF%BF", 200),
        ):
            told = await self.get(path)
            self.assertEqual(told.status, status, path)
        self.assertEqual(self.book.lines, [])

    async def test_blanks_of_a_form(self) -> None:
        """What a form left blank is taken out of the address, on this board only."""
        for path, where in (
            ("/?builder=&tag=x", "/?tag=x"),
            ("//evil.example/?builder=", "/evil.example/"),
            ("/%0d%0aSet-Cookie:x?tag=", "/%0D%0ASet-Cookie:x"),
        ):
            sent = await self.get(path)
            self.assertEqual((sent.status, sent.headers["Location"]), (303, where))

    async def test_head(self) -> None:
        """HEAD is answered like GET, without the body."""
        await self.put()
        for path in ("/", "/nowhere", "/static/board.css", "/robots.txt"):
            full, head = await self.get(path), await self.ask("HEAD", path)
            self.assertEqual(head.body, b"")
            for name in ("Content-Length", "Content-Type", "ETag", "Cache-Control"):
                self.assertEqual(head.headers[name], full.headers[name], path)
            self.assertEqual(head.status, full.status)

    async def test_other_methods(self) -> None:
        """Methods that are none of the board's are told which are."""
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            answer = await self.ask(method, "/builds/1")
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD, POST"))

    async def test_robots(self) -> None:
        """Crawlers are kept away from everything."""
        answer = await self.get("/robots.txt")
        self.assertEqual(answer.text, "User-agent: *\nDisallow: /\n")

    async def test_static(self) -> None:
        """Files of a version may be kept for ever, others are asked for again each time."""
        page = (await self.get("/")).text
        address = re.search(r"/static/board\.js\?v=\w+", page)
        assert address is not None
        script = await self.get(address[0])
        self.assertEqual(script.headers["Cache-Control"], FOREVER)
        self.assertEqual(script.headers["Content-Type"], "text/javascript; charset=utf-8")
        for path in ("/static/board.js", "/static/board.js?v=other", "/favicon.ico"):
            latest = await self.get(path)
            self.assertEqual((latest.status, latest.headers["Cache-Control"]), (200, "no-cache"))
        again = await self.get(address[0], If_None_Match=script.headers["ETag"])
        self.assertEqual(again.status, 304)

    async def test_outside_static(self) -> None:
        """Nothing outside the folder of files can be had."""
        for path in ("/static/", "/static/../server.py", "/static/%2e%2e/server.py", "/static/x"):
            answer = await self.get(path)
            self.assertEqual(answer.status, 404)
            self.assertNotIn("import", answer.text)

    async def test_post_anywhere(self) -> None:
        """A status is taken at any path, in any coding and of any content type but a form's."""
        for number, path in enumerate(("/", "/builds/1", "/static/board.js", "/live", "/a/b?c")):
            body = as_bytes(a_body(number + 1))
            answer = await self.ask("POST", path, body, Content_Type="text/plain")
            self.assertEqual((answer.status, answer.text), (200, "stored\n"))
        chunked = await self.ask("POST", "/", iter([b"{", b"}"]), Transfer_Encoding="chunked")
        self.assertEqual(chunked.status, 422)
        self.assertEqual(self.board.store.latest.sequence, 5)

    async def test_too_large(self) -> None:
        """Too large a body is answered, even while it is still being sent, and kept nowhere."""
        exact = as_bytes(a_body()).ljust(self.max_body)
        self.assertEqual((await self.ask("POST", "/", exact)).status, 200)
        for size in (self.max_body + 1, 3_000_000):
            answer = await self.ask("POST", "/", b" " * size)
            self.assertEqual(answer.status, 413)
            self.assertIn(f"more than {self.max_body} bytes (--max-body", answer.text)

    async def test_cross_site(self) -> None:
        """What another site's page sends is refused."""
        answer = await self.ask("POST", "/", as_bytes(a_body()), Origin="https://evil.example")
        self.assertEqual(answer.status, 403)
        self.assertEqual(self.board.store.latest.sequence, 0)

    async def test_bad_requests(self) -> None:
        """What is no HTTP ends its own connection only."""
        for words in (
            b"\x16\x03\x01\x02\0",
            b"GET / HTTP/1.1\r\nHost",
            b"GET /\xff HTTP/9\r\n\r\n",
        ):
            await deferToThread(self.say, words)
        self.assertEqual((await self.get("/")).status, 200)

    def say(self, words: bytes) -> None:
        """Connect, say something, say no more, and read to the end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(words)
            client.shutdown(socket.SHUT_WR)
            while client.recv(4096):
                pass

    async def test_database_away(self) -> None:
        """While the database is away pages and senders are told so, and nothing else ends."""
        await self.put()
        path = file_of(self.url)
        assert path is not None
        path.unlink()
        path.mkdir()
        for answer in (await self.get("/"), await self.put(2)):
            self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "10"))
            self.assertIn("out of order", answer.text)
        self.assertEqual((await self.get("/robots.txt")).status, 200)
        Path(path).rmdir()
        self.assertEqual((await self.get("/")).status, 200)

    async def test_polling(self) -> None:
        """Browsers without WebSockets are told what is new, and nothing where nothing is."""
        epoch = self.board.store.latest.epoch
        await self.put()
        frame = json.loads((await self.get(f"/live/updates?epoch={epoch}&since=0")).text)
        self.assertEqual((frame["type"], frame["from"], frame["sequence"]), ("updates", 0, 1))
        nothing = await self.get(f"/live/updates?epoch={epoch}&since=1")
        self.assertEqual((nothing.status, nothing.body), (204, b""))
        other = json.loads((await self.get("/live/updates?epoch=other&since=1")).text)
        self.assertEqual(other["type"], "snapshot")

    async def test_cards(self) -> None:
        """A browser that missed several frames is sent the cards of all of them, and their ends."""
        epoch = self.board.store.latest.epoch

        async def cards(since: int) -> tuple[dict[str, bool], int]:
            """Return whether each card that is sent has content, and the frame's sequence."""
            frame = json.loads((await self.get(f"/live/updates?epoch={epoch}&since={since}")).text)
            shown = {each["key"]: bool(each["html"]) for each in frame["fragments"]}
            return {key: shown[key] for key in shown if key != "queue"}, frame["sequence"]

        await self.put(1, builder="linux", results=2)
        (key,) = red = (await cards(0))[0]
        await self.put(1, builder="windows", buildid=1000)
        told, after = await cards(0)
        self.assertEqual(told, red)
        await self.put(2, builder="linux", buildid=2)
        told, _ = await cards(after)
        self.assertEqual(told, {key: False})
        await self.put(2, builder="windows", buildid=1001)
        told, last = await cards(after)
        self.assertEqual(told, {key: False})
        await self.put(3, builder="windows", buildid=1002)
        told, _ = await cards(last)
        self.assertEqual(told, {})


HTML = "text/html; charset=utf-8"


class PersonalTests(BoardCase):
    """What an open board says of people."""

    async def test_addresses(self) -> None:
        """Mail addresses and absolute paths are on no page and in no answer; names are."""
        change = {
            "changeid": 1, "author": "Ada Novak <ada@example.org>", "revision": "abc",
            "comments": "Reviewed-by: bob@example.org", "who": "<eve@example.org>",
        }  # fmt: skip
        properties = {
            "owner": ["Ada Novak <ada@example.org>", "Scheduler"],
            "owners": [["carol@example.org"], "Scheduler"],
            "builddir": ["/home/buildbot/secret-place/build", "Builder"],
            "workdir": ["C:\\Users\\buildbot\\build", "Builder"],
        }
        steps = [{"name": "test", "results": 2, "state_string": "mailed dave@example.org"}]
        await self.put()
        line = "/home/secret-place/src/x.c:3: error: mail eve@example.org -I/home/secret-place/inc"
        windows = r"C:\Users\secret place\AppData\y.obj : fatal error"
        tests = results_key(["test_x"], message=f"{line} {windows}")
        why = {**excerpts(line, windows), "tests": tests}
        await self.put(2, FAILURE, changes=[change], properties=properties, steps=steps, **why)
        paths = ("/", "/?kiosk=1", "/builds/2", "/builders/1", "/revisions", "/search?q=Ada",
                 "/api/builds", "/api/builds/2", "/api/builders", "/feed.atom", "/failures",
                 "/api/failures", "/tests", "/tests/test_x")  # fmt: skip
        for path in paths:
            text = (await self.get(path)).text
            for personal in ("example.org&", "ada@", "bob@", "carol@", "dave@", "eve@",
                             "secret-place", "Users"):  # fmt: skip
                self.assertNotIn(personal, text, path)
        self.assertIn("Ada Novak", (await self.get("/")).text)
        self.assertIn("…/x.c:3: error", (await self.get("/")).text)
        [why] = json.loads((await self.get("/api/failures")).text)["failures"]
        failure = await self.get(f"/failures/{why['memory']['reasons'][0]['signature']}")
        self.assertIn("…/x.c:3: error", failure.text)
        self.assertNotIn("secret", failure.text)
        found = json.loads((await self.get("/api/builds?owner=Ada+Novak")).text)["builds"]
        self.assertEqual([each["number"] for each in found], [2])
        self.assertIn("git@host:x", (await self.get("/search?q=git@host:x")).text)

    async def test_what_people_write(self) -> None:
        """The same holds for incidents, the queue, workers, descriptions, and names of values."""
        said = "ada@example.org in /home/secret-place/src/x.c"
        builder = {"name": "linux", "tags": [], "description": said}
        await self.put(state_string=said, builder=builder)
        environment = {"ada@example.org": 1, "/home/secret-place/x": 2}
        properties = {"environment": [environment, "Step"]}
        about = {"builder": builder, "state_string": said, "properties": properties}
        lines = (f"error one: {said}", f"error two: {said}")  # the second is added to the incident
        for number in (2, 3):
            await self.put(number, FAILURE, **about, **excerpts(*lines[: number - 1]))
        for state in (
            a_worker("workers.paused", "w1", paused=True, pause_reason=said),
            a_request("requests.new", 7, buildset={"reason": said, "sourcestamps": []}),
            a_builder("builders.configured", "linux", description=said),
        ):
            self.assertEqual((await self.ask("POST", "/", json.dumps(state))).status, 200)
        while not (await self.board.store.follow()).is_at_end:
            pass
        [incident] = await self.board.store.incidents()
        of_it = f"incidents/{incident.id}"
        paths = ("/", "/builders/1", "/builds/2", "/incidents", f"/{of_it}", f"/api/{of_it}",
                 "/api/incidents", "/incidents.atom", "/search?q=error", "/queue", "/workers/w1",
                 "/api/builders", "/api/builds", "/api/builds/2", "/feed.atom")  # fmt: skip
        for path in paths:
            text = (await self.get(path)).text
            for personal in ("ada@", "secret-place"):
                self.assertNotIn(personal, text, path)
        self.assertIn("ada in …/x.c", (await self.get(f"/{of_it}")).text)


class PrivateTests(BoardCase):
    """A board for some readers and some senders."""

    access = Access(readers={"ada": "pw"}, senders={"ci": "secret"})

    async def test_readers(self) -> None:
        """Nothing is shown to others, not even whether it is there; nobody may keep it for all."""
        for path in ("/", "/nowhere", "/static/board.js", "/robots.txt", "/live", "/live/updates"):
            for method in ("GET", "HEAD"):
                answer = await self.ask(method, path)
                self.assertEqual(answer.status, 401)
                self.assertIn("Basic realm", answer.headers["WWW-Authenticate"])
            wrong = await self.get(path, Authorization=basic("ada:other"))
            self.assertEqual(wrong.status, 401)
        shown = await self.get("/", Authorization=basic("ada:pw"), Accept_Encoding="gzip")
        self.assertEqual(shown.status, 200)
        # What an address has a page reflect must not tell how much of its secrets is the same.
        self.assertIsNone(shown.headers["Content-Encoding"])
        address = re.search(r"/static/board\.js\?v=\w+", shown.text)
        assert address is not None
        script = await self.get(address[0], Authorization=basic("ada:pw"))
        self.assertEqual(script.headers["Cache-Control"], "private, no-cache")

    async def test_senders(self) -> None:
        """Senders have passwords of their own, and readers' are none."""
        body = as_bytes(a_body())
        for header in ({}, {"Authorization": basic("ada:pw")}):
            answer = await self.ask("POST", "/", body, **header)
            self.assertEqual(answer.status, 401)
            self.assertIn("Basic realm", answer.headers["WWW-Authenticate"])
        answer = await self.ask("POST", "/", body, Authorization=basic("ci:secret"))
        self.assertEqual(answer.status, 200)
        self.assertEqual((await self.get("/", Authorization=basic("ci:secret"))).status, 401)

    async def test_any_name(self) -> None:
        """A board that asks for passwords may be called by any name."""
        known = await self.get("/", Host="evil.example", Authorization=basic("ada:pw"))
        self.assertEqual(known.status, 200)


class NameTests(BoardCase):
    """Names that an open board is called by."""

    hosts = ("Board.example",)

    async def test_rebinding(self) -> None:
        """A page that had its own name resolved to the board can neither send nor read."""
        for host in (
            "evil.example",
            "evil.example:80",
            "localhost.evil.example",
            "127.0.0.1.x",
            "[",
        ):
            for method, path in (("GET", "/"), ("GET", "/live"), ("POST", "/"), ("HEAD", "/grid")):
                told = await self.ask(method, path, Host=host)
                self.assertEqual(told.status, 421, (host, path))
        self.assertEqual(self.board.store.latest.sequence, 0)

    async def test_own_names(self) -> None:
        """Loopback names and those that are allowed are the board's own, on any port."""
        for host in (
            "localhost",
            "LOCALHOST:99",
            "a.localhost",
            "127.1.2.3",
            "[::1]:8020",
            "board.example",
        ):
            self.assertEqual((await self.get("/robots.txt", Host=host)).status, 200, host)
