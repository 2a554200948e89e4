"""What all builders say of a revision: in words, on its page, and for programs."""

from __future__ import annotations

import json
from typing import Any

from support.boards import BoardCase
from support.reasons import excerpts
from support.results import results_key
from support.statuses import NOW, a_status
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.model import Build, Builder, Master, Memory
from buildbot_http_status_push.board.store.rows import FIELDS
from buildbot_http_status_push.board.verdicts.revision import BuilderVerdict, in_order, progress
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SUCCESS,
    WARNINGS,
)

SHA = "4f2a9c1d5e6b7a8990a1b2c3d4e5f60718293a4b"
MAIN = Master(id=1, name="ci", url="https://ci.example.org/", heard_at=NOW)


def a_verdict(
    number: int,
    results: int | None = SUCCESS,
    *,
    state: str = "unknown",
    usual: float | None = 600.0,
    built: bool = True,
) -> BuilderVerdict:
    """Return what a builder says."""
    status = a_status(number, results)
    values = {name: getattr(status, name) for name in FIELDS if name not in ("id", "sequence")}
    build = Build(id=number, master=1, builder=number, builder_name="b", sequence=1, **values)
    return BuilderVerdict(
        builder=Builder(id=number, master=MAIN, name=f"b{number}", usual=usual),
        build=build if built else None,
        memory=Memory(state=state) if results == FAILURE else None,
    )


class ProgressTests(SynchronousTestCase):
    """The sentence of a verdict."""

    def test_sentence(self) -> None:
        """It counts what has ended by what that means, then what is to come."""
        some = [
            a_verdict(1),
            a_verdict(2, WARNINGS),
            a_verdict(3, FAILURE, state="known"),
            a_verdict(4, FAILURE, state="new"),
            a_verdict(5, FAILURE, state="new reason"),
            a_verdict(6, FAILURE, state="recurring"),
            a_verdict(7, EXCEPTION),
            a_verdict(8, CANCELLED),
            a_verdict(9, None),
            a_verdict(10, None),
        ]
        reached = progress(some, NOW + 1000)
        self.assertEqual(
            reached.words,
            "8 of 10 ended: 2 good, 1 red (known), 1 red, 1 red for a new reason, 1 new red, "
            "2 without a result; 2 running, about 10 min left",
        )
        self.assertEqual((reached.unexcused, reached.is_over), (3, False))
        self.assertEqual([each.kind for each in in_order(some)][:3], ["new", "new reason", "red"])

    def test_over(self) -> None:
        """Where all have ended nothing is left."""
        reached = progress([a_verdict(1), a_verdict(2)], NOW + 1000)
        self.assertEqual((reached.words, reached.is_over), ("All 2 ended: 2 good", True))

    def test_left(self) -> None:
        """How long it takes is only said where it is known of all that run."""
        runs = [a_verdict(1, None), a_verdict(2, None, usual=None)]
        self.assertEqual(progress(runs, NOW).words, "0 of 2 ended; 2 running")
        waits = [a_verdict(1, None), a_verdict(2, built=False), a_verdict(3, RETRY)]
        self.assertEqual(progress(waits, NOW).words, "0 of 3 ended; 1 running, 2 waiting")
        late = progress([a_verdict(1, None)], NOW + 10_000)
        self.assertEqual(late.words, "0 of 1 ended; 1 running, under 1 min left")


