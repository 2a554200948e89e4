"""Cuts log contents that would make a body too large, from the largest down, and says so in it.

Knows nothing of Buildbot.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from buildbot_http_status_push.report.encoding import (
    EncodingError,
    RunCooperatively,
    encode,
)

# A character takes six bytes in JSON at most ("\u0000"), unless it is beyond the first plane.
MOST_BYTES_A_CHARACTER = 12


async def trim(
    build: dict[str, Any], most: int, run_cooperatively: RunCooperatively
) -> tuple[dict[str, Any], list[str]]:
    """Return a build whose JSON is no larger than allowed, as far as log contents go.

    Args:
        build: The build with ``steps``, their ``logs`` and the logs' ``content``; not changed.
        most: Bytes.
        run_cooperatively: Carries out the encoding of a large build.

    Returns:
        The build, and the names of the logs that were cut. Each of them has ``cut`` and
        ``full_length`` (characters) beside its ``content``'s text.
    """
    texts = [content["content"] for _, content in _contents(build)]
    if sum(map(len, texts)) * MOST_BYTES_A_CHARACTER < most // 2:
        return build, []
    longest = max(map(len, texts), default=0)
    trimmed, names = build, list[str]()
    while longest and (excess := await _size(trimmed, run_cooperatively) - most) > 0:
        longest = _level(texts, longest, excess)
        trimmed, names = _cut(build, longest)
    return trimmed, names


async def _size(build: dict[str, Any], run_cooperatively: RunCooperatively) -> int:
    try:
        encoded = await encode({"body": build}, run_cooperatively)
    except EncodingError:
        return 0  # it is logged where the body is encoded
    return len(encoded.body) if encoded else 0


def _level(texts: list[str], longest: int, excess: int) -> int:
    """Return the length to which the largest texts are cut to save at least so many bytes.

    A character takes at least a byte: fewer characters than that may have to go, never more in
    the first cut than in the end.
    """
    low, high = 0, longest - 1
    now = sum(min(len(text), longest) for text in texts)
    while low < high:
        middle = (low + high + 1) // 2
        if now - sum(min(len(text), middle) for text in texts) >= excess:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(build: dict[str, Any], longest: int) -> tuple[dict[str, Any], list[str]]:
    trimmed = {**build, "steps": copy.deepcopy(build["steps"])}
    names = []
    for name, content in _contents(trimmed):
        text = content["content"]
        if len(text) > longest:
            content |= {"content": text[:longest], "cut": True, "full_length": len(text)}
            names.append(name)
    return trimmed, names


def _contents(build: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for step in build.get("steps") or ():
        for log in step.get("logs") or ():
            if log.get("content"):
                yield f"{step['name']}.{log['name']}", log["content"]
