"""Reads the file of rules and destinations, again when it changes; a faulty one changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.logger import Logger

from buildbot_http_status_push.board.notify.destinations import Destination, destination_of
from buildbot_http_status_push.board.notify.rules import Rule, rule_of
from buildbot_http_status_push.board.toml_files import FileFault, check_keys, read_toml

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


def read_notify(path: Path) -> Notify:
    """Read a file of rules and destinations.

    Raises:
        FileFault: It is at fault; the text has the line.
    """
    file = read_toml(path)
    try:
        return notify_of(file.content)
    except FileFault as fault:
        raise FileFault(file.place(fault)) from fault


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


@define(eq=False)
class NotifyFile:
    """A file of rules and destinations, read again when it changes.

    Args:
        path: The file.
        log: Where faults are reported.

    Attributes:
        notify: What is in force.
    """

    path: Path
    _log: Logger = field(factory=Logger)
    notify: Notify = field(factory=Notify, init=False)
    _seen: tuple[int, int] | None = field(default=None, init=False)
    _fault: str = field(default="", init=False)

    def forget(self) -> None:
        """Read the file at the next look, whether it has changed or not."""
        self._seen = None

    def read(self) -> None:
        """Read the file where it has changed."""
        try:
            stat = self.path.stat()
        except OSError as trouble:
            self._report(f"can't be read: {trouble.strerror}")
            return
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self.notify = read_notify(self.path)
        except FileFault as fault:
            self._report(str(fault))
        else:
            self._fault = ""

    def _report(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._log.error(
                "notify: {path}: {fault}; the rules read before stay in force",
                path=self.path.name,
                fault=fault,
            )
