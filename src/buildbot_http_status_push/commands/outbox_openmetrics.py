"""``outbox stats --openmetrics``, which may lack what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import DONE, FAILED, complain, say

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Stats

MISSING = "--openmetrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"


def say_openmetrics(each: Sequence[Stats]) -> int:
    """Print the counts of all reporters.

    Args:
        each: The reporters' counts.

    Returns:
        The exit code: 1 if a delivery is not accounted for, or if the extra is not installed.
    """
    try:
        from buildbot_http_status_push.commands.outbox_metrics import openmetrics
    except ImportError:
        complain(MISSING)
        return FAILED
    say(openmetrics(each).rstrip("\n"))
    return DONE if all(stats.holds for stats in each) else FAILED
