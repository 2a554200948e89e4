"""The ``debug=`` option: logs each request and each answer as they cross the wire, masked."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from buildbot_http_status_push.redaction import Mask

EXCERPT = 2048


def excerpt(body: bytes) -> str:
    """Return the first 2 KiB of a body as text."""
    return body[:EXCERPT].decode("utf-8", "replace")


def _pairs(headers: Headers | None) -> list[tuple[str, str]]:
    raw = headers.getAllRawHeaders() if headers else []
    return [(name.decode("latin-1"), value.decode("utf-8", "replace"))
            for name, values in raw for value in values]  # fmt: skip


@implementer(IAgent)
@frozen
class DebugAgent:
    """Logs what it passes on to another agent, and what comes back.

    Args:
        agent: The agent that sends.
        mask: Hides secrets.
        log: Where the lines go.
    """

    agent: IAgent
    mask: Mask
    log: Logger

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        """Log the request, send it, and log the answer's head."""
        body = bytes(getattr(bodyProducer, "body", b""))
        self.log.info(
            "request: {method} {url} [{headers}] {size} bytes: {body}",
            method=method.decode("ascii"),
            url=self.mask.url(uri.decode("ascii")),
            headers=self.mask.headers(_pairs(headers)),
            size=len(body),
            body=self.mask.text(excerpt(body)),
        )
        sent: Deferred[IResponse] = self.agent.request(method, uri, headers, bodyProducer)
        return sent.addCallback(self._log_answer)

    def _log_answer(self, response: IResponse) -> IResponse:
        self.log.info(
            "response: {status} [{headers}]",
            status=response.code,
            headers=self.mask.headers(_pairs(response.headers)),
        )
        return response
