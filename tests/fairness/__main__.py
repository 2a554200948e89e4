"""``python -m fairness``: play all cases and print the figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from fairness.bars import Measured, down, refused
from fairness.simulation import MODES

SEEDS = range(1, 7)
RATES = (0.02, 0.2, 2.0)
REFUSED = [(mode, builders, rate) for mode in MODES for builders in (1, 5) for rate in RATES]
OUTAGES = [
    (mode, lasts, rate)
    for mode in ("503", "reset", "no answer", "429, Retry-After 60")
    for lasts, rates in ((60.0, RATES), (300.0, RATES), (600.0, RATES), (3600.0, (0.02, 0.2)))
    for rate in rates
]
MASTERS: tuple[dict[str, int], ...] = ({}, {"builders": 1}, {"concurrency": 1})
"""The usual one, one with a single builder, one that makes a single attempt at a time."""
PAGE = """# Results of the fairness simulation

Written by `tox -e fairness`: the reporter's outbox and relay on a virtual clock, with {seeds} \
seeds. Each figure is the worst of them.

- **others wait**: the longest wait, in 600 s, of a status that the receiver accepts when it is \
sent, while the receiver rejects those of 1 or 5 of 10 builders: at most 6 s; without an answer in \
30 s at most 25 s, and 40 s at 2 builds a second;
- **failing attempts/s**: their mean, at most 0.5;
- **accepted after**: from the receiver's return, after an outage for all builders, to the first \
acceptance: at most 10 s, after more than 600 s at most 30 s; with Retry-After that time and 10 s. \
Below 0 an attempt under way at the return was answered;
- **attempts/s**: at most 1 in the first minute of an outage, 0.33 later.

{tables}
"""


class Output:
    """Prints lines, and keeps them for the page."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, *cells: object) -> None:
        """Print a row of a table."""
        self.lines.append(f"| {' | '.join(map(str, cells))} |")
        print(self.lines[-1], flush=True)

    def heading(self, *names: str) -> None:
        """Begin a table."""
        self.lines.append("")
        self.line(*names)
        self.line(*("---" for _ in names))


def _worst(seeds: list[tuple[Measured, ...]]) -> list[Measured]:
    return [max(column, key=lambda each: each.figure) for column in zip(*seeds, strict=True)]


def _played(
    pool: ProcessPoolExecutor, play: Callable[..., Any], *case: object, **more: int
) -> list[tuple[Measured, ...]]:
    return [each.result() for each in [pool.submit(play, *case, seed, **more) for seed in SEEDS]]


def main() -> int:
    """Play, and return the exit status: 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m fairness", description=__doc__)
    parser.add_argument("--table", type=Path, help="a Markdown file to write")
    given = parser.parse_args()
    output, found = Output(), list[Measured]()
    with ProcessPoolExecutor() as pool:
        output.heading(
            "answer", "rejected of 10", "builds/s", "others wait, s", "failing attempts/s"
        )
        for case in REFUSED:
            worst = _worst(_played(pool, refused, *case))
            output.line(*case, *worst)
            found += worst
        names = ("accepted after, s", "attempts/s in the first minute", "later")
        for more in MASTERS:
            master = ", ".join(f"{name} {value}" for name, value in more.items()) or "10 builders"
            output.heading("outage", "lasts, s", "builds/s", "master", *names)
            for case in OUTAGES:
                # One that makes one attempt at a time has to wait for the end of a silent one.
                is_stuck = "concurrency" in more and case[0] == "no answer"
                if not more or (case[2] == 0.2 and not is_stuck):
                    worst = _worst(_played(pool, down, *case, **more))
                    output.line(*case, master, *worst)
                    found += worst
    missed = sum(not each.is_met for each in found)
    output.lines += ["", f"{len(found)} figures; {missed} miss their bar."]
    print(output.lines[-1])
    if given.table:
        page = PAGE.format(seeds=len(SEEDS), tables="\n".join(output.lines).strip())
        given.table.write_text(page, "utf-8")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
