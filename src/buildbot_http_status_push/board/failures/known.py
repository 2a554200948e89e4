"""Known failures: what people have written down of them, and which lines they are. Pure.

A pattern is a glob, which takes linear time on any line. Knows no file and no database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time, timezone
from typing import Any

from attrs import evolve, frozen

from buildbot_http_status_push.board.changes import web_address
from buildbot_http_status_push.board.filters import name_fits
from buildbot_http_status_push.board.model import Known, Memory, Reason
from buildbot_http_status_push.board.toml_files import FileFault, check_keys, text_of, texts_of

TEXTS = ("title", "link", "owner")
LISTS = ("pattern", "signature", "builders", "steps", "branches")
KEYS = (*TEXTS, *LISTS, "until")
SAYS_LITTLE = "says_little"
"""The only key of a file of lines that say little."""
ADVISED = ("link", "owner", "until")
"""What an entry may lack, and had better have."""
LATELY = 30
"""Days after which a failure that was not seen is remarked upon."""
UNLIKE = 10
"""More unlike lines than this are too many for one pattern."""


@frozen(kw_only=True)
class Entry:
    """A known failure, with what it is recognised by.

    Args:
        known: What people are shown of it.
        patterns: Globs, of which a line must match one.
        signatures: Signatures, of which a line may have one instead.
        builders: Globs of builders' names, empty for all.
        steps: Globs of steps' names, empty for all.
        branches: Globs of branches, empty for all.
        lacks: What it had better have.
    """

    known: Known
    patterns: tuple[str, ...] = ()
    signatures: frozenset[str] = frozenset()
    builders: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def is_of(self, reason: Reason, builder: str, branch: str | None) -> bool:
        """Return whether it is what a line of a builder and branch says."""
        return (
            _fits(self.builders, builder)
            and _fits(self.branches, branch or "")
            and _fits(self.steps, reason.step)
            and self.matches(reason)
        )

    def matches(self, reason: Reason) -> bool:
        """Return whether it is what a line says, wherever that is."""
        return reason.signature in self.signatures or any(
            name_fits(f"*{each}*", reason.text) for each in self.patterns
        )

    def is_expired(self, now: float) -> bool:
        """Return whether it counts no longer."""
        return self.known.until is not None and now > self.known.until


def entry_of(name: str, content: Mapping[str, Any]) -> Entry:
    """Return what a file says.

    Raises:
        FileFault: A key is missing, unknown, or has a value that it can't have.
    """
    check_keys(content, KEYS)
    texts = {key: text_of(key, content.get(key)) for key in TEXTS}
    lists = {key: texts_of(key, content.get(key)) for key in LISTS}
    title, link = texts["title"], texts["link"]
    if title is None:
        raise FileFault('title: must be given, e.g. title = "Disk full on w3"')
    if link is not None and web_address(link) is None:
        raise FileFault(f"link is {link!r}: must begin with http:// or https://")
    _check_texts("pattern", lists["pattern"])
    if not lists["pattern"] and not lists["signature"]:
        raise FileFault('pattern: must be given, or signature, e.g. pattern = "No space left"')
    known = Known(
        name=name,
        title=title,
        link=link,
        owner=texts["owner"],
        until=_until(content.get("until")),
    )
    return Entry(
        known=known,
        patterns=lists["pattern"],
        signatures=frozenset(lists["signature"]),
        builders=lists["builders"],
        steps=lists["steps"],
        branches=lists["branches"],
        lacks=tuple(each for each in ADVISED if each not in content),
    )


def little_of(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the globs of lines that could stand in any log, or raise ``FileFault``."""
    check_keys(content, (SAYS_LITTLE,))
    found = texts_of(SAYS_LITTLE, content[SAYS_LITTLE])
    _check_texts(SAYS_LITTLE, found)
    return found


def _check_texts(key: str, globs: Sequence[str]) -> None:
    for each in globs:
        if not each.replace("*", "").replace("?", "").strip():
            raise FileFault(f"{key} is {each!r}: must have a text beside * and ?")


@frozen(kw_only=True)
class Seen:
    """A known failure as it is listed.

    Args:
        entry: The entry.
        last_at: When it was last seen, in seconds since the epoch, None where it was not lately.
        remarks: What to look at.
    """

    entry: Entry
    last_at: int | None
    remarks: tuple[str, ...]


def seen(entries: Sequence[Entry], reasons: Sequence[tuple[Reason, int]], now: float) -> list[Seen]:
    """Return known failures with when they were last seen and what to look at.

    Args:
        entries: All of them, expired ones too.
        reasons: The reasons of the last ``LATELY`` days, and when each was last seen.
        now: Seconds since the epoch.
    """
    found: list[Seen] = []
    for entry in entries:
        times = [at for reason, at in reasons if entry.matches(reason)]
        remarks = [f"without {each}" for each in entry.lacks]
        if entry.is_expired(now):
            remarks.insert(0, "expired")
        if not times:
            remarks.append(f"not seen for {LATELY} days")
        if len(times) > UNLIKE:
            remarks.append(f"matches {len(times)} unlike lines: make the pattern narrower")
        found.append(Seen(entry=entry, last_at=max(times, default=None), remarks=tuple(remarks)))
    return found


def judged(memory: Memory, entries: Sequence[Entry], builder: str, branch: str | None) -> Memory:
    """Return what is remembered, with the known failures that its lines are of.

    A build is known only where every line is, and no line was left out.
    """
    if not entries or not memory.reasons:
        return memory
    of_lines = [
        next((each for each in entries if each.is_of(reason, builder, branch)), None)
        for reason in memory.reasons
    ]
    known = tuple(dict.fromkeys(each.known for each in of_lines if each))
    is_known = all(of_lines) and not memory.is_cut
    return evolve(memory, known=known, state="known" if is_known else memory.state)


def _fits(wanted: Collection[str], name: str) -> bool:
    return not wanted or any(name_fits(each, name) for each in wanted)


def _until(value: object) -> float | None:
    """Return the last second of a date, or a moment, in seconds since the epoch."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(value, date):
        return datetime.combine(value, time.max, timezone.utc).timestamp()
    raise FileFault(f"until is {value!r:.60}: must be a date without quotes, e.g. 2027-03-31")
