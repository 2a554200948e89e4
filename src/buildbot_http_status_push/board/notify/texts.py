"""What is said of an incident: every sentence that there is, and the message made of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from attrs import frozen

from buildbot_http_status_push.board.incidents.incident import (
    AGAIN,
    CHANGED,
    FAILURE,
    INFRASTRUCTURE,
    NO_RESULTS,
    RAN,
    REMOVED,
    Incident,
    IncidentReason,
    Place,
)
from buildbot_http_status_push.board.notify.announcing import (
    ANOTHER,
    CLOSED_EVENT,
    COUNTED,
    GROWN,
    OPENED_EVENT,
    PARTIAL,
    Announcement,
)
from buildbot_http_status_push.durations import duration
from buildbot_http_status_push.formats.news import BROKEN, GREEN, RED, YELLOW, Change, News
from buildbot_http_status_push.formats.text import clip, plural
from buildbot_http_status_push.redaction import one_line

WHAT_MOST, WHERE_MOST, STATE_MOST, SUBJECT_MOST, AUTHOR_MOST = 48, 32, 400, 120, 60
"""Characters."""
REVISION_MOST = 12
NAMED = 2
"""Up to so many builders are named; more are a number."""
PREFIX_LEAST = 3
"""Characters that names must have in common to be said to share them."""

USUAL_BRANCHES = {None, "", "main", "master"}
"""What goes without saying."""

JOINED_WITH, PAST = "joined", "past"
SENTENCES = {
    FAILURE: "fails since {since}",
    NO_RESULTS: "has no result since {since}",
    INFRASTRUCTURE: "is in trouble since {since}",
    GROWN: "has stopped spreading: on {count}",
    PARTIAL: "is still there, though over on {over_count}",
    ANOTHER: "fails too: another reason",
    CLOSED_EVENT: "is over since {over}: {ending}",
    PAST: "was bad from {since} to {over}: {ending}",
    JOINED_WITH: "is one incident with another now",
}
"""What follows the title, such as ``test_login (pytest) on linux-gcc``."""
NEW, EARLIER, ROW = "new", "earlier", "row"
TAILS = {
    NEW: "new",
    EARLIER: "seen in {earlier} before",
    ROW: "{bad} bad in a row",
}
"""What follows the first message's sentence, where it is so."""
AGAIN_GOOD = {
    NO_RESULTS: "a result again",
    INFRASTRUCTURE: "good again",
}
"""How it was over where no code is at fault."""
ENDINGS = {
    CHANGED: "good with new changes",
    AGAIN: "passed when built again, with nothing changed",
    RAN: "the step ran to its end without it",
    REMOVED: "builder removed",
}
"""How it was over; on several builders each with their number."""
UNCHANGED, MANY, CLAIM, LIMIT, MORE = "unchanged", "many", "claim", "limit", "more"
NOTES = {
    UNCHANGED: "Nothing has changed since the last good build.",
    MANY: "{count} since the last good build.",
    CLAIM: "{by} is on it{note}.",
    LIMIT: "The rule's limit is reached: other incidents wait.",
    MORE: "And {count}.",
}
"""What follows in a line of its own, where it is so."""
SUMMARY = "open when reporting began: their ends are not reported"
TEST = "This is a test: nothing has happened."
NEVER = {
    "fixed by": "a build shows that something is good, not which change made it so",
    "your change broke": "a build has the changes of several people",
    "caused by": "changes since the last good build are suspects",
    "build failed": "a single build is no news",
}
"""What no message says, and why."""


@frozen(kw_only=True)
class IncidentNews(News):
    """An incident in the shape in which chat formats take news.

    Args:
        sentence: What follows the title; no word of a stranger's.
        tint: The colour: red, green and blue in a byte each.
    """

    sentence: str
    tint: int

    @property
    def word(self) -> str:
        """What follows the title."""
        return self.sentence

    @property
    def colour(self) -> int:
        """The colour."""
        return self.tint


