"""A real Apache httpd on loopback, with a configuration of its own in a temporary folder."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

from support.ports import free_port
from support.programs import missing

MODULE_FOLDER = Path("/usr/lib/apache2/modules")
MODULES = (
    "mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
    "auth_digest", "headers", "proxy", "proxy_http", "socache_shmcb", "ssl",
)  # fmt: skip
READY = "resuming normal operations"
PATIENCE = 20


def find_apache() -> str:
    """Return the path of Debian's apache2 program."""
    # An unprivileged user's PATH may lack sbin.
    found = shutil.which("apache2") or shutil.which("apache2", path="/usr/sbin")
    if found is None:
        raise missing("apache2", "apache2")
    return found


class Apache:
    """One Apache httpd: ``start()`` returns when it serves, ``stop()`` leaves nothing behind.

    Args:
        lines: Lines of configuration, such as ``SSLEngine on``, beyond the port and the modules
            in ``MODULES``. Files that they name may be put into ``folder``, which exists from
            the beginning; Apache reads some of them as an unprivileged user.
    """

    def __init__(self, *lines: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="apache-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.lines = list(lines)
        self.log: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._listener = Thread(target=self._listen, daemon=True)
        self._told = Event()

    def start(self) -> None:
        """Start serving; raises with Apache's own words if it can't."""
        configuration = self.folder / "apache.conf"
        configuration.write_text("\n".join((*self._base(), *self.lines, "")))
        self._process = subprocess.Popen(
            [find_apache(), "-D", "FOREGROUND", "-f", str(configuration)],
            stderr=subprocess.PIPE,
            text=True,
        )
        self._listener.start()
        if not self._told.wait(PATIENCE) or not self._serves():
            self.stop()
            raise RuntimeError("Apache does not start:\n" + "".join(self.log))

    def stop(self) -> None:
        """End all its processes and remove its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._listener.join(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _serves(self) -> bool:
        return any(READY in line for line in self.log)

    def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.log.append(line)
                if READY in line:
                    self._told.set()
        self._told.set()

    def _base(self) -> Iterator[str]:
        yield f'ServerRoot "{self.folder}"'
        yield f'DefaultRuntimeDir "{self.folder}"'
        yield f'PidFile "{self.folder}/apache.pid"'
        yield 'ErrorLog "/dev/stderr"'
        yield "ServerName localhost"
        yield f"Listen 127.0.0.1:{self.port}"
        yield from (f"LoadModule {name}_module {MODULE_FOLDER}/mod_{name}.so" for name in MODULES)
        yield from ("ServerLimit 1", "StartServers 1", "ThreadsPerChild 25", "MaxRequestWorkers 25")
        if os.geteuid() == 0:  # Apache refuses to serve as root
            user = pwd.getpwnam("nobody")
            yield f"User {user.pw_name}"
            yield f"Group {grp.getgrgid(user.pw_gid).gr_name}"
