"""Runs a measurement on the reactor of its own process, and prints what it found."""

from __future__ import annotations

import json
import sys
from collections.abc import Coroutine
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure


def run(measurement: Coroutine[Any, Any, dict[str, Any]]) -> None:
    """Run a measurement, and print its result as one line of JSON.

    Raises:
        SystemExit: It failed; its traceback is on stderr.
    """
    results: list[dict[str, Any]] = []

    def start() -> None:
        done = ensureDeferred(measurement).addCallbacks(results.append, _complain)
        done.addBoth(lambda _: _stop())

    reactor.callWhenRunning(start)
    reactor.run()
    if not results:
        sys.exit(1)
    print(json.dumps(results[0]))


def _complain(failure: Failure) -> None:
    failure.printTraceback(sys.stderr)


def _stop() -> None:
    if reactor.running:  # a master that can't start stops it by itself
        reactor.stop()


def sleep(seconds: float) -> Deferred[None]:
    """Wait."""
    return deferLater(reactor, seconds)
