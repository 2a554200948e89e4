"""What a report is about: ids, lanes, subjects and names, all derived."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import Delivery
from buildbot_http_status_push.report import events
from buildbot_http_status_push.report.encoding import JSON, Encoded
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import build_event_id, event_name, make_delivery

STARTED = datetime(2024, 5, 1, 12, 0, 0, 400, tzinfo=timezone.utc)
ENDED = STARTED + timedelta(seconds=90)
BODY = Encoded(JSON, b"{}")


def a_build(**more: Any) -> dict[str, Any]:
    """Return a finished build as the data API gives it."""
    build = {
        "buildid": 7,
        "number": 3,
        "builderid": 2,
        "buildrequestid": 5,
        "started_at": STARTED,
        "complete": True,
        "complete_at": ENDED,
        "results": 0,
        "builder": {"name": "linux"},
    }
    return {**build, **more}


def delivery_of(
    key: str | None, message: dict[str, Any], report: dict[str, Any] | None = None, **more: Any
) -> Delivery:
    """Return the delivery of an event."""
    event = None if key is None else Event(tuple(key.split(".")), message)
    values = {"reporter": "push", "encoded": BODY, "now": 100.5, **more}
    if event is not None:
        event.sent = values.pop("sent", 0)
    return make_delivery(event=event, report=report or {"builds": [message]}, **values)


class IdTest(SynchronousTestCase):
    """Ids."""

    def test_shape(self) -> None:
        """An id is a word without dots, as the Standard Webhooks specification wants it."""
        found = delivery_of("builds.7.finished", a_build()).id
        self.assertTrue(re.fullmatch("msg_[0-9a-f]{32}", found), found)

    def test_the_same_event(self) -> None:
        """The same event has the same id, whatever its body, whenever it is seen."""
        first = delivery_of("builds.7.finished", a_build())
        again = delivery_of(
            "builds.7.finished", a_build(), encoded=Encoded(JSON, b"[]"), now=9999.0
        )
        self.assertEqual(first.id, again.id)
        self.assertEqual(first.id, build_event_id("push", "builds.finished", a_build()))

    def test_fractions_of_seconds(self) -> None:
        """Times count in whole seconds: a database keeps no fractions, the event has some."""
        other = a_build(started_at=STARTED.replace(microsecond=0))
        self.assertEqual(
            build_event_id("push", "builds.new", other),
            build_event_id("push", "builds.new", a_build()),
        )

    def test_other_events(self) -> None:
        """Whatever makes it another event makes another id."""
        ids = [
            delivery_of("builds.7.finished", a_build()).id,
            delivery_of("builds.7.new", a_build()).id,
            delivery_of("builds.8.finished", a_build(buildid=8)).id,
            delivery_of("builds.7.finished", a_build(), reporter="other").id,
            delivery_of("builds.7.finished", a_build(), sent=1).id,
            delivery_of("builds.7.finished", a_build(started_at=ENDED)).id,
            delivery_of("builds.7.finished", a_build(results=5)).id,
            delivery_of("builds.7.finished", a_build(complete_at=STARTED)).id,
        ]
        self.assertEqual(len(set(ids)), len(ids))

    def test_a_start_does_not_know_the_end(self) -> None:
        """A start has the same id when it is caught up after the build's end."""
        running = a_build(complete=False, complete_at=None, results=None)
        self.assertEqual(
            build_event_id("push", "builds.new", running),
            build_event_id("push", "builds.new", a_build()),
        )

    def test_events_that_may_come_again(self) -> None:
        """Other events are the same only with the same content in the same second."""
        message = {"workerid": 1}
        worker = delivery_of("workers.1.missing", message, {"builds": []})
        same = delivery_of("workers.1.missing", message, {"builds": []}, now=100.9)
        self.assertEqual(worker.id, same.id)
        for other in (
            delivery_of("workers.1.missing", message, {"builds": []}, now=101.0),
            delivery_of("workers.2.missing", message, {"builds": []}),
            delivery_of("workers.1.missing", message, {}, encoded=Encoded(JSON, b"[]")),
            delivery_of(None, message, {"builds": []}),
        ):
            self.assertNotEqual(worker.id, other.id)


