"""A real tinyproxy on loopback, with a folder and a configuration of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from support.apache import free_port
from support.programs import missing

PATIENCE = 30.0
CONFIGURATION = """
Port {port}
Listen 127.0.0.1
Timeout 60
LogFile "{folder}/tinyproxy.log"
LogLevel Connect
MaxClients 20
"""


class Tinyproxy:
    """A proxy that lets everybody through who is on this machine.

    Args:
        folder: A folder of its own.
        lines: Further lines of configuration, such as ``BasicAuth user password``.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        program = shutil.which("tinyproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise missing("tinyproxy", "tinyproxy")
        self.port = free_port()
        self._log = folder / "tinyproxy.log"
        own = CONFIGURATION.format(port=self.port, folder=folder)
        (folder / "tinyproxy.conf").write_text("\n".join([own, *lines, ""]))
        command = [program, "-d", "-c", str(folder / "tinyproxy.conf")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self._listens():
            assert self._process.poll() is None, "tinyproxy has ended"
            assert time.monotonic() < end, "tinyproxy does not listen"
            time.sleep(0.02)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), PATIENCE).close()
        except OSError:
            return False
        return True

    def told(self) -> str:
        """Return its log."""
        return self._log.read_text()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)
