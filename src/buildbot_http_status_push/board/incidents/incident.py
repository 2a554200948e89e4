"""An incident and the steps of its life. Values only: knows no rule, no database, no template."""

from __future__ import annotations

from attrs import field, frozen

from buildbot_http_status_push.board.model import Known, Reason, SourceChange

FAILURE = "failure"
NO_RESULTS = "no results"
INFRASTRUCTURE = "infrastructure"
KINDS = {
    FAILURE: "builds fail",
    NO_RESULTS: "builds end without a result",
    INFRASTRUCTURE: "a worker, the source or the master is at fault, not the code",
}
"""What an incident may be about, and the words for it."""

CHANGED = "changed"
AGAIN = "again"
RAN = "ran"
REMOVED = "removed"
ENDINGS = {
    CHANGED: "good, with new changes",
    AGAIN: "passed when built again, with nothing changed",
    RAN: "its step ran to its end without the failure",
    REMOVED: "builder removed",
}
"""How an incident may be over on a builder, and the words for it."""

OPENED = "opened"
JOINED = "joined"
ADDED = "reason added"
OVER = "over"
REOPENED = "reopened"
CLOSED = "closed"
CLAIMED = "claimed"
RELEASED = "released"
MUTED = "muted"
UNMUTED = "unmuted"
SPLIT = "split"
MERGED = "merged"
COVERED = "covered"
STEPS = {
    OPENED: "opened",
    JOINED: "another builder joined",
    ADDED: "another reason",
    OVER: "over on a builder",
    REOPENED: "red again before it was closed",
    CLOSED: "closed",
    CLAIMED: "claimed",
    RELEASED: "released",
    MUTED: "muted",
    UNMUTED: "unmuted",
    SPLIT: "builders were split off",
    MERGED: "joined with another incident",
    COVERED: "covered by an incident of infrastructure",
}
"""The steps of an incident's life, and the words for them."""


@frozen(kw_only=True)
class IncidentReason:
    """A line or a test that an incident is about, with what was remembered when it was added.

    Args:
        reason: The line or test; ``rule`` is ``test`` for a test.
        state: One of ``model.REASONS``; ``new`` only where memory reaches back.
        earlier: In how many earlier breakages it was seen.
        earlier_since: When the first of these began, in seconds since the epoch.
        rebuilt: How many builds that failed so were followed by one of the same code.
        passed: How many of these were good.
        known: The known failure that it is now on every builder of the incident, where it is one.
    """

    reason: Reason
    state: str = "unknown"
    earlier: int = 0
    earlier_since: int | None = None
    rebuilt: int = 0
    passed: int = 0
    known: Known | None = None


@frozen(kw_only=True)
class IncidentBuild:
    """A build that an incident names.

    Args:
        id: The board's number of it.
        number: Its number among the builder's builds.
        url: Its page in Buildbot, where that is known.
        revision: The first codebase's revision that was built, where it is known.
        started_at: When it began, in seconds since the epoch.
        complete_at: When it ended, in seconds since the epoch.
    """

    id: int
    number: int
    url: str | None
    revision: str | None
    started_at: int
    complete_at: int


