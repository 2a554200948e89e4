"""What people read in the log: a line when something changes, not a line for every status."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from buildbot_http_status_push.model import Outcome, Refused, Unreachable

REFUSAL_INTERVAL = 600.0
TROUBLE_INTERVAL = 60.0

CREDENTIALS = "; check the credentials: auth, headers, signing_secret"
ADDRESS = "; check serverUrl, and any proxy in between"
ADVICE = {
    401: CREDENTIALS,
    403: f"{CREDENTIALS}; or a firewall or proxy in between rejects the request",
    404: ADDRESS,
    405: ADDRESS,
    407: "; a proxy in between requires credentials",
    421: ADDRESS,
    451: ADDRESS,
}


class OperatorLog:
    """Logs for an admin what the receiver does."""

    def __init__(self, reactor: IReactorTime, name: str, log: Logger) -> None:
        self._reactor = reactor
        self._name = name
        self._log = log
        self._trouble_since: float | None = None
        self._trouble_logged = False
        self._refusal_logged = False
        self._last_trouble: float | None = None
        self._last_refusal: float | None = None
        self._suppressed = 0

    def _is_recent(self, moment: float | None, interval: float) -> bool:
        return moment is not None and 0 <= self._reactor.seconds() - moment < interval

    def _begin_trouble(self) -> None:
        if self._trouble_since is None:
            self._trouble_since = self._reactor.seconds()

    def stopped_accepting(self, outcome: Outcome, title: str) -> None:
        """Say once that the receiver takes nothing, and a minute after the last such line.

        To be called whenever an attempt shows it: trouble that comes and goes is logged when it
        stays.
        """
        self._begin_trouble()
        if self._trouble_logged or self._is_recent(self._last_trouble, TROUBLE_INTERVAL):
            return
        self._trouble_logged, self._last_trouble = True, self._reactor.seconds()
        if isinstance(outcome, Unreachable) and outcome.here:
            self._cannot_send(outcome, title)
            return
        self._log.warn(
            "{name}: the receiver does not accept statuses: {outcome} ({title}){advice}. "
            "They are kept, and sent when it recovers",
            name=self._name,
            outcome=outcome,
            title=title,
            advice=advice(outcome),
        )

    def _cannot_send(self, outcome: Outcome, title: str) -> None:
        self._log.error(
            "{name}: statuses cannot be sent: {outcome} ({title}). "
            "They are kept, and sent once this is fixed",
            name=self._name,
            outcome=outcome,
            title=title,
        )

    def refused(self, outcome: Outcome, title: str) -> None:
        """Say that a status was refused for reasons of its own, every ten minutes at most."""
        if self._is_recent(self._last_refusal, REFUSAL_INTERVAL):
            self._suppressed += 1
            return
        self._log.warn(
            "{name}: the receiver rejected {title}: {outcome}. Trying again later{more}",
            name=self._name,
            title=title,
            outcome=outcome,
            more=f"; {self._suppressed} more since the last such line" if self._suppressed else "",
        )
        self._last_refusal, self._suppressed = self._reactor.seconds(), 0
        self._refusal_logged = True
        self._begin_trouble()

    def given_up(self, words: str, title: str) -> None:
        """Say that a status will not be sent any more."""
        self._log.error(
            "{name}: {title} will not be sent any more: {words}. "
            "'buildbot-http-status-push outbox list --dead' shows it, 'outbox redeliver' sends it",
            name=self._name,
            title=title,
            words=words,
        )

    def accepted(self, waiting: Callable[[], Coroutine[Any, Any, int]], *, again: bool) -> None:
        """Say once that the receiver takes statuses again, with how many waited how long."""
        since, logged = self._trouble_since, self._trouble_logged or self._refusal_logged
        if since is None or (logged and not again):
            return
        self._trouble_since, self._trouble_logged, self._refusal_logged = None, False, False
        if logged:
            counted = Deferred.fromCoroutine(waiting())
            counted.addCallback(self._accepts_again, self._reactor.seconds() - since)
            counted.addErrback(self.failed, "counting")

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


def advice(outcome: Outcome) -> str:
    """Say what a person may look at, nothing where the outcome says it all."""
    if not isinstance(outcome, Refused):
        return ""
    return ADDRESS if 300 <= outcome.status < 400 else ADVICE.get(outcome.status, "")
