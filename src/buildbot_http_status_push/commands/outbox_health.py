"""The health of an outbox, in words for people and for monitoring systems.

Pure: knows the values that ``inspection`` returns, no database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from buildbot_http_status_push.durations import duration
from buildbot_http_status_push.redaction import one_line

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Stats

LONG = 600.0
"""Seconds; what waits longer has met trouble that does not pass by itself."""

OK, WARNING, CRITICAL, UNKNOWN = range(4)
"""The exit codes of plugins for Nagios and its like."""
STATUS_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


@frozen
class Health:
    """The health of an outbox."""

    stats: Stats
    now: float

    @property
    def oldest(self) -> float:
        """For how many seconds the oldest one has waited, 0 where none waits."""
        since = self.stats.oldest_waiting
        return 0.0 if since is None else max(0.0, self.now - since)

    def troubles(self, max_age: float = LONG, max_dead: int = 0) -> list[str]:
        """Return a sentence for each thing that is not well."""
        found = []
        if self.oldest > max_age:
            found.append(f"oldest delivery pending for {duration(self.oldest)}: see 'outbox list'")
        if self.stats.given_up > max_dead:
            found.append(
                f"{self.stats.given_up} dead: see 'outbox list --dead'; 'outbox redeliver --dead' "
                "sends them again"
            )
        return found

    def status(self, max_age: float, max_dead: int) -> int:
        """Return the exit code: critical if something waits too long or is not accounted for."""
        if self.oldest > max_age or not self.stats.holds:
            return CRITICAL
        return WARNING if self.stats.given_up > max_dead else OK


def health_lines(each: Sequence[Health]) -> list[str]:
    """Return what is not well, one line each."""
    return [f"{one.stats.reporter}: {trouble}." for one in each for trouble in one.troubles()]


def check_line(health: Health, max_age: float, max_dead: int) -> str:
    """Return one line with performance data, in the form of the Nagios plugin guidelines."""
    pending = health.stats.pending
    words = f"{pending} pending" + (f", oldest {duration(health.oldest)}" if pending else "")
    words += f", {health.stats.given_up} dead"
    if not health.stats.holds:
        words += f", counts inconsistent ({health.stats.produced} produced)"
    data = (
        f"waiting={pending};;;0 oldest={health.oldest:.0f}s;;{max_age:.0f};0 "
        f"given_up={health.stats.given_up};{max_dead};;0"
    )
    return f"OUTBOX {STATUS_NAMES[health.status(max_age, max_dead)]} - {words} | {data}"


def unknown_line(why: str) -> str:
    """Return the line where the outbox can't be read."""
    return f"OUTBOX {STATUS_NAMES[UNKNOWN]} - {one_line(why)}"
