"""State by branch and codebases: which builds judge a branch, and what filters show."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from support.outboxes import result
from support.postgres import server
from support.statuses import MASTER, NOW, a_body, a_status, as_bytes
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.model import SUSPECTS, Builder, Filter
from buildbot_http_status_push.board.store.rows import CHANGES
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import EXCEPTION, FAILURE, RETRY, SUCCESS, WARNINGS

STORES = Path(__file__).parent / "stores"


def stamp(branch: str | None = "main", revision: str | None = "abc", **more: Any) -> dict[str, Any]:
    """Return a sourcestamp."""
    known = {"branch": branch, "revision": revision, "project": "runtime", "codebase": ""}
    return {**known, **more}


def of(*stamps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what a body says of sources."""
    return {"buildset": {"sourcestamps": [*stamps]}, **more}


def changes(*ids: int, **more: Any) -> list[dict[str, Any]]:
    """Return changes as Buildbot's data API gives them."""
    return [
        {"changeid": each, "author": f"Ada {each}", "comments": f"Change {each}", **more}
        for each in ids
    ]


class BoardCase(SynchronousTestCase):
    """A store, asked as pages do."""

    branch: str | None = None

    def setUp(self) -> None:
        """Open an empty one."""
        self.store = self.opened(file_url(self.mktemp()))

    def opened(self, url: str, **names: str) -> Store:
        """Open a store."""
        clock = Clock()
        clock.advance(NOW)
        store = Store(clock, maybeDeferred, url, names, branch=self.branch)
        result(Deferred.fromCoroutine(store.open()))
        self.addCleanup(lambda: result(Deferred.fromCoroutine(store.close())))
        return store

    def put(self, number: int, results: int | None = SUCCESS, **more: Any) -> None:
        """Keep a status."""
        result(self.store.put(a_status(number, results, **more)))

    def builder(self, name: str = "linux", **chosen: Any) -> Builder:
        """Return a builder as a page shows it."""
        [found] = [each for each in self.builders(**chosen) if each.name == name]
        return found

    def builders(self, **chosen: Any) -> list[Builder]:
        """Return the builders that a page shows."""
        return result(self.store.builders(Filter(**chosen)))

    def check(self, *, is_red: bool, last: int, **chosen: Any) -> Builder:
        """Check a builder's colour, and the build that it has it from."""
        found = self.builder(**chosen)
        assert found.last is not None
        self.assertEqual((found.is_red, found.last.number), (is_red, last))
        return found


