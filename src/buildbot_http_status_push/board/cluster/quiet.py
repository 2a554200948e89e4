"""Which builders have gone quiet: their peers built what they usually build too. Pure.

A builder's own gaps say nothing: nights and weekends have none of the changes that it waits for.
Time is that of the last report of its master: a master that is silent makes nobody quiet.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder

OWN = 20
"""How many of a builder's latest builds its habits are read from."""
FEWEST = 5
"""How many revisions these must have at least."""
SHARE = 0.5
"""What part of them a peer has built too."""
HOUR = 3600
PATIENCE = 2
"""How many times its usual delay a builder may take."""


@frozen(kw_only=True)
class OwnBuild:
    """A build of the builder whose habits are asked for.

    Args:
        started_at: When it began, in seconds since the epoch.
        submitted_at: When it was asked for, where that is known.
        revisions: What it built, by any names.
    """

    started_at: int
    submitted_at: int | None
    revisions: frozenset[int]


@frozen(kw_only=True)
class Habits:
    """How a builder usually follows changes.

    Args:
        peers: The builders that usually build what it builds.
        delay: Within how many seconds after its first peer it usually begins.
        skipped: How many revisions it left out at most between two of its builds.
        wait: For how many seconds its requests usually wait.
    """

    peers: frozenset[int] = frozenset()
    delay: float = 0.0
    skipped: int = 0
    wait: float = 0.0


@frozen(kw_only=True)
class Quiet:
    """A builder that has gone quiet.

    Args:
        builder: The builder.
        since: When its last build began, in seconds since the epoch; None where it has none.
        delay: Within how many seconds after a change it usually begins; None where it is quiet by
            the requests that wait for it.
        noticed_at: When it was quiet for longer than usual.
    """

    builder: Builder
    since: int | None
    delay: float | None
    noticed_at: int

    def words(self, now: float) -> str:
        """Return such as ``6 days, usually within 2 h of a change``."""
        if self.since is None:
            return "its requests wait, and it never built"
        time = coarse(now - self.since)
        if self.delay is None:
            return f"{time}, and its requests wait"
        return f"{time}, usually within {coarse(self.delay)} of a change"


def coarse(seconds: float) -> str:
    """Return a time in its largest unit, such as ``6 days``, ``2 h`` or ``1 min`` at least."""
    for unit, name in ((86_400, "days"), (HOUR, "h"), (60, "min")):
        if seconds >= 2 * unit or (seconds >= unit and name != "days"):
            return f"{int(seconds // unit)} {name}"
    return "1 min"


def habits(
    own: Sequence[OwnBuild],
    built: Mapping[int, Mapping[int, int]],
    left_out: Collection[int],
    builder: int,
) -> Habits:
    """Return a builder's habits.

    Args:
        own: Its latest builds, oldest first.
        built: Which builders built their revisions, and when each first began one.
        left_out: When other revisions of the branch were first built in the same time.
        builder: The builder's number.
    """
    waits = [each.started_at - each.submitted_at for each in own if each.submitted_at is not None]
    wait = _usual([max(each, 0) for each in waits])
    revisions = {number for each in own for number in each.revisions}
    if len(revisions) < FEWEST:
        return Habits(wait=wait)
    shared: dict[int, int] = {}
    for number in revisions:
        for other in built.get(number, {}):
            shared[other] = shared.get(other, 0) + 1
    peers = frozenset(
        other
        for other, count in shared.items()
        if other != builder and count >= SHARE * len(revisions)
    )
    first: dict[int, int] = {}
    for each in own:
        for number in each.revisions:
            first.setdefault(number, each.started_at)
    delays = [
        max(at - min(others), 0)
        for number, at in first.items()
        if (others := [began for other, began in built.get(number, {}).items() if other in peers])
    ]
    gaps = [
        sum(one.started_at < at < other.started_at for at in left_out)
        for one, other in pairwise(own)
    ]
    return Habits(peers=peers, delay=_usual(delays), skipped=max(gaps, default=0), wait=wait)


def _usual(values: Sequence[float]) -> float:
    """Return what nine of ten are at most."""
    ordered = sorted(values)
    return float(ordered[len(ordered) * 9 // 10]) if ordered else 0.0


@frozen
class Begun:
    """The builds that began lately, of one master and branch, the oldest first.

    Args:
        times: When each began.
        builds: Each with its builder's number.
    """

    times: tuple[int, ...] = ()
    builds: tuple[tuple[int, Build], ...] = ()

    def after(self, at: int) -> tuple[tuple[int, Build], ...]:
        """Return the builds that began after a time."""
        return self.builds[bisect_right(self.times, at) :]


Place: TypeAlias = "tuple[int, str | None]"
"""A master's number and a branch."""


def begun(builders: Iterable[Builder]) -> dict[Place, Begun]:
    """Return the builds that began lately, by master and branch."""
    found: dict[Place, list[tuple[int, Build]]] = {}
    for builder in builders:
        of_place = found.setdefault((builder.master.id, builder.branch), [])
        of_place += ((builder.id, build) for build in builder.recent)
    made = {}
    for place, some in found.items():
        some.sort(key=lambda pair: pair[1].started_at)
        made[place] = Begun(tuple(build.started_at for _, build in some), tuple(some))
    return made


def may_be_quiet(builder: Builder, others: Begun, oldest: int | None) -> bool:
    """Return whether a builder may be quiet, whatever its habits.

    Args:
        builder: The builder.
        others: What began on its master and branch.
        oldest: When the oldest request that waits for it was submitted, None where none waits.
    """
    if builder.running or builder.removed:
        return False
    as_of = builder.master.heard_at
    if oldest is not None and as_of - oldest > HOUR:
        return True
    last = builder.recent[0].started_at if builder.recent else None
    if last is None:
        return False
    return any(build.started_at < as_of - HOUR for _, build in others.after(last)[:1])


def quiet(builder: Builder, own: Habits, others: Begun, oldest: int | None) -> Quiet | None:
    """Return whether a builder is quiet, which may be quiet."""
    last = builder.recent[0].started_at if builder.recent else None
    as_of = builder.master.heard_at
    if last is not None and (behind := _behind(builder, own, others, last)):
        noticed_at = behind + int(max(PATIENCE * own.delay, HOUR))
        if noticed_at < as_of:
            return Quiet(builder=builder, since=last, delay=own.delay, noticed_at=noticed_at)
    if oldest is not None:
        noticed_at = oldest + int(max(PATIENCE * own.wait, HOUR))
        if noticed_at < as_of and (last is None or last < oldest):
            return Quiet(builder=builder, since=last, delay=None, noticed_at=noticed_at)
    return None


def _behind(builder: Builder, own: Habits, others: Begun, last: int) -> int | None:
    """Return when peers built more than a builder usually skips, None where they did not."""
    known = {build.revision for build in builder.recent}
    began: dict[str, int] = {}
    having: dict[str, set[int]] = {}
    for number, build in others.after(last) if own.peers else ():
        revision = build.revision
        if number in own.peers and revision is not None and revision not in known:
            began.setdefault(revision, build.started_at)
            having.setdefault(revision, set()).add(number)
    times = [at for revision, at in began.items() if 2 * len(having[revision]) >= len(own.peers)]
    return times[own.skipped] if len(times) > own.skipped else None
