"""Durations in words, and as people type them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.durations import duration, read_duration


class DurationTests(SynchronousTestCase):
    """The one way to write a duration."""

    def test_units(self) -> None:
        """A duration has its two largest units, and milliseconds below a second."""
        words = {-5: "0 s", 0: "0 s", 0.0004: "0 s", 0.34: "340 ms", 0.9996: "1 s", 1.46: "1.5 s"}
        words |= {3: "3 s", 9.96: "9 s", 12.9: "12 s", 59.9: "59 s", 60: "1 min", 200: "3 min 20 s"}
        words |= {3599: "59 min 59 s", 3600: "1 h", 7500: "2 h 5 min", 86399: "23 h 59 min"}
        words |= {86400: "1 d", 100_000: "1 d 3 h"}
        self.assertEqual({seconds: duration(seconds) for seconds in words}, words)

    def test_typed(self) -> None:
        """A typed duration is a number with one unit; anything else is none."""
        found = {"90s": 90, "10m": 600, "2h": 7200, "3d": 259_200, "1w": 604_800, "0d": 0}
        found |= dict.fromkeys(("", "10", "m", "-1d", "1.5h", "1d2h", "1234567s", "1 d", "1D"))
        self.assertEqual({text: read_duration(text) for text in found}, found)
