"""The sub-command ``receive``: shows what comes, and misbehaves on request."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError

from buildbot_http_status_push.commands.console import DONE, complain, number, run_reactor
from buildbot_http_status_push.commands.credentials import signing_key
from buildbot_http_status_push.receiver.description import describe, local_time, parse
from buildbot_http_status_push.receiver.receiver import Answer, Behaviour, Received, Receiver

if TYPE_CHECKING:
    from buildbot_http_status_push.commands.console import SubParsers
    from buildbot_http_status_push.commands.terminal import Output, Say


def add_receive(commands: SubParsers) -> None:
    """Add ``receive``: a receiver that shows what comes, and misbehaves on request."""
    parser = commands.add_parser(
        "receive",
        help="receive statuses and show them",
        description="Receive statuses over HTTP and print a line for each. --fail, --fail-rate, "
        "--delay and --hang simulate a bad receiver.",
    )
    parser.add_argument(
        "--port",
        metavar="P",
        type=number(int, 0, 65535, "a port"),
        default=8099,
        help="port to listen on (default: %(default)s); 0 for any free one",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--secret",
        metavar="KEY",
        type=signing_key,
        action="append",
        default=[],
        help="signing key that statuses require (401 otherwise): whsec_ and base64, or any text; "
        "repeatable",
    )
    parser.add_argument(
        "--save", metavar="DIR", type=Path, help="directory to write each body into"
    )
    _add_misbehaviour(parser)
    parser.set_defaults(run=run_receive)


def _add_misbehaviour(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fail",
        metavar="STATUS",
        type=number(int, 300, 599, "an HTTP status that refuses"),
        help="answer every request with this status",
    )
    parser.add_argument(
        "--fail-rate",
        metavar="SHARE",
        type=number(float, 0, 1, "a share of the requests"),
        default=0.0,
        help="answer this share of the requests with 503, such as 0.3",
    )
    parser.add_argument(
        "--seed", type=int, help="make --fail-rate choose the same requests each time"
    )
    parser.add_argument(
        "--delay",
        metavar="SECONDS",
        type=number(float, 0, 86400, "a delay in seconds"),
        default=0.0,
        help="answer after this time",
    )
    parser.add_argument("--hang", action="store_true", help="never answer")


def run_receive(arguments: argparse.Namespace, output: Output) -> int:
    """Receive until Ctrl-C or SIGTERM."""
    if arguments.save:
        try:
            arguments.save.mkdir(parents=True, exist_ok=True)
        except OSError as trouble:
            return complain(f"--save: can't create the directory: {trouble}")
    from twisted.internet import reactor

    command = _Receive(reactor, arguments, output.say)
    return run_reactor(reactor, output, command.work, command.receiver.stop)


class _Receive:
    """A receiver that prints and saves."""

    def __init__(self, reactor: Any, arguments: argparse.Namespace, say: Say) -> None:
        self._reactor = reactor
        self._arguments = arguments
        self._say = say
        self.receiver = Receiver(
            reactor,
            Behaviour(
                keys=arguments.secret,
                fail=arguments.fail,
                fail_rate=arguments.fail_rate,
                delay=arguments.delay,
                hang=arguments.hang,
            ),
            on_status=self._take,
            on_refused=self._tell,
            draw=random.Random(arguments.seed).random,  # noqa: S311 - chance, no secret
        )

    async def work(self) -> int:
        host, port = self._arguments.host, self._arguments.port
        try:
            port = await self.receiver.listen(port, host)
        except CannotListenError as trouble:
            return complain(
                f"--host {host} --port {port}: can't listen there: {trouble.socketError}"
            )
        self._say(
            f"Listening on http://{f'[{host}]' if ':' in host else host}:{port}, Ctrl-C ends it."
        )
        with contextlib.suppress(CancelledError):
            await Deferred[None]()
        self._say(f"{self.receiver.tally}.")
        return DONE

    def _take(self, received: Received) -> None:
        if self._arguments.save:
            self._save(received)
        self._say(describe(received))
        # It may run for weeks: what has been shown is not kept.
        self.receiver.received.clear()

    def _save(self, received: Received) -> None:
        try:
            save(received, self._arguments.save)
        except FileExistsError as trouble:
            self._say(f"--save: {trouble.filename} exists, and is not overwritten")

    def _tell(self, answer: Answer) -> None:
        self._say(
            f"{local_time(self._reactor.seconds())}  rejected with {answer.status}: {answer.text}"
        )


def save(received: Received, folder: Path) -> None:
    """Write a delivery's body into a file of its own.

    Raises:
        FileExistsError: Something of that name is there: a link is not followed.
        OSError: The file can't be written.
    """
    with (folder / file_name(received)).open("xb") as file:
        file.write(received.body)


def file_name(received: Received) -> str:
    """Return a name without anything special in it, the same for the same delivery."""
    ending = "txt" if parse(received) is None else "json"
    if received.id is None:
        return f"body-{hashlib.sha256(received.body).hexdigest()[:32]}.{ending}"
    if re.fullmatch(r"[A-Za-z0-9_-]{1,100}", received.id):
        return f"{received.id}.{ending}"
    # Different ids must not meet in one file, however much of them has to be replaced.
    digest = hashlib.sha256(received.id.encode()).hexdigest()[:32]
    return f"{re.sub('[^A-Za-z0-9_-]', '_', received.id)[:60]}-{digest}.{ending}"
