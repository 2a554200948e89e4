"""Rules of incidents, one by one."""

from __future__ import annotations

from attrs import evolve
from support.histories import histories
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.acts import Act, ActError, perform
from buildbot_http_status_push.board.incidents.common_lines import (
    MOST,
    has_stopped,
    is_source_step,
    says_little,
)
from buildbot_http_status_push.board.incidents.engine import MOST_REASONS, Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import ChangeRange
from buildbot_http_status_push.board.incidents.ranges import since_good
from buildbot_http_status_push.board.model import Source

LITTLE = """
command timed out: 1200 seconds without output running [b'make', b'check'], attempting to kill
make[2]: *** [src/CMakeFiles/a.dir/build.make:63: a.o] Error 1
ninja: build stopped: subcommand failed.
process exited with code 1
program finished with exit code 2
process killed by signal 9
Segmentation fault (core dumped)
Connection timed out
3 failed, 10 passed in 3.2s
Tests run: 5, Failures: 2, Errors: 0, Skipped: 0
FAILED (failures=3)
ERROR
""".strip().splitlines()
TELLING = """
parse.c:3: error: no member named 'next'
FAILED tests/test_x.py::test_y - AssertionError
test_timeout timed out
cp: error writing 'x': No space left on device
fatal: unable to access 'https://git.example.org/': Could not resolve host
AssertionError: 3 failed != 4
""".strip().splitlines()


class LineTest(SynchronousTestCase):
    """Lines that could stand anywhere."""

    def test_little(self) -> None:
        """Time-outs, signals, make's lines, exit codes and counts say nothing of why."""
        self.assertEqual([each for each in LITTLE if not says_little(each)], [])

    def test_telling(self) -> None:
        """A line with any other word says something."""
        self.assertEqual([each for each in TELLING if says_little(each)], [])

    def test_more(self) -> None:
        """The list can be extended by globs."""
        self.assertTrue(says_little("error: worker went away", ["worker * away"]))

    def test_end(self) -> None:
        """Of a line nothing is looked at beyond the first characters."""
        self.assertTrue(says_little("failed " + " " * MOST + "no such file"))

    def test_stopped(self) -> None:
        """A step that ran out of time, or whose make stopped, has not run to its end."""
        stopped = [has_stopped(each) for each in (*LITTLE[:3], "FAIL: parser")]
        self.assertEqual(stopped, [True, True, True, False])

    def test_source(self) -> None:
        """Steps that get the source are known by Buildbot's names for them."""
        names = [
            "git",
            "git-lib",
            "update",
            "checkout source",
            "gitlint docs",
            "update docs",
            "test",
        ]
        found = [each for each in names if is_source_step(each)]
        self.assertEqual(found, names[:4])


class ManyReasonsTest(SynchronousTestCase):
    """A builder that fails with another line in every build."""

    def test_bounded(self) -> None:
        """Its place keeps the signatures of the incident's reasons, and no more."""
        engine = Engine()
        good, bad = (histories()["half a repair"].events[number] for number in (0, 3))
        assert isinstance(good, EndedBuild)
        assert isinstance(bad, EndedBuild)
        engine.end(good)
        for number in range(MOST_REASONS + 20):
            [reason] = bad.reasons[:1]
            named = evolve(
                reason.reason,
                signature=f"s{number}",
                text=f"error: no member named 'field{number}'",
            )
            build = evolve(
                bad.build,
                id=bad.build.id + number,
                number=bad.build.number + number,
                started_at=bad.build.started_at + 60 * number,
                complete_at=bad.build.complete_at + 60 * number,
            )
            engine.end(evolve(bad, build=build, reasons=(reason, evolve(reason, reason=named))))
        (incident,) = engine.incidents.values()
        self.assertEqual(len(incident.reasons), MOST_REASONS)
        of_incident = {each.reason.signature for each in incident.reasons}
        self.assertEqual(set(incident.first.signatures), of_incident)


class SinceGoodTest(SynchronousTestCase):
    """A range after a good build of older code that ended after the bad one."""

    def left(self, *built: Source) -> frozenset[int] | None:
        """Return the changes that are left of 4, 6 and 8."""
        good = histories()["half a repair"].events[0]
        assert isinstance(good, EndedBuild)
        ended = evolve(good, build=evolve(good.build, sources=built))
        ids, code = frozenset({4, 6, 8}), (("", "main", "r8"),)
        return since_good(ChangeRange(code=code, ids=ids, count=len(ids)), ended).ids

    def test_in_range(self) -> None:
        """What was good already is left out."""
        self.assertEqual(self.left(Source("", change=6)), {8})

    def test_not_in_range(self) -> None:
        """A revision that is not in the range, such as of another branch, leaves out nothing."""
        for built in (Source("", change=5), Source(""), Source("library", change=6)):
            self.assertEqual(self.left(built), {4, 6, 8})

    def test_all_or_several(self) -> None:
        """Nor does one that would leave none, or one of several codebases."""
        self.assertEqual(self.left(Source("", change=8)), {4, 6, 8})
        self.assertEqual(self.left(Source("", change=6), Source("library", change=9)), {4, 6, 8})


class ActTest(SynchronousTestCase):
    """What people can't do."""

    def setUp(self) -> None:
        """Open an incident on three builders."""
        self.engine = Engine()
        for event in histories()["half a repair"].events[:6]:
            assert isinstance(event, EndedBuild)
            self.engine.end(event)
        (self.incident,) = self.engine.incidents

    def fault(self, kind: str, **more: object) -> str:
        """Return why something can't be done."""
        given = {"incident": self.incident, "by": "ada", "at": 1e9, **more}
        with self.assertRaises(ActError) as caught:
            perform(self.engine, Act(kind=kind, **given))  # type: ignore[arg-type]  # made up
        return str(caught.exception)

    def test_faults(self) -> None:
        """What is not possible is rejected with the reason."""
        far, gone = 1e9 + 31 * 86_400, frozenset({"bsd"})
        every = frozenset({"linux", "mac", "win"})
        self.assertEqual(self.fault("claim", incident="x"), "incident 'x' is not open")
        self.assertIn("30 days", self.fault("mute", until=far))
        self.assertIn("30 days", self.fault("mute", until=1.0))
        self.assertIn("http", self.fault("claim", link="javascript:alert(1)"))
        self.assertIn("501 characters", self.fault("claim", note="x" * 501))
        self.assertIn("is not on bsd", self.fault("split", builders=gone))
        self.assertIn("keep one builder", self.fault("split", builders=every))
        self.assertIn("another open incident", self.fault("join", into=self.incident))
        self.assertIn("neither claimed nor muted", self.fault("release"))
        self.assertIn("must be one of", self.fault("close"))

    def test_claim(self) -> None:
        """A claim covers the reasons that the incident has then."""
        perform(self.engine, Act(kind="claim", incident=self.incident, by="ada", at=1e9))
        incident = self.engine.incidents[self.incident]
        assert incident.claim is not None
        of_incident = {each.reason.signature for each in incident.reasons}
        self.assertEqual(incident.claim.signatures, of_incident)
