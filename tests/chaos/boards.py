"""Two boards on one PostgreSQL database behind nginx, browsers of both, and what happens.

Boards and a master's outbox may reach the database through a pooler.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.following import Follower
from support.nginx import Nginx
from support.pgbouncer import PgBouncer
from support.postgres import Postgres

from chaos.judge import Finding
from chaos.scene import Scene
from chaos.stage import Board, Clock, wait_until

NAMES = ("one", "two")
BROWSERS = 6
PATIENCE = 60.0


class Boards:
    """Two boards that are reached as if they were one.

    Args:
        folder: Where their files are.
        browsers: How many browsers watch them.
        clock: What the boards take the time from, None for the machine's.
        is_pooled: Whether they reach their database through a pooler.

    Attributes:
        database: The URL of the database itself.
        pooler: What is before the database, None for nothing.
        address: The URL that boards and outboxes reach the database by.
    """

    def __init__(
        self,
        folder: Path,
        browsers: int = BROWSERS,
        clock: Clock | None = None,
        *,
        is_pooled: bool = False,
    ) -> None:
        self._server = Postgres()
        self.database = self._server.url()
        self.pooler = PgBouncer(self._server.socket_folder) if is_pooled else None
        self.address = self.pooler.url() if self.pooler else self.database
        self.each = {name: Board(folder, self.address, f"board-{name}") for name in NAMES}
        for board in self.each.values():
            board.clock = clock
        (folder / "nginx").mkdir()
        self._nginx = Nginx(folder / "nginx", [board.port for board in self.each.values()])
        self._nginx.start(None)
        self.url = f"http://127.0.0.1:{self._nginx.port}/"
        self._browsers: list[Follower] = []
        self._left: list[Follower] = []
        self._wanted = browsers

    def start(self) -> None:
        """Start the database and the boards, and let browsers watch."""
        self._server.start()
        for board in self.each.values():
            board.start()
        self._browsers = [self._browser() for _ in range(self._wanted)]

    def _browser(self) -> Follower:
        browser = Follower(self._nginx.port)
        browser.start()
        return browser

    def change_browser(self, number: int) -> None:
        """Let one browser leave and another one come."""
        leaving, self._browsers[number] = self._browsers[number], self._browser()
        self._left.append(leaving)
        leaving.leave()

    def restart_database(self) -> None:
        """Stop the database at once, and start it."""
        self._server.stop()
        self._server.start()

    def seen_amiss(self) -> list[str]:
        """Return what browsers were not told, or told twice, once they know all there is."""
        last = Follower(self._nginx.port).sequence
        wait_until(
            lambda: all(browser.sequence == last for browser in self._browsers),
            "browsers know all",
            PATIENCE,
        )
        return [
            f"a browser: {fault}"
            for browser in (*self._browsers, *self._left)
            for fault in browser.faults
        ]

    def kill(self) -> None:
        """End everything."""
        for browser in self._browsers:
            browser.leave()
        for browser in (*self._browsers, *self._left):
            browser.stop()
        for board in self.each.values():
            board.kill()
        self._nginx.stop()
        if self.pooler:
            self.pooler.stop()
        self._server.remove()


class TwoBoardsScene(Scene):
    """A master, a receiver, and two boards behind it."""

    board: Boards

    def make_board(self) -> Boards:
        """Return both."""
        return Boards(self.folder)

    def _misshown(self, finding: Finding) -> list[str]:
        return [*super()._misshown(finding), *self.board.seen_amiss()]


class PooledScene(TwoBoardsScene):
    """A master and two boards whose outbox and database are behind one pooler."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.options["outbox"] = self.board.address

    def make_board(self) -> Boards:
        """Return both."""
        return Boards(self.folder, is_pooled=True)

    @property
    def _rows(self) -> str:
        return self.board.database


def one_of_two_boards_killed(scene: TwoBoardsScene) -> None:
    """One of two boards is killed and comes back, and their PostgreSQL ends at once meanwhile."""
    scene.receiver.start()
    scene.start_master(builds=scene.builds, pause=0.3)
    scene.play(2, 4)
    scene.board.each["one"].kill()
    scene.play(2, 4)
    scene.board.restart_database()
    scene.play(2, 4)
    scene.board.each["one"].start()
    scene.wait_for_builds()
    scene.wait_until_through()


def pooler_and_database_restarted(scene: PooledScene) -> None:
    """The pooler before the outbox and two boards is killed, then PostgreSQL ends at once."""
    assert scene.board.pooler is not None
    scene.receiver.start()
    scene.start_master(builds=scene.builds, pause=0.3)
    scene.play(2, 4)
    scene.board.pooler.restart()
    scene.note_outage()
    scene.play(2, 4)
    scene.board.restart_database()
    scene.note_outage()
    scene.wait_for_builds()
    scene.wait_until_through()
