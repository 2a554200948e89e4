"""The judge catches what it is there to catch, and lets pass what is no fault."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from chaos.evidence import states
from chaos.judge import (
    AWAY,
    KILLED,
    LOST_OUTBOX,
    RECEIVER_ENDED,
    Acceptance,
    Build,
    Circumstances,
    Finding,
    Message,
    Record,
    Rows,
    Status,
    Trouble,
    judge,
    misdelivered,
    misshown,
    unlike,
)

FAILURE = 2
START, FINISH = Status(1, finish=False), Status(1, finish=True)
BUILD = Build(id=1, request=7, builder="b", results=FAILURE, started_at=100, complete_at=102)
RETRIED = Build(id=2, request=7, builder="b", results=0, started_at=103, complete_at=104)


def accept(status: Status, at: float, results: int | None = None) -> Acceptance:
    """Return the acceptance of a status, whose delivery has its words as id."""
    told = results if results is not None else FAILURE if status.build == 1 else 0
    return Acceptance(at, str(status), status, told if status.finish else None)


ALL_WELL = (accept(START, 100.5), accept(FINISH, 102.5))


def find(
    *acceptances: Acceptance,
    builds: tuple[Build, ...] = (BUILD,),
    troubles: tuple[Trouble, ...] = (),
    rows: Rows | None = None,
    circumstances: Circumstances | None = None,
) -> Finding:
    """Ask the judge, of one build where nothing else is said."""
    record = Record(acceptances, troubles)
    return judge(builds, record, rows or {}, circumstances or Circumstances())


class LostTests(SynchronousTestCase):
    """What was not accepted."""

    def test_nothing_missing(self) -> None:
        """A build whose start and finish were accepted in this order is no fault at all."""
        self.assertEqual(find(*ALL_WELL).faults, [])

    def test_lost_finish(self) -> None:
        """A finish that was never accepted is lost, and its row's state is told."""
        found = find(accept(START, 100.5), rows={FINISH: "waiting"})
        self.assertEqual(found.missing, ["the finish of build 1 (waiting)"])

    def test_lost_start(self) -> None:
        """A start that was never accepted is lost too."""
        self.assertEqual(
            find(accept(FINISH, 102.5)).faults, ["lost: the start of build 1 (no row)"]
        )

    def test_superseded_start(self) -> None:
        """A start that was superseded by its finish is not lost."""
        found = find(accept(FINISH, 102.5), rows={START: "superseded"})
        self.assertEqual((found.faults, found.superseded), ([], [START]))

    def test_superseded_for_nothing(self) -> None:
        """Where nothing makes a begin superfluous it is lost."""
        calm = Circumstances(keeps_begins=True)
        found = find(accept(FINISH, 102.5), rows={START: "superseded"}, circumstances=calm)
        self.assertEqual(len(found.missing), 1)

    def test_superseded_finish(self) -> None:
        """A finish is lost whatever its row says."""
        found = find(accept(START, 100.5), rows={FINISH: "superseded"})
        self.assertEqual(len(found.missing), 1)

    def test_start_before_a_kill(self) -> None:
        """A start that a kill kept from being recorded is not lost."""
        found = find(accept(FINISH, 110), circumstances=Circumstances(kills=[101.0]))
        self.assertEqual((found.faults, found.unbegun), ([], [START]))

    def test_start_long_before_a_kill(self) -> None:
        """A start that could have been recorded long before the kill is lost."""
        found = find(accept(FINISH, 150), circumstances=Circumstances(kills=[130.0]))
        self.assertEqual(len(found.missing), 1)

    def test_finish_before_a_kill(self) -> None:
        """No kill excuses a missing finish."""
        found = find(accept(START, 100.5), circumstances=Circumstances(kills=[101.0, 102.5]))
        self.assertEqual(len(found.missing), 1)

    def test_start_in_a_lost_outbox(self) -> None:
        """A start that got lost with the outbox is not missed once the build has ended."""
        found = find(accept(FINISH, 110), circumstances=Circumstances(losses=[103.0]))
        self.assertEqual((found.faults, found.unbegun), ([], [START]))

    def test_running_build(self) -> None:
        """A build that runs has no finish to be missed."""
        running = Build(1, 7, "b", results=None, started_at=100, complete_at=None)
        self.assertEqual(find(accept(START, 100.5), builds=(running,)).faults, [])


