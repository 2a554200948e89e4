"""Durations in words, and as people type them. Knows no other module."""

from __future__ import annotations

import re

MINUTE, HOUR, DAY = 60, 3600, 86400
UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def duration(seconds: float) -> str:
    """Write a duration in its two largest units.

    Returns:
        Such as ``340 ms``, ``1.5 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min`` or ``1 d 3 h``.
    """
    if seconds < 0.9995:
        milliseconds = max(0, round(seconds * 1000))
        return f"{milliseconds} ms" if milliseconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = int(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return _two(whole, MINUTE, "min", 1, "s")
    if whole < DAY:
        return _two(whole, HOUR, "h", MINUTE, "min")
    return _two(whole, DAY, "d", HOUR, "h")


def _two(whole: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_unit}" + (f" {rest} {small_unit}" if rest else "")


def read_duration(text: str) -> int | None:
    """Return the seconds of a duration such as ``10m`` or ``3d``, None where it is none."""
    found = re.fullmatch(r"([0-9]{1,6})([smhdw])", text)
    return int(found[1]) * UNITS[found[2]] if found else None
