"""The project's command, run as a person runs it: a process of its own, lines, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

# Ends a process that should have ended by itself, so that a test fails instead of hanging.
PATIENCE = 200.0


class Command:
    """``python -m buildbot_http_status_push`` with arguments, in a session of its own.

    Args:
        arguments: The arguments.
        environment: Variables to set beside the present ones.
        within: A command that runs it, such as ``unshare``.
    """

    def __init__(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        within: tuple[str, ...] = (),
    ) -> None:
        self._process = subprocess.Popen(
            [*within, sys.executable, "-m", "buildbot_http_status_push", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )

    def line(self, is_wanted: Callable[[str], bool] = bool) -> str:
        """Read lines up to the first that is wanted, and return it; empty at the end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if is_wanted(line):
                return line.rstrip("\n")
        return ""

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Do what Ctrl-C does, or another signal."""
        self._process.send_signal(number)

    def close_output(self) -> None:
        """Read no more of what it prints, as ``head`` does when it has had enough."""
        assert self._process.stdout is not None
        self._process.stdout.close()

    def end(self) -> tuple[int, str, str]:
        """Wait for its end; return the exit code and what it has still written."""
        output, errors = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, output, errors

    def kill(self) -> None:
        """End it, if it still runs, and close what it was read with."""
        self._process.kill()
        self._process.communicate(timeout=PATIENCE)


def run(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run the command to its end; return the exit code, the output and the errors."""
    command = Command(*arguments, environment=environment)
    try:
        return command.end()
    finally:
        command.kill()


def temporary_folder(test: SynchronousTestCase) -> Path:
    """Make a folder that is removed after the test."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return Path(folder.name).resolve()


def processes_in(folder: Path) -> list[int]:
    """Return the processes that work in a folder, even if it has been removed."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if _working_folder(process).startswith(str(folder))
    ]


def _working_folder(process: Path) -> str:
    try:
        return os.readlink(process / "cwd")
    except OSError:
        return ""