class RefusedBuilderTests(SynchronousTestCase):
    """The statuses of a builder that the receiver never takes."""

    circumstances = Circumstances(refused_builders=["b"])

    def test_held(self) -> None:
        """They wait, and that is right."""
        rows = {START: "retrying", FINISH: "waiting"}
        found = find(rows=rows, circumstances=self.circumstances)
        self.assertEqual((found.faults, found.held), ([], [START, FINISH]))

    def test_given_up(self) -> None:
        """They must not be dead, or gone."""
        found = find(rows={START: "dead"}, circumstances=self.circumstances)
        self.assertEqual(
            found.not_held,
            ["the start of build 1 (dead)", "the finish of build 1 (no row)"],
        )

    def test_superseded(self) -> None:
        """A start must not rest for a finish that was refused, but may for an unanswered one."""
        rows = {START: "superseded", FINISH: "waiting"}
        refused = find(rows=rows, circumstances=self.circumstances)
        unanswered = Circumstances(refused_builders=["b"], never_answers=True)
        found = find(rows=rows, circumstances=unanswered)
        self.assertEqual(refused.not_held, ["the start of build 1 (superseded)"])
        self.assertEqual((found.faults, found.held), ([], [FINISH]))

    def test_other_builder(self) -> None:
        """Another builder's statuses must be through."""
        found = find(rows={FINISH: "waiting"}, circumstances=Circumstances(refused_builders=["c"]))
        self.assertEqual(len(found.missing), 2)


class OrderTests(SynchronousTestCase):
    """What came after something newer."""

    def test_start_after_finish(self) -> None:
        """A start that comes after its build's finish is out of order, and the last word."""
        found = find(*ALL_WELL, accept(START, 103))
        self.assertEqual(found.late, ["the start of build 1 after the finish of build 1"])
        self.assertEqual(found.wrong, ["build 1 ended with 2, told was its start"])

    def test_start_after_unanswered_finish(self) -> None:
        """That is excused where the finish was taken without an answer: nobody could know."""
        trouble = Trouble(102.6, str(FINISH), "reset", accepted=True)
        found = find(
            accept(FINISH, 102.5), accept(START, 103), accept(FINISH, 104), troubles=(trouble,)
        )
        self.assertEqual((found.late, len(found.excused)), ([], 1))

    def test_start_after_answered_finish(self) -> None:
        """An answer to a later attempt counts."""
        trouble = Trouble(102.6, str(FINISH), "reset", accepted=True)
        found = find(
            accept(FINISH, 102.5), accept(FINISH, 103), accept(START, 104), troubles=(trouble,)
        )
        self.assertEqual(len(found.late), 1)

    def test_lane(self) -> None:
        """A build's finish after the start of a later build of the same request is late."""
        later = accept(Status(2, finish=False), 102.2)
        found = find(ALL_WELL[0], later, ALL_WELL[1], builds=(BUILD, RETRIED))
        self.assertEqual(found.late, ["the finish of build 1 after the start of build 2"])

    def test_refused_in_the_lane(self) -> None:
        """That is excused where the receiver had refused the finish."""
        refusal = Trouble(102.1, str(FINISH), "400")
        later = accept(Status(2, finish=False), 102.2)
        found = find(ALL_WELL[0], later, ALL_WELL[1], builds=(BUILD, RETRIED), troubles=(refusal,))
        self.assertEqual((found.late, len(found.excused)), ([], 1))

    def test_repeated_in_the_lane(self) -> None:
        """A finish that comes once more after a later build's start is not late."""
        later = accept(Status(2, finish=False), 103.5)
        found = find(*ALL_WELL, later, accept(FINISH, 104), builds=(BUILD, RETRIED))
        self.assertEqual(found.late, [])

    def test_other_lanes(self) -> None:
        """Builds of different requests are in no order."""
        other = Build(2, 8, "b", results=0, started_at=103, complete_at=104)
        finish = accept(Status(2, finish=True), 99)
        found = find(accept(Status(2, finish=False), 98), finish, *ALL_WELL, builds=(BUILD, other))
        self.assertEqual(found.faults, [])


class FinalStateTests(SynchronousTestCase):
    """What a receiver believes in the end."""

    def test_other_result(self) -> None:
        """A finish with another result than the database's is wrong."""
        found = find(accept(START, 100.5), accept(FINISH, 102.5, results=5))
        self.assertEqual(found.wrong, ["build 1 ended with 2, told was 5"])

    def test_last_result(self) -> None:
        """The last one told counts."""
        found = find(accept(START, 100.5), accept(FINISH, 102.5, results=5), accept(FINISH, 103))
        self.assertEqual(found.wrong, [])


