"""Reads a directory of known failures: one TOML file for each. Knows no database."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from buildbot_http_status_push.board.failures.known import Entry, KnownError, entry_of

# Python has it from 3.11 on.
tomllib: Any = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

FILES = 500
"""How many files are read."""
SIZE = 64 * 1024
"""The largest file that is read, in bytes."""


@define(eq=False)
class KnownFiles:
    """A directory of known failures, read again when a file changes.

    Args:
        directory: The directory.
        log: Where faults are reported.

    Attributes:
        entries: The known failures of all files without a fault, by their names.
        faults: What is wrong with the others, each with the file and the key.
    """

    directory: Path
    _log: Logger = field(factory=Logger)
    entries: tuple[Entry, ...] = field(default=(), init=False)
    faults: tuple[str, ...] = field(default=(), init=False)
    _seen: Sequence[tuple[str, int, int]] | None = field(default=None, init=False)

    def forget(self) -> None:
        """Read the files at the next look, whether they have changed or not."""
        self._seen = None

    def read(self) -> None:
        """Read the files where they have changed."""
        try:
            found = sorted(self.directory.glob("*.toml"))[:FILES]
            stats = [(each, each.stat()) for each in found]
        except OSError as trouble:
            self._take({}, [f"{self.directory}: {trouble.strerror}"])
            return
        seen = [(each.name, stat.st_mtime_ns, stat.st_size) for each, stat in stats]
        if seen == self._seen:
            return
        self._seen = seen
        entries: dict[str, Entry] = {}
        faults: list[str] = []
        for path in found:
            try:
                entries[path.stem] = entry_of(path.stem, _content(path))
            except KnownError as fault:
                faults.append(f"{path.name}: {fault}")
        self._take(entries, faults)

    def _take(self, entries: dict[str, Entry], faults: list[str]) -> None:
        new = [each for each in faults if each not in self.faults]
        self.entries, self.faults = tuple(entries.values()), tuple(faults)
        for fault in new:
            self._log.error(
                "known failures: {fault}; this file is left out, the others are in force",
                fault=fault,
            )


def _content(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(SIZE + 1)
        if len(text) > SIZE:
            raise KnownError(f"is larger than {SIZE // 1024} KiB")
        content: dict[str, Any] = tomllib.loads(text.decode())
    except OSError as trouble:
        raise KnownError(f"can't be read: {trouble.strerror}") from trouble
    except (ValueError, RecursionError) as fault:  # UTF-8 and TOML both
        raise KnownError(f"is no TOML: {fault}") from fault
    return content
