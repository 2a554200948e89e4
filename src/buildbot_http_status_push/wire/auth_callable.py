"""Requests authenticated by a callable, as the requests library does it.

Knows what such a callable may do with a request and its response; must not know the reporter.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
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

from buildbot_http_status_push.wire.auth_values import AuthenticationFailed, encode, kind, utf8
from buildbot_http_status_push.wire.bodies import BodyReader, BytesProducer
from buildbot_http_status_push.wire.requests_compat import (
    PendingResponse,
    PreparedRequest,
    Response,
    fields_of,
    hooks_of,
)

AuthCallable: TypeAlias = Callable[[Any], Any]


@define(eq=False)
class SharedAuth:
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
    challenges_answered: int = 0

    @staticmethod
    def of(auth: Any) -> SharedAuth:
        """Return what is shared of an auth object, the same as long as anyone uses them."""
        return _in_use.setdefault(id(auth), SharedAuth(auth))


# By identity: auth objects compare by credentials and need not be hashable. An entry keeps its
# object alive, so no other object can get the same id while the entry exists.
_in_use: WeakValueDictionary[int, SharedAuth] = WeakValueDictionary()


@implementer(IAgent)
@frozen
class CallableAgent:
    """Has every request authenticated by a callable, as the requests library does."""

    agent: IAgent
    shared: SharedAuth

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Have a request authenticated, send it, and have its response seen by the hooks."""
        if not isinstance(bodyProducer, BytesProducer | None):
            raise TypeError("auth needs the body's bytes: send it with BytesProducer")
        body = bodyProducer.body if bodyProducer else None
        plain = PreparedRequest(
            method.decode("ascii"), uri.decode("ascii"), fields_of(headers), body
        )
        return Deferred.fromCoroutine(_Exchange(self.agent, self.shared, plain).run())


@frozen
class _Exchange:
    """All that is sent and received for one request."""

    agent: IAgent
    shared: SharedAuth
    plain: PreparedRequest

    async def run(self) -> IResponse:
        for _ in range(2):
            async with self.shared.lock:
                answered = self.shared.challenges_answered
                request = self._authenticated()
            response = await self._send(request)
            if response.status_code != 401:
                return await self._finish(response)
            async with self.shared.lock:
                if answered == self.shared.challenges_answered:
                    return await self._finish(response)
        async with self.shared.lock:
            return await self._finish(await self._send(self._authenticated()))

    def _authenticated(self) -> Any:
        with _named(self.shared.auth) as name:
            request = self.shared.auth(self.plain.copy())
        if not all(hasattr(request, each) for each in ("method", "url", "headers", "body")):
            raise AuthenticationFailed(
                f"auth: {name} returned {kind(request)}: it must return the request"
            )
        return request

    async def _send(self, request: Any) -> Response:
        with _named(self.shared.auth) as name:
            parts = _on_the_wire(request)
            given = self.plain.headers.get("Authorization")
            if given not in (None, request.headers.get("Authorization")):
                raise AuthenticationFailed(
                    f"auth: {name} sets the Authorization header, and so does headers: "
                    "write credentials in one place"
                )
        response = await self.agent.request(*parts)
        # The body of any other answer is left to the client, which knows how long to wait.
        if response.code == 401 and hooks_of(request):
            kept = await _keep(response)
            return Response(kept, request, kept.body)
        return Response(response, request)

    async def _finish(self, response: Response) -> IResponse:
        """Show the response to the hooks, and send what they return."""
        for hook in hooks_of(response.request):
            with _named(self.shared.auth) as name:
                result = hook(response)
            if isinstance(result, PendingResponse):
                self.shared.challenges_answered += 1
                result = await self._send(result.request)
            if not isinstance(result, Response | None):
                raise AuthenticationFailed(f"auth: a hook of {name} returned {kind(result)}")
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
        fault = f"auth: {name} raised {type(error).__name__} ({place})"
        raise AuthenticationFailed(fault) from None  # the error's own text may hold a secret


def _on_the_wire(request: Any) -> tuple[bytes, bytes, Headers, BytesProducer | None]:
    headers = Headers()
    for name, value in request.headers.items():
        headers.setRawHeaders(encode(name, "latin-1"), [encode(value, "latin-1")])
    # Twisted writes the body's true length: a second one would make the message ambiguous.
    headers.removeHeader(b"Content-Length")
    body = BytesProducer(utf8(request.body)) if request.body else None
    return encode(request.method, "ascii"), encode(request.url, "ascii"), headers, body


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
