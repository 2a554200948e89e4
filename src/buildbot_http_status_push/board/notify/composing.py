"""From an announcement to the bytes that are kept and sent. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any

from attrs import frozen

from buildbot_http_status_push.board.incidents.incident import IncidentReason, Place
from buildbot_http_status_push.board.notify.announcing import Announcement
from buildbot_http_status_push.board.notify.texts import (
    IncidentNews,
    headline_of,
    news_of,
    summary_news,
    thread_of,
)
from buildbot_http_status_push.formats.discord_embed import Discord
from buildbot_http_status_push.formats.mattermost_post import Mattermost
from buildbot_http_status_push.formats.news import Change
from buildbot_http_status_push.formats.slack_blocks import Slack
from buildbot_http_status_push.formats.teams_card import Teams
from buildbot_http_status_push.model import Delivery

JSON_TYPE, MAIL_TYPE = "application/json", "message/rfc822"
CHATS = {each.service: each() for each in (Slack, Mattermost, Discord, Teams)}
JSON_KIND, MAIL_KIND = "json", "mail"
KINDS = (*CHATS, JSON_KIND, MAIL_KIND)
"""What a destination may be."""
SUMMARY_EVENT = "incident.summary"
VERSION = 1
PLACES_MOST, REASONS_MOST = 200, 50
"""How many of them a body has at most; their numbers are always right."""


@frozen(kw_only=True)
class Envelope:
    """From whom a mail is, and to whom.

    Args:
        sender: Its ``From``.
        recipient: Its ``To``; each of several gets a mail of its own, as one may be refused.
    """

    sender: str
    recipient: str


@frozen(kw_only=True)
class Addressee:
    """For whom a message is made.

    Args:
        name: The destination's name.
        kind: What it is, one of ``KINDS``.
        envelope: Of mail, from whom and to whom.
    """

    name: str
    kind: str
    envelope: Envelope | None = None

    @property
    def key(self) -> str:
        """What distinguishes it from all others."""
        return self.name if self.envelope is None else f"{self.name} {self.envelope.recipient}"


def delivery_of(announcement: Announcement, to: Addressee, public_url: str, now: float) -> Delivery:
    """Return what is kept and sent of an incident.

    Args:
        announcement: What to say.
        to: For whom.
        public_url: The board's URL, as readers reach it, with a slash at the end.
        now: The time, in seconds since the epoch.
    """
    incident = announcement.incident
    news = news_of(announcement, f"{public_url}incidents/{incident.id}", now)
    return _delivery(
        to,
        incident.id,
        announcement.number,
        announcement.event,
        news,
        content_of(announcement, news, now),
        thread_of(incident),
        now,
    )


def summary_of(count: int, to: Addressee, public_url: str, now: float) -> Delivery:
    """Return what is kept and sent when a destination is first reported to.

    Args:
        count: How many incidents are open.
        to: For whom.
        public_url: The board's URL, as readers reach it, with a slash at the end.
        now: The time, in seconds since the epoch.
    """
    news = summary_news(count, f"{public_url}incidents")
    content = {
        "version": VERSION,
        "type": SUMMARY_EVENT,
        "at": now,
        "text": headline_of(news),
        "count": count,
        "url": news.url,
    }
    return _delivery(to, SUMMARY_EVENT, 1, SUMMARY_EVENT, news, content, news.title, now)


def _delivery(
    to: Addressee,
    about: str,
    number: int,
    event: str,
    news: IncidentNews,
    content: Mapping[str, Any],
    thread: str,
    now: float,
) -> Delivery:
    first, own = (message_id(to.key, about, each) for each in (1, number))
    if to.envelope is not None:
        body = _mail(news, to.envelope, thread, first, own, now)
    elif to.kind == JSON_KIND:
        body = _json(content)
    else:
        body = _json(CHATS[to.kind].message(news))
    lane = f"{to.key} {about}"
    title = f"{event} {about}"
    return Delivery(
        id=own,
        lane=lane,
        group=lane,
        subject=own,
        event=event,
        title=title if to.envelope is None else f"{title} to {to.envelope.recipient}",
        content_type=JSON_TYPE if to.envelope is None else MAIL_TYPE,
        body=body,
    )


def message_id(addressee: str, incident: str, number: int) -> str:
    """Return a message's id: the same whoever makes it, and however often."""
    named = json.dumps([addressee, incident, number]).encode()
    return f"msg_{hashlib.sha256(named).hexdigest()[:32]}"


