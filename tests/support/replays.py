"""Histories fed to the engine of incidents."""

from __future__ import annotations

from collections.abc import Iterable

from support.histories import Doing, History

from buildbot_http_status_push.board.incidents.acts import Act, perform
from buildbot_http_status_push.board.incidents.engine import Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import OVER, Incident, Step
from buildbot_http_status_push.board.model import GOOD
from buildbot_http_status_push.board.store.incident_rows import (
    incident_of,
    incident_row,
    place_text,
    track_of,
    track_text,
)


def first_look(events: Iterable[EndedBuild]) -> list[EndedBuild]:
    """Return what the board reads at its first start: of each builder what says how it stands."""
    kept: dict[object, list[EndedBuild]] = {}
    for each in events:
        if each.build.results in GOOD:
            kept[each.key] = [each]
        elif each.build.is_conclusive:
            kept[each.key] = [*kept.get(each.key, [])[:2], each]
    every = [each for some in kept.values() for each in some]
    return sorted(every, key=lambda each: (each.at, each.build.id))


class Replay:
    """An engine that a history is fed to."""

    def __init__(self, history: History) -> None:
        self.engine = Engine()
        self.steps: list[Step] = []
        self.kept: dict[str, Incident] = {}
        self.letters: dict[str, str] = {}
        starts = [n for n, each in enumerate(history.events) if _is(each, "start")]
        begin = starts[0] if starts else 0
        before = [each for each in history.events[:begin] if isinstance(each, EndedBuild)]
        for each in first_look(before):
            self.take(self.engine.end(each, is_first_start=True))
        for event in history.events[begin:]:
            self.before(event)
            if isinstance(event, EndedBuild):
                self.take(self.engine.end(event))
            else:
                self.do(event, history)
        self.end()

    def end(self) -> None:
        """Let time pass after the last event."""
        self.take(self.engine.advance(2**40))

    def take(self, steps: Iterable[Step]) -> None:
        """Keep steps, and name incidents in the order that they are opened."""
        for step in steps:
            self.steps.append(step)
            self.letters.setdefault(step.incident, "ABCDEFGH"[len(self.letters)])
        self.kept |= self.engine.changed
        self.engine.settled()

    def before(self, event: EndedBuild | Doing) -> None:
        """Do nothing before an event."""

    def do(self, event: Doing, history: History) -> None:
        """Do what is no build."""
        if event.verb in ("start", "read", "rules", "prune"):
            return
        if event.verb == "remove":
            numbers = {
                each.build.builder: each.build.branch
                for each in history.events
                if isinstance(each, EndedBuild) and each.build.builder_name == event.words[0]
            }
            for number, branch in numbers.items():
                self.take(self.engine.remove(number, branch or "", event.at))
            return
        ids = {letter: number for number, letter in self.letters.items()}
        more = event.words[1:]
        act = Act(
            kind=event.verb,
            incident=ids[event.words[0]],
            by=event.options["by"],
            at=event.at,
            until=event.until,
            builders=frozenset(more) if event.verb == "split" else frozenset(),
            into=ids[more[0]] if event.verb == "join" else None,
        )
        self.take(perform(self.engine, act))

    def seen(self) -> list[tuple[int, str, str, str, str]]:
        """Return the steps as histories have them."""
        return [
            (
                int(each.at),
                each.kind.replace(" ", "-"),
                self.letters[each.incident],
                each.builder or "",
                (each.about or "") if each.kind == OVER else "first-start" * each.is_first_start,
            )
            for each in self.steps
        ]


def _is(event: EndedBuild | Doing, verb: str) -> bool:
    return isinstance(event, Doing) and event.verb == verb


class RestartedReplay(Replay):
    """A board that is restarted after each event: it has what the tables keep."""

    def take(self, steps: Iterable[Step]) -> None:
        """Keep steps, then forget all but what is kept."""
        super().take(steps)
        incidents = [
            incident_of(str(incident_row(each)["content"]), map(place_text, each.places))
            for each in self.engine.incidents.values()
        ]
        self.engine = Engine(
            incidents={each.id: each for each in incidents},
            tracks={key: track_of(track_text(each)) for key, each in self.engine.tracks.items()},
        )