class RevisionTests(BoardCase):
    """A board whose builders build revisions."""

    async def build(self, number: int, results: int | None, builder: str, **more: Any) -> None:
        """Send a status of a build whose id is its builder's own."""
        first = {"linux": 0, "mac": 5000, "win": 7000}[builder]
        answer = await self.put(number, results, builder=builder, buildid=first + number, **more)
        self.assertEqual(answer.status, 200)

    async def told(self, text: str, status: int = 200, query: str = "") -> Any:
        """Return what a program is told of a revision."""
        answer = await self.get(f"/api/revisions/{text}{query}")
        self.assertEqual(answer.status, status, answer.text)
        return json.loads(answer.text)

    async def test_builders(self) -> None:
        """Each builder counts once, by its newest build; patches do not count."""
        await self.build(1, SUCCESS, "linux", revision="older")
        await self.build(2, FAILURE, "linux", revision=SHA, **excerpts("error: no <frob>"))
        await self.build(3, FAILURE, "mac", revision=SHA)
        await self.build(4, SUCCESS, "mac", revision=SHA)
        await self.build(5, None, "win", revision=SHA)
        patched = {"branch": "main", "revision": SHA, "codebase": "", "patch": {"patchid": 1}}
        await self.build(6, FAILURE, "win", buildset={"sourcestamps": [patched]})
        told = await self.told(SHA[:7])
        self.assertEqual(told["revision"], SHA)
        [codebase] = told["codebases"]
        said = {each["name"]: each["says"] for each in codebase["builders"]}
        self.assertEqual(said, {"linux": "new", "mac": "good", "win": "running"})
        self.assertEqual(told["words"], "2 of 3 ended: 1 good, 1 new red; 1 running")
        [new] = codebase["new_failures"]
        self.assertEqual(new["text"], "error: no <frob>")
        page = (await self.get(f"/revisions/{SHA}")).text
        self.assertIn(told["words"], page)
        self.assertIn("error: no &lt;frob&gt;", page)
        narrow = await self.told(SHA, query="?builder=*mac*")
        self.assertEqual(narrow["words"], "1 of 1 ended: 1 good")

    async def test_new_tests(self) -> None:
        """A test that began to fail with a revision is named with its build."""
        passed, failed = {"tests": results_key()}, {"tests": results_key(["test_login"])}
        await self.build(1, SUCCESS, "linux", revision="older", **passed)
        await self.build(2, FAILURE, "linux", revision=SHA, **failed)
        [codebase] = (await self.told(SHA))["codebases"]
        self.assertEqual([each["name"] for each in codebase["new_tests"]], ["test_login"])
        self.assertIn("New failing tests", (await self.get(f"/revisions/{SHA}")).text)

    async def test_collapsed(self) -> None:
        """A revision that was built only inside a later one counts by the first build of that."""
        first = {"changeid": 5, "author": "Ada <ada@example.org>", "revision": SHA,
                 "comments": "Mend it"}  # fmt: skip
        second = {"changeid": 6, "author": "Tom", "revision": "later"}
        await self.build(1, SUCCESS, "linux", revision="older")
        await self.build(2, RETRY, "linux", revision="later", changes=[first, second])
        await self.build(3, FAILURE, "linux", revision="later", changes=[first, second])
        await self.build(4, SUCCESS, "linux", revision="newest", changes=[first, second])
        await self.build(5, SUCCESS, "mac", revision=SHA, changes=[first])
        await self.build(6, SUCCESS, "win", revision="elsewhere", changes=[second])
        [codebase] = (await self.told(SHA))["codebases"]
        found = {
            each["name"]: (each["build"]["number"], each["inside_later"])
            for each in codebase["builders"]
        }
        self.assertEqual(found, {"linux": (3, True), "mac": (5, False)})
        [change] = codebase["changes"]
        self.assertEqual((change["author"], change["comment"]), ("Ada", "Mend it"))
        page = (await self.get(f"/revisions/{SHA}")).text
        self.assertIn("inside", page)
        self.assertNotIn("ada@example.org", page)

    async def test_only_collapsed(self) -> None:
        """A revision that nobody built by itself is known all the same."""
        change = {"changeid": 5, "author": "Ada", "revision": SHA, "comments": "Mend it"}
        await self.build(1, SUCCESS, "linux", revision="later", changes=[change])
        self.assertEqual((await self.told(SHA))["words"], "1 of 1 ended: 1 good")

    async def test_names(self) -> None:
        """A beginning that several revisions have is no name; one that is whole is."""
        await self.build(1, SUCCESS, "linux", revision="120")
        await self.build(2, SUCCESS, "linux", revision="12")
        self.assertEqual((await self.told("12"))["revision"], "12")
        self.assertIn("write more of it", (await self.told("1", 409))["error"])
        await self.told("77", 404)
        page = await self.get("/revisions/1")
        self.assertIn('href="/revisions/120"', page.text)
        self.assertEqual((await self.get("/revisions/77")).status, 404)
        self.assertEqual((await self.get("/revisions/%00%3Cb%3E")).status, 404)

    async def test_codebases(self) -> None:
        """A revision that several codebases have is told of each, and so are two branches."""
        stamps = [
            {"branch": "main", "revision": SHA, "codebase": "app", "project": ""},
            {"branch": "main", "revision": SHA, "codebase": "lib", "project": ""},
        ]
        await self.build(1, SUCCESS, "linux", buildset={"sourcestamps": stamps})
        found = [each["codebase"] for each in (await self.told(SHA))["codebases"]]
        self.assertEqual(found, ["app", "lib"])
