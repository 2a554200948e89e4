"""A real PostgreSQL server on a Unix socket of its own: one for a test run, in its own folder."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from support.programs import missing

# The drivers that this SQLAlchemy knows; without a name it chooses one.
DRIVERS = ("", "psycopg2", "psycopg") if sa.__version__ >= "2" else ("", "psycopg2")

PATIENCE = 60.0

SETTINGS = (
    "listen_addresses = ''\n"
    "fsync = off\n"  # what a power cut does is not what is tested
    "max_connections = 200\n"  # a master has some dozens of its own
)


def find_binaries() -> Path:
    """Return the folder of the server's programs, or say how to get them."""
    # Debian keeps them out of the search path.
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    folders += [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep)]
    for folder in sorted(folders, key=_version, reverse=True):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise missing("PostgreSQL", "postgresql")


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


# When the test run ends, in whatever way, the guard's input ends, and so does the server.
GUARD = 'cat; "$1/pg_ctl" stop --pgdata="$2/data" --mode=immediate; rm -rf "$2"'


class Postgres:
    """A server that trusts everybody who can open its socket, in a folder that goes with it.

    Attributes:
        socket_folder: Where its socket is.
    """

    def __init__(self) -> None:
        self._binaries = find_binaries()
        # The server refuses to run as root.
        self._user = "postgres" if os.getuid() == 0 else None
        self._folder = self.socket_folder = Path(tempfile.mkdtemp(prefix="http-status-push-pg-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        self._guard = self._begin("sh", "-c", GUARD, "guard", str(self._binaries), self._folder)
        self._run("initdb", "--auth=trust", "--username=tests", "--encoding=UTF8", "--no-sync")
        settings = f"{SETTINGS}unix_socket_directories = '{self._folder}'\n"
        with (self._folder / "data" / "postgresql.conf").open("a") as file:
            file.write(settings)

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._run("pg_ctl", "start", "--wait", f"--log={self._folder / 'log'}")

    def stop(self) -> None:
        """Stop it at once, as a crash does."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def remove(self) -> None:
        """Stop it, and delete its folder."""
        self._guard.communicate(timeout=PATIENCE)

    def url(self, driver: str = "") -> str:
        """Return a URL of its database; without a driver SQLAlchemy chooses one."""
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://tests@/postgres?host={self._folder}"

    def clear(self) -> None:
        """Delete all that is in its database."""
        engine = sa.create_engine(self.url())
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        pgdata = f"--pgdata={self._folder / 'data'}"
        process = self._begin(self._binaries / program, pgdata, *arguments)
        process.communicate(timeout=PATIENCE)
        if process.returncode:
            log = self._folder / "log"
            told = log.read_text()[-2000:] if log.exists() else "no log was written"
            raise RuntimeError(f"{program} {arguments} failed: {told}")

    def _begin(self, *command: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            user=self._user,
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # the server would keep a pipe open
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests; they end it
        )


@cache
def server() -> Postgres:
    """Return the server of this test run; it ends with the run."""
    postgres = Postgres()
    atexit.register(postgres.remove)
    postgres.start()
    return postgres
