"""Deliveries as the default generator makes them, in size and shape."""

from __future__ import annotations

import json

from buildbot_http_status_push.model import Delivery

SIZE = 2500


def body(number: int) -> bytes:
    """Return the bytes of a status, about as many as a usual one has."""
    build = {"buildid": number, "number": number, "complete": True, "results": 0}
    return json.dumps({**build, "more": "x" * SIZE}).encode()


def delivery(number: int) -> Delivery:
    """Return the delivery of the finish of a build, in a lane of its own."""
    return Delivery(
        id=f"msg_{number:032x}",
        lane=f"buildrequest-{number}",
        subject=f"build-{number}-0",
        event="builds.finished",
        title=f"build runtests#{number}",
        content_type="application/json",
        body=body(number),
        build=number,
    )
