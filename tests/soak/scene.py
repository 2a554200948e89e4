"""What happens in the hour, and what is measured meanwhile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from attrs import field, frozen
from chaos.boards import Boards, TwoBoardsScene
from chaos.scene import Outcome
from chaos.stage import Clock, Process

BROWSERS = 200
PAUSE = 1.5
"""Seconds between two builds, on average."""
SETTLED = 10
"""Minutes until caches are full, after which memory must not grow."""
WINDOW = 2
"""Minutes whose median is taken for the memory at a moment."""
MOST = 1.1
"""How much a process may grow from then to the end."""
MINUTE = 60.0
JUMP = timedelta(hours=1)
GROUPS = ("", " nightly", " release", " experimental")
TROUBLES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("status", {"status": 503}),
    ("status", {"status": 429, "retry_after": 5}),
    ("status", {"status": 401}),
    ("unreliable", {}),
    ("unanswered", {}),
    ("silent", {}),
    ("slow", {"most": 4.0}),
)


@frozen
class Memory:
    """What a process had in memory, in MiB, at minutes since its start."""

    readings: list[tuple[float, float]] = field(factory=list)

    def at(self, minute: float) -> float:
        """Return the median of the minutes before a moment."""
        return median(
            mebibytes for when, mebibytes in self.readings if minute - WINDOW < when <= minute
        )


@frozen
class Worn:
    """What came of it.

    Args:
        outcome: What receiver, boards and browsers have, against the master's database.
        settled: The MiB of each process when its caches were full.
        final: The MiB of each at the end.
        happened: How often what was done.
    """

    outcome: Outcome
    settled: dict[str, float]
    final: dict[str, float]
    happened: Counter[str]

    @property
    def faults(self) -> list[str]:
        """Return what must not be, in words."""
        grown = [
            f"{name} grew from {before:.0f} to {self.final[name]:.0f} MiB"
            for name, before in self.settled.items()
            if self.final[name] > before * MOST
        ]
        return [*self.outcome.faults, *grown]


class SoakScene(TwoBoardsScene):
    """A master, a receiver that has its moods, two boards, and many browsers.

    Args:
        template: See ``Scene``.
        folder: Likewise.
        seed: Likewise.
        minutes: How long it lasts.
    """

    def __init__(self, template: Path, folder: Path, seed: str, minutes: float) -> None:
        self._clock = Clock(folder / "clock")
        self._clock.set(timedelta())
        super().__init__(template, folder, seed, effort=1)
        self.master.clock = self._clock
        self.builds = int(minutes * MINUTE / PAUSE)
        self.happened: Counter[str] = Counter()
        self._minutes = minutes
        self._memory = {name: Memory() for name in self._processes}

    def make_board(self) -> Boards:
        """Return both, with many browsers before them."""
        return Boards(self.folder, BROWSERS, self._clock)

    @property
    def _processes(self) -> dict[str, Process]:
        boards = {f"board {name}": board for name, board in self.board.each.items()}
        return {"master": self.master, **boards}

    def last(self) -> None:
        """Let all of it happen."""
        self.receiver.start()
        self.start_master(builds=self.builds, pause=PAUSE)
        began = time.monotonic()
        due = [
            _Repeated(1 / MINUTE, self._change_browsers),
            _Repeated(10 / MINUTE, lambda: self._measure((time.monotonic() - began) / MINUTE)),
            _Repeated(1, self._change_mood),
            _Repeated(3, self._reconfigure),
            _Repeated(self._minutes * 0.5, self._put_clock_forward, once=True),
        ]
        while (minute := (time.monotonic() - began) / MINUTE) < self._minutes:
            for each in due:
                each.happen(minute)
            time.sleep(0.2)
        self._come_to_rest()

    def _change_browsers(self) -> None:
        for number in self.chance.sample(range(BROWSERS), 2):
            self.board.change_browser(number)
            self.happened["browsers that left, and others came"] += 1

    def _measure(self, minute: float) -> None:
        for name, process in self._processes.items():
            self._memory[name].readings.append((minute, process.memory))

    def _change_mood(self) -> None:
        if self.happened["moods of the receiver"] % 2:
            self.receiver.behave("accept")
        else:
            mode, more = self.chance.choice(TROUBLES)
            self.receiver.behave(mode, **more)
        self.happened["moods of the receiver"] += 1

    def _reconfigure(self) -> None:
        self.groups = ["", *self.chance.sample(GROUPS[1:], 2)]
        self.configure(concurrency=self.chance.randint(2, 10))
        self.master.reconfigure()
        self.happened["reconfigurations with other builders"] += 1

    def _put_clock_forward(self) -> None:
        self._clock.set(JUMP)
        self.happened["clock put forward by an hour"] += 1

    def _come_to_rest(self) -> None:
        self.receiver.behave("accept")
        # Whoever asked for a build of a builder that went away waits for it to come back.
        self.groups = list(GROUPS)
        self.configure()
        self.master.reconfigure()
        # Where the machine is slow, builds are asked for more slowly than was reckoned.
        self.wait_for_builds(self._minutes * MINUTE / 4)
        self.wait_until_through()
        self.stop_master()

    def worn(self) -> Worn:
        """Return what came of it."""
        settled = min(SETTLED, self._minutes / 2)
        return Worn(
            outcome=self.outcome(),
            settled={name: each.at(settled) for name, each in self._memory.items()},
            final={name: each.at(self._minutes) for name, each in self._memory.items()},
            happened=self.happened,
        )


class _Repeated:
    def __init__(self, every: float, do: Callable[[], None], *, once: bool = False) -> None:
        self._every = every
        self._do = do
        self._once = once
        self._next = every

    def happen(self, minute: float) -> None:
        """Do it where it is due, minutes after the beginning."""
        if minute >= self._next:
            self._next = float("inf") if self._once else minute + self._every
            self._do()
