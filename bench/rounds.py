"""Takes the measurements, the variants in turn within each round, and makes figures of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from attrs import frozen

from bench.children import Again, Receiver, run
from buildbot_http_status_push.commands.terminal import Advance

VARIANTS = ("none", "built-in", "this one")
LOADS = ("made", "plain")
"""How builds come about: through the data API with what real ones have, or as plain as can be."""
MIB = 1024 * 1024

Say: TypeAlias = Callable[[str], object]
Costs: TypeAlias = "dict[str, dict[str, Any]]"


@frozen
class Size:
    """How much is measured.

    Args:
        rounds: How often each measurement is taken; medians count.
        turns: How often each master has its turn, while the others are idle.
        builds: How many builds a master has in a turn; each has two statuses.
        interval: Seconds from one status to the next one, so that the built-in keeps up.
        backlog: How many deliveries are drained.
        waiting: How many deliveries wait for a receiver that is down.
        large: How many reports of 2 MiB are sent.
        past: How many builds the database of a master has that starts, and a fifth of that its
            outbox.
        requests: How many build requests are made at once.
    """

    rounds: int
    turns: int
    builds: int
    interval: float
    backlog: int
    waiting: int
    large: int
    past: int
    requests: int


FULL = Size(
    rounds=5,
    turns=12,
    builds=5,
    interval=0.1,
    backlog=10_000,
    waiting=100_000,
    large=20,
    past=1_000_000,
    requests=1_000,
)
QUICK = Size(
    rounds=1,
    turns=2,
    builds=2,
    interval=0.05,
    backlog=100,
    waiting=200,
    large=2,
    past=1_000,
    requests=50,
)


@frozen
class Cost:
    """What a status costs with one reporter, beyond a master that has none.

    Args:
        processor: Milliseconds of processor time.
        data_calls: Data API calls, those that such a call makes in turn included.
        database_calls: Calls of the master's database.
        transactions: Transactions of the outbox.
        latency: Milliseconds from the event to the receiver's acceptance, the median.
    """

    processor: float
    data_calls: float
    database_calls: float
    transactions: float
    latency: float


@frozen
class RequestCost:
    """What a build request costs of many at once, beyond a master without a reporter.

    Args:
        processor: Milliseconds of processor time, until it is delivered and recorded.
        deliveries: How many deliveries came of it.
        transactions: Transactions of the outbox.
    """

    processor: float
    deliveries: float
    transactions: float


@frozen
class Round:
    """The figures of one round.

    Args:
        built_in: What a status costs with the built-in reporter.
        this_one: What it costs with this one.
        plain_built_in: What one of a plain build costs with the built-in reporter.
        plain_this_one: What it costs with this one.
        treq_rate: Plain treq POSTs a second.
        outbox_rate: Deliveries a second, out of the outbox.
        treq_processor: Milliseconds of processor time of a plain treq POST.
        outbox_processor: Milliseconds of processor time of a delivery out of the outbox.
        idle_lag: The idle reactor's lag in milliseconds, the 99th percentile.
        busy_lag: The same while draining.
        longest_lag: The longest of them.
        treq_lag: The 99th percentile while plain treq POSTs are made.
        large_stretch: Milliseconds that the reactor stands still at most for a report of 2 MiB,
            the median of some reports.
        longest_large_stretch: The longest of them.
    """

    built_in: Cost
    this_one: Cost
    plain_built_in: Cost
    plain_this_one: Cost
    treq_rate: float
    outbox_rate: float
    treq_processor: float
    outbox_processor: float
    idle_lag: float
    busy_lag: float
    longest_lag: float
    treq_lag: float
    large_stretch: float
    longest_large_stretch: float


@frozen
class Measured:
    """What was measured.

    Args:
        rounds: The rounds.
        memory: The MiB that waiting deliveries take.
        starts: Seconds from a master's start until its reporter's first catch-up is done: at the
            very first start, and at the next one.
        interpreter: Milliseconds that the start-up file costs each start of Python.
        burst: Milliseconds from a begin's event to its committed row, where 16 builds begin at
            once: the median and the 99th percentile.
        requests: What a build request costs of many at once, beyond a master without a reporter.
    """

    rounds: list[Round]
    memory: float
    starts: list[float]
    interpreter: float
    burst: tuple[float, float]
    requests: list[RequestCost]


def take(size: Size, receiver: Receiver, say: Say, advance: Advance) -> Measured:
    """Take all rounds, and then the memory.

    Args:
        size: How much is measured.
        receiver: Where statuses go.
        say: Told what is being done.
        advance: Shows how much is done.

    Returns:
        All that was measured.
    """
    with TemporaryDirectory(prefix="http-status-push-bench-") as folder:
        template = Path(folder) / "template"
        buildbot = Path(sys.executable).with_name("buildbot")
        command = [str(buildbot), "create-master", "--quiet", str(template)]
        subprocess.run(command, check=True)  # noqa: S603 - Buildbot's own command
        rounds = []
        for number in range(size.rounds):
            say(f"round {number + 1} of {size.rounds}")
            costs = {load: _costs(size, receiver, template, load) for load in LOADS}
            rounds.append(_round(costs, size, receiver))
            say(f"  {rounds[-1]}")
            advance(number + 1, size.rounds)
        say("start")
        starts = _starts(template, size.past)
        say("burst")
        burst = _burst(template, receiver, size.turns)
        say("requests")
        requests = _requests(template, receiver, size)
    say("memory")
    memory = float(run("memory", size.waiting)["grown"]) / MIB
    interpreter = float(run("interpreter")["milliseconds"])
    return Measured(rounds, memory, starts, interpreter, burst, requests)


def _burst(template: Path, receiver: Receiver, bursts: int) -> tuple[float, float]:
    """Return how many milliseconds a begin needs into the outbox: median, 99th percentile."""
    folder = template.with_name("burst")
    shutil.copytree(template, folder)
    told = run("burst", folder, receiver.keeping, bursts)
    receiver.taken()
    return 1000 * told["median"], 1000 * told["late"]


def _requests(template: Path, receiver: Receiver, size: Size) -> list[RequestCost]:
    """Let a master without a reporter and one with it take turns."""
    found = []
    with ExitStack() as stack:
        masters = []
        for name, more in (("asked-none", ()), ("asked", ("--url", receiver.counting))):
            folder = template.with_name(name)
            shutil.copytree(template, folder)
            masters.append(stack.enter_context(Again("requests", folder, size.requests, *more)))
        for turn in range(1 + size.rounds):
            none, some = (master.measure() for master in masters)
            if turn:  # the first one brings in code and caches
                found.append(
                    RequestCost(
                        1000 * (some["processor"] - none["processor"]) / size.requests,
                        some["deliveries"] / size.requests,
                        some["transactions"] / size.requests,
                    )
                )
    return found


def _starts(template: Path, builds: int) -> list[float]:
    """Return how long the very first start and the next one take, in seconds."""
    folder = template.with_name("past")
    shutil.copytree(template, folder)
    first = run("start", folder, "--builds", builds, "--rows", builds // 5)
    return [float(told["seconds"]) for told in (first, run("start", folder))]


def _costs(size: Size, receiver: Receiver, template: Path, load: str) -> Costs:
    """Let masters of all kinds take turns, so that a machine's moods meet them alike."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    with ExitStack() as stack:
        masters = {name: _master(name, size, receiver, template, load, stack) for name in VARIANTS}
        for turn in range(1 + size.turns):
            for name, master in masters.items():
                told = master.measure()
                told["latencies"] = _latencies(name, told.pop("events"), receiver.taken())
                if turn:  # the first one brings in code and caches
                    found[name].append(told)
    return {name: _sum(each) for name, each in found.items()}


