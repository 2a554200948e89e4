"""The processes on the stage: a master and a receiver, started, disturbed and ended.

Whatever is started here ends with the stage, also when a case fails or is interrupted.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from attrs import frozen
from support.ports import free_port, listens

HERE = Path(__file__).parent
START_PATIENCE = 60.0
STOP_PATIENCE = 30.0
POLL = 0.05
DISK_SIZE = "8m"
TIMEOUT = 3.0
"""Seconds that a reporter gives the receiver, where a case says nothing else."""
RUNNING = "BuildMaster is running"
NO_MORE_BUILDS = "No running jobs, starting shutdown immediately"


class TooLateError(Exception):
    """Something did not happen in time; the text says what."""


def wait_until(condition: Callable[[], object], what: str, patience: float) -> float:
    """Wait until a condition holds.

    Args:
        condition: Tells whether it does.
        what: What is waited for, in words.
        patience: Seconds until this is given up.

    Returns:
        How many seconds it took.

    Raises:
        TooLateError: It took too long.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > patience:
            raise TooLateError(f"{what}: not within {patience:g} s")
        time.sleep(POLL)
    return time.monotonic() - began


def create_master(folder: Path) -> None:
    """Make a master's folder, with its database, that the cases copy."""
    buildbot = str(Path(sys.executable).with_name("buildbot"))
    command = [buildbot, "create-master", "--quiet", "--relocatable", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


class ImpossibleError(Exception):
    """This machine does not allow what a case needs; the text says why."""


def extract_sources(commit: str, folder: Path) -> Path:
    """Extract this project's packages as they were at an earlier commit.

    Args:
        commit: Its hash.
        folder: An empty directory.

    Returns:
        The directory that holds the packages.

    Raises:
        ImpossibleError: This is no checkout, or one without that commit.
    """
    archive = ["git", "-C", str(HERE.parents[1]), "archive", "--format=tar", f"{commit}:src"]
    try:
        packed = subprocess.run(archive, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError) as trouble:
        raise ImpossibleError(f"commit {commit} can't be had here ({trouble})") from trouble
    with tarfile.open(fileobj=io.BytesIO(packed)) as files:
        files.extractall(folder, filter="data")
    return folder


class Disk:
    """A file system of a few MiB, which can be filled.

    Args:
        folder: An empty folder to mount it on.

    Raises:
        ImpossibleError: It can't be mounted here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as trouble:
            raise ImpossibleError(f"a small disk can't be mounted here ({trouble})") from trouble

    def fill(self) -> None:
        """Leave not a byte of room."""
        with suppress(OSError), (self.folder / "ballast").open("ab", buffering=0) as ballast:
            while ballast.write(b"x" * 4096):
                pass

    def clear(self) -> None:
        """Make room again."""
        (self.folder / "ballast").unlink()

    def close(self) -> None:
        """Unmount it."""
        command = ["umount", "--lazy", str(self.folder)]
        subprocess.run(command, check=True)


class Clock:
    """The time that processes see; it can be changed while they run.

    Args:
        file: A file that says how far it is ahead.

    Raises:
        ImpossibleError: No other time can be had here.
    """

    def __init__(self, file: Path) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not found:
            raise ImpossibleError("no other time can be had here: apt-get install faketime")
        self._file = file
        # CLOCK_MONOTONIC goes along: left as it is, sleeps fail (libfaketime 0.9.10).
        self.environment = {"LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(file)}

    def set(self, ahead: timedelta) -> None:
        """Let it run ahead: processes see it within ten seconds."""
        new = self._file.with_suffix(".new")
        new.write_text(f"+{ahead.total_seconds():.0f}")
        new.replace(self._file)


class Process:
    """A child process, in a process group of its own.

    Attributes:
        clock: What it takes the time from when it is started, None for the machine's.
        sources: The directory of the packages that it prefers to the installed ones, None for none.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self.clock: Clock | None = None
        self.sources: Path | None = None

    @property
    def memory(self) -> float:
        """The MiB that it has in memory."""
        child = self._child
        assert child is not None, "it was not started"
        status = Path(f"/proc/{child.pid}/status").read_text()
        return float(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1024

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def _start(self, *command: str | Path, output: Path, **environment: str) -> None:
        paths = [self.sources, HERE.parent, os.environ.get("PYTHONPATH")]
        path = os.pathsep.join(str(each) for each in paths if each)
        environment = {**os.environ, "PYTHONPATH": path, **environment}
        environment |= self.clock.environment if self.clock else {}
        with output.open("ab") as file:
            self._child = subprocess.Popen(
                command, env=environment, stdout=file, stderr=file, start_new_session=True
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its group."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, number)

    def ended(self, patience: float) -> None:
        """Wait for its end."""
        if self._child is not None:
            self._child.wait(patience)

    def kill(self) -> None:
        """End it without a warning."""
        self.signal(signal.SIGKILL)
        self.ended(STOP_PATIENCE)


class Worker(Process):
    """A worker's process.

    Args:
        folder: Its folder.
        name: Its name, which is its password too.
        port: Where it finds the master, on loopback.
    """

    def __init__(self, folder: Path, name: str, port: int) -> None:
        super().__init__()
        self._folder = folder
        self._program = Path(sys.executable).with_name("buildbot-worker")
        where = (str(folder), f"127.0.0.1:{port}", name, name)
        create = (str(self._program), "create-worker", "--quiet", "--maxdelay=1", *where)
        subprocess.run(create, check=True, capture_output=True)

    def start(self) -> None:
        """Start, and do not wait until it is connected."""
        start = (self._program, "start", "--nodaemon", self._folder)
        self._start(*start, output=self._folder / "output.log")


class Board(Process):
    """A board's process, behind the receiver.

    Args:
        folder: Where its files are.
        database: The URL of its database, if it is not a file in that folder.
        name: What its log is named.

    Attributes:
        arguments: More of its command line.
    """

    def __init__(self, folder: Path, database: str | None = None, name: str = "board") -> None:
        super().__init__()
        self.database: Path | str = database or folder / "board.sqlite"
        self.arguments: tuple[str, ...] = ()
        self._output = folder / f"{name}.log"
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where it takes statuses."""
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Begin to listen."""
        command = Path(sys.executable).with_name("buildbot-http-status-push")
        url = self.database if isinstance(self.database, str) else f"sqlite:///{self.database}"
        where = ("--port", str(self.port), "--database", url)
        self._start(command, "board", *where, *self.arguments, output=self._output)
        wait_until(lambda: listens(self.port), "the board listens", START_PATIENCE)


class Receiver(Process):
    """The receiver's process, and the port that is kept for it.

    Args:
        folder: Where its files are.
        seed: For its chance.
        board: The URL of the board that it passes on to, empty for none.
    """

    def __init__(self, folder: Path, seed: str, board: str) -> None:
        super().__init__()
        self._board = board
        self._seed = seed
        self._output = folder / "receiver.log"
        self._limit = TIMEOUT
        self.record = folder / "record.jsonl"
        self.control = folder / "control.json"
        # Bound and not listening: connections are refused, and nobody else takes the port.
        self._keeper = socket.socket()
        self._keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._keeper.bind(("127.0.0.1", 0))
        self.port: int = self._keeper.getsockname()[1]
        self.behave("accept")

    def behave(self, mode: str, **more: Any) -> None:
        """Treat all further requests in another way; see ``chaos.receiver``."""
        self._manner = {"mode": mode, **more}
        new = self.control.with_suffix(".new")
        new.write_text(json.dumps({"limit": self._limit, **self._manner}))
        new.replace(self.control)

    def expect_answers_within(self, limit: float) -> None:
        """Let it know how many seconds its sender gives it."""
        self._limit = limit
        self.behave(**self._manner)

    def start(self) -> None:
        """Begin to listen."""
        arguments = (str(self.port), self.record, self.control, self._seed, self._board)
        self._start(sys.executable, HERE / "receiver.py", *arguments, output=self._output)
        wait_until(lambda: listens(self.port), "the receiver listens", START_PATIENCE)

    def close(self) -> None:
        """End it for good."""
        self.kill()
        self._keeper.close()


@frozen
class Stop:
    """How long a stop of the master took.

    Args:
        builds: Seconds until Buildbot had ended its builds, with which no reporter has to do.
        services: Seconds from then until the process had ended.
    """

    builds: float
    services: float


class Master(Process):
    """The master's process.

    Args:
        folder: The master's folder, as ``create_master`` makes it.
        configuration: Which of the files here is its ``master.cfg``.
    """

    def __init__(self, folder: Path, configuration: str = "master.cfg") -> None:
        super().__init__()
        self._stand_in(folder)
        shutil.copy(HERE / configuration, folder / "master.cfg")

    def _stand_in(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "twistd.log"

    def move(self, folder: Path) -> None:
        """Stand in another folder from the next start on: Buildbot names it anew."""
        self.folder.rename(folder)
        self._stand_in(folder)

    def configure(self, **settings: Any) -> None:
        """Write what ``master.cfg`` reads at the next start or reconfiguration."""
        (self.folder / "settings.json").write_text(json.dumps(settings))

    def launch(self) -> None:
        """Start, and do not wait."""
        buildbot = Path(sys.executable).with_name("buildbot")
        output = self.folder / "output.log"
        start = (buildbot, "start", "--nodaemon", self.folder)
        self._start(*start, output=output)

    def start(self) -> None:
        """Start, and wait until it runs."""
        before = self._times_logged(RUNNING)
        self.launch()
        wait_until(
            lambda: self._times_logged(RUNNING) > before or not self.is_running,
            "the master runs",
            START_PATIENCE,
        )
        if not self.is_running:
            raise TooLateError(f"the master ended while it started: see {self.log}")

    def stop(self) -> Stop:
        """Do what ``buildbot stop`` does, and wait for the process's end."""
        before = self._times_logged(NO_MORE_BUILDS)
        self.signal(signal.SIGTERM)
        builds = wait_until(
            lambda: self._times_logged(NO_MORE_BUILDS) > before or not self.is_running,
            "the master ends its builds",
            STOP_PATIENCE,
        )
        return Stop(
            builds, wait_until(lambda: not self.is_running, "the master ends", STOP_PATIENCE)
        )

    def reconfigure(self) -> None:
        """Do what ``buildbot reconfig`` does, without waiting for the result."""
        self.signal(signal.SIGHUP)

    def _times_logged(self, words: str) -> int:
        return self.log.read_text(errors="replace").count(words) if self.log.exists() else 0
