"""Holds what a receiver has seen against what the master's database says happened. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from attrs import field, frozen

KILLED = "killed before the row was updated"
REACH_OF_A_KILL = 5.0
UNRECORDED_MOST = 10.0
"""Seconds until a start is recorded at the latest, on a machine with much to do."""
RECEIVER_ENDED = "the receiver ended before it answered"
REACH_OF_AN_END = 0.5
AWAY = "accepted while the outbox stood in memory"
REACH_OF_AN_OUTAGE = 30.0
LOST_OUTBOX = "lost outbox"
NO_ROW = "no row"
LIVES = (["incident.opened", "incident.closed"], ["incident.closed"])
"""What is said of an incident: one that is over before anything was said is one message."""


@frozen(order=True)
class Status:
    """What is told of a build: that it began, or (``finish``) that it ended."""

    build: int
    finish: bool

    def __str__(self) -> str:
        """Say it in words."""
        return f"the {'finish' if self.finish else 'start'} of build {self.build}"


@frozen
class Build:
    """A build as the master's database has it.

    Args:
        id: Its id.
        request: The id of its build request, which is its lane.
        builder: The builder's name.
        results: The result code, None while it runs.
        started_at: Whole seconds since the epoch.
        complete_at: Likewise, None while it runs.
    """

    id: int
    request: int
    builder: str
    results: int | None
    started_at: int
    complete_at: int | None

    @property
    def statuses(self) -> tuple[Status, ...]:
        """What a receiver must have been told."""
        begun, ended = Status(self.id, finish=False), Status(self.id, finish=True)
        return (begun,) if self.complete_at is None else (begun, ended)


@frozen
class Acceptance:
    """A POST that the receiver has taken.

    Args:
        at: When, in seconds since the epoch.
        delivery: The ``webhook-id``.
        status: What it told.
        results: The build's result code, as told.
    """

    at: float
    delivery: str
    status: Status
    results: int | None = None


@frozen
class Trouble:
    """Something that the receiver did to a POST other than to take and answer it.

    Args:
        at: When, in seconds since the epoch.
        delivery: The ``webhook-id``.
        what: In words.
        accepted: Whether the POST was taken all the same.
    """

    at: float
    delivery: str
    what: str
    accepted: bool = False


@frozen
class Record:
    """What the receiver has written down, in order."""

    acceptances: Sequence[Acceptance] = ()
    troubles: Sequence[Trouble] = ()


@frozen
class Circumstances:
    """What was done to the master, and what therefore is no fault.

    Args:
        kills: When the master was killed, in seconds since the epoch.
        ends: When the receiver was ended.
        losses: When the outbox was lost.
        outages: When the outbox's database was back after a moment away.
        refused_builders: The builders whose statuses the receiver never takes.
        never_answers: Whether it does not answer them either: it may have taken a finish.
        keeps_begins: Whether nothing was done that makes a begin superfluous.
    """

    kills: Sequence[float] = ()
    ends: Sequence[float] = ()
    losses: Sequence[float] = ()
    outages: Sequence[float] = ()
    refused_builders: Collection[str] = ()
    never_answers: bool = False
    keeps_begins: bool = False


States: TypeAlias = Mapping[tuple[str, int | str], str]
"""In a word or two the states of requests by their ids, of workers and builders by their names."""

Rows: TypeAlias = Mapping[Status, str]
"""The state of each status in the outbox."""


@frozen
class Message:
    """A message to a destination, as the outbox has it.

    Args:
        destination: To which.
        id: Its id.
        lane: What it is about.
        event: What it says of that.
        state: Whether it was delivered, or waits.
    """

    destination: str
    id: str
    lane: str
    event: str
    state: str


@frozen
class Finding:
    """What came out.

    Args:
        missing: Statuses that were not accepted though they should have been, with the reason.
        unbegun: Starts that were not recorded before a kill, or got lost with the outbox. When the
            build has ended, its finish is all that is worth telling.
        superseded: Starts that were refused, and whose finish was accepted.
        held: Statuses of refused builders that wait, as they should.
        not_held: Statuses of refused builders that do not wait.
        late: Statuses that came after a later one of the same build or build request.
        excused: Such, where the receiver is the cause: it had refused the earlier status, or had
            taken the later one without answering.
        wrong: Builds whose last accepted status is not how they ended.
        duplicates: How many POSTs came again, by their cause.
        unexplained: Deliveries that came again without any cause.
    """

    missing: Sequence[str] = ()
    unbegun: Sequence[Status] = ()
    superseded: Sequence[Status] = ()
    held: Sequence[Status] = ()
    not_held: Sequence[str] = ()
    late: Sequence[str] = ()
    excused: Sequence[str] = ()
    wrong: Sequence[str] = ()
    duplicates: Mapping[str, int] = field(factory=dict)
    unexplained: Sequence[str] = ()

    @property
    def faults(self) -> list[str]:
        """Return what must not be, in words."""
        kinds = {
            "lost": self.missing,
            "not waiting": self.not_held,
            "out of order": self.late,
            "wrong final state": self.wrong,
            "duplicates without a cause": self.unexplained,
        }
        return [f"{kind}: {each}" for kind, found in kinds.items() for each in found]


def judge(
    builds: Sequence[Build], record: Record, rows: Rows, circumstances: Circumstances
) -> Finding:
    """Compare.

    Args:
        builds: All builds of the master's database.
        record: What the receiver has seen.
        rows: What the outbox holds.
        circumstances: What was done.
    """
    refused = circumstances.refused_builders
    theirs = [build for build in builds if build.builder in refused]
    others = [build for build in builds if build.builder not in refused]
    accepted = {each.status for each in record.acceptances}
    absent = _absent(others, accepted)
    permitted = _permitted(absent, rows, circumstances)
    late, excused = _disorder(builds, record)
    causes, unexplained = _duplicates(record, circumstances)
    return Finding(
        missing=[_because(each, rows) for each in absent if each not in permitted],
        unbegun=[each for each, reason in permitted.items() if reason == NO_ROW],
        superseded=[each for each, reason in permitted.items() if reason != NO_ROW],
        held=[each for each in _absent(theirs, accepted) if _waits(each, rows)],
        not_held=[
            _because(each, rows)
            for build in theirs
            for each in build.statuses
            if each in accepted or not _is_held(each, rows, circumstances)
        ],
        late=late,
        excused=excused,
        wrong=_wrong(others, record.acceptances),
        duplicates=causes,
        unexplained=unexplained,
    )


def misshown(
    builds: Sequence[Build],
    shown: Mapping[int, int | None],
    refused_builders: Collection[str],
    unbegun: Sequence[Status],
) -> list[str]:
    """Compare a board with the master's database, build for build.

    Args:
        builds: All builds of the master's database.
        shown: The results of the board's builds by id, None of those that run.
        refused_builders: The builders whose statuses never arrived.
        unbegun: The begins that a kill came before: of such a build the board knows its end only.
    """
    unknown_yet = {each.build for each in unbegun}
    due = {
        each.id: each.results
        for each in builds
        if each.builder not in refused_builders
        and not (each.results is None and each.id in unknown_yet)
    }
    wrong = [
        f"build {build} has result {shown.get(build, 'none at all')}, and ended with {results}"
        for build, results in due.items()
        if build not in shown or shown[build] != results
    ]
    unknown = set(shown) - {each.id for each in builds}
    return [*wrong, *(f"build {build} is not known to the master" for build in sorted(unknown))]


def unlike(states: States, found: States, place: str) -> list[str]:
    """Compare requests, workers and builders with the master's.

    Args:
        states: The master's.
        found: Those to compare with them.
        place: Where they were found.
    """
    return [
        f"{kind} {name} is {state}, {place} {found.get((kind, name))}"
        for (kind, name), state in states.items()
        if found.get((kind, name)) != state
    ]


def misdelivered(messages: Sequence[Message], taken: Sequence[str]) -> list[str]:
    """Find messages of a destination that were lost, made twice, or taken out of order.

    Args:
        messages: Its messages, in the order in which they were made.
        taken: The ids of what it took, in order, repeats too.
    """
    lanes = defaultdict(list)
    for each in messages:
        lanes[each.lane].append(each)
    once = list(dict.fromkeys(taken))
    faults = [f"{each.event} {each.id} is {each.state}" for each in messages if each.id not in once]
    faults += [f"{each} was never made" for each in once if each not in {m.id for m in messages}]
    for lane, made in lanes.items():
        if [each.event for each in made] not in LIVES:
            faults.append(f"{lane}: {', '.join(each.event for each in made)}")
        places = [once.index(each.id) for each in made if each.id in once]
        if places != sorted(places):
            faults.append(f"{lane} was taken out of order")
    return faults


def _absent(builds: Iterable[Build], accepted: Collection[Status]) -> dict[Status, Build]:
    return {
        status: build for build in builds for status in build.statuses if status not in accepted
    }


def _waits(status: Status, rows: Rows) -> bool:
    return rows.get(status) in ("waiting", "retrying")


def _is_held(status: Status, rows: Rows, circumstances: Circumstances) -> bool:
    superfluous = not status.finish and rows.get(status) == "superseded"
    return _waits(status, rows) or (circumstances.never_answers and superfluous)


def _because(status: Status, rows: Rows) -> str:
    return f"{status} ({rows.get(status, NO_ROW)})"


def _permitted(
    absent: Mapping[Status, Build], rows: Rows, circumstances: Circumstances
) -> dict[Status, str]:
    """Return the starts that may be absent: superseded ones, and those that nothing knows of."""
    reasons = {}
    for status, build in absent.items():
        reason = rows.get(status, NO_ROW)
        unknowable = reason == NO_ROW and _is_unknowable(build, circumstances)
        superfluous = reason == "superseded" and not circumstances.keeps_begins
        if not status.finish and (unknowable or superfluous):
            reasons[status] = reason
    return reasons


def _is_unknowable(build: Build, circumstances: Circumstances) -> bool:
    """Tell whether nothing could know of a build's start any more when the build had ended."""
    # Builds know whole seconds only.
    killed = any(-1 <= at - build.started_at <= UNRECORDED_MOST for at in circumstances.kills)
    return killed or any(build.started_at <= at for at in circumstances.losses)


