"""Requests as CloudEvents, read back by the specification's own package."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from buildbot.config.errors import ConfigErrors
from buildbot.util.twisted import async_to_deferred
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import a_delivery
from support.master import BUILDERS, ReporterTestCase, configuration
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.reporter import HttpStatusPush
from buildbot_http_status_push.signing import verify
from buildbot_http_status_push.wire import cloudevents

KEY = "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


def read(headers: dict[str, str], body: bytes) -> BaseCloudEvent:
    """Read a request as a CloudEvent."""
    return http.from_binary_event(http.HTTPMessage(headers, body))


class HeadersTest(SynchronousTestCase):
    """Attributes as headers."""

    @given(TEXTS, TEXTS)
    def test_any_text(self, source: str, event: str) -> None:
        """Whatever a value holds, it is ASCII without spaces, and the same when it is read."""
        made = cloudevents.headers(a_delivery(event=event), source, 0.0)
        for value in made.values():
            self.assertRegex(value, r"\A[!#-~]+\Z")
        read_back = read({**made, "content-type": "application/json"}, b"{}")
        self.assertEqual(read_back.get_source(), source)
        self.assertEqual(read_back.get_type(), f"net.buildbot.{event}")

    def test_example_of_the_specification(self) -> None:
        """A value is encoded as in the example of the HTTP binding, 3.1.3.2."""
        self.assertEqual(cloudevents.encode("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80")

    def test_time(self) -> None:
        """The time is when the delivery was kept, else now."""
        self.assertEqual(
            cloudevents.headers(a_delivery(created_at=1.5), "/", 9.0)["ce-time"],
            "1970-01-01T00:00:01.500Z",
        )
        self.assertEqual(
            cloudevents.headers(a_delivery(), "/", 9.0)["ce-time"], "1970-01-01T00:00:09.000Z"
        )

    def test_fault(self) -> None:
        """Anything but True and False is an error."""
        with self.assertRaises(ConfigErrors) as caught:
            HttpStatusPush("http://example.com/", cloudevents="binary")
        told = "HttpStatusPush: cloudevents is 'binary': write True or False"
        self.assertEqual(caught.exception.errors, [told])


class MasterTest(ReporterTestCase):
    """CloudEvents from a real master."""

    async def statuses(self, **options: Any) -> list[Any]:
        """Run a build, and return its two requests."""
        self.inbox, url = await self.open_inbox()
        services = [HttpStatusPush(url, **options)]
        self.master = await self.start_master(configuration(services, BUILDERS))
        await self.master.build("success")
        await self.inbox.until(2)
        return list(self.inbox.statuses)

    @async_to_deferred
    async def test_binary_mode(self) -> None:
        """A begin and an end are CloudEvents, their bodies unchanged and signed."""
        statuses = await self.statuses(cloudevents=True, signing_secret=KEY)
        events = [read(dict(each.headers), each.body) for each in statuses]
        self.assertEqual(
            [event.get_type() for event in events],
            ["net.buildbot.builds.new", "net.buildbot.builds.finished"],
        )
        for event, status, build in zip(events, statuses, self.inbox.builds, strict=True):
            verify(status.headers, status.body, KEY)
            self.assertEqual(event.get_id(), status.id)
            self.assertEqual(event.get_source(), "http://localhost:8010/")
            self.assertEqual(event.get_specversion(), "1.0")
            self.assertEqual(event.get_datacontenttype(), "application/json")
            self.assertEqual(event.get_data(), build)
            age = datetime.now(timezone.utc) - event.get_time()
            self.assertLess(abs(age), timedelta(minutes=1))

    @async_to_deferred
    async def test_new_url(self) -> None:
        """The source is the master's present URL, also after a reconfiguration."""
        await self.statuses(cloudevents=True)
        config = self.master.loader.config
        await self.master.reconfigure(config | {"buildbotURL": "http://localhost:8010/new/"})
        await self.master.build("success")
        await self.inbox.until(4)
        sources = [each.headers["ce-source"] for each in self.inbox.statuses]
        self.assertEqual([each.endswith("/new/") for each in sources], [False, False, True, True])

    @async_to_deferred
    async def test_off(self) -> None:
        """Without the option there is no such header."""
        for each in await self.statuses():
            self.assertEqual([name for name in each.headers if name.startswith("ce-")], [])
