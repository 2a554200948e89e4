"""Where and as whom to send, with all secrets in place. Must not know how requests are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred

from buildbot_http_status_push.wire import urls
from buildbot_http_status_push.wire.proxy_choice import Proxy


class RenderingError(Exception):
    """The URL, the headers or the credentials can't be had now; the text says why."""


@frozen
class Target:
    """Where and as whom to send.

    Args:
        url: The receiver's URL.
        auth: The rendered ``auth=`` option.
        headers: The rendered ``headers=`` option.
        secrets: Every secret value that was used, to be hidden from logs.
        signing_keys: The rendered ``signing_secret=`` option.
        source: The source that requests name as CloudEvents, None where they are none.
        proxy: The proxy to send through, None for none.
    """

    url: str
    auth: object = None
    headers: Mapping[str, str] = field(factory=dict)
    secrets: frozenset[str] = frozenset()
    signing_keys: tuple[str, ...] = ()
    source: str | None = None
    proxy: Proxy | None = None


Render: TypeAlias = Callable[[], Deferred[Target]]


def resolve(target: Target) -> Target:
    """Put the URL as it stands on the wire, and its user info in the place of missing credentials.

    Raises:
        URLError: The URL can't be posted to.
    """
    url = urls.parse(target.url)
    if url.credentials is None:
        return target if url.wire == target.url else evolve(target, url=url.wire)
    user, password = url.credentials
    return evolve(
        target,
        url=url.wire,
        auth=url.credentials if target.auth is None else target.auth,
        secrets=target.secrets | {password or user},
    )
