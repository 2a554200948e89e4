"""The ``auth=`` option made into an agent that authenticates what it passes on to another one.

Knows Twisted's agents and the ways of the requests library's authentication objects; must not
know the reporter.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import TypeAlias

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.wire.auth_callable import CallableAgent, SharedAuth
from buildbot_http_status_push.wire.auth_values import AuthenticationFailed, kind, utf8

RIGHT = (
    "write None, a pair (user, password), an authentication object of the requests library "
    "or a callable like it, or a renderable that yields one of these"
)

REQUESTS_BASE = ("requests.auth", "AuthBase")
"""The class of the requests library's authentication objects, which need not be installed."""

IsRenderable: TypeAlias = Callable[[object], bool]


def fault(auth: object, is_renderable: IsRenderable) -> str | None:
    """Return what is wrong with a value of the ``auth=`` option.

    Returns:
        One sentence that names the type seen, never the value, or None if all is well.
    """
    if auth is None or is_renderable(auth):
        return None
    if isinstance(auth, tuple | list):
        return _pair_fault(auth, is_renderable)
    if callable(auth) and not isinstance(auth, type):
        return None
    return f"auth is {kind(auth)}: {RIGHT}"


def _pair_fault(pair: Sequence[object], is_renderable: IsRenderable) -> str | None:
    known = [each for each in pair if not is_renderable(each)]
    if len(pair) != 2 or not all(isinstance(each, str | bytes) for each in known):
        return f"auth is {kind(pair)}: {RIGHT}"
    if any(re.search(rb"[\x00-\x1f\x7f]", utf8(each)) for each in known):
        return "auth has a control character in its user or password: RFC 7617 allows none"
    if not is_renderable(pair[0]) and b":" in utf8(pair[0]):
        return "auth has a colon in its user: RFC 7617 takes what follows for the password"
    return None


def gives_credentials(auth: object) -> bool:
    """Return whether a value of the ``auth=`` option is sure to set the Authorization header.

    Of a function that is only known when it is called: ``wrap`` sees to that.
    """
    bases = {(each.__module__, each.__name__) for each in type(auth).__mro__}
    return isinstance(auth, tuple | list) or REQUESTS_BASE in bases


def wrap(agent: IAgent, auth: object) -> IAgent:
    """Make an agent that authenticates each request.

    Args:
        agent: The agent that sends.
        auth: The rendered value of the ``auth=`` option. Agents that are in use with the same
            object at the same time share what it learns from challenges.

    Returns:
        The agent; bodies must be sent through it with ``BytesProducer``.

    Raises:
        AuthenticationFailed: The value is of no known kind.
    """
    if wrong := fault(auth, lambda _: False):
        raise AuthenticationFailed(wrong)
    if auth is None:
        return agent
    if isinstance(auth, tuple | list):
        return _BasicAgent(agent, *auth)
    return CallableAgent(agent, SharedAuth.of(auth))


@implementer(IAgent)
@frozen
class _BasicAgent:
    """Basic authentication (RFC 7617), in UTF-8."""

    agent: IAgent
    user: str | bytes
    password: str | bytes = field(repr=False)

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        headers = headers.copy() if headers else Headers()
        credentials = b64encode(utf8(self.user) + b":" + utf8(self.password))
        headers.setRawHeaders(b"Authorization", [b"Basic " + credentials])
        return self.agent.request(method, uri, headers, bodyProducer)
