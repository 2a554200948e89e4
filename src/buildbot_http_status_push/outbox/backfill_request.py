"""A person's request to send past builds again. Pure."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen


class Stage(Enum):
    """How far a backfill has come."""

    ASKED = "asked"
    RUNNING = "running"
    DONE = "done"


@frozen(kw_only=True)
class Backfill:
    """What is to be sent once more.

    Args:
        reporter: Whose statuses.
        since: Builds that ended from then on, in seconds since the epoch.
        builder: Only those of this builder.
        only_count: Whether they are only to be counted.
        stage: How far it has come.
        place: The id of the last build that was sent.
        done: How many were sent.
        total: How many there are, None as long as nobody has counted them.
    """

    reporter: str
    since: float
    builder: str | None = None
    only_count: bool = field(default=False, converter=bool)
    stage: Stage = field(default=Stage.ASKED, converter=Stage)
    place: int = 0
    done: int = 0
    total: int | None = None
