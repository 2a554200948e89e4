"""Leaves out mail addresses and absolute paths: not everybody who reads an open board may see them.

Pure. People are shown by their names, files by the last part of their path.
"""

from __future__ import annotations

import re
from typing import Any

from attrs import evolve

from buildbot_http_status_push.board.model import Build, Builder, Revision, SourceChange

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


def without_address(text: str) -> str:
    """Return a text without mail addresses: ``Ada Novak``, and ``ada`` where only that is known."""
    if "@" not in text:
        return text
    left = _IN_BRACKETS.sub("", text) if "<" in text else text
    if not left.strip():  # there is nothing but an address in brackets
        left = text.replace("<", "").replace(">", "")
    return _BARE.sub(r"\1", left)


def without_personal(value: Any) -> Any:
    """Return JSON without mail addresses in its texts, and with paths shortened to their end."""
    if isinstance(value, str):
        path = _PATH.fullmatch(value) if len(value) < 4096 else None
        return f"…/{path[path.lastgroup or 0]}" if path else without_address(value)
    if isinstance(value, dict):
        return {key: without_personal(each) for key, each in value.items()}
    return [without_personal(each) for each in value] if isinstance(value, list) else value


def open_build(build: Build) -> Build:
    """Return a build as everybody may see it."""
    return build if build.owner is None else evolve(build, owner=without_address(build.owner))


def open_change(change: SourceChange) -> SourceChange:
    """Return a change as everybody may see it."""
    return evolve(
        change, author=without_address(change.author), comment=without_address(change.comment)
    )


def open_builder(builder: Builder) -> Builder:
    """Return a builder as everybody may see it."""
    return evolve(
        builder,
        last=builder.last and open_build(builder.last),
        first_bad=builder.first_bad and open_build(builder.first_bad),
        last_good=builder.last_good and open_build(builder.last_good),
        running=tuple(map(open_build, builder.running)),
        recent=tuple(map(open_build, builder.recent)),
        suspects=tuple(map(open_change, builder.suspects)),
    )


def open_revision(revision: Revision) -> Revision:
    """Return a revision as everybody may see it."""
    return evolve(
        revision,
        author=revision.author and without_address(revision.author),
        comment=revision.comment and without_address(revision.comment),
    )
