"""What all builders say of one revision: how many have ended, and how. Pure.

Knows no database and no template.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import GOOD, Build, Builder, Memory, Reason, SourceChange
from buildbot_http_status_push.board.test_results.results import NamedTest
from buildbot_http_status_push.results import RETRY

KINDS = {
    "new": "new red",
    "new reason": "red for a new reason",
    "red": "red",
    "no result": "without a result",
    "known": "red (known)",
    "running": "running",
    "waiting": "waiting",
    "good": "good",
}
"""What a builder says of a revision, the most urgent first, and the words for it.

- new: bad, and the builder was good before, for a reason that was never seen.
- new reason: bad, and the builder was bad before for other reasons.
- red: bad otherwise.
- no result: its newest build ended without judging the code.
- known: bad for known reasons only.
- waiting: a request waits, or its newest build is to be built again.
"""
BAD_KINDS = ("new", "new reason", "red")
"""What is bad, and not known."""
ENDED_ORDER = ("good", "known", "red", "new reason", "new", "no result")
"""In which order a sentence names what has ended."""
MINUTE = 60


@frozen(kw_only=True)
class BuilderVerdict:
    """What a builder says of a revision.

    Args:
        builder: The builder.
        build: Its newest build of the revision, None where a request waits.
        memory: What is remembered of why the build is bad, where it is bad.
        is_inside: Whether the build is of a later revision, the builder's first one that has it.
    """

    builder: Builder
    build: Build | None
    memory: Memory | None = None
    is_inside: bool = False

    @property
    def kind(self) -> str:
        """One of ``KINDS``."""
        build = self.build
        if build is None or build.results == RETRY:
            return "waiting"
        if build.is_running:
            return "running"
        if build.results in GOOD:
            return "good"
        if not build.is_bad:
            return "no result"
        state = self.memory.state if self.memory else "unknown"
        return state if state in ("new", "new reason", "known") else "red"


@frozen(kw_only=True)
class RevisionVerdict:
    """What all builders say of a revision of a codebase.

    Args:
        revision: The revision.
        codebase: The codebase, empty for the default one.
        branch: The branch.
        project: The project.
        first_at: When the first build that has it began, in seconds since the epoch.
        changes: Its changes, as far as they were sent.
        builders: What each builder says, the most urgent first.
        new_reasons: The lines that are new with it, each with the builders that have it.
        new_tests: The tests that began to fail with it, each with the builders.
    """

    revision: str
    codebase: str
    branch: str | None
    project: str | None
    first_at: int | None
    changes: tuple[SourceChange, ...] = ()
    builders: tuple[BuilderVerdict, ...] = ()
    new_reasons: tuple[tuple[Reason, tuple[BuilderVerdict, ...]], ...] = ()
    new_tests: tuple[tuple[NamedTest, tuple[BuilderVerdict, ...]], ...] = ()


def in_order(verdicts: Iterable[BuilderVerdict]) -> tuple[BuilderVerdict, ...]:
    """Return what builders say, the most urgent first and then by name."""
    places = {kind: place for place, kind in enumerate(KINDS)}
    return tuple(
        sorted(verdicts, key=lambda each: (places[each.kind], each.builder.name, each.builder.id))
    )


def new_reasons_of(
    verdicts: Sequence[BuilderVerdict],
) -> tuple[tuple[Reason, tuple[BuilderVerdict, ...]], ...]:
    """Return the telling lines of what is new, those of most builders first."""
    found: dict[str, tuple[Reason, list[BuilderVerdict]]] = {}
    for each in verdicts:
        if each.memory is None or each.kind not in ("new", "new reason"):
            continue
        for reason in each.memory.reasons:
            if reason.rule != "test" and reason.signature in each.memory.telling:
                found.setdefault(reason.signature, (reason, []))[1].append(each)
    made = [(reason, tuple(some)) for reason, some in found.values()]
    return tuple(sorted(made, key=lambda pair: -len(pair[1])))


@frozen(kw_only=True)
class Progress:
    """How far a revision is.

    Args:
        counts: How many builders say what, by ``KINDS``.
        left: About how many seconds it will take until all have ended; None where that is unknown,
            and where all have.
    """

    counts: Counter[str]
    left: float | None

    @property
    def count(self) -> int:
        """How many builders there are."""
        return self.counts.total()

    @property
    def ended(self) -> int:
        """How many of them have ended."""
        return self.count - self.counts["running"] - self.counts["waiting"]

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return self.ended == self.count

    @property
    def unexcused(self) -> int:
        """How many are bad, and not known."""
        return sum(self.counts[kind] for kind in BAD_KINDS)

    @property
    def words(self) -> str:
        """Such as ``41 of 43 ended: 39 good, 1 red (known), 1 new red; 2 running, …``."""
        ended, count = self.ended, self.count
        head = f"All {count}" if ended == count > 1 else f"{ended} of {count}"
        parts = [f"{self.counts[kind]} {KINDS[kind]}" for kind in ENDED_ORDER if self.counts[kind]]
        said = f"{head} ended" + (f": {', '.join(parts)}" if parts else "")
        rest = [
            f"{self.counts[kind]} {kind}" for kind in ("running", "waiting") if self.counts[kind]
        ]
        if self.left is not None:
            minutes = int(self.left // MINUTE)
            rest.append(f"about {minutes} min left" if minutes else "under 1 min left")
        return f"{said}; {', '.join(rest)}" if rest else said


def progress(verdicts: Iterable[BuilderVerdict], now: float) -> Progress:
    """Return how far a revision is."""
    known = tuple(verdicts)
    left = [_left(each, now) for each in known if each.kind in ("running", "waiting")]
    times = [each for each in left if each is not None]
    return Progress(
        counts=Counter(each.kind for each in known),
        left=max(times) if times and len(times) == len(left) else None,
    )


def _left(verdict: BuilderVerdict, now: float) -> float | None:
    build, usual = verdict.build, verdict.builder.usual
    if build is None or not build.is_running or usual is None:
        return None
    return max(build.started_at + usual - now, 0.0)
