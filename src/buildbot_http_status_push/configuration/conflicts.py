"""Options that say one thing twice, of which one would be lost without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from buildbot_http_status_push.wire import auth as authentication
from buildbot_http_status_push.wire import urls

AUTHORIZATION = "authorization"


IsRenderable: TypeAlias = Callable[[object], bool]


def faults(given: Mapping[str, object], is_renderable: IsRenderable) -> Iterator[str]:
    """Yield which options contradict each other, as far as they are known."""
    yield from _spellings(given)
    yield from _header_names(given.get("headers"))
    yield from _credentials(given, is_renderable)


def _spellings(given: Mapping[str, object]) -> Iterator[str]:
    if "skipEncoding" in given and "skip_encoding" in given:
        one, other = given["skipEncoding"], given["skip_encoding"]
        if bool(one) != bool(other):
            yield (
                f"skipEncoding is {one!r} and skip_encoding is {other!r}: "
                "they mean the same, write one of them"
            )


def _header_names(headers: object) -> Iterator[str]:
    found: dict[str, str] = {}
    for name in _names(headers):
        other = found.setdefault(name.lower(), name)
        if other != name:
            yield (
                f"headers has the names {other!r} and {name!r}, "
                "which are one header: write one of them"
            )


def _names(headers: object) -> list[str]:
    names = headers if isinstance(headers, Mapping) else ()
    return [name for name in names if isinstance(name, str)]


def _credentials(given: Mapping[str, object], is_renderable: IsRenderable) -> Iterator[str]:
    auth, has_user_info = given.get("auth"), _has_user_info(given.get("serverUrl"))
    is_known = auth is not None and not is_renderable(auth)
    sources = {
        # A function may leave a header as it is. User info has its place only without auth.
        "auth": is_known and (has_user_info or authentication.gives_credentials(auth)),
        "the header Authorization": AUTHORIZATION in map(str.lower, _names(given.get("headers"))),
        "the user info of serverUrl": has_user_info,
    }
    used = [source for source, is_used in sources.items() if is_used]
    if len(used) > 1:
        yield f"credentials are in {' and in '.join(used)}: write them in one place"


def _has_user_info(url: object) -> bool:
    try:
        return isinstance(url, str) and urls.parse(url).credentials is not None
    except urls.URLError:
        return False
