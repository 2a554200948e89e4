"""``python -m fairness``: play all cases and print the figures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
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


def _row(what: tuple[object, ...], seeds: list[tuple[Measured, ...]]) -> list[Measured]:
    """Print the worst figures of all seeds, and return them."""
    worst = [max(column, key=lambda each: each.figure) for column in zip(*seeds, strict=True)]
    print("|", " | ".join(map(str, (*what, *worst))), "|", flush=True)
    return worst


def _heading(*names: str) -> None:
    print("\n|", " | ".join(names), "|\n|", " | ".join("---" for _ in names), "|")


def _played(
    pool: ProcessPoolExecutor, play: Callable[..., Any], *case: object, **more: int
) -> list[tuple[Measured, ...]]:
    return [each.result() for each in [pool.submit(play, *case, seed, **more) for seed in SEEDS]]


def main() -> int:
    """Play, and return the exit status: 1 if a bar is missed."""
    found: list[Measured] = []
    with ProcessPoolExecutor() as pool:
        _heading("answer", "refused of 10", "builds/s", "others wait, s", "failing attempts/s")
        for case in REFUSED:
            found += _row(case, _played(pool, refused, *case))
        names = ("accepted after, s", "attempts/s in the first minute", "later")
        for more in MASTERS:
            master = ", ".join(f"{name} {value}" for name, value in more.items()) or "10 builders"
            _heading("outage", "lasts, s", "builds/s", "master", *names)
            for case in OUTAGES:
                # One that makes one attempt at a time has to wait for the end of a silent one.
                is_stuck = "concurrency" in more and case[0] == "no answer"
                if not more or (case[2] == 0.2 and not is_stuck):
                    found += _row((*case, master), _played(pool, down, *case, **more))
    missed = sum(not each.is_met for each in found)
    print(f"\n{len(found)} figures, each the worst of {len(SEEDS)} seeds; {missed} miss their bar")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
