"""The ``auth=`` option made into an agent that authenticates what it passes on to another one.

Knows Twisted's agents and the ways of the requests library's authentication objects; must not
know the reporter.
"""

from __future__ import annotations

import re
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IProtocol
from twisted.python.components import proxyForInterface
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.wire.bodies import BodyReader, BytesProducer
from buildbot_http_status_push.wire.requests_compat import (
    AuthenticationFailed,
    RequestShape,
    ResponseShape,
    Unanswered,
    fields_of,
    hooks_of,
)

__all__ = ["AuthenticationFailed", "fault", "wrap"]

RIGHT = (
    "write None, a pair (user, password), an authentication object of the requests library "
    "or a callable like it, or a renderable that yields one of these"
)

AuthCallable: TypeAlias = Callable[[Any], Any]
IsRenderable: TypeAlias = Callable[[object], bool]


def fault(auth: object, is_renderable: IsRenderable) -> str | None:
    """Tell what is wrong with a value of the ``auth=`` option.

    Args:
        auth: The value, rendered or not.
        is_renderable: Tells whether a value is only known when the master runs.

    Returns:
        One sentence that names the type seen, never the value, or None if all is well.
    """
    if auth is None or is_renderable(auth):
        return None
    if isinstance(auth, tuple | list):
        return _pair_fault(auth, is_renderable)
    if callable(auth) and not isinstance(auth, type):
        return None
    return f"auth is {_kind(auth)}: {RIGHT}"


def _pair_fault(pair: Sequence[object], is_renderable: IsRenderable) -> str | None:
    known = [each for each in pair if not is_renderable(each)]
    if len(pair) != 2 or not all(isinstance(each, str | bytes) for each in known):
        return f"auth is {_kind(pair)}: {RIGHT}"
    if any(re.search(rb"[\x00-\x1f\x7f]", _utf8(each)) for each in known):
        return "auth has a control character in its user or password: RFC 7617 allows none"
    if not is_renderable(pair[0]) and b":" in _utf8(pair[0]):
        return "auth has a colon in its user: RFC 7617 takes what follows for the password"
    return None


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}, not an instance of it"
    if isinstance(value, tuple | list):
        parts = ", ".join(type(each).__name__ for each in value)
        return f"a {type(value).__name__} of ({parts})"
    return f"a {type(value).__name__}"


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
    if told := fault(auth, lambda _: False):
        raise AuthenticationFailed(told)
    if auth is None:
        return agent
    if isinstance(auth, tuple | list):
        return _BasicAgent(agent, *auth)
    return _CallableAgent(agent, _Turns.of(auth))


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
        credentials = b64encode(_utf8(self.user) + b":" + _utf8(self.password))
        headers.setRawHeaders(b"Authorization", [b"Basic " + credentials])
        return self.agent.request(method, uri, headers, bodyProducer)


@define(eq=False)
class _Turns:
    """Keeps the requests that one auth object authenticates out of each other's way.

    An auth object such as Digest (RFC 7616) remembers the server's last nonce, how often it was
    used, and whether it has just answered a challenge, and expects one request at a time. Here
    many are under way. So:

    - A challenge is answered only if no other one was answered since its request was made: the
      object is as this request left it, and never goes back to an older nonce. A request that
      comes too late is made anew, with what the object has learnt.
    - No request is made while the answer to a challenge is under way: the new nonce is not used
      again before its first use was seen, as servers with a strict count demand.
    - Who comes too late twice has the object to itself. That serves one-time nonces.
    """

    auth: AuthCallable
    lock: DeferredLock = field(factory=DeferredLock)
    answered: int = 0

    @staticmethod
    def of(auth: Any) -> _Turns:
        """Return the turns of an auth object, the same as long as anyone uses them."""
        return _turns.setdefault(id(auth), _Turns(auth))


# By identity: auth objects compare by credentials and need not be hashable. An entry keeps its
# object alive, so no other object can get the same id while the entry exists.
_turns: WeakValueDictionary[int, _Turns] = WeakValueDictionary()


