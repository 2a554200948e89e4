"""Reads ``histories.txt``: events, what an incident should make of them, and what to report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import define, evolve, field, frozen

from buildbot_http_status_push.board.failures.lines import FailedLine, reason_of
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import IncidentReason
from buildbot_http_status_push.board.model import Build, Changes, Known, Source, SourceChange
from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)

TEXT = Path(__file__).parent.parent / "board" / "incidents" / "histories.txt"
DAY = 86_400
BEGIN = 1_790_000_000 // DAY * DAY
"""The midnight at which all histories begin."""
RESULTS = {
    "ok": SUCCESS,
    "warn": WARNINGS,
    "bad": FAILURE,
    "exc": EXCEPTION,
    "retry": RETRY,
    "cancel": CANCELLED,
    "skip": SKIPPED,
}
LIB = 1000
"""What is added to a revision of the codebase ``lib`` to make the id of its change."""


@frozen
class Doing:
    """Something that is no build: what a person does, a removal, the board's first start."""

    at: int
    verb: str
    words: tuple[str, ...]
    options: dict[str, str]

    @property
    def until(self) -> int | None:
        """Until when a mute is to last."""
        return _time(self.options["until"])[0] if "until" in self.options else None


@define
class History:
    """A history.

    Attributes:
        name: What it is about.
        events: Builds that ended, and what else happened, in order.
        steps: The wanted steps, as ``(time, kind, incident's letter, builder, ending)``.
        suspects: The wanted number of suspects by letter, or ``unchanged`` or ``none``.
        says: The wanted messages, as ``(time, kind, letter, text)``.
    """

    name: str
    events: list[EndedBuild | Doing] = field(factory=list)
    steps: list[tuple[int, str, str, str, str]] = field(factory=list)
    suspects: dict[str, str] = field(factory=dict)
    says: list[tuple[int, str, str, str]] = field(factory=list)


def histories() -> dict[str, History]:
    """Return all histories by their names."""
    text = TEXT.read_text("utf-8")
    parts = re.split(r"(?m)^== ", text)[1:]
    return {part.partition("\n")[0]: _history(part) for part in parts}


def _history(part: str) -> History:
    name, _, rest = part.partition("\n")
    history, section = History(name), "events"
    reader = Reader()
    for line in filter(str.strip, rest.splitlines()):
        if line in ("steps", "says"):
            section = line
        elif section == "says":
            if line != "-":
                time, kind, letter, text = (*line.split(maxsplit=3), "")[:4]
                history.says.append((_time(time)[0], kind, letter, text))
        elif section == "steps" and line.startswith("suspects "):
            _, letter, wanted = line.split()
            history.suspects[letter] = wanted
        elif section == "steps":
            history.steps += _steps(line)
        else:
            history.events += reader.events(line)
    return history


def _steps(line: str) -> Iterator[tuple[int, str, str, str, str]]:
    time, kind, letter, *more = line.split()
    at, apart = _time(time)
    builders = _names(more[0]) if more else [""]
    for number, builder in enumerate(builders):
        ending = more[1] if len(more) > 1 else ""
        yield at + 60 * apart * number, kind, letter, builder, ending