class ColourTests(BoardCase):
    """Which builds change a builder's colour."""

    def test_branches(self) -> None:
        """A good build of another branch leaves main red, and is seen where it is asked for."""
        self.put(1, FAILURE)
        self.put(2, FAILURE)
        self.put(3, SUCCESS, **of(stamp("feature")))
        self.check(is_red=True, last=2)
        self.check(is_red=False, last=3, branch="feature")
        self.assertEqual([each.number for each in self.builder().recent], [2, 1])
        self.assertEqual(self.builders(branch="nowhere"), [])

    def test_patch(self) -> None:
        """A build of a patch says nothing of its branch."""
        self.put(1, FAILURE)
        self.put(2, SUCCESS, **of(stamp(patch={"patchid": 1, "level": 0})))
        found = self.check(is_red=True, last=1)
        self.assertEqual([each.number for each in found.recent], [2, 1])

    def test_pull_requests(self) -> None:
        """A build of a pull request says nothing of its branch, however its hook marks it."""
        marks: tuple[dict[str, Any], ...] = (
            of(stamp(), changes=changes(9, category="pull")),
            of(stamp(), changes=changes(9, category="merge_request")),
            of(stamp(), changes=changes(9, category="pull-updated")),
            {"properties": {"pullrequesturl": ["https://git.example.org/pull/1", "Change"]}},
            {"properties": {"source_branch": ["topic", "Change"]}},
            {"properties": {"event.type": ["patchset-created", "Change"]}},
        )
        self.put(1, FAILURE)
        for number, mark in enumerate(marks, start=2):
            self.put(number, SUCCESS, **mark)
            self.check(is_red=True, last=1)
        for reference in ("pull/4/merge", "merge-requests/4/head", "changes/01/1/2"):
            status = read(as_bytes(a_body(**of(stamp(f"refs/{reference}")))))
            assert status is not None
            self.assertFalse(status.judges)
        self.put(20, SUCCESS, **of(stamp(), changes=changes(9, category="push")))
        self.check(is_red=False, last=20)

    def test_older_by_change(self) -> None:
        """A build of an older change than one already judged changes no colour."""
        self.put(1, FAILURE, **of(stamp(revision="new"), changes=changes(5, 6)))
        self.put(2, SUCCESS, **of(stamp(revision="old"), changes=changes(4)))
        self.check(is_red=True, last=1)
        self.put(3, SUCCESS, **of(stamp(revision="new"), changes=changes(6)))
        self.check(is_red=False, last=3)

    def test_older_by_sourcestamp(self) -> None:
        """Without changes the sourcestamp's id says which code is older, where it names any."""
        self.put(1, FAILURE, **of(stamp(revision="new", ssid=12)))
        self.put(2, SUCCESS, **of(stamp(revision="old", ssid=11)))
        self.check(is_red=True, last=1)
        # All builds of the latest code share a sourcestamp.
        self.put(3, SUCCESS, **of(stamp(revision=None, ssid=1)))
        self.check(is_red=False, last=3)

    def test_older_codebases(self) -> None:
        """Of several codebases a build is older if one is, and none is newer."""
        app, lib = stamp(codebase="app", ssid=10), stamp(codebase="lib", ssid=20)
        self.put(1, FAILURE, **of(app, lib))
        self.put(2, SUCCESS, **of(app, {**lib, "ssid": 19}))
        self.put(3, SUCCESS, **of({**app, "ssid": 9}, {**lib, "ssid": 19}))
        self.check(is_red=True, last=1)
        self.put(4, SUCCESS, **of({**app, "ssid": 9}, {**lib, "ssid": 21}))
        self.check(is_red=False, last=4)

    def test_older_bad_build(self) -> None:
        """A bad build of older code is neither the last one nor the first bad one."""
        self.put(1, SUCCESS, **of(stamp(revision="b", ssid=12)))
        self.put(2, FAILURE, **of(stamp(revision="a", ssid=11)))
        self.check(is_red=False, last=1)
        self.put(3, FAILURE, **of(stamp(revision="c", ssid=13)))
        found = self.check(is_red=True, last=3)
        assert found.first_bad is not None
        self.assertEqual(found.first_bad.number, 3)

    def test_database_made_anew(self) -> None:
        """A master that counts from 1 again is believed from its first build on."""
        self.put(50, FAILURE, **of(stamp(ssid=900), changes=changes(900)))
        again = {"started_at": NOW + 9000, "complete_at": NOW + 9060}
        self.put(1, SUCCESS, **of(stamp(ssid=1), changes=changes(1)), **again)
        self.check(is_red=False, last=1)

    def test_exception(self) -> None:
        """An exception leaves the colour as it was, and says that there is no result."""
        for number, results in ((1, SUCCESS), (3, FAILURE)):
            self.put(number, results)
            self.put(number + 1, EXCEPTION)
            found = self.check(is_red=results == FAILURE, last=number)
            assert found.no_result is not None
            self.assertEqual(found.no_result.number, number + 1)
        self.put(5, RETRY)
        self.assertIsNotNone(self.builder().no_result)
        self.put(6, SUCCESS)
        self.assertIsNone(self.builder().no_result)

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def test_any_order(self, data: st.DataObject) -> None:
        """In whatever order statuses come, the colours are the same in the end."""
        drawn = [
            (number, data.draw(st.sampled_from([SUCCESS, FAILURE, EXCEPTION])), code)
            for number, code in enumerate(data.draw(st.lists(st.integers(1, 4), max_size=6)), 1)
        ]
        came = [
            a_status(
                number, results, **of(stamp("main" if code % 2 else "next", str(code), ssid=code))
            )
            for number, results, code in drawn
        ]
        seen = []
        for order in (came, data.draw(st.permutations(came))):
            store = self.opened(file_url(self.mktemp()))
            for status in order:
                result(store.put(status))
            shown = [
                result(store.builders(Filter(branch=branch))) for branch in (None, "main", "next")
            ]
            seen.append([[_plain(each) for each in found] for found in shown])
        self.assertEqual(seen[0], seen[1])


