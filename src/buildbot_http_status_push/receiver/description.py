"""What came, in one line for people. Knows a build's keys, and nothing of HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from buildbot_http_status_push.receiver.receiver import Received
from buildbot_http_status_push.results import result_word

EXCERPT = 60


def describe(received: Received) -> str:
    """Say in one line what came: local time, builder, number, new or finished, result.

    Args:
        received: Any delivery; of one that is no build, its event or type, its size and its
            beginning are told.
    """
    content = parse(received)
    if _is_test(content):
        words = "a test status, no build"
    else:
        words = summarize_build(content) if _is_build(content) else _summarize_other(received)
    return f"{local_time(received.at)}  {_printable(words)}"


def local_time(at: float) -> str:
    """Return the local time of day of a time in seconds since the epoch."""
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def parse(received: Received) -> Any:
    """Return the body's JSON content, None where it is no JSON."""
    try:
        return json.loads(received.body)
    except (ValueError, RecursionError):
        return None


def _is_test(content: object) -> bool:
    return isinstance(content, dict) and content.get("test") is True


def _is_build(content: object) -> bool:
    return isinstance(content, dict) and {"number", "complete"} <= content.keys()


def summarize_build(build: Mapping[str, Any]) -> str:
    """Describe a build's status: builder, number, new or finished, result."""
    builder = build.get("builder")
    name = builder.get("name") if isinstance(builder, dict) else None
    title = f"{name or 'builder ' + str(build.get('builderid'))} #{build['number']}"
    if not build["complete"]:
        return f"{title:<20}  new"
    return f"{title:<20}  finished: {result_word(build.get('results'))}"


def _summarize_other(received: Received) -> str:
    kind = received.event or received.headers.get("content-type", "no content type")
    text = received.body[: 4 * EXCERPT].decode("utf-8", "replace")
    return f"{kind}, {len(received.body)} bytes: {text[:EXCERPT]}"


def _printable(text: str) -> str:
    # What a sender writes must not steer the reader's terminal.
    return "".join(character if character.isprintable() else "?" for character in text)
