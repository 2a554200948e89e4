"""Leaves out mail addresses and absolute paths: not everybody who reads an open board may see them.

Pure. People are shown by their names, files by the last part of their path.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from buildbot_http_status_push.board.model import (
    Build,
    Builder,
    Memory,
    Reason,
    ReasonSummary,
    Revision,
    SourceChange,
    Worker,
)

# Lengths are bounded, so that a long text takes time in proportion to its length only.
_IN_BRACKETS = re.compile(r"\s?<[^<>@\s]{1,64}@[^<>@\s]{1,255}>")
# Not git@host:path, and not user@host/path.
_BARE = re.compile(
    r"(?<![\w.+/-])([\w.+-]{1,64})@(?:[A-Za-z0-9-]{1,63}\.){1,9}[A-Za-z]{2,63}(?![\w:/.-])"
)
_PATH = re.compile(
    r"/(?:[^\s]*/)?(?P<unix>[^/\s]+)/?|"
    r"(?:[A-Za-z]:[\\/]|\\\\)(?:[^\n]*[\\/])?(?P<windows>[^\\/\n]+)[\\/]?"
)
# The flags -I, -L and -F stand before paths; addresses on the web have no such path. A search for
# what begins with a slash passes over all else fast.
_UNIX = re.compile(
    r"/(?:(?<=-[ILF]/)|(?<=file:///)|(?<![\w.:/~-]/))"
    r"(?:[\w.@+%~-]{1,255}/){1,40}([\w.@+%~-]{1,255})"
)
_WINDOWS = re.compile(
    r"(?<!\w)[A-Za-z]:[\\/]{1,2}(?:[\w .@+%~()-]{1,255}[\\/]{1,2}){1,40}"
    r"([\w.@+%~-]{1,255})"
)
TEXT_KEYS = frozenset({"lines", "message", "problems", "state_string", "reason", "description"})
"""What is text in a body, with paths anywhere within: lines of logs, and what people write."""


def without_address(text: str) -> str:
    """Return a text without mail addresses: ``Ada Novak``, and ``ada`` where only that is known."""
    if "@" not in text:
        return text
    left = _IN_BRACKETS.sub("", text) if "<" in text else text
    if not left.strip():  # there is nothing but an address in brackets
        left = text.replace("<", "").replace(">", "")
    return _BARE.sub(r"\1", left)


def without_paths(text: str) -> str:
    """Return a line of a log with its absolute paths shortened to their end."""
    if ":\\" in text or ":/" in text:
        text = _WINDOWS.sub(r"…/\1", text)
    return _UNIX.sub(r"…/\1", text) if "/" in text else text


def open_line(text: str) -> str:
    """Return a line of a log, or what somebody wrote, as everybody may see it."""
    return without_address(without_paths(text))


def open_memory(memory: Memory) -> Memory:
    """Return what is remembered as everybody may see it."""
    return evolve(memory, reasons=tuple(map(open_reason, memory.reasons)))


def open_summary(summary: ReasonSummary) -> ReasonSummary:
    """Return what is known of a reason as everybody may see it."""
    return evolve(summary, reason=open_reason(summary.reason))


def open_reason(reason: Reason) -> Reason:
    """Return a reason as everybody may see it."""
    return evolve(reason, text=open_line(reason.text))


def without_personal(value: Any, *, is_text: bool = False) -> Any:
    """Return JSON without mail addresses in its texts, and with paths shortened to their end.

    Args:
        value: What JSON gives.
        is_text: Whether paths are anywhere within its texts.
    """
    if isinstance(value, str) and is_text:
        return open_line(value)
    if isinstance(value, str):
        path = _PATH.fullmatch(value) if len(value) < 4096 else None
        return f"…/{path[path.lastgroup or 0]}" if path else without_address(value)
    if isinstance(value, dict):
        return {
            without_personal(key): without_personal(each, is_text=is_text or key in TEXT_KEYS)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [without_personal(each, is_text=is_text) for each in value]
    return value


def open_build(build: Build) -> Build:
    """Return a build as everybody may see it."""
    return evolve(
        build,
        owner=build.owner and without_address(build.owner),
        state_string=open_line(build.state_string),
    )


def open_change(change: SourceChange) -> SourceChange:
    """Return a change as everybody may see it."""
    return evolve(
        change, author=without_address(change.author), comment=without_address(change.comment)
    )


def open_builder(builder: Builder) -> Builder:
    """Return a builder as everybody may see it."""
    return evolve(
        builder,
        description=builder.description and open_line(builder.description),
        last=builder.last and open_build(builder.last),
        first_bad=builder.first_bad and open_build(builder.first_bad),
        last_good=builder.last_good and open_build(builder.last_good),
        running=tuple(map(open_build, builder.running)),
        recent=tuple(map(open_build, builder.recent)),
        suspects=tuple(map(open_change, builder.suspects)),
    )


def open_worker(worker: Worker) -> Worker:
    """Return a worker as everybody may see it."""
    return evolve(worker, pause_reason=worker.pause_reason and open_line(worker.pause_reason))


def open_revision(revision: Revision) -> Revision:
    """Return a revision as everybody may see it."""
    return evolve(
        revision,
        author=revision.author and without_address(revision.author),
        comment=revision.comment and without_address(revision.comment),
    )
