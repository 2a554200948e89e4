"""What the sub-commands share: exit codes, types of arguments, and running the reactor."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.python.failure import Failure

from buildbot_http_status_push.commands.terminal import Output

if TYPE_CHECKING:
    SubParsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

DONE = 0
FAILED = 1
UNUSABLE = 2
UNREAD = 141
"""The exit codes: done, tried without success, can't be tried like this, and nobody reads it.

The last one is what a shell shows of any program that SIGPIPE has ended.
"""


def complain(text: str) -> int:
    """Print why something can't be done, and return the exit code for that."""
    print(f"buildbot-http-status-push: {text}", file=sys.stderr, flush=True)
    return UNUSABLE


def run_reactor(
    reactor: Any,
    output: Output,
    work: Callable[[], Coroutine[Any, Any, int]],
    clean_up: Callable[[], Awaitable[object]],
) -> int:
    """Run the reactor until the work is done, or Ctrl-C, SIGTERM or a closed output cancels it.

    Args:
        reactor: The reactor, not yet running.
        output: What the work writes to.
        work: Does the work and returns the exit code.
        clean_up: Called once when the work has ended in whatever way; never cancelled itself.

    Returns:
        What the work returned.

    Raises:
        Exception: What the work or the clean-up raised.
    """
    outcomes: list[int | Failure] = []
    ended: Deferred[None] = Deferred()

    def interrupt(working: Deferred[int]) -> Deferred[None]:
        working.cancel()
        return ended

    async def play() -> int:
        working = Deferred.fromCoroutine(work())
        reactor.addSystemEventTrigger("before", "shutdown", interrupt, working)
        try:
            return await working
        finally:
            await clean_up()

    def stop() -> None:
        with contextlib.suppress(ReactorNotRunning):  # where the end has begun already
            reactor.stop()

    def end(outcome: int | Failure) -> None:
        outcomes.append(outcome)
        ended.callback(None)
        stop()

    output.on_closed = stop
    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(play()).addBoth(end))
    reactor.run()
    (outcome,) = outcomes
    if isinstance(outcome, Failure):
        outcome.raiseException()
    return outcome


def number(
    convert: Callable[[str], float], least: float, most: float, what: str
) -> Callable[[str], float]:
    """Make an argparse type for numbers within limits."""

    def check(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{what} is from {least} to {most}, not {text!r}")
        return value

    return check
