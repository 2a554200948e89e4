"""Puts secrets and other renderables in place, anew for every attempt.

One of the few modules that know Buildbot; must not know how requests are made.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field
from buildbot.interfaces import IRenderable
from buildbot.process.properties import Properties
from twisted.internet.defer import Deferred, FirstError, ensureDeferred
from twisted.logger import Logger

from buildbot_http_status_push import auth as authentication
from buildbot_http_status_push.client import RenderingError, Target
from buildbot_http_status_push.options import OptionError, Options, check_headers, check_url


def is_renderable(value: object) -> bool:
    """Tell whether a value is only known when the master runs."""
    return bool(IRenderable.providedBy(value))


class _NotingProperties(Properties):  # type: ignore[misc]  # Buildbot has no types
    """Properties that note every secret that is used, so that logs can hide it."""

    def __init__(self, master: Any) -> None:
        super().__init__()
        self.master = master
        self.secrets: set[str] = set()

    def useSecret(self, secret_value: str, secret_name: str) -> None:  # noqa: N802 - Buildbot's name
        self.secrets.add(secret_value)
        super().useSecret(secret_value, secret_name)


async def render(master: Any, value: object) -> tuple[Any, frozenset[str]]:
    """Render a value.

    Args:
        master: The Buildbot master, whose secret providers are asked.
        value: The value, renderables at any depth.

    Returns:
        The rendered value, and every secret that was used for it.

    Raises:
        RenderingError: A secret can't be had; the text says which and why.
    """
    properties = _NotingProperties(master)
    try:
        rendered = await properties.render(value)
    except Exception as trouble:  # providers are anybody's code
        raise RenderingError(f"a secret or renderable can't be had: {_words(trouble)}") from trouble
    return rendered, frozenset(properties.secrets)


def _words(trouble: BaseException | None) -> str:
    while isinstance(trouble, FirstError):
        trouble = trouble.subFailure.value
    return f"{type(trouble).__name__}: {trouble}"


@define
class Renderer:
    """Yields the target of one configuration.

    Args:
        master: The Buildbot master.
        options: The options as configured.
        name: The reporter's name, for log lines.
        log: Where warnings go.
    """

    master: Any
    options: Options
    name: str
    log: Logger
    _warned: bool = field(default=False, init=False)

    def __call__(self) -> Deferred[Target]:
        """Render the URL, the credentials and the headers.

        Returns:
            The target, or a failure with ``RenderingError``.
        """
        return ensureDeferred(self._target())

    async def _target(self) -> Target:
        unrendered = (self.options.serverUrl, self.options.auth, self.options.headers)
        (url, auth, headers), secrets = await render(self.master, unrendered)
        target = _checked(url, auth, headers, secrets)
        self._warn_of_plain_http(target)
        return target

    def _warn_of_plain_http(self, target: Target) -> None:
        parts = urlsplit(target.url)
        credentials = target.auth is not None or "@" in parts.netloc
        if (
            self._warned
            or not credentials
            or parts.scheme == "https"
            or _is_loopback(parts.hostname)
        ):
            return
        self._warned = True
        self.log.warn(
            "{name}: credentials go over plain http to {host}, where others can read them: "
            "use an https serverUrl",
            name=self.name,
            host=parts.hostname,
        )


def _checked(url: object, auth: object, headers: object, secrets: frozenset[str]) -> Target:
    try:
        checked_url, checked_headers = check_url(url), check_headers(headers)
    except OptionError as trouble:
        raise RenderingError(str(trouble)) from None
    if fault := authentication.fault(auth, lambda _: False):
        raise RenderingError(fault)
    pair = auth if isinstance(auth, tuple | list) else ()
    own = {each if isinstance(each, str) else each.decode("utf-8", "replace") for each in pair[1:]}
    return Target(checked_url, auth, checked_headers, secrets | own)


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
