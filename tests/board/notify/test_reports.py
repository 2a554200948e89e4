"""What is remembered of messages, and for how long."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from support.incidents import AT
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.notify.announcing import CLOSED, OPEN, Report
from buildbot_http_status_push.board.notify.reports import (
    KEPT_FOR,
    _keep,
    _known,
    forget,
    open_reports,
)
from buildbot_http_status_push.database import file_url

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
