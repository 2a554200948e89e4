"""What incidents cost an arriving status: with none open, with one, and with one on many builders.

Prints the processor time that storing a status takes and that making incidents of it takes; fails
where open incidents add more than a tenth of the first to the second. ``--month`` also replays a
made month of builds by the rules alone; it fails where that takes more than 10 seconds.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import process_time

from sqlalchemy.engine import Connection

from bench.failures import NOW, body
from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.failures.lines import FailedLine, reason_of
from buildbot_http_status_push.board.incidents.engine import Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.incidents.incident import IncidentReason
from buildbot_http_status_push.board.model import Build, Changes, Source
from buildbot_http_status_push.board.store.following import Following
from buildbot_http_status_push.board.store.schema import open_database
from buildbot_http_status_push.board.store.writing import Arrival, Writing
from buildbot_http_status_push.database import file_url
from buildbot_http_status_push.results import EXCEPTION, FAILURE, SUCCESS

BUILDERS = 200
AT_ONCE = 50
"""How many statuses are stored in one transaction."""
MOST = 0.1
"""The most that open incidents may add, as a share of storing."""
DAYS, A_DAY = 30, 24
"""Over how many days each builder builds how often."""
LONGEST = 10.0
"""Seconds that the month may take."""


class Bench:
    """A board's database that statuses come into."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(file_url(folder / "board.sqlite"))
        self.following = Following()
        self.number = 0
        self.follow()

    def follow(self) -> None:
        """Make incidents of what has come."""
        while True:
            operation = partial(self.following.follow, now=float(NOW))
            (followed,) = self.database.transact([operation])
            self.following.confirm(followed)
            if followed.is_at_end:
                return

    def arrivals(self, red: int) -> list[Arrival]:
        """Return the statuses of some builds; those of the first builders are bad."""
        found = []
        for _ in range(AT_ONCE):
            self.number += 1
            builder = self.number % BUILDERS
            is_bad = builder < red
            results, lines = (FAILURE, ["FAIL: parser"]) if is_bad else (SUCCESS, [])
            status = read(body(self.number, builder, results, lines))
            assert status is not None  # noqa: S101  it is a build's
            found.append(Arrival(status, NOW))
        return found

    def measure(self, red: int, rounds: int) -> tuple[float, float]:
        """Return the microseconds that storing a status takes, and making incidents of it."""
        storing = following = 0.0
        for _ in range(rounds):
            arrivals = self.arrivals(red)
            begin = process_time()
            self.database.transact(
                [lambda connection, some=arrivals: Writing(connection, {}).write(some)]
            )
            stored = process_time()
            self.follow()
            storing += stored - begin
            following += process_time() - stored
        count = rounds * AT_ONCE / 1e6
        return storing / count, following / count


def write(connection: Connection, arrivals: list[Arrival]) -> None:
    """Store statuses as the board does."""
    Writing(connection, {}).write(arrivals)


def month(seed: int) -> Iterator[EndedBuild]:
    """Yield a month of builds: commits that break some builders for hours, flaky ones between."""
    draw = random.Random(seed)  # noqa: S311  the same each time, and no secret
    broken: dict[int, tuple[int, str]] = {}
    change = number = 0
    good: dict[int, int] = {}
    for hour in range(DAYS * A_DAY):
        at = NOW + 3600 * hour
        change += draw.randint(1, 3)
        if draw.random() < 0.08:
            for builder in draw.sample(range(BUILDERS), draw.choice((1, 3, 30))):
                until = at + 3600 * draw.randint(1, 10)
                broken[builder] = (until, f"FAIL: test_{'abcdefghij'[change % 10]}_case")
        for builder in range(BUILDERS):
            number += 1
            until, line = broken.get(builder, (0, ""))
            chance = draw.random()
            if until <= at:
                line = "FAIL: socket_flaky" if chance < 0.01 else ""
            results = FAILURE if line else EXCEPTION if chance > 0.995 else SUCCESS
            ids = frozenset(range(good.get(builder, 0) + 1, change + 1))
            if results == SUCCESS:
                good[builder] = change
            yield _ended(number, builder, at + 10 * builder, results, change, ids, line)


def _ended(
    number: int, builder: int, at: int, results: int, change: int, ids: frozenset[int], line: str
) -> EndedBuild:
    build = Build(
        id=number, master=1, builder=builder, builder_name=f"builder {builder}", buildid=number,
        number=number, request=None, started_at=at, complete_at=at + 300, results=results,
        state_string="", submitted_at=None, worker=f"w{builder % 40}", branch="main",
        revision=str(change), project=None, owner=None, url=None, sequence=number,
        sources=(Source("", "main", str(change), None, change),),
        step="test" if results == FAILURE else None,
    )  # fmt: skip
    reasons = (IncidentReason(reason=reason_of(FailedLine("line", "test", line))),) if line else ()
    changes = Changes(ids=ids, count=len(ids))
    return EndedBuild(build=build, cluster="main", reasons=reasons, changes=changes)


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=24, help="transactions for each figure")
    parser.add_argument("--month", action="store_true", help="replay a made month too")
    arguments = parser.parse_args()
    has_failed, without = False, 0.0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        bench.measure(0, 8)
        for red in (0, 1, 40):
            bench.measure(red, 8)
            storing, following = bench.measure(red, arguments.rounds)
            without = without or following
            added = (following - without) / storing
            figures = f"storing {storing:5.0f} µs, incidents {following:4.0f} µs, {added:+.1%}"
            print(f"{red:3} red: {figures}")
            has_failed |= added > MOST
    if arguments.month:
        ended = [*month(7)]
        engine, begin, steps = Engine(), process_time(), 0
        for each in ended:
            steps += len(engine.end(each))
            engine.settled()
        seconds = process_time() - begin
        print(f"a month: {len(ended)} builds, {steps} steps, {seconds:.1f} s")
        has_failed |= seconds > LONGEST
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
