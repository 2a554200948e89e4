"""What is reported of requests, workers and builders, without a master."""

from __future__ import annotations

from typing import Any

from buildbot.process.results import CANCELLED, SUCCESS
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.model import STATES
from buildbot_http_status_push.report.contract import KINDS, body_schema
from buildbot_http_status_push.report.encoding import JSON, Encoded
from buildbot_http_status_push.report.events import Event
from buildbot_http_status_push.report.identity import make_delivery
from buildbot_http_status_push.report.states import (
    FOUND,
    Origin,
    inventory_identity,
    request_event,
    request_identity,
    request_state,
    submission,
    worker_event,
    worker_state,
)

NEW: dict[str, Any] = {
    "buildrequestid": 5,
    "buildsetid": 4,
    "builderid": 7,
    "priority": 0,
    "waited_for": False,
    "submitted_at": 100,
    "claimed": False,
    "claimed_at": None,
    "claimed_by_masterid": None,
    "complete": False,
    "complete_at": None,
    "results": -1,
}
CLAIMED = {**NEW, "claimed": True, "claimed_at": 110, "claimed_by_masterid": 1}
COMPLETE = {**CLAIMED, "complete": True, "complete_at": 120, "results": SUCCESS}
CANCEL = {**COMPLETE, "results": CANCELLED}


def request_id(request: dict[str, Any], happened: str, seconds: float = 130.0) -> str:
    """Return the id of a request's delivery."""
    identity = request_identity(request, happened, "builder", seconds)
    event = Event(("buildrequests", "5", happened), request)
    return make_delivery("push", event, {"identity": identity}, Encoded(JSON, b"{}"), seconds).id


class Requests(SynchronousTestCase):
    """Build requests."""

    def test_events(self) -> None:
        """The state names the event; only what was given back needs to be said."""
        named = {
            ("new", "requests.new"): NEW,
            ("unclaimed", "requests.unclaimed"): NEW,
            ("claimed", "requests.claimed"): CLAIMED,
            ("complete", "requests.complete"): COMPLETE,
            ("complete", "requests.cancelled"): CANCEL,
            (FOUND, "requests.new"): NEW,
            (FOUND, "requests.claimed"): CLAIMED,
            (FOUND, "requests.cancelled"): CANCEL,
        }
        for (happened, name), request in named.items():
            self.assertEqual(request_event(request, happened), name)

    def test_ids(self) -> None:
        """What the database tells apart has the same id whoever finds it, and whenever."""
        for request, happened in ((NEW, "new"), (CLAIMED, "claimed"), (COMPLETE, "complete")):
            self.assertEqual(request_id(request, happened, 1.0), request_id(request, happened, 9.0))
        self.assertEqual(request_id(COMPLETE, FOUND, 1.0), request_id(COMPLETE, "complete", 9.0))
        ids = [request_id(each, "new") for each in (NEW, CLAIMED, COMPLETE, CANCEL)]
        ids += [request_id({**NEW, "submitted_at": 99}, "new"), request_id(NEW, "unclaimed")]
        ids += [request_id(NEW, FOUND, seconds) for seconds in (1.0, 2.0)]
        self.assertEqual(len(set(ids)), len(ids))

    def test_lane(self) -> None:
        """A request has its order with its builds, and fails with its builder."""
        identity = request_identity(NEW, "new", "builder", 1.0)
        self.assertEqual((identity.lane, identity.group), ("buildrequest-5", "builder-7"))

    def test_state(self) -> None:
        """There are no results before the end; sourcestamps have the order of their codebases."""
        self.assertIsNone(request_state(NEW, {})["results"])
        self.assertEqual(request_state(CANCEL, {"builder": {}})["results"], CANCELLED)
        stamps = [{"codebase": "b"}, {"codebase": "a"}]
        kept = submission({"bsid": 1, "complete": False, "sourcestamps": stamps})
        self.assertEqual(kept, {"bsid": 1, "sourcestamps": stamps[::-1]})


def worker(**changed: Any) -> dict[str, Any]:
    """Return what is known of a worker without its past."""
    state = {"connected": True, "paused": False, "graceful": False, "removed": False}
    return {"name": "one", **state, **changed}


class Workers(SynchronousTestCase):
    """Workers."""

    def test_life(self) -> None:
        """Each change has its event, and the time of disconnection stays until the next one."""
        off = worker(connected=False)
        steps = [
            (worker(), "connected", "workers.connected", None, False),
            (worker(paused=True), "state_updated", "workers.paused", None, False),
            (worker(), "state_updated", "workers.resumed", None, False),
            (worker(graceful=True), "state_updated", "workers.graceful", None, False),
            (off, "disconnected", "workers.disconnected", 4, False),
            (off, "missing", "workers.missing", 4, True),
            (worker(connected=False, paused=True), FOUND, "workers.paused", 4, True),
            (worker(), "connected", "workers.connected", None, False),
            (off, "state_updated", "workers.disconnected", 8, False),
            (worker(connected=False, removed=True), FOUND, "workers.removed", 8, False),
        ]
        before = None
        for second, (now, happened, event, disconnected_at, missing) in enumerate(steps):
            state = worker_state(before, now, happened, second + 0.5)
            self.assertEqual(worker_event(before, state), event)
            self.assertEqual(state["disconnected_at"], disconnected_at)
            self.assertEqual(state["missing"], missing)
            before = state

    def test_found_away(self) -> None:
        """Since when a worker is away that was never seen is not known, unless it goes now."""
        away = worker(connected=False)
        self.assertIsNone(worker_state(None, away, FOUND, 5.0)["disconnected_at"])
        self.assertEqual(worker_state(None, away, "disconnected", 5.0)["disconnected_at"], 5)
        self.assertEqual(
            worker_event(None, worker_state(None, away, FOUND, 5.0))[8:], "disconnected"
        )

    def test_ids(self) -> None:
        """A state that comes back is another delivery, in the same order."""
        one, other = (
            inventory_identity("worker", "workers.connected", 3, worker(), seconds)
            for seconds in (1.0, 1.5)
        )
        self.assertNotEqual(one.parts, other.parts)
        self.assertEqual(one.subject, other.subject)


class Bodies(SynchronousTestCase):
    """What all have in common."""

    def test_origin(self) -> None:
        """A body says what it is, of which cluster, and when that was so."""
        body = Origin("https://ci/", "CI", 1.23456).body("workers", "workers.paused", {"name": "a"})
        self.assertEqual(body["schema"], "workers-1")
        self.assertEqual((body["url"], body["reported_at"]), ("https://ci/", 1.235))

    def test_events_of_the_schemas(self) -> None:
        """The outbox knows the events of the schemas, and no others, as states."""
        named = [body_schema(kind=kind)["properties"]["event"]["enum"] for kind in KINDS[1:]]
        self.assertEqual({event: frozenset(kind) for kind in named for event in kind}, STATES)
