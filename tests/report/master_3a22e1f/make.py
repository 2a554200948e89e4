"""Makes what stands beside it: the databases of a master that ran commit 3a22e1f and was killed.

To be run with Buildbot 4.0 and the sources and tests of that commit:

    git worktree add /tmp/old 3a22e1f
    PYTHONPATH=/tmp/old/src:/tmp/old/tests python make.py

Build 1 ended before the reporter first ran, and build 2 was delivered. Then the receiver answered
503, and the master was killed when build 5 had just been stored as finished and its event was not
sent yet; build 4 was running.
"""

from __future__ import annotations

import gzip
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from buildbot.process.results import SUCCESS
from support.inbox import Inbox
from support.master import EndWith, Master, configuration
from twisted.internet import reactor, task
from twisted.internet.defer import Deferred, ensureDeferred

from buildbot_http_status_push.reporter import HttpStatusPush

HERE = Path(__file__).parent
MASTER_NAME = "build.example:/var/lib/master"
DATABASES = ("state.sqlite", "http_status_push.sqlite")
AGO = 3 * 365 * 86400.0
"""Seconds before now that it all happened: a test's clock may be behind that of who made this."""


def start(folder: Path, services: list[Any]) -> tuple[Master, Deferred[None]]:
    """Start the master."""
    builders = {"success": [EndWith(SUCCESS)], "slow": [EndWith(SUCCESS, Deferred())]}
    master = Master(folder, configuration(services, builders))
    master.master.name = MASTER_NAME
    return master, ensureDeferred(master.start())


async def run(folder: Path) -> None:
    """Run builds until the process kills itself."""
    master, started = start(folder, [])
    await started
    await master.build("success")
    await master.stop()
    # Build times have whole seconds: the past is what ended in an earlier one.
    await task.deferLater(reactor, 1.1)
    inbox = Inbox()
    reporter = HttpStatusPush(await inbox.open())
    master, started = start(folder, [reporter])
    await started
    await master.build("success")
    await inbox.until(2)
    await reporter._catchup.scan()
    inbox.behave(fail=503)
    await master.build("success")
    produce = master.master.mq.produce
    running: Deferred[None] = Deferred()

    def produce_or_die(key: tuple[str, ...], message: Any) -> None:
        if key == ("builds", "5", "finished"):
            os.kill(os.getpid(), signal.SIGKILL)
        if key[0] == "steps" and message.get("name") == "end" and key[2] == "started":
            running.callback(None)
        produce(key, message)

    master.master.mq.produce = produce_or_die
    await master.submit("slow")
    await running
    running = Deferred()
    await master.submit("success")
    await Deferred()


def main() -> None:
    """Make the dumps."""
    if len(sys.argv) > 1:
        reactor.seconds = lambda: time.time() - AGO
        task.react(lambda _: ensureDeferred(run(Path(sys.argv[1]))))
    with tempfile.TemporaryDirectory() as folder:
        ended = subprocess.run([sys.executable, __file__, folder], check=False)
        if ended.returncode != -signal.SIGKILL:
            raise SystemExit(f"the master ended by itself, with {ended.returncode}")
        for name in DATABASES:
            connection = sqlite3.connect(Path(folder) / name)
            dump = "\n".join(connection.iterdump()).encode()
            connection.close()
            # No time: the same content is the same file.
            (HERE / f"{name}.sql.gz").write_bytes(gzip.compress(dump, mtime=0))


if __name__ == "__main__":
    main()
