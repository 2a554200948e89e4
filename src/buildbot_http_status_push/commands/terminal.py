"""Standard output, as people and programs read it: colours and progress on a terminal only.

What draws on a terminal is Rich, which heeds ``NO_COLOR``, dumb terminals and narrow windows.
Without it, and into files and pipes, there are plain lines. Must not know what is said.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

Tone: TypeAlias = Literal["", "good", "warning", "bad", "quiet"]
"""How a line is meant."""

STYLES = {"": "", "good": "green", "warning": "yellow", "bad": "red", "quiet": "dim"}


class Say(Protocol):
    """Prints a line."""

    def __call__(self, text: str, /, tone: Tone = "") -> object:
        """Print it."""


Advance: TypeAlias = Callable[[int, int], None]
"""Shows how much is done, and of how much."""


class Output:
    """Standard output, which may be a terminal, and whose reader may go away.

    Attributes:
        closed: Whether the reader has gone away; nothing is printed from then on.
        on_closed: Called when the reader goes away. By default it ends the command.
    """

    def __init__(self) -> None:
        self.closed = False
        self.on_closed: Callable[[], object] = _raise_broken_pipe
        self._console: Console | None = None
        if isinstance(sys.stdout, io.TextIOWrapper):
            # As standard error does: a name that the encoding lacks must not end the command.
            sys.stdout.reconfigure(errors="backslashreplace")

    def say(self, text: str, tone: Tone = "") -> None:
        """Print a line at once, into a pipe too."""
        try:
            if console := self._terminal():
                from rich.text import Text

                console.print(Text(text, STYLES[tone]), soft_wrap=True)
            else:
                print(text, flush=True)
        except BrokenPipeError:
            self.closed = True
            forget_stdout()
            self.on_closed()

    @contextmanager
    def progress(self, what: str) -> Iterator[Advance]:
        """Show a bar below the lines while something lasts, on a terminal."""
        console = self._terminal()
        if console is None:
            yield lambda done, total: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

        columns = (what, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # No thread draws it: that would draw into what the reactor's thread prints.
        with Progress(
            *columns,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total, refresh=True)

    @contextmanager
    def redrawn(self) -> Iterator[Callable[[Sequence[str]], None]]:
        """Show lines that change: in place on a terminal, else again whenever they differ."""
        console = self._terminal()
        if console is None:
            yield _Repeated(self.say).show
            return
        from rich.live import Live
        from rich.text import Text

        # No thread draws it, as with a bar.
        with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
            yield lambda lines: live.update(
                Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True
            )

    @property
    def width(self) -> int | None:
        """How many characters a line may have; None where it is no terminal."""
        return os.get_terminal_size(sys.stdout.fileno()).columns if is_terminal() else None

    def _terminal(self) -> Console | None:
        if not is_terminal() or find_spec("rich") is None:
            return None
        if self._console is None:
            from rich.console import Console

            self._console = Console(highlight=False, markup=False, emoji=False)
        return self._console


class _Repeated:
    """Shows lines whenever they differ from those before."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._shown: Sequence[str] = ()

    def show(self, lines: Sequence[str]) -> None:
        """Show them."""
        if lines != self._shown:
            self._shown = lines
            self._say("\n".join([*lines, ""]))


def is_terminal() -> bool:
    """Return whether a person reads what is printed."""
    return sys.stdout.isatty()


def forget_stdout() -> None:
    """Let what is still to be written go nowhere, not into a closed pipe at the end of Python."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _raise_broken_pipe() -> None:
    raise BrokenPipeError