@implementer(IAgent)
@frozen
class _CallableAgent:
    """Has every request authenticated by a callable, as the requests library does."""

    agent: IAgent
    turns: _Turns

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        if not isinstance(bodyProducer, BytesProducer | None):
            raise TypeError("auth needs the body's bytes: send it with BytesProducer")
        body = bodyProducer.body if bodyProducer else None
        plain = RequestShape(method.decode("ascii"), uri.decode("ascii"), fields_of(headers), body)
        return Deferred.fromCoroutine(_Conversation(self.agent, self.turns, plain).hold())


@frozen
class _Conversation:
    """All that is sent and received for one request."""

    agent: IAgent
    turns: _Turns
    plain: RequestShape

    async def hold(self) -> IResponse:
        for _ in range(2):
            async with self.turns.lock:
                answered = self.turns.answered
                request = self._authenticated()
            response = await self._send(request)
            if response.status_code != 401:
                return await self._finish(response)
            async with self.turns.lock:
                if answered == self.turns.answered:
                    return await self._finish(response)
        async with self.turns.lock:
            return await self._finish(await self._send(self._authenticated()))

    def _authenticated(self) -> Any:
        with _named(self.turns.auth) as name:
            request = self.turns.auth(self.plain.copy())
        if not all(hasattr(request, each) for each in ("method", "url", "headers", "body")):
            raise AuthenticationFailed(
                f"auth: {name} returned {_kind(request)}: it must return the request"
            )
        return request

    async def _send(self, request: Any) -> ResponseShape:
        with _named(self.turns.auth):
            parts = _on_the_wire(request)
        response = await self.agent.request(*parts)
        # The body of any other answer is left to the client, which knows how long to wait.
        if response.code == 401 and hooks_of(request):
            kept = await _keep(response)
            return ResponseShape(kept, request, kept.body)
        return ResponseShape(response, request)

    async def _finish(self, response: ResponseShape) -> IResponse:
        """Show the response to the hooks, and send what they want to send."""
        for hook in hooks_of(response.request):
            with _named(self.turns.auth) as name:
                result = hook(response)
            if isinstance(result, Unanswered):
                self.turns.answered += 1
                result = await self._send(result.request)
            if not isinstance(result, ResponseShape | None):
                raise AuthenticationFailed(f"auth: a hook of {name} returned {_kind(result)}")
            response = result or response
        return response.origin


@contextmanager
def _named(auth: AuthCallable) -> Iterator[str]:
    """Turn what an auth object raises into a failure that names it."""
    name = getattr(auth, "__qualname__", type(auth).__qualname__)
    try:
        yield name
    except AuthenticationFailed:
        raise
    except Exception as error:
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        place = f"{PurePath(frame.f_code.co_filename).name}, line {line}"
        told = f"auth: {name} raised {type(error).__name__} ({place})"
        raise AuthenticationFailed(told) from None  # the error's own text may hold a secret


def _on_the_wire(request: Any) -> tuple[bytes, bytes, Headers, BytesProducer | None]:
    headers = Headers()
    for name, value in request.headers.items():
        headers.setRawHeaders(_encode(name, "latin-1"), [_encode(value, "latin-1")])
    # Twisted writes the body's true length: a second one would make the message ambiguous.
    headers.removeHeader(b"Content-Length")
    body = BytesProducer(_utf8(request.body)) if request.body else None
    return _encode(request.method, "ascii"), _encode(request.url, "ascii"), headers, body


def _encode(value: object, encoding: str) -> bytes:
    if isinstance(value, str):
        return value.encode(encoding)
    if isinstance(value, bytes):
        return value
    raise AuthenticationFailed(f"auth put {_kind(value)} into the request: write str or bytes")


def _utf8(value: object) -> bytes:
    return _encode(value, "utf-8")


class _KeptResponse(proxyForInterface(IResponse)):  # type: ignore[misc]  # a base made at run time
    """A response whose body was read, to be read once more."""

    def __init__(self, original: IResponse, reader: BodyReader) -> None:
        super().__init__(original)
        self._reader = reader
        self.body = bytes(reader.body)

    def deliverBody(self, protocol: IProtocol) -> None:
        protocol.makeConnection(self._reader.transport)
        protocol.dataReceived(self.body)
        protocol.connectionLost(self._reader.reason)


async def _keep(response: IResponse) -> _KeptResponse:
    reader = BodyReader()
    response.deliverBody(reader)
    await reader.finished
    return _KeptResponse(response, reader)
