"""Reads the URL to post to: user info apart, the host as resolvers want it, the rest as written.

There is one reading for checkconfig and for sending: what passes the one can do the other.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, unquote

import idna
from attrs import field, frozen
from twisted.internet.abstract import isIPv6Address
from twisted.web.client import URI

UNSENDABLE = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
AUTHORITY = re.compile(
    r"(?:(?P<user_info>.*)@)?(?:\[(?P<address>[^\[\]]*)\]|(?P<name>[^:@\[\]]*))(?::(?P<port>[0-9]{1,5}))?"
)
HOST_NAME = re.compile(r"(?=.{1,254}$)(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?")
"""What resolvers take: names may have ``_``, and ``--`` where IDNA has none."""

ASCII = "".join(map(chr, range(0x21, 0x7F)))


class URLError(ValueError):
    """A URL can't be posted to; the text is a clause that says why, without showing the URL."""


@frozen
class ServerURL:
    """A URL to post to.

    Args:
        scheme: ``http`` or ``https``.
        host: The host name in ASCII (RFC 5890), or an IP address without brackets.
        port: The port, where the URL names one.
        target: The path and the query as they stand on the wire.
        user_info: What stands before the ``@``, as written.
    """

    scheme: str
    host: str
    port: int | None
    target: str
    user_info: str = field(default="", repr=False)

    @property
    def wire(self) -> str:
        """The absolute URL that is asked for, without user info and fragment."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password of the user info, None where there is none (RFC 3986, 3.2.1)."""
        if not self.user_info:
            return None
        user, _, password = self.user_info.partition(":")
        return unquote(user), unquote(password)


@lru_cache(maxsize=16)
def parse(text: str) -> ServerURL:
    """Read a URL.

    Raises:
        URLError: It can't be posted to.
    """
    if UNSENDABLE.search(text):
        raise URLError("it has a space, a control character or half a surrogate pair in it")
    parts = PARTS.match(text)
    if not parts:
        raise URLError("it does not begin with http:// or https://")
    scheme, authority, target = parts.groups()
    named = AUTHORITY.fullmatch(authority)
    if not named:
        raise URLError("its host or port can't be read (in user info, write / ? # as %2F %3F %23)")
    url = ServerURL(
        scheme.lower(),
        _host(named["name"], named["address"]),
        _port(named["port"]),
        _target(target),
        named["user_info"] or "",
    )
    _check_twisted_reads_the_same(url)
    return url


def _host(name: str | None, address: str | None) -> str:
    if address is not None:
        if "%" in address:
            raise URLError(f"its host '[{address}]' has a zone, which nothing can be sent to")
        if not isIPv6Address(address):
            raise URLError(f"its host '[{address}]' is no IPv6 address")
        return address
    if not name:
        raise URLError("it has no host")
    encoded = name if name.isascii() else _idna(name)
    if not HOST_NAME.fullmatch(encoded):
        raise URLError(f"its host {name!r} is no host name or IP address (letters, digits, - _ .)")
    return encoded


def _idna(name: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:
        raise URLError(f"its host {name!r} is no international host name (RFC 5891)") from None


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not 0 < int(text) <= 0xFFFF:
        raise URLError(f"its port {text} is not from 1 to 65535")
    return int(text)


def _target(written: str) -> str:
    # A request names at least the root (RFC 9112, 3.2.1).
    rooted = written if written.startswith("/") else f"/{written}"
    return quote(rooted, safe=ASCII)


def _check_twisted_reads_the_same(url: ServerURL) -> None:
    uri = URI.fromBytes(url.wire.encode("ascii"))
    if uri.originForm.decode("ascii") != url.target:
        raise URLError(
            "it has an empty part that would not be sent as written: "
            "leave out a '?' or ';' with nothing behind it, or a second '/' behind the host"
        )