def _master(
    variant: str, size: Size, receiver: Receiver, template: Path, load: str, stack: ExitStack
) -> Again:
    basedir = template.with_name(variant)
    shutil.copytree(template, basedir)
    stack.callback(shutil.rmtree, basedir)
    how = (load, size.builds, size.interval)
    started = Again("master", variant, basedir, receiver.keeping, *how)
    return stack.enter_context(started)


def _sum(told: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: sum((each[name] for each in told[1:]), told[0][name]) for name in told[0]}


def _latencies(
    variant: str, events: list[tuple[int, bool, float]], accepted: dict[tuple[int, bool], float]
) -> list[float]:
    if variant == "none":
        return []
    missing = [
        (build, complete) for build, complete, _ in events if (build, complete) not in accepted
    ]
    if missing:
        raise RuntimeError(f"with {variant}, {len(missing)} statuses did not come: {missing[:5]}")
    return [accepted[build, complete] - at for build, complete, at in events]


def _round(costs: dict[str, Costs], size: Size, receiver: Receiver) -> Round:
    none, built_in, this_one = (costs["made"][name] for name in VARIANTS)
    plain_none, plain_built_in, plain_this_one = (costs["plain"][name] for name in VARIANTS)
    statuses = 2 * size.builds * size.turns
    treq = run("drain", "treq", receiver.counting, size.backlog)
    outbox = run("drain", "outbox", receiver.counting, size.backlog)
    treq_lag = run("drain", "treq", receiver.counting, size.backlog, "--lag")
    lag = run("drain", "outbox", receiver.counting, size.backlog, "--lag")
    large = run("large", receiver.counting, size.large)
    return Round(
        built_in=_beyond(none, built_in, statuses),
        this_one=_beyond(none, this_one, statuses),
        plain_built_in=_beyond(plain_none, plain_built_in, statuses),
        plain_this_one=_beyond(plain_none, plain_this_one, statuses),
        treq_rate=size.backlog / treq["seconds"],
        outbox_rate=size.backlog / outbox["seconds"],
        treq_processor=1000 * treq["processor"] / size.backlog,
        outbox_processor=1000 * outbox["processor"] / size.backlog,
        idle_lag=1000 * lag["idle"],
        busy_lag=1000 * lag["busy"],
        longest_lag=1000 * lag["longest"],
        treq_lag=1000 * treq_lag["busy"],
        large_stretch=1000 * large["median"],
        longest_large_stretch=1000 * large["longest"],
    )


def _beyond(none: dict[str, Any], some: dict[str, Any], statuses: int) -> Cost:
    def each(name: str) -> float:
        return float(some[name] - none[name]) / statuses

    return Cost(
        processor=1000 * each("processor"),
        data_calls=each("data API calls"),
        database_calls=each("database calls"),
        transactions=each("outbox transactions"),
        latency=1000 * median(some["latencies"]),
    )
