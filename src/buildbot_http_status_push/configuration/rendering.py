"""Puts secrets and other renderables in place, anew for every attempt.

One of the few modules that know Buildbot; must not know how requests are made.
"""

from __future__ import annotations

import copy
import ipaddress
import os
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, evolve, field
from buildbot.interfaces import IRenderable
from buildbot.process.properties import Properties
from buildbot.secrets.providers.file import SecretInAFile
from twisted.internet.defer import CancelledError, Deferred, FirstError, ensureDeferred, succeed
from twisted.logger import Logger

from buildbot_http_status_push.configuration import conflicts
from buildbot_http_status_push.configuration.options import (
    OptionError,
    Options,
    check_headers,
    check_proxy,
    check_signing_keys,
    check_url,
)
from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.wire import auth as authentication
from buildbot_http_status_push.wire.proxy_choice import find_proxy
from buildbot_http_status_push.wire.target import RenderingError, Target
from buildbot_http_status_push.wire.urls import URLError, parse

FILES_AGE = 1.0
"""Seconds for which the values of secrets in files are used before they are read again."""


def is_renderable(value: object) -> bool:
    """Return whether a value is only known when the master runs."""
    return bool(IRenderable.providedBy(value))


class NeedsBuildError(Exception):
    """A renderable asks for something of a build, where there is none."""


class _NotingProperties(Properties):  # type: ignore[misc]  # Buildbot has no types
    """Properties that note every secret that is used, so that logs can hide it."""

    def __init__(self, master: Any) -> None:
        super().__init__()
        self.master = master
        self.secrets: set[str] = set()

    def useSecret(self, secret_value: str, secret_name: str) -> None:  # noqa: N802 - Buildbot's name
        self.secrets.add(secret_value)
        super().useSecret(secret_value, secret_name)

    def getProperty(self, name: str, default: Any = None) -> Any:  # noqa: N802 - Buildbot's name
        if default is None:
            raise NeedsBuildError(f"property {name!r}")
        return super().getProperty(name, default)


async def render_as_buildbot(master: Any, values: Mapping[str, object]) -> dict[str, Any]:
    """Render options as Buildbot renders the secrets of its own services, failures included."""
    properties = Properties()
    properties.master = master
    return {name: await properties.render(value) for name, value in values.items()}


async def render(master: Any, value: object) -> tuple[Any, frozenset[str]]:
    """Render a value.

    Returns:
        The rendered value, and every secret that was used for it.

    Raises:
        RenderingError: A secret can't be had; the text says which and why.
    """
    properties = _NotingProperties(master)
    try:
        rendered = await _deep(properties, value)
    except Exception as trouble:  # providers are anybody's code
        words = Mask(properties.secrets).text(_explain(trouble))
        raise RenderingError(f"a secret or renderable {words}") from trouble
    return rendered, frozenset(properties.secrets)


def read_secret_files(master: Any) -> list[str]:
    """Read the files of all ``SecretInAFile`` providers again.

    Buildbot reads them when the master starts; ``buildbot reconfig`` skips a provider whose
    own options are unchanged, whatever its files hold.

    Returns:
        What could not be read, a text for each provider, which keeps the values that it had.
    """
    found = (_read_again(each) for each in _providers(master) if isinstance(each, SecretInAFile))
    return [each for each in found if each is not None]


def _providers(master: Any) -> Iterator[Any]:
    yield from getattr(master.namedServices.get("secrets"), "services", ())


def _read_again(provider: Any) -> str | None:
    # A copy reads, since the provider forgets all that it knows before it opens a file.
    reader = copy.copy(provider)
    try:
        reader.reconfigService(*provider._config_args, **provider._config_kwargs)
    except (OSError, ValueError) as trouble:  # ValueError: it is no UTF-8
        return f"{provider.name}: {type(trouble).__name__}: {trouble}"
    provider.secrets = reader.secrets
    return None


