"""A small HTTP receiver on loopback, which answers as a test says."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

reactor: Any = global_reactor


class Hook(Resource):
    """An HTTP receiver that answers as a test says.

    Attributes:
        answers: What it does next: a status, ``lost`` (takes it, and hangs up without an answer) or
            ``silent`` (takes it, and says nothing); 200 after that.
        taken: Ids and bodies, in order, of what it took, repeats too.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[object] = []
        self.taken: list[tuple[str, Any]] = []
        self._port: Any = None

    def listen(self, port: int = 0) -> int:
        """Listen, and return the port."""
        self._port = reactor.listenTCP(port, Site(self), interface="127.0.0.1")
        return int(self._port.getHost().port)

    async def close(self) -> None:
        """Listen no more."""
        await self._port.stopListening()

    def render_POST(self, request: Request) -> Any:
        """Take a message, or not."""
        answer = self.answers.pop(0) if self.answers else 200
        if answer in (200, "lost", "silent"):
            name = request.getHeader("webhook-id") or ""
            self.taken.append((name, json.loads(request.content.read())))
        if answer == "lost":
            request.transport.abortConnection()
            return NOT_DONE_YET
        if answer == "silent":
            return NOT_DONE_YET
        request.setResponseCode(int(str(answer)))
        if answer == 429:
            request.setHeader("Retry-After", "60")
        return b"ok"

    @property
    def once(self) -> list[Any]:
        """The bodies in order, each once."""
        return list(dict(reversed(self.taken)).values())[::-1]
