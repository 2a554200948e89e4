"""One attempt's deadline: whatever becomes of it is an outcome."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from attrs import evolve
from twisted.internet import defer
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from buildbot_http_status_push.model import Outcome, Unreachable


def attempt_within(
    timeout: float, attempt: Coroutine[Any, Any, Outcome], reactor: IReactorTime
) -> Deferred[Outcome]:
    """Run an attempt, cut it off at its deadline, and measure it.

    Returns:
        What came of it; a cancelled one is an outcome too.
    """
    began = reactor.seconds()

    def cut_off(failure: Failure) -> Outcome:
        if failure.trap(defer.TimeoutError, defer.CancelledError) is defer.TimeoutError:
            return Unreachable(f"no answer within {timeout:g} s")
        return Unreachable("the attempt was cut off")

    def timed(outcome: Outcome) -> Outcome:
        return evolve(outcome, duration=reactor.seconds() - began)

    running = ensureDeferred(attempt).addTimeout(timeout, reactor)
    return running.addErrback(cut_off).addCallback(timed)