def _disorder(builds: Iterable[Build], record: Record) -> tuple[list[str], list[str]]:
    lanes = {build.id: build.request for build in builds}
    newest: dict[int, Acceptance] = {}
    seen: set[Status] = set()
    late: list[str] = []
    excused: list[str] = []
    for each in record.acceptances:
        lane = lanes.get(each.status.build, -1)
        before = newest.setdefault(lane, each)
        newest[lane] = max(before, each, key=lambda acceptance: (acceptance.status, acceptance.at))
        same_build = each.status.build == before.status.build
        # What comes once more, and is about another build, changes nothing that is known.
        if each.status < before.status and (same_build or each.status not in seen):
            known = _was_answered(before, each.at, record)
            provoked = not known or (not same_build and _was_refused(each, record))
            (excused if provoked else late).append(f"{each.status} after {before.status}")
        seen.add(each.status)
    return late, excused


def _was_answered(acceptance: Acceptance, until: float, record: Record) -> bool:
    return not any(
        each.delivery == acceptance.delivery and each.accepted and acceptance.at <= each.at <= until
        for each in record.troubles
    )


def _was_refused(acceptance: Acceptance, record: Record) -> bool:
    return any(
        each.delivery == acceptance.delivery and not each.accepted and each.at <= acceptance.at
        for each in record.troubles
    )


