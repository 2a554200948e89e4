"""Buildbot's data API on a port, as its web server has it; imported by ``states.cfg``."""

from __future__ import annotations

import json
from typing import Any

from buildbot.util.service import BuildbotService
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

log = Logger()


class DataApi(BuildbotService):  # type: ignore[misc]  # Buildbot has no types
    """Answers ``GET /KIND``; ``POST /buildsets`` asks for builds, to ``/buildrequests/ID`` cancels.

    Args:
        port: Where, on loopback.
    """

    name = "data-api"

    def reconfigService(self, port: int) -> None:
        """Take over the port; it stays the same."""
        self._port = port

    async def startService(self) -> None:
        """Begin to listen."""
        await super().startService()
        site = Site(_Answers(self.master))
        self._listening = self.master.reactor.listenTCP(self._port, site, interface="127.0.0.1")

    async def stopService(self) -> None:
        """Listen no more."""
        await maybeDeferred(self._listening.stopListening)
        await super().stopService()


class _Answers(Resource):
    isLeaf = True

    def __init__(self, master: Any) -> None:
        super().__init__()
        self._master = master

    def render_GET(self, request: Request) -> int:
        path = tuple(each.decode() for each in request.postpath)
        return _answer(request, self._master.data.get(path))

    def render_POST(self, request: Request) -> int:
        path = tuple(each.decode() for each in request.postpath)
        if path == ("buildsets",):
            names = json.loads(request.content.read())
            return _answer(request, ensureDeferred(self._ask(names)))
        return _answer(request, self._master.data.control("cancel", {"reason": "chaos"}, path))

    async def _ask(self, names: list[str]) -> list[int]:
        rows = await self._master.data.get(("builders",))
        numbers = {each["name"]: each["builderid"] for each in rows}
        stamp = {"codebase": "", "repository": "", "branch": None, "revision": None, "project": ""}
        _, requests = await self._master.data.updates.addBuildset(
            waited_for=False,
            builderids=[numbers[each] for each in names],
            sourcestamps=[stamp],
            reason="chaos",
        )
        return list(requests.values())


def _answer(request: Request, found: Any) -> int:
    def finish(result: Any) -> None:
        rows = list(result) if hasattr(result, "__iter__") else result
        request.write(json.dumps(rows, default=str).encode())
        request.finish()

    found.addCallback(finish).addErrback(lambda failure: log.failure("no answer", failure))
    return NOT_DONE_YET
