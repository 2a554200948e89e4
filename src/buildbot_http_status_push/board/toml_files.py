"""Reads TOML files that people write: bounded, and every fault with its line and key.

Knows no key of any file.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen
from twisted.logger import Logger

from buildbot_http_status_push.durations import read_duration

# Python has it from 3.11 on.
tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

SIZE = 64 * 1024
"""The largest file that is read, in bytes."""
TEXT = 500
"""The most characters of a text."""
VALUES = 50
"""The most values of one key."""

R = TypeVar("R")

TABLE = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
KEY = re.compile(r"\s*([\w-]+|\"[^\"]*\"|'[^']*')\s*=")


class FileFault(Exception):  # noqa: N818  the file's, not the program's
    """A file is at fault; the text begins with the key, if one is at fault."""

    table = ""
    """The table that the key is in, such as ``to.chat``; empty for none."""
    number = 1
    """Which one of the tables of that name, from 1 on."""

    def within(self, table: str, number: int = 1) -> FileFault:
        """Return this fault as one of a table's."""
        self.table, self.number = table, number
        return self


@frozen
class TomlFile:
    """A file that has been read."""

    content: Mapping[str, Any]
    text: str

    def place(self, fault: FileFault) -> str:
        """Return a fault's text with the line of its key, or of its table without that key."""
        key = re.split("[: ]", str(fault), maxsplit=1)[0]
        keys = list(self._keys())
        of_table = [(line, found) for line, at, found in keys if at == (fault.table, fault.number)]
        lines = (
            *(line for line, found in of_table if found == key),
            *(line for line, at, _ in keys if not fault.table and at == (key, 1)),
            *(line for line, found in of_table if not found),
        )
        return f"line {lines[0]}: {fault}" if lines else str(fault)

    def _keys(self) -> Iterator[tuple[int, tuple[str, int], str]]:
        """Yield lines, each with the table that it is in and its key; a header's key is empty."""
        seen: Counter[str] = Counter()
        table = ("", 1)
        for count, line in enumerate(self.text.splitlines(), 1):
            if found := TABLE.fullmatch(line):
                name = re.sub("[\"' ]", "", found[1])
                seen[name] += 1
                table = (name, seen[name])
                yield count, table, ""
            elif found := KEY.match(line):
                yield count, table, found[1].strip("\"'")


def read_toml(path: Path) -> TomlFile:
    """Read a file.

    Raises:
        FileFault: It can't be read, is too large, or is no TOML.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE + 1)
        if len(raw) > SIZE:
            raise FileFault(f"is larger than {SIZE // 1024} KiB")
        text = raw.decode()
        content: dict[str, Any] = tomllib.loads(text)
    except OSError as trouble:
        raise FileFault(f"can't be read: {trouble.strerror}") from trouble
    except (ValueError, RecursionError) as fault:  # UTF-8 and TOML both
        raise FileFault(f"is no TOML: {fault}") from fault
    return TomlFile(content, text)


def read_rules(path: Path, rules_of: Callable[[Mapping[str, Any]], R]) -> R:
    """Read the rules of a file.

    Raises:
        FileFault: It is at fault; the text has the line.
    """
    file = read_toml(path)
    try:
        return rules_of(file.content)
    except FileFault as fault:
        raise FileFault(file.place(fault)) from fault


@define(eq=False)
class RuleFile(Generic[R]):
    """A file of rules, read again when it changes; a fault leaves the earlier rules in force.

    Args:
        path: The file.
        rules_of: Returns the rules of its content, or raises ``FileFault``.
        rules: The rules in force until it has been read without a fault.
        option: The option that names the file.
        log: Where a fault is logged.

    Attributes:
        fault: What is wrong with it, with its name, line and key; None where nothing is.
    """

    path: Path
    _rules_of: Callable[[Mapping[str, Any]], R]
    rules: R
    _option: str
    _log: Logger = field(factory=Logger)
    fault: str | None = field(default=None, init=False)
    _seen: tuple[int, int] | None = field(default=None, init=False)

    def forget(self) -> None:
        """Read the file at the next look, whether it has changed or not."""
        self._seen = None

    def read(self) -> None:
        """Read the file where it has changed."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            seen = None
        if seen is not None and seen == self._seen:
            return
        self._seen = seen
        fault = None
        try:
            self.rules = read_rules(self.path, self._rules_of)
        except FileFault as found:
            fault = f"{self.path.name}: {found}"
        if fault is not None and fault != self.fault:
            self._log.error(
                "{option}: {fault}; the previous rules stay in force",
                option=self._option,
                fault=fault,
            )
        self.fault = fault


def check_keys(content: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Return if all keys are among those that there are.

    Raises:
        FileFault: One is not.
    """
    allowed = tuple(keys)
    for key in content:
        if key not in allowed:
            raise FileFault(f"{key}: must be one of {', '.join(allowed)}")


def text_of(key: str, value: object) -> str | None:
    """Return a text without white space around it, None where there is none.

    Raises:
        FileFault: It is no text, or too long.
    """
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > TEXT:
        raise FileFault(f"{key} is {value!r:.60}: must be a text of 1 to {TEXT} characters")
    return value.strip()


def texts_of(key: str, value: object) -> tuple[str, ...]:
    """Return a list of texts; a single one counts as a list.

    Raises:
        FileFault: One of them is no text, or there are too many.
    """
    values = [] if value is None else value if isinstance(value, list) else [value]
    if len(values) > VALUES:
        raise FileFault(f"{key} has {len(values)} values: must have at most {VALUES}")
    return tuple(text for text in (text_of(key, each) for each in values) if text)


def seconds_of(key: str, value: object, most: float) -> float | None:
    """Return how many seconds a time such as ``5m`` has, None where there is none.

    Raises:
        FileFault: It is no time, or a longer one.
    """
    if value is None:
        return None
    seconds = read_duration(value) if isinstance(value, str) else None
    if seconds is None or seconds > most:
        raise FileFault(
            f"{key} is {value!r:.60}: must be a number with s, m, h, d or w, of at most "
            f'{most / 3600:g} hours, e.g. {key} = "5m"'
        )
    return float(seconds)