async def _deep(properties: Properties, value: object) -> Any:
    # Element by element: of a container, Buildbot 4.0 logs the failure of one as unhandled.
    if isinstance(value, tuple | list):
        return type(value)([await _deep(properties, each) for each in value])
    return await properties.render(value) if is_renderable(value) else value


def _root(trouble: BaseException | None) -> BaseException | None:
    while isinstance(trouble, FirstError):
        trouble = trouble.subFailure.value
    return trouble


def _explain(trouble: BaseException | None) -> str:
    trouble = _root(trouble)
    if isinstance(trouble, CancelledError):
        return "did not come in time"
    if isinstance(trouble, NeedsBuildError):
        return f"asks for the {trouble}, which needs a build: options are rendered without one"
    return f"can't be had: {type(trouble).__name__}: {trouble}"


@define
class Renderer:
    """Yields the target of one configuration."""

    master: Any
    options: Options
    name: str
    log: Logger
    _warned: bool = field(default=False, init=False)
    _read_at: float = field(default=-FILES_AGE, init=False)
    _unread: list[str] = field(factory=list, init=False)
    _unknown: list[str] = field(factory=list, init=False)
    _fixed: Target | None = field(default=None, init=False)

    def __call__(self) -> Deferred[Target]:
        """Render the URL, the credentials and the headers; fails with ``RenderingError``."""
        return ensureDeferred(self._target()) if self._fixed is None else succeed(self._fixed)

    async def _target(self) -> Target:
        options = self.options
        unrendered = (options.serverUrl, options.auth)
        given = (unrendered, options.signing_secret, options.headers, options.proxy)
        has_renderables = _holds_renderables(given)
        if has_renderables:
            self._read_files()
        (url, auth), secrets = await render(self.master, unrendered)
        if is_renderable(options.serverUrl):
            _check_not_cut(url, secrets)
        keys, key_secrets = await self._signing_keys()
        headers, header_secrets = await self._headers()
        target = _checked(url, auth, headers, keys, secrets | key_secrets | header_secrets)
        target = await self._with_proxy(target)
        if options.cloudevents:
            target = evolve(target, source=str(self.master.config.buildbotURL))
        self._warn_of_plain_http(target)
        # The master's URL may be another one after any reconfiguration.
        if not options.cloudevents and not has_renderables:
            self._fixed = target
        return target

    def _read_files(self) -> None:
        now = self.master.reactor.seconds()
        if 0 <= now - self._read_at < FILES_AGE:
            return
        self._read_at = now
        unread = read_secret_files(self.master)
        for trouble in unread:
            if trouble not in self._unread:
                self.log.warn(
                    "{name}: secrets: can't read files again: {trouble}; using the values that "
                    "were read before",
                    name=self.name,
                    trouble=trouble,
                )
        self._unread = unread

    async def _signing_keys(self) -> tuple[Any, frozenset[str]]:
        """Render the signing keys; of several, leave out those that can't be had yet."""
        given = self.options.signing_secret
        if not isinstance(given, tuple | list):
            return await render(self.master, given)
        keys, secrets, missing = list[Any](), set[str](), list[RenderingError]()
        for each in given:
            try:
                key, used = await render(self.master, each)
            except RenderingError as trouble:
                if isinstance(_root(trouble.__cause__), CancelledError):
                    raise  # the whole attempt has run out of time
                missing.append(trouble)
            else:
                keys.append(key)
                secrets |= used
        if missing and not keys:
            raise missing[0]
        self._tell_missing_keys([str(each) for each in missing])
        return keys, frozenset(secrets)

    def _tell_missing_keys(self, missing: list[str]) -> None:
        for trouble in missing:
            if trouble not in self._unknown:
                self.log.warn(
                    "{name}: signing_secret: signing without one of the keys: {trouble}",
                    name=self.name,
                    trouble=trouble,
                )
        self._unknown = missing

    async def _with_proxy(self, target: Target) -> Target:
        wanted, secrets = await render(self.master, self.options.proxy)
        try:
            wanted = None if wanted is None else check_proxy(wanted)
            proxy = find_proxy(wanted, target.url, os.environ)
        except (OptionError, URLError) as trouble:
            raise RenderingError(Mask(secrets).text(str(trouble))) from None
        if proxy is None:
            return target
        return evolve(target, proxy=proxy, secrets=target.secrets | secrets | proxy.secrets)

    async def _headers(self) -> tuple[Any, frozenset[str]]:
        """Render the headers; what was made from a secret is a secret too."""
        given = self.options.headers
        if not isinstance(given, Mapping):
            headers, used = await render(self.master, given)
            return headers, used | (_texts(headers) if used else set())
        headers, secrets = {}, set[str]()
        for item in given.items():
            (name, value), used = await render(self.master, item)
            headers[name] = value
            secrets |= used
            if used and value is not item[1]:
                secrets |= _texts({name: value})
        return headers, frozenset(secrets)

    def _warn_of_plain_http(self, target: Target) -> None:
        url = parse(target.url)
        # A key that deliveries are signed with does not go over the wire.
        sent = target.secrets.difference(target.signing_keys)
        credentials = target.auth is not None or sent or url.credentials
        if self._warned or not credentials or url.scheme == "https" or _is_loopback(url.host):
            return
        self._warned = True
        self.log.warn(
            "{name}: credentials go over plain http to {host}, where others can read them: "
            "use an https serverUrl",
            name=self.name,
            host=url.host,
        )


