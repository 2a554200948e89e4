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
from buildbot_http_status_push.commands.demo_arrivals import Arrivals
from buildbot_http_status_push.commands.demo_verdict import Build, disagreements, misshown, tone_of
from buildbot_http_status_push.commands.terminal import Say
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.outbox.inspection import Entry
from buildbot_http_status_push.receiver.description import describe, parse
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
        """Remember what an event told of a build."""

    def show_new(self, outbox: Callable[[], Iterable[Entry]]) -> None:
        """Show what has been accepted since."""

    async def check(self, builds: Sequence[Build]) -> tuple[list[str], str]:
        """Return a sentence for each build that is not there as it should be, and a count."""

    async def close(self) -> None:
        """Take no more."""


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
        """Remember what an event told of a build, for when its status is accepted."""
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
