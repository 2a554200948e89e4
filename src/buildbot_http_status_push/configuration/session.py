"""``self._http``: what subclasses that post for themselves have always used.

One request each, with the reporter's URL, credentials, headers and TLS; no outbox, no retries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode

from attrs import field, frozen
from twisted.internet import defer
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web.http_headers import Headers

from buildbot_http_status_push.redaction import Mask
from buildbot_http_status_push.report.encoding import JSON, to_json
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import resolve
from buildbot_http_status_push.wire.urls import parse


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
        requester: Makes the requests.
        timeout: Seconds until the answer's head must have come.
    """

    requester: Requester
    timeout: float
    _headers: dict[str, Any] = field(factory=dict, init=False)

    def update_headers(self, headers: Mapping[str, Any]) -> None:
        """Send these headers too from now on, until the next reconfiguration."""
        self._headers.update(headers)

    updateHeaders = update_headers  # noqa: N815 - what Buildbot 4.0 calls it

    def get(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a GET request; see ``post``."""
        return self._start("GET", ep, options)

    def post(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a POST request.

        Args:
            ep: What is added to the reporter's ``serverUrl``, or a whole http(s) URL.
            **options: ``json`` (a dict or a list), ``headers``, ``params``, and what else treq
                takes.

        Returns:
            The answer: ``code``, ``url``, ``content()`` and ``json()``.
        """
        return self._start("POST", ep, options)

    def put(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a PUT request; see ``post``."""
        return self._start("PUT", ep, options)

    def delete(self, ep: str, **options: Any) -> Deferred[Response]:
        """Make a DELETE request; see ``post``."""
        return self._start("DELETE", ep, options)

    def _start(self, method: str, ep: str, options: dict[str, Any]) -> Deferred[Response]:
        request = ensureDeferred(self._request(method, ep, **options))
        return request.addTimeout(self.timeout, self.requester.reactor, _timed_out)

    async def _request(
        self,
        method: str,
        ep: str,
        *,
        json: Any = None,
        headers: Any = None,
        params: Any = None,
        **options: Any,
    ) -> Response:
        given = await self.requester.render()
        url = _url(given.url, ep, params)
        target = resolve(given)
        if json is not None:
            options["data"] = to_json(json)
        own = {} if json is None else {"Content-Type": JSON}
        merged = _merged(own, headers or {}, given.headers, self._headers)
        mask = Mask(target.secrets)
        sent = self.requester.request(target, mask, method, url, headers=merged, **options)
        return Response(await sent)


def _timed_out(_: object, timeout: float) -> NoReturn:
    raise defer.TimeoutError(f"no answer within {timeout:g} s")


def _url(base: str, ep: str, params: Any) -> str:
    is_whole = ep.startswith(("http://", "https://"))
    url = parse(ep if is_whole else base + ep).wire
    if not params:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(params, doseq=True)


def _merged(*each: Any) -> Headers:
    """Merge headers whatever the case of their names, the later ones winning."""
    merged = Headers()
    for headers in each:
        for name, value in headers.items():
            merged.setRawHeaders(name, value if isinstance(value, list) else [value])
    return merged
