"""``python -m bench.sending``: what each way to send a frame to many browsers costs, in turn.

All ways have the same browsers, so that ratios hold on a machine that does other things too.
"""

from __future__ import annotations

import argparse
from statistics import median

from bench.browsers import raise_limit
from bench.crowds import ROUNDS, Told, crowded, floor

WAYS = ("by_autobahn", "by_transport", "at_once", "in_slices", "by_socket")
SIZE = 2_047
"""Bytes of a frame: as many as the board's of one change has."""
ROW = "| {way} | {late:,.0f} ms | {late_ratio:.2f} | {processor:.0f} µs | {processor_ratio:.2f} |"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sending", description=__doc__)
    parser.add_argument("--browsers", type=int, default=1_000, help="how many there are")
    parser.add_argument("--frames", type=int, default=8, help="how many each way has a round")
    given = parser.parse_args()
    raise_limit(given.browsers)
    found: dict[str, list[Told]] = {way: [] for way in WAYS}
    with (
        floor() as alone,
        crowded(alone.process, alone.port, given.browsers, "floor", 0) as (
            crowd,
            memory,
        ),
    ):
        for _ in range(ROUNDS):
            for way in WAYS:
                found[way].append(alone.tell(crowd, given.frames, SIZE, memory, way))
    print("| way | 99th percentile | ratio | processor time a frame and browser | ratio |")
    print("| --- | --- | --- | --- | --- |")
    first = found[WAYS[0]]
    for way, rounds in found.items():
        pairs = list(zip(rounds, first, strict=True))
        print(
            ROW.format(
                way=way,
                late=median(each.late for each in rounds),
                late_ratio=median(each.late / other.late for each, other in pairs),
                processor=median(each.processor for each in rounds),
                processor_ratio=median(each.processor / other.processor for each, other in pairs),
            )
        )


if __name__ == "__main__":
    main()
