"""Two masters on one PostgreSQL database, with a router between them, and what is done to them."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from attrs import evolve
from support.pgbouncer import PgBouncer
from support.ports import free_port, listens
from support.postgres import Postgres

from chaos import evidence
from chaos.judge import Circumstances, Finding, judge, misshown
from chaos.load import DONE_FILE
from chaos.scene import THROUGH_MOST, Outcome
from chaos.stage import (
    START_PATIENCE,
    TIMEOUT,
    Board,
    ImpossibleError,
    Master,
    Process,
    Receiver,
    Stop,
    wait_until,
)

NAMES = ("one", "two")
CROSSBAR = "HTTP_STATUS_PUSH_CROSSBAR"
"""Names the environment's variable with the path of the router's program."""
BUILDS_PATIENCE = 240.0
HEARTBEAT = 2.0
EXPIRE_MINUTES = 0.25
KNOBS = f"""
m.masterHeartbeatService.step = {HEARTBEAT}
from buildbot.data import masters
masters.EXPIRE_MINUTES = {EXPIRE_MINUTES}
"""
"""A master that does not return is given up in seconds, not in minutes."""

LEFT = """
    select count(*) from buildrequests join builders on builders.id = builderid
    where complete = 0 and builders.name like '%-{name}'
"""
RUNNING = "select count(*) from builds where complete_at is null"

ROLE = {
    "name": "anonymous",
    "permissions": [
        {
            "uri": "",
            "match": "prefix",
            "allow": {"call": True, "register": True, "publish": True, "subscribe": True},
        }
    ],
}


class Router(Process):
    """The router's process.

    Args:
        folder: Where its files go.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._program = os.environ.get(CROSSBAR) or shutil.which("crossbar")
        if self._program is None:
            raise ImpossibleError(f"there is no router: pip install crossbar, and set {CROSSBAR}")
        self._folder = folder
        self._port = free_port()
        self._url = f"ws://127.0.0.1:{self._port}/ws"
        self.queue = {"type": "wamp", "router_url": self._url, "realm": "buildbot"}
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self._configuration()))

    def _configuration(self) -> dict[str, Any]:
        transport = {
            "type": "websocket",
            "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": self._port},
            "url": self._url,
            "auth": {"anonymous": {"type": "static", "role": "anonymous"}},
        }
        realm = {"name": "buildbot", "roles": [ROLE]}
        worker = {"type": "router", "realms": [realm], "transports": [transport]}
        return {"version": 2, "controller": {}, "workers": [worker]}

    def start(self) -> None:
        """Begin to route."""
        command = (str(self._program), "start", "--cbdir", str(self._folder))
        output = self._folder / "output.log"
        self._start(*command, output=output, CROSSBAR_DISABLE_TELEMETRY="1")
        wait_until(lambda: listens(self._port), "the router listens", START_PATIENCE)


class NoRouter(Process):
    """Nothing in the place of a router: each master hears of its own events only."""

    @property
    def queue(self) -> dict[str, str]:
        """How the masters are to pass on events."""
        return {"type": "simple"}

    def start(self) -> None:
        """Do nothing."""