def _plain(builder: Builder) -> list[Any]:
    marked = (builder.last, builder.first_bad, builder.last_good, *builder.recent)
    return [builder.branch, builder.branches, *(each and each.number for each in marked)]


class MainBranchTests(BoardCase):
    """Which branch the overview shows."""

    def test_most_builds(self) -> None:
        """The branch that most builds are of is shown; a builder without any of it by its own."""
        for number in range(1, 4):
            self.put(number, SUCCESS)
        for number in range(4, 6):
            self.put(number, FAILURE, **of(stamp("next")))
        self.put(6, FAILURE, builder="docs", **of(stamp("gh-pages")))
        self.check(is_red=False, last=3)
        docs = self.check(is_red=True, last=6, name="docs")
        self.assertEqual((self.builder().branch, docs.branch), ("main", "gh-pages"))
        for number in range(7, 10):
            self.put(number, FAILURE, **of(stamp("next")))
        found = self.check(is_red=True, last=9)
        self.assertEqual((found.branch, found.branches), ("next", ("next", "main")))

    def test_running(self) -> None:
        """What runs is shown whatever its branch, and by its branch where one is asked for."""
        self.put(1, SUCCESS)
        self.put(2, None, **of(stamp("feature")))
        self.assertEqual([each.number for each in self.builder().running], [2])
        self.assertEqual(self.builder(branch="main").running, ())

    def test_no_branch(self) -> None:
        """Builds that name no branch have a state of their own."""
        self.put(1, FAILURE, **of(stamp(None)))
        found = self.check(is_red=True, last=1)
        self.assertIsNone(found.branch)


class ChosenBranchTests(BoardCase):
    """A board that is told its main branch."""

    branch = "next"

    def test_option(self) -> None:
        """The branch that was given is shown, however many builds are of others."""
        for number in range(1, 4):
            self.put(number, SUCCESS)
        self.put(4, FAILURE, **of(stamp("next")))
        self.check(is_red=True, last=4)


class FilterTests(BoardCase):
    """Filters about builds show matching builds only."""

    def test_worker(self) -> None:
        """Builders whose builds match are shown, by those builds alone."""
        other = {"properties": {"workername": ["w2", "Worker"], "owner": ["Bob", "Scheduler"]}}
        self.put(1, FAILURE)
        self.put(2, SUCCESS, **other)
        self.put(3, SUCCESS, builder="windows", **other)
        found = self.check(is_red=True, last=1, worker="w1")
        self.assertEqual([each.number for each in found.recent], [1])
        self.assertEqual([each.name for each in self.builders(worker="w1")], ["linux"])
        self.check(is_red=False, last=2, owner="Bob")

    def test_result(self) -> None:
        """A result asked for shows the builds that had it, and judges nothing by old ones."""
        self.put(1, FAILURE)
        self.put(2, SUCCESS)
        self.put(3, FAILURE, builder="windows")
        failed = frozenset([FAILURE])
        self.assertEqual([each.number for each in self.builder(results=failed).recent], [1])
        red = [each.name for each in self.builders(results=failed) if each.is_red]
        self.assertEqual(red, ["windows"])

    def test_differing_branches(self) -> None:
        """A build of several codebases is found by the branch of each, never by half a name."""
        app, lib = stamp("main", codebase="app"), stamp("feature/x", codebase="lib")
        self.put(1, SUCCESS)
        self.put(2, FAILURE, builder="both", **of(lib, app))
        self.assertEqual(self.builder("both").branch, "app:main, lib:feature/x")
        for branch in ("main", "feature/x"):
            self.assertIn("both", [each.name for each in self.builders(branch=branch)])
            found = result(self.store.builds(Filter(branch=branch)))
            self.assertIn(2, [each.number for each in found])
        for branch in ("feature", "x", "%", "app:main"):
            self.assertEqual(self.builders(branch=branch), [])
            self.assertEqual(result(self.store.builds(Filter(branch=branch))), [])


