"""``self._http``: what subclasses that post for themselves have always used.

One request each, with the reporter's URL, credentials, headers and TLS; no outbox, no retries.
"""

from __future__ import annotations

from typing import Any

import treq.client
from attrs import frozen
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from buildbot_http_status_push import auth
from buildbot_http_status_push.client import Render, without_user_info
from buildbot_http_status_push.encoding import JSON, to_json


@frozen
class Response:
    """An answer, as Buildbot's own HTTP services give it.

    Args:
        original: treq's response.
    """

    original: Any

    @property
    def code(self) -> int:
        """The HTTP status code."""
        return int(self.original.code)

    @property
    def url(self) -> str:
        """The URL that was asked."""
        return str(self.original.request.absoluteURI.decode("ascii"))

    def content(self) -> Deferred[bytes]:
        """Return the body."""
        content: Deferred[bytes] = self.original.content()
        return content

    def json(self) -> Deferred[Any]:
        """Return the body, decoded as JSON."""
        decoded: Deferred[Any] = self.original.json()
        return decoded


@frozen
class Session:
    """Makes single requests to the reporter's receiver.

    Args:
        reactor: The clock of the deadline.
        agent: The agent that sends.
        render: Yields the target anew for every request.
        timeout: Seconds until the answer's head must have come.
    """

    reactor: IReactorTime
    agent: IAgent
    render: Render
    timeout: float

    def get(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a GET request; see ``post``."""
        return ensureDeferred(self._request("GET", ep, **options))

    def post(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a POST request.

        Args:
            ep: What is added to the reporter's ``serverUrl``, or a whole http(s) URL.
            **options: ``json`` (a dict or a list), ``headers``, and what else treq takes.

        Returns:
            The answer: ``code``, ``url``, ``content()`` and ``json()``.
        """
        return ensureDeferred(self._request("POST", ep, **options))

    def put(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a PUT request; see ``post``."""
        return ensureDeferred(self._request("PUT", ep, **options))

    def delete(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a DELETE request; see ``post``."""
        return ensureDeferred(self._request("DELETE", ep, **options))

    async def _request(
        self, method: str, ep: str, *, json: Any = None, headers: Any = None, **options: Any
    ) -> Response:
        target = without_user_info(await self.render())
        own = {"Content-Type": JSON} if json is not None else {}
        if json is not None:
            options["data"] = to_json(json)
        is_whole = ep.startswith(("http://", "https://"))
        client = treq.client.HTTPClient(
            auth.wrap(self.agent, target.auth), data_to_body_producer=auth.BytesProducer
        )
        response = client.request(
            method,
            ep if is_whole else target.url + ep,
            headers={**own, **(headers or {}), **target.headers},
            allow_redirects=False,
            **options,
        )
        return Response(await response.addTimeout(self.timeout, self.reactor))
