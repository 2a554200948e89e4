"""Turns each report into a delivery: encodes its body at once, and names what it is about.

Knows neither where deliveries are kept nor where they go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.logger import Logger

from buildbot_http_status_push.report.default_generator import title
from buildbot_http_status_push.report.encoding import Encoded, EncodingError, encode
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import Identity, make_delivery
from buildbot_http_status_push.time_slices import CooperativeScheduler


class Intake:
    """Takes in the reports of one reporter."""

    def __init__(
        self,
        reactor: Any,
        name: str,
        put: Callable[..., Awaitable[bool]],
        log: Logger,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._put = put
        self._log = log
        self.scheduler = CooperativeScheduler(reactor)
        self._told: set[str] = set()

    async def keep(self, event: Event | None, report: Mapping[str, Any]) -> None:
        """Keep a report until it is delivered; a body of None is not sent."""
        try:
            encoded = await encode(report, self.scheduler.run)
        except EncodingError as trouble:
            self._refuse(report, trouble)
            encoded = None
        if encoded is None:
            _settle(event)
            return
        self._tell_of_nulls(report, encoded)
        delivery = make_delivery(self._name, event, report, encoded, self._reactor.seconds())
        if event is not None:
            event.sent += 1
        await self._put(delivery, again=event is not None and event.again)

    def _tell_of_nulls(self, report: Mapping[str, Any], encoded: Encoded) -> None:
        for key in set(encoded.nulls).difference(self._told):
            self._told.add(key)
            self._log.warn(
                "{name}: {key} of {title} is {value}, which JSON can't hold: null is sent in its "
                "place. This is logged once for each key",
                name=self._name,
                key=key,
                title=_title(report),
                value=encoded.nulls[key],
            )

    def _refuse(self, report: Mapping[str, Any], trouble: Exception) -> None:
        self._log.error(
            "{name}: {title} is not sent, its body can't be encoded: {trouble}",
            name=self._name,
            title=_title(report),
            trouble=trouble,
        )


def _title(report: Mapping[str, Any]) -> str:
    known = report.get("identity")
    builds = report.get("builds") or [{}]
    return known.title if isinstance(known, Identity) else title(builds[0])


def _settle(event: Event | None) -> None:
    if event is not None:
        event.settled = True
