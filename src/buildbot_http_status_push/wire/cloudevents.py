"""The headers that make a request a CloudEvent in the binary mode of CloudEvents 1.0.

The rules: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md.
Pure. Must not know who signs, nor where the request goes.
"""

from __future__ import annotations

from datetime import datetime, timezone
from urllib.parse import quote

from buildbot_http_status_push.model import Delivery

SPEC_VERSION = "1.0"
TYPE_PREFIX = "net.buildbot."
PRINTABLE = "".join(map(chr, range(0x21, 0x7F))).translate({ord('"'): None, ord("%"): None})
"""What a header's value has as it is: the printable signs of ASCII without space, " and %."""


def headers(delivery: Delivery, source: str, now: float) -> dict[str, str]:
    """Return the headers of a delivery; its body stays as it is."""
    at = now if delivery.created_at is None else delivery.created_at
    attributes = {
        "specversion": SPEC_VERSION,
        "id": delivery.id,
        "source": source,
        "type": f"{TYPE_PREFIX}{delivery.event}",
        "time": _rfc3339(at),
    }
    return {f"ce-{name}": encode(value) for name, value in attributes.items()}


def encode(value: str) -> str:
    """Return an attribute's value as it stands in a header (3.1.3.2 of the HTTP binding)."""
    return quote(value, safe=PRINTABLE, errors="replace")


def _rfc3339(at: float) -> str:
    moment = datetime.fromtimestamp(at, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
