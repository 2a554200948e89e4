"""Long work in short time slices, so that the reactor gets to everything else in between.

Must not know what the work is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator

TIME_SLICE = 0.002
"""Seconds of work after which the reactor goes on."""


class CooperativeScheduler:
    """Does the work of all iterators alternately, a few milliseconds at once."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._cooperator = Cooperator(self._begin_slice, lambda step: reactor.callLater(0, step))

    def run(self, work: Iterator[object]) -> Deferred[Any]:
        """Take all of an iterator.

        Args:
            work: Does a small piece of the work, much shorter than a time slice, in each step.

        Returns:
            Fires when there is no more, or fails with what the iterator raises.
        """
        return self._cooperator.coiterate(work)

    def _begin_slice(self) -> Callable[[], bool]:
        end = self._reactor.seconds() + TIME_SLICE
        return lambda: self._reactor.seconds() >= end