def content_of(announcement: Announcement, news: IncidentNews, now: float) -> dict[str, Any]:
    """Return the body that a program takes; the schema is ``schemas/incident-1.json``."""
    incident = announcement.incident
    claim = incident.claim
    return {
        "version": VERSION,
        "type": announcement.event,
        "at": now,
        "rule": announcement.rule,
        "text": headline_of(news),
        "changes": list(announcement.changes),
        "is_past": announcement.is_past,
        "incident": {
            "id": incident.id,
            "url": news.url,
            "kind": incident.kind,
            "master": incident.cluster,
            "branch": incident.branch,
            "cause": incident.cause,
            "opened_at": incident.opened_at,
            "over_at": incident.over_at,
            "closed_at": incident.closed_at,
            "merged_into": incident.merged_into,
            "builders": [_place(each) for each in incident.places[:PLACES_MOST]],
            "builders_count": len(incident.places),
            "reasons": [_reason(each) for each in incident.reasons[:REASONS_MOST]],
            "reasons_count": len(incident.reasons),
            "suspects": {
                "count": incident.suspects.count,
                "is_unchanged": incident.suspects.is_unchanged,
                "changes": [
                    {
                        "author": each.author,
                        "comment": each.comment,
                        "revision": each.revision,
                        "url": each.url,
                    }
                    for each in incident.suspects.changes
                ],
            },
            "claim": None
            if claim is None
            else {"by": claim.by, "at": claim.at, "note": claim.note, "link": claim.link},
        },
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "builder": place.builder_name,
        "branch": place.branch,
        "tags": list(place.tags),
        "step": place.step,
        "worker": place.worker,
        "bad_builds": place.bad,
        "first_bad": {"number": place.first_bad.number, "url": place.first_bad.url},
        "last_bad": {"number": place.last_bad.number, "url": place.last_bad.url},
        "over_at": place.over_at,
        "ending": place.ending,
    }


def _reason(each: IncidentReason) -> dict[str, Any]:
    return {
        "signature": each.reason.signature,
        "step": each.reason.step,
        "text": each.reason.text,
        "is_test": each.reason.rule == "test",
        "state": each.state,
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _mail(
    news: IncidentNews, envelope: Envelope, thread: str, first: str, own: str, now: float
) -> bytes:
    """Return a mail; all of an incident are one thread (RFC 5322, 3.6.4)."""
    domain = envelope.sender.rpartition("@")[2].strip("<> ")
    mail = EmailMessage(policy=SMTP)
    # What looks like an encoded word (RFC 2047) would be decoded: it may hold line ends, of which
    # older versions of Python make headers.
    plain = thread.replace("=?", "= ?")
    mail["Subject"] = plain if own == first else f"Re: {plain}"
    mail["From"] = envelope.sender
    mail["To"] = envelope.recipient
    mail["Date"] = format_datetime(datetime.fromtimestamp(now, timezone.utc))
    mail["Message-ID"] = f"<{own}@{domain}>"
    if own != first:
        mail["In-Reply-To"] = mail["References"] = f"<{first}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    # In base64 no line begins with a dot, which SMTP would have doubled.
    mail.set_content("\n".join(_lines(news)), cte="base64")
    return mail.as_bytes()


def _lines(news: IncidentNews) -> list[str]:
    lines = [headline_of(news), "", *([news.state] if news.state else [])]
    lines += [f"- {_change(each)}" for each in news.changes]
    lines += [f"{label}: {value}" for label, value in news.facts]
    return [*lines, "", news.url or ""]


def _change(change: Change) -> str:
    author = f"({change.author})" if change.author else ""
    return " ".join(each for each in (change.revision, change.subject, author) if each)
