"""Which red builders share a cause, so that one card shows them all.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from buildbot_http_status_push.board.model import Build, Builder, Memory, SourceChange


@frozen(kw_only=True)
class Cause:
    """Red builders of one cause.

    Args:
        builders: They, those first that have been red for longest.
    """

    builders: tuple[Builder, ...]

    @property
    def key(self) -> str:
        """Names it among all causes of one moment."""
        return str(self.first.id)

    @property
    def first(self) -> Builder:
        """The builder that has been red for longest."""
        return self.builders[0]

    @property
    def since(self) -> int:
        """When it began, in seconds since the epoch."""
        return red_since(self.first)

    @property
    def memory(self) -> Memory | None:
        """What is remembered of it, None where its builds say no reason."""
        memory = self.first.memory
        return memory if memory and memory.reasons else None

    @property
    def is_known(self) -> bool:
        """Whether all its builders are red for known reasons only."""
        return all(each.is_known for each in self.builders)

    @property
    def is_flake(self) -> bool:
        """Whether it may pass when it is built again: no builder has failed twice in a row."""
        return all(each.flaky and each.first_bad == each.last for each in self.builders)

    @property
    def order(self) -> str:
        """By which causes are sorted, as a text: the latest first, then flaky ones, then known."""
        rank = 2 if self.is_known else 1 if self.is_flake else 0
        return f"{rank}{9_999_999_999 - self.since:010}{self.key}"

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

    Builders whose builds say why they failed share a cause where at least half of the telling
    reasons of the one with fewer are the other's too. Others share one where the same step, or
    words where no steps were sent, failed with the same first bad code.

    Args:
        builders: The builders; those that are not red are passed over.

    Returns:
        The causes in their order.
    """
    red = sorted(
        (each for each in builders if each.is_red),
        key=lambda one: (red_since(one), one.name, one.id),
    )
    groups: list[list[Builder]] = []
    places: dict[object, list[int]] = {}
    for builder in red:
        names = _names(builder)
        near = {place for name in names for place in places.get(name, ())}
        fit = next((each for each in sorted(near) if _is_alike(groups[each][0], names)), None)
        if fit is None:
            fit = len(groups)
            groups.append([])
            for name in names:
                places.setdefault(name, []).append(fit)
        groups[fit].append(builder)
    made = (Cause(builders=tuple(each)) for each in groups)
    return tuple(sorted(made, key=lambda each: each.order))


def _names(builder: Builder) -> frozenset[object]:
    """Return by what a red builder's cause is recognised."""
    if builder.memory and builder.memory.reasons:
        known = builder.is_known  # what is excused is not shown with what is not
        return frozenset((known, each) for each in builder.memory.telling)
    first = first_bad(builder)
    code = tuple((each.codebase, each.revision) for each in first.sources if each.revision)
    if not code:
        return frozenset({builder.id})
    what = (first.step or first.state_string, first.branch, code, builder.master.id)
    return frozenset({what})


def _is_alike(other: Builder, names: frozenset[object]) -> bool:
    others = _names(other)
    return 2 * len(names & others) >= min(len(names), len(others))


def first_bad(builder: Builder) -> Build:
    """Return the build with which a red builder became red."""
    first = builder.first_bad or builder.last
    assert first is not None  # noqa: S101  it is red by a build
    return first


def red_since(builder: Builder) -> int:
    """Return when a red builder became red, in seconds since the epoch."""
    first = first_bad(builder)
    return first.complete_at or first.started_at
