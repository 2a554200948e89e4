"""Destinations: what a table ``[to.NAME]`` says, and its target, with secrets read anew each time.

Must not know incidents nor rules.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred

from buildbot_http_status_push.board.notify.composing import (
    CHATS,
    JSON_KIND,
    KINDS,
    MAIL_KIND,
    Addressee,
    Envelope,
)
from buildbot_http_status_push.board.toml_files import FileFault, check_keys, text_of, texts_of
from buildbot_http_status_push.signing import KeyFormatError, parse_key
from buildbot_http_status_push.wire import proxy_choice, urls
from buildbot_http_status_push.wire.mail import MailTarget
from buildbot_http_status_push.wire.target import RenderingError, Target

SECRET_MOST = 4096
"""Characters of a secret."""
PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
FORMS = ("", "_file", "_env")
COMMON = ("kind", "verify")
KEYS = {
    JSON_KIND: ("url", "signing_secret", "user", "password", "proxy"),
    MAIL_KIND: ("server", "user", "password", "starttls", "from", "recipients"),
    **dict.fromkeys(CHATS, ("url", "proxy")),
}
SECRETS = ("url", "signing_secret", "password", "proxy")
"""What may stand in a file (``url_file``) or in the environment (``url_env``) instead."""
IN_FILES_ONLY = ("signing_secret", "password")
"""What may stand there only."""

T = TypeVar("T")


@frozen
class Secret:
    """A value, or where it is.

    Args:
        key: The key that it belongs to.
        form: One of ``FORMS``.
        text: The value, or the name of its file or variable.
    """

    key: str
    form: str
    text: str = field(repr=False)

    def read(self, environment: Mapping[str, str]) -> str:
        """Return the value: of a file the first line.

        Raises:
            RenderingError: It can't be had now.
        """
        if not self.form:
            return self.text
        where = f"{self.key}{self.form} {self.text}"
        if self.form == "_env":
            value = environment.get(self.text, "")
        else:
            try:
                with Path(self.text).open(encoding="utf-8") as file:
                    value = file.readline(SECRET_MOST)
            except (OSError, UnicodeDecodeError) as trouble:
                why = getattr(trouble, "strerror", None) or "is no UTF-8"
                raise RenderingError(f"{where} can't be read: {why}") from None
        if not value.strip():
            raise RenderingError(f"{where} is empty or missing")
        return value.strip()


@frozen(kw_only=True)
class Destination:
    """Where messages are sent.

    Args:
        name: Its name.
        kind: One of ``composing.KINDS``.
        secrets: What it is reached with, by key.
        user: The user's name, where there is a login.
        verify: The path of a file with trusted certificates, None for the system's.
        server: Of mail: scheme, host and port.
        starttls: Of mail: whether TLS is required where the connection does not begin with it.
        sender: Of mail: from whom.
        recipients: Of mail: to whom.
    """

    name: str
    kind: str
    secrets: Mapping[str, Secret] = field(factory=dict)
    user: str | None = None
    verify: str | None = None
    server: tuple[str, str, int] | None = None
    starttls: bool = True
    sender: str = ""
    recipients: tuple[str, ...] = ()

    @property
    def addressees(self) -> tuple[Addressee, ...]:
        """For whom its messages are made."""
        one = Addressee(name=self.name, kind=self.kind)
        envelopes = [Envelope(sender=self.sender, recipient=each) for each in self.recipients]
        return tuple(evolve(one, envelope=each) for each in envelopes) or (one,)

    def target(self, environment: Mapping[str, str]) -> Target:
        """Return where to POST.

        Raises:
            RenderingError: A secret can't be had now, or is unfit.
        """
        values = {key: each.read(environment) for key, each in self.secrets.items()}
        url = values["url"]
        keys = (values["signing_secret"],) if "signing_secret" in values else ()
        try:
            parsed = urls.parse(url)
            for each in keys:
                parse_key(each)
            proxy = proxy_choice.find_proxy(values.get("proxy"), url, environment)
        except (urls.URLError, KeyFormatError) as fault:
            raise RenderingError(f"destination {self.name}: {fault}") from None
        login = (self.user, values["password"]) if self.user and "password" in values else None
        hidden = {*keys, *(values[each] for each in ("password",) if each in values)}
        if self.kind != JSON_KIND:
            hidden |= {url, parsed.target} - {"/"}  # who knows a chat's webhook may write there
        return Target(
            url,
            login,
            {},
            frozenset(hidden) | (proxy.secrets if proxy else frozenset()),
            keys,
            proxy=proxy,
        )

    def mail_target(self, environment: Mapping[str, str]) -> MailTarget:
        """Return where to send mail.

        Raises:
            RenderingError: The password can't be had now.
        """
        if self.server is None:
            raise RenderingError(f"destination {self.name} is no mail")
        scheme, host, port = self.server
        password = self.secrets.get("password")
        return MailTarget(
            host=host,
            port=port,
            is_tls=scheme == "smtps",
            starttls=self.starttls,
            sender=parseaddr(self.sender)[1],
            login=(self.user, password.read(environment)) if self.user and password else None,
        )


def render(
    read: Callable[[Mapping[str, str]], T], in_thread: Callable[..., Deferred[Any]]
) -> Callable[[], Deferred[T]]:
    """Return what yields a target for each attempt: its files are read in another thread."""
    return lambda: in_thread(read, os.environ)


def destination_of(name: str, content: Mapping[str, Any]) -> Destination:
    """Return what a table ``[to.NAME]`` says.

    Args:
        name: The destination's name.
        content: Its keys and values, as TOML gives them.

    Raises:
        FileFault: A key is missing, unknown, or has a value that it can't have.
    """
    kind = text_of("kind", content.get("kind"))
    if kind not in KINDS:
        raise FileFault(f"kind is {kind!r}: must be one of {', '.join(KINDS)}")
    if not NAME.fullmatch(name):
        raise FileFault(f"kind: the destination's name must match {NAME.pattern}, not {name!r}")
    plain = [each for each in KEYS[kind] if each not in SECRETS]
    secret = [each for each in KEYS[kind] if each in SECRETS]
    forms = [f"{each}{form}" for each in secret for form in _forms(each)]
    check_keys(content, (*COMMON, *plain, *forms))
    secrets = {each: found for each in secret if (found := _secret(each, content))}
    user = text_of("user", content.get("user"))
    if (user is None) != ("password" not in secrets):
        raise FileFault("user: must be given with password_file or password_env, or neither")
    known = Destination(
        name=name,
        kind=kind,
        secrets=secrets,
        user=user,
        verify=text_of("verify", content.get("verify")),
        **(_mail(content, user) if kind == MAIL_KIND else {}),
    )
    if kind != MAIL_KIND and "url" not in secrets:
        raise FileFault('url: must be given, or url_file or url_env, e.g. url_env = "CHAT_URL"')
    _check_written(known)
    return known


def _forms(key: str) -> tuple[str, ...]:
    return FORMS[1:] if key in IN_FILES_ONLY else FORMS


def _secret(key: str, content: Mapping[str, Any]) -> Secret | None:
    given = [form for form in _forms(key) if f"{key}{form}" in content]
    if len(given) > 1:
        raise FileFault(f"{key}{given[1]}: must not be given beside {key}{given[0]}")
    for form in given:
        name = f"{key}{form}"
        value = content[name]
        if not isinstance(value, str) or not value.strip() or len(value) > SECRET_MOST:
            # What is at fault may be a secret.
            raise FileFault(f"{name}: must be a text of 1 to {SECRET_MOST} characters")
        return Secret(key, form, value.strip())
    return None


def _check_written(destination: Destination) -> None:
    """Return if what the file itself says can be used."""
    for key, read in (("url", urls.parse), ("proxy", _parse_proxy)):
        each = destination.secrets.get(key)
        if each is not None and not each.form:
            try:
                read(each.text)
            except urls.URLError as fault:
                raise FileFault(f"{key} can't be used: {fault}") from None


def _parse_proxy(text: str) -> object:
    return text == proxy_choice.ENVIRONMENT or proxy_choice.parse(text)


def _mail(content: Mapping[str, Any], user: str | None) -> dict[str, Any]:
    server = _server(text_of("server", content.get("server")))
    starttls = content.get("starttls", server[1] not in LOOPBACK)
    if not isinstance(starttls, bool):
        raise FileFault(f"starttls is {starttls!r:.60}: must be true or false")
    if user and not starttls and server[0] == "smtp" and server[1] not in LOOPBACK:
        raise FileFault("starttls is false: must be true with a user, whose password is sent")
    sender = text_of("from", content.get("from"))
    recipients = texts_of("recipients", content.get("recipients"))
    for key, each in (("from", sender), *(("recipients", each) for each in recipients)):
        if each is None or not _is_address(each):
            raise FileFault(f'{key} is {each!r:.60}: must be a mail address, e.g. "ci@example.org"')
    if not recipients or sender is None:
        raise FileFault('recipients: must be given, e.g. recipients = ["ci@example.org"]')
    return {"server": server, "starttls": starttls, "sender": sender, "recipients": recipients}


def _server(text: str | None) -> tuple[str, str, int]:
    fault = f'server is {text!r:.60}: must be such as "smtp://mail.example.org:587" or "smtps://…"'
    try:
        parts = urlsplit(text or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise FileFault(fault) from None
    if parts.scheme not in PORTS or not host or not host.isascii() or parts.username:
        raise FileFault(fault)
    return parts.scheme, host, port or PORTS[parts.scheme]


def _is_address(text: str) -> bool:
    address = parseaddr(text)[1]
    return text.isprintable() and bool(re.fullmatch(r"[!-?A-~]+@[A-Za-z0-9.-]+", address))
