"""Signing and verifying, against the specification's own library and by themselves."""

from __future__ import annotations

import base64
import time
from datetime import datetime, timezone

from hypothesis import assume, example, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.signing import (
    KeyFormatError,
    SignatureError,
    parse_key,
    sign,
    verify,
)

NOW = 1_700_000_000
BODY = b'{"number": 7}'
KEY = "whsec_" + base64.b64encode(bytes(range(24))).decode()
OTHER_KEY = "a plain text key"

message_ids = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1
)
coded_keys = st.binary(min_size=24, max_size=64).map(
    lambda key: "whsec_" + base64.b64encode(key).decode()
)
plain_keys = st.text(min_size=1).filter(
    lambda key: not key.startswith(("whsec_", "whsk_", "whpk_")) and key.isprintable()
)
keys = coded_keys | plain_keys
timestamps = st.integers(0, 99_999_999_999)


def headers(key: str | list[str] = KEY, message_id: str = "one", at: int = NOW) -> dict[str, str]:
    """The three headers of a delivery of ``BODY``."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": sign(key, message_id, at, BODY),
    }


class KeyTests(SynchronousTestCase):
    """What a key may look like."""

    def refusal(self, text: str) -> str:
        """The error's text, which must not show the key."""
        with self.assertRaises(KeyFormatError) as caught:
            parse_key(text)
        message = str(caught.exception)
        secret = text.removeprefix("whsec_")
        if secret:
            self.assertNotIn(secret, message)
        self.assertIsNone(caught.exception.__cause__)
        self.assertTrue(
            caught.exception.__context__ is None or caught.exception.__suppress_context__
        )
        return message

    def test_coded(self) -> None:
        """The bytes of a whsec_ key are its decoded base64."""
        self.assertEqual(parse_key(KEY), bytes(range(24)))

    def test_coded_without_padding(self) -> None:
        """The padding of a whsec_ key may be missing."""
        text = base64.b64encode(bytes(range(25))).decode()
        self.assertEqual(parse_key("whsec_" + text.rstrip("=")), bytes(range(25)))

    def test_plain(self) -> None:
        """The bytes of any other key are its UTF-8."""
        self.assertEqual(parse_key("schlüssel"), b"schl\xc3\xbcssel")

    def test_empty(self) -> None:
        """An empty key is refused."""
        self.assertEqual(self.refusal(""), "a signing key must not be empty")

    def test_size(self) -> None:
        """A whsec_ key has 24 to 64 bytes."""
        for size in (0, 23, 65):
            text = "whsec_" + base64.b64encode(b"k" * size).decode()
            self.assertIn(f"24 to 64 bytes, not {size}", self.refusal(text))
        for size in (24, 64):
            text = "whsec_" + base64.b64encode(b"k" * size).decode()
            self.assertEqual(parse_key(text), b"k" * size)

    def test_broken_base64(self) -> None:
        """A whsec_ key that is no base64 is refused."""
        for encoded in ("%%%%", "A" * 33, "A" * 32 + "é", "AAAA=AAAA" * 4, "A" * 31 + "\n"):
            self.assertIn("must be base64", self.refusal("whsec_" + encoded))

    def test_not_utf8(self) -> None:
        """A key that has no UTF-8, such as undecodable bytes of a command line, is refused."""
        self.assertIn("UTF-8", self.refusal("key\udcff"))

    def test_asymmetric(self) -> None:
        """A key for asymmetric signatures is not mistaken for a plain text."""
        for text in ("whsk_AAAA", "whpk_AAAA"):
            self.assertIn("not supported", self.refusal(text))


