"""Whatever happens, what was reported opened is reported closed, and nothing else is."""

from __future__ import annotations

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st
from support.histories import BEGIN, Reader
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.acts import Act, ActError, perform
from buildbot_http_status_push.board.incidents.engine import Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import Incident, Step
from buildbot_http_status_push.board.notify.announcing import (
    CHANGED_EVENT,
    CLOSED_EVENT,
    OPENED_EVENT,
    Announcement,
    Report,
    announce_all,
    introduce,
)
from buildbot_http_status_push.board.notify.quiet_hours import quiet_hours_of
from buildbot_http_status_push.board.notify.rules import Rule

RULES = (
    (Rule(name="all", to=("chat",)),),
    (Rule(name="quick", to=("chat",), wait=0.0, at_most=1, unless=frozenset()),),
    (Rule(name="quiet", to=("chat",), quiet_hours=(quiet_hours_of("00:00-12:00 UTC"),)),),
    (Rule(name="few", to=("chat",), builders=("linux",), after=2, settle=1800.0),),
    (),
)
BUILDS = st.tuples(
    st.sampled_from(("linux", "mac", "win")),
    st.sampled_from(("ok", "ok", "bad", "bad", "bad", "exc")),
    st.sampled_from(("", "rate=9/10", "known=10:30", "known=20:00")),
    st.sampled_from(("FAIL: parser", "FAIL: lexer", "FAIL: parser / test: FAIL: lexer", "")),
)
ACTS = st.tuples(
    st.sampled_from(("claim", "release", "mute", "unmute", "split", "join")),
    st.integers(0, 2),
    st.integers(0, 2),
)
MOVES = st.lists(
    st.tuples(
        st.sampled_from((1, 3, 6, 12, 45)),
        st.one_of(BUILDS, BUILDS, BUILDS, ACTS, st.sampled_from(RULES)),
    ),
    max_size=25,
)


class Board:
    """An engine and one destination, over which strange things happen."""

    def __init__(self) -> None:
        self.engine, self.reader = Engine(), Reader()
        self.kept: dict[str, Incident] = {}
        self.steps: dict[str, list[Step]] = {}
        self.rules: tuple[Rule, ...] = RULES[0]
        self.reports: dict[str, Report] = {}
        self.said: list[Announcement] = []
        self.minute = 600
        self.revision = 0

    def move(self, minutes: int, what: tuple[object, ...]) -> None:
        """Let time pass, and something happen."""
        self.pass_time(minutes)
        if all(isinstance(each, Rule) for each in what):
            self.rules = what  # type: ignore[assignment]  # all of them are
        elif len(what) == 3:
            self.act(*what)
        else:
            self.build(*what)
        self.look()

    def build(self, builder: object, result: object, options: object, lines: object) -> None:
        """Let a build end."""
        self.revision += 1
        clock = f"{self.minute // 60:02}:{self.minute % 60:02}"
        of_lines = f" : test: {lines}" if lines else ""
        line = f"{clock} {builder} {result} r{self.revision} {options}{of_lines}"
        for each in self.reader.events(line):
            assert isinstance(each, EndedBuild)
            self.take(self.engine.end(each))

    def act(self, kind: object, number: object, other: object) -> None:
        """Let a person act on one of the open incidents."""
        there = [each for each in self.kept.values() if each.is_open]
        if not there:
            return
        one, another = (there[int(str(each)) % len(there)] for each in (number, other))
        until = self.now + 1200 if kind == "mute" else None
        names = frozenset({one.first.builder_name}) if kind == "split" else frozenset[str]()
        act = Act(
            kind=str(kind),
            incident=one.id,
            by="ada",
            at=self.now,
            until=until,
            builders=names,
            into=another.id if kind == "join" else None,
        )
        with contextlib.suppress(ActError):
            self.take(perform(self.engine, act))

    @property
    def now(self) -> int:
        """The time."""
        return BEGIN + self.minute * 60

    def take(self, steps: list[Step]) -> None:
        """Keep what has changed."""
        for each in steps:
            self.steps.setdefault(each.incident, []).append(each)
        self.kept |= self.engine.changed
        self.engine.settled()

    def pass_time(self, minutes: int) -> None:
        """Let time pass."""
        for _ in range(minutes):
            self.minute += 1
            self.take(self.engine.advance(self.now))
            if self.minute % 3 == 0:
                self.look()

    def look(self) -> None:
        """Report what is to be reported."""
        found = announce_all(
            self.rules, "chat", self.kept.values(), self.steps, self.reports, self.now
        )
        self.reports |= found.reports
        self.said += found.messages

    def end(self) -> None:
        """Let all be good again, and time pass."""
        for builder in ("linux", "mac", "win"):
            self.build(builder, "ok", "", "")
        for _ in range(30):
            self.minute += 60
            self.take(self.engine.advance(self.now))
            self.look()


class InvariantTest(SynchronousTestCase):
    """Any history."""

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(MOVES, st.integers(0, 10))
    def test_opened_is_closed(self, moves: list[tuple[int, tuple[object, ...]]], at: int) -> None:
        """Each incident is opened, changed and closed in this order, or once in the past tense."""
        board = Board()
        for number, (minutes, what) in enumerate(moves):
            if number == at:
                there = board.kept.values()
                board.reports |= introduce(board.rules, "chat", there, board.now).reports
            board.move(minutes, what)
        board.end()
        for incident in board.kept:
            said = [each for each in board.said if each.incident.id == incident]
            self.assertEqual([each.number for each in said], [*range(1, len(said) + 1)])
            events = [each.event for each in said]
            if events == [CLOSED_EVENT]:
                self.assertTrue(said[0].is_past)
            elif events:
                between = [CHANGED_EVENT] * (len(events) - 2)
                self.assertEqual(events, [OPENED_EVENT, *between, CLOSED_EVENT])
