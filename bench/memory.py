"""How much memory waiting deliveries take while the receiver is down.

Prints the growth of the process, in bytes.
"""

from __future__ import annotations

import argparse
import gc
import socket
import tempfile
from pathlib import Path

from twisted.internet.defer import gatherResults

from bench.bodies import delivery
from bench.outboxes import make_pipeline
from bench.running import run, sleep

AT_ONCE = 200
WARM_UP = 2000
SETTLING = 3.0


def resident() -> int:
    """Return the bytes of memory that this process has."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status tells no VmRSS")


def closed_port() -> int:
    """Return a port of loopback where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def measure(count: int) -> dict[str, int]:
    """Let deliveries come in while the receiver is down.

    Args:
        count: How many.
    """
    with tempfile.TemporaryDirectory(prefix="http-status-push-bench-") as folder:
        url = f"http://127.0.0.1:{closed_port()}/"
        pipeline = make_pipeline(Path(folder) / "outbox.sqlite", url)
        pipeline.start()
        # The first ones bring in code and caches, which do not grow with what waits.
        for begin in range(0, WARM_UP + count, AT_ONCE):
            if begin == WARM_UP:
                before = await _settled()
            numbers = range(begin, begin + AT_ONCE)
            await gatherResults([pipeline.put(delivery(number)) for number in numbers])
        grown = await _settled() - before
        waiting = await pipeline.outbox.waiting()
        await pipeline.stop()
    return {"grown": grown, "waiting": waiting}


async def _settled() -> int:
    await sleep(SETTLING)
    gc.collect()
    return resident()


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int)
    run(measure(parser.parse_args().count))


if __name__ == "__main__":
    main()
