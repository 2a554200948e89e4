"""What people do to incidents, as requests bring it: who they are, and what is asked for.

A page of another site can make a browser send a form with the reader's password. Browsers say with
each POST where the page is from; a form that does not say it is not taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from attrs import define, field
from twisted.logger import Logger

from buildbot_http_status_push.board.http.access import Access, is_allowed
from buildbot_http_status_push.board.http.documents import Document, sentence
from buildbot_http_status_push.board.http.intake import Delivery
from buildbot_http_status_push.board.incidents.acts import ACTS, LONGEST_MUTE, NAME, Act, ActError
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import StorageError

PATH = re.compile(
    rf"(?P<api>/api)?/incidents/(?P<incident>[0-9a-f]{{12}})/(?P<kind>{'|'.join(ACTS)})"
)
"""Where acts are sent to."""
MOST = 16 * 1024
"""The most bytes that an act may have."""
MOST_BUILDERS = 500
"""How many builders can be split off at once."""
FORM = "application/x-www-form-urlencoded"
RETRY_AFTER = 10
"""Seconds after which to try again when the database is out of order."""


@define(eq=False)
class Acting:
    """Takes acts."""

    _store: Store
    _access: Access
    _seconds: Callable[[], float]
    _origins: Collection[str] = ()
    _root: str = "/"
    _log: Logger = field(factory=Logger)

    def judge(self, headers: Mapping[str, str], length: int | None, sender: str) -> Document | None:
        """Refuse an act by its headers, before its body has come."""
        if length is None or length > MOST:
            return sentence(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an act must have at most {MOST} bytes"
            )
        if self._is_of_other_site(headers):
            return sentence(HTTPStatus.FORBIDDEN, "pages of other sites can't act on incidents")
        if self._access.person(headers, sender) is not None:
            return None
        if self._access.readers:
            return sentence(HTTPStatus.UNAUTHORIZED, "user and password are missing or wrong")
        return sentence(
            HTTPStatus.FORBIDDEN,
            "the board does not know who you are: it must be started with --read-auth, or with "
            "--user-header behind a proxy that asks for passwords",
        )

    async def take(self, path: str, delivery: Delivery) -> Document:
        """Take an act."""
        refusal = self.judge(delivery.headers, len(delivery.body), delivery.sender)
        person = self._access.person(delivery.headers, delivery.sender)
        found = PATH.fullmatch(path)
        if refusal is not None or person is None or found is None:
            return refusal or sentence(HTTPStatus.NOT_FOUND, "there is no such incident")
        try:
            values = _values(delivery)
            act = _act(found["kind"], found["incident"], person, self._seconds(), values)
            await self._store.act(act)
        except ActError as fault:
            return sentence(HTTPStatus.CONFLICT, str(fault))
        except StorageError:
            return sentence(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "the board's database is out of order, try again later",
                RETRY_AFTER,
            )
        self._log.info(
            "incident {incident}: {kind} by {person}",
            incident=act.incident,
            kind=act.kind,
            person=repr(person),
        )
        if found["api"]:
            return sentence(HTTPStatus.OK, f"{act.kind}: done")
        number = act.into or act.incident
        return Document(
            body=b"",
            status=HTTPStatus.SEE_OTHER,
            caching="no-store",
            location=f"{self._root}incidents/{number}",
        )

    def _is_of_other_site(self, headers: Mapping[str, str]) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site not in (None, "same-origin"):
            return True
        if origin is not None and not is_allowed(origin, headers.get("host"), self._origins):
            return True
        is_form = not headers.get("content-type", "").lower().startswith("application/json")
        return is_form and origin is None and site is None


def _values(delivery: Delivery) -> dict[str, list[str]]:
    """Return what a form or a JSON object says, in texts that may be answered and stored."""
    try:
        text = delivery.body.decode()
        kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == FORM:
            given = parse_qs(text, max_num_fields=MOST_BUILDERS + 10)
            return {name: [*map(storable, values)] for name, values in given.items()}
        content = json.loads(text or "{}")
    except (ValueError, RecursionError) as fault:
        raise ActError("an act must be a form, or a JSON object") from fault
    if not isinstance(content, dict):
        raise ActError("an act must be a form, or a JSON object")
    return {
        name: [storable(str(each)) for each in (value if isinstance(value, list) else [value])]
        for name, value in content.items()
        if value is not None
    }


def _act(kind: str, incident: str, person: str, now: float, values: Mapping[str, list[str]]) -> Act:
    def one(name: str) -> str:
        return next(iter(values.get(name, ())), "").strip()

    until = None
    if kind == "mute":
        hours = one("hours")
        most = LONGEST_MUTE // 3600
        is_number = re.fullmatch(r"[0-9]{1,4}(?:\.[0-9]{1,3})?", hours)
        if not is_number or not 0 < float(hours) <= most:
            raise ActError(
                f"hours is {hours[:NAME]!r}: must be a number above 0 and up to {most}, "
                "e.g. hours=24"
            )
        until = now + 3600 * float(hours)
    builders = values.get("builder", ()) if kind == "split" else ()
    return Act(
        kind=kind,
        incident=incident,
        by=person,
        at=now,
        note=one("note"),
        link=one("link") or None,
        until=until,
        builders=frozenset(builders[:MOST_BUILDERS]),
        into=one("into") or None if kind == "join" else None,
    )