def _wrong(builds: Iterable[Build], acceptances: Iterable[Acceptance]) -> list[str]:
    last = {each.status.build: each for each in acceptances}
    return [
        f"build {build.id} ended with {build.results}, told was "
        f"{last[build.id].results if last[build.id].status.finish else 'its start'}"
        for build in builds
        if build.id in last and build.complete_at is not None
        if not last[build.id].status.finish or last[build.id].results != build.results
    ]


def _duplicates(record: Record, circumstances: Circumstances) -> tuple[dict[str, int], list[str]]:
    times = defaultdict(list)
    for each in record.acceptances:
        times[each.delivery].append(each)
    causes: Counter[str] = Counter()
    unexplained = []
    for earlier, later in (pair for each in times.values() for pair in pairwise(each)):
        cause = _cause(earlier, later, record, circumstances)
        if cause is None:
            unexplained.append(f"{later.status} ({later.delivery})")
        else:
            causes[cause] += 1
    return dict(causes), unexplained


def _cause(
    earlier: Acceptance, later: Acceptance, record: Record, circumstances: Circumstances
) -> str | None:
    causes = {
        KILLED: (circumstances.kills, REACH_OF_A_KILL),
        LOST_OUTBOX: (circumstances.losses, float("inf")),
        RECEIVER_ENDED: (circumstances.ends, REACH_OF_AN_END),
    }
    for trouble in record.troubles:
        theirs = trouble.accepted and trouble.delivery == later.delivery
        if theirs and earlier.at <= trouble.at <= later.at:
            return trouble.what
    for cause, (times, reach) in causes.items():
        if any(earlier.at <= at <= min(later.at, earlier.at + reach) for at in times):
            return cause
    in_memory = (abs(earlier.at - at) <= REACH_OF_AN_OUTAGE for at in circumstances.outages)
    return AWAY if any(in_memory) else None
