"""Two boards on one PostgreSQL database behind nginx, browsers of both, and what happens."""

from __future__ import annotations

from pathlib import Path

from support.following import Follower
from support.nginx import Nginx
from support.postgres import Postgres

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
    """

    def __init__(self, folder: Path, browsers: int = BROWSERS, clock: Clock | None = None) -> None:
        self._server = Postgres()
        self.database: Path | str = self._server.url()
        self.each = {name: Board(folder, self._server.url(), f"board-{name}") for name in NAMES}
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
        self._server.remove()


class TwoBoardsScene(Scene):
    """A master, a receiver, and two boards behind it."""

    board: Boards

    def make_board(self) -> Boards:
        """Return both."""
        return Boards(self.folder)

    def _misshown(self) -> list[str]:
        return [*super()._misshown(), *self.board.seen_amiss()]


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
