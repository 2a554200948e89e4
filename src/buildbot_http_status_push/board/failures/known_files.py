"""Reads a directory of known failures: one TOML file for each, and lines that say little.

Knows no database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import define, field
from twisted.logger import Logger

from buildbot_http_status_push.board.failures.known import (
    SAYS_LITTLE,
    Entry,
    entry_of,
    little_of,
)
from buildbot_http_status_push.board.toml_files import FileFault, read_toml

FILES = 500
"""How many files are read."""


@define(eq=False)
class KnownFiles:
    """A directory of known failures, read again when a file changes.

    Attributes:
        entries: The known failures of all files without a fault, by their names.
        little: The globs of lines that say little, of all such files.
        faults: What is wrong with the others, each with the file and the key.
    """

    directory: Path
    _log: Logger = field(factory=Logger)
    entries: tuple[Entry, ...] = field(default=(), init=False)
    little: tuple[str, ...] = field(default=(), init=False)
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
            self._take({}, (), [f"{self.directory}: {trouble.strerror}"])
            return
        seen = [(each.name, stat.st_mtime_ns, stat.st_size) for each, stat in stats]
        if seen == self._seen:
            return
        self._seen = seen
        entries: dict[str, Entry] = {}
        little: list[str] = []
        faults: list[str] = []
        for path in found:
            try:
                read = read_known(path)
                if isinstance(read, Entry):
                    entries[path.stem] = read
                else:
                    little += read
            except FileFault as fault:
                faults.append(f"{path.name}: {fault}")
        self._take(entries, little, faults)

    def _take(self, entries: dict[str, Entry], little: Iterable[str], faults: list[str]) -> None:
        new = [each for each in faults if each not in self.faults]
        self.entries, self.little = tuple(entries.values()), tuple(little)
        self.faults = tuple(faults)
        for fault in new:
            self._log.error(
                "known failures: {fault}; ignoring this file, using the others",
                fault=fault,
            )


def read_known(path: Path) -> Entry | tuple[str, ...]:
    """Read the file of a known failure, or of lines that say little: their globs.

    Raises:
        FileFault: It is at fault; the text has the line.
    """
    file = read_toml(path)
    try:
        if SAYS_LITTLE in file.content:
            return little_of(file.content)
        return entry_of(path.stem, file.content)
    except FileFault as fault:
        raise FileFault(file.place(fault)) from fault