def _holds_renderables(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_renderables, value.items()))
    if isinstance(value, tuple | list):
        return any(map(_holds_renderables, value))
    return is_renderable(value)


def _texts(headers: object) -> set[str]:
    values = headers.values() if isinstance(headers, Mapping) else ()
    return {each for each in values if isinstance(each, str)}


def _checked(
    url: object, auth: object, headers: object, keys: object, secrets: frozenset[str]
) -> Target:
    mask = Mask(secrets)
    try:
        checked_url, checked_headers = check_url(url), check_headers(headers)
        signing_keys = check_signing_keys(keys)
    except OptionError as trouble:
        raise RenderingError(mask.text(str(trouble))) from None
    rendered = {"serverUrl": url, "auth": auth, "headers": headers}
    faults = (authentication.fault(auth, _nothing), *conflicts.faults(rendered, _nothing))
    for fault in filter(None, faults):
        raise RenderingError(mask.text(fault))
    pair = auth if isinstance(auth, tuple | list) else ()
    own = {each if isinstance(each, str) else each.decode("utf-8", "replace") for each in pair[1:]}
    return Target(checked_url, auth, checked_headers, secrets | own, signing_keys)


def _check_not_cut(url: object, secrets: frozenset[str]) -> None:
    """See that no secret ends the address's path before its time.

    Raises:
        RenderingError: It has a fragment, which is never sent, or a query that nobody meant.
    """
    if not isinstance(url, str):
        return
    if "#" in url:
        raise RenderingError(
            "serverUrl is rendered to an address with a '#', which cuts off what follows: "
            "write it as %23 in the secret or text that it comes from"
        )
    if any(_begins_query_by_chance(url, secret) for secret in secrets):
        raise RenderingError(
            "serverUrl is rendered with a secret in its path that has a '?', which makes a query "
            "of what follows: write it as %3F in the secret"
        )


def _begins_query_by_chance(url: str, secret: str) -> bool:
    start, query = url.find(secret), url.find("?")
    if not 0 < start <= query < start + len(secret):
        return False  # a secret that is the whole address has whatever it has
    # A query is meant where it is one, and nothing comes after it.
    return "=" not in url[query:] or not url.endswith(secret)


def _nothing(_: object) -> bool:
    """Return False: all values are rendered."""
    return False


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
