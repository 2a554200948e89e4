"""The end of a demo: the builds in the master's database, and what became of them.

Pure: knows neither the master nor how it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from buildbot_http_status_push.commands.terminal import Tone
from buildbot_http_status_push.model import State
from buildbot_http_status_push.results import result_word

SETTLED = (State.DELIVERED.value, State.SUPERSEDED.value)

TONES: dict[str, Tone] = {
    "success": "good",
    "warnings": "warning",
    "failure": "bad",
    "exception": "bad",
}


@frozen
class Build:
    """A finished build as the master's database knows it.

    Args:
        id: Its number among all builds.
        title: Its builder's name and its number there.
        results: Its result code.
    """

    id: int
    title: str
    results: int


def disagreements(builds: Sequence[Build], statuses: Sequence[Mapping[str, Any]]) -> list[str]:
    """Compare what has arrived with what the database says.

    Args:
        builds: All builds of the master, each one finished.
        statuses: The content of the statuses that arrived, in their order.

    Returns:
        A sentence for each build that does not have just two statuses, the first new and the
        last finished with the database's result.
    """
    return [
        sentence
        for build in builds
        if (sentence := _fault(build, [each for each in statuses if each["buildid"] == build.id]))
    ]


def _fault(build: Build, statuses: Sequence[Mapping[str, Any]]) -> str | None:
    expected = ["new", f"finished: {result_word(build.results)}"]
    arrived = [
        f"finished: {result_word(each['results'])}" if each["complete"] else "new"
        for each in statuses
    ]
    if arrived == expected:
        return None
    return f"{build.title}: expected {', '.join(expected)}; arrived {', '.join(arrived) or 'none'}"


def misshown(builds: Sequence[Build], shown: Mapping[int, int | None]) -> list[str]:
    """Compare what a board shows with what the database says.

    Args:
        builds: All builds of the master, each one finished.
        shown: The results of the board's builds by their number; None for those that run.

    Returns:
        A sentence for each build that the board lacks or shows with another result.
    """
    return [
        f"{build.title}: ended as {result_word(build.results)}, the board shows "
        + _shown_word(build.id, shown)
        for build in builds
        if build.results != shown.get(build.id)
    ]


def _shown_word(build: int, shown: Mapping[int, int | None]) -> str:
    if build not in shown:
        return "nothing"
    return "running" if shown[build] is None else result_word(shown[build])


def undelivered(outbox: Sequence[tuple[str, str | None]], expected: int) -> list[str]:
    """Return a sentence if deliveries are missing, else nothing.

    Args:
        outbox: State and outcome of each delivery.
        expected: How many there must be.
    """
    trouble = [outcome for state, outcome in outbox if state not in SETTLED]
    missing = expected - len(outbox) + len(trouble)
    if not missing:
        return []
    reason = next(filter(None, trouble), "not tried yet")
    return [f"{missing} of {expected} statuses are not delivered: {reason}"]


def tone_of(build: Mapping[str, Any]) -> Tone:
    """Say how a build's status is meant; what is neither good nor bad stays as it is."""
    return TONES.get(result_word(build.get("results")), "") if build["complete"] else "quiet"


def advice(url: str | None) -> str:
    """Say what to do after a demo that failed.

    Args:
        url: Where the statuses were to go; ``None`` for the demo's own receiver.
    """
    if url is None:
        return "For details use --keep, and read twistd.log in the master's directory."
    return (
        "'buildbot-http-status-push ping', with the same --server-url, --auth, --header and "
        "--secret, shows one exchange with this receiver step by step."
    )
