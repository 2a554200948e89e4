"""Acts over HTTP and from the command line: who may, what is refused, and what is shown."""

from __future__ import annotations

import base64
import json
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from support.boards import Answer, BoardCase
from support.reasons import excerpts
from twisted.internet.threads import deferToThread

from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.incidents.incident import Incident
from buildbot_http_status_push.commands.main import main
from buildbot_http_status_push.results import FAILURE, SUCCESS

FORM = "application/x-www-form-urlencoded"


def basic(user: str, password: str) -> str:
    """Return what a browser sends for a user."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ADA = basic("ada", "secret")


class Case(BoardCase):
    """A board with an incident."""

    async def break_it(self, *names: str, line: str = "FAIL: parser") -> Incident:
        """Make builders red, and return the incident that was opened last."""
        for number, name in enumerate(names or ("linux",)):
            for build, result in ((1, SUCCESS), (2, FAILURE)):
                more = excerpts(line) if result == FAILURE else {}
                buildid = 1000 + 100 * build + number + len(line)
                await self.put(build, result, builder=name, buildid=buildid, **more)
        while not (await self.board.store.follow()).is_at_end:
            pass
        return (await self.board.store.incidents())[-1]

    async def act(self, incident: str, kind: str, body: Any = "", **headers: str) -> Answer:
        """Send a form, as a page of the board does."""
        headers = {"Content_Type": FORM, "Origin": f"http://127.0.0.1:{self.port}", **headers}
        return await self.ask("POST", f"/incidents/{incident}/{kind}", body, **headers)


class ReaderTest(Case):
    """A board that asks readers for a password."""

    access = Access(readers={"ada": "secret", "bob": "other"})

    async def test_claim(self) -> None:
        """A claim is kept, shown with its note and link, and leads back to the page."""
        incident = await self.break_it()
        body = "note=on+it&link=https%3A%2F%2Fbugs.example.org%2F7"
        answer = await self.act(incident.id, "claim", body, Authorization=ADA)
        self.assertEqual(
            (answer.status, answer.headers["Location"]), (303, f"/incidents/{incident.id}")
        )
        page = (await self.get(f"/incidents/{incident.id}", Authorization=ADA)).text
        self.assertIn("is on it", page)
        self.assertIn('href="https://bugs.example.org/7"', page)
        self.assertIn("Act, as ada", page)
        overview = (await self.get("/", Authorization=ADA)).text
        self.assertIn("<bdi>ada</bdi> is on it", overview)
        answer = await self.act(incident.id, "release", Authorization=basic("bob", "other"))
        self.assertEqual(answer.status, 303)
        steps = [(each.kind, each.by) for each in (await self.board.store.incident(incident.id))[1]]
        self.assertEqual(steps, [("opened", None), ("claimed", "ada"), ("released", "bob")])

    async def test_strangers(self) -> None:
        """Nothing is done without a password, for a page elsewhere, or a form of unknown origin."""
        incident = await self.break_it()
        url = f"/incidents/{incident.id}/claim"
        elsewhere = {"Authorization": ADA, "Content_Type": FORM}
        answers = [
            await self.act(incident.id, "claim"),
            await self.act(incident.id, "claim", Authorization=basic("ada", "guess")),
            await self.act(incident.id, "claim", Authorization=ADA, Origin="https://evil.example"),
            await self.act(incident.id, "claim", Authorization=ADA, Origin="null"),
            await self.act(incident.id, "claim", Authorization=ADA, Sec_Fetch_Site="cross-site"),
            await self.ask("POST", url, "", **elsewhere),
            await self.act(incident.id, "claim", "x" * 20_000, Authorization=ADA),
        ]
        self.assertEqual([each.status for each in answers], [401, 401, 403, 403, 403, 403, 413])
        self.assertIn("Basic", answers[0].headers["WWW-Authenticate"])
        self.assertEqual(len((await self.board.store.incident(incident.id))[1]), 1)

    async def test_faults(self) -> None:
        """What makes no sense is rejected with the reason."""
        incident = await self.break_it()
        for kind, body, said in (
            ("claim", "link=javascript:alert(1)", "must begin with http"),
            ("claim", "note=" + "x" * 501, "at most 500"),
            ("mute", "hours=1000", "hours is '1000': must be a number above 0 and up to 720"),
            ("mute", "hours=0", "hours is '0': must be a number above 0 and up to 720"),
            ("mute", "hours=x", "must be a number"),
            ("split", "builder=mac", "is not on mac"),
            ("join", "into=x", "another open incident"),
        ):
            answer = await self.act(incident.id, kind, body, Authorization=ADA)
            self.assertEqual((answer.status, said in answer.text), (409, True), answer.text)

    async def test_strange_names(self) -> None:
        """Names that no database takes are answered like others that are on no incident."""
        incident = await self.break_it()
        json_headers = {"Authorization": ADA, "Content_Type": "application/json"}
        for value in ("\ud800", "\0", ["\udfff"], {"x": "\ud800"}):
            body = json.dumps({"builder": value})
            answer = await self.act(incident.id, "split", body, **json_headers)
            self.assertEqual((answer.status, "is not on" in answer.text), (409, True), answer.text)

    async def test_split_and_mute(self) -> None:
        """Builders are split off into an incident of their own, and one is muted."""
        incident = await self.break_it("linux", "mac")
        answer = await self.act(incident.id, "split", "builder=mac", Authorization=ADA)
        self.assertEqual(answer.status, 303)
        answer = await self.act(incident.id, "mute", "hours=4", Authorization=ADA)
        found = await self.board.store.incidents()
        names = [[place.builder_name for place in each.places] for each in found]
        self.assertEqual(sorted(names), [["linux"], ["mac"]])
        self.assertEqual(sum(each.muted_until is not None for each in found), 1)

    async def test_api(self) -> None:
        """Programs act with JSON and the same password, and read incidents."""
        incident = await self.break_it()
        answer = await self.ask(
            "POST",
            f"/api/incidents/{incident.id}/claim",
            json.dumps({"note": "on it"}),
            Authorization=ADA,
            Content_Type="application/json",
        )
        self.assertEqual(answer.status, 200)
        told = json.loads((await self.get("/api/incidents", Authorization=ADA)).body)
        (found,) = told["incidents"]
        self.assertEqual((found["id"], found["claim"]["by"]), (incident.id, "ada"))
        path = f"/api/incidents/{incident.id}"
        told = json.loads((await self.get(path, Authorization=ADA)).body)
        self.assertEqual([each["kind"] for each in told["steps"]], ["opened", "claimed"])
        feed = (await self.get("/incidents.atom", Authorization=ADA)).text
        self.assertIn("Open: FAIL: parser", feed)

    async def test_command(self) -> None:
        """``claim`` takes a builder's name, or an ID where the builder has several incidents."""
        incident = await self.break_it()
        board = ("--board", f"http://127.0.0.1:{self.port}/", "--auth", "ada:secret")
        code, said = await self.run_claim("linux", *board, "--note", "on it")
        self.assertEqual((code, said), (0, ""))
        (found,) = await self.board.store.incidents()
        self.assertEqual(found.claim and found.claim.note, "on it")
        code, said = await self.run_claim("windows", *board)
        self.assertEqual(code, 2)
        self.assertIn("neither an incident nor a builder", said)
        code, said = await self.run_claim(incident.id, *board[:3], "ada:guess")
        self.assertIn("answered 401", said)
        await self.put(3, FAILURE, buildid=3000, **excerpts("error: no such file", step="compile"))
        await self.board.store.follow()
        code, said = await self.run_claim("linux", *board)
        self.assertIn("has 2 open incidents", said)

    async def run_claim(self, *arguments: str) -> tuple[int | None, str]:
        """Run the command, and return its exit code and what it complained of."""
        complained = StringIO()

        def run() -> int | None:
            with redirect_stderr(complained):
                return main(["claim", *arguments])

        return await deferToThread(run), complained.getvalue()


