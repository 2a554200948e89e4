"""A receiver that misbehaves as a control file says, and writes down every POST that it takes.

What it takes it passes on to a board, if there is one behind it, and has taken it only when the
board has. Runs as a process of its own: ``receiver.py PORT RECORD CONTROL SEED BOARD``.
"""

from __future__ import annotations

import json
import random
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

BACKLOG = 100
OK, NO_BOARD = 200, 503
log = Logger()
CLOSE = 0.25
"""Seconds before the sender's limit from which on nobody knows who was first."""
ONE_KIND_OF_THREE = 1 / 9
"""Three kinds of failure make a third of all requests fail."""


class Receiver:
    """Decides what becomes of each request.

    Args:
        record: The file that is appended to, a JSON object for every line.
        control: The file that says how to behave, read anew for every request.
        draw: Yields random numbers from 0 to 1.
        clock: The reactor.
        board: The board's URL, empty for none.
    """

    def __init__(
        self, record: Path, control: Path, draw: Callable[[], float], clock: Any, board: str
    ) -> None:
        self._record = record.open("ab", buffering=0)  # a line is written whole or not at all
        self._control = control
        self._draw = draw
        self._clock = clock
        self._board = board
        self._manners: dict[str, Callable[[BrittleRequest, dict[str, Any]], None]] = {
            "accept": self._accept,
            "unanswered": self._leave_unanswered,
            "status": self._refuse,
            "unreliable": self._be_unreliable,
            "silent": self._be_silent,
            "slow": self._be_slow,
        }

    @property
    def _manner(self) -> dict[str, Any]:
        manner: dict[str, Any] = json.loads(self._control.read_text())
        return manner

    def resets(self, request: BrittleRequest) -> bool:
        """Reset some connections when a request's head has come and its body has not."""
        unlucky = self._manner["mode"] == "unreliable" and self._draw() < ONE_KIND_OF_THREE
        if unlucky:
            self._note("refused", request, what="reset before reading")
            _reset(request)
        return unlucky

    def handle(self, request: BrittleRequest) -> None:
        """Treat a request as the control file says."""
        manner = self._manner
        request.tight = self._clock.seconds() + manner["limit"] - CLOSE
        if "only" in manner and request.status["builder"]["name"] not in manner["only"]:
            manner = {"mode": "accept"}
        self._manners[manner["mode"]](request, manner)

    def _note(self, kind: str, request: BrittleRequest, **more: object) -> None:
        line = {"at": self._clock.seconds(), "kind": kind, "id": request.getHeader("webhook-id")}
        line["event"] = request.getHeader("Buildbot-Event")
        self._record.write(json.dumps(line | more).encode() + b"\n")

    def _take(self, request: BrittleRequest, then: Callable[[BrittleRequest], object]) -> None:
        """Pass a request on, and go on once the board has it."""
        if not self._board:
            self._taken(OK, request, then)
            return
        passed = treq.post(self._board, request.raw, headers=_passed_on(request))
        passed.addCallback(_code).addErrback(lambda _: NO_BOARD)
        passed.addCallback(self._taken, request, then)
        passed.addErrback(partial(log.failure, "a request could not be treated"))

    def _taken(
        self, code: int, request: BrittleRequest, then: Callable[[BrittleRequest], object]
    ) -> None:
        if code != OK:
            self._note("refused", request, what=f"the board answers with {code}")
            _answer(request, NO_BOARD)
            return
        self._note("accepted", request, body=request.status)
        then(request)

    def _accept(self, request: BrittleRequest, _: dict[str, Any]) -> None:
        self._take(request, self._answer_taken)

    def _answer_taken(self, request: BrittleRequest) -> None:
        """Answer, and note where the sender may not have heard it in time."""
        if request.is_left:
            self._note("unanswered", request, what="the sender left before it was answered")
            return
        if self._clock.seconds() > request.tight:
            self._note("unanswered", request, what="answered as the sender gave up")
        _answer(request)

    def _leave_unanswered(self, request: BrittleRequest, _: dict[str, Any]) -> None:
        self._take(request, self._reset_after_acceptance)

    def _reset_after_acceptance(self, request: BrittleRequest) -> None:
        self._note("unanswered", request, what="reset after acceptance")
        _reset(request)

    def _refuse(self, request: BrittleRequest, manner: dict[str, Any]) -> None:
        self._note("refused", request, what=str(manner["status"]))
        _answer(request, manner["status"], manner.get("retry_after"))

    def _be_unreliable(self, request: BrittleRequest, manner: dict[str, Any]) -> None:
        drawn = self._draw() * (1 - ONE_KIND_OF_THREE)
        if drawn < ONE_KIND_OF_THREE:
            self._refuse(request, {**manner, "status": 500})
        elif drawn < 2 * ONE_KIND_OF_THREE:
            self._leave_unanswered(request, manner)
        else:
            self._accept(request, manner)

    def _be_silent(self, request: BrittleRequest, _: dict[str, Any]) -> None:
        self._note("refused", request, what="silence")
        request.notifyFinish().addErrback(lambda _: None)

    def _be_slow(self, request: BrittleRequest, manner: dict[str, Any]) -> None:
        wait = self._draw() * manner["most"]
        self._take(request, lambda request: self._answer_later(request, wait))

    def _answer_later(self, request: BrittleRequest, wait: float) -> None:
        if request.is_left:
            self._answer_taken(request)
            return
        answer = self._clock.callLater(wait, self._answer_taken, request)
        request.notifyFinish().addErrback(lambda _: self._left(request, answer))

    def _left(self, request: BrittleRequest, answer: Any) -> None:
        answer.cancel()
        self._note("unanswered", request, what="the sender left a slow receiver")


