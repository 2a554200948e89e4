"""A small disk of the test's own, which can be full or write-protected."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

SIZE = 2 * 1024 * 1024


class Disk(ABC):
    """A folder whose disk has whims.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self) -> None:
        """Leave no room."""

    @abstractmethod
    def protect(self) -> None:
        """Let nothing be written."""

    @abstractmethod
    def free(self) -> None:
        """Make room, and let everything be written."""


class MountedDisk(Disk):
    """A file system of its own, as root can have one."""

    def mount(self, options: str) -> None:
        """Mount it, or mount it anew."""
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.folder)

    def unmount(self) -> None:
        """Leave an empty folder."""
        _run("umount", self.folder)

    def fill(self) -> None:
        """Leave no room."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            try:
                while ballast.write(bytes(4096)):
                    pass
            except OSError:
                return

    def protect(self) -> None:
        """Let nothing be written."""
        self.mount("remount,ro")

    def free(self) -> None:
        """Make room, and let everything be written."""
        self.mount("remount,rw")
        (self.folder / "ballast").unlink(missing_ok=True)


class LimitedDisk(Disk):
    """A folder whose files can't grow, for those who can't mount."""

    def fill(self) -> None:
        """Leave no room."""
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        largest = max(file.stat().st_size for file in self.folder.iterdir())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, most))

    def protect(self) -> None:
        """Let nothing be written."""
        for file in self.folder.iterdir():
            file.chmod(0o400)
        self.folder.chmod(0o500)

    def free(self) -> None:
        """Make room, and let everything be written."""
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        self.folder.chmod(0o700)
        for file in self.folder.iterdir():
            file.chmod(0o600)


def new_disk(test: SynchronousTestCase) -> Disk:
    """Return a disk that is gone after the test."""
    folder = Path(tempfile.mkdtemp(prefix="http-status-push-disk-"))
    test.addCleanup(folder.rmdir)
    disk = MountedDisk(folder)
    try:
        disk.mount(f"size={SIZE},mode=700")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return _limited(test, folder)
    test.addCleanup(disk.unmount)
    return disk


def _limited(test: SynchronousTestCase, folder: Path) -> Disk:
    disk = LimitedDisk(folder)
    test.addCleanup(lambda: [os.unlink(file) for file in folder.iterdir()])
    test.addCleanup(disk.free)
    return disk


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