def news_of(announcement: Announcement, link: str, now: float) -> IncidentNews:
    """Return what is said of an incident.

    Args:
        announcement: What to send.
        link: The incident's page.
        now: The time, in seconds since the epoch.
    """
    incident = announcement.incident
    suspects = incident.suspects.changes if announcement.event == OPENED_EVENT else ()
    return IncidentNews(
        occasion=BROKEN,
        title=title_of(announcement),
        url=link,
        state=clip(" ".join(_notes(announcement)), STATE_MOST),
        facts=tuple(_facts(incident)),
        changes=tuple(
            Change(
                subject=clip(each.comment, SUBJECT_MOST),
                author=clip(each.author, AUTHOR_MOST),
                revision=one_line(each.revision or "")[:REVISION_MOST],
                url=each.url,
            )
            for each in suspects
        ),
        left_out=0,
        sentence=_sentence(announcement, now),
        tint=_tint(announcement),
    )


def summary_news(count: int, link: str) -> IncidentNews:
    """Return what is said when a destination is first reported to.

    Args:
        count: How many incidents are open.
        link: The page that lists them.
    """
    return IncidentNews(
        occasion=BROKEN,
        title=plural(count, "incident"),
        url=link,
        state="",
        facts=(),
        changes=(),
        left_out=0,
        sentence=SUMMARY,
        tint=YELLOW,
    )


def kept_back(kept: Sequence[str], ages: Sequence[float]) -> str:
    """Return how many incidents are not reported, and why; empty where there are none.

    Args:
        kept: Why each is kept back, of ``KEPT_BACK``.
        ages: For how many seconds each has been open.
    """
    counts = Counter(each for each in kept if each in COUNTED)
    if not counts:
        return ""
    oldest = max(age for each, age in zip(kept, ages, strict=True) if each in COUNTED)
    parts = (f"{count} {each}" for each, count in counts.most_common())
    return f"held back: {', '.join(parts)}, oldest {duration(oldest)}"


def headline_of(news: IncidentNews) -> str:
    """Return the first line of a message."""
    return f"{news.title} {news.word}"


def title_of(announcement: Announcement) -> str:
    """Return what an incident is about, and where it is."""
    incident = announcement.incident
    is_another = ANOTHER in announcement.changes
    reason = incident.reasons[-1 if is_another else 0] if incident.reasons else None
    places = incident.here if announcement.changes and incident.here else incident.places
    apart = {each.branch for each in places} - USUAL_BRANCHES
    branch = f", branch {clip(min(apart, key=str), WHERE_MOST // 2)}" if len(apart) == 1 else ""
    return f"{_what(incident, reason)} on {where(places)}{branch}"


def thread_of(incident: Incident) -> str:
    """Return what an incident is called as long as it lives: the subject of its mails."""
    reason = incident.reasons[0] if incident.reasons else None
    return f"{_what(incident, reason)}, first on {clip(incident.first.builder_name, WHERE_MOST)}"


def _what(incident: Incident, reason: IncidentReason | None) -> str:
    if incident.cause:
        return clip(incident.cause, WHAT_MOST)
    step = next((each.step for each in incident.places if each.step), None)
    if reason is None:
        return clip(f"step {step}" if step else "build", WHAT_MOST)
    of_step = clip(reason.reason.step, WHAT_MOST // 2)
    text = clip(reason.reason.text, WHAT_MOST - len(of_step))
    return f"{text} ({of_step})" if of_step else text


def where(places: Sequence[Place]) -> str:
    """Return builders by name, or their number and what they share."""
    names = list(dict.fromkeys(each.builder_name for each in places))
    if len(names) == 1:
        return clip(names[0], WHERE_MOST)
    if len(names) <= NAMED:
        return " and ".join(clip(each, WHERE_MOST // 2) for each in names)
    shared = set(places[0].tags).intersection(*(each.tags for each in places))
    prefix = _prefix(min(names), max(names))
    if shared:
        return f"{len(names)} builders tagged {clip(min(shared), WHERE_MOST // 2)}"
    if len(prefix) >= PREFIX_LEAST:
        return f"{len(names)} builders {clip(prefix, WHERE_MOST // 2)}*"
    return f"{len(names)} builders"


def _prefix(one: str, other: str) -> str:
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (here, there) in pairs if here != there), len(one))]


