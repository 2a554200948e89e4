"""One attempt over SMTP: a delivery, whose body is a whole mail, is sent once, with an outcome.

Knows nothing of retries or storage, nor what a mail says.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from email.parser import BytesHeaderParser
from email.policy import SMTP
from typing import Any, TypeAlias

from attrs import field, frozen
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, connectionDone
from twisted.mail import smtp
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from buildbot_http_status_push.model import Accepted, Delivery, Outcome, Refused, Unreachable
from buildbot_http_status_push.redaction import Mask, one_line
from buildbot_http_status_push.wire.deadline import attempt_within
from buildbot_http_status_push.wire.errors import explain, is_cancelled, is_unsent
from buildbot_http_status_push.wire.target import RenderingError
from buildbot_http_status_push.wire.tls_errors import TLSFileError
from buildbot_http_status_push.wire.transport import Place, route

PERMANENT = range(500, 600)
TEXT_MOST = 200


@frozen(kw_only=True)
class MailTarget:
    """Where and as whom to send mail, with all secrets in place.

    Args:
        host: The server's name in ASCII, or its address.
        port: Its port.
        is_tls: Whether the connection begins with TLS.
        starttls: Whether TLS must begin with STARTTLS (RFC 3207) where it did not at once.
        sender: The envelope's sender.
        login: User and password (RFC 4954), None for no login.
    """

    host: str
    port: int
    is_tls: bool
    starttls: bool
    sender: str
    login: tuple[str, str] | None = field(default=None, repr=False)


RenderMail: TypeAlias = Callable[[], "Deferred[MailTarget]"]


class NoLoginError(Exception):
    """The server offers no way to log in, or no TLS before it; the text says which."""


@frozen
class MailClient:
    """Sends a mail once."""

    reactor: Any
    policy: IPolicyForHTTPS
    render: RenderMail
    timeout: float

    def send(self, delivery: Delivery) -> Deferred[Outcome]:
        """Make one attempt; the delivery's body is the mail, its ``To`` the recipients.

        Returns:
            What came of it; trouble of the network is an outcome, not a failure.
        """
        return attempt_within(self.timeout, self._attempt(delivery), self.reactor)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            target = await self.render()
        except RenderingError as trouble:
            return Unreachable(one_line(str(trouble))[:TEXT_MOST], here=True)
        mask = Mask({target.login[1]} if target.login else ())
        try:
            answer = await self._exchange(delivery, target)
        except Exception as trouble:  # any trouble of one attempt is that attempt's outcome
            if is_cancelled(trouble):
                raise CancelledError from trouble
            text = one_line(mask.text(_explain(trouble)))[:TEXT_MOST]
            here = isinstance(trouble, TLSFileError)
            return Unreachable(text, here=here, unsent=here or is_unsent(trouble))
        return _outcome(answer, mask)

    async def _exchange(self, delivery: Delivery, target: MailTarget) -> _Answer:
        creator = None
        if target.starttls and not target.is_tls:
            creator = self.policy.creatorForNetloc(target.host.encode("ascii"), target.port)
        session = _Session(delivery, target, creator)
        place = Place(target.host, target.port)
        policy = self.policy if target.is_tls else None
        endpoint = route(self.reactor, place, policy, None)
        await endpoint.connect(_Once(session))
        try:
            return await session.answer
        finally:
            session.leave()


def _explain(trouble: Exception) -> str:
    return str(trouble) if isinstance(trouble, NoLoginError) else explain(trouble)


@frozen
class _Answer:
    """What the server said last.

    Args:
        code: The status.
        text: The words.
        is_of_mail: Whether the mail itself had been sent by then.
    """

    code: int
    text: str
    is_of_mail: bool


def _outcome(answer: _Answer, mask: Mask) -> Outcome:
    text = one_line(mask.text(answer.text))[:TEXT_MOST]
    if answer.code in range(200, 300) and answer.is_of_mail:
        return Accepted(answer.code)
    if answer.code in PERMANENT:
        return Refused(answer.code, text)
    # Transient negative completion (RFC 5321, 4.2.1): the same mail may pass later.
    verb = "rejected with" if answer.code >= 400 else "unexpected answer"
    return Unreachable(f"{verb} {answer.code}: {text}", unsent=True)


def _decoded(text: object) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


class _Once(Factory):
    """Makes one connection's protocol."""

    noisy = False

    def __init__(self, session: _Session) -> None:
        self._session = session

    def buildProtocol(self, _: object) -> _Session:
        return self._session


