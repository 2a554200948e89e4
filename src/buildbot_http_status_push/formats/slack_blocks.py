"""A build as a Slack message: a line of text, and blocks beside a bar of the result's colour.

Slack's own rules: https://docs.slack.dev/reference/block-kit/blocks/section-block and
https://docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import frozen

from buildbot_http_status_push.formats.news import NO_COMMENT, Change, Format, News
from buildbot_http_status_push.formats.text import link

MARKUP = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
"""The three signs to escape for Slack, and no others: all mentions and links begin with <."""


@frozen
class Slack(Format):
    """Makes messages for Slack's incoming webhooks and for its method ``chat.postMessage``.

    Args:
        on: Builds to report.
        channel: A channel's name or id, or a user's id, for ``chat.postMessage``. A webhook has
            a channel of its own.
    """

    service: ClassVar[str] = "slack"

    channel: str | None = None

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON."""
        where = {} if self.channel is None else {"channel": self.channel}
        attachment = {"color": f"#{news.colour:06x}", "blocks": list(_blocks(news))}
        return {**where, "text": _headline(news), "attachments": [attachment]}

    def faults(self) -> Iterator[str]:
        """Yield every fault of what it was given."""
        yield from super().faults()
        if self.channel is not None and (not isinstance(self.channel, str) or not self.channel):
            yield f"channel is {self.channel!r}: write a name or an id, such as '#builds'"


def _headline(news: News) -> str:
    return f"*{_link(news.title, news.url)}* {news.word}"


def _link(text: str, url: str | None) -> str:
    escaped, safe = text.translate(MARKUP), link(url, MARKUP)
    return f"<{safe}|{escaped}>" if safe else escaped


def _blocks(news: News) -> Iterator[dict[str, Any]]:
    if news.state:
        yield {"type": "section", "text": _text(news.state.translate(MARKUP))}
    for change in news.changes:
        yield {"type": "section", "text": _text(_change(change))}
    facts = [f"{label}: {value.translate(MARKUP)}" for label, value in news.facts]
    if news.more:
        facts.append(news.more)
    # An attachment without any block is refused.
    lines = [_text(each) for each in facts or [news.word]]
    yield {"type": "context", "elements": lines}


def _change(change: Change) -> str:
    revision = f"{_link(change.revision, change.url)} " if change.revision else ""
    author = f" — {change.author.translate(MARKUP)}" if change.author else ""
    return f"{revision}{change.subject.translate(MARKUP) or NO_COMMENT}{author}"


def _text(text: str) -> dict[str, Any]:
    # Slack else looks for URLs and names of channels in it by itself.
    return {"type": "mrkdwn", "text": text, "verbatim": True}
