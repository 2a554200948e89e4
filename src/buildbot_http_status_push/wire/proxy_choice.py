"""Which proxy requests go through: as it is written, or as the environment says.

Connects to nothing. The rules of the environment are curl's.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from buildbot_http_status_push.wire import urls
from buildbot_http_status_push.wire.urls import ServerURL, URLError

ENVIRONMENT = "environment"
DEFAULT_PORT = 1080
"""What curl takes where a proxy's URL names none."""
USUAL_PORTS = {"http": 80, "https": 443}
EVERYTHING = "*"


@frozen
class Proxy:
    """An HTTP proxy.

    Args:
        host: Its host name in ASCII, or its address.
        port: Its port.
        credentials: User and password for Basic authentication (RFC 7617), None for none.
    """

    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Its host and port."""
        return authority(self.host, self.port)

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` (RFC 9110, 11.7.2), None where there is none."""
        return None if self.credentials is None else f"Basic {self._token(self.credentials)}"

    @property
    def secrets(self) -> frozenset[str]:
        """What must not be shown, in the forms in which it goes out."""
        if self.credentials is None:
            return frozenset()
        return frozenset({self.credentials[1], self._token(self.credentials)}) - {""}

    def _token(self, credentials: tuple[str, str]) -> str:
        return b64encode(":".join(credentials).encode()).decode("ascii")


def authority(host: str, port: int) -> str:
    """Return host and port as they stand in a request (RFC 9112, 3.2.3)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse(text: str) -> Proxy:
    """Read a proxy's URL.

    Raises:
        URLError: It names no HTTP proxy; the text is a clause that says why.
    """
    url = urls.parse(text)
    if url.scheme != "http":
        raise URLError("it does not begin with http://, and other kinds of proxies are not known")
    if url.target != "/":
        raise URLError("it has a path, and a proxy has none")
    return Proxy(url.host, url.port or DEFAULT_PORT, url.credentials)


def find_proxy(wanted: str | None, server_url: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy on the way to a receiver, None where there is none.

    Raises:
        URLError: What is wanted names no HTTP proxy.
    """
    if wanted is None:
        return None
    if wanted == ENVIRONMENT:
        return from_environment(urls.parse(server_url), environment)
    return parse(wanted)


def from_environment(url: ServerURL, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the environment names for a receiver, None where it names none.

    Args:
        url: The receiver's URL.
        environment: The environment's variables: ``https_proxy`` or ``http_proxy``, else
            ``all_proxy``, unless ``no_proxy`` has the receiver's host.

    Raises:
        URLError: The variable that counts names no HTTP proxy.
    """
    name, text = _variable(url.scheme, environment)
    if not text or _is_excepted(url, environment):
        return None
    try:
        return parse(text if "://" in text else f"http://{text}")
    except URLError as why:
        raise URLError(f"the environment's {name} can't be used, {why}") from None


def _variable(scheme: str, environment: Mapping[str, str]) -> tuple[str, str]:
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    # A web server sets HTTP_PROXY from a request's header Proxy: anybody could name a proxy.
    names.remove("HTTP_PROXY") if scheme == "http" else None
    return next(((name, environment[name]) for name in names if environment.get(name)), ("", ""))


def _is_excepted(url: ServerURL, environment: Mapping[str, str]) -> bool:
    text = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    port = url.port or USUAL_PORTS[url.scheme]
    return any(_names(entry, url.host, port) for entry in _entries(text))


def _entries(text: str) -> Iterator[str]:
    yield from (entry for entry in re.split(r"[\s,]+", text.lower()) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    if entry == EVERYTHING:
        return True
    entry, of_port = _split(entry)
    if of_port not in (None, port):
        return False
    address = _address(host)
    if address is not None:
        return _holds(entry, address)
    name, domain = host.lower().rstrip("."), entry.strip(".")
    return name == domain or name.endswith(f".{domain}")


def _split(entry: str) -> tuple[str, int | None]:
    """Split a port off: ``host:8080``, ``[::1]:8080``; an IPv6 address alone has none."""
    if found := re.fullmatch(r"\[([^\]]*)\](?::(\d+))?|([^:]*):(\d+)", entry):
        inside, port, name, other_port = found.groups()
        number = port or other_port
        return inside or name or "", int(number) if number else None
    return entry, None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _holds(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
