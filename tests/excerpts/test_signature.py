"""What identifies a line from one run to the next."""

from __future__ import annotations

import json
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.excerpts.signature import signature, stable

PAIRS = json.loads(Path(__file__).with_name("pairs.json").read_text("utf-8"))
SAME: list[list[str]] = PAIRS["same"]
DIFFERENT: list[list[str]] = PAIRS["different"]


class SignatureTest(SynchronousTestCase):
    """Lines that say the same, and lines that do not."""

    def test_same(self) -> None:
        """Lines that differ in what changes from run to run have one signature."""
        apart = [(stable(one), stable(two)) for one, two in SAME if stable(one) != stable(two)]
        self.assertEqual(apart, [])

    def test_different(self) -> None:
        """Lines that name another file, test, symbol, code or small value have different ones."""
        alike = [(one, two) for one, two in DIFFERENT if stable(one) == stable(two)]
        self.assertEqual(alike, [])

    def test_enough_pairs(self) -> None:
        """The pairs are at least eighty, about as many of each kind."""
        self.assertGreater(min(len(SAME), len(DIFFERENT)), 40)
        self.assertGreaterEqual(len({(one, two) for one, two in SAME + DIFFERENT}), 80)

    def test_rule_and_step_count(self) -> None:
        """The same line of another step, or found by another rule, has another signature."""
        one = signature("pytest", "test", "E   assert 3 == 4")
        self.assertEqual(one, signature("pytest", "test", "E   assert 3 == 4"))
        self.assertNotEqual(one, signature("pytest", "lint", "E   assert 3 == 4"))
        self.assertNotEqual(one, signature("gcc", "test", "E   assert 3 == 4"))
        self.assertRegex(one, r"\A[0-9a-f]{16}\Z")

    def test_stays_the_same(self) -> None:
        """A signature is what it was when it was stored, unless its version grows."""
        self.assertEqual(signature("pytest", "test", "E   assert 3 == 4"), "fcc69ad0a1d773c9")

    def test_bounded_time(self) -> None:
        """No line takes long, whatever it repeats."""
        pieces = [
            "a",
            "1",
            "/",
            "a/",
            "1:",
            "a.b/",
            "0x",
            "1 m ",
            "2024-01-",
            "f" * 3,
            "-",
            "[1/",
            "#",
        ]
        started = time.process_time()
        for piece in (*pieces, *(f"{one}{two}" for one in pieces for two in pieces)):
            stable(piece * 100_000)
        self.assertLess(time.process_time() - started, 0.05 * len(pieces) ** 2)
