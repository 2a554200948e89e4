"""What the rounds come to: each bar with its figure, as a table and as a plot."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from attrs import frozen

from bench.rounds import Measured, Round, Size


@frozen
class Figure:
    """One bar and what was measured.

    Args:
        what: What is measured.
        bar: The bar.
        at_least: Whether the bar is the least that will do, not the most.
        rounds: The value of each round.
        unit: What the values are counted in, empty for a ratio.
        detail: The absolute values behind it, in words.
    """

    what: str
    bar: float
    rounds: tuple[float, ...]
    detail: str
    unit: str = ""
    at_least: bool = False

    @property
    def value(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)

    @property
    def is_met(self) -> bool:
        """Whether the bar is met."""
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def figures(measured: Measured, size: Size) -> list[Figure]:
    """Return the figure of each bar.

    Args:
        measured: What was measured.
        size: How much was measured.
    """
    rounds = measured.rounds

    def of(value: Callable[[Round], float]) -> tuple[float, ...]:
        return tuple(map(value, rounds))

    def mid(value: Callable[[Round], float], digits: int = 1) -> str:
        return f"{median(of(value)):,.{digits}f}"

    return [
        Figure(
            "processor time per status, against the built-in",
            1 / 4,
            of(lambda each: each.this_one.processor / each.built_in.processor),
            f"{mid(lambda each: each.this_one.processor)} ms against "
            f"{mid(lambda each: each.built_in.processor)} ms",
        ),
        Figure(
            "the same for plain builds",
            1 / 4,
            of(lambda each: each.plain_this_one.processor / each.plain_built_in.processor),
            f"one step, no changes: {mid(lambda each: each.plain_this_one.processor)} ms against "
            f"{mid(lambda each: each.plain_built_in.processor)} ms",
        ),
        Figure(
            "data API calls per status",
            3,
            of(lambda each: each.this_one.data_calls),
            f"the built-in makes {mid(lambda each: each.built_in.data_calls)}; database calls: "
            f"{mid(lambda each: each.this_one.database_calls)} against "
            f"{mid(lambda each: each.built_in.database_calls)}, and "
            f"{mid(lambda each: each.this_one.transactions)} transactions of the outbox",
        ),
        Figure(
            "draining the backlog, against plain treq",
            0.75,
            of(lambda each: each.outbox_rate / each.treq_rate),
            f"{mid(lambda each: each.outbox_rate, 0)} against "
            f"{mid(lambda each: each.treq_rate, 0)} a second; processor time: "
            f"{mid(lambda each: each.outbox_processor, 2)} against "
            f"{mid(lambda each: each.treq_processor, 2)} ms each",
            at_least=True,
        ),
        Figure(
            "latency from event to acceptance, against the built-in",
            1,
            of(lambda each: each.this_one.latency / each.built_in.latency),
            f"{mid(lambda each: each.this_one.latency)} ms against "
            f"{mid(lambda each: each.built_in.latency)} ms",
        ),
        Figure(
            "reactor lag added while draining, 99th percentile",
            10,
            of(lambda each: each.busy_lag - each.idle_lag),
            f"{mid(lambda each: each.busy_lag)} ms, idle {mid(lambda each: each.idle_lag)} ms, "
            f"with plain treq {mid(lambda each: each.treq_lag)} ms; the longest was "
            f"{mid(lambda each: each.longest_lag, 0)} ms",
            unit="ms",
        ),
        Figure(
            "longest stretch of the reactor for a report of 2 MiB",
            10,
            of(lambda each: each.large_stretch),
            "half log, half properties; the median of some reports, the worst of them "
            f"{mid(lambda each: each.longest_large_stretch)} ms",
            unit="ms",
        ),
        Figure(
            f"memory for {size.waiting:,} waiting deliveries",
            20,
            (measured.memory,),
            "growth of the process, receiver down",
            unit="MiB",
        ),
        Figure(
            f"a start with {size.past:,} builds in the master's database",
            1,
            tuple(measured.starts),
            f"until the first catch-up is done, with {size.past // 5:,} old rows in the outbox; "
            "the very first start, and the next one",
            unit="s",
        ),
        Figure(
            "from an event to its committed row, 16 builds at once",
            100,
            (measured.burst[0],),
            f"the median; the 99th percentile is {measured.burst[1]:.0f} ms. What a kill finds in "
            "between is found again by catch-up, as an end",
            unit="ms",
        ),
        Figure(
            f"processor time of a request, {size.requests:,} at once",
            2,
            tuple(each.processor for each in measured.requests),
            "until it is delivered, beyond a master without a reporter; "
            f"{median(each.deliveries for each in measured.requests):.2f} deliveries and "
            f"{median(each.transactions for each in measured.requests):.2f} transactions of the "
            "outbox each",
            unit="ms",
        ),
        Figure(
            "a start of Python with the start-up file",
            0.3,
            (measured.interpreter,),
            "what `-X importtime` shows beyond a start without it, the median of 50 pairs",
            unit="ms",
        ),
    ]


def table(found: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| what | bar | measured | rounds | behind it |", "| --- | --- | --- | --- | --- |"]
    for each in found:
        bound = "at least" if each.at_least else "at most"
        measured = f"{_shown(each.value, each.unit)} {'✓' if each.is_met else '✗'}"
        spread = f"{_shown(min(each.rounds))} to {_shown(max(each.rounds))}"
        rows.append(
            f"| {each.what} | {bound} {_shown(each.bar, each.unit)} | {measured} | {spread} "
            f"| {each.detail} |"
        )
    return "\n".join(rows) + "\n"


def _shown(value: float, unit: str = "") -> str:
    return f"{value:.2f} {unit}".rstrip()
