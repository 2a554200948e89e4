"""What is measured of a simulation, and how much of it is allowed. Pure, but for the simulation."""

from __future__ import annotations

from attrs import frozen

from fairness.simulation import OUTAGE_BEGINS, outage, some_refused

FAILING_MOST = 0.5
"""Attempts a second that are not accepted, in the mean."""
LONG = 600.0
"""Seconds after which an outage is a long one."""


@frozen
class Measured:
    """A figure, and its bar.

    Args:
        figure: What came out.
        most: How much is allowed.
    """

    figure: float
    most: float

    @property
    def is_met(self) -> bool:
        """Whether no more came out than is allowed."""
        return self.figure <= self.most

    def __str__(self) -> str:
        """Write the figure, and where it is too much what is allowed."""
        text = f"{self.figure:.2f}" if self.most < 1 else f"{self.figure:.1f}"
        return text if self.is_met else f"**{text}** (not {self.most:g})"


def longest_wait_allowed(mode: str, rate: float) -> float:
    """Return how many seconds others may wait, while some builders are refused.

    Args:
        mode: One of ``MODES``.
        rate: Builds a second.
    """
    if mode != "no answer":
        return 6.0
    return 25.0 if rate <= 0.2 else 40.0


def refused(
    mode: str, builders: int, rate: float, seed: int, **more: float
) -> tuple[Measured, Measured]:
    """Return the longest wait of others in seconds, and failing attempts a second.

    Args:
        mode: One of ``MODES``.
        builders: How many of ten are refused.
        rate: Builds a second.
        seed: Says when which builds run.
        more: What else is not as usual.
    """
    played = some_refused(mode, builders, rate, seed, **more)
    waited = played.longest_wait(range(builders, 10))
    return (
        Measured(waited, longest_wait_allowed(mode, rate)),
        Measured(played.failing() / played.seconds, FAILING_MOST),
    )


def down(
    mode: str, lasts: float, rate: float, seed: int, **more: float
) -> tuple[Measured, Measured, Measured]:
    """Return the seconds until the first acceptance, and attempts a second: at first, later.

    Args:
        mode: One of ``MODES``.
        lasts: Seconds of the outage.
        rate: Builds a second.
        seed: Says when which builds run.
        more: How many builders, and how many attempts at once.
    """
    played = outage(mode, lasts, rate, seed, **more)
    over, later = OUTAGE_BEGINS + lasts, OUTAGE_BEGINS + 60.0
    asked = 60.0 if mode.endswith(" 60") else 0.0
    first = played.failing(OUTAGE_BEGINS, min(later, over)) / 60.0
    afterwards = played.failing(later, over) / max(lasts - 60.0, 1.0)
    return (
        Measured(played.recovery(over), (10.0 if lasts <= LONG else 30.0) + asked),
        Measured(first, 1.0),
        Measured(afterwards, 1 / 3),
    )
