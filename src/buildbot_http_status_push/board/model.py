"""What the board speaks of: masters, builders, builds, and positions in the order of updates.

Values only: knows no network, no database, no templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from buildbot_http_status_push.results import (
    CANCELLED,
    EXCEPTION,
    FAILURE,
    RETRY,
    SKIPPED,
    SUCCESS,
    WARNINGS,
)

STATES = {
    SUCCESS: "good",
    WARNINGS: "good",
    FAILURE: "bad",
    EXCEPTION: "inconclusive",
    RETRY: "none",
    CANCELLED: "none",
    SKIPPED: "none",
}
"""What each result says of the code. Inconclusive: the build should have judged it, and did not.

A result of a newer Buildbot that is missing here says nothing.
"""


def _results_of(*states: str) -> frozenset[int]:
    return frozenset(result for result, state in STATES.items() if state in states)


GOOD = _results_of("good")
BAD = _results_of("bad")
CONCLUSIVE = _results_of("good", "bad")
INCONCLUSIVE = _results_of("inconclusive")

SHORTEST = 6
"""How many characters of a revision's beginning are enough to find it."""
REASONS = {
    "new": "new",
    "new reason": "still red, now for another reason",
    "ongoing": "for the same reason as the build before",
    "recurring": "seen before",
    "known": "known",
    "unknown": "",
}
"""What is remembered of a bad build's reasons, and the words for it.

- new: the builder was good before, and none of the lines was ever seen.
- new reason: the build before was bad too, and none of its lines is among these.
- ongoing: the build before was bad too, and shares a line.
- recurring: the first bad build, and some line was seen earlier.
- known: every line is that of a known failure.
- unknown: there are no lines, or memory does not reach back to a good build.
"""

RECENT = 30
"""How many of its latest builds a builder carries with it."""
SUSPECTS = 5
"""How many suspected changes a builder carries with it; of more, only their number is shown."""


@frozen
class Position:
    """A place in the order of all updates.

    Args:
        epoch: Names the order; another one begins anew, and its sequences say nothing here.
        sequence: The number of the last update that is known.
    """

    epoch: str
    sequence: int


@frozen(kw_only=True)
class Master:
    """A Buildbot master that has sent something.

    Args:
        id: The board's number for it.
        name: What people call it.
        url: Its web interface, with a slash at the end.
        heard_at: When its last status came, in seconds since the epoch.
    """

    id: int
    name: str
    url: str
    heard_at: float


@frozen
class Source:
    """What was built, of one codebase.

    Args:
        codebase: Its name, empty for the default one.
        branch: The branch.
        revision: The revision that was built, where it is known.
        project: The project.
        change: The highest id of its changes in the build, where changes were sent.
        stamp: The id of its sourcestamp, where that names a revision.
    """

    codebase: str
    branch: str | None = None
    revision: str | None = None
    project: str | None = None
    change: int | None = None
    stamp: int | None = None


@frozen(kw_only=True)
class Build:
    """A build as lists show it.

    Args:
        id: The board's own number, for permalinks; it survives the master.
        master: The master's number on the board.
        builder: The builder's number on the board.
        builder_name: The builder's name.
        buildid: The build's id in the master's database.
        number: Its number among the builder's builds.
        request: The id of its build request in the master's database.
        started_at: Seconds since the epoch.
        complete_at: Seconds since the epoch, None while it runs.
        results: Buildbot's result code, None while it runs.
        state_string: How it stands, in the master's words.
        submitted_at: When it was asked for, in seconds since the epoch, where that is known.
        worker: The worker's name, where it is known.
        branch: The branch of all codebases; where they differ, ``CODEBASE:BRANCH`` of each.
        revision: The first codebase's revision that was built, where it is known.
        project: The builder's or the first codebase's project.
        owner: Who is responsible, where it is known.
        url: Its page in Buildbot.
        sequence: The number of the update that it was last changed by.
        sources: What was built, by the codebases' names.
        judges: Whether it is about its branch: not a patch, and not a pull request.
        step: The name of the step that failed, where steps were sent.
    """

    id: int
    master: int
    builder: int
    builder_name: str
    buildid: int
    number: int
    request: int | None
    started_at: int
    complete_at: int | None
    results: int | None
    state_string: str
    submitted_at: int | None
    worker: str | None
    branch: str | None
    revision: str | None
    project: str | None
    owner: str | None
    url: str | None
    sequence: int
    sources: tuple[Source, ...] = ()
    judges: bool = True
    step: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.complete_at is None

    @property
    def is_conclusive(self) -> bool:
        """Whether its result says if the code that it built is good."""
        return self.results in CONCLUSIVE

    @property
    def is_bad(self) -> bool:
        """Whether its result says that the code is bad."""
        return self.results in BAD

    @property
    def is_inconclusive(self) -> bool:
        """Whether it should have judged the code, and could not."""
        return self.results in INCONCLUSIVE

    @property
    def branches(self) -> frozenset[str]:
        """The branches that it may be found by."""
        each = {source.branch for source in self.sources} | {self.branch}
        return frozenset(name for name in each if name)

    @property
    def duration(self) -> int | None:
        """Seconds that it took, None while it runs."""
        return None if self.complete_at is None else max(self.complete_at - self.started_at, 0)


