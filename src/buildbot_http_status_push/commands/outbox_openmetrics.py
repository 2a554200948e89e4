"""``outbox stats --openmetrics``, which may lack what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from buildbot_http_status_push.commands.console import DONE, FAILED, complain

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.terminal import Output
    from buildbot_http_status_push.outbox.inspection import Stats

MISSING = "--openmetrics needs prometheus_client: pip install 'buildbot-http-status-push[metrics]'"


def say_openmetrics(each: Sequence[Stats], output: Output) -> int:
    """Print the counts of all reporters.

    Args:
        each: The reporters' counts.
        output: Where they are printed.

    Returns:
        The exit code: 1 if a delivery is not accounted for, 2 if the extra is not installed.
    """
    try:
        from buildbot_http_status_push.outbox.openmetrics import openmetrics
    except ImportError:
        return complain(MISSING)
    output.say(openmetrics(each).rstrip("\n"))
    return DONE if all(stats.holds for stats in each) else FAILED
