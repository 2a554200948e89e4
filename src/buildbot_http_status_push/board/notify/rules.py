"""Rules: which incidents are reported where, and when. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.filters import name_fits
from buildbot_http_status_push.board.incidents.incident import KINDS, Incident, Place
from buildbot_http_status_push.board.notify.quiet_hours import QuietHours, quiet_hours_of
from buildbot_http_status_push.board.toml_files import (
    FileFault,
    check_keys,
    seconds_of,
    text_of,
    texts_of,
)

WAIT, SETTLE, AT_MOST = 300.0, 600.0, 20
LONGEST = 24 * 3600.0
AFTER_MOST, AT_MOST_MOST = 100, 1000
KNOWN, FLAKY, CLAIMED = "known", "flaky", "claimed"
EXCUSES = (KNOWN, FLAKY, CLAIMED)
FILTERS = ("builders", "tags", "branches")
KEYS = (
    "name",
    "to",
    *FILTERS,
    "kinds",
    "wait",
    "settle",
    "after",
    "unless",
    "quiet_hours",
    "at_most",
)


@frozen(kw_only=True)
class Rule:
    """Which incidents are reported, where and when.

    Args:
        name: Its name.
        to: The names of the destinations.
        builders: Globs of builders' names, empty for all.
        tags: Globs of builders' tags, empty for all.
        branches: Globs of branches, empty for all.
        kinds: Kinds of incidents, empty for all.
        wait: Seconds from the beginning of an incident, or its latest growth, to a message.
        settle: Seconds for which an incident must be over before that is reported.
        after: How many builds in a row must be bad on one builder.
        unless: Excuses for which an incident is not reported.
        quiet_hours: Hours in which no message is sent.
        at_most: How many incidents are reported within an hour.
    """

    name: str
    to: tuple[str, ...]
    builders: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    wait: float = WAIT
    settle: float = SETTLE
    after: int = 1
    unless: frozenset[str] = frozenset(EXCUSES)
    quiet_hours: tuple[QuietHours, ...] = ()
    at_most: int = AT_MOST

    def is_for(self, incident: Incident) -> bool:
        """Return whether it is for an incident: one of its places is enough."""
        if self.kinds and incident.kind not in self.kinds:
            return False
        return any(map(self._fits, incident.places))

    def _fits(self, place: Place) -> bool:
        return (
            _fit(self.builders, [place.builder_name])
            and _fit(self.tags, place.tags)
            and _fit(self.branches, [place.branch or ""])
        )


def rule_of(content: Mapping[str, Any], destinations: Collection[str]) -> Rule:
    """Return what a table ``[[rule]]`` says.

    Args:
        content: Its keys and values, as TOML gives them.
        destinations: The names of the destinations.

    Raises:
        FileFault: A key is missing, unknown, or has a value that it can't have.
    """
    check_keys(content, KEYS)
    name = text_of("name", content.get("name"))
    if name is None:
        raise FileFault('name: must be given, e.g. name = "main branch"')
    to = texts_of("to", content.get("to"))
    if not to:
        raise FileFault('to: must be given, e.g. to = "chat" for the destination [to.chat]')
    for each in to:
        _check_member("to", each, destinations)
    kinds = texts_of("kinds", content.get("kinds"))
    for each in kinds:
        _check_member("kinds", each, KINDS)
    unless = texts_of("unless", content.get("unless", list(EXCUSES)))
    for each in unless:
        _check_member("unless", each, EXCUSES)
    wait = seconds_of("wait", content.get("wait"), LONGEST)
    settle = seconds_of("settle", content.get("settle"), LONGEST)
    if settle is not None and settle < SETTLE:
        raise FileFault('settle: must be at least 10m, e.g. settle = "10m"')
    return Rule(
        name=name,
        to=to,
        **{key: texts_of(key, content.get(key)) for key in FILTERS},
        kinds=kinds,
        wait=WAIT if wait is None else wait,
        settle=SETTLE if settle is None else settle,
        after=_number("after", content.get("after", 1), AFTER_MOST),
        unless=frozenset(unless),
        quiet_hours=tuple(map(quiet_hours_of, texts_of("quiet_hours", content.get("quiet_hours")))),
        at_most=_number("at_most", content.get("at_most", AT_MOST), AT_MOST_MOST),
    )


def _fit(wanted: Collection[str], names: Collection[str]) -> bool:
    return not wanted or any(name_fits(each, name) for each in wanted for name in names)


def _check_member(key: str, value: str, allowed: Collection[str]) -> None:
    if value not in allowed:
        raise FileFault(f"{key} is {value!r}: must be one of {', '.join(allowed)}")


def _number(key: str, value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise FileFault(f"{key} is {value!r:.60}: must be a whole number from 1 to {most}")
    return value
