"""Takes statuses: checks who sends them, reads what they say, and answers once they are kept.

Any POST is a status, whatever its path. Cross-site requests can do no harm: nothing here looks at
cookies, and what a web page sends is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Protocol

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from buildbot_http_status_push.board.body import BodyError, Status, read_any
from buildbot_http_status_push.board.cluster.states import State
from buildbot_http_status_push.board.http.access import Access, AccessError
from buildbot_http_status_push.board.http.documents import Document, sentence
from buildbot_http_status_push.board.store.writing import Stored
from buildbot_http_status_push.database import StorageError, UnstorableError
from buildbot_http_status_push.redaction import one_line

RETRY_AFTER = 10
"""Seconds after which a sender may try again when the database is out of order."""
FORMS = ("application/x-www-form-urlencoded", "multipart/")
"""Content types of what browsers send of themselves, for any page that asks them to."""
QUIET = 60.0
"""Seconds between two lines of the log about refusals."""


class Keeper(Protocol):
    """What is needed of the store."""

    def put(self, status: Status | State) -> Deferred[Stored]:
        """Keep a status; fires once it is committed."""


@frozen(kw_only=True)
class Delivery:
    """A request that may bring a status."""

    headers: Mapping[str, str]
    body: bytes
    sender: str


class RefusedError(Exception):
    """A delivery is not taken; the text says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@define(eq=False)
class Intake:
    """Takes deliveries."""

    _store: Keeper
    _access: Access
    _max_body: int
    _seconds: Callable[[], float]
    _log: Logger = field(factory=Logger)
    _untold: int = field(default=0, init=False)
    _told_at: float = field(default=float("-inf"), init=False)

    def judge(self, headers: Mapping[str, str], length: int | None, sender: str) -> Document | None:
        """Refuse a delivery by its headers, before its body has come.

        Returns:
            What to answer; None where the body is to be read.
        """
        try:
            self._check_head(headers, length)
        except RefusedError as refusal:
            return self._refused(refusal, sender)
        return None

    def too_large(self, sender: str) -> Document:
        """Refuse a body that turns out to have more bytes than are taken."""
        return self._refused(self._over_limit, sender)

    async def take(self, delivery: Delivery) -> Document:
        """Take a delivery."""
        try:
            status = self._checked(delivery)
        except RefusedError as refusal:
            return self._refused(refusal, delivery.sender)
        if status is None:
            return sentence(HTTPStatus.OK, "a test status: taken, and not kept")
        try:
            stored = await self._store.put(status)
        except UnstorableError as fault:
            why = f"it can't be stored: {one_line(str(fault))}"
            unstorable = RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, why)
            return self._refused(unstorable, delivery.sender)
        except StorageError:
            return sentence(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the board's database is out of order, try again later",
                RETRY_AFTER,
            )
        return sentence(HTTPStatus.OK, stored.value)

    @property
    def _over_limit(self) -> RefusedError:
        return RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has more than {self._max_body} bytes (--max-body of the board)",
        )

    def _check_head(self, headers: Mapping[str, str], length: int | None) -> None:
        if length is not None and length > self._max_body:
            raise self._over_limit
        # Browsers name the origin of each POST, reporters never do.
        if headers.get("origin"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "statuses are not taken from web pages")
        if headers.get("content-type", "").strip().lower().startswith(FORMS):
            raise RefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "a form is no status: send its JSON as application/json",
            )
        try:
            self._access.check_head(headers, self._seconds())
        except AccessError as refusal:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, str(refusal)) from refusal

    def _checked(self, delivery: Delivery) -> Status | State | None:
        self._check_head(delivery.headers, len(delivery.body))
        try:
            self._access.check_sender(delivery.headers, delivery.body, self._seconds())
            return read_any(delivery.body)
        except AccessError as refusal:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, str(refusal)) from refusal
        except BodyError as refusal:
            raise RefusedError(refusal.status, str(refusal)) from refusal

    def _refused(self, refusal: RefusedError, sender: str) -> Document:
        self._tell(refusal, sender)
        return sentence(refusal.status, str(refusal))

    def _tell(self, refusal: RefusedError, sender: str) -> None:
        """Log a rejection, unless one was logged lately: a line for each would fill disks."""
        now = self._seconds()
        if 0 <= now - self._told_at < QUIET:
            self._untold += 1
            return
        self._log.warn(
            "a status from {sender} was rejected with {status}: {why}{more}",
            sender=sender,
            status=int(refusal.status),
            why=one_line(str(refusal)),
            more=f" ({self._untold} others were rejected before)" if self._untold else "",
        )
        self._told_at, self._untold = now, 0
