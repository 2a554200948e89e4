"""``python -m bench.browsers``: how many browsers one board holds, and what each costs.

The browsers are in other processes. The same bytes are sent to as many of them by autobahn alone,
in the same run: no board on autobahn can be cheaper.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.cold import LARGE, first_pages
from bench.crowds import (
    BUILDERS,
    ROUNDS,
    SENDERS,
    Board,
    Told,
    frame_size,
    intake,
    page_view,
    restart,
    watch_both,
)
from bench.deaf import DEAF, Deafness, deafness
from bench.figures import Figure, table
from bench.plot import svg

FILES_BESIDE = 200
"""Files that a board has open beside its browsers."""
LOAD = f"{LARGE.builds:,} builds, {LARGE.waiting:,} waiting requests"

PAGE = """# Benchmark of the board

Written by `tox -e bench-board`, in one run.

{where}; load at the start {load:.1f}, at the end {end_load:.1f}.

{table}
![Each figure as a share of its bar](bench-board.svg)

How it is measured:

- One board with a SQLite file and {builders} builders. The browsers are connections of the client \
library `websockets`, in other processes of the same machine, whose own work is in each latency. \
Each checks that it receives every change once: else there are no figures.
- Latency is from the answer to a POST to a frame that was received and parsed, over {changes} \
changes, two a second.
- Autobahn alone is a server that sends frames of the same size ({size:,} bytes) to as \
many browsers. The board and autobahn have {rounds} turns each, one after the other, and so have \
the board without and with browsers that read nothing; a ratio is taken within one round.
- Statuses are posted by {senders} threads of one process, each on a connection that it keeps, \
as the reporter does.
- In the restart the board is killed and started again on the same port; browsers come back where \
they were, within a second of each loss.
"""


def raise_limit(count: int) -> None:
    """Let processes have a connection for each browser.

    Raises:
        SystemExit: The machine does not allow that.
    """
    wanted = count + FILES_BESIDE
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < wanted:
        raise SystemExit(
            f"{count} browsers need {wanted} open files, and this machine allows {most}: raise "
            "it with `ulimit -n`, or give fewer with --browsers"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    """Measure, and write the table and the plot into the docs."""
    parser = argparse.ArgumentParser(prog="python -m bench.browsers", description=__doc__)
    parser.add_argument("--browsers", type=int, default=10_000, help="how many at most")
    parser.add_argument("--changes", type=int, default=40, help="how many changes are told")
    parser.add_argument("--into", type=Path, default=Path("docs/project"), help="output directory")
    given = parser.parse_args()
    raise_limit(given.browsers)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        size, found = measure(folder, given.browsers, given.changes)
    where = (
        f"{os.cpu_count()} processors, Python {platform.python_version()}, "
        f"Twisted {version('twisted')}, autobahn {version('autobahn')}"
    )
    shown = PAGE.format(
        where=where,
        load=load,
        end_load=os.getloadavg()[0],
        table=table(found),
        builders=BUILDERS,
        changes=given.changes,
        rounds=ROUNDS,
        size=size,
        senders=SENDERS,
    )
    (given.into / "bench-board.md").write_text(shown, "utf-8")
    (given.into / "bench-board.svg").write_text(svg(found), "utf-8")
    print(table(found))


def measure(folder: str, browsers: int, changes: int) -> tuple[int, list[Figure]]:
    """Return the size of a frame, and the figures."""
    cold = [
        Figure(f"processor time of the first {name}, {LOAD}", 100, took, "", "ms")
        for name, took in (("overview", first_pages("/", 5)), ("grid", first_pages("/grid", 5)))
    ]
    board, few = Board(folder), browsers // 10
    try:
        for number in range(BUILDERS):
            board.post(number)
        size = frame_size(board)
        found = [
            *_figures(few, watch_both(board, few, changes, size)),
            *_figures(browsers, watch_both(board, browsers, changes, size)),
            *_deafness(few, deafness(board, few, 3 * changes)),
            _one("processor time of a page view", 5, page_view(board, 200), "ms"),
            _one(
                f"statuses a second with {few:,} browsers",
                300,
                intake(board, few, 2_000),
                "",
                at_least=True,
            ),
        ]
        board, took = restart(folder, board, browsers)
        name = f"board restarted with {browsers:,} browsers: all live again"
        return size, [*found, *cold, _one(name, 30, took, "s")]
    finally:
        board.end()


def _figures(count: int, rounds: list[tuple[Told, Told]]) -> list[Figure]:
    def of(value: Callable[[Told], float]) -> str:
        ours, floor = (median(map(value, each)) for each in zip(*rounds, strict=True))
        return f"{ours:,.0f} against {floor:,.0f}"

    def ratios(value: Callable[[Told], float]) -> tuple[float, ...]:
        return tuple(value(ours) / value(floor) for ours, floor in rounds)

    ours, floor = rounds[0]
    return [
        Figure(
            f"acceptance to frame, {count:,} browsers, 99th percentile, against autobahn alone",
            1.0,
            ratios(lambda told: told.late),
            f"{of(lambda told: told.late)} ms; the median is {of(lambda told: told.median)} ms",
        ),
        Figure(
            f"processor time a frame and browser, {count:,} browsers, against autobahn alone",
            1.0,
            ratios(lambda told: told.processor),
            f"{of(lambda told: told.processor)} µs",
        ),
        _one(
            f"memory a browser, {count:,} browsers",
            40,
            ours.memory,
            "KiB",
            f"autobahn alone: {floor.memory:.1f} KiB",
        ),
    ]


def _deafness(count: int, found: Deafness) -> list[Figure]:
    without, among = (
        median(told.late for told in each) for each in zip(*found.rounds, strict=True)
    )
    what = f"{DEAF} browsers that read nothing, among {count:,}"
    return [
        Figure(f"{what}: growth of memory", 20, found.growth, "", "MiB"),
        Figure(
            f"{what}: the others' 99th percentile, against the same without them",
            1.2,
            tuple(with_them.late / alone.late for alone, with_them in found.rounds),
            f"{among:,.0f} ms with them, {without:,.0f} ms without",
        ),
    ]


def _one(
    what: str, bar: float, value: float, unit: str, detail: str = "", *, at_least: bool = False
) -> Figure:
    return Figure(what, bar, (value,), detail, unit, at_least)


if __name__ == "__main__":
    main()
