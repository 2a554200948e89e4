"""A master that ran an earlier version of this package, was killed, and runs the present one."""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from buildbot.process.results import RETRY, SUCCESS
from buildbot.util.twisted import async_to_deferred
from support.master import EndWith, Master, ReporterTestCase, configuration, new_basedir
from twisted.internet import defer

from buildbot_http_status_push.reporter import HttpStatusPush

BEFORE = Path(__file__).parent / "master_3a22e1f"
MASTER_NAME = "build.example:/var/lib/master"
"""What the master that was killed was called."""

OWED = [("slow", 1, RETRY), ("success", 3, SUCCESS), ("success", 4, SUCCESS)]
"""The builds whose end was not delivered, with their results: one of them was not even stored."""
LAST = {"slow": 1, "success": 4}
"""The number of each builder's last build before the upgrade."""


@cache
def upgraded() -> Path:
    """Make that master's directory, and upgrade its database once; tests copy it."""
    folder = Path(tempfile.mkdtemp(prefix="http-status-push-master-"))
    shutil.copytree(new_basedir(), folder, dirs_exist_ok=True)
    (folder / "state.sqlite").unlink()
    for dump in BEFORE.glob("*.sql.gz"):
        connection = sqlite3.connect(folder / dump.name.removesuffix(".sql.gz"))
        connection.executescript(gzip.decompress(dump.read_bytes()).decode())
        connection.close()
    (folder / "master.cfg.sample").rename(folder / "master.cfg")
    buildbot = Path(sys.executable).with_name("buildbot")
    upgrade = [buildbot, "upgrade-master", "--quiet", str(folder)]
    subprocess.run(upgrade, check=True, capture_output=True)
    return folder


class Upgrade(ReporterTestCase):
    """The directory of a master that ran commit 3a22e1f, made by the script that is beside it."""

    timeout = 90

    async def ends_after_upgrade(self, name: str | None) -> list[tuple[str, int, int]]:
        """Start the present version there, and return the ends that it sends of earlier builds.

        Args:
            name: The master's name, None for that of the new place.
        """
        inbox, url = await self.open_inbox()
        reporter = HttpStatusPush(url)
        builders = {each: [EndWith(SUCCESS)] for each in LAST}
        folder = self.folder / "master"
        shutil.copytree(upgraded(), folder)
        master = Master(folder, configuration([reporter], builders))
        self.addCleanup(lambda: defer.ensureDeferred(master.stop()))
        if name is not None:
            master.master.name = name
        await master.start()
        await inbox.when(lambda: {each[:2] for each in OWED} <= {each[:2] for each in inbox.seen()})
        await reporter._catchup.scan()
        return sorted(
            (build["builder"]["name"], build["number"], build["results"])
            for build in inbox.builds
            if build["complete"] and build["number"] <= LAST[build["builder"]["name"]]
        )

    @async_to_deferred
    async def test_same_place(self) -> None:
        """All ends that the earlier version owed are sent, each once, and no others."""
        self.assertEqual(await self.ends_after_upgrade(MASTER_NAME), OWED)

    @async_to_deferred
    async def test_moved(self) -> None:
        """So they are where the master has been moved too, and Buildbot names it anew."""
        self.assertEqual(await self.ends_after_upgrade(None), OWED)
