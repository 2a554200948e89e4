"""Makes the frames that lead browsers from where they stand to where the board stands.

Knows no connection, no SQL and no template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from buildbot_http_status_push.board.live import frames
from buildbot_http_status_push.board.live.frames import Change, Summary
from buildbot_http_status_push.board.live.update_log import Changed, Recent, merged
from buildbot_http_status_push.board.model import Master, Position
from buildbot_http_status_push.database import StorageError


class Renderer(Protocol):
    """What is needed of the templates."""

    async def open(self) -> None:
        """Take in the whole board, so that it can be summed up."""

    async def render(self, changed: Changed) -> tuple[Change, ...]:
        """Return what is to be told of builds that have changed."""

    @property
    def summary(self) -> Summary:
        """The board in numbers, after the latest rendering."""


@define(eq=False)
class FrameMaker:
    """Makes all frames, at the board's time.

    Args:
        renderer: Makes fragments.
        seconds: Returns the time in seconds since the epoch.
        log: Where it is told that something could not be rendered.
    """

    _renderer: Renderer
    _seconds: Callable[[], float]
    _log: Logger = field(factory=Logger)

    async def open(self) -> None:
        """Take in the whole board.

        Raises:
            StorageError: The store can't be read.
        """
        await self._renderer.open()

    async def updates(
        self, recent: Recent, positions: Collection[Position]
    ) -> dict[Position, bytes]:
        """Make the frames that lead to the latest position, each change rendered once.

        Args:
            recent: What has changed.
            positions: Where browsers stand.

        Returns:
            A frame for each of them.

        Raises:
            StorageError: The store can't be read.
        """
        since = {position: recent.since(position) for position in positions}
        try:
            changes = await self._renderer.render(merged(filter(None, since.values())))
        except (StorageError, CancelledError):
            raise
        except Exception:
            # One change that can't be rendered must not end the stream.
            self._log.failure("changes can't be rendered: browsers fetch their pages instead")
            since, changes = dict.fromkeys(since), ()
        by_builder = {change.builder.id: change for change in changes}
        return {
            position: self._updates(position, recent.position, changed, by_builder)
            for position, changed in since.items()
        }

    def snapshot(self, position: Position) -> bytes:
        """Tell a browser to fetch its page.

        Args:
            position: Where it stands afterwards.
        """
        return frames.snapshot(position, self._seconds())

    def heard(self, position: Position, masters: Iterable[Master]) -> bytes:
        """Give a sign of life.

        Args:
            position: Where browsers stand that have missed nothing.
            masters: All masters.
        """
        return frames.heard(position, masters, self._seconds())

    def _updates(
        self,
        since: Position,
        position: Position,
        changed: Changed | None,
        changes: Mapping[int, Change],
    ) -> bytes:
        if changed is None:
            return self.snapshot(position)
        told = [changes[builder] for builder in changed if builder in changes]
        summary = self._renderer.summary
        return frames.updates(since.sequence, position, told, summary, self._seconds())