class SignTests(SynchronousTestCase):
    """What is signed, and how the header looks."""

    def test_known_answer(self) -> None:
        """A signature equals the one computed apart from this code.

        ``printf '%s' 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' |
        openssl dgst -sha256 -mac HMAC -macopt hexkey:HEX -binary | base64``, where HEX is the
        decoded key.
        """
        signature = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
        )
        self.assertEqual(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_several_keys(self) -> None:
        """Several keys give several signatures, separated by a space."""
        both = sign([KEY, OTHER_KEY], "one", NOW, BODY)
        each = [sign(key, "one", NOW, BODY) for key in (KEY, OTHER_KEY)]
        self.assertEqual(both, " ".join(each))

    def test_lone_key(self) -> None:
        """A key given as a text is one key, not one for each character."""
        self.assertEqual(sign(OTHER_KEY, "one", NOW, BODY), sign([OTHER_KEY], "one", NOW, BODY))

    def test_no_key(self) -> None:
        """Nothing is signed without a key."""
        with self.assertRaisesRegex(KeyFormatError, "at least one"):
            sign([], "one", NOW, BODY)

    def test_ids(self) -> None:
        """An id with a dot, a space or anything but printable ASCII is refused."""
        for message_id in ("", "a.b", "a b", "a\nb", "ä"):
            with self.assertRaisesRegex(ValueError, "without spaces and dots"):
                sign(KEY, message_id, NOW, BODY)


class VerifyTests(SynchronousTestCase):
    """What passes and what is refused."""

    def refusal(self, given: dict[str, str], body: bytes = BODY, key: str = KEY) -> str:
        """The reason for which a request is refused."""
        with self.assertRaises(SignatureError) as caught:
            verify(given, body, key, now=NOW)
        return str(caught.exception)

    @given(keys, message_ids, timestamps, st.binary())
    def test_round_trip(self, key: str, message_id: str, timestamp: int, body: bytes) -> None:
        """What was signed is verified with the same key."""
        given = {
            "Webhook-Id": message_id,
            "WEBHOOK-TIMESTAMP": str(timestamp),
            "webhook-signature": sign(key, message_id, timestamp, body),
        }
        verify(given, body, [key], now=timestamp)

    @given(st.binary(min_size=1), st.data())
    def test_body_tampered(self, body: bytes, data: st.DataObject) -> None:
        """A body with any byte changed, added or left out is refused."""
        given = headers() | {"webhook-signature": sign(KEY, "one", NOW, body)}
        place = data.draw(st.integers(0, len(body) - 1))
        byte = bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != body[place]))])
        for tampered in (
            body[:place] + byte + body[place + 1 :],
            body[:place] + body[place + 1 :],
            body[:place] + byte + body[place:],
        ):
            self.assertIn("no signature", self.refusal(given, tampered))

    @given(message_ids, message_ids)
    def test_id_tampered(self, message_id: str, other: str) -> None:
        """Another id than the signed one is refused."""
        assume(message_id != other)
        given = headers(message_id=message_id) | {"webhook-id": other}
        self.assertIn("no signature", self.refusal(given))

    @given(st.integers(-300, 300).filter(bool))
    def test_timestamp_tampered(self, shift: int) -> None:
        """Another timestamp than the signed one is refused, however near."""
        given = headers() | {"webhook-timestamp": str(NOW + shift)}
        self.assertIn("no signature", self.refusal(given))

    @given(keys, keys)
    def test_other_key(self, key: str, other: str) -> None:
        """Another key than the one signed with is refused."""
        assume(parse_key(key).rstrip(b"\0") != parse_key(other).rstrip(b"\0"))
        self.assertIn("no signature", self.refusal(headers(key), key=other))

    @given(st.text())
    @example("v1")
    @example("v1,")
    @example("v1a," + sign(KEY, "one", NOW, BODY).partition(",")[2])
    @example("v1,é")
    def test_signature_made_up(self, signature: str) -> None:
        """A made-up signature is refused, and nothing else is raised."""
        self.refusal(headers() | {"webhook-signature": signature})

    def test_boundary_moved(self) -> None:
        """Id, timestamp and body can't be divided anew at another dot."""
        signature = sign(KEY, "one", NOW, b"5.body")
        moved = {
            "webhook-id": f"one.{NOW}",
            "webhook-timestamp": "5",
            "webhook-signature": signature,
        }
        with self.assertRaisesRegex(SignatureError, "without spaces and dots"):
            verify(moved, b"body", KEY, now=5)

    def test_tolerance(self) -> None:
        """The timestamp may be as far off as the tolerance, before and after, and no further."""
        for age in (-300, 300):
            verify(headers(at=NOW - age), BODY, KEY, now=NOW)
        self.assertIn("too old: 301 seconds", self.refusal(headers(at=NOW - 301)))
        self.assertIn("too far in the future", self.refusal(headers(at=NOW + 301)))
        with self.assertRaisesRegex(SignatureError, "10 are allowed"):
            verify(headers(at=NOW - 11), BODY, KEY, now=NOW, tolerance=10)

    def test_own_clock(self) -> None:
        """The system's clock is used where no time is given."""
        verify(headers(at=int(time.time())), BODY, KEY)
        with self.assertRaisesRegex(SignatureError, "too old"):
            verify(headers(at=NOW), BODY, KEY)

    def test_timestamp_malformed(self) -> None:
        """A timestamp that is not plain digits is refused."""
        for timestamp in ("soon", "-1", "+1", "1_0", "1.5", "٣", "9" * 5000):
            given = headers() | {"webhook-timestamp": timestamp}
            self.assertIn("whole seconds", self.refusal(given))

    def test_missing_headers(self) -> None:
        """Each of the three headers must be there and not be empty."""
        for name in headers():
            without = {other: value for other, value in headers().items() if other != name}
            self.assertEqual(self.refusal(without), f"the header {name} is missing")
            self.assertEqual(self.refusal(without | {name: ""}), f"the header {name} is missing")

    def test_rotation(self) -> None:
        """While keys change, one common key of sender and receiver is enough."""
        verify(headers([KEY, OTHER_KEY]), BODY, OTHER_KEY, now=NOW)
        verify(headers(OTHER_KEY), BODY, [KEY, OTHER_KEY], now=NOW)

    def test_no_key(self) -> None:
        """Nothing passes where there is no key."""
        with self.assertRaisesRegex(SignatureError, "no signature"):
            verify(headers(), BODY, [], now=NOW)

    def test_lone_key(self) -> None:
        """A key given as a text is one key, not one for each character."""
        self.assertIn("no signature", self.refusal(headers("k"), key="kkk"))


class InteroperabilityTests(SynchronousTestCase):
    """The specification's own Python library on the other side."""

    @given(coded_keys, message_ids, st.text())
    def test_ours_read_there(self, key: str, message_id: str, text: str) -> None:
        """The library verifies what is signed here."""
        now = int(time.time())
        given = {
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": sign(["another key", key], message_id, now, text.encode()),
        }
        Webhook(key).verify(text, given, json_parse=False)
        with self.assertRaises(WebhookVerificationError):
            Webhook(key).verify(text + "x", given, json_parse=False)

    @given(keys, message_ids, timestamps, st.text())
    def test_theirs_read_here(self, key: str, message_id: str, timestamp: int, text: str) -> None:
        """What the library signs is verified here, with plain keys given to it as bytes."""
        their_key = key if key.startswith("whsec_") else key.encode()
        moment = datetime.fromtimestamp(timestamp, tz=timezone.utc)
        given = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": Webhook(their_key).sign(message_id, moment, text),
        }
        verify(given, text.encode(), key, now=timestamp)
