"""Where the demo's statuses go: to a receiver of its own, to a board, or to somebody else.

Each shows what has arrived there, and says in the end what is missing. Knows no master.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.threads import deferToThreadPool

from buildbot_http_status_push.board.http.access import Access
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.server import Board
from buildbot_http_status_push.board.server import Settings as BoardSettings
from buildbot_http_status_push.commands.demo_verdict import Build, disagreements, misshown, tone_of
from buildbot_http_status_push.commands.terminal import Say
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.model import State
from buildbot_http_status_push.outbox.inspection import Entry
from buildbot_http_status_push.receiver.description import (
    describe,
    local_time,
    parse,
    summarize_build,
)
from buildbot_http_status_push.receiver.receiver import Behaviour, Received, Receiver


class Destination(Protocol):
    """Where statuses go.

    Attributes:
        url: Its address, once it is open.
        stays: Whether there is something to look at when all has arrived.
    """

    url: str
    stays: bool

    async def open(self) -> None:
        """Begin to take statuses."""

    def note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        """Remember what an event said of a build."""

    def show_new(self, outbox: Callable[[], Iterable[Entry]]) -> None:
        """Show what has been accepted since."""

    async def check(self, builds: Sequence[Build]) -> tuple[list[str], str]:
        """Return a sentence for each build that is not there as it should be, and a count."""

    async def close(self) -> None:
        """Take no more."""


class Arrivals:
    """Prints each status once it is accepted, and each kind of trouble once.

    Args:
        say: Prints a line.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._builds: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._told: set[str] = set()

    def note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        """Remember what an event said of a build, for when its status is accepted.

        Args:
            key: The event's routing key, ``new`` or ``finished`` at its end.
            build: The build, ``builder`` with its ``name`` included.
        """
        self._builds[build["buildid"], key[-1]] = build

    def show_new(self, entries: Iterable[Entry]) -> None:
        """Print what is new among the outbox's deliveries."""
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


class OwnReceiver:
    """A receiver of the demo's own, which shows each status as it arrives.

    Args:
        reactor: The running reactor.
        keys: The keys that statuses must be signed with.
        show_body: Whether the last finished build is shown as it arrived.
        say: Prints a line.
    """

    stays = False

    def __init__(self, reactor: Any, keys: tuple[str, ...], say: Say, *, show_body: bool) -> None:
        self._receiver = Receiver(reactor, Behaviour(keys=keys), on_status=self._show)
        self._say = say
        self._show_body = show_body

    async def open(self) -> None:
        """Listen."""
        self.url = f"http://127.0.0.1:{await self._receiver.listen()}"

    def note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        """Do nothing: what arrives says what it is about."""

    def show_new(self, outbox: Callable[[], Iterable[Entry]]) -> None:
        """Do nothing: it is shown as it arrives."""

    def _show(self, received: Received) -> None:
        self._say(describe(received), tone_of(parse(received)))

    async def check(self, builds: Sequence[Build]) -> tuple[list[str], str]:
        """Compare what has arrived with what the master says."""
        statuses = [parse(received) for received in self._receiver.received]
        finished = [status for status in statuses if status["complete"]]
        if finished and self._show_body:
            self._say("The last finished build, as it arrived:")
            self._say(json.dumps(finished[-1], indent=2))
        return disagreements(builds, statuses), f"{len(statuses)} received"

    async def close(self) -> None:
        """Listen no more."""
        await self._receiver.stop()


class Elsewhere:
    """A receiver that somebody else runs.

    Args:
        url: Its address.
        say: Prints a line.
    """

    stays = False

    def __init__(self, url: str, say: Say) -> None:
        self.url = url
        self._arrivals = Arrivals(say)

    async def open(self) -> None:
        """Do nothing: it is there."""

    def note(self, key: Sequence[str], build: Mapping[str, Any]) -> None:
        """Remember what an event said of a build, for when its status is accepted."""
        self._arrivals.note(key, build)

    def show_new(self, outbox: Callable[[], Iterable[Entry]]) -> None:
        """Show what has been accepted since."""
        self._arrivals.show_new(outbox())

    async def check(self, builds: Sequence[Build]) -> tuple[list[str], str]:
        """Say nothing: only its owner knows what it has."""
        return [], ""

    async def close(self) -> None:
        """Do nothing: it is somebody else's."""


class OwnBoard(Elsewhere):
    """A board of the demo's own, in a temporary folder.

    Args:
        reactor: The running reactor.
        access: What senders must prove.
        say: Prints a line.
    """

    stays = True

    def __init__(self, reactor: Any, access: Access, say: Say) -> None:
        super().__init__("", say)
        self._say = say
        self._folder = Path(tempfile.mkdtemp(prefix="buildbot-demo-board-"))
        settings = BoardSettings(database=file_url(self._folder / "board.sqlite"), access=access)

        def in_thread(function: Any, *arguments: Any) -> Any:
            return deferToThreadPool(reactor, reactor.getThreadPool(), function, *arguments)

        self._board = Board(reactor, settings, in_thread)

    async def open(self) -> None:
        """Listen, and say where."""
        self.url = f"http://127.0.0.1:{await self._board.start()}/"
        self._say(f"The board is at {self.url}")

    async def check(self, builds: Sequence[Build]) -> tuple[list[str], str]:
        """Compare what the board shows with what the master says."""
        shown = await self._board.store.builds(Filter(), limit=len(builds) + 1)
        faults = misshown(builds, {each.buildid: each.results for each in shown})
        return faults, f"{len(shown)} builds on the board"

    async def close(self) -> None:
        """Listen no more, and remove the folder."""
        try:
            await self._board.stop()
        finally:
            shutil.rmtree(self._folder)