def _sentence(announcement: Announcement, now: float) -> str:
    incident = announcement.incident
    values = {
        "since": moment(incident.opened_at, now),
        "over": moment(incident.over_at or incident.closed_at or incident.opened_at, now),
        "ending": _ending(incident),
        "count": plural(len(incident.places), "builder"),
        "over_count": plural(len(incident.places) - len(incident.here), "builder"),
    }
    if announcement.event == OPENED_EVENT:
        return "; ".join((SENTENCES[incident.kind].format(**values), *_tails(incident)))
    if announcement.event == CLOSED_EVENT:
        key = (
            JOINED_WITH if incident.merged_into else PAST if announcement.is_past else CLOSED_EVENT
        )
        return SENTENCES[key].format(**values)
    return "; ".join(SENTENCES[each].format(**values) for each in announcement.changes)


def _tails(incident: Incident) -> Iterator[str]:
    states = [each.state for each in incident.reasons]
    earlier = max((each.earlier for each in incident.reasons), default=0)
    bad = max(each.bad for each in incident.places)
    if states and all(each == "new" for each in states) and incident.first.was_good:
        yield TAILS[NEW]
    elif earlier:
        yield TAILS[EARLIER].format(earlier=plural(earlier, "breakage"))
    if bad > 1:
        yield TAILS[ROW].format(bad=bad)


def _ending(incident: Incident) -> str:
    counts = {
        each: sum(place.ending == each for place in incident.places)
        for each in ENDINGS
        if each in incident.endings
    }
    if incident.kind in AGAIN_GOOD and REMOVED not in counts:
        return AGAIN_GOOD[incident.kind]
    if len(counts) == 1:
        return ENDINGS[next(iter(counts))]
    return ", ".join(f"{count} {ENDINGS[each]}" for each, count in counts.items())


def _notes(announcement: Announcement) -> Iterator[str]:
    incident = announcement.incident
    if announcement.is_test:
        yield TEST
    if announcement.event == OPENED_EVENT and incident.kind != INFRASTRUCTURE:
        count = incident.suspects.count
        if incident.suspects.is_unchanged:
            yield NOTES[UNCHANGED]
        elif count is not None and count > len(incident.suspects.changes):
            yield NOTES[MANY].format(count=plural(count, "change"))
    if len(incident.reasons) > 1:
        yield NOTES[MORE].format(count=plural(len(incident.reasons) - 1, "more reason"))
    if (claim := incident.claim) is not None and incident.is_open:
        note = f": {claim.note}" if claim.note else ""
        yield NOTES[CLAIM].format(by=claim.by, note=note)
    if announcement.is_last:
        yield NOTES[LIMIT]


def _facts(incident: Incident) -> Iterator[tuple[str, str]]:
    if incident.branch:
        yield "Branch", clip(incident.branch, WHERE_MOST)
    if incident.claim is not None and incident.claim.link:
        yield "Dealt with at", clip(incident.claim.link, STATE_MOST)


def _tint(announcement: Announcement) -> int:
    if announcement.event == CLOSED_EVENT:
        return GREEN
    return YELLOW if PARTIAL in announcement.changes else RED


def moment(at: float, now: float) -> str:
    """Return a time in UTC, with the day where that is another than now's."""
    there, here = (datetime.fromtimestamp(each, timezone.utc) for each in (at, now))
    is_today = there.date() == here.date()
    return f"{there:%H:%M} UTC" if is_today else f"{there:%Y-%m-%d %H:%M} UTC"
