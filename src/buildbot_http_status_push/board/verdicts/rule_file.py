"""Reads the file of rules for verdicts, and again when it changes. Knows no database."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field
from twisted.logger import Logger

from buildbot_http_status_push.board.toml_files import FileFault, read_toml
from buildbot_http_status_push.board.verdicts.rules import Rule, rules_of


@define(eq=False)
class RuleFile:
    """A file of rules.

    Args:
        path: The file.
        log: Where a fault is reported.

    Attributes:
        rules: The rules of the file when it last was without a fault.
        fault: What is wrong with it, with its name, line and key; None where nothing is.
    """

    path: Path
    _log: Logger = field(factory=Logger)
    rules: tuple[Rule, ...] = field(default=(), init=False)
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
            self.rules = read_rules(self.path)
        except FileFault as found:
            fault = f"{self.path.name}: {found}"
        if fault is not None and fault != self.fault:
            self._log.error(
                "verdicts: {fault}; the rules that were read before are in force", fault=fault
            )
        self.fault = fault


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read a file of rules.

    Raises:
        FileFault: It is at fault; the text has the line.
    """
    file = read_toml(path)
    try:
        return rules_of(file.content)
    except FileFault as fault:
        raise FileFault(file.place(fault)) from fault
