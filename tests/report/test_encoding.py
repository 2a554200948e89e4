"""How a report becomes a content type and bytes, and how what has no JSON form is told."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

from buildbot.data.base import ListResult
from hypothesis import given
from hypothesis import strategies as st
from support.outboxes import result
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.report import encoding
from buildbot_http_status_push.report.encoding import (
    DEEPEST,
    HTML,
    JSON,
    LARGE,
    PLAIN,
    Encoded,
    EncodingError,
    epoch_seconds,
    is_large,
    to_json,
    to_json_cooperatively,
)
from buildbot_http_status_push.time_slices import CooperativeScheduler

texts = st.text(st.characters())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)  # fmt: skip
unfit = st.sampled_from([{1}, date(2024, 1, 1), object(), 1j, float("nan"), 10**5000])
steps = st.lists(st.integers(0, 3) | texts, max_size=6)


def nest(path: list[int | str], value: object) -> Any:
    """Put a value at a path of list indexes and dict keys."""
    for step in reversed(path):
        value = [0] * step + [value] if isinstance(step, int) else {step: value}
    return value


class JSONTest(SynchronousTestCase):
    """Values as JSON."""

    @given(json_values)
    def test_round_trip(self, value: object) -> None:
        """Whatever JSON can hold comes out as it went in, in ASCII."""
        encoded = to_json(value)
        self.assertEqual(json.loads(encoded), value)
        self.assertTrue(encoded.isascii())

    @given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.data())
    def test_times(self, moment: datetime, data: st.DataObject) -> None:
        """A time at any depth becomes the whole seconds since the epoch, whatever its zone."""
        zone = timezone(timedelta(minutes=data.draw(st.integers(-1439, 1439))))
        aware = moment.replace(tzinfo=zone)
        value = json.loads(to_json({"at": [moment, aware]}))
        since = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
        self.assertEqual(value["at"][1], int(since.total_seconds()))
        self.assertEqual(value["at"][0], epoch_seconds(moment.replace(tzinfo=timezone.utc)))

    def test_a_known_time(self) -> None:
        """A time without a zone is in UTC, and fractions of a second are dropped."""
        moment = datetime(2024, 2, 29, 12, 30, 15, 999999)
        self.assertEqual(to_json(moment), b"1709209815")

    @given(steps, unfit)
    def test_the_place_is_named(self, path: list[int | str], value: object) -> None:
        """What has no JSON form is told with the path that leads to it."""
        with self.assertRaises(EncodingError) as caught:
            to_json(nest(path, value))
        place = "body" + "".join(f"[{step!r}]" for step in path)
        self.assertTrue(str(caught.exception).startswith(f"{place} is "), str(caught.exception))

    def test_words(self) -> None:
        """Each kind of fault has its own words."""
        endless: list[Any] = [1]
        endless.append({"again": endless})
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        for value, words in (
            ({"a": {1}}, "body['a'] is a set, which has no JSON form"),
            ({"a": float("inf")}, "body['a'] is inf, which JSON can't hold"),
            ([10**5000], "body[0] is a number of too many digits, which JSON can't hold"),
            ({(1, 2): 3}, "body has the key (1, 2), a tuple; JSON keys are texts"),
            ([{b"x": 3}], "body[0] has the key b'x', a bytes; JSON keys are texts"),
            ({float("nan"): 3}, "body has the key nan, a float; JSON keys are texts"),
            (endless, "body[1]['again'] contains itself"),
            (deep, "body is nested too deeply"),
        ):
            with self.assertRaises(EncodingError) as caught:
                to_json(value)
            self.assertEqual(str(caught.exception), words)

    def test_the_same_twice_is_no_circle(self) -> None:
        """One object in two places is no fault."""
        shared = {"x": 1}
        self.assertEqual(to_json([shared, shared]), b'[{"x": 1}, {"x": 1}]')


class LargeTest(SynchronousTestCase):
    """Values whose encoding takes long."""

    def setUp(self) -> None:
        """Make a reactor's clock."""
        self.clock = Clock()

    def begin(self, value: object) -> Deferred[bytes]:
        """Begin to encode a value."""
        return Deferred.fromCoroutine(
            to_json_cooperatively(value, CooperativeScheduler(self.clock).run)
        )

    @given(json_values)
    def test_same(self, value: object) -> None:
        """The bytes are the same as when it is encoded at once."""
        self.clock = Clock()
        large = [value, "x" * LARGE]
        encoded = self.begin(large)
        self.assertNoResult(encoded)
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(encoded), to_json(large))

    def test_small(self) -> None:
        """What is small is encoded at once, so that later changes do not count."""
        value = ["x"]
        encoded = self.begin(value)
        value.append("y")
        self.assertEqual(self.successResultOf(encoded), b'["x"]')

    def test_faults(self) -> None:
        """What has no JSON form is told with its place."""
        large = {"a": ["x" * LARGE, {"b": object()}]}
        encoded = self.begin(large)
        self.clock.advance(0)
        fault = self.failureResultOf(encoded, EncodingError)
        told = "body['a'][1]['b'] is a object, which has no JSON form"
        self.assertEqual(str(fault.value), told)

    def test_what_is_large(self) -> None:
        """Long texts, many numbers, and what contains itself without end."""
        endless: list[object] = []
        endless.append(endless)
        for value in ("x" * LARGE, {"a": list(range(LARGE // 8))}, endless):
            self.assertTrue(is_large(value))
        for value in ("x" * (LARGE - 1), {"a": list(range(LARGE // 8 - 3))}, None):
            self.assertFalse(is_large(value))


def encode(report: dict[str, Any]) -> Encoded | None:
    """Encode a report; what is small at once."""
    clock = Clock()
    encoded = Deferred.fromCoroutine(encoding.encode(report, CooperativeScheduler(clock).run))
    clock.pump([0] * 9)
    return result(encoded)


class EncodeTest(SynchronousTestCase):
    """Reports as Buildbot's generators make them."""

    def test_kinds(self) -> None:
        """The report's type decides the content type of texts; anything else is JSON."""
        for body, kind, expected in (
            ({"a": 1}, "json", Encoded(JSON, b'{"a": 1}')),
            ({"a": 1}, "plain", Encoded(JSON, b'{"a": 1}')),
            ([], "json", Encoded(JSON, b"[]")),
            ("ä", "plain", Encoded(PLAIN, b"\xc3\xa4")),
            ("<p>", "html", Encoded(HTML, b"<p>")),
            ("text", "json", Encoded(JSON, b'"text"')),
            ("text", "other", Encoded(PLAIN, b"text")),
            (b"\xff", "plain", Encoded(PLAIN, b"\xff")),
            (b"<p>", "html", Encoded(HTML, b"<p>")),
            (b"{}", "json", Encoded(JSON, b"{}")),
        ):
            self.assertEqual(encode({"body": body, "type": kind}), expected)

    def test_without_type(self) -> None:
        """A report without a type is plain text, or JSON where it is none."""
        self.assertEqual(encode({"body": "x"}), Encoded(PLAIN, b"x"))
        self.assertEqual(encode({"body": {}}), Encoded(JSON, b"{}"))

    def test_nothing_to_send(self) -> None:
        """A body of None means that nothing is sent; an empty one is sent."""
        self.assertIsNone(encode({"body": None, "type": "json"}))
        self.assertIsNone(encode({}))
        self.assertEqual(encode({"body": "", "type": "plain"}), Encoded(PLAIN, b""))

    def test_surrogates(self) -> None:
        """A text with half a surrogate pair in it is an error that says where."""
        with self.assertRaises(EncodingError) as caught:
            encode({"body": "ab\ud800", "type": "plain"})
        self.assertIn("body has no UTF-8 form", str(caught.exception))
        self.assertIn("position 2", str(caught.exception))

    @given(steps, st.sampled_from(["nan", "inf", "-inf"]), st.booleans())
    def test_no_numbers(self, path: list[int | str], text: str, large: bool) -> None:
        """A number that JSON lacks is null wherever it stands, and told with its keys."""
        body = nest(["x", *path], float(text)) | {"y": "y" * (LARGE * large)}
        before = repr(body)
        encoded = encode({"body": body})
        assert encoded is not None
        self.assertEqual(json.loads(encoded.body), nest(["x", *path], None) | {"y": body["y"]})
        keys = ".".join(["x", *(each for each in path if isinstance(each, str))])
        self.assertEqual(encoded.nulls, {keys: text})
        self.assertEqual(repr(body), before)

    def test_too_deep(self) -> None:
        """What is nested deeper than the encoder goes is null from a hundred levels on."""
        for kind in (list, dict):
            value: Any = kind()
            for _ in range(20_000):
                value = [value] if kind is list else {"a": value}
            encoded = encode({"body": {"x": value}})
            assert encoded is not None
            self.assertEqual(
                encoded.body.count(b"[" if kind is list else b"{"), 99 + (kind is dict)
            )
            self.assertEqual(list(encoded.nulls.values()), [f"nested more than {DEEPEST} deep"])

    def test_what_stays_refused(self) -> None:
        """Objects and circles are refused, also beside a number that JSON lacks."""
        circle: list[Any] = [float("nan")]
        circle.append(circle)
        for unfit_body, words in (
            ({"a": float("nan"), "b": object()}, "body['b'] is a object, which has no JSON form"),
            (circle, "contains itself"),
        ):
            with self.assertRaises(EncodingError) as caught:
                encode({"body": unfit_body})
            self.assertIn(words, str(caught.exception))

    def test_lists_of_the_data_api(self) -> None:
        """The data API's own lists are arrays, at any depth and size."""
        for text in ("x", "x" * LARGE):
            body = {"steps": ListResult([{"logs": ListResult([text])}])}
            encoded = encode({"body": ListResult([body])})
            assert encoded is not None
            self.assertEqual(json.loads(encoded.body), [{"steps": [{"logs": [text]}]}])

    def test_later_changes(self) -> None:
        """What happens to the report's body afterwards does not change what is sent."""
        body = {"state": "success"}
        encoded = encode({"body": body, "type": "json"})
        body["state"] = "failure"
        self.assertEqual(encoded, Encoded(JSON, b'{"state": "success"}'))
