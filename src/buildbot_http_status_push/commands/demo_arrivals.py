"""Which statuses a receiver that is not the demo's own has accepted, told as it happens.

Only the outbox knows that; what a status says is known from the master's events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from buildbot_http_status_push.commands.demo_verdict import tone_of
from buildbot_http_status_push.commands.terminal import Say
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.inspection import Entry
from buildbot_http_status_push.receiver.description import local_time, summarize_build


class Arrivals:
    """Tells each status once it is accepted, and each kind of trouble once.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._builds: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._told: set[str] = set()

    def note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        """Remember what an event told of a build, for when its status is accepted.

        Args:
            key: The event's routing key, ``new`` or ``finished`` at its end.
            build: The build, ``builder`` with its ``name`` included.
        """
        self._builds[build["buildid"], key[-1]] = build

    def show_new(self, entries: Iterable[Entry]) -> None:
        """Tell what is new among the outbox's deliveries."""
        for entry in sorted(entries, key=lambda entry: entry.updated_at):
            if entry.state is State.DELIVERED:
                self._tell_accepted(entry)
            elif entry.outcome:
                self._tell_once(entry.outcome, f"not accepted: {entry.outcome}", entry.updated_at)

    def _tell_accepted(self, entry: Entry) -> None:
        build = self._builds.get((entry.build or 0, entry.event.rpartition(".")[2]))
        if entry.id not in self._told and build:
            self._told.add(entry.id)
            words = f"{summarize_build(build):<43}  {entry.outcome}"
            self._say(f"{local_time(entry.updated_at)}  {words}", tone_of(build))

    def _tell_once(self, what: str, words: str, at: float) -> None:
        if what not in self._told:
            self._told.add(what)
            self._say(f"{local_time(at)}  {words}", "bad")