def _code(response: Any) -> Any:
    """Return an answer's code, once it is there as a whole."""
    return treq.content(response).addCallback(lambda _: response.code)


def _passed_on(request: BrittleRequest) -> dict[str, str]:
    """Return the headers that the board is to see."""
    names = ("content-type", "webhook-id", "webhook-timestamp", "buildbot-event")
    return {name: value for name in names if (value := request.getHeader(name)) is not None}


def _answer(request: Any, status: int = 200, retry_after: int | None = None) -> None:
    if request.is_left:
        return
    request.setResponseCode(status)
    if retry_after is not None:
        request.setHeader("Retry-After", str(retry_after))
    request.finish()


def _reset(request: BrittleRequest) -> None:
    transport: Any = request.channel.transport
    transport.abortConnection()


class BrittleRequest(Request):
    """A request that can be reset before its body is read.

    Args:
        receiver: Says what becomes of it.
        channel: The connection, as Twisted hands it over.
        queued: Likewise; not used any more.
    """

    def __init__(self, receiver: Receiver, channel: Any, queued: object) -> None:
        super().__init__(channel, queued)  # type: ignore[no-untyped-call]  # Twisted's
        self._receiver = receiver
        self._was_reset = False
        self.is_left = False
        self.tight = float("inf")

    @property
    def raw(self) -> bytes:
        """The body as it came."""
        content: Any = self.content
        content.seek(0)
        body: bytes = content.read()
        return body

    @property
    def status(self) -> dict[str, Any]:
        """The body."""
        status: dict[str, Any] = json.loads(self.raw)
        return status

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Know that the head is there."""
        super().gotLength(length)  # type: ignore[no-untyped-call]  # Twisted's
        self._was_reset = self._receiver.resets(self)

    def process(self) -> None:
        """Handle the request, whatever its method and path."""
        # A body that came together with the head is there also after a reset.
        if not self._was_reset:
            self.notifyFinish().addErrback(self._leave)
            self._receiver.handle(self)

    def _leave(self, _: object) -> None:
        self.is_left = True


def listen(clock: Any, port: int, site: Site) -> None:
    """Listen on a port that whoever started this process keeps for it by being bound to it."""
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        ours.bind(("127.0.0.1", port))
        ours.listen(BACKLOG)
        ours.setblocking(False)
        clock.adoptStreamPort(ours.fileno(), socket.AF_INET, site)


def main(port: str, record: str, control: str, seed: str, board: str) -> None:
    """Receive until the process is ended."""
    draw = random.Random(seed).random  # noqa: S311 - faults by chance, not secrets
    receiver = Receiver(Path(record), Path(control), draw, reactor, board)
    site = Site(Resource(), requestFactory=partial(BrittleRequest, receiver))
    listen(reactor, int(port), site)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
