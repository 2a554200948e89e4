"""A build as a message of a Mattermost incoming webhook: one attachment.

Mattermost's own rules: https://developers.mattermost.com/integrate/webhooks/incoming/ and
https://developers.mattermost.com/integrate/reference/message-attachments/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import frozen

from buildbot_http_status_push.formats.news import Change, Format, News
from buildbot_http_status_push.formats.text import escapes, link

NO_MENTIONS = {ord("@"): "@\u200b"}
MARKUP = escapes("\\*_~`|>#[]()<!{}+-") | NO_MENTIONS
"""A mention is looked for in what remains when backslashes are gone, so that they don't help
against one: a space of no width does."""


@frozen
class Mattermost(Format):
    """Makes messages for Mattermost's incoming webhooks. Nobody is ever pinged by them.

    Args:
        on: Builds to report.
        channel: A channel's name, or ``@`` and a user's name, instead of the webhook's own.
        username: The name that stands over the message, where the server allows that.
    """

    service: ClassVar[str] = "mattermost"

    channel: str | None = None
    username: str | None = None

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON."""
        named = {"channel": self.channel, "username": self.username}
        attachment = {
            "fallback": f"{news.title} {news.word}".translate(NO_MENTIONS),
            "color": f"#{news.colour:06x}",
            "text": "\n".join(_lines(news)),
            "fields": [
                {"title": label, "value": value.translate(MARKUP), "short": True}
                for label, value in news.facts
            ],
        }
        given = {name: value for name, value in named.items() if value is not None}
        return {**given, "attachments": [attachment]}

    def faults(self) -> Iterator[str]:
        """Yield every fault of what it was given."""
        yield from super().faults()
        if self.channel is not None and not _is_text(self.channel):
            yield f"channel is {self.channel!r}: write a name such as 'builds' or '@user'"
        if self.username is not None and not _is_text(self.username):
            yield f"username is {self.username!r}: write a name such as 'Buildbot'"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _lines(news: News) -> Iterator[str]:
    yield f"**{_link(news.title, news.url)}** {news.word}"
    if news.state:
        yield news.state.translate(MARKUP)
    yield from map(_change, news.changes)
    if news.more:
        yield news.more


def _link(text: str, url: str | None) -> str:
    escaped, safe = text.translate(MARKUP), link(url)
    return f"[{escaped}]({safe})" if safe and escaped else escaped


def _change(change: Change) -> str:
    author = f"— {change.author.translate(MARKUP)}" if change.author else ""
    parts = (_link(change.revision, change.url), change.subject.translate(MARKUP), author)
    return "- " + " ".join(part for part in parts if part)
