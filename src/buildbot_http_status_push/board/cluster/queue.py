"""Which requests wait, and why as far as that is known. Pure.

Knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, Source, Worker

NAMED = 3
"""How many running builds are named where workers are busy."""


@frozen(kw_only=True)
class Waiting:
    """The requests that wait for a builder.

    Args:
        builder: The builder.
        count: How many there are.
        oldest: When the oldest was submitted, in seconds since the epoch.
        why: Why they wait, None where that is not known.
        expected: When the oldest should begin, in seconds since the epoch, None where that is not
            known.
    """

    builder: Builder
    count: int
    oldest: int
    why: str | None
    expected: int | None


@frozen(kw_only=True)
class Request:
    """A request that waits.

    Args:
        number: Its id in the cluster's database.
        builder: The builder.
        submitted_at: When it was submitted, in seconds since the epoch.
        claimed: Whether a master has taken it, so that its build is about to begin.
        priority: Its priority.
        reason: Why it was submitted.
        sources: What is to be built.
    """

    number: int
    builder: Builder
    submitted_at: int
    claimed: bool
    priority: int
    reason: str
    sources: tuple[Source, ...]


@frozen(kw_only=True)
class Queue:
    """All requests that wait.

    Args:
        waiting: They by builder, the oldest first.
        is_known: Whether the board is sent requests at all.
    """

    waiting: tuple[Waiting, ...] = ()
    is_known: bool = False

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(each.count for each in self.waiting)

    @property
    def oldest(self) -> Waiting | None:
        """Those with the oldest one."""
        return self.waiting[0] if self.waiting else None


def why(
    workers: Sequence[Worker], busy: Mapping[int, Collection[tuple[Builder, Build]]]
) -> str | None:
    """Return why no worker takes a request, None where that is not known."""
    if not workers:
        return None
    usable = [each for each in workers if each.connected or each.latent]
    if not usable:
        if len(workers) == 1:
            return f"its worker {workers[0].name} is not connected"
        return f"no worker of {len(workers)} is connected"
    taking = [each for each in usable if not each.paused and not each.graceful]
    if not taking:
        return f"{_all(len(usable), 'worker')} paused"
    running = [busy.get(each.id, ()) for each in taking]
    if all(running):
        builds = [f"{builder.name} #{build.number}" for some in running for builder, build in some]
        more = f" and {len(builds) - NAMED} more" if len(builds) > NAMED else ""
        return f"{_all(len(taking), 'worker')} busy with {', '.join(builds[:NAMED])}{more}"
    return None


def _all(count: int, noun: str) -> str:
    return f"its {noun} is" if count == 1 else f"all {count} {noun}s are"


def expected(
    workers: Sequence[Worker],
    busy: Mapping[int, Collection[tuple[Builder, Build]]],
    now: float,
) -> int | None:
    """Return when a worker should become free, by how long builds usually take."""
    taking = [each for each in workers if each.connected and not (each.paused or each.graceful)]
    ends = []
    for worker in taking:
        running = busy.get(worker.id, ())
        if not running:
            return None  # it could take one: what it waits for is not known
        if all(builder.usual is not None for builder, _ in running):
            ends.append(
                max(build.started_at + (builder.usual or 0.0) for builder, build in running)
            )
    return int(max(min(ends), now)) if ends else None