class Cluster:
    """Two masters, a router, a database, a receiver and a board behind it.

    Args:
        template: Not used: these masters have another database.
        folder: Where the case's files go.
        seed: All chance comes from it.
        effort: For each, five builds are asked for in all.
    """

    def __init__(self, template: Path, folder: Path, seed: str, effort: int) -> None:
        self._folder = folder
        self.chance = random.Random(seed)  # noqa: S311 - rhythm, not secrets
        self.builds = 5 * effort // len(NAMES)
        self.router = self.make_router()
        self.database = Postgres()
        self.database.start()
        self._url = self.database.url()
        self.board = Board(folder)
        self.receiver = Receiver(folder, seed, self.board.url)
        url = f"http://127.0.0.1:{self.receiver.port}/submit"
        self.reporter = {"serverUrl": url, "timeout": TIMEOUT}
        self.masters = {name: self._create(name) for name in NAMES}
        self.circumstances = Circumstances()
        self._through: list[float] = []
        self._stops: list[Stop] = []

    def open(self) -> None:
        """Start what each case needs."""
        self.board.start()
        self.router.start()

    def make_router(self) -> Any:
        """Return what the masters hear of each other by."""
        return Router(self._folder / "router")

    def _create(self, name: str) -> Master:
        folder = self._folder / name
        buildbot = str(Path(sys.executable).with_name("buildbot"))
        command = [buildbot, "create-master", "--quiet", "--relocatable", f"--db={self._url}"]
        subprocess.run([*command, str(folder)], check=True, capture_output=True)
        with (folder / "buildbot.tac").open("a") as tac:
            tac.write(KNOBS)
        return Master(folder, "cluster.cfg")

    def start(self, *names: str, builds: int | None = None) -> None:
        """Start masters.

        Args:
            *names: Which ones, one after the other.
            builds: How many builds each asks for, a share of all where that is not said.
        """
        wanted = self.builds if builds is None else builds
        for name in names:
            load = {
                "seed": self.chance.randrange(2**32),
                "builds": wanted,
                "pause": 0.3,
                "ballast": 0,
            }
            place = {"name": name, "database": self._url, "queue": self.router.queue}
            master = self.masters[name]
            (master.folder / DONE_FILE).unlink(missing_ok=True)
            work = {"longest": 2.0}
            master.configure(cluster=place, reporter=self.reporter, load=load, work=work)
            master.start()

    def kill(self, name: str) -> None:
        """Kill a master."""
        self.masters[name].kill()
        now = time.time()
        self.circumstances = evolve(self.circumstances, kills=[*self.circumstances.kills, now])

    def end_receiver(self) -> None:
        """End the receiver's process."""
        self.receiver.kill()
        now = time.time()
        self.circumstances = evolve(self.circumstances, ends=[*self.circumstances.ends, now])

    def restart_database(self) -> None:
        """Stop the database at once, and start it."""
        self.database.stop()
        self.play(0, 1)
        self.database.start()
        self.note_outage()

    def note_outage(self) -> None:
        """Note that the outbox's database was away, and is back."""
        now = time.time()
        self.circumstances = evolve(self.circumstances, outages=[*self.circumstances.outages, now])

    def play(self, shortest: float, longest: float) -> None:
        """Let things happen for a while."""
        time.sleep(self.chance.uniform(shortest, longest))

    def wait_for_builds(self) -> None:
        """Wait until all that living masters were asked for is built, and nothing runs."""
        wait_until(self._builds_ended, "all builds end", BUILDS_PATIENCE)

    def _builds_ended(self) -> bool:
        living = [each for each, master in self.masters.items() if master.is_running]
        asked = all((self.masters[each].folder / DONE_FILE).exists() for each in living)
        left = (evidence.count(self._url, LEFT.format(name=each)) for each in living)
        return asked and not any(left) and not evidence.count(self._url, RUNNING)

    def wait_until_through(self) -> None:
        """Wait until everything is accepted, and note how long that took."""
        took = wait_until(self._is_through, "everything is accepted", 2 * THROUGH_MOST)
        self._through.append(took)

    def _is_through(self) -> bool:
        return not self.find().missing and not evidence.read_accounts(self._url).pending

    def find(self) -> Finding:
        """Ask the judge."""
        return judge(
            evidence.read_builds(self._url),
            evidence.read_record(self.receiver.record),
            evidence.read_rows(self._url),
            self.circumstances,
        )

    def stop_master(self) -> None:
        """Stop the masters that run, and note how long that took."""
        self._stops += [each.stop() for each in self.masters.values() if each.is_running]

    def outcome(self) -> Outcome:
        """Return what came out."""
        builds = evidence.read_builds(self._url)
        logs = [each.log for each in self.masters.values()]
        finding = self.find()
        return Outcome(
            finding=finding,
            builds=len(builds),
            accepted=len(evidence.read_record(self.receiver.record).acceptances),
            stops=self._stops,
            through=self._through,
            wait=None,
            wait_most=0.0,
            lag=None,
            chatter=[],
            accounts=evidence.read_accounts(self._url),
            complaints=[each for log in logs for each in evidence.read_complaints(log)],
            misshown=misshown(
                builds,
                evidence.read_board(self.board.database),
                self.circumstances.refused_builders,
                finding.unbegun,
            ),
        )

    def close(self) -> None:
        """End everything."""
        for each in (*self.masters.values(), self.router, self.board):
            each.kill()
        self.receiver.close()
        self.database.remove()


class PooledCluster(Cluster):
    """Two masters that reach their common outbox through a pooler; no router is between them."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.pooler = PgBouncer(self.database.socket_folder)
        self.reporter["outbox"] = self.pooler.url()

    def make_router(self) -> NoRouter:
        """Return none."""
        return NoRouter()

    def restart_pooler(self) -> None:
        """Kill the pooler, and start it."""
        self.pooler.restart()
        self.note_outage()

    def close(self) -> None:
        """End everything."""
        self.pooler.stop()
        super().close()


def two_masters(cluster: Cluster) -> None:
    """Two masters build, with nothing configured for it: each status goes out once."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.wait_for_builds()
    cluster.wait_until_through()


def one_of_two_killed(cluster: Cluster) -> None:
    """One of two masters is killed amid its builds, and started again."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(3, 5)
    cluster.kill("one")
    cluster.play(1, 3)
    cluster.start("one", builds=3)
    cluster.wait_for_builds()
    cluster.wait_until_through()


def one_of_two_gone_for_good(cluster: Cluster) -> None:
    """One of two masters is killed and never comes back: the other one tells of its builds."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(3, 5)
    cluster.kill("two")
    cluster.wait_for_builds()
    cluster.wait_until_through()


def router_killed(cluster: Cluster) -> None:
    """The router is killed amid builds; it and the masters, which can't do without, start again."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(3, 5)
    cluster.router.kill()
    cluster.play(3, 5)
    for name in NAMES:
        cluster.kill(name)
    cluster.router.start()
    cluster.start(*NAMES, builds=3)
    cluster.wait_for_builds()
    cluster.wait_until_through()


def database_restarted(cluster: Cluster) -> None:
    """PostgreSQL ends at once amid builds and starts again; then the masters do, one by one."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(3, 5)
    cluster.restart_database()
    cluster.play(3, 5)
    for name in NAMES:
        cluster.kill(name)
        cluster.start(name, builds=3)
    cluster.wait_for_builds()
    cluster.wait_until_through()


def receiver_of_two_down(cluster: Cluster) -> None:
    """The receiver of both masters ends while they build, and is started again."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(2, 3)
    cluster.end_receiver()
    cluster.wait_for_builds()
    cluster.receiver.start()
    cluster.wait_until_through()


def pooler_of_two_restarted(cluster: PooledCluster) -> None:
    """The pooler before the outbox of two masters is killed, PostgreSQL ends, the masters too."""
    cluster.receiver.start()
    cluster.start(*NAMES)
    cluster.play(3, 5)
    cluster.restart_pooler()
    cluster.play(3, 5)
    cluster.restart_database()
    cluster.play(3, 5)
    for name in NAMES:
        cluster.kill(name)
        cluster.start(name, builds=3)
    cluster.wait_for_builds()
    cluster.wait_until_through()
