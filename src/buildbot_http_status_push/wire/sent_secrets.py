"""What a request's secrets look like as they go out, so that they are known when they come back.

Some receivers quote the request in their answer. Must not know where a mask is used.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from urllib.parse import unquote

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.redaction import SENSITIVE_HEADER, Mask

SECRET_LEAST = 4
"""A shorter value of a header is no secret, and hiding it would garble texts."""

PART_LEAST = 8
"""Shorter parts of a secret URL are words such as ``submit``."""

PARAMETER = re.compile(
    r"""(?:response|signature|mac|hash|token|secret|password|key)["']?\s*=\s*"""
    r"""(?:"([^"]*)"|([^\s",;]+))""",
    re.IGNORECASE,
)
"""A parameter of an Authorization header that proves who we are."""

COOKIE = re.compile("(?:^|; ?)[^=; ]+=([^; ]+)")


@implementer(IAgent)
@frozen
class NotingAgent:
    """Notes what each request holds of secrets, and passes it on to another agent."""

    agent: IAgent
    mask: Mask

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Note a request that is ready to be sent, and send it."""
        self.mask.hide_also(partial(secrets_of, uri, headers, self.mask.secrets))
        sent: Deferred[IResponse] = self.agent.request(method, uri, headers, bodyProducer)
        return sent


def secrets_of(uri: bytes, headers: Headers | None, known: frozenset[str]) -> Iterator[str]:
    """Return the forms in which a request's secrets go out, and may come back."""
    for name, values in headers.getAllRawHeaders() if headers else ():
        if SENSITIVE_HEADER.search(name.decode("latin-1")):
            for value in values:
                found = _in_header(value.decode("utf-8", "replace"))
                yield from (each for each in found if len(each) >= SECRET_LEAST)
    address = unquote(uri.decode("ascii"))
    for secret in known:
        yield from _in_url(secret, address)


def _in_header(value: str) -> Iterator[str]:
    scheme, _, credentials = value.partition(" ")
    yield value
    yield credentials
    yield from re.split("[ ,;]+", value)[1:]
    yield from (quoted or plain for quoted, plain in PARAMETER.findall(credentials))
    yield from COOKIE.findall(value)
    if scheme.lower() == "basic":
        yield _decoded(credentials).partition(":")[2]


def _decoded(credentials: str) -> str:
    try:
        return b64decode(credentials).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _in_url(secret: str, address: str) -> Iterator[str]:
    # The host of an address that is secret as a whole is no secret, what follows it is.
    target = re.sub("^https?://[^/?#]*", "", secret, flags=re.IGNORECASE)
    if unquote(target) not in address:
        return
    parts = [part for part in re.split("[/?&=#]", target) if len(part) >= PART_LEAST]
    for form in (secret, target, target.partition("?")[0], *parts):
        if len(form) >= SECRET_LEAST:
            yield form
            yield unquote(form)
