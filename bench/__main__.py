"""``python -m bench``: measures, and writes the table and the plot into the docs."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

from bench.children import receiver
from bench.figures import figures, table
from bench.plot import svg
from bench.rounds import FULL, QUICK, Size, take
from buildbot_http_status_push.commands.terminal import Output

PAGE = """# Benchmark of the reporter

Written by `tox -e bench`. {size.rounds} rounds, each of them with all variants in turn; figures \
and ratios are medians of the rounds, a ratio is taken within one round.

{where}; load at the start {load:.1f}, at the end {end_load:.1f}.

{table}
![Each figure as a share of its bar](bench.svg)

How it is measured:

- Three real masters with SQLite databases take {size.turns} turns of {size.builds} builds each, \
made through the data API without workers, a status every {interval:.0f} ms; each build has 15 \
properties and 3 changes. \
Processor time and calls are those beyond a master without a reporter. A call that a data API \
call makes in turn counts too.
- Plain builds are what a scheduler asks for: one `MasterShellCommand` step on one `LocalWorker`, \
no changes, as many as of the others.
- The receiver is another process on the same machine. Latency is its time of acceptance less \
the time at which the master's queue got the event.
- The backlog is {size.backlog:,} deliveries of 2.5 kB in lanes of their own, sent 10 at once: \
claimed from the outbox, posted, recorded; against treq POSTs of the same bytes from memory.
- The lag is that of a call which is due every millisecond; calls that were missed meanwhile are \
not counted.
- {size.large} reports of 2 MiB are encoded, kept, signed and posted one after the other; the \
stretch is the longest lag of such a call meanwhile.
- The requests are of 50 builders that the master does not build for; a master without a reporter \
and one with it take turns.
- The waiting deliveries come in while nothing listens on the receiver's port.
"""


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    parser.add_argument("--into", type=Path, default=Path("docs/project"), help="output directory")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    load = os.getloadavg()[0]
    output = Output()
    with receiver() as running, output.progress("rounds") as advance:
        measured = take(size, running, output.say, advance)
    found = figures(measured, size)
    (given.into / "bench.md").write_text(_page(size, load, table(found)), "utf-8")
    (given.into / "bench.svg").write_text(svg(found), "utf-8")
    print(table(found))


def _page(size: Size, load: float, shown: str) -> str:
    where = (
        f"{os.cpu_count()} processors, Python {platform.python_version()}, "
        f"Buildbot {version('buildbot')}, Twisted {version('twisted')}, treq {version('treq')}, "
        f"SQLAlchemy {version('sqlalchemy')}"
    )
    return PAGE.format(
        size=size,
        where=where,
        load=load,
        end_load=os.getloadavg()[0],
        table=shown,
        interval=1000 * size.interval,
    )


if __name__ == "__main__":
    main()
