"""One case on the stage: what is done to master and receiver, and what is measured meanwhile."""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from attrs import evolve, frozen

from chaos import evidence
from chaos.evidence import Accounts
from chaos.judge import Circumstances, Finding, States, judge, misshown, unlike
from chaos.load import DONE_FILE
from chaos.stage import (
    TIMEOUT,
    Board,
    Clock,
    Disk,
    Master,
    Receiver,
    Stop,
    TooLateError,
    extract_sources,
    wait_until,
)

OUTBOX = "http_status_push.sqlite"
STOP_MOST = 5.0
THROUGH_MOST = 60.0
WAIT_MOST = 15.0
LAG_MOST = 1.0
LINES_APART = 59.0
"""Seconds between two such lines at least; the log knows whole seconds."""
BUILDS_PATIENCE = 180.0


@frozen
class Outcome:
    """What came out of a case.

    Args:
        finding: The judge's.
        builds: How many builds there were.
        accepted: How many POSTs the receiver took.
        stops: How long each stop of the master took.
        through: How long it took until nothing waited any more, in seconds, each time.
        wait: How long a status waited at most while the receiver refused some builders', in
            seconds; None where that is not what the case is about.
        wait_most: How long it may.
        lag: How long it took at most until a browser knew all that the board did, in seconds; None
            where that is not what the case is about.
        chatter: What the log says more often than once a minute; empty where the case is not
            about that.
        accounts: What the outbox says of itself.
        complaints: Tracebacks in the master's log.
        misshown: What the board behind the receiver shows otherwise than the master's database.
    """

    finding: Finding
    builds: int
    accepted: int
    stops: list[Stop]
    through: list[float]
    wait: float | None
    wait_most: float
    lag: float | None
    chatter: list[str]
    accounts: Accounts
    complaints: list[str]
    misshown: list[str]

    @property
    def faults(self) -> list[str]:
        """Return what must not be, in words."""
        slow = [f"slow: {each}" for each in self.stops if each.services >= STOP_MOST]
        is_late = (self.wait or 0) > self.wait_most
        held_up = [f"a status waited {self.wait:.1f} s"] if is_late else []
        behind = [f"a browser was {self.lag:.1f} s behind"] if (self.lag or 0) > LAG_MOST else []
        unbalanced = [] if self.accounts.balanced else [f"accounts: {self.accounts}"]
        logged = [f"logged: {each}" for each in self.complaints]
        often = [f"logged too often: {each}" for each in self.chatter]
        shown = [f"on the board: {each}" for each in self.misshown]
        late = [*slow, *held_up, *behind]
        return [*self.finding.faults, *late, *unbalanced, *logged, *often, *shown]


