"""Starts the processes that are measured, one after the other, and reads what they tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast
from urllib.request import urlopen

PATIENCE = 600


def run(module: str, *arguments: object) -> dict[str, Any]:
    """Run one of the bench's modules to its end, and return the JSON object that it prints.

    Args:
        module: The module's name within the bench.
        *arguments: Its command line.
    """
    command = [sys.executable, "-m", f"bench.{module}", *map(str, arguments)]
    done = subprocess.run(  # noqa: S603 - the bench's own modules
        command, stdout=subprocess.PIPE, timeout=PATIENCE, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


class Again:
    """A process that measures once more whenever it is asked.

    Args:
        module: The module's name within the bench.
        *arguments: Its command line.
    """

    def __init__(self, module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", f"bench.{module}", *map(str, arguments)]
        self._process = subprocess.Popen(  # noqa: S603 - likewise
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._input = cast(IO[str], self._process.stdin)
        self._output = cast(IO[str], self._process.stdout)

    def measure(self) -> dict[str, Any]:
        """Let it measure, and return the JSON object that it prints."""
        print(file=self._input, flush=True)
        told: dict[str, Any] = json.loads(self._output.readline())
        return told

    def __enter__(self) -> Again:
        return self

    def __exit__(self, *_: object) -> None:
        self._input.close()
        self._process.wait(PATIENCE)
        self._output.close()


class Receiver:
    """The running receiver.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"

    @property
    def keeping(self) -> str:
        """The URL where statuses are kept."""
        return f"{self._root}/kept"

    @property
    def counting(self) -> str:
        """The URL where they are dropped."""
        return f"{self._root}/counted"

    def taken(self) -> dict[tuple[int, bool], float]:
        """Return when each status was accepted, by build and completeness, and forget it."""
        with urlopen(self._root) as answer:  # noqa: S310 - always http
            told = json.load(answer)
        return {(build, complete): at for build, complete, at in told}


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver in another process."""
    command = [sys.executable, "-m", "bench.receiver"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - likewise
    output = cast(IO[bytes], process.stdout)
    try:
        yield Receiver(int(output.readline()))
    finally:
        process.terminate()
        process.wait(60)
        output.close()
