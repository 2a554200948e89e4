"""A real PgBouncer before the test run's PostgreSQL server, in transaction mode."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.ports import free_port, wait_until_listening
from support.programs import missing

PATIENCE = 60.0

# Two connections for all clients: a transaction often runs on another one than the last did.
SETTINGS = """
[databases]
* = host={server} user=tests
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
"""


class PgBouncer:
    """A pooler of connections, which lets everybody in.

    Args:
        server: The folder of the server's socket.
    """

    def __init__(self, server: Path) -> None:
        found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
        if found is None:
            raise missing("PgBouncer", "pgbouncer")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="http-status-push-pool-"))
        settings = self._folder / "pgbouncer.ini"
        settings.write_text(SETTINGS.format(server=server, port=self.port, folder=self._folder))
        # It refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        self._command = (found, str(settings))
        self._start()

    def _start(self) -> None:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, user=self._user, stdout=quiet, stderr=quiet)
        wait_until_listening(self.port, self._process, self._log)

    def restart(self) -> None:
        """Kill it, with all connections that it holds, and start it again."""
        self._process.kill()
        self._process.communicate(timeout=PATIENCE)
        self._start()

    def url(self, driver: str = "") -> str:
        """Return a URL of the server's database through the pooler."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://tests@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """End it, and remove its folder."""
        self._process.terminate()
        self._process.communicate(timeout=PATIENCE)
        shutil.rmtree(self._folder)

    def _log(self) -> str:
        log = self._folder / "log"
        return log.read_text() if log.exists() else "no log was written"
