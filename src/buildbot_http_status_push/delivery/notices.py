"""What people read in the log: a line when something changes, not a line for every status."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.model import Outcome, Unreachable

REFUSAL_INTERVAL = 600.0


class Notices:
    """Tells an admin what the receiver does.

    Args:
        reactor: The clock.
        name: The reporter's name, which begins each line.
        log: Where the lines go.
    """

    def __init__(self, reactor: IReactorTime, name: str, log: Logger) -> None:
        self._reactor = reactor
        self._name = name
        self._log = log
        self._trouble_since: float | None = None
        self._last_refusal: float | None = None
        self._suppressed = 0

    def stopped_accepting(self, outcome: Outcome, title: str) -> None:
        """Say once that the receiver takes nothing."""
        if self._trouble_since is None:
            self._trouble_since = self._reactor.seconds()
        if isinstance(outcome, Unreachable) and outcome.here:
            self._cannot_send(outcome, title)
            return
        self._log.warn(
            "{name}: the receiver does not accept statuses: {outcome} ({title}). "
            "They are kept, and sent when it does",
            name=self._name,
            outcome=outcome,
            title=title,
        )

    def _cannot_send(self, outcome: Outcome, title: str) -> None:
        self._log.error(
            "{name}: nothing can be sent from here: {outcome} ({title}). "
            "Statuses are kept, and sent when that is mended",
            name=self._name,
            outcome=outcome,
            title=title,
        )

    def refused(self, outcome: Outcome, title: str) -> None:
        """Say that a status was refused for reasons of its own, every ten minutes at most."""
        now = self._reactor.seconds()
        if self._last_refusal is not None and now - self._last_refusal < REFUSAL_INTERVAL:
            self._suppressed += 1
            return
        self._log.warn(
            "{name}: the receiver did not take {title}: {outcome}. It is tried again later{more}",
            name=self._name,
            title=title,
            outcome=outcome,
            more=f"; {self._suppressed} more since the last such line" if self._suppressed else "",
        )
        self._last_refusal, self._suppressed = now, 0
        if self._trouble_since is None:
            self._trouble_since = now

    def given_up(self, words: str, title: str) -> None:
        """Say that a status will not be sent any more."""
        self._log.error(
            "{name}: {title} will not be sent any more: {words}. "
            "'buildbot-http-status-push outbox list --dead' shows it, 'outbox redeliver' sends it",
            name=self._name,
            title=title,
            words=words,
        )

    def accepted(self, waiting: Callable[[], Deferred[int]], *, again: bool) -> None:
        """Say once that the receiver takes statuses again, with how many waited how long.

        Args:
            waiting: Counts what is still to be sent.
            again: Whether the accepted status had been tried before.
        """
        if self._trouble_since is None or not again:
            return
        lasted = self._reactor.seconds() - self._trouble_since
        self._trouble_since = self._last_refusal = None
        waiting().addCallback(self._accepts_again, lasted).addErrback(self.failed, "counting")

    def _accepts_again(self, waiting: int, lasted: float) -> None:
        self._log.info(
            "{name}: the receiver accepts statuses again after {lasted:.0f} s, {waiting} waited",
            name=self._name,
            lasted=lasted,
            waiting=waiting,
        )

    def failed(self, failure: Failure, doing: str) -> None:
        """Log what nobody foresaw, with its traceback."""
        self._log.failure("{name}: {doing} failed", failure, name=self._name, doing=doing)
