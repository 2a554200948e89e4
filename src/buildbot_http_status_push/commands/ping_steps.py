"""The sub-command ``ping``: sends one marked test status and prints each step.

It is sent by the reporter's own client; a connection before it only looks at addresses and
certificates. Must not know Buildbot.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet import defer
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.logger import ILogObserver, LogEvent, Logger
from zope.interface import implementer

from buildbot_http_status_push.commands.console import DONE, FAILED
from buildbot_http_status_push.commands.ping_connection import (
    Look,
    addresses_of,
    connect,
    describe_certificate,
)
from buildbot_http_status_push.durations import duration
from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask, one_line
from buildbot_http_status_push.report.encoding import JSON, to_json
from buildbot_http_status_push.wire import tls, tls_errors, urls
from buildbot_http_status_push.wire.client import ANSWER_EXCERPT, Client
from buildbot_http_status_push.wire.requester import Requester
from buildbot_http_status_push.wire.target import Target, resolve
from buildbot_http_status_push.wire.transport import Connections, Place, route

DEFAULT_PORTS = {"http": 80, "https": 443}

WAITED_FOR = {
    "name": "the host name was not resolved {}",
    "connection": "no connection was established {}",
    "TLS": "the TLS handshake did not complete {}; a receiver without TLS requires an http:// URL",
}

CREDENTIALS = "credentials or a signature are missing or wrong (--auth, --header, --secret)"
ADVICE = {
    401: CREDENTIALS,
    403: CREDENTIALS,
    404: "no receiver at this URL",
    405: "this URL does not accept POST requests",
    410: "the receiver has been retired",
    429: "the receiver is busy; the reporter would retry",
}


@frozen
class Settings:
    """The options of one ping.

    Args:
        target: Where and as whom to send.
        verify: Whether certificates are checked, or the file or directory of trusted ones.
        cert: The client certificate's file with its key, or the files of both.
        timeout: Seconds for looking at the receiver, and again for the exchange with it.
    """

    target: Target
    verify: bool | Path = True
    cert: Path | tuple[Path, Path] | None = None
    timeout: float = 30.0


class Ping:
    """Sends one test status and prints each step.

    Raises:
        TLSFileError: A file that ``verify`` or ``cert`` names can't be used.
    """

    def __init__(
        self, reactor: Any, settings: Settings, message_id: str, say: Callable[[str], object]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._say = say
        self._url = urls.parse(settings.target.url)
        port = self._url.port or DEFAULT_PORTS[self._url.scheme]
        self._place = Place(self._url.host, port, settings.timeout)
        self._delivery = make_delivery(message_id, reactor.seconds())
        self._mask = Mask(resolve(settings.target).secrets)
        self._answer = _Answer()
        self._step = ""
        policy = tls.make_policy(settings.verify, settings.cert)
        policy.creatorForNetloc(b"localhost", port)  # fails now where a file can't be used
        connections = Connections(reactor, policy, 1)
        self._pool = connections.pool
        log = Logger(observer=self._answer)
        requester = Requester(
            reactor, connections.agent, lambda: succeed(settings.target), True, log
        )
        self._client = Client(requester, settings.timeout)

    async def work(self) -> int:
        """Inspect the receiver, send the test status, print the outcome; return the exit code."""
        self._say(f"POST {self._mask.url(self._url.wire)}")
        try:
            outcome = await self._attempt()
        except defer.CancelledError:
            self._say("Interrupted.")
            return FAILED
        self._say(verdict(outcome))
        return DONE if isinstance(outcome, Accepted) else FAILED

    async def clean_up(self) -> None:
        """Close the connection that is kept alive."""
        await self._pool.closeCachedConnections()

    async def _attempt(self) -> Outcome:
        timeout = self._settings.timeout
        try:
            looking = Deferred.fromCoroutine(self._look())
            connected = await looking.addTimeout(timeout, self._reactor)
        except defer.TimeoutError:
            self._say(_row(self._step, f"nothing within {timeout:g} s"))
            return Unreachable(WAITED_FOR[self._step].format(f"within {timeout:g} s"))
        outcome = await self._client.send(self._delivery)
        if connected or not isinstance(outcome, Unreachable):
            self._show_answer(outcome)
        return outcome

    async def _look(self) -> bool:
        """Print the lookup, the connection and TLS; return whether there was a connection."""
        return await self._look_up() and await self._connect()

    async def _look_up(self) -> bool:
        host = self._place.host
        if proxy := self._settings.target.proxy:
            self._say(_row("name", f"resolved by the proxy {proxy.address}"))
            return True
        if isIPAddress(host) or isIPv6Address(host):
            self._say(_row("name", f"{host} is an address; no lookup needed"))
            return True
        began = self._begin("name")
        addresses = await addresses_of(self._reactor, host)
        known = ", ".join(addresses) if addresses else "no address"
        self._show(f"{host} resolves to {known}", began)
        return bool(addresses)

    async def _connect(self) -> bool:
        began = self._begin("connection")
        try:
            look = await self._open(self._settings.verify)
        except (ConnectError, OSError):
            self._say(_row(self._step, "none"))
            return False
        self._show(f"to {look.where}", began)
        if self._url.scheme == "http":
            self._say(_row("TLS", "none: traffic is not encrypted"))
            await look.close()
        else:
            await self._secure(look)
        return True

    async def _open(self, verify: bool | Path) -> Look:
        secure = self._url.scheme == "https"
        policy = tls.make_policy(verify, self._settings.cert) if secure else None
        proxy = self._settings.target.proxy
        return await connect(route(self._reactor, self._place, policy, proxy))

    async def _secure(self, look: Look) -> None:
        began = self._begin("TLS")
        trouble = await look.handshake()
        if trouble is None:
            checked = "checked" if self._settings.verify else "not checked (--no-verify)"
            self._show(f"{look.version}, certificate {checked}", began)
            self._show_certificate(look)
        else:
            words = tls_errors.describe(trouble) or "the connection was closed"
            self._show(words.removeprefix("TLS: "), began)
            if isinstance(trouble, tls_errors.CertificateRefusedError):
                await self._show_refused()

    async def _show_refused(self) -> None:
        with suppress(ConnectError, OSError):
            look = await self._open(verify=False)
            if await look.handshake() is None:
                self._show_certificate(look)

    def _show_certificate(self, look: Look) -> None:
        for line in describe_certificate(look.certificate, self._reactor.seconds()):
            self._say(_row("", line))

    def _show_answer(self, outcome: Outcome) -> None:
        if isinstance(outcome, Unreachable):
            self._say(_row("answer", f"none ({duration(outcome.duration)})"))
            return
        words = f"{outcome.status}{_phrase(outcome.status)} ({duration(outcome.duration)})"
        self._say(_row("answer", words))
        if text := outcome.answer if isinstance(outcome, Refused) else self._answer.text:
            self._say(_row("", text))

    def _begin(self, step: str) -> float:
        self._step = step
        return float(self._reactor.seconds())

    def _show(self, text: str, began: float) -> None:
        self._say(_row(self._step, f"{text} ({duration(self._reactor.seconds() - began)})"))


@implementer(ILogObserver)
class _Answer:
    """Keeps the answer's text, of which an accepting outcome has none.

    The client's debug log has it, with all secrets hidden.
    """

    text = ""

    def __call__(self, event: LogEvent) -> None:
        if str(event["log_format"]).startswith("response body"):
            self.text = one_line(event["body"])[:ANSWER_EXCERPT]


def make_delivery(message_id: str, now: float) -> Delivery:
    """Make a status like a build's, marked ``"test": true``."""
    body = {
        "test": True,
        "buildid": 0,
        "number": 0,
        "builder": {"name": "ping"},
        "complete": False,
        "complete_at": None,
        "started_at": int(now),
        "state_string": "a test by buildbot-http-status-push ping",
        "results": None,
    }
    return Delivery(
        id=message_id,
        lane="ping",
        subject="ping",
        event="ping",
        title="a test status",
        content_type=JSON,
        body=to_json(body),
    )


def verdict(outcome: Outcome) -> str:
    """Return the outcome of the test status as one sentence."""
    if isinstance(outcome, Accepted):
        return f"The receiver accepted the test status with {outcome.status}."
    if isinstance(outcome, Unreachable):
        return f"The test status was not delivered: {outcome.reason}."
    return f"The receiver refused the test status with {outcome.status}: {_advice(outcome.status)}."


def _advice(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed; use the URL it redirects to"
    if status >= 500:
        return "server error; the reporter would retry"
    return ADVICE.get(status, "see the response above")


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _row(label: str, text: str) -> str:
    return f"  {label:<10}  {text}"
