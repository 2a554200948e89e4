"""Which statuses make which others superfluous: of the same thing only, whatever the event."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

import buildbot.data
from buildbot.data.base import ResourceType
from hypothesis import given
from hypothesis import strategies as st
from support.outboxes import Box
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import SUCCESSIVE, SUPERFLUOUS_AFTER, Delivery, State
from buildbot_http_status_push.report.encoding import JSON, Encoded
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import make_delivery

STARTED = datetime(2026, 1, 31, tzinfo=timezone.utc)
REQUESTS_AFTER = 1_000
"""Requests have numbers of their own: those of the builds of the property test are others."""


def patterns() -> Iterator[str]:
    """Yield what Buildbot's routing keys look like, such as ``/builds/:buildid``."""
    for module in pkgutil.iter_modules(buildbot.data.__path__):
        for _, found in inspect.getmembers(import_module(f"buildbot.data.{module.name}")):
            if inspect.isclass(found) and issubclass(found, ResourceType):
                known = found.eventPathPatterns
                yield from known.split() if isinstance(known, str) else known


PATTERNS = sorted(set(patterns()))
EVENTS = sorted({each.split(".")[1] for each in SUCCESSIVE} | {"update", "claimed", "missing"})
ids = st.integers(1, 3)


@st.composite
def buildbots_keys(draw: st.DrawFn) -> tuple[str, ...]:
    """Draw one of the routing keys that Buildbot can produce."""
    parts = draw(st.sampled_from(PATTERNS)).strip("/").split("/")
    named = [str(draw(ids)) if part.startswith(":") else part for part in parts]
    return (*named, draw(st.sampled_from(EVENTS)))


others_keys = st.lists(st.sampled_from(["builds", "custom", "1", "new"]), min_size=1, max_size=5)
keys = buildbots_keys() | others_keys.map(tuple)
SUCCESSIONS = [(older, newer) for newer, some in SUPERFLUOUS_AFTER.items() for older in some]


