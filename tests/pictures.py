"""Makes the documentation's pictures of the board: ``python -m pictures docs/images``.

Run by ``tox -e pictures``, after changes of how the board looks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from attrs import frozen
from support.board_process import BoardProcess
from support.browser import Browser, browser
from support.sample import KNOWN, MASTER, Sample, plans


@frozen
class Picture:
    """A picture to be made.

    Args:
        name: The file's name is made of it.
        path: What is shown: an address on the board; ``{red}`` is a build with failed tests.
        width: Of the window, in CSS pixels.
        height: Likewise.
        green: Whether nothing is red.
        scheme: ``light`` or ``dark``.
        scale: Dots for each pixel.
        part: A selector of the element that is shown alone; empty for the whole window.
    """

    name: str
    path: str
    width: int = 1280
    height: int = 800
    green: bool = False
    scheme: str = "light"
    scale: float = 1
    part: str = ""


PICTURES = (
    Picture("overview-red", "/", height=960),
    Picture("overview-green", "/", green=True),
    Picture("dark", "/", height=960, scheme="dark"),
    Picture("grid", "/grid"),
    Picture("build", "{red}", height=960),
    Picture("kiosk", "/?kiosk=1", 1920, 1080, scheme="dark"),
    Picture("phone", "/", 390, 844, scale=2),
    Picture("cards", "/", scale=1.5, part=".reds"),
)


def main() -> None:
    """Make all pictures, or those that are named."""
    folder, *names = sys.argv[1:]
    wanted = [each for each in PICTURES if each.name in (names or each.name)]
    with browser() as window:
        for green in (False, True):
            take(window, [each for each in wanted if each.green is green], Path(folder))


def take(window: Browser, pictures: list[Picture], folder: Path) -> None:
    """Fill a board and make pictures of it."""
    if not pictures:
        return
    with (
        tempfile.TemporaryDirectory() as known,
        BoardProcess.running("--master", f"main={MASTER}", "--known", known) as board,
    ):
        for name, text in KNOWN.items():
            (Path(known) / name).write_text(text, encoding="utf-8")
        board.send(Sample(int(time.time()), plans(pictures[0].green)).bodies())
        for picture in pictures:
            window.resize(picture.width, picture.height, picture.scale)
            window.prefer(prefers_color_scheme=picture.scheme)
            window.open(board.address + address(window, board, picture).lstrip("/"))
            window.wait(lambda: window.is_live)
            window.screenshot(folder / f"board-{picture.name}.png", picture.part)


def address(window: Browser, board: BoardProcess, picture: Picture) -> str:
    """Return a picture's path, with the red build's number filled in."""
    if "{red}" not in picture.path:
        return picture.path
    window.open(board.address)
    return str(window.run("return document.querySelector('.red .tests a').getAttribute('href')"))


if __name__ == "__main__":
    main()
