"""What a destination is sent, in cases that no history has."""

from __future__ import annotations

from attrs import evolve
from support.incidents import AT, a_build, an_incident, over
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.incident import Incident
from buildbot_http_status_push.board.notify.announcing import (
    CHANGED_EVENT,
    COVERED,
    GROWN,
    OPEN,
    OPENED_EVENT,
    Outlook,
    Report,
    announce_all,
)
from buildbot_http_status_push.board.notify.rules import Rule

RULE = Rule(name="all", to=("chat",), wait=0.0)
LATER = AT + 3600.0


def at_later(
    *incidents: Incident,
    reports: dict[str, Report] | None = None,
) -> Outlook:
    """Return what is decided an hour after all began."""
    return announce_all((RULE,), "chat", incidents, {}, reports or {}, LATER)


class AnnouncingTest(SynchronousTestCase):
    """Decisions."""

    def test_covered(self) -> None:
        """An incident that goes on after its cause is over is reported, one that does not isn't."""
        cause = an_incident("cause")
        covered = an_incident("covered", covered_by="cause")
        self.assertEqual(at_later(cause, covered).kept, {"covered": COVERED})
        found = at_later(
            over(cause, AT + 60), covered, reports={"cause": Report(state=OPEN, at=AT)}
        )
        self.assertIn((OPENED_EVENT, "covered"), _said(found))
        ended = at_later(over(cause, AT + 60), over(covered, AT + 60))
        self.assertEqual(ended.kept, {"covered": COVERED})

    def test_grown_after_split(self) -> None:
        """A builder that joins after others were split off is reported."""
        report = Report(state=OPEN, at=AT, rule="all", messages=1, places=3)
        small = an_incident()
        reports = {"i1": evolve(report, signatures=small.places[0].signatures)}
        split = at_later(small, reports=reports)
        self.assertEqual((_said(split), split.reports["i1"].places), ([], 1))
        other = evolve(
            small.places[0], builder=2, builder_name="mac", first_bad=a_build(8, AT + 1200)
        )
        grown = evolve(small, places=(*small.places, other))
        found = at_later(grown, reports={**reports, **split.reports})
        self.assertEqual(_said(found), [(CHANGED_EVENT, "i1")])
        self.assertEqual(found.messages[0].changes, (GROWN,))


def _said(outlook: Outlook) -> list[tuple[str, str]]:
    return [(each.event, each.incident.id) for each in outlook.messages]