@frozen(kw_only=True)
class SourceChange:
    """A change of the source, as lists show it.

    Args:
        author: Who made it.
        comment: The first line of what they said of it.
        at: When it was made, in seconds since the epoch, where that is known.
        revision: Its revision, where it is known.
        url: Its page in a repository browser (http or https only), where there is one.
        id: Its id in the master's database, where it is known.
        codebase: Its codebase, empty for the default one.
    """

    author: str
    comment: str
    at: int | None = None
    revision: str | None = None
    url: str | None = None
    id: int | None = None
    codebase: str = ""


@frozen(kw_only=True)
class Changes:
    """The changes of a build, bounded.

    Args:
        ids: The ids of all of them, as far as they were sent.
        shown: The newest of them, with what is shown.
        count: How many there are.
    """

    ids: frozenset[int] = frozenset()
    shown: tuple[SourceChange, ...] = ()
    count: int = 0


@frozen(kw_only=True)
class Reason:
    """A line that says why a build failed, or a failed test.

    Args:
        signature: What identifies it from one run to the next.
        rule: What chose the line, ``test`` for a failed test.
        step: The name of the step, of a test its suite.
        text: The line, of a test its name.
    """

    signature: str
    rule: str
    step: str
    text: str


@frozen(kw_only=True)
class Known:
    """A failure that people know of.

    Args:
        name: The name of its file, without the ending.
        title: What it is.
        link: Where it is dealt with (http or https only), where that is given.
        owner: Who deals with it, where that is given.
        until: The last second at which it counts, since the epoch, None for no end.
    """

    name: str
    title: str
    link: str | None = None
    owner: str | None = None
    until: float | None = None


@frozen(kw_only=True)
class Memory:
    """What the board remembers of a bad build's reasons.

    Args:
        state: One of ``REASONS``.
        reasons: The lines and tests, in the order of the build's steps.
        is_cut: Whether there were more of them.
        common: The signatures of reasons that come with many others, and say little.
        in_a_row: How many builds up to this one share a telling reason, each with the next.
        earlier: In how many earlier breakages a reason was seen; on many builders at once is one.
        earlier_since: When the first of these began, in seconds since the epoch.
        is_bounded: Whether there were more occurrences than were looked at.
        builders: On how many other builders it is seen in the same breakage.
        before: A revision that failed alike before the code that this builder broke with.
        rebuilt: How many builds that failed so were followed by one of the same code.
        passed: How many of these were good.
        known: The known failures that its lines are of.
    """

    state: str = "unknown"
    reasons: tuple[Reason, ...] = ()
    is_cut: bool = False
    common: frozenset[str] = frozenset()
    in_a_row: int = 1
    earlier: int = 0
    earlier_since: int | None = None
    is_bounded: bool = False
    builders: int = 0
    before: str | None = None
    rebuilt: int = 0
    passed: int = 0
    known: tuple[Known, ...] = ()

    @property
    def telling(self) -> frozenset[str]:
        """The signatures of the reasons that say something; all where none does."""
        every = frozenset(each.signature for each in self.reasons)
        return every - self.common or every

    @property
    def is_flaky(self) -> bool:
        """Whether its reasons have gone away when built again with nothing changed."""
        return self.passed > 0