class CodebaseTests(BoardCase):
    """Builds of several codebases."""

    def test_every_codebase(self) -> None:
        """All codebases are kept in their order, whatever the order that they were named in."""
        app, lib = stamp("main", "a1", codebase="app"), stamp("main", "l1", codebase="lib")
        for number, stamps in ((1, (app, lib)), (2, (lib, app))):
            got = {"got_revision": [{"lib": "l2", "app": "a1"}, "Git"]}
            self.put(number, SUCCESS, **of(*stamps), properties=got)
        builds = result(self.store.builds(Filter()))
        seen = {tuple((each.codebase, each.revision) for each in one.sources) for one in builds}
        self.assertEqual(seen, {(("app", "a1"), ("lib", "l2"))})
        self.assertEqual({(each.branch, each.revision) for each in builds}, {("main", "a1")})

    def test_revisions(self) -> None:
        """A row of the revisions is a revision of a codebase, and no build is without one."""
        app, lib = stamp(revision="a1", codebase="app"), stamp(revision="l1", codebase="lib")
        self.put(1, SUCCESS, **of(app, lib))
        self.put(2, FAILURE, builder="windows", **of({**app, "revision": "a2"}, lib))
        found = result(self.store.revisions(Filter(), 10))
        rows = {(each.codebase, each.revision): len(each.builds) for each in found}
        self.assertEqual(rows, {("lib", "l1"): 2, ("app", "a2"): 1, ("app", "a1"): 1})

    def test_finish_of_other_revision(self) -> None:
        """A build that turned out to be of another revision leaves the row that it was in."""
        self.put(1, None, revision="asked")
        self.put(1, SUCCESS, properties={"got_revision": ["got", "Git"]}, revision="asked")
        found = result(self.store.revisions(Filter(), 10))
        self.assertEqual([each.revision for each in found], ["got"])


class BlameTests(BoardCase):
    """Which changes are suspected."""

    def suspected(self) -> tuple[list[int | None], int]:
        """Return the ids that the card names, and how many there are in all."""
        found = self.builder()
        return [each.id for each in found.suspects], found.suspected

    def test_since_warnings(self) -> None:
        """Changes that the last good build had, if with warnings, are not suspected."""
        self.put(1, SUCCESS, changes=changes(1))
        self.put(2, WARNINGS, changes=changes(2, 3))
        self.put(3, FAILURE, changes=changes(2, 3, 4, 5))
        self.put(4, FAILURE, changes=changes(2, 3, 4, 5, 6))
        self.assertEqual(self.suspected(), ([4, 5], 2))

    def test_many(self) -> None:
        """All changes of a nightly build are known, and some of them are named."""
        self.put(1, SUCCESS, changes=changes(1))
        many = range(2, 2 + 3 * CHANGES)
        self.put(2, FAILURE, changes=changes(*many))
        named, count = self.suspected()
        self.assertEqual((len(named), count), (SUSPECTS, len(many)))
        # The change of the last good build is among the kept ids, not only among the shown ones.
        self.put(3, FAILURE, changes=changes(*many))
        self.assertEqual(self.suspected()[1], len(many))

    def test_step(self) -> None:
        """The failing step's name is kept, and a hidden or a good one is none."""
        steps = [{"name": "compile", "results": 0}, {"name": "test", "results": 2}]
        self.put(1, FAILURE, steps=steps)
        last = self.check(is_red=True, last=1).last
        assert last is not None
        self.assertEqual(last.step, "test")
        self.put(2, SUCCESS, steps=steps)
        last = self.check(is_red=False, last=2).last
        assert last is not None
        self.assertIsNone(last.step)


