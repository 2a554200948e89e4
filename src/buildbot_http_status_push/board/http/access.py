"""Who may send statuses, and who may read the board. Pure: knows no HTTP library.

Senders prove themselves by a signature (Standard Webhooks), by Basic authentication (RFC 7617), or
by both where both are asked for; readers by Basic authentication.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from attrs import define, field

from buildbot_http_status_push.board.incidents.acts import NAME
from buildbot_http_status_push.board.storable import storable
from buildbot_http_status_push.signing import SignatureError, verify, verify_headers

LOOPBACK = frozenset({"127.0.0.1", "::1"})
USUAL_PORTS = {"http": 80, "https": 443}


class AccessError(Exception):
    """Somebody may not do what they want to; the text says why."""


@define(kw_only=True)
class Access:
    """What is asked of senders and readers.

    Args:
        keys: Signing keys; a sender signs with any of them.
        senders: Passwords of senders by user.
        readers: Passwords of readers by user.
        user_header: The header by which a proxy names the reader, None for none.
        proxies: The addresses of proxies whose header is believed.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    senders: Mapping[str, str] = field(factory=dict, repr=False)
    readers: Mapping[str, str] = field(factory=dict, repr=False)
    user_header: str | None = None
    proxies: frozenset[str] = LOOPBACK

    @property
    def is_open(self) -> bool:
        """Whether anybody may send."""
        return not (self.keys or self.senders)

    def become(self, other: Access) -> None:
        """Ask for what another one asks for, from now on."""
        self.keys, self.senders, self.readers = other.keys, other.senders, other.readers
        self.user_header, self.proxies = other.user_header, other.proxies

    def check_head(self, headers: Mapping[str, str], now: float) -> None:
        """Return if a status may come from somebody who may send, before its body is read.

        Raises:
            AccessError: It does not.
        """
        if self.senders and not _is_known(headers.get("authorization"), self.senders):
            raise AccessError("user and password (Basic authentication) are missing or wrong")
        if self.keys:
            with _explained():
                verify_headers(headers, now=now)

    def check_sender(self, headers: Mapping[str, str], body: bytes, now: float) -> None:
        """Return if a status comes from somebody who may send.

        Raises:
            AccessError: It does not.
        """
        self.check_head(headers, now)
        if self.keys:
            with _explained():
                verify(headers, body, self.keys, now=now)

    def check_reader(self, authorization: str | None) -> None:
        """Return if somebody may read the board.

        Raises:
            AccessError: They may not.
        """
        if self.readers and not _is_known(authorization, self.readers):
            raise AccessError("this board is private: user and password are missing or wrong")

    def person(self, headers: Mapping[str, str], sender: str) -> str | None:
        """Return who a reader is, None where that is not known."""
        if self.user_header is not None and sender in self.proxies:
            name = storable(headers.get(self.user_header.lower(), "").strip())
            if name:
                return name[:NAME]
        authorization = headers.get("authorization")
        if self.readers and _is_known(authorization, self.readers):
            return _credentials(authorization or "")[0][:NAME]
        return None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SignatureError as refusal:
        raise AccessError(str(refusal)) from refusal


def _is_known(authorization: str | None, passwords: Mapping[str, str]) -> bool:
    user, password = _credentials(authorization or "")
    known = passwords.get(user)
    # The same work for an unknown user: its duration must not show who is known.
    fits = hmac.compare_digest(password.encode(), (known or "").encode())
    return known is not None and fits


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ""
    user, _, password = decoded.partition(":")
    return (user, password) if scheme.lower() == "basic" else ("", "")


def is_own_name(host: str, names: Collection[str]) -> bool:
    """Return whether a ``Host`` header names a loopback address, or one of some names.

    A page elsewhere can have its own name resolved to a loopback address (DNS rebinding): to the
    browser it is then of the board's origin. Its ``Host`` gives it away.
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost") or name in map(str.lower, names):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def is_allowed(origin: str | None, host: str | None, others: Collection[str] = ()) -> bool:
    """Return whether a page may do what only pages of the board itself may."""
    if not origin:
        return True
    place = _origin(origin)
    if place is None or host is None:
        return False
    scheme = place[0]
    # A proxy may have taken the encryption off, so the page's scheme is not compared.
    return place in (_origin(f"{scheme}://{host}"), *map(_origin, others))


def _origin(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin.strip())
        port = parts.port or USUAL_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not (parts.hostname and port):
        return None
    return parts.scheme, parts.hostname, port
