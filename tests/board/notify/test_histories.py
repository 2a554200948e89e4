"""Histories, replayed: the messages are those that people want, at the wanted times."""

from __future__ import annotations

from collections.abc import Iterator

from support.histories import Doing, History, histories
from support.replays import Replay
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import Step
from buildbot_http_status_push.board.notify.announcing import (
    CLOSED_EVENT,
    OPENED_EVENT,
    Announcement,
    Report,
    announce_all,
    introduce,
)
from buildbot_http_status_push.board.notify.rules import Rule
from buildbot_http_status_push.board.notify.texts import NEVER, headline_of, news_of

RULE = Rule(name="all", to=("chat",))
MINUTE, QUIET_AFTER = 60, 4 * 3600


class Notified(Replay):
    """A history with one destination.

    Attributes:
        said: The messages, each with its time.
        count: How many incidents the summary counts.
    """

    def __init__(self, history: History) -> None:
        self.rules: tuple[Rule, ...] = (RULE,)
        self.reports: dict[str, Report] = {}
        self.said: list[tuple[int, Announcement]] = []
        self.of: dict[str, list[Step]] = {}
        self.count = 0
        self.now = 0
        self.reads = [each.at for each in history.events if _is(each, "read")]
        super().__init__(history)

    def end(self) -> None:
        """Look until nothing happens any more."""
        self.pass_time(self.now + QUIET_AFTER)

    def before(self, event: EndedBuild | Doing) -> None:
        """Look at each minute up to an event."""
        at = max([event.at, *(each for each in self.reads if event.at < each)])
        if self.now:
            self.pass_time(at)
        self.now = at
        if _is(event, "rules"):
            self.rules = ()
        if _is(event, "start"):
            found = introduce(self.rules, "chat", self.kept.values(), event.at)
            self.count = len(found.counted)
            self.reports |= found.reports

    def pass_time(self, until: int) -> None:
        """Look at each minute, as long as something may happen."""
        last = self.now
        while self.now < until:
            self.look()
            self.now = self.now + MINUTE if self.now < last + QUIET_AFTER else until

    def look(self) -> None:
        """Report what is to be reported."""
        self.take(self.engine.advance(self.now))
        for step in self.steps:
            if step not in self.of.setdefault(step.incident, []):
                self.of[step.incident].append(step)
        found = announce_all(
            self.rules, "chat", self.kept.values(), self.of, self.reports, self.now
        )
        self.reports |= found.reports
        self.said += [(self.now, each) for each in found.messages]

    def messages(self) -> Iterator[tuple[int, str, str]]:
        """Yield what was said, as histories have it."""
        for at, each in self.said:
            kind = each.event.rpartition(".")[2]
            yield at, kind, self.letters[each.incident.id]


def _is(event: EndedBuild | Doing, verb: str) -> bool:
    return isinstance(event, Doing) and event.verb == verb


class MessagesTest(SynchronousTestCase):
    """Messages of histories."""

    def test_messages(self) -> None:
        """Each history has the wanted messages at the wanted times."""
        wrong = {}
        for name, history in histories().items():
            notified = Notified(history)
            seen = sorted(notified.messages())
            wanted = sorted(each[:3] for each in history.says if each[1] != "summary")
            if seen != wanted:
                wrong[name] = (seen, wanted)
            summaries = [text for _, kind, _, text in history.says if kind == "summary"]
            self.assertEqual(bool(notified.count), bool(summaries), name)
        self.assertEqual(wrong, {})

    def test_headlines(self) -> None:
        """Each first line has what, where and since when in 120 characters, and no blame."""
        for name, history in histories().items():
            for at, each in Notified(history).said:
                text = headline_of(news_of(each, "", at))
                if each.event != CLOSED_EVENT:  # its several endings come last
                    self.assertLessEqual(len(text), 120, name)
                self.assertNotIn("{", text)
                for words in NEVER:
                    self.assertNotIn(words, text.lower())
                if each.event == OPENED_EVENT:
                    self.assertRegex(text, " on .* since ..:.. UTC", name)
