"""Makes texts and JSON such that every database, page, script and XML document takes them. Pure.

What comes from outside goes through here once, at the door.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_UNSTORABLE = re.compile(
    "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f"  # control characters but for tab and line ends
    "\\ud800-\\udfff"  # halves of surrogate pairs, which JSON may hold and UTF-8 may not
    # Characters that Unicode will never assign.
    "\\ufdd0-\\ufdef"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
    )
    + "]"
)


_ESCAPES = (b"\\u", b"\\b", b"\\f", b"\x7f", b"\0")
"""What ASCII has where it may be JSON with unstorable texts: escapes, no ASCII at all (UTF-16)."""


def storable(text: str) -> str:
    """Return a text with a replacement character for each that some format does not take."""
    return text if text.isprintable() else _UNSTORABLE.sub("\ufffd", text)


def loads_storable(body: bytes) -> Any:
    """Return what ``storable_json`` makes of JSON, without a look at each text if none needs it."""
    content = json.loads(body, parse_float=_finite, parse_constant=lambda _: None)
    is_plain = body.isascii() and not any(each in body for each in _ESCAPES)
    return content if is_plain else storable_json(content)


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def storable_json(value: Any) -> Any:
    """Return what JSON gave with storable texts, and None for numbers that JSON has not.

    Args:
        value: What ``json.loads`` returns, not nested deeper than Python's recursion goes.
    """
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): storable_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [storable_json(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
