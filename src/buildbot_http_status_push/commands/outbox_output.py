"""Deliveries and counts, as tables for people and as JSON for programs.

Pure: knows the values that ``inspection`` returns, no database.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from attrs import asdict, frozen

from buildbot_http_status_push.durations import duration
from buildbot_http_status_push.model import State
from buildbot_http_status_push.redaction import one_line
from buildbot_http_status_push.report.encoding import JSON

if TYPE_CHECKING:
    from buildbot_http_status_push.outbox.inspection import Cause, Entry, Stats

NAME_MOST = 24
WHAT_MOST = 34
ID_SHOWN = 12
CAUSES_MOST = 5
NOT_TRIED = "not tried yet"
LIST_HEAD = ["id", "age", "state", "tries", "reporter", "what", "last answer"]

STATE_NAMES = tuple(state.value for state in State)
STATS_KEYS = (
    *("reporter", "produced", "pending", *STATE_NAMES),
    *("given_up", "holds", "oldest_waiting"),
)
"""What a program finds about one reporter, or about all of them."""

ENTRY_KEYS = (
    *("id", "reporter", "event", "title", "build", "subject", "lane", "state", "created_at"),
    *("updated_at", "attempts", "next_attempt", "outcome", "content_type", "size"),
)
"""What a program finds about one delivery."""


def to_json(document: object) -> str:
    """Write a document for programs."""
    return json.dumps(document, indent=2)


def stats_document(each: Sequence[Stats], total: Stats) -> dict[str, Any]:
    """Return the counts for programs; see ``STATS_KEYS``."""
    return {
        "holds": all(one.holds for one in each),
        "all": _counts(total),
        "reporters": [_counts(one) for one in each],
    }


def _counts(stats: Stats) -> dict[str, Any]:
    counts = {state.value: stats.states[state] for state in State}
    known = {**counts, **{name: getattr(stats, name) for name in STATS_KEYS if name not in counts}}
    return {name: known[name] for name in STATS_KEYS}


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return a delivery for programs; see ``ENTRY_KEYS``."""
    return {**{name: getattr(entry, name) for name in ENTRY_KEYS}, "state": entry.state.value}


def export_line(entry: Entry, body: bytes | None) -> str:
    """Return a delivery with its body as one line of JSON."""
    content = readable(body, entry.content_type)
    return json.dumps({**entry_document(entry), "body": content})


def readable(body: bytes | None, content_type: str) -> Any:
    """Return a body's JSON content, or its text where it is no JSON, or None."""
    if body is None:
        return None
    text = body.decode("utf-8", "replace")
    if content_type != JSON:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def stats_lines(each: Sequence[Stats], total: Stats, now: float) -> list[str]:
    """Return a table of the counts, and a sentence on whether they hold."""
    if not each:
        return ["This outbox has never held a delivery."]
    head = ["reporter", "produced", *STATE_NAMES, "oldest waiting"]
    rows = [_stats_row(_cut(one.reporter, NAME_MOST), one, now) for one in each]
    if len(each) > 1:
        rows.append(_stats_row("all", total, now))
    return [*table([head, *rows], right=range(1, len(head))), "", *_account(each, total)]


def _stats_row(name: str, stats: Stats, now: float) -> list[str]:
    counts = [str(stats.states[state]) for state in State]
    oldest = "-" if stats.oldest_waiting is None else duration(now - stats.oldest_waiting)
    return [name, str(stats.produced), *counts, oldest]


def _account(each: Sequence[Stats], total: Stats) -> list[str]:
    sentences = [
        f"{one.reporter}: the counts are inconsistent: {one.produced} produced, but "
        f"{sum(one.states.values())} delivered, pending, dead or superseded."
        for one in each
        if not one.holds
    ]
    return sentences or [
        f"The counts are consistent: {total.produced} produced = "
        f"{total.states[State.DELIVERED]} delivered + {total.pending} pending + "
        f"{total.states[State.DEAD]} dead{_of_dead(total)} + "
        f"{total.states[State.SUPERSEDED]} superseded."
    ]


def _of_dead(stats: Stats) -> str:
    """Return how many of the dead can be redelivered; the others have no body any more."""
    if stats.states[State.DEAD] == stats.given_up:
        return ""
    return f" ({stats.given_up} can be redelivered)"


@frozen(kw_only=True)
class Listing:
    """A page of deliveries.

    Args:
        states: Which states were asked for.
        entries: The deliveries.
        first: How many come before this page.
        total: How many there are in all.
        causes: What came of the last attempts of all of them.
        newest: Whether the newest come first.
        about: Which builder's or build's they are, empty for all.
    """

    states: Collection[State]
    entries: Sequence[Entry]
    first: int = 0
    total: int
    causes: Sequence[Cause] = ()
    newest: bool = False
    about: str = ""

    @property
    def more(self) -> int:
        """How many come after this page."""
        return max(0, self.total - self.first - len(self.entries))


