"""How deliveries are sent: the part of a configuration that the sender knows."""

from __future__ import annotations

from typing import Any

from attrs import frozen


@frozen
class SenderSettings:
    """How deliveries are sent.

    Args:
        concurrency: How many attempts may be under way at once.
        timeout: Seconds that an attempt takes at most.
        give_up_after: Seconds after which a delivery that always failed is dead.
        verify: True or None to check certificates, False not to, or the path of a CA bundle.
        cert: The path of a client certificate with its key, a pair of paths, or None.
        debug: Whether to log every request and response.
        metrics: The description of a server endpoint where metrics are served, or None.
    """

    concurrency: int = 10
    timeout: float = 30.0
    give_up_after: float = 7 * 86400.0
    verify: Any = None
    cert: Any = None
    debug: bool = False
    metrics: str | None = None
