"""A real tinyproxy on loopback, with a folder and a configuration of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from support.ports import PATIENCE, free_port, wait_until_listening
from support.programs import missing

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
        wait_until_listening(self.port, self._process, self.told)

    def told(self) -> str:
        """Return its log."""
        return self._log.read_text() if self._log.exists() else "it wrote nothing"

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)
