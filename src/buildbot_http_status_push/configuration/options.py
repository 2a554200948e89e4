"""What a user may write in master.cfg, and every fault that checkconfig can report.

Knows the shapes of the options, not how they are carried out. Values that are only known when
the master runs (secrets) are checked with the same functions when they are rendered.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeGuard

from attrs import field, fields, frozen

from buildbot_http_status_push import signing
from buildbot_http_status_push.configuration import conflicts
from buildbot_http_status_push.delivery.settings import SenderSettings
from buildbot_http_status_push.redaction import HIDDEN, mask_url
from buildbot_http_status_push.wire import auth as authentication
from buildbot_http_status_push.wire import proxy_choice, tls, urls

IsRenderable = Callable[[object], bool]

DAY = 86400.0
FRAMING_HEADERS = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
OWN_HEADERS = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature"})
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Control characters have no place in a value (RFC 9110, 5.5), and surrogates no UTF-8 form.
HEADER_VALUE = re.compile("[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


class OptionError(ValueError):
    """An option's value can't be used; the text names the option and what would be right."""


def _seconds(value: float | timedelta) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


@frozen(kw_only=True)
class Options:
    """The options as a user gave them; those that are renderable are not yet rendered.

    ``docs/options_table.py`` describes each, and writes the page of their reference from these
    fields.
    """

    serverUrl: object
    auth: object = None
    headers: object = None
    debug: bool = field(default=False, converter=bool)
    verify: Any = None
    cert: Any = None
    skipEncoding: bool = field(default=False, converter=bool)
    timeout: float = 30.0
    concurrency: int = 10
    outbox: object = None
    give_up_after: float = field(default=7 * DAY, converter=_seconds)
    signing_secret: object = None
    cloudevents: bool = False
    proxy: object = None
    metrics: str | None = None

    @property
    def sender_settings(self) -> SenderSettings:
        """The options that the sender carries out."""
        return SenderSettings(
            concurrency=self.concurrency,
            timeout=self.timeout,
            give_up_after=self.give_up_after,
            verify=self.verify,
            cert=self.cert,
            debug=self.debug,
            metrics=self.metrics,
        )


OPTION_NAMES = tuple(each.name for each in fields(Options))


def read(given: Mapping[str, object]) -> Options:
    """Make the frozen value of options that have no faults."""
    known = dict(given)
    if "skip_encoding" in known:
        known["skipEncoding"] = known.pop("skip_encoding")
    return Options(**known)  # type: ignore[arg-type]  # shapes were checked by faults()


def faults(
    given: Mapping[str, object], other_names: tuple[str, ...], is_renderable: IsRenderable
) -> Iterator[str]:
    """Yield every fault of the options as written in master.cfg."""
    yield from _unknown_names(given, (*OPTION_NAMES, "skip_encoding", *other_names))
    yield from _server_url_faults(given.get("serverUrl"), is_renderable)
    if fault := authentication.fault(given.get("auth"), is_renderable):
        yield fault
    yield from _headers_faults(given.get("headers"), is_renderable)
    yield from tls.faults(given.get("verify"), given.get("cert"))
    yield from _number_faults(given)
    yield from _outbox_faults(given.get("outbox"), is_renderable)
    yield from _signing_faults(given.get("signing_secret"), is_renderable)
    yield from _proxy_faults(given.get("proxy"), is_renderable)
    if not isinstance(given.get("cloudevents", False), bool):
        yield f"cloudevents is {given['cloudevents']!r}: write True or False"
    yield from conflicts.faults(given, is_renderable)


def _unknown_names(given: Mapping[str, object], known: tuple[str, ...]) -> Iterator[str]:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known)}"
            yield f"unknown option '{name}': {hint}"


def _server_url_faults(value: object, is_renderable: IsRenderable) -> Iterator[str]:
    if value is None:
        yield "serverUrl is missing: write serverUrl='https://status.example.com/submit'"
    elif not is_renderable(value):
        try:
            check_url(value)
        except OptionError as error:
            yield str(error)


def check_url(value: object) -> str:
    """Return the URL where it can be posted to.

    Raises:
        OptionError: It is no http or https URL with a host, or could not be sent as written.
    """
    right = "write an http or https URL such as 'https://status.example.com/submit'"
    if not isinstance(value, str):
        raise OptionError(f"serverUrl is a {type(value).__name__}: {right}")
    shown = _shown(value)
    try:
        url = urls.parse(value)
    except urls.URLError as why:
        raise OptionError(f"serverUrl is {shown!r}, {why}: {right}") from None
    if fault := authentication.fault(url.credentials, lambda _: False):
        raise OptionError(f"serverUrl is {shown!r}, its user info can't be sent: {fault}")
    return value


def _proxy_faults(value: object, is_renderable: IsRenderable) -> Iterator[str]:
    if value is not None and not is_renderable(value):
        try:
            check_proxy(value)
        except OptionError as error:
            yield str(error)


def check_proxy(value: object) -> str:
    """Return what names a proxy.

    Raises:
        OptionError: It is neither ``environment`` nor the URL of an HTTP proxy.
    """
    right = "write 'http://user:password@proxy.example.com:3128', or 'environment'"
    if not isinstance(value, str):
        raise OptionError(f"proxy is a {type(value).__name__}: {right}")
    try:
        if value != proxy_choice.ENVIRONMENT:
            proxy_choice.parse(value)
    except urls.URLError as why:
        raise OptionError(f"proxy is {_shown(value)!r}, {why}: {right}") from None
    return value


def _shown(url: str) -> str:
    # Where a URL is at fault, its user info may end at any of its @.
    return mask_url(re.sub("//.*@", f"//{HIDDEN}@", url, flags=re.DOTALL))


def _headers_faults(value: object, is_renderable: IsRenderable) -> Iterator[str]:
    if value is None or is_renderable(value):
        return
    if not isinstance(value, Mapping):
        yield (
            f"headers is a {type(value).__name__}: "
            "write a dict of names and values, such as headers={'X-Token': util.Secret('token')}"
        )
        return
    for name, content in value.items():
        yield from _header_faults(name, content, is_renderable)


def _header_faults(name: object, content: object, is_renderable: IsRenderable) -> Iterator[str]:
    if not is_renderable(name) and (fault := _name_fault(name)):
        yield fault
    if not is_renderable(content) and (fault := _value_fault(name, content)):
        yield fault


def _name_fault(name: object) -> str | None:
    if not isinstance(name, str) or not HEADER_NAME.fullmatch(name):
        return f"headers has the name {name!r}: RFC 9110 allows letters, digits and !#$%&'*+-.^_`|~"
    if name.lower() in FRAMING_HEADERS | OWN_HEADERS:
        return f"headers has the name {name!r}, which is set for every request: leave it out"
    return None


def _value_fault(name: object, content: object) -> str | None:
    if not isinstance(content, str):
        return f"headers[{name!r}] is a {type(content).__name__}: write a text or a renderable"
    if content.endswith(("\n", "\r")):
        return f"headers[{name!r}] ends in a line break: take it out of the text or secret"
    if not HEADER_VALUE.fullmatch(content):
        return f"headers[{name!r}] holds a line break or a control character: RFC 9110 allows none"
    return None


def check_headers(value: object) -> dict[str, str]:
    """Return rendered headers where they can be sent.

    Raises:
        OptionError: A name or a value can't stand in a request.
    """
    for fault in _headers_faults(value, lambda _: False):
        raise OptionError(fault)
    return dict(value) if isinstance(value, Mapping) else {}


def _signing_faults(value: object, is_renderable: IsRenderable) -> Iterator[str]:
    if value is None or is_renderable(value):
        return
    keys = value if isinstance(value, list | tuple) else [value]
    if not keys:
        yield "signing_secret is an empty list: write a key, or leave it out"
    for key in keys:
        if not is_renderable(key) and (fault := _key_fault(key)):
            yield fault


def _key_fault(key: object) -> str | None:
    right = "write a key such as 'whsec_' and 24 to 64 bytes in base64, or util.Secret('key')"
    if not isinstance(key, str):
        return f"signing_secret is a {type(key).__name__}: {right}"
    try:
        signing.parse_key(key)
    except signing.KeyFormatError as error:
        return f"signing_secret is {HIDDEN} ({error}): {right}"
    return None


def check_signing_keys(value: object) -> tuple[str, ...]:
    """Return rendered signing keys where deliveries can be signed with them.

    Raises:
        OptionError: A key is malformed.
    """
    for fault in _signing_faults(value, lambda _: False):
        raise OptionError(fault)
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list | tuple) else (str(value),)


def _number_faults(given: Mapping[str, object]) -> Iterator[str]:
    timeout, concurrency = given.get("timeout", 30), given.get("concurrency", 10)
    give_up_after = given.get("give_up_after", 7 * DAY)
    if not _is_number(timeout) or not 0 < timeout <= DAY:
        yield f"timeout is {timeout!r}: write seconds up to a day, such as timeout=30"
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        yield f"concurrency is {concurrency!r}: write a whole number from 1 on"
    if not isinstance(give_up_after, timedelta) and not _is_number(give_up_after):
        yield f"give_up_after is {give_up_after!r}: write seconds or timedelta(days=7)"
    elif not _seconds(give_up_after) > 0:
        yield f"give_up_after is {give_up_after!r}: write a time longer than zero"


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _outbox_faults(value: object, is_renderable: IsRenderable) -> Iterator[str]:
    if value is None or value is False or is_renderable(value):
        return
    if not isinstance(value, str) or not re.match(r"(sqlite|postgresql)(\+\w+)?://", value):
        shown = repr(mask_url(value)) if isinstance(value, str) else repr(value)
        yield (
            f"outbox is {shown}: write None for a file in the master's directory, False for memory "
            "only, or a SQLAlchemy URL (sqlite:///file or postgresql://user@host/database)"
        )
