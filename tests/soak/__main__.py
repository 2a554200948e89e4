"""``python -m soak``: let it happen, and write what came of it into the docs."""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from chaos.stage import create_master

from soak.scene import BROWSERS, MOST, SETTLED, SoakScene, Worn

SEED = "HTTP_STATUS_PUSH_SOAK_SEED"
PAGE = """# Results of the soak

Written by `tox -e soak`: {minutes:g} minutes, seed {seed}, {where}.

A real master, a receiver that has its moods and passes on what it takes, two boards on one \
PostgreSQL behind nginx, and {browsers} browsers that come and go. Each browser checks that it \
receives every change once. At the end, what the receiver wrote down and what the boards show is \
held against the master's database.

| process | memory after {settled:g} minutes | at the end | ratio, at most {most:.2f} |
| --- | --- | --- | --- |
{rows}

| what | how often |
| --- | --- |
{counts}
"""


def page(worn: Worn, seed: int, minutes: float) -> str:
    """Return the page of the docs."""
    rows = [
        f"| {name} | {before:.0f} MiB | {worn.final[name]:.0f} MiB "
        f"| {worn.final[name] / before:.2f} |"
        for name, before in worn.settled.items()
    ]
    finding = worn.outcome.finding
    counts = {
        "builds": worn.outcome.builds,
        "statuses accepted": worn.outcome.accepted,
        **worn.happened,
        "statuses lost": len(finding.missing),
        "begins that their end superseded": len(finding.superseded),
        "statuses out of order": len(finding.late),
        "builds whose final state is wrong": len(finding.wrong),
        "builds that a board shows wrong, and holes or repeats that a browser saw": len(
            worn.outcome.misshown
        ),
        "tracebacks in the master's log that pass through this package": len(
            worn.outcome.complaints
        ),
    }
    where = (
        f"{os.cpu_count()} processors, Python {platform.python_version()}, "
        f"Buildbot {version('buildbot')}, Twisted {version('twisted')}"
    )
    return PAGE.format(
        minutes=minutes,
        seed=seed,
        where=where,
        browsers=BROWSERS,
        settled=min(SETTLED, minutes / 2),
        most=MOST,
        rows="\n".join(rows),
        counts="\n".join(f"| {what} | {count:,} |" for what, count in counts.items()),
    )


def run(folder: Path, seed: int, minutes: float) -> Worn:
    """Let it happen in a folder."""
    create_master(folder / "template")
    scene = SoakScene(folder / "template", folder, str(seed), minutes)
    try:
        scene.open()
        scene.last()
        return scene.worn()
    finally:
        scene.close()


def main() -> int:
    """Run, and return the exit status: 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(prog="soak", description=f"The seed is taken from {SEED}.")
    parser.add_argument("--minutes", type=float, default=60, help="how long it lasts")
    parser.add_argument("--table", type=Path, help="the file that the table is written to")
    arguments = parser.parse_args()
    # A signal that ends this process must end those that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
    print(f"{SEED}={seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="http-status-push-soak-"))
    worn = run(folder, seed, arguments.minutes)
    told = page(worn, seed, arguments.minutes)
    print(told)
    if arguments.table:
        arguments.table.write_text(told)
    if worn.faults:
        print(*worn.faults, f"the files are in {folder}", sep="\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