class Scene:
    """A master, a receiver and a board behind it, and what is done to them.

    Attributes:
        configuration: Which of the files here is the master's.

    Args:
        template: A master's folder as ``create_master`` made it; it is copied.
        folder: Where the case's files go.
        seed: All chance comes from it.
        effort: How many times a case does what it repeats; and for each, five builds.
    """

    configuration = "master.cfg"

    def __init__(self, template: Path, folder: Path, seed: str, effort: int) -> None:
        shutil.copytree(template, folder / "master")
        self.folder = folder
        self._disk: Disk | None = None
        self.chance = random.Random(seed)  # noqa: S311 - rhythm, not secrets
        self.board = self.make_board()
        self.receiver = Receiver(folder, seed, self.board.url)
        self.master = Master(folder / "master", self.configuration)
        self.outbox = self.master.folder / OUTBOX
        self.options: dict[str, Any] = {"timeout": TIMEOUT}
        self.work = {"longest": 2.0}
        self.groups = [""]
        self.effort = effort
        self.builds = 5 * effort
        self.circumstances = Circumstances()
        self._stops: list[Stop] = []
        self._through: list[float] = []
        self._wait: float | None = None
        self._wait_most = WAIT_MOST
        self._lag: float | None = None
        self._chatter: list[str] = []
        self._started_at = 0
        self._load: dict[str, Any] = {}

    def open(self) -> None:
        """Start what each case needs."""
        self.board.start()

    def make_board(self) -> Any:
        """Return what the receiver passes statuses on to."""
        return Board(self.folder)

    @property
    def _database(self) -> Path:
        return self.master.folder / "state.sqlite"

    @property
    def _rows(self) -> evidence.Place:
        """Where the outbox's rows are read."""
        return self.outbox

    def start_master(
        self, builds: int = 0, pause: float = 0.1, ballast: int = 0, *, wait: bool = True
    ) -> None:
        """Start the master.

        Args:
            builds: How many builds it is to ask for.
            pause: Seconds between two requests, on average.
            ballast: Characters added to every status.
            wait: Whether to wait until it runs.
        """
        seed = self.chance.randrange(2**32)
        self._load = {"seed": seed, "builds": builds, "pause": pause, "ballast": ballast}
        (self.master.folder / DONE_FILE).unlink(missing_ok=True)
        self.configure()
        # Claims know whole seconds: none of the master before it may be of the same one.
        time.sleep(1 - time.time() % 1)
        self._started_at = int(time.time())
        if wait:
            self.master.start()
        else:
            self.master.launch()

    def configure(self, **options: Any) -> None:
        """Write the master's settings, with other options of the reporter where given."""
        self.options |= options
        self.receiver.expect_answers_within(self.options["timeout"])
        self.master.configure(**self._settings())

    def _settings(self) -> dict[str, Any]:
        """Return what the master's configuration reads."""
        url = f"http://127.0.0.1:{self.receiver.port}/submit"
        return {
            "reporter": {"serverUrl": url, **self.options},
            "load": self._load,
            "work": self.work,
            "groups": self.groups,
        }

    def set_clock(self, ahead: timedelta) -> None:
        """Have the master's clock run ahead, from its next start on.

        Raises:
            ImpossibleError: It can't be changed here.
        """
        if self.master.clock is None:
            self.master.clock = Clock(self.folder / "clock")
        self.master.clock.set(ahead)

    def stop_master(self) -> None:
        """Stop the master, and note how long that took."""
        self._stops.append(self.master.stop())

    def kill_master(self) -> None:
        """Kill the master."""
        self.master.kill()
        self.circumstances = evolve(
            self.circumstances, kills=[*self.circumstances.kills, time.time()]
        )

    def run_commit(self, commit: str) -> None:
        """Have the master run the package as it was at an earlier commit, from its next start on.

        Raises:
            ImpossibleError: That commit can't be had here.
        """
        folder = self.folder / commit
        folder.mkdir()
        self.master.sources = extract_sources(commit, folder)

    def run_present_version(self) -> None:
        """Have the master run the present package, from its next start on."""
        self.master.sources = None

    def move_master(self) -> None:
        """Let the master stand in another folder."""
        self.master.move(self.folder / "moved")
        self.outbox = self.master.folder / OUTBOX

    def restart_board(self) -> None:
        """Kill the board, and start it a little later."""
        self.board.kill()
        self.play(0, 1)
        self.board.start()

    def end_receiver(self) -> None:
        """End the receiver's process: connections are refused from now on."""
        self.receiver.kill()
        self.circumstances = evolve(
            self.circumstances, ends=[*self.circumstances.ends, time.time()]
        )

    def toggle_receiver(self) -> None:
        """End the receiver's process, or start it."""
        if self.receiver.is_running:
            self.end_receiver()
        else:
            self.receiver.start()

    def move_outbox_to_small_disk(self) -> Disk:
        """Have the outbox on a disk that can be filled."""
        folder = self.folder / "disk"
        folder.mkdir()
        self._disk = Disk(folder)
        self.outbox = folder / OUTBOX
        self.options["outbox"] = f"sqlite:///{self.outbox}"
        return self._disk

    def note_lost_outbox(self) -> None:
        """Note that what the outbox held is gone."""
        self.circumstances = evolve(
            self.circumstances, losses=[*self.circumstances.losses, time.time()]
        )

    def note_outage(self) -> None:
        """Note that the outbox's database was away, and is back."""
        self.circumstances = evolve(
            self.circumstances, outages=[*self.circumstances.outages, time.time()]
        )

    def refuse_builders(self, *names: str, mode: str, **more: Any) -> None:
        """Have the receiver never take the statuses of some builders."""
        self.receiver.behave(mode, only=names, **more)
        self.circumstances = evolve(
            self.circumstances, refused_builders=names, never_answers=mode == "silent"
        )

    def expect_all_begins(self) -> None:
        """Take no begin for superfluous: the receiver refuses all statuses alike."""
        self.circumstances = evolve(self.circumstances, keeps_begins=True)

    def play(self, shortest: float, longest: float) -> None:
        """Let things happen for a while."""
        time.sleep(self.chance.uniform(shortest, longest))

    def wait_for_running_builds(self, count: int) -> None:
        """Wait until so many builds run at once."""
        wait_until(lambda: self._running_builds() >= count, "builds run", BUILDS_PATIENCE)

    def _running_builds(self) -> int:
        builds = evidence.read_builds(self._database)
        return sum(build.complete_at is None for build in builds)

    def wait_for_builds(self, patience: float = BUILDS_PATIENCE) -> None:
        """Wait until all builds that are asked for have ended."""
        wait_until(self._builds_ended, "all builds end", patience)

    def _builds_ended(self) -> bool:
        asked = (self.master.folder / DONE_FILE).exists()
        return asked and not evidence.requests_left(self._database, self._started_at)

    def wait_until_through(self, patience: float = THROUGH_MOST) -> None:
        """Wait until everything that should be accepted is, and note how long that took."""
        self._through.append(wait_until(self._all_is_through, "everything is accepted", patience))

    def wait_until_states_agree(self) -> None:
        """Wait until receiver and board have the master's requests, workers and builders."""
        try:
            wait_until(lambda: not self._unlike(), "all states agree", THROUGH_MOST)
        except TooLateError as trouble:
            raise TooLateError(f"{trouble}: {self._unlike()[:9]}") from trouble

    def _unlike(self) -> list[str]:
        states = self.read_states()
        reported = evidence.read_reported(self.receiver.record)
        shown = evidence.read_shown_states(self.board.database)
        return [*unlike(states, reported, "reported"), *unlike(states, shown, "shown")]

    def read_states(self) -> States:
        """Return the master's requests, workers and builders."""
        return evidence.read_states(self._database)

    def note_longest_wait(self, since: float = 0.0, most: float = WAIT_MOST) -> None:
        """Note how long a status waited at most until now, the time before a moment left out."""
        self._wait, self._wait_most = evidence.longest_wait(self.outbox, since), most

    def note_log_lines(self) -> None:
        """Note which lines about the receiver's trouble came within a minute of the last such."""
        notices = evidence.read_notices(self.master.log)
        self._chatter = [
            f"{words!r} after {later - earlier}"
            for words, moments in notices.items()
            for earlier, later in pairwise(moments)
            if later - earlier < timedelta(seconds=LINES_APART)
        ]

    def _all_is_through(self) -> bool:
        try:
            return not self.find().missing and self._nothing_open()
        except (sqlite3.Error, sa.exc.SQLAlchemyError):
            return False  # the outbox is not there yet, or broken

    def _nothing_open(self) -> bool:
        held = len(self.find().held)
        return evidence.read_accounts(self._rows).pending == held

    def find(self) -> Finding:
        """Ask the judge."""
        return judge(
            evidence.read_builds(self._database),
            evidence.read_record(self.receiver.record),
            evidence.read_rows(self._rows),
            self.circumstances,
        )

    def outcome(self) -> Outcome:
        """Return what came out."""
        finding = self.find()
        return Outcome(
            finding=finding,
            builds=len(evidence.read_builds(self._database)),
            accepted=self._accepted(),
            stops=self._stops,
            through=self._through,
            wait=self._wait,
            wait_most=self._wait_most,
            lag=self._lag,
            chatter=self._chatter,
            accounts=evidence.read_accounts(self._rows),
            complaints=self._complaints(),
            misshown=self._misshown(finding),
        )

    def _accepted(self) -> int:
        return len(evidence.read_record(self.receiver.record).acceptances)

    def _complaints(self) -> list[str]:
        return evidence.read_complaints(self.master.log)

    def _misshown(self, finding: Finding) -> list[str]:
        builds = evidence.read_builds(self._database)
        shown = evidence.read_board(self.board.database)
        return misshown(builds, shown, self.circumstances.refused_builders, finding.unbegun)

    def close(self) -> None:
        """End everything."""
        self.master.kill()
        self.receiver.close()
        self.board.kill()
        if self._disk is not None:
            self._disk.close()