def _time(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(?:\+(\d+)d)?(\d\d):(\d\d)(?:\+(\d+))?", text)
    assert found, text
    days, hours, minutes, apart = (int(each or 0) for each in found.groups())
    return BEGIN + days * DAY + hours * 3600 + minutes * 60, apart


def _names(text: str) -> list[str]:
    found: list[str] = []
    for each in text.split(","):
        several = re.fullmatch(r"([a-z]+)(\d+)\.\.[a-z]+(\d+)", each)
        if several:
            first, last = int(several[2]), int(several[3])
            found += [f"{several[1]}{number}" for number in range(first, last + 1)]
        else:
            found.append(each)
    return found


@define
class Reader:
    """Makes events of lines, whose builds follow each other."""

    builders: dict[tuple[str, str], int] = field(factory=dict)
    numbers: dict[int, int] = field(factory=dict)
    buildids: dict[tuple[str, str], int] = field(factory=dict)
    succeeded: dict[tuple[int, str], tuple[int, int]] = field(factory=dict)
    good: set[tuple[int, str]] = field(factory=set)
    seen: set[str] = field(factory=set)
    count: int = 0

    def events(self, line: str) -> Iterator[EndedBuild | Doing]:
        """Yield the events of a line."""
        head, _, lines = line.partition(" : ")
        time, *words = head.split()
        options = dict(each.split("=", 1) for each in words if "=" in each)
        plain = [each for each in words if "=" not in each]
        at, apart = _time(time)
        if len(plain) < 2 or plain[1] not in RESULTS:
            yield Doing(at, plain[0], tuple(plain[1:]), options)
            return
        for number, name in enumerate(_names(plain[0])):
            yield self._ended(at + 60 * apart * number, name, plain[1:], options, lines)

    def _ended(
        self, at: int, name: str, plain: list[str], options: dict[str, str], lines: str
    ) -> EndedBuild:
        self.count += 1
        cluster, branch = options.get("master", "main"), options.get("branch", "main")
        builder = self.builders.setdefault((cluster, name), len(self.builders) + 1)
        self.numbers[builder] = self.numbers.get(builder, 0) + 1
        buildid = self.buildids.pop((cluster, name), self.count)
        result, key = RESULTS[plain[0]], (builder, branch)
        revision, lib = int(plain[1][1:]), int(options.get("lib", "r0")[1:])
        done, lib_done = self.succeeded.get(key, (0, 0))
        ids = [*range(done + 1, revision + 1), *range(LIB + lib_done + 1, LIB + lib + 1)]
        if result == SUCCESS and "patch" not in plain:
            self.succeeded[key] = (max(done, revision), max(lib_done, lib))
        parent = options.get("parent")
        triggering = parent and self.buildids.setdefault((cluster, parent), 5000 + self.count)
        sources = [Source("", branch, str(revision), None, revision)]
        if lib:
            sources.append(Source("lib", branch, str(lib), None, LIB + lib))
        reasons = [*self._reasons(lines, key, options)] if result in (FAILURE, EXCEPTION) else []
        if result in (SUCCESS, WARNINGS):
            self.good.add(key)
        step = options.get("step") or (reasons[0].reason.step if reasons else None)
        build = Build(
            id=self.count,
            master=sorted({each for each, _ in self.builders}).index(cluster) + 1,
            builder=builder,
            builder_name=name,
            buildid=buildid,
            number=self.numbers[builder],
            request=None,
            started_at=at - 300,
            complete_at=at,
            results=result,
            state_string="failed" if result == FAILURE else "",
            submitted_at=None,
            worker=options.get("worker", "w1"),
            branch=branch,
            revision=str(revision),
            project=None,
            owner=None,
            url=f"https://ci.example.org/#/builders/{builder}/builds/{self.numbers[builder]}",
            sequence=self.count,
            sources=tuple(sources),
            judges="patch" not in plain,
            step=step if result in (FAILURE, EXCEPTION) else None,
        )
        return EndedBuild(
            build=build,
            cluster=cluster,
            reasons=tuple(reasons),
            changes=Changes(
                ids=frozenset(ids),
                shown=tuple(
                    SourceChange(author="Ada", comment=f"change {each}", id=each)
                    for each in ids[-100:]
                ),
                count=len(ids),
            ),
            ran=frozenset(filter(None, options.get("ran", "").split(","))),
            parent=triggering or None,
        )

    def _reasons(
        self, lines: str, key: tuple[int, str], options: dict[str, str]
    ) -> Iterator[IncidentReason]:
        passed, _, rebuilt = options.get("rate", "0/0").partition("/")
        known = options.get("known")
        for number, each in enumerate(filter(None, lines.split(" / "))):
            step, _, text = each.strip().partition(": ")
            reason = reason_of(FailedLine("line", step, text))
            is_seen = reason.signature in self.seen
            self.seen.add(reason.signature)
            made = IncidentReason(
                reason=reason,
                state="recurring" if is_seen else "new" if key in self.good else "unknown",
            )
            if number == 0:  # the rate and what is known are about the first line
                made = evolve(made, passed=int(passed), rebuilt=int(rebuilt))
                if known:
                    title = Known(name="k", title="known", until=_time(known)[0])
                    made = evolve(made, known=title)
            yield made
