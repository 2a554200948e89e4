"""A receiver on loopback that tests can wait for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed

from buildbot_http_status_push.receiver.receiver import Behaviour, Received, Receiver


class Inbox:
    """What a receiver has got, and a way to wait for more."""

    def __init__(self) -> None:
        self.receiver = Receiver(reactor, on_status=self._got)
        self.statuses: list[Received] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    async def open(self, port: int = 0) -> str:
        """Listen, and return the URL to post to."""
        self.port = await self.receiver.listen(port)
        return f"http://127.0.0.1:{self.port}/submit"

    async def close(self) -> None:
        """Stop listening."""
        await self.receiver.stop()

    def behave(self, **behaviour: Any) -> None:
        """Answer in another way from now on."""
        self.receiver.behaviour = Behaviour(**behaviour)

    @property
    def builds(self) -> list[dict[str, Any]]:
        """The bodies that came, as JSON."""
        return [json.loads(each.body) for each in self.statuses]

    def seen(self) -> list[tuple[str, int, str]]:
        """Return builder, number and event of each status, in the order they came."""
        return [
            (build["builder"]["name"], build["number"], str(status.event))
            for build, status in zip(self.builds, self.statuses, strict=True)
        ]

    def until(self, count: int) -> Deferred[None]:
        """Wait until so many statuses have come."""
        return self.when(lambda: len(self.statuses) >= count)

    def when(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Wait until a condition holds after a status has come."""
        if condition():
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._waiting.append((condition, done))
        return done

    def forget(self) -> None:
        """Begin empty, as a new receiver does."""
        self.statuses.clear()
        self.receiver._ids.clear()

    def _got(self, received: Received) -> None:
        self.statuses.append(received)
        for condition, done in list(self._waiting):
            if condition():
                self._waiting.remove((condition, done))
                # The answer is written first: waiting code may stop the receiver.
                reactor.callLater(0, done.callback, None)
