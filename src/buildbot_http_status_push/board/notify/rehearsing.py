"""What rules would have sent of a history, and what they would have kept back. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import define, field, frozen

from buildbot_http_status_push.board.incidents.engine import SETTLE, Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import AGAIN, Incident, Step
from buildbot_http_status_push.board.notify.announcing import (
    OPEN,
    Announcement,
    Report,
    announce_all,
    introduce,
)
from buildbot_http_status_push.board.notify.rules import Rule


@frozen(kw_only=True)
class Rehearsal:
    """What would have been sent.

    Args:
        sent: The messages, each with its time and destination.
        kept: Why nothing would have been sent of an incident, by destination and id.
        incidents: The incidents that began since then, by their ids.
    """

    sent: Sequence[tuple[float, str, Announcement]]
    kept: Mapping[str, Mapping[str, str]]
    incidents: Mapping[str, Incident]

    @property
    def ended_unchanged(self) -> tuple[int, int]:
        """How many incidents ended without any change, and how many ended."""
        ended = [each for each in self.incidents.values() if not each.is_open]
        return sum(each.endings == {AGAIN} for each in ended), len(ended)


def rehearse(
    rules: Sequence[Rule],
    destinations: Iterable[str],
    engine: Engine,
    history: Iterable[EndedBuild],
    since: float,
    until: float,
    shown: Callable[[Incident], Incident] = lambda incident: incident,
) -> Rehearsal:
    """Replay a history.

    Args:
        rules: The rules, in order.
        destinations: The names of the destinations.
        engine: What makes incidents of builds.
        history: The builds, in the order that they ended in; some from before ``since``.
        since: When reporting begins, in seconds since the epoch.
        until: When the history ends.
        shown: Returns an incident with the known failures that its lines are of.
    """
    stage = _Stage(rules, {name: {} for name in destinations}, engine, shown)
    has_begun = False
    for ended in history:
        if not has_begun and ended.at >= since:
            stage.begin(since)
            has_begun = True
        if has_begun:
            stage.pass_time(ended.at)
        steps = engine.end(ended, is_first_start=not has_begun)
        stage.take(steps)
        if has_begun and steps:
            stage.due = ended.at
    if not has_begun:
        stage.begin(since)
    stage.pass_time(until)
    return stage.rehearsal()


@define
class _Stage:
    rules: Sequence[Rule]
    reports: dict[str, dict[str, Report]]
    engine: Engine
    shown: Callable[[Incident], Incident]
    due: float = math.inf
    sent: list[tuple[float, str, Announcement]] = field(factory=list)
    kept: dict[str, dict[str, str]] = field(factory=dict)
    live: dict[str, Incident] = field(factory=dict)
    every: dict[str, Incident] = field(factory=dict)
    steps: dict[str, list[Step]] = field(factory=dict)

    def begin(self, now: float) -> None:
        """Leave out what is open."""
        for name, reports in self.reports.items():
            reports.update(introduce(self.rules, name, self.live.values(), now).reports)
        self.every = dict(self.live)
        self.due = now

    def take(self, steps: Iterable[Step]) -> None:
        """Keep what has changed."""
        for each in steps:
            self.steps.setdefault(each.incident, []).append(each)
        for number, incident in self.engine.changed.items():
            self.live[number] = self.every[number] = self.shown(incident)
        self.engine.settled()

    def pass_time(self, until: float) -> None:
        """Look whenever it is time."""
        while self.due <= until:
            self.look(self.due)

    def look(self, now: float) -> None:
        """Report what is to be reported."""
        self.take(self.engine.advance(now))
        moments: list[float] = [
            each.over_at + SETTLE[each.kind]
            for each in self.live.values()
            if each.is_open and each.over_at is not None
        ]
        for name, reports in self.reports.items():
            found = announce_all(self.rules, name, self.live.values(), self.steps, reports, now)
            reports.update(found.reports)
            self.sent += [(now, name, each) for each in found.messages]
            self.kept.setdefault(name, {}).update(found.kept)
            moments += [] if found.again_at is None else [found.again_at]
        self.due = min((each for each in moments if each > now), default=math.inf)
        for number in [n for n, each in self.live.items() if self._is_settled(each)]:
            del self.live[number]

    def _is_settled(self, incident: Incident) -> bool:
        if incident.is_open:
            return False
        found = (reports.get(incident.id) for reports in self.reports.values())
        return all(each is not None and each.state != OPEN for each in found)

    def rehearsal(self) -> Rehearsal:
        """Return what has come of it."""
        kept = {
            name: {
                number: why
                for number, why in reasons.items()
                if not (report := self.reports[name].get(number)) or not report.messages
            }
            for name, reasons in self.kept.items()
        }
        return Rehearsal(sent=self.sent, kept=kept, incidents=self.every)
