"""Durations in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.durations import duration


class DurationTests(SynchronousTestCase):
    """The one way to write a duration."""

    def test_units(self) -> None:
        """A duration has its two largest units, and milliseconds below a second."""
        words = {-5: "0 s", 0: "0 s", 0.0004: "0 s", 0.34: "340 ms", 0.9996: "1 s", 1.46: "1.5 s"}
        words |= {3: "3 s", 9.96: "9 s", 12.9: "12 s", 59.9: "59 s", 60: "1 min", 200: "3 min 20 s"}
        words |= {3599: "59 min 59 s", 3600: "1 h", 7500: "2 h 5 min", 86399: "23 h 59 min"}
        words |= {86400: "1 d", 100_000: "1 d 3 h"}
        self.assertEqual({seconds: duration(seconds) for seconds in words}, words)