@frozen(kw_only=True)
class ReasonSummary:
    """A reason, whatever the builds.

    Args:
        reason: The reason, as it was last seen.
        first_at: When the first build with it began, in seconds since the epoch.
        last_at: When the last one began.
        builds: How many builds had it; ``is_bounded`` where there are more.
        is_bounded: Whether not all of its builds were looked at.
        days: How many of its latest builds began on each day up to now, the oldest first.
        builders: The names of the builders that it was lately seen on, by their number.
        branches: The branches that it was lately seen on.
        known: The known failure that it is, where it is one.
    """

    reason: Reason
    first_at: int
    last_at: int
    builds: int
    is_bounded: bool
    days: tuple[int, ...]
    builders: Mapping[int, str]
    branches: tuple[str, ...]
    known: Known | None = None


@frozen(kw_only=True)
class FailedBuild:
    """A bad build with what is remembered of why.

    Args:
        build: The build.
        memory: What is remembered, where it was asked for.
        body: The latest status's JSON, where it was asked for.
        reason: The reason that was asked for, as this build has it.
    """

    build: Build
    memory: Memory = field(factory=Memory)
    body: Mapping[str, Any] | None = None
    reason: Reason | None = None


@frozen(kw_only=True)
class FailingTests:
    """The tests that failed in the last build with test results.

    Args:
        build: The build's number on the board.
        count: How many tests failed.
        new: How many of them passed before, and are not flaky.
        flaky: How many of them are flaky.
        names: The names of the first ones, the new ones before others.
    """

    build: int
    count: int
    new: int
    flaky: int
    names: tuple[str, ...]


@frozen(kw_only=True)
class BuilderIncident:
    """What a builder's card shows of the open incident that it is in.

    Args:
        id: The incident's id.
        kind: What it is about: ``failure``, ``no results`` or ``infrastructure``.
        opened_at: When it began, in seconds since the epoch.
        cause: What its builders share, where it is of infrastructure.
        claimed_by: Who is on it, None where nobody is.
        muted_until: Until when nothing is said of it, in seconds since the epoch.
        suspects: The changes that may have caused it; empty where there are too many.
        suspected: How many these are; None where that is not known.
    """

    id: str
    kind: str
    opened_at: int
    cause: str | None = None
    claimed_by: str | None = None
    muted_until: float | None = None
    suspects: tuple[SourceChange, ...] = ()
    suspected: int | None = None


@frozen(kw_only=True)
class Builder:
    """A builder and what its builds say of it now.

    Args:
        id: The board's number for it.
        master: Its master.
        name: Its name.
        tags: Its tags.
        project: Its project, where it has one.
        description: What its configuration says of it.
        branch: The branch that all that follows is about, but for what runs.
        branches: The branches that most of its builds are of, the most frequent first.
        last: The last build that judged the branch, by build times.
        first_bad: Where ``last`` is bad, the first of the bad builds since the last good one.
        last_good: The last good build, where there was one.
        suspects: The changes since the last good build, ``SUSPECTS`` at most.
        suspected: How many changes there are since the last good build.
        running: Its builds that run, oldest first.
        recent: Its latest builds, newest first, running ones included; ``RECENT`` at most.
        usual: The median of its recent good builds' durations in seconds, None while unknown.
        flaky: Whether it has lately passed and failed on the same revision.
        tests: The tests that failed last, where test results were sent.
        sequence: The number of the update that it was last changed by.
        memory: What is remembered of why ``last`` is bad, where it is bad.
        removed: Whether no configuration has it any more, where that is reported.
        unmanned: How many workers it has if none of them is connected, or may be started; else 0.
        incident: The open incident that it is in on this branch, where it is in one.
    """

    id: int
    master: Master
    name: str
    tags: tuple[str, ...] = ()
    project: str | None = None
    description: str | None = None
    branch: str | None = None
    branches: tuple[str, ...] = ()
    last: Build | None = None
    first_bad: Build | None = None
    last_good: Build | None = None
    suspects: tuple[SourceChange, ...] = ()
    suspected: int = 0
    running: tuple[Build, ...] = ()
    recent: tuple[Build, ...] = ()
    usual: float | None = None
    flaky: bool = False
    tests: FailingTests | None = None
    sequence: int = 0
    memory: Memory | None = None
    removed: bool = False
    unmanned: int = 0
    incident: BuilderIncident | None = None

    @property
    def is_red(self) -> bool:
        """Whether the last build that judged the branch is bad, and the builder still there."""
        return self.last is not None and self.last.is_bad and not self.removed

    @property
    def is_known(self) -> bool:
        """Whether it is red for reasons only that are known."""
        return self.is_red and self.memory is not None and self.memory.state == "known"

    @property
    def no_result(self) -> Build | None:
        """The newest build that should have judged the branch, if it could not."""
        for build in self.recent:
            if build.judges and (build.is_conclusive or build.is_inconclusive):
                return build if build.is_inconclusive else None
        return None