class OpenTest(Case):
    """A board that everybody may read."""

    async def test_nobody_acts(self) -> None:
        """Nobody can act where the board does not know its readers, and the page says so."""
        incident = await self.break_it()
        answer = await self.act(incident.id, "claim")
        self.assertEqual(answer.status, 403)
        self.assertIn("--read-auth", answer.text)
        page = (await self.get(f"/incidents/{incident.id}", X_Remote_User="ada")).text
        self.assertNotIn("<button>Claim", page)


class ProxyTest(Case):
    """A board behind a proxy that names the reader."""

    access = Access(user_header="X-Remote-User")

    async def test_named(self) -> None:
        """A reader is believed to be who the proxy says, which is trusted by its address."""
        incident = await self.break_it()
        page = (await self.get(f"/incidents/{incident.id}", X_Remote_User="ada")).text
        self.assertIn("Act, as ada", page)
        answer = await self.act(incident.id, "claim", X_Remote_User="ada")
        self.assertEqual(answer.status, 303)
        self.access.proxies = frozenset({"10.0.0.5"})
        answer = await self.act(incident.id, "claim", X_Remote_User="eve")
        self.assertEqual(answer.status, 403)

    async def test_rebound(self) -> None:
        """A page under a name that is not the board's acts as nobody, also with a key."""
        incident = await self.break_it()
        self.patch(self.access, "keys", ("a plain signing key",))
        host = f"rebound.example.net:{self.port}"
        named = {"X_Remote_User": "eve", "Host": host, "Origin": f"http://{host}"}
        answer = await self.act(incident.id, "claim", **named)
        self.assertEqual(answer.status, 421)
        self.assertIn("--allow-host", answer.text)
        self.assertIsNone((await self.board.store.incidents())[0].claim)
