"""What ``Retry-After`` says."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.wire.client import parse_retry_after


class RetryAfterTest(SynchronousTestCase):
    """What a ``Retry-After`` header says."""

    @given(st.integers(0, 10**30), st.sampled_from(["", " ", "\t"]), st.integers(0, 40))
    def test_seconds(self, seconds: int, space: str, zeros: int) -> None:
        """Whole seconds are taken as they are, whatever stands around them."""
        text = f"{space}{'0' * zeros}{seconds}{space}"
        self.assertEqual(parse_retry_after(text, 123.0), float(seconds))

    def test_fractions(self) -> None:
        """A fraction of a second counts: services that count in fractions send it so."""
        self.assertEqual(parse_retry_after("64.57", 0.0), 64.57)
        self.assertEqual(parse_retry_after(" 0.250 ", 0.0), 0.25)

    @given(st.integers(0, 4 * 10**9), st.integers(-7200, 7200))
    def test_date(self, now: int, ahead: int) -> None:
        """An HTTP date says how long it is until then, 0 where it is past."""
        moment = datetime.fromtimestamp(max(now + ahead, 0), timezone.utc)
        text = format_datetime(moment, usegmt=True)
        self.assertEqual(parse_retry_after(text, float(now)), max(moment.timestamp() - now, 0))

    def test_three_forms_of_dates(self) -> None:
        """The three forms that HTTP knows (RFC 9110, 5.6.7) name the same time."""
        now = datetime(1994, 11, 6, 8, 48, 37, tzinfo=timezone.utc).timestamp()
        for text in (
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(parse_retry_after(text, now), 60, text)

    def test_other_zone(self) -> None:
        """A date in another zone is a time like any other."""
        self.assertEqual(parse_retry_after("Thu, 01 Jan 1970 02:00:10 +0200", 0.0), 10)

    def test_nothing_to_read(self) -> None:
        """What is neither says nothing."""
        for text in (
            None,
            "",
            "soon",
            "-5",
            "1.",
            ".5",
            "1e3",
            "٣",
            "Mon, 99 Foo 2020 00:00:00 GMT",
        ):
            self.assertIsNone(parse_retry_after(text, 0.0), text)

    @given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ [+-]?\w+"))
    def test_any_text(self, text: str) -> None:
        """Whatever a receiver writes, the answer is a time to wait or none, never an error."""
        found = parse_retry_after(text, 1e9)
        self.assertTrue(found is None or found >= 0)