class WhereaboutsTest(SynchronousTestCase):
    """Lanes, subjects, names and titles."""

    def test_build(self) -> None:
        """A build's lane is its request, its subject the build with its start."""
        found = delivery_of("builds.7.finished", a_build())
        self.assertEqual(found.lane, "buildrequest-5")
        self.assertEqual(found.subject, f"build-7-{int(STARTED.timestamp())}")
        self.assertEqual(found.event, "builds.finished")
        self.assertEqual(found.title, "build linux#3")
        self.assertEqual(found.build, 7)
        self.assertEqual((found.content_type, found.body), (JSON, b"{}"))

    def test_start_and_finish(self) -> None:
        """A build's start and its finish share lane and subject."""
        start = delivery_of("builds.7.new", a_build(complete=False, complete_at=None))
        finish = delivery_of("builds.7.finished", a_build())
        self.assertEqual((start.lane, start.subject), (finish.lane, finish.subject))
        self.assertEqual(start.event, "builds.new")

    def test_title_without_a_name(self) -> None:
        """Where no report names the builder, its id stands in the title."""
        bare = {name: value for name, value in a_build().items() if name != "builder"}
        found = delivery_of("builds.7.finished", bare, {"builds": []})
        self.assertEqual(found.title, "build of builder 2#3")

    def test_buildset(self) -> None:
        """A buildset is its own lane, though its report has builds."""
        report = {"buildset": {"bsid": 9}, "builds": [a_build(), a_build(buildid=8)]}
        found = delivery_of("buildsets.9.complete", {"bsid": 9}, report)
        self.assertEqual(found.event, "buildsets.complete")
        self.assertEqual((found.lane, found.subject), ("buildset-9", "buildset-9"))
        self.assertEqual(found.title, "buildset 9")
        self.assertIsNone(found.build)

    def test_build_request(self) -> None:
        """A build request goes in the lane of its builds, whatever its report mentions."""
        report = {"buildset": {"bsid": 9}, "builds": [{"buildset": {"bsid": 9}}]}
        for key in ("buildrequests.5.new", "buildsets.9.builders.2.buildrequests.5.new"):
            found = delivery_of(key, {"buildrequestid": 5}, report)
            self.assertEqual(found.event, "buildrequests.new")
            self.assertEqual((found.lane, found.subject), ("buildrequest-5", "buildrequest-5"))
            self.assertEqual((found.title, found.build), ("buildrequest 5", None))
        self.assertEqual(found.lane, delivery_of("builds.7.new", a_build()).lane)

    def test_worker(self) -> None:
        """What is about nothing of a build goes in its thing's lane, and replaces no other."""
        found = delivery_of("workers.1.missing", {}, {"builds": []})
        self.assertEqual(found.event, "workers.missing")
        self.assertEqual((found.lane, found.title), ("workers-1", "workers 1"))
        self.assertEqual(found.subject, found.id)

    def test_part_of_a_build(self) -> None:
        """What is about a part of a build is not taken for the build."""
        step = {"stepid": 4, "buildid": 7, "number": 3}
        found = delivery_of("builds.7.steps.3.finished", step, {"builds": [a_build()]})
        self.assertEqual((found.event, found.build), ("steps.finished", None))
        self.assertEqual((found.lane, found.subject), ("builds-7-steps-3", "builds-7-steps-3"))
        found = delivery_of("builds.7.properties.update", {}, {})
        self.assertEqual((found.event, found.lane), ("properties.update", "builds-7-properties"))

    def test_build_by_its_builder(self) -> None:
        """A build is known whichever of its routing keys its event comes with."""
        found = delivery_of("builders.2.builds.3.finished", a_build())
        self.assertEqual(found.id, delivery_of("builds.7.finished", a_build()).id)

    def test_one_word(self) -> None:
        """An event that names no thing goes in a lane of its name."""
        found = delivery_of("tick", {}, {})
        self.assertEqual((found.event, found.lane, found.title), ("tick.tick",) * 3)

    def test_group(self) -> None:
        """Failures count together by the builder; where there is none, by the kind of thing."""
        expected = {
            "builds.7.finished": (a_build(), "builder-2"),
            "buildrequests.5.new": ({"buildrequestid": 5, "builderid": 2}, "builder-2"),
            "buildsets.9.complete": ({"bsid": 9}, "buildsets"),
            "workers.1.missing": ({}, "workers"),
            "builds.7.steps.3.finished": ({"stepid": 4}, "steps"),
            "tick": ({}, "tick"),
        }
        for key, (message, group) in expected.items():
            self.assertEqual(delivery_of(key, message).group, group, key)
        self.assertEqual(delivery_of(None, {}, {"builds": [a_build()]}).group, "builder-2")
        self.assertEqual(delivery_of(None, {}, {"buildset": {"bsid": 1}}).group, "buildsets")

    def test_no_event(self) -> None:
        """Where no event is known, the report itself says what it is about."""
        finish = delivery_of(None, {}, {"builds": [a_build()]})
        self.assertEqual((finish.event, finish.lane), ("builds.finished", "buildrequest-5"))
        running = a_build(complete=False)
        self.assertEqual(event_name(None, {"builds": [running]}), "builds.new")
        self.assertEqual(event_name(None, {"buildset": {"bsid": 1}}), "buildsets.complete")
        self.assertEqual(event_name(None, {"builds": None}), "message")
        self.assertEqual(event_name(None, {"builds": [{}]}), "message")


class CurrentEventTest(SynchronousTestCase):
    """The event that is being handled."""

    def test_outside(self) -> None:
        """There is none outside, and none left over after trouble."""
        event = Event(("builds", "7", "new"), {})
        with self.assertRaises(KeyError), events.handling(event):
            self.assertIs(events.current(), event)
            raise KeyError
        self.assertIsNone(events.current())

    def test_nested(self) -> None:
        """An event within another one does not end it."""
        outer, inner = Event(("a",), {}), Event(("b",), {})
        with events.handling(outer):
            with events.handling(inner):
                self.assertIs(events.current(), inner)
            self.assertIs(events.current(), outer)

    def test_after_waiting(self) -> None:
        """What is begun for an event knows it after waiting, when others are handled."""
        gates: list[Deferred[None]] = [Deferred(), Deferred()]
        seen: list[Event | None] = []

        async def work(gate: Deferred[None]) -> None:
            await gate
            seen.append(events.current())

        handled = [Event((str(number),), {}) for number in range(2)]
        for event, gate in zip(handled, gates, strict=True):
            with events.handling(event):
                ensureDeferred(work(gate))
        for gate in reversed(gates):
            gate.callback(None)
        self.assertEqual(seen, handled[::-1])
