"""What the built-in reporter has for its subclasses, beside what is configured.

Its values are for reading: delivery goes by the options, rendered anew for each attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from buildbot_http_status_push.wire.target import Target


class BuiltInAttributes:
    """The attributes of Buildbot's own ``HttpStatusPush``; a subclass may also set them.

    Attributes:
        auth: The credentials, rendered once they can be had.
        debug: As configured, like the others.
        verify: As configured.
        cert: As configured.
    """

    _http: Any
    """What subclasses post with that deliver for themselves, once they are configured."""
    auth: Any = None
    debug: Any = None
    verify: Any = None
    cert: Any = None

    def is_status_2xx(self, code: int) -> bool:
        """Return whether a status code means that a request was accepted."""
        return code // 100 == 2

    def keep_attributes(self, given: Mapping[str, Any], target: Deferred[Target]) -> None:
        """Take over the values of a configuration."""
        for name in ("auth", "debug", "verify", "cert"):
            setattr(self, name, given.get(name))
        target.addCallback(self._keep_rendered)

    def _keep_rendered(self, target: Target) -> Target:
        self.auth = target.auth
        return target
