"""What the board reads in a body, and with what words it refuses one."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from support.statuses import MASTER, NOW, a_body, as_bytes
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import (
    DEEPEST,
    MOST_VALUES,
    TAGS,
    BodyError,
    Status,
    read,
)
from buildbot_http_status_push.board.changes import LATEST, NAME, OBJECTS, SENTENCE
from buildbot_http_status_push.board.storable import loads_storable, storable_json
from buildbot_http_status_push.results import FAILURE, SUCCESS

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


class ReadTests(SynchronousTestCase):
    """Bodies that are taken."""

    def read(self, **more: Any) -> Status:
        """Read a body that says of a build what it says usually, and some things otherwise."""
        status = read(as_bytes(a_body(**more)))
        assert status is not None
        return status

    def test_default_body(self) -> None:
        """All that lists show is read from the default body."""
        status = self.read(results=FAILURE)
        facts = (status.master_url, status.builder, status.tags, status.buildid, status.number)
        self.assertEqual(facts, (MASTER, "linux", ("stable",), 1001, 1))
        times = (status.submitted_at, status.started_at, status.complete_at, status.results)
        self.assertEqual(times, (NOW + 95, NOW + 100, NOW + 160, FAILURE))
        source = (status.branch, status.revision, status.project, status.worker, status.owner)
        self.assertEqual(source, ("main", "abc", "runtime", "w1", "Ada"))
        self.assertEqual(status.url, f"{MASTER}#/builders/7/builds/1")
        self.assertEqual(status.body, as_bytes(a_body(results=FAILURE)))

    def test_running(self) -> None:
        """A build that has just begun has no result, whatever stands in its place."""
        for results in (None, -1, SUCCESS):
            status = self.read(results=results, complete=False, complete_at=None)
            self.assertEqual((status.complete_at, status.results), (None, None))

    def test_least(self) -> None:
        """Four numbers, and a name or a number of a builder, are enough."""
        least = {"buildid": 3, "number": 1, "builderid": 2, "started_at": NOW}
        status = read(as_bytes(least))
        assert status is not None
        self.assertEqual((status.builder, status.master_url, status.url), ("builder 2", "", None))
        named = read(as_bytes({**least, "properties": {"buildername": ["linux", "Builder"]}}))
        assert named is not None
        self.assertEqual(named.builder, "linux")

    def test_newer_schema(self) -> None:
        """Keys that nobody knows yet, and a result of a newer Buildbot, are no fault."""
        status = self.read(results=9, weather={"rain": [1, 2]})
        self.assertEqual(status.results, 9)
        self.assertIn(b"weather", status.body)

    def test_got_revision(self) -> None:
        """What was checked out counts more than what was asked for, of the right codebase too."""
        asked_for = {"revision": ["HEAD", "Build"], "got_revision": ["def", "Git"]}
        self.assertEqual(self.read(properties=asked_for).revision, "def")
        several = {"got_revision": [{"lib": "1", "": "2"}, "Git"]}
        self.assertEqual(self.read(properties=several).revision, "2")
        self.assertEqual(self.read(properties={}, revision=4711).revision, "4711")

    def test_owners(self) -> None:
        """The first of several owners stands for all."""
        self.assertEqual(self.read(properties={"owners": [["Eve", "Bob"], "x"]}).owner, "Eve")

    def test_parent(self) -> None:
        """A build that was triggered tells by which."""
        status = self.read(parentbuild={"buildid": 5, "started_at": NOW})
        self.assertEqual((status.parent, status.parent_started_at), (5, NOW))

    def test_changes(self) -> None:
        """Changes are read where they were sent, with links that a browser may follow only."""
        change = {
            "author": "Ada <ada@example.org>",
            "comments": "First line\n\nMore.",
            "when_timestamp": NOW,
            "revision": "abc",
            "revlink": "javascript:alert(1)",
        }
        [read_change] = self.read(changes=[change, "nonsense"]).changes
        self.assertEqual((read_change.author, read_change.at), ("Ada <ada@example.org>", NOW))
        self.assertEqual((read_change.comment, read_change.url), ("First line", None))

    def test_unsafe_link(self) -> None:
        """A page in Buildbot that is none of the web is not linked to."""
        self.assertEqual(self.read(url="javascript:alert(1)").url, None)

    def test_bounded(self) -> None:
        """Names are cut and tags counted, so that they fit each database."""
        tags = [str(number) for number in range(TAGS + 5)]
        status = self.read(builder={"name": "x" * 2 * NAME, "tags": tags})
        self.assertEqual((len(status.builder), len(status.tags)), (NAME, TAGS))

    def test_bounded_changes(self) -> None:
        """Of changes the first are read, and of each as much as is shown."""
        long = "x" * 2 * SENTENCE
        change = {"author": long, "comments": long, "revision": long, "revlink": f"http://x/{long}"}
        [first, *others] = self.read(changes=[change, *[{}] * 2 * OBJECTS]).changes
        self.assertEqual((len(others), first.url), (OBJECTS - 1, None))
        lengths = [*map(len, (first.author, first.comment, first.revision or ""))]
        self.assertEqual(lengths, [NAME, SENTENCE, NAME])

    def test_unstorable_text(self) -> None:
        """What some database, page or XML document does not take is replaced, wherever it is."""
        for bad in ("\0", "\ud800", "\x1b", "\x85", "\uffff", "\U0001fffe"):
            change = {"author": bad, "comments": bad, "revision": bad, "revlink": f"http://{bad}/"}
            status = self.read(builder=f"a{bad}b", changes=[change], url=f"http://{bad}/")
            [made] = status.changes
            self.assertEqual(
                [status.builder, status.url, made.author, made.comment, made.revision, made.url],
                ["a\ufffdb", "http://\ufffd/", "\ufffd", "\ufffd", "\ufffd", "http://\ufffd/"],
            )
        self.assertEqual(self.read(state_string="a\tb\nc🦊").state_string, "a\tb\nc🦊")

    def test_no_number(self) -> None:
        """What is no number in JSON counts as nothing."""
        self.assertIsNone(self.read(buildrequest={"submitted_at": math.nan}).submitted_at)
        self.assertIsNone(read(as_bytes(a_body()).replace(b"1700000095", b"1e999")).submitted_at)

    def test_status_of_ping(self) -> None:
        """A test status is nothing to keep."""
        self.assertIsNone(read(b'{"test": true}'))

    @given(ANYTHING, st.booleans())
    @example("\x08", True)
    @example(["\x0c\x7f", "\ud800"], True)
    @example([math.inf, 2.5], True)
    def test_kept(self, content: Any, is_ascii: bool) -> None:
        """What is read from the store is as storable as what came in."""
        kept = json.dumps(content, ensure_ascii=is_ascii).encode(errors="surrogatepass")
        self.assertEqual(loads_storable(kept), storable_json(json.loads(kept)))
        self.assertIsNone(loads_storable(b"1e999"))
        self.assertEqual(loads_storable('"\\u001b"'.encode("utf-16-le")), "\ufffd")


class RefusalTests(SynchronousTestCase):
    """Bodies that are refused, each with one sentence that names what is wrong."""

    def refusal(self, body: bytes) -> tuple[int, str]:
        """Return the status and the sentence of a refusal."""
        error = self.assertRaises(BodyError, read, body)
        self.assertNotIn("\n", str(error))
        self.assertLess(len(str(error)), 300)
        return error.status, str(error)

    def check(self, words: str, **more: Any) -> None:
        """Check that a body with something wrong in it is refused in such words."""
        status, sentence = self.refusal(as_bytes({**a_body(), **more}))
        self.assertEqual(status, 422)
        self.assertIn(words, sentence)

    def test_no_json(self) -> None:
        """What is no JSON is a bad request, and so is nothing at all."""
        for body in (b"", b"{", b"buildid=1", b"\xff\xfe", b"[" * 100_000):
            status, sentence = self.refusal(body)
            self.assertEqual(status, 400)
            self.assertIn("is not JSON", sentence)

    def test_no_object(self) -> None:
        """JSON that is no object is refused."""
        for body in (b"[]", b"null", b"3", b'"text"'):
            self.assertEqual(self.refusal(body)[0], 422)

    def test_no_build(self) -> None:
        """A body about a request, a buildset, or of the user's own making says what to do."""
        request = as_bytes({"buildrequestid": 3, "buildset": {}})
        self.assertIn("request that still waits", self.refusal(request)[1])
        self.assertIn("a whole buildset", self.refusal(as_bytes({"bsid": 3}))[1])
        self.assertIn("send the default body", self.refusal(as_bytes({"text": "hello"}))[1])

    def test_missing(self) -> None:
        """What a build can't be without is named."""
        self.check("no 'buildid'", buildid=None)
        self.check("'number'", number=None)
        self.check("'started_at'", started_at=None)
        self.check("it names no builder", builder={}, builderid=None)
        self.check("no 'complete_at'", complete_at=None)
        self.check("no 'results'", results=None, complete_at=NOW, complete=True)

    def test_untrue(self) -> None:
        """Numbers and times that can't be true are shown."""
        self.check("'buildid' is '1'", buildid="1")
        self.check("'buildid' is True", buildid=True)
        self.check("'number' is -1", number=-1)
        self.check("'number' is 1.5", number=1.5)
        self.check("'buildid' is 9007199254740992", buildid=2**53)
        self.check("'started_at' is", started_at="yesterday")
        self.check("'complete_at' is", complete_at=LATEST)
        self.check("'results' is 1000", results=1000)

    def test_endless_number(self) -> None:
        """A number of more digits than Python writes is refused like any other."""
        body = as_bytes(a_body()).replace(b"1001", b"9" * 4000)
        self.assertEqual(self.refusal(body)[0], 422)
        self.assertEqual(self.refusal(body.replace(b"9" * 4000, b"9" * 9000))[0], 400)

    def test_not_finite(self) -> None:
        """NaN and infinity, which are no JSON, are no times."""
        for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999"):
            body = as_bytes(a_body()).replace(b'"started_at": 1700000100', b'"started_at": ' + word)
            self.assertEqual(self.refusal(body)[0], 422)

    def test_too_deep(self) -> None:
        """What nests without end would break whatever looks through it."""
        deep: Any = []
        for _ in range(DEEPEST):
            deep = [deep]
        self.check("within each other", deep=deep)

    def test_too_many_values(self) -> None:
        """A body of few bytes a value would take seconds; its number of values is bounded."""
        for many in (
            [[]] * MOST_VALUES,
            [[0] * 500] * 500,
            dict.fromkeys(map(str, range(MOST_VALUES))),
        ):
            self.check(f"it has more than {MOST_VALUES:,} values", many=many)
        self.assertEqual(read(as_bytes(a_body(many=[0] * (MOST_VALUES - 100)))).builder, "linux")

    @given(ANYTHING)
    def test_anything(self, content: Any) -> None:
        """Whatever JSON there is in it, a body is read or refused."""
        self.read_or_refused(content)

    @given(st.dictionaries(st.sampled_from(sorted(a_body())), ANYTHING, min_size=1))
    def test_anything_in_place(self, parts: dict[str, Any]) -> None:
        """Whatever stands in the place of what should be there, a body is read or refused."""
        self.read_or_refused({**a_body(), **parts})

    def read_or_refused(self, content: Any) -> None:
        """Check that a body makes no other trouble."""
        try:
            status = read(json.dumps(content).encode())
        except BodyError as refusal:
            self.assertIn(refusal.status, (400, 422))
            return
        if status is not None:
            self.assertTrue(status.builder)
            self.assertEqual(status.results is None, status.complete_at is None)