def list_document(listing: Listing) -> dict[str, Any]:
    """Return a page of deliveries for programs."""
    return {
        "more": listing.more > 0,
        "total": listing.total,
        "causes": [asdict(each) for each in listing.causes],
        "deliveries": [entry_document(each) for each in listing.entries],
    }


def list_lines(listing: Listing, now: float, width: int | None = None) -> list[str]:
    """Return a table of deliveries; above it, where there are many, why they are there."""
    entries = listing.entries
    if not entries:
        return [_nothing(listing)]
    rows = [LIST_HEAD, *(_list_row(entry, now) for entry in entries)]
    if len({entry.reporter for entry in entries}) == 1:
        rows = [[*row[:4], *row[5:]] for row in rows]
    lines = [*_cause_lines(listing, now, width), *table(rows, right=(1, 3), width=width)]
    if listing.more:
        order = "newest" if listing.newest else "oldest"
        places = f"{listing.first + 1} to {listing.first + len(entries)} of {listing.total:,}"
        lines += ["", f"Showing {places}, {order} first; use --page and --limit for more."]
    return lines


def _nothing(listing: Listing) -> str:
    if listing.first:
        return "No deliveries on this page."
    about = f" about {listing.about}" if listing.about else ""
    names = " or ".join(state.value for state in State if state in listing.states)
    return f"No {names} deliveries{about}."


def _cause_lines(listing: Listing, now: float, width: int | None) -> list[str]:
    """Say why they wait, unless the table shows it all."""
    if not listing.more and not listing.first:
        return []
    lines = [
        f"{each.count:,} × {one_line(each.outcome or NOT_TRIED)}, {since(each.since, now)}"
        for each in listing.causes[:CAUSES_MOST]
    ]
    if others := sum(each.count for each in listing.causes[CAUSES_MOST:]):
        lines.append(f"{others:,} × other causes")
    return [*(line if width is None else _cut(line, width) for line in lines), ""]


def since(moment: float, now: float) -> str:
    """Write since when something is, in local time: ``since 14:02``, with the date if not today."""
    there, here = datetime.fromtimestamp(moment), datetime.fromtimestamp(now)
    form = "%H:%M" if there.date() == here.date() else "%Y-%m-%d %H:%M"
    return f"since {there.strftime(form)}"


def _list_row(entry: Entry, now: float) -> list[str]:
    what = f"{one_line(entry.title)} {entry.event.rpartition('.')[2]}"
    return [
        _cut(entry.id, ID_SHOWN, ""),
        duration(now - entry.created_at),
        entry.state.value,
        str(entry.attempts),
        _cut(one_line(entry.reporter), NAME_MOST),
        _cut(what, WHAT_MOST),
        one_line(entry.outcome or "-"),
    ]


def show_lines(entry: Entry, body: bytes | None, now: float) -> list[str]:
    """Return all about a delivery, its body at the end."""
    facts = [
        ("id", entry.id),
        ("reporter", entry.reporter),
        ("what", entry.title),
        ("event", entry.event),
        ("build", "-" if entry.build is None else str(entry.build)),
        ("subject", entry.subject),
        ("lane", entry.lane),
        ("state", entry.state.value),
        ("attempts", str(entry.attempts)),
        ("last answer", entry.outcome or "-"),
        ("next attempt", _moment(entry.next_attempt, now)),
        ("entered", _moment(entry.created_at, now)),
        ("changed", _moment(entry.updated_at, now)),
        ("content type", entry.content_type),
        ("body", "no longer kept" if body is None else f"{len(body)} bytes"),
    ]
    lines = [f"{name:<12}  {one_line(value)}" for name, value in facts]
    return lines if body is None else [*lines, "", *_body_lines(body, entry.content_type)]


def _body_lines(body: bytes, content_type: str) -> list[str]:
    content = readable(body, content_type)
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    # What a build's properties hold must not steer the reader's terminal.
    return ["".join(map(_harmless, line)) for line in text.splitlines()]


def _harmless(character: str) -> str:
    return character if character.isprintable() or character == "\t" else "?"


def _moment(at: float | None, now: float) -> str:
    if at is None:
        return "-"
    written = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    distance = f"in {duration(at - now)}" if at > now else f"{duration(now - at)} ago"
    return f"{written}, {distance}"


def table(
    rows: Sequence[Sequence[str]], right: Collection[int], width: int | None = None
) -> list[str]:
    """Align rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if number in right else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return [line.rstrip() if width is None else _cut(line.rstrip(), width) for line in lines]


def _cut(text: str, most: int, sign: str = "...") -> str:
    return text if len(text) <= most else text[: most - len(sign)] + sign
