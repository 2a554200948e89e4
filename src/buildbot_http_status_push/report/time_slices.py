"""Long work in short turns, so that the reactor gets to everything else in between.

Must not know what the work is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator

TURN = 0.002
"""Seconds after which the reactor has its turn."""


class Turns:
    """Does the work of all iterators in turn, a few milliseconds at once.

    Args:
        reactor: The clock, and what else has to be done.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._cooperator = Cooperator(self._begin_turn, lambda step: reactor.callLater(0, step))

    def exhaust(self, work: Iterator[object]) -> Deferred[Any]:
        """Take all of an iterator.

        Args:
            work: Does a small piece of the work, much shorter than a turn, in each step.

        Returns:
            Fires when there is no more, or fails with what the iterator raises.
        """
        return self._cooperator.coiterate(work)

    def _begin_turn(self) -> Callable[[], bool]:
        end = self._reactor.seconds() + TURN
        return lambda: self._reactor.seconds() >= end