class DuplicateTests(SynchronousTestCase):
    """What was sent twice, and why."""

    twice = (*ALL_WELL, accept(FINISH, 104))

    def test_without_cause(self) -> None:
        """A duplicate without a cause is a fault."""
        found = find(*self.twice)
        self.assertEqual(found.unexplained, ["the finish of build 1 (the finish of build 1)"])
        self.assertEqual(len(found.faults), 1)

    def test_unanswered(self) -> None:
        """What was taken without an answer comes again."""
        trouble = Trouble(102.6, str(FINISH), "reset", accepted=True)
        self.assertEqual(find(*self.twice, troubles=(trouble,)).duplicates, {"reset": 1})

    def test_trouble_of_another(self) -> None:
        """Another delivery's trouble explains nothing, nor does a refusal."""
        others = (
            Trouble(102.6, str(START), "reset", accepted=True),
            Trouble(102.6, str(FINISH), "503"),
        )
        self.assertEqual(len(find(*self.twice, troubles=others).unexplained), 1)

    def test_events(self) -> None:
        """A kill, a lost outbox and the receiver's end explain what was accepted before them."""
        for circumstances, cause in (
            (Circumstances(kills=[103.0]), KILLED),
            (Circumstances(losses=[103.9]), LOST_OUTBOX),
            (Circumstances(ends=[102.6]), RECEIVER_ENDED),
        ):
            found = find(*self.twice, circumstances=circumstances)
            self.assertEqual((found.duplicates, found.unexplained), ({cause: 1}, []))

    def test_events_at_other_times(self) -> None:
        """They explain nothing when they came earlier, later, or long after the acceptance."""
        for circumstances in (
            Circumstances(kills=[102.0], losses=[104.5], ends=[103.5]),
            Circumstances(kills=[109.0]),
        ):
            twice = (*ALL_WELL, accept(FINISH, 104 if circumstances.losses else 110))
            self.assertEqual(len(find(*twice, circumstances=circumstances).unexplained), 1)


class OutageTest(SynchronousTestCase):
    """A database that was away."""

    def test_sent_again(self) -> None:
        """What was accepted while the outbox stood in memory may come again, and nothing else."""
        again = accept(FINISH, 190.0)
        for at, cause in ((103.0, {AWAY: 1}), (140.0, {})):
            found = judge(
                (BUILD,), Record([*ALL_WELL, again], []), {}, Circumstances(outages=(at,))
            )
            self.assertEqual((found.duplicates, bool(found.unexplained)), (cause, not cause))


class BoardTest(SynchronousTestCase):
    """What a board shows, held against the master's database."""

    def test_agrees(self) -> None:
        """The same builds with the same results are no fault."""
        self.assertEqual(misshown((BUILD, RETRIED), {1: FAILURE, 2: 0}, (), ()), [])
        self.assertEqual(misshown((BUILD,), {}, refused_builders=["b"], unbegun=()), [])

    def test_unbegun(self) -> None:
        """A build whose begin a kill came before is not missing until it has ended."""
        runs, unbegun = evolve(BUILD, results=None, complete_at=None), (START,)
        self.assertEqual(misshown((runs,), {}, (), unbegun), [])
        for build, excused in ((runs, ()), (BUILD, unbegun)):
            self.assertEqual(len(misshown((build,), {}, (), excused)), 1)

    def test_disagrees(self) -> None:
        """What is missing, runs for ever, has another result or is unknown is told."""
        for shown, words in (
            ({}, "build 1 has result none at all, and ended with 2"),
            ({1: None}, "build 1 has result None, and ended with 2"),
            ({1: 0}, "build 1 has result 0, and ended with 2"),
            ({1: FAILURE, 9: 0}, "build 9 is not known to the master"),
        ):
            self.assertEqual(misshown((BUILD,), shown, (), ()), [words])


class MessageTests(SynchronousTestCase):
    """Messages to a destination."""

    opened = Message("board:chat", "m1", "chat i1", "incident.opened", "delivered")
    closed = Message("board:chat", "m2", "chat i1", "incident.closed", "delivered")

    def test_repeats(self) -> None:
        """A message that is taken more than once is no fault, nor is the past in one message."""
        past = Message("board:chat", "m3", "chat i2", "incident.closed", "delivered")
        taken = ["m1", "m3", "m1", "m2", "m2"]
        self.assertEqual(misdelivered([self.opened, past, self.closed], taken), [])

    def test_faults(self) -> None:
        """What is lost, out of order, unknown or made twice is a fault."""
        again = Message("board:chat", "m3", "chat i1", "incident.closed", "delivered")
        for made, taken in (
            ([self.opened, self.closed], ["m1"]),
            ([self.opened, self.closed], ["m2", "m1"]),
            ([self.opened, self.closed], ["m1", "m2", "m9"]),
            ([self.opened], ["m1"]),
            ([self.opened, self.closed, again], ["m1", "m2", "m3"]),
        ):
            self.assertEqual(len(misdelivered(made, taken)), 1, (made, taken))


class StateTests(SynchronousTestCase):
    """Requests, workers and builders."""

    def test_unlike(self) -> None:
        """A state that is another one or is missing is found, and no other."""
        found = states([(1, True, True, 6), (2, True, False, None)], [("w", False)], [("b", True)])
        self.assertEqual(unlike(found, {**found, ("builders", "x"): "removed"}, "shown"), [])
        other = states([(1, True, True, 0), (2, False, False, None)], [("w", True)], [])
        self.assertEqual(len(unlike(found, other, "shown")), 4)
