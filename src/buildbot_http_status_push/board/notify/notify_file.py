"""The rules and destinations of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from attrs import field, frozen

from buildbot_http_status_push.board.notify.destinations import Destination, destination_of
from buildbot_http_status_push.board.notify.rules import Rule, rule_of
from buildbot_http_status_push.board.toml_files import FileFault, check_keys

RULES_MOST, DESTINATIONS_MOST = 100, 50
EXAMPLES = {"to": "[to.chat]", "rule": "[[rule]]"}

T = TypeVar("T", dict[str, Any], list[Any])


@frozen(kw_only=True)
class Notify:
    """Who is notified of what.

    Args:
        destinations: The destinations by their names.
        rules: The rules, in order.
    """

    destinations: Mapping[str, Destination] = field(factory=dict)
    rules: tuple[Rule, ...] = ()


def notify_of(content: Mapping[str, Any]) -> Notify:
    """Return what a file says.

    Args:
        content: Its keys and values, as TOML gives them.

    Raises:
        FileFault: Something in it is at fault.
    """
    check_keys(content, ("to", "rule"))
    destinations: dict[str, Destination] = {}
    for name, each in _tables(content, "to", dict, DESTINATIONS_MOST).items():
        with _within(f"to.{name}"):
            destinations[name] = destination_of(name, each)
    rules: list[Rule] = []
    for number, each in enumerate(_tables(content, "rule", list, RULES_MOST), 1):
        with _within("rule", number):
            rule = rule_of(each, destinations)
            if any(rule.name == other.name for other in rules):
                raise FileFault(f"name is {rule.name!r}: must be no other rule's")
            rules.append(rule)
    return Notify(destinations=destinations, rules=tuple(rules))


def _tables(content: Mapping[str, Any], key: str, kind: type[T], most: int) -> T:
    found: Any = content.get(key)
    tables = found.values() if isinstance(found, dict) else found
    right = isinstance(found, kind) and all(isinstance(each, dict) for each in tables)
    if not right or not 1 <= len(found) <= most:
        raise FileFault(f"{key}: must be 1 to {most} tables, e.g. {EXAMPLES[key]}")
    tables_of_kind: T = found
    return tables_of_kind


@contextmanager
def _within(table: str, number: int = 1) -> Iterator[None]:
    try:
        yield
    except FileFault as fault:
        raise fault.within(table, number) from None
