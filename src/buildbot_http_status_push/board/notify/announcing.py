"""What a destination is sent of an incident, and when. Pure.

For each destination by itself: what was reported opened is reported closed, and nothing else is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from buildbot_http_status_push.board.incidents.incident import (
    ADDED,
    CHANGED,
    INFRASTRUCTURE,
    JOINED,
    OPENED,
    Incident,
    IncidentReason,
    Step,
)
from buildbot_http_status_push.board.notify.quiet_hours import over_at
from buildbot_http_status_push.board.notify.rules import CLAIMED, FLAKY, KNOWN, Rule

OPENED_EVENT = "incident.opened"
CHANGED_EVENT = "incident.changed"
CLOSED_EVENT = "incident.closed"
EVENTS = (OPENED_EVENT, CHANGED_EVENT, CLOSED_EVENT)

GROWN, PARTIAL, ANOTHER = "grown", "partly over", "another reason"
CHANGES = (GROWN, PARTIAL, ANOTHER)
"""In which cases a change is reported."""

OPEN, CLOSED, LEFT_OUT = "open", "closed", "left out"
STATES = (OPEN, CLOSED, LEFT_OUT)

MUTED, COVERED, EARLIER, EARLY, FEW, QUIET, FUSE, NO_RULE, LATE = (
    "muted",
    "covered",
    "earlier",
    "early",
    "few",
    "quiet hours",
    "limit",
    "no rule",
    "late",
)
KEPT_BACK = {
    KNOWN: "a known failure",
    FLAKY: "flaky, at its old rate",
    CLAIMED: "claimed",
    MUTED: "muted by a person",
    COVERED: "covered by an incident of infrastructure",
    EARLIER: "open before reporting began",
    EARLY: "younger than wait",
    FEW: "fewer bad builds in a row than after",
    QUIET: "quiet hours",
    FUSE: "more than at_most within an hour",
    NO_RULE: "no rule is for it",
    LATE: "closed for more than a day",
}
"""Why an incident is not reported (yet), and the words for it."""
COUNTED = (KNOWN, FLAKY, CLAIMED, MUTED, FUSE)
"""The reasons with which an incident is counted as kept back."""
LONGEST_LATE = 86_400.0
"""Seconds after its end for which an incident that was not reported still is."""
HOUR = 3600.0
UNLIKELY = 0.01
"""A flaky line that fails so often in a row with less likelihood fails more than it used to."""


@frozen(kw_only=True)
class Report:
    """What a destination was sent of an incident.

    Args:
        state: One of ``STATES``.
        rule: The name of the rule by which it was reported, empty where it was left out.
        at: When it was first reported, or left out, in seconds since the epoch.
        messages: How many messages there were.
        places: On how many builders it was, by the last message.
        changes: Which of ``CHANGES`` were reported; growth and a repair are reported once.
        signatures: The reasons that it had, by the last message.
    """

    state: str
    at: float
    rule: str = ""
    messages: int = 0
    places: int = 0
    changes: frozenset[str] = frozenset()
    signatures: frozenset[str] = frozenset()


@frozen(kw_only=True)
class Announcement:
    """A message that is to be sent.

    Args:
        event: One of ``EVENTS``.
        incident: The incident as it is.
        changes: Of a change, which of ``CHANGES``.
        is_past: Whether it is over, and was never reported before.
        is_last: Whether the limit is reached with it: others wait.
        number: Its place among the messages of this incident, from 1 on.
        rule: The name of the rule.
        is_test: Whether the incident is made up.
    """

    event: str
    incident: Incident
    changes: tuple[str, ...] = ()
    is_past: bool = False
    is_last: bool = False
    number: int = 1
    rule: str = ""
    is_test: bool = False


@frozen(kw_only=True)
class Decision:
    """What is done about an incident now.

    Args:
        report: What to remember.
        message: What to send, None for nothing.
        kept: Why nothing is sent, one of ``KEPT_BACK``, empty where there is nothing to send.
        again_at: When time alone may change the decision, in seconds since the epoch.
    """

    report: Report | None
    message: Announcement | None = None
    kept: str = ""
    again_at: float | None = None


@frozen(kw_only=True)
class Outlook:
    """What is done about all incidents now.

    Args:
        messages: What to send, in order.
        reports: What to remember of the incidents of which that has changed, by their ids.
        kept: Why nothing is sent of an incident, by its id.
        again_at: When time alone may change the decision, in seconds since the epoch.
    """

    messages: tuple[Announcement, ...]
    reports: Mapping[str, Report]
    kept: Mapping[str, str]
    again_at: float | None


def rule_for(rules: Sequence[Rule], destination: str, incident: Incident) -> Rule | None:
    """Return the first rule for an incident and a destination, None where there is none."""
    ours = (each for each in rules if destination in each.to and each.is_for(incident))
    return next(ours, None)


def announce_all(
    rules: Sequence[Rule],
    destination: str,
    incidents: Iterable[Incident],
    steps: Mapping[str, Sequence[Step]],
    reports: Mapping[str, Report],
    now: float,
) -> Outlook:
    """Decide what a destination is sent now.

    Args:
        rules: All rules, in order.
        destination: Its name.
        incidents: The incidents that are open, and those of which something may be said.
        steps: The steps of an incident's life, by its id; needed where it was reported.
        reports: What the destination was sent, by the incident's id.
        now: The time, in seconds since the epoch.
    """
    lately = Counter(
        each.rule for each in reports.values() if each.messages and each.at > now - HOUR
    )
    messages: list[Announcement] = []
    changed: dict[str, Report] = {}
    kept: dict[str, str] = {}
    moments: list[float] = []
    by_id = {each.id: each for each in incidents}
    for incident in sorted(by_id.values(), key=lambda each: (each.opened_at, each.id)):
        if (cover := by_id.get(incident.covered_by or "")) is not None and cover.is_open:
            kept[incident.id] = COVERED  # its end is said with that of its cause
            continue
        rule, report = rule_for(rules, destination, incident), reports.get(incident.id)
        room = rule.at_most - lately[rule.name] if rule else 0
        found = announce(rule, incident, steps.get(incident.id, ()), report, now, room)
        if found.message is not None:
            messages.append(found.message)
            lately[found.message.rule] += found.message.number == 1
        if found.report is not None and found.report != report:
            changed[incident.id] = found.report
        if found.kept:
            kept[incident.id] = found.kept
        if found.again_at is not None:
            moments.append(found.again_at)
    return Outlook(
        messages=tuple(messages),
        reports=changed,
        kept=kept,
        again_at=min(moments, default=None),
    )


@frozen(kw_only=True)
class Introduction:
    """What a destination begins with.

    Args:
        reports: What to remember of the incidents that are there.
        counted: The open ones that a rule is for.
    """

    reports: Mapping[str, Report]
    counted: tuple[Incident, ...]


def introduce(
    rules: Sequence[Rule], destination: str, incidents: Iterable[Incident], now: float
) -> Introduction:
    """Leave out the incidents that are there when a destination is first reported to.

    Args:
        rules: All rules, in order.
        destination: Its name.
        incidents: The incidents.
        now: The time, in seconds since the epoch.
    """
    there = list(incidents)
    return Introduction(
        reports={each.id: left_out(each, now) for each in there},
        counted=tuple(
            each for each in there if each.is_open and rule_for(rules, destination, each)
        ),
    )


def left_out(incident: Incident, now: float) -> Report:
    """Return what is remembered of an incident of which nothing is said."""
    return Report(
        state=LEFT_OUT, at=now, places=len(incident.places), signatures=_signatures(incident)
    )


def announce(
    rule: Rule | None,
    incident: Incident,
    steps: Sequence[Step],
    report: Report | None,
    now: float,
    room: int,
) -> Decision:
    """Decide what a destination is sent of an incident now.

    Args:
        rule: The rule for it, None where there is none.
        incident: The incident as it is.
        steps: The steps of its life so far.
        report: What the destination was sent of it, None where that is nothing.
        now: The time, in seconds since the epoch.
        room: How many incidents may still be reported within this hour.
    """
    if report is not None and report.state == CLOSED:
        return Decision(report=report)
    if report is not None:  # builders may have been split off
        report = evolve(report, places=min(report.places, len(incident.places)))
    if report is not None and report.state == OPEN:
        return _of_reported(rule, incident, steps, report, now)
    if report is not None and not (incident.is_open and _other_at(incident, steps, report)):
        return Decision(report=report, kept=EARLIER if incident.is_open else "")
    if incident.is_first_start and report is None:
        return Decision(report=left_out(incident, now), kept=EARLIER)
    return _of_unreported(rule, incident, steps, report, now, room)


def _of_unreported(
    rule: Rule | None,
    incident: Incident,
    steps: Sequence[Step],
    report: Report | None,
    now: float,
    room: int,
) -> Decision:
    kept, again_at = _kept(rule, incident, now)
    began = _began(rule, incident, steps, now)
    if incident.is_open:
        if kept or rule is None:
            return Decision(report=report, kept=kept, again_at=again_at)
        if not incident.here:  # it may be red again before it is closed
            return Decision(report=report, kept=EARLY)
        if (due := _due(rule, began + rule.wait, now)) > now:
            is_early = now < began + rule.wait
            return Decision(report=report, kept=EARLY if is_early else QUIET, again_at=due)
        if room < 1:
            return Decision(report=report, kept=FUSE, again_at=now + HOUR / rule.at_most)
        return _send(OPENED_EVENT, OPEN, rule, incident, None, now, is_last=room == 1)
    over = _over(incident)
    if not kept and now > over + LONGEST_LATE:
        kept = LATE
    if kept or rule is None or incident.merged_into is not None:
        return Decision(report=left_out(incident, now), kept=kept)
    if (due := _due(rule, max(began + rule.wait, over + rule.settle), now)) > now:
        return Decision(report=report, kept=EARLY, again_at=due)
    if room < 1:
        return Decision(report=left_out(incident, now), kept=FUSE)
    return _send(CLOSED_EVENT, CLOSED, rule, incident, None, now, is_past=True, is_last=room == 1)


def _of_reported(
    rule: Rule | None, incident: Incident, steps: Sequence[Step], report: Report, now: float
) -> Decision:
    if not incident.is_open:
        settle = 0.0 if rule is None or incident.merged_into else rule.settle
        due = _over(incident) + settle
        due = due if rule is None else _due(rule, due, now)
        if due > now:
            return Decision(report=report, kept=EARLY, again_at=due)
        return _send(CLOSED_EVENT, CLOSED, rule, incident, report, now)
    kept, again_at = _kept(rule, incident, now)
    if rule is None or kept or not incident.here:
        return Decision(report=report, kept=kept, again_at=again_at)
    found = _changes(rule, incident, steps, report)
    if not found:
        return Decision(report=report)
    if (due := _due(rule, min(found.values()), now)) > now:
        return Decision(report=report, kept=EARLY, again_at=due)
    ripe = tuple(change for change, moment in found.items() if moment <= now)
    return _send(CHANGED_EVENT, OPEN, rule, incident, report, now, changes=ripe)


def _changes(
    rule: Rule, incident: Incident, steps: Sequence[Step], report: Report
) -> dict[str, float]:
    """Return what has changed since the last message, and when that can be said."""
    found: dict[str, float] = {}
    if incident.kind == INFRASTRUCTURE:
        return found
    by_hand = {each.builder for each in steps if each.kind == JOINED and each.by}
    joined = [
        each.since
        for each in incident.places[report.places :]
        if not each.is_parent and each.builder_name not in by_hand
    ]
    # Where a machine is at fault, an incident of infrastructure will cover this one.
    if (
        joined
        and GROWN not in report.changes
        and not any(each.is_of_machine for each in incident.places)
    ):
        # After several more may follow: many builders don't fail at once.
        found[GROWN] = max(joined) + (rule.wait if len(joined) == 1 else rule.settle)
    mended = [each.over_at for each in incident.places if each.ending == CHANGED and each.over_at]
    if mended and PARTIAL not in report.changes:
        found[PARTIAL] = max(mended) + rule.settle
    if (at := _other_at(incident, steps, report)) is not None:
        found[ANOTHER] = at
    return found


def _began(rule: Rule | None, incident: Incident, steps: Sequence[Step], now: float) -> float:
    """Return since when there is something to say: its first reason without an excuse counts."""
    opened = (each.at for each in steps if each.kind == OPENED)
    moment = next(opened, float(incident.opened_at))
    added = {each.about: each.at for each in steps if each.kind == ADDED}
    for each in incident.reasons:
        alone = evolve(incident, reasons=(each,))
        if rule is None or not _excuse(rule, alone, now):
            return added.get(each.reason.text, moment)
    return moment


def _kept(rule: Rule | None, incident: Incident, now: float) -> tuple[str, float | None]:
    """Return why nothing is said of an incident, and until when if time alone changes that."""
    if rule is None:
        return NO_RULE, None
    if incident.muted_until is not None and now < incident.muted_until:
        return MUTED, incident.muted_until
    # One that goes on after its cause is over speaks for itself.
    if incident.covered_by is not None and not incident.is_open:
        return COVERED, None
    if excuse := _excuse(rule, incident, now):
        return excuse, _known_until(incident, now) if excuse == KNOWN else None
    if max(each.bad for each in incident.places) < rule.after:
        return FEW, None
    return "", None


def _excuse(rule: Rule, incident: Incident, now: float) -> str:
    if KNOWN in rule.unless and incident.is_known and _known_until(incident, now) > now:
        return KNOWN
    if CLAIMED in rule.unless and is_claimed(incident):
        return CLAIMED
    if FLAKY in rule.unless and is_flaky(incident):
        return FLAKY
    return ""


def _known_until(incident: Incident, now: float) -> float:
    """Return until when all reasons are known, as far as is written down now."""
    untils = [each.known.until for each in incident.reasons if each.known and each.known.until]
    return min(untils, default=now + LONGEST_LATE)


def is_claimed(incident: Incident) -> bool:
    """Return whether a claim covers all reasons: what came later is not what was claimed."""
    return incident.claim is not None and _signatures(incident) <= incident.claim.signatures


def is_flaky(incident: Incident) -> bool:
    """Return whether all lines are flaky, and fail no more than they used to."""
    bad = sum(each.bad for each in (incident.here or incident.places))
    return bool(incident.reasons) and all(_is_at_old_rate(each, bad) for each in incident.reasons)


def _is_at_old_rate(reason: IncidentReason, bad: int) -> bool:
    if not reason.passed:
        return False
    failed = reason.rebuilt - reason.passed
    # The rule of succession: few observations don't make anything certain.
    rate = (failed + 1) / (reason.rebuilt + 2)
    return rate ** max(bad - 1, 0) >= UNLIKELY


def _other_at(incident: Incident, steps: Sequence[Step], report: Report) -> float | None:
    """Return when a reason came up that was not reported; what a person joined is none."""
    new = {
        each.reason.text
        for each in incident.reasons
        if each.reason.signature not in report.signatures
    }
    added = (each.at for each in steps if each.kind == ADDED and each.about in new)
    return max(added, default=None)


def _signatures(incident: Incident) -> frozenset[str]:
    return frozenset(each.reason.signature for each in incident.reasons)


def _over(incident: Incident) -> float:
    """Return when it was over; one that a person has joined with another, when that was."""
    moments = (incident.over_at, incident.closed_at, incident.opened_at)
    return float(next(each for each in moments if each is not None))


def _due(rule: Rule, moment: float, now: float) -> float:
    """Return when a message is sent that is due at a moment: not in quiet hours."""
    due = max(moment, now)
    return over_at(rule.quiet_hours, due) or due


def _send(
    event: str,
    state: str,
    rule: Rule | None,
    incident: Incident,
    report: Report | None,
    now: float,
    *,
    changes: tuple[str, ...] = (),
    is_past: bool = False,
    is_last: bool = False,
) -> Decision:
    before = report or Report(state=state, at=now)
    name = before.rule if rule is None else rule.name
    after = evolve(
        before,
        state=state,
        rule=name,
        messages=before.messages + 1,
        places=len(incident.places),
        changes=before.changes | set(changes),
        signatures=before.signatures | _signatures(incident),
    )
    message = Announcement(
        event=event,
        incident=incident,
        changes=changes,
        is_past=is_past,
        is_last=is_last,
        number=after.messages,
        rule=name,
    )
    return Decision(report=after, message=message)
