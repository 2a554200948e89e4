"""Which red builders share a cause, so that one card shows them all.

Pure: knows no database and no template.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, SourceChange


@frozen(kw_only=True)
class Cause:
    """Red builders of one cause.

    Args:
        key: The same for the same cause.
        builders: They, those first that have been red for longest.
    """

    key: str
    builders: tuple[Builder, ...]

    @property
    def first(self) -> Builder:
        """The builder that has been red for longest."""
        return self.builders[0]

    @property
    def since(self) -> int:
        """When it began, in seconds since the epoch."""
        return red_since(self.first)

    @property
    def is_flake(self) -> bool:
        """Whether it may pass when it is built again: no builder has failed twice in a row."""
        return all(each.flaky and each.first_bad == each.last for each in self.builders)

    @property
    def suspects(self) -> tuple[SourceChange, ...]:
        """The suspected changes of the builder with the fewest."""
        return self._narrowest.suspects

    @property
    def suspected(self) -> int:
        """How many changes that builder suspects."""
        return self._narrowest.suspected

    @property
    def _narrowest(self) -> Builder:
        known = [each for each in self.builders if each.suspected]
        return min(known, key=lambda each: each.suspected, default=self.first)


def causes(builders: Iterable[Builder]) -> tuple[Cause, ...]:
    """Group red builders by their cause.

    Args:
        builders: The builders; those that are not red are passed over.

    Returns:
        The causes: those first that began last, and after them what may be flaky.
    """
    groups: dict[str, list[Builder]] = defaultdict(list)
    for builder in builders:
        if builder.is_red:
            groups[cause_of(builder)].append(builder)
    made = (
        Cause(key=key, builders=tuple(sorted(each, key=lambda one: (red_since(one), one.name))))
        for key, each in groups.items()
    )
    return tuple(sorted(made, key=lambda each: (each.is_flake, -each.since, each.key)))


def cause_of(builder: Builder) -> str:
    """Name the cause of a red builder: all builders of the same name share it.

    The same step, or words where no steps were sent, and the same first bad code.

    Args:
        builder: A red builder.
    """
    first = first_bad(builder)
    code = [(each.codebase, each.revision) for each in first.sources if each.revision]
    what: object = (builder.id,)
    if code:
        what = (first.step or first.state_string, first.branch, code, builder.master.id)
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def first_bad(builder: Builder) -> Build:
    """Return the build with which a red builder became red."""
    first = builder.first_bad or builder.last
    assert first is not None  # noqa: S101  it is red by a build
    return first


def red_since(builder: Builder) -> int:
    """Return when a red builder became red, in seconds since the epoch."""
    first = first_bad(builder)
    return first.complete_at or first.started_at
