"""A build as a message of a Discord webhook: one embed.

Discord's own rules: https://discord.com/developers/docs/resources/message#embed-object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from attrs import frozen

from buildbot_http_status_push.formats.news import Change, Format, News
from buildbot_http_status_push.formats.text import escapes, length, link

MARKUP = escapes("\\*_~`|>#[]()<@:-")
USERNAME_MOST = 80
RESERVED = ("clyde", "discord")


@frozen
class Discord(Format):
    """Makes messages for Discord's webhooks. Nobody is ever pinged by them.

    Args:
        on: Builds to report.
        username: The name that stands over the message, instead of the webhook's own.
    """

    service: ClassVar[str] = "discord"

    username: str | None = None

    def message(self, news: News) -> dict[str, Any]:
        """Return the message's JSON."""
        who = {} if self.username is None else {"username": self.username}
        return {**who, "embeds": [_embed(news)], "allowed_mentions": {"parse": []}}

    def faults(self) -> Iterator[str]:
        """Yield every fault of what it was given."""
        yield from super().faults()
        if self.username is not None and not _is_username(self.username):
            yield (
                f"username is {self.username!r}: Discord takes 1 to {USERNAME_MOST} characters "
                f"without the words {' and '.join(RESERVED)}"
            )


def _is_username(name: object) -> bool:
    if not isinstance(name, str) or not 1 <= length(name.strip()) <= USERNAME_MOST:
        return False
    return not any(word in name.lower() for word in RESERVED)


def _embed(news: News) -> dict[str, Any]:
    url = _link(news.url)
    fields = [
        {"name": label, "value": value.translate(MARKUP), "inline": True}
        for label, value in news.facts
    ]
    return {
        "title": f"{news.title.translate(MARKUP)} {news.word}",
        **({"url": url} if url else {}),
        "color": news.colour,
        "description": "\n".join(_lines(news)),
        "fields": fields,
    }


def _link(url: str | None) -> str | None:
    # Discord rejects the whole message where the embed's URL has a host such as localhost.
    return link(url, dotted=True)


def _lines(news: News) -> Iterator[str]:
    if news.state:
        yield news.state.translate(MARKUP)
    for change in news.changes:
        yield _change(change)
    if news.more:
        yield news.more


def _change(change: Change) -> str:
    revision, url = change.revision.translate(MARKUP), _link(change.url)
    shown = f"[{revision}]({url})" if url and revision else revision
    author = f"— {change.author.translate(MARKUP)}" if change.author else ""
    return " ".join(part for part in (shown, change.subject.translate(MARKUP), author) if part)
