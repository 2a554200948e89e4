"""Processes that work on a database until they are killed, at random moments.

A program forks a worker for each seed that it reads, since to import everything anew for every
kill would take most of the time.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

ENDED = "ended"
MOST_ACKNOWLEDGED = 8
LONGEST_DELAY = 0.004
PATIENCE = 60.0
TESTS = str(Path(__file__).parents[1])


def serve(work: Callable[[str, int], object], url: str) -> None:
    """Fork a worker for each seed that is read; end with the input.

    Args:
        work: Works for ever; is given the URL and the seed.
        url: The database.
    """
    for seed in sys.stdin:
        worker = os.fork()
        if worker == 0:
            work(url, int(seed))
        say("worker", worker)
        os.waitpid(worker, 0)
        say(ENDED)


def say(*words: object) -> None:
    """Write a line at once; one of a pipe's writers at a time is enough for that."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


@define(eq=False)
class Killer:
    """Has workers, and kills them.

    Args:
        program: The program that calls ``serve``.
        url: The database that they work with.

    Attributes:
        told: The lines that workers have said, each as its words.
    """

    program: str
    url: str
    told: list[list[str]] = field(factory=list, init=False)
    _process: subprocess.Popen[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, self.program, self.url],
            env={**os.environ, "PYTHONPATH": TESTS},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def kill_one(self, seed: int) -> None:
        """Let a worker work for some time, and kill it."""
        chance = random.Random(seed)  # noqa: S311 - it must be repeatable
        print(seed, file=self._process.stdin)
        worker = int(self._line()[1])
        for _ in range(chance.randrange(MOST_ACKNOWLEDGED)):
            self._note(self._line())
        time.sleep(chance.uniform(0, LONGEST_DELAY))  # any moment is the right one
        os.kill(worker, signal.SIGKILL)
        while (line := self._line()) != [ENDED]:
            self._note(line)

    def _line(self) -> list[str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        if not line:
            raise EOFError("the process ended by itself")
        return line

    def _note(self, line: list[str]) -> None:
        if line[0] == "trouble":
            raise AssertionError(line)
        self.told.append(line)

    def words(self, first: str) -> list[str]:
        """Return what was said in the lines that begin with a word."""
        return [word for line in self.told if line[0] == first for word in line[1:]]

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=PATIENCE)
