"""Which web pages may open a live connection: those of the board itself, and those that are named.

Browsers let any page open a WebSocket anywhere, and only tell where the page is from.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

USUAL_PORTS = {"http": 80, "https": 443}


def is_allowed(origin: str | None, host: str | None, others: Collection[str] = ()) -> bool:
    """Tell whether a connection may be opened.

    Args:
        origin: What the request's ``Origin`` header says (RFC 6454); only browsers send it.
        host: What its ``Host`` header says.
        others: Origins of other sites that may, such as ``https://wall.example.org``.
    """
    if not origin:
        return True
    place = _place(origin)
    if place is None or host is None:
        return False
    scheme = place[0]
    # A proxy may have taken the encryption off, so the page's scheme is not asked for.
    return place in (_place(f"{scheme}://{host}"), *map(_place, others))


def _place(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin.strip())
        port = parts.port or USUAL_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if not (parts.hostname and port):
        return None
    return parts.scheme, parts.hostname, port
