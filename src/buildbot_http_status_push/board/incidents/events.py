"""A build that has ended, as incidents look at it. Values only."""

from __future__ import annotations

from attrs import field, frozen

from buildbot_http_status_push.board.incidents.common_lines import (
    is_of_machine,
    is_source_step,
    says_little,
)
from buildbot_http_status_push.board.incidents.incident import IncidentBuild, IncidentReason
from buildbot_http_status_push.board.model import Build, Changes

Code = tuple[tuple[str, str | None, str], ...]


@frozen(kw_only=True)
class EndedBuild:
    """A build that has ended.

    Args:
        build: The build.
        cluster: The name of its master.
        tags: Its builder's tags.
        reasons: Why it is bad, as far as that is known.
        common: The signatures of reasons that come with many others, and say little.
        little: Globs of more lines that say little.
        changes: Its changes: all since the builder's last success.
        ran: The names of the steps and test suites that are known to have run to their end.
        parent: The id, in the master's database, of the build that triggered it.
    """

    build: Build
    cluster: str
    tags: tuple[str, ...] = ()
    reasons: tuple[IncidentReason, ...] = ()
    common: frozenset[str] = frozenset()
    little: tuple[str, ...] = ()
    changes: Changes = field(default=Changes())
    ran: frozenset[str] = frozenset()
    parent: int | None = None

    @property
    def at(self) -> int:
        """When it ended, in seconds since the epoch."""
        build = self.build
        return build.started_at if build.complete_at is None else build.complete_at

    @property
    def key(self) -> tuple[int, str]:
        """Its builder and branch."""
        return (self.build.builder, self.build.branch or "")

    @property
    def ref(self) -> IncidentBuild:
        """The build, as an incident names it."""
        build = self.build
        return IncidentBuild(
            id=build.id,
            number=build.number,
            url=build.url,
            revision=build.revision,
            started_at=build.started_at,
            complete_at=self.at,
        )

    @property
    def telling(self) -> tuple[IncidentReason, ...]:
        """The reasons that could not stand in any log."""
        return tuple(
            each
            for each in self.reasons
            if each.reason.signature not in self.common
            and not says_little(each.reason.text, self.little)
        )

    @property
    def step(self) -> str:
        """The name of the step that failed, or how the build ended where that is not known."""
        return self.build.step or self.build.state_string

    @property
    def code(self) -> Code:
        """What was built; empty where a revision is not known."""
        code = [(each.codebase, each.branch, each.revision) for each in self.build.sources]
        known = tuple((name, branch, revision) for name, branch, revision in code if revision)
        return known if len(known) == len(code) else ()

    @property
    def is_of_machine(self) -> bool:
        """Whether it says that the worker is at fault, and not the code."""
        return any(is_of_machine(each.reason.text) for each in self.reasons)

    @property
    def is_of_source(self) -> bool:
        """Whether the step failed that gets the source."""
        return is_source_step(self.build.step)