class MasterTests(BoardCase):
    """What masters are called."""

    def names(self) -> list[str]:
        """Return all masters' names."""
        return [each.name for each in result(self.store.masters())]

    def test_names(self) -> None:
        """A master is called by its name, its title, or its host; two are never called alike."""
        self.put(1, master={"title": "Buildbot"})
        self.assertEqual(self.names(), ["ci.example.org"])
        self.put(2, url="https://ci.example.org/two/#/builders/1/builds/1")
        self.assertEqual(self.names(), ["ci.example.org", "ci.example.org/two"])
        self.put(3, master={"title": "Veteran"})
        self.assertEqual(self.names(), ["Veteran", "ci.example.org"])

    def test_name_given(self) -> None:
        """The name of the board's settings comes first."""
        self.store = self.opened(file_url(self.mktemp()), **{MASTER: "veteran"})
        self.put(1, master={"title": "Something else"})
        self.assertEqual(self.names(), ["veteran"])


class UpgradeTests(BoardCase):
    """A store that the version before made."""

    def fill(self, url: str) -> None:
        """Make such a store."""
        content = json.loads((STORES / "version-1.json").read_text())
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for statement in content["ddl"][engine.dialect.name]:
                connection.exec_driver_sql(statement)
            for table, rows in content["rows"].items():
                for row in rows:
                    names = ", ".join(f":{name}" for name in row)
                    insert = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({names})"  # noqa: S608  ours
                    connection.execute(sa.text(insert), {k: _value(v) for k, v in row.items()})
            if engine.dialect.name == "postgresql":
                for table in ("masters", "builders", "builds", "revisions"):
                    connection.exec_driver_sql(f"SELECT setval('board_{table}_id_seq', 100)")
        engine.dispose()

    def check_upgraded(self, url: str) -> None:
        """Check that all of it is there, and what is new is worked out of it."""
        self.fill(url)
        self.store = self.opened(url)
        self.assertEqual(self.store.latest.sequence, 7)
        linux = self.check(is_red=True, last=2)
        assert linux.last is not None
        self.assertEqual((linux.last.id, linux.last.step), (2, "test"))
        self.assertEqual([each.number for each in linux.running], [7])
        self.assertEqual([each.id for each in linux.suspects], [5])
        self.assertIsNotNone(linux.no_result)
        self.assertEqual([each.number for each in self.builder("both").recent], [6, 5])
        rows = {
            (each.codebase, each.revision): [build.number for build in each.builds]
            for each in result(self.store.revisions(Filter(), 10))
        }
        self.assertEqual(rows["app", "app1"], [6])
        self.assertEqual(rows["lib", "lib1"], [6])
        [verdict] = result(self.store.revision_verdicts("bad1", Filter()))
        self.assertEqual([each.id for each in verdict.changes], [5])
        self.put(8, SUCCESS, revision="later")
        self.check(is_red=False, last=8)
        again = self.opened(url)
        self.assertEqual(again.latest, self.store.latest)

    def test_sqlite(self) -> None:
        """A SQLite file keeps all that it held."""
        self.check_upgraded(file_url(self.mktemp()))

    def test_postgresql(self) -> None:
        """So does a PostgreSQL database."""
        server().clear()
        self.check_upgraded(server().url())


def _value(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
