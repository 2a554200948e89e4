"""Reporters and boards of different versions go together, whichever is older."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from attrs import evolve
from jsonschema import Draft202012Validator
from support.commands import temporary_folder
from support.outboxes import result
from support.statuses import NOW, a_body, as_bytes
from support.threads import at_once
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.body import read
from buildbot_http_status_push.board.http.documents import RouteRequest
from buildbot_http_status_push.board.model import Filter
from buildbot_http_status_push.board.pages.pages import Pages
from buildbot_http_status_push.board.store.store import Store
from buildbot_http_status_push.database import file_url

BODIES = Path(__file__).parent / "bodies"
EXAMPLES = Path(__file__).parents[2] / "docs" / "reference" / "examples"
NEW = {"from_the_future": {"nested": [1, None, "text"]}}


class OlderReporterTest(SynchronousTestCase):
    """What the reporter of 9b2229d sent from a real master, six builds with steps and logs."""

    def setUp(self) -> None:
        """Open a board."""
        self.clock = Clock()
        self.clock.advance(NOW)
        folder = temporary_folder(self)
        self.store = Store(self.clock, maybeDeferred, file_url(folder / "board.sqlite"))
        result(Deferred.fromCoroutine(self.store.open()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.close()))
        self.bodies = (BODIES / "from-9b2229d.jsonl").read_bytes().splitlines()

    def page(self, path: str) -> str:
        """Return a page, whose status is 200."""
        pages = Pages(self.store, self.clock.seconds, at_once)
        asked = RouteRequest(path=path, query="", address="http://board/")
        page = result(Deferred.fromCoroutine(pages.page(asked)))
        self.assertEqual(page.status, 200, path)
        return page.body.decode()

    def test_shown(self) -> None:
        """All builds are shown with what they said; what they lack is not shown."""
        for body in self.bodies:
            status = read(body)
            assert status is not None
            result(self.store.put(status))
        finished = [each for each in map(json.loads, self.bodies) if each["complete"]]
        builders = {each.name: each for each in result(self.store.builders(Filter()))}
        self.assertEqual(set(builders), {each["builder"]["name"] for each in finished})
        for each in finished:
            [build] = builders[each["builder"]["name"]].recent
            self.assertEqual(build.results, each["results"])
            self.assertEqual((build.branch, build.worker), ("main", "local"))
        builds = [f"/builds/{build.id}" for each in builders.values() for build in each.recent]
        for path in ("/", "/grid", "/revisions", "/builders/1", *builds):
            words = re.sub(r"<[^>]*>", " ", self.page(path))
            self.assertNotRegex(words, r"\b(None|null|undefined)\b", path)


class NewerReporterTest(SynchronousTestCase):
    """What reporters will send that this board does not know."""

    def test_unknown_keys(self) -> None:
        """Keys that are not known, at whatever depth, change nothing of what is read."""
        body = a_body(changes=[{"changeid": 1, "author": "Ada", "comments": "one"}])
        known, more = read(as_bytes(body)), read(as_bytes(extended(body)))
        assert known is not None
        assert more is not None
        self.assertEqual(evolve(more, body=known.body), known)


class OlderBoardTest(SynchronousTestCase):
    """What the board of 9b2229d reads of bodies."""

    def test_accepted(self) -> None:
        """This version's bodies have it all, in the form that it accepts."""
        schema = json.loads((BODIES / "read-by-9b2229d.json").read_text("utf-8"))
        examples = sorted(EXAMPLES.glob("builds-*.json"))
        self.assertGreaterEqual(len(examples), 2)
        for example in examples:
            body = json.loads(example.read_text("utf-8"))
            found = [each.message for each in Draft202012Validator(schema).iter_errors(body)]
            self.assertEqual(found, [], example.name)

    def test_fixture(self) -> None:
        """That form is the one of the bodies of its time."""
        schema = json.loads((BODIES / "read-by-9b2229d.json").read_text("utf-8"))
        for line in (BODIES / "from-9b2229d.jsonl").read_bytes().splitlines():
            Draft202012Validator(schema).validate(json.loads(line))


def extended(value: Any) -> Any:
    """Return a body with unknown keys in each of its objects, but for the properties."""
    if isinstance(value, list):
        return [extended(each) for each in value]
    if isinstance(value, dict):
        return {
            key: each if key == "properties" else extended(each) for key, each in value.items()
        } | NEW
    return value