@st.composite
def successive_keys(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draw keys of events that follow each other where they are of the same thing."""
    kinds = [each.split(".") for each in draw(st.sampled_from(SUCCESSIONS))]
    older, newer = ((kind, str(draw(ids)), event) for kind, event in kinds)
    return older, newer


pairs = successive_keys() | st.tuples(keys, keys)


def thing(key: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a key is about: its last kind and number, where it names one."""
    path = key[:-1]
    return path[-2:] if len(path) % 2 == 0 else path


def announced(key: tuple[str, ...], request: int = 0) -> Delivery:
    """Return the delivery of an event; all reports mention the same buildset."""
    number = int(key[-2]) if len(key) > 1 and key[-2].isdigit() else 0
    message = {
        "buildid": number,
        "number": number,
        "buildrequestid": request or REQUESTS_AFTER + number,
        "started_at": STARTED,
        "complete_at": STARTED,
        "results": 0,
    }
    report: dict[str, Any] = {"buildset": {"bsid": 1}, "builds": [{"buildset": {"bsid": 1}}]}
    return make_delivery("push", Event(key, message), report, Encoded(JSON, b"{}"), 100.0)


class SuccessionTests(SynchronousTestCase):
    """An outbox in memory."""

    def setUp(self) -> None:
        """Open it."""
        self.box = self.new_box()

    def new_box(self) -> Box:
        """Open one."""
        box = Box(None)
        self.addCleanup(box.close)
        return box

    def after(self, box: Box, older: Delivery, newer: Delivery, ends: State) -> dict[str, State]:
        """Return the states once the older one was refused, and the newer one has ended."""
        box.put(older)
        box.send(State.RETRYING)
        box.put(newer)
        for claim in box.claim():
            box.record(claim, ends)
        return box.states()

    def test_patterns(self) -> None:
        """Buildbot's routing keys are found."""
        for known in ("builds/:buildid", "steps/:stepid", "workers/:workerid"):
            self.assertIn(known, [each.strip("/") for each in PATTERNS])

    @given(pair=pairs, ends=st.just(State.DELIVERED) | st.sampled_from(State))
    def test_other_things(self, pair: tuple[tuple[str, ...], tuple[str, ...]], ends: State) -> None:
        """No outcome of one thing's status ends that of another thing, whatever both mention."""
        older, newer = pair
        one, other = announced(older), announced(newer)
        if thing(older) != thing(newer) and one.id != other.id:
            states = self.after(self.new_box(), one, other, ends)
            self.assertEqual(states[one.id], State.RETRYING)

    @given(older=keys, newer=keys)
    def test_kinds(self, older: tuple[str, ...], newer: tuple[str, ...]) -> None:
        """Only of kinds that are known to follow each other one makes another superfluous."""
        one, other = announced(older), announced(newer)
        if not {one.event, other.event} <= SUCCESSIVE and one.id != other.id:
            states = self.after(self.new_box(), one, other, State.DELIVERED)
            self.assertEqual(states[one.id], State.RETRYING)

    def test_same_thing(self) -> None:
        """What ends or begins a thing makes what came before superfluous."""
        for older, newer in (
            ("buildrequests.1.new", "buildrequests.1.cancel"),
            ("buildrequests.1.new", "buildsets.1.builders.2.buildrequests.1.cancel"),
            ("builds.1.new", "builds.1.finished"),
            ("buildsets.1.new", "buildsets.1.complete"),
            ("steps.1.new", "steps.1.finished"),
            ("steps.1.started", "steps.1.finished"),
        ):
            one, other = announced(tuple(older.split("."))), announced(tuple(newer.split(".")))
            states = self.after(self.new_box(), one, other, State.DELIVERED)
            self.assertEqual(states[one.id], State.SUPERSEDED, older)

    def test_build_of_a_request(self) -> None:
        """Once a request's build was told of, nobody is told that the request waits."""
        pending = announced(("buildrequests", "5", "new"))
        for event in ("new", "finished"):
            build = announced(("builds", "7", event), request=5)
            self.assertEqual(build.lane, pending.lane)
            box = self.new_box()
            states = self.after(box, pending, build, State.DELIVERED)
            self.assertEqual(states[pending.id], State.SUPERSEDED)

    def test_late(self) -> None:
        """What fails after its build was told of is not tried again."""
        pending = announced(("buildrequests", "5", "new"))
        begin = announced(("builds", "7", "new"), request=5)
        self.box.put(pending)
        [claim] = self.box.claim()
        other = self.new_box()
        other.put(pending, begin)
        [first] = other.claim()
        other.record(first, State.RETRYING)
        other.send()
        self.assertIsNone(other.record(claim, State.RETRYING))
        self.assertEqual(other.states()[pending.id], State.SUPERSEDED)

    def test_begin_told_late(self) -> None:
        """A begin that is told after its end takes nothing from the end."""
        end, begin = announced(("builds", "7", "finished")), announced(("builds", "7", "new"))
        states = self.after(self.box, end, begin, State.DELIVERED)
        self.assertEqual(states[end.id], State.RETRYING)

    def test_states(self) -> None:
        """The newest state replaces those that wait, of the same subject alone, and is not late."""
        made = [state("worker-1", "workers.connected", 1), state("worker-1", "workers.paused", 2)]
        other = state("worker-2", "workers.connected", 3)
        self.box.put(*made, other)
        expected = {made[0].id: State.SUPERSEDED, made[1].id: State.WAITING}
        self.assertEqual(self.box.states(), {**expected, other.id: State.WAITING})

    def test_state_under_way(self) -> None:
        """A state whose attempt fails after a newer one was accepted is not sent again."""
        older, newer = (state("worker-1", f"workers.{each}", 1) for each in ("missing", "removed"))
        box = self.new_box()
        box.put(older)
        [claim] = box.claim()
        box.put(newer)
        self.assertEqual(box.states()[older.id], State.WAITING)
        box.record(claim, State.RETRYING)
        box.send()
        self.assertEqual(box.states(), {older.id: State.SUPERSEDED, newer.id: State.DELIVERED})


def state(subject: str, event: str, number: int) -> Delivery:
    """Return the delivery of a state."""
    return Delivery(
        id=f"{event}-{number}",
        lane=subject,
        subject=subject,
        event=event,
        title=subject,
        content_type=JSON,
        body=b"{}",
    )