class _Session(smtp.ESMTPClient):
    """One mail over one connection. Twisted's side of it has no types.

    Args:
        delivery: The mail.
        target: As whom to send it.
        creator: What makes the TLS side after STARTTLS, None where there is none.
    """

    debug = False  # its log of lines would hold the password
    transport: Any

    def __init__(self, delivery: Delivery, target: MailTarget, creator: Any) -> None:
        user, password = target.login or ("", "")
        super().__init__(password.encode(), creator, smtp.DNSNAME)  # type: ignore[no-untyped-call]
        self.requireTransportSecurity = creator is not None
        self.requireAuthentication = target.login is not None
        if target.login:
            for kind in (smtp.PLAINAuthenticator, smtp.LOGINAuthenticator):
                self.registerAuthenticator(kind(user.encode()))  # type: ignore[no-untyped-call]
        head = BytesHeaderParser(policy=SMTP).parsebytes(delivery.body)
        self._recipients = tuple(each.addr_spec for each in head["To"].addresses)
        self._delivery, self._target = delivery, target
        self._is_sent = False
        self._has_data = False
        self.answer: Deferred[_Answer] = Deferred()

    def getMailFrom(self) -> str | None:  # noqa: N802 - Twisted's name
        """Return the sender, once."""
        if self._is_sent:
            return None
        self._is_sent = True
        return self._target.sender

    def getMailTo(self) -> tuple[str, ...]:  # noqa: N802 - Twisted's name
        """Return the recipients: one, unless an earlier version has made the mail."""
        return self._recipients

    def getMailData(self) -> io.BytesIO:  # noqa: N802 - Twisted's name
        """Return the mail, with the line ends that Twisted requires."""
        self._has_data = True
        return io.BytesIO(self._delivery.body.replace(b"\r\n", b"\n"))

    def sentMail(  # noqa: N802 - Twisted's name
        self,
        code: int,
        resp: object,
        _: int,
        addresses: Sequence[tuple[str, int, bytes]],
        *__: object,
    ) -> None:
        """Take the answer to the mail, or to the recipients if all were refused."""
        for each in addresses:
            if each[1] not in range(200, 300):
                resp = each[2]
        self._answered(code, resp)

    def sendError(self, exc: Exception) -> None:  # noqa: N802 - Twisted's name
        """Take what went wrong before that."""
        if isinstance(exc, smtp.TLSRequiredError):
            self._failed(NoLoginError("the server offers no STARTTLS (set starttls = false)"))
        elif isinstance(exc, smtp.AUTHRequiredError):
            self._failed(NoLoginError("the server offers no login by PLAIN or LOGIN"))
        elif isinstance(exc, smtp.SMTPClientError) and exc.code >= 400:
            self._answered(exc.code, exc.resp)
        else:
            self._failed(exc)
        super().sendError(exc)  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Take the connection's end."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        self._failed(reason.value or error.ConnectionLost())

    def leave(self) -> None:
        """End the connection: with a QUIT where an answer has come, else at once."""
        if self.answer.called:
            self.sendLine(b"QUIT")  # type: ignore[no-untyped-call]
            self.transport.loseConnection()
        else:
            self.answer.addErrback(lambda _: None)
            self.transport.abortConnection()

    def _answered(self, code: int, text: object) -> None:
        if not self.answer.called:
            self.answer.callback(_Answer(code, _decoded(text), self._has_data))

    def _failed(self, trouble: BaseException) -> None:
        if not self.answer.called:
            self.answer.errback(trouble)
