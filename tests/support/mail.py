"""A real SMTP server on loopback, over which a test has full power."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from attrs import define, field
from support.ports import free_port

PASSWORD = "opensesame"


@define
class MailServer:
    """Takes mails.

    Args:
        answer: What it says to the next mail; it is called in the server's thread.
        refused: The recipients that it refuses.
        certificate: The file of its certificate and key, None for no TLS.
        is_tls: Whether connections begin with TLS; else there is STARTTLS.
        port: Its port.
    """

    answer: Callable[[], str] = lambda: "250 ok"
    certificate: Path | None = None
    is_tls: bool = False
    port: int = field(factory=free_port)
    refused: set[str] = field(factory=set)
    seen: list[EmailMessage] = field(factory=list)
    """The mails that were sent to it, whatever it answered."""
    recipients: list[list[str]] = field(factory=list)
    logins: list[bytes] = field(factory=list)
    _controller: Controller | None = field(default=None, init=False)
    _transports: list[Any] = field(factory=list, init=False)

    def start(self) -> None:
        """Listen."""
        context = None
        if self.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.certificate)
        ours = {
            "authenticator": self._authenticate,
            "auth_require_tls": context is not None,
            "enable_SMTPUTF8": False,
        }
        if context is not None and not self.is_tls:
            ours["tls_context"] = context
        self._controller = Controller(
            self,
            "127.0.0.1",
            self.port,
            ssl_context=context if self.is_tls else None,
            ready_timeout=30.0,
            **ours,
        )
        self._controller.start()

    def stop(self) -> None:
        """Listen no more, and drop all connections."""
        if self._controller is not None:
            asyncio.run_coroutine_threadsafe(self._drop(), self._controller.loop).result()
            self._controller.stop(no_assert=True)
            self._controller = None

    async def _drop(self) -> None:
        """Close all connections, and let the loop do so: it ends with what it has not closed."""
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        """Take note of a connection."""
        session.host_name = hostname
        self._transports.append(server.transport)
        return answers

    async def handle_RCPT(  # noqa: N802
        self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]
    ) -> str:
        """Take a recipient, or refuse it for now."""
        if address in self.refused:
            return "450 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        message: Any = BytesParser(policy=default).parsebytes(content)
        self.seen.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return self.answer()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login)
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)
