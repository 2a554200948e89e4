"""A build as an Adaptive Card, as a Teams workflow takes it.

Texts stand in text runs, which know no markup, so that nothing in them needs an escape. The rules:
https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
and https://adaptivecards.io/explorer/TextRun.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import frozen

from buildbot_http_status_push.formats.news import (
    GREEN,
    NO_COMMENT,
    PURPLE,
    RED,
    YELLOW,
    Change,
    Format,
    News,
)
from buildbot_http_status_push.formats.text import link

STYLES = {GREEN: "good", YELLOW: "warning", RED: "attention", PURPLE: "attention"}
"""A card has no colours of one's own: the reader's theme has one for each of these."""

Element = dict[str, Any]


@frozen
class Teams(Format):
    """Makes messages for a Teams workflow that posts what a webhook receives.

    Args:
        on: Builds to report.
    """

    service: ClassVar[str] = "teams"

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON."""
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": list(_body(news)),
            "msteams": {"width": "Full"},
        }
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card,
        }
        return {"type": "message", "attachments": [attachment]}


def _body(news: News) -> Iterator[Element]:
    head = _line(
        _run(news.title, news.url, weight="Bolder"), _run(f" {news.word}", weight="Bolder")
    )
    yield {
        "type": "Container",
        "style": STYLES.get(news.colour, "emphasis"),
        "bleed": True,
        "items": [head],
    }
    if news.state:
        yield _line(_run(news.state))
    for change in news.changes:
        yield _line(*_change(change))
    facts = [f"{label}: {value}" for label, value in news.facts]
    if news.more:
        facts.append(news.more)
    if facts:
        yield _line(_run(" · ".join(facts), isSubtle=True, size="Small"))


def _line(*runs: Element) -> Element:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _run(text: str, url: str | None = None, **style: object) -> Element:
    safe = link(url)
    action = {"selectAction": {"type": "Action.OpenUrl", "url": safe}} if safe else {}
    return {"type": "TextRun", "text": text, **style, **action}


def _change(change: Change) -> Iterator[Element]:
    if change.revision:
        yield _run(f"{change.revision} ", change.url, fontType="Monospace")
    yield _run(change.subject or NO_COMMENT)
    if change.author:
        yield _run(f" — {change.author}", isSubtle=True)
