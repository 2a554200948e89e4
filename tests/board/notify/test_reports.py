"""What is remembered of messages, and for how long."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from support.incidents import AT, an_incident
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.notify.announcing import CLOSED, OPEN, Report
from buildbot_http_status_push.board.notify.notify_file import notify_of
from buildbot_http_status_push.board.notify.reports import (
    KEPT_FOR,
    _keep,
    _known,
    forget,
    forget_incidents,
    look,
    open_reports,
    reported_open,
)
from buildbot_http_status_push.board.toml_files import tomllib
from buildbot_http_status_push.database import file_url

FILE = """
[to.chat]
kind = "json"
url = "http://127.0.0.1:1/"
[[rule]]
name = "all"
to = "chat"
wait = "0s"
"""
OLD = Report(state=CLOSED, at=AT, rule="all", messages=2)


class ReportsTest(SynchronousTestCase):
    """The table."""

    def setUp(self) -> None:
        """Open a database."""
        self.database = open_reports(file_url(Path(self.mktemp())))
        self.addCleanup(self.database.close)

    def test_forget(self) -> None:
        """What was sent long ago is forgotten where nothing more can be said of its incident."""
        kept = {
            "": OLD,
            "open": Report(state=OPEN, at=AT),
            "there": OLD,
            "young": Report(state=CLOSED, at=AT + 60),
        }
        gone = {f"i{number}": OLD for number in range(1100)}
        later = AT + KEPT_FOR + 30
        *_, known = self.database.transact(
            [
                partial(_keep, destination="chat", changed={**kept, **gone}),
                partial(forget, there={"there"}, now=later),
                partial(_known, destination="chat"),
            ]
        )
        self.assertEqual(known, kept)

    def test_fault(self) -> None:
        """An incident of which nothing can be said keeps no other one from being reported."""
        notify = notify_of(tomllib.loads(FILE))
        looking = partial(look, notify=notify, steps={}, public_url="https://b.org/", now=AT + 60.0)
        self.database.transact([partial(looking, incidents=[])])
        bad, late = an_incident("bad", places=None), an_incident("late", suspects=None)
        [found] = self.database.transact([partial(looking, incidents=[bad, an_incident(), late])])
        self.assertEqual((found.messages, found.faults.keys()), (1, {"bad", "late"}))
        mended = [an_incident("bad"), an_incident(), an_incident("late")]
        [found] = self.database.transact([partial(looking, incidents=mended)])
        self.assertEqual((found.messages, found.faults), (2, {}))

    def test_gone(self) -> None:
        """Open reports are found for destinations of the file only, and end with their incident."""
        is_open = {"one": Report(state=OPEN, at=AT), "two": Report(state=OPEN, at=AT)}
        found = self.database.transact(
            [
                partial(_keep, destination="chat", changed=is_open),
                partial(_keep, destination="removed", changed={"three": is_open["one"]}),
                partial(reported_open, destinations=["chat", "mail"]),
                partial(forget_incidents, gone=["two"]),
                partial(reported_open, destinations=["chat", "mail"]),
            ]
        )
        self.assertEqual((sorted(found[2]), found[4]), (["one", "two"], ["one"]))
