"""Secrets rotated on a real master, step by step as the documentation says."""

from __future__ import annotations

import os
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import treq
from buildbot.plugins import secrets, util
from buildbot.process.results import SUCCESS
from buildbot.secrets.providers.base import SecretProviderBase
from buildbot.util.twisted import async_to_deferred
from support.inbox import Inbox
from support.master import EndWith, ReporterTestCase, configuration
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from buildbot_http_status_push.configuration.rendering import FILES_AGE
from buildbot_http_status_push.receiver.receiver import Answer, Behaviour, Received, Receiver
from buildbot_http_status_push.reporter import HttpStatusPush

pytestmark = pytest.mark.once

BUILDERS = {"success": [EndWith(SUCCESS)]}
KEYS = ("whsec_" + "AQEB" * 11, "whsec_" + "AgIC" * 11)
TOKENS = ("s3cret-old", "s3cret-new")
TOKEN = util.Secret("token")
OLD, NEW = util.Secret("key-1"), util.Secret("key-2")


class Door(Receiver):
    """A receiver that accepts statuses with a token that it knows only."""

    tokens: tuple[str, ...] = TOKENS[:1]

    def _take(self, received: Received) -> Answer:
        if received.headers.get("x-token") not in self.tokens:
            return Answer(HTTPStatus.UNAUTHORIZED, "another token")
        return super()._take(received)


class SecretServer(Resource):
    """A server of secrets, which answers 404 for those that it does not know."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's, not typed
        self.values: dict[str, str] = {}

    def render_GET(self, request: Request) -> bytes:
        """Return a secret."""
        value = self.values.get(request.path.decode().strip("/"))
        request.setResponseCode(200 if value else 404)
        return (value or "").encode()


class AskingProvider(SecretProviderBase):  # type: ignore[misc]  # Buildbot has no types
    """A provider that asks a server whenever it is asked."""

    name = "AskingProvider"

    def reconfigService(self, url: str) -> None:
        """Take over where the server is."""
        self.url = url

    @async_to_deferred
    async def get(self, entry: str) -> str | None:
        """Return a secret, None where the server has none of that name."""
        response = await treq.get(self.url + entry, persistent=False)
        text = await response.text()
        return str(text) if response.code == HTTPStatus.OK else None


class RotationTest(ReporterTestCase):
    """A master, and a receiver that checks every status."""

    timeout = 100

    async def open_inbox(self) -> tuple[Inbox, str]:
        """Open the receiver, which knows the old token and the old key."""
        inbox = Inbox()
        self.door = inbox.receiver = Door(reactor, on_status=inbox._got)
        inbox.behave(keys=KEYS[:1])
        self.addCleanup(lambda: ensureDeferred(inbox.close()))
        return inbox, await inbox.open()

    async def begin(self, *providers: Any, **options: Any) -> None:
        """Start a master with such options."""
        self.inbox, self.url = await self.open_inbox()
        self.providers = providers
        self.master = await self.start_master(self.configuration(**options))
        await self.build()

    def configuration(self, **options: Any) -> dict[str, Any]:
        """Return the master's configuration."""
        reporter = HttpStatusPush(self.url, headers={"X-Token": options.pop("token")}, **options)
        made = configuration([reporter], BUILDERS)
        return made | {"secretsProviders": list(self.providers)}

    async def reconfigure(self, keys: Any) -> None:
        """Change the signing keys, and do what ``buildbot reconfig`` does."""
        await self.master.reconfigure(self.configuration(token=TOKEN, signing_secret=keys))

    async def build(self, token: str = TOKENS[0], signatures: int = 1) -> None:
        """Build, and see what comes: both statuses at once, with the token and signatures."""
        begin = len(self.inbox.statuses)
        await self.master.build("success")
        await self.inbox.until(begin + 2)
        for status in self.inbox.statuses[begin:]:
            self.assertEqual(status.headers["x-token"], token)
            self.assertEqual(len(status.headers["webhook-signature"].split()), signatures)
        self.assertEqual((self.door.tally.refused, self.door.tally.repeated), (0, 0))

    def accept(self, *keys: str) -> None:
        """Accept statuses that are signed with one of these keys only."""
        self.door.behaviour = Behaviour(keys=keys)

    @async_to_deferred
    async def test_file(self) -> None:
        """A changed file and a new one are used without a restart of the master."""
        folder = self.folder / "secrets"
        folder.mkdir(mode=0o700)
        write(folder / "token", TOKENS[0])
        write(folder / "key-1", KEYS[0])
        provider = secrets.SecretInAFile(dirname=str(folder))
        await self.begin(provider, token=TOKEN, signing_secret=OLD)
        write(folder / "token", TOKENS[1])
        self.door.tokens = TOKENS
        # For a second the value that was read last may be used.
        await deferLater(reactor, FILES_AGE)
        self.door.tokens = TOKENS[1:]
        await self.build(TOKENS[1])
        write(folder / "key-2", KEYS[1])
        await self.reconfigure([NEW, OLD])
        await self.build(TOKENS[1], signatures=2)
        self.accept(KEYS[1])
        await self.reconfigure(NEW)
        (folder / "key-1").unlink()
        await self.build(TOKENS[1])

    @async_to_deferred
    async def test_server(self) -> None:
        """A provider that asks a server is asked for each attempt; the new key may come late."""
        server = SecretServer()
        site = Site(server)  # type: ignore[no-untyped-call]  # Twisted's, not typed
        port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        server.values = {"token": TOKENS[0], "key-1": KEYS[0]}
        provider = AskingProvider(url=f"http://127.0.0.1:{port.getHost().port}/")
        await self.begin(provider, token=TOKEN, signing_secret=OLD)
        server.values["token"] = TOKENS[1]
        self.door.tokens = TOKENS[1:]
        await self.build(TOKENS[1])
        await self.reconfigure([NEW, OLD])
        await self.build(TOKENS[1], signatures=1)
        server.values["key-2"] = KEYS[1]
        await self.build(TOKENS[1], signatures=2)
        self.accept(KEYS[1])
        await self.reconfigure(NEW)
        del server.values["key-1"]
        await self.build(TOKENS[1])

    @async_to_deferred
    async def test_environment(self) -> None:
        """A new value of an environment variable is used after a restart of the master."""

        def from_environment() -> dict[str, Any]:
            keys = os.environ["STATUS_KEYS"].split()
            return {"token": os.environ["STATUS_TOKEN"], "signing_secret": keys}

        with patch.dict(os.environ, STATUS_TOKEN=TOKENS[0], STATUS_KEYS=KEYS[0]):
            await self.begin(**from_environment())
        self.door.tokens = TOKENS
        for keys in (f"{KEYS[1]} {KEYS[0]}", KEYS[1]):
            with patch.dict(os.environ, STATUS_TOKEN=TOKENS[1], STATUS_KEYS=keys):
                await self.master.stop()
                self.master = await self.start_master(self.configuration(**from_environment()))
            await self.build(TOKENS[1], signatures=len(keys.split()))
            self.door.tokens = TOKENS[1:]
            self.accept(KEYS[1])


def write(file: Path, value: str) -> None:
    """Replace a secret's file as the documentation says."""
    new = file.with_name(f".{file.name}.new")
    new.write_text(f"{value}\n")
    new.chmod(0o600)
    new.replace(file)
