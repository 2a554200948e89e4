"""Which red builders share a card: those of one incident.

What no incident has been made of yet, and what a view shows of some builds only, is grouped by
its words and its code.

Pure: knows no database and no template.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from buildbot_http_status_push.board.model import (
    Build,
    Builder,
    BuilderIncident,
    Memory,
    SourceChange,
)


@frozen(kw_only=True)
class Cause:
    """Red builders of one cause, or builders without results."""

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
    def build(self) -> Build:
        """The build that says how that builder is."""
        return _shown(self.first)

    @property
    def incident(self) -> BuilderIncident | None:
        """The incident that it is, where it is one."""
        return self.first.incident

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
        """The suspected changes, where these are few."""
        return () if self._suspecting is None else self._suspecting.suspects

    @property
    def suspected(self) -> int:
        """How many changes are suspected."""
        return 0 if self._suspecting is None else self._suspecting.suspected or 0

    @property
    def _suspecting(self) -> Builder | BuilderIncident | None:
        """What names the suspects: the incident, or else the builder with the fewest."""
        if self.is_flake:
            return None  # it failed and passed without any change
        incident = self.incident
        # One of another kind says that it is not the code.
        if incident and (incident.kind != "failure" or incident.suspected is not None):
            return incident
        known = [each for each in self.builders if each.suspected]
        return min(known, key=lambda each: each.suspected, default=self.first)


def causes(builders: Iterable[Builder]) -> tuple[Cause, ...]:
    """Group red builders, and those without results, by their cause.

    Builders of one incident share one. Other builders whose builds say why they failed share one
    where at least half of the telling reasons of the one with fewer are the other's too; the rest
    where the same step, or words where no steps were sent, failed with the same first bad code.
    """
    red = sorted(
        (each for each in builders if needs_attention(each)),
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
    if builder.incident:
        return frozenset({(builder.is_known, builder.incident.id)})
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


def needs_attention(builder: Builder) -> bool:
    """Return whether a builder is red, or has had no results for long enough to be an incident."""
    return builder.is_red or (builder.incident is not None and builder.no_result is not None)


def first_bad(builder: Builder) -> Build:
    """Return the build with which a red builder became red."""
    return (builder.is_red and builder.first_bad) or _shown(builder)


def _shown(builder: Builder) -> Build:
    shown = builder.last if builder.is_red else builder.no_result or builder.last
    assert shown is not None  # noqa: S101  it is red, or without results, by a build
    return shown


def red_since(builder: Builder) -> int:
    """Return when a red builder became red, in seconds since the epoch."""
    if builder.incident and not builder.is_red:
        return builder.incident.opened_at
    first = first_bad(builder)
    return first.complete_at or first.started_at