@frozen(kw_only=True)
class Worker:
    """A worker as it was last reported.

    Args:
        id: The board's number for it.
        master: Its master.
        name: Its name.
        connected: Whether it is connected.
        since: Since when it is not, in seconds since the epoch.
        missing: Whether Buildbot has reported it missing.
        paused: Whether it gets no builds.
        pause_reason: Why, where that is known.
        graceful: Whether it shuts down when its builds have ended.
        latent: Whether Buildbot starts it when it is needed.
        removed: Whether no configuration has it any more.
        builders: The names of the builders that it is configured for.
    """

    id: int
    master: Master
    name: str
    connected: bool
    since: int | None = None
    missing: bool = False
    paused: bool = False
    pause_reason: str | None = None
    graceful: bool = False
    latent: bool = False
    removed: bool = False
    builders: tuple[str, ...] = ()

    @property
    def is_away(self) -> bool:
        """Whether it is not connected, and nothing starts it when it is needed."""
        return not (self.connected or self.latent or self.removed)


@frozen(kw_only=True)
class WorkerDetail:
    """A worker and what it does.

    Args:
        worker: The worker.
        running: The builds that run on it, each with its builder.
        last: Its latest build that has ended, where there is one.
    """

    worker: Worker
    running: tuple[tuple[Builder, Build], ...] = ()
    last: Build | None = None


@frozen(kw_only=True)
class BuildDetail:
    """A build with all that its latest status said.

    Args:
        build: The build.
        builder: Its builder.
        body: The latest status's JSON, as it came.
        parent: The build that triggered it, where the board knows it.
        triggered: The builds that it triggered, as far as the board knows them.
        same_request: The other builds of its build request.
        memory: What is remembered of why it is bad, where it is bad.
    """

    build: Build
    builder: Builder
    body: Mapping[str, Any]
    parent: Build | None = None
    triggered: tuple[Build, ...] = ()
    same_request: tuple[Build, ...] = ()
    memory: Memory | None = None


@frozen(kw_only=True)
class Revision:
    """All builds of one revision of a codebase.

    Args:
        revision: The revision.
        codebase: The codebase, empty for the default one.
        branch: Its branch.
        project: Its project.
        first_at: When its first build began, in seconds since the epoch.
        builds: Its builds, the newest of each builder.
        author: Who made it, where changes were sent.
        comment: The first line of what they said, where changes were sent.
    """

    revision: str
    codebase: str
    branch: str | None
    project: str | None
    first_at: int
    builds: tuple[Build, ...]
    author: str | None = None
    comment: str | None = None


@frozen(kw_only=True)
class Update:
    """One accepted status, in the order of all.

    Args:
        sequence: Its number, counted up by one.
        build: The board's number of the build.
        builder: The board's number of the builder.
        at: When it was accepted, in seconds since the epoch.
    """

    sequence: int
    build: int
    builder: int
    at: float


@frozen(kw_only=True)
class Filter:
    """Which builders and builds to show; everything that is given must fit.

    Args:
        builder: A glob over builders' names (``*`` and ``?``).
        tags: Tags of which a builder must have all.
        master: A master's name.
        project: A project.
        branch: A branch.
        worker: A worker's name.
        owner: Who is responsible.
        results: Result codes, any of them.
    """

    builder: str | None = None
    tags: frozenset[str] = frozenset()
    master: str | None = None
    project: str | None = None
    branch: str | None = None
    worker: str | None = None
    owner: str | None = None
    results: frozenset[int] = field(default=frozenset())

    @property
    def is_about_builds(self) -> bool:
        """Whether single builds must be looked at: a builder's own state does not show it."""
        return bool(self.branch or self.worker or self.owner or self.results)
