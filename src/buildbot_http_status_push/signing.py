"""Signatures of deliveries after the Standard Webhooks specification, for both sides.

Needs the standard library alone, so that a receiver can import it by itself. Knows no HTTP
library, no Buildbot and no other module of this package.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Iterable, Mapping, Sequence

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

KEY_PREFIX = "whsec_"
KEY_SIZES = range(24, 65)
"""How many bytes the specification allows a ``whsec_`` key to have."""

_ASYMMETRIC_PREFIXES = ("whsk_", "whpk_")
_VERSION = "v1"
# Enough until the year 5138, and far below what Python refuses to convert.
_TIMESTAMP_DIGITS = 11


class KeyFormatError(ValueError):
    """A signing key is malformed. The text says how, and never shows the key.

    It is raised without its cause, which may hold the key.
    """


class SignatureError(Exception):
    """A request is not what the owner of a key has sent just now. The text says why."""


def parse_key(text: str) -> bytes:
    """Turn a signing key as people write it into the key's bytes.

    Args:
        text: ``whsec_`` and the base64 of 24 to 64 bytes (Standard Webhooks 1.0.0, "Signature
            scheme"; padding may be missing), or any other text, whose UTF-8 bytes are the key.

    Returns:
        The bytes for HMAC.

    Raises:
        KeyFormatError: The text is empty or malformed.
    """
    if text.startswith(_ASYMMETRIC_PREFIXES):
        raise KeyFormatError(
            "a signing key that begins with whsk_ or whpk_ is for asymmetric signatures, which "
            "are not supported; give a whsec_ key or a plain text"
        )
    if text.startswith(KEY_PREFIX):
        return _decode_key(text[len(KEY_PREFIX) :])
    if not text:
        raise KeyFormatError("a signing key must not be empty")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise KeyFormatError("a signing key's text must be UTF-8") from None


def _decode_key(encoded: str) -> bytes:
    unpadded = encoded.rstrip("=")
    try:
        key = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFormatError("a signing key's part after whsec_ must be base64") from None
    if len(key) not in KEY_SIZES:
        raise KeyFormatError(
            f"a whsec_ signing key must hold {KEY_SIZES[0]} to {KEY_SIZES[-1]} bytes, "
            f"not {len(key)}"
        )
    return key


def sign(keys: str | Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Sign a delivery.

    Args:
        keys: The signing key, or several while one is being replaced by another.
        message_id: The delivery's id: printable ASCII without spaces and dots.
        timestamp: When the attempt is made, in whole seconds since the epoch.
        body: The exact bytes that are sent.

    Returns:
        The value of the ``webhook-signature`` header: one signature for each key, separated by
        spaces (Standard Webhooks 1.0.0, "Webhook headers").

    Raises:
        KeyFormatError: A key is malformed, or there is none.
        ValueError: The id can't be signed.
    """
    if not _is_message_id(message_id):
        raise ValueError(
            f"a delivery's id must be printable ASCII without spaces and dots, not {message_id!r}"
        )
    parsed = [parse_key(key) for key in _each(keys)]
    if not parsed:
        raise KeyFormatError("there must be at least one signing key")
    return " ".join(_signature(key, message_id, str(timestamp), body) for key in parsed)


def verify(
    headers: Mapping[str, str],
    body: bytes,
    keys: str | Sequence[str],
    *,
    now: float | None = None,
    tolerance: float = 300.0,
) -> None:
    """Return if a request was signed with one of the keys just now, raise if not.

    Args:
        headers: The request's headers; upper and lower case make no difference in their names.
        body: The request's body, exactly as it came.
        keys: The key that the sender signs with, or several of which any will do.
        now: The current time in seconds since the epoch; the system's clock when ``None``.
        tolerance: How many seconds the timestamp may be before or after ``now``.

    Raises:
        SignatureError: A header is missing or malformed, the time is too far off, or no
            signature matches.
        KeyFormatError: One of the keys is malformed.
    """
    parsed = [parse_key(key) for key in _each(keys)]
    message_id, timestamp, signatures = _checked(headers, now, tolerance)
    expected = [_signature(key, message_id, timestamp, body) for key in parsed]
    if not _any_equal(expected, signatures):
        raise SignatureError(f"no signature in {SIGNATURE_HEADER} matches the body and the key")


def verify_headers(
    headers: Mapping[str, str], *, now: float | None = None, tolerance: float = 300.0
) -> None:
    """Return if a request's headers may belong to a signed request, before its body is read.

    Args:
        headers: The request's headers; upper and lower case make no difference in their names.
        now: The current time in seconds since the epoch; the system's clock when ``None``.
        tolerance: How many seconds the timestamp may be before or after ``now``.

    Raises:
        SignatureError: A header is missing or malformed, or the time is too far off.
    """
    _checked(headers, now, tolerance)


def _checked(
    headers: Mapping[str, str], now: float | None, tolerance: float
) -> tuple[str, str, Sequence[str]]:
    values = {name.lower(): value for name, value in headers.items()}
    message_id = _header(values, ID_HEADER)
    timestamp = _header(values, TIMESTAMP_HEADER)
    signatures = _header(values, SIGNATURE_HEADER).split(" ")
    # A dot in the id would let its end pass for the timestamp, and the timestamp for body.
    if not _is_message_id(message_id):
        raise SignatureError(f"{ID_HEADER} must be printable ASCII without spaces and dots")
    _check_time(timestamp, time.time() if now is None else now, tolerance)
    return message_id, timestamp, signatures


def _each(keys: str | Sequence[str]) -> Sequence[str]:
    # A lone text is itself a sequence: of keys of one character, which anybody could guess.
    return (keys,) if isinstance(keys, str) else keys


def _is_message_id(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" and character != "." for character in text)


def _header(values: Mapping[str, str], name: str) -> str:
    value = values.get(name)
    if not value:
        raise SignatureError(f"the header {name} is missing")
    return value


def _check_time(timestamp: str, now: float, tolerance: float) -> None:
    # int() alone would take "+1", "1_0" and digits of other scripts, too.
    digits = timestamp.isascii() and timestamp.isdigit()
    if not digits or len(timestamp) > _TIMESTAMP_DIGITS:
        raise SignatureError(f"{TIMESTAMP_HEADER} must be whole seconds since the epoch")
    age = now - int(timestamp)
    if abs(age) > tolerance:
        direction = "old" if age > 0 else "far in the future"
        raise SignatureError(
            f"{TIMESTAMP_HEADER} is too {direction}: {abs(age):.0f} seconds off, "
            f"{tolerance:g} are allowed"
        )


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}"


def _any_equal(expected: Iterable[str], given: Iterable[str]) -> bool:
    # compare_digest takes the same time wherever the first difference is; it requires bytes,
    # because it refuses text outside ASCII.
    candidates = [signature.encode() for signature in given]
    return any(
        hmac.compare_digest(signature.encode(), candidate)
        for signature in expected
        for candidate in candidates
    )
