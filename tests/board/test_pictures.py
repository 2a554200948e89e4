"""The documentation's pictures of the board."""

from __future__ import annotations

from pathlib import Path

from pictures import PICTURES
from twisted.trial.unittest import SynchronousTestCase

DOCS = Path(__file__).parents[2] / "docs"


class PicturesTest(SynchronousTestCase):
    """Which there are."""

    def test_all_are_there(self) -> None:
        """Each picture that is made is there, no other is, and each is shown in a text."""
        names = {f"board-{each.name}.png" for each in PICTURES}
        self.assertEqual({each.name for each in (DOCS / "images").glob("*.png")}, names)
        texts = "".join(each.read_text(encoding="utf-8") for each in DOCS.rglob("*.md"))
        self.assertEqual({each for each in names if f"images/{each})" not in texts}, set())

    def test_sizes(self) -> None:
        """Each of a window has its size: PNGs have it in their first bytes."""
        for each in (each for each in PICTURES if not each.part):
            head = (DOCS / "images" / f"board-{each.name}.png").read_bytes()[16:24]
            size = (int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big"))
            self.assertEqual(size, (each.width * each.scale, each.height * each.scale), each.name)