@frozen(kw_only=True)
class ChangeRange:
    """What has changed at a builder since it was good.

    Args:
        good_at: When its last good build began, in seconds since the epoch, 0 where it never was.
        bad_at: When its first bad build began.
        code: The code of that, as ``(codebase, branch, revision)`` where all revisions are known.
        ids: The ids of the changes in between; None where they are not known.
        shown: The newest of these.
        count: How many there are, None where that is not known.
    """

    good_at: int = 0
    bad_at: int = 0
    code: tuple[tuple[str, str | None, str], ...] = ()
    ids: frozenset[int] | None = None
    shown: tuple[SourceChange, ...] = ()
    count: int | None = None

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing has changed."""
        return self.count == 0


@frozen(kw_only=True)
class Place:
    """A builder and branch that an incident is on.

    Args:
        cluster: The master's name.
        builder: The board's number of the builder.
        builder_name: The builder's name.
        branch: The branch of all codebases; where they differ, ``CODEBASE:BRANCH`` of each.
        tags: The builder's tags when it joined.
        first_bad: The first build with it.
        last_bad: The last build with it, so far.
        bad: How many builds with it there were in a row.
        signatures: The incident's reasons that were seen here.
        step: The name of the step that failed, where it is known.
        worker: The worker of the first build, where it is known.
        changes: What has changed since it was good.
        code: The code of the last build with it, where all revisions are known.
        has_no_result: Whether the build ended in an exception.
        is_of_machine: Whether the build says that its worker is at fault.
        is_parent: Whether a build that it triggered is bad, and speaks for it.
        is_masked: Whether it fails for another reason before it could show whether this is over.
        over_at: When it was over here, in seconds since the epoch, None while it is not.
        ending: How it was over, one of ``ENDINGS``.
        good: The build that showed that it is over, where there is one.
    """

    cluster: str
    builder: int
    builder_name: str
    branch: str | None
    first_bad: IncidentBuild
    last_bad: IncidentBuild
    tags: tuple[str, ...] = ()
    bad: int = 1
    signatures: frozenset[str] = frozenset()
    step: str | None = None
    worker: str | None = None
    changes: ChangeRange = field(default=ChangeRange())
    code: tuple[tuple[str, str | None, str], ...] = ()
    has_no_result: bool = False
    is_of_machine: bool = False
    is_parent: bool = False
    is_masked: bool = False
    over_at: int | None = None
    ending: str | None = None
    good: IncidentBuild | None = None

    @property
    def since(self) -> int:
        """When it began here: the end of the first build with it."""
        return self.first_bad.complete_at

    @property
    def was_good(self) -> bool:
        """Whether the builder had been good on this branch before."""
        return self.changes.good_at > 0

    @property
    def is_over(self) -> bool:
        """Whether it is over here."""
        return self.over_at is not None


@frozen(kw_only=True)
class Suspects:
    """The changes that may have caused an incident.

    Args:
        changes: They; empty where there are more than ``model.SUSPECTS``.
        count: How many there are; None where that is not known, and where code is not at fault.
        is_unchanged: Whether nothing changed since the last good build.
    """

    changes: tuple[SourceChange, ...] = ()
    count: int | None = None
    is_unchanged: bool = False


@frozen(kw_only=True)
class Claim:
    """A person who is on an incident; ends with it.

    Args:
        by: Who.
        at: Since when, in seconds since the epoch.
        note: What they say of it.
        link: Where it is dealt with (http or https only).
        signatures: The reasons that it had then: what is added later is not covered.
    """

    by: str
    at: float
    note: str = ""
    link: str | None = None
    signatures: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Incident:
    """Something that broke, on one builder or many.

    Args:
        id: Names it; the same for the same history, on whatever board.
        kind: One of ``KINDS``.
        cluster: The name of the master that its builders are of.
        branch: Their branch; of an incident of infrastructure None.
        cause: Of an incident of infrastructure: what its builders share, such as ``worker w3``.
        opened_at: When the first bad build ended, in seconds since the epoch.
        over_at: When it was over on its last builder, None while it is not.
        closed_at: When it was closed: red again before that reopens it. None while it is open.
        places: Where it is, in the order that they joined.
        reasons: Its lines and tests, in the order that they were added; empty where none are known.
        suspects: The changes that may have caused it.
        claim: Who is on it.
        muted_until: Until when nothing is said of it, in seconds since the epoch.
        covers: The incidents that it is the cause of.
        covered_by: The incident that is the cause of it.
        merged_into: The incident that a person has joined it with.
        is_first_start: Whether it was there when the board first looked.
        by_hand: The builders and branches that a person has split off: they join no more.
    """

    id: str
    kind: str
    cluster: str
    branch: str | None
    opened_at: int
    places: tuple[Place, ...]
    cause: str | None = None
    over_at: int | None = None
    closed_at: int | None = None
    reasons: tuple[IncidentReason, ...] = ()
    suspects: Suspects = field(default=Suspects())
    claim: Claim | None = None
    muted_until: float | None = None
    covers: tuple[str, ...] = ()
    covered_by: str | None = None
    merged_into: str | None = None
    is_first_start: bool = False
    by_hand: frozenset[tuple[int, str | None]] = frozenset()

    @property
    def is_open(self) -> bool:
        """Whether it is not closed; it may be over and wait for being red again."""
        return self.closed_at is None

    @property
    def first(self) -> Place:
        """The place that it began on."""
        return self.places[0]

    @property
    def here(self) -> tuple[Place, ...]:
        """The places that it is not over on."""
        return tuple(each for each in self.places if not each.is_over)

    @property
    def endings(self) -> frozenset[str]:
        """How it was over on its places so far."""
        return frozenset(each.ending for each in self.places if each.ending)

    @property
    def is_known(self) -> bool:
        """Whether each of its reasons is a known failure."""
        return bool(self.reasons) and all(each.known for each in self.reasons)


@frozen(kw_only=True)
class Step:
    """A step of an incident's life.

    Args:
        incident: The incident's id.
        kind: One of ``STEPS``.
        at: When it happened, in seconds since the epoch, by the builds' times.
        builder: The name of the builder that it is about, where it is about one.
        about: A reason's text, a note, how it was over, or the other incident's id.
        by: The person whose act it was, None where a rule did it.
        is_first_start: Whether it was made when the board first looked: nothing is reported of it.
        number: Its place in the order of all steps, 0 before it is kept.
    """

    incident: str
    kind: str
    at: float
    builder: str | None = None
    about: str | None = None
    by: str | None = None
    is_first_start: bool = False
    number: int = 0
