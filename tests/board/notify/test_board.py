"""A whole board: from a status to a message, and back to silence."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from support.boards import BoardCase
from support.hook import Hook
from twisted.internet import reactor as global_reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.acts import Act
from buildbot_http_status_push.board.notify import notifier
from buildbot_http_status_push.board.notify.reports import outbox_url
from buildbot_http_status_push.commands import board_settings
from buildbot_http_status_push.commands.main import make_parser
from buildbot_http_status_push.results import FAILURE, SUCCESS

reactor: Any = global_reactor
FILE = """
[to.bot]
kind = "json"
url = "http://127.0.0.1:{port}/"
[[rule]]
name = "all"
to = "bot"
wait = "0s"
"""


class BoardTest(BoardCase):
    """A board with ``--notify``."""

    public_url = "https://board.example.org/"

    async def setUp(self) -> None:
        """Start a receiver, and the board."""
        self.patch(notifier, "EVERY", 0.05)
        self.hook = Hook()
        port = self.hook.listen()
        self.addCleanup(self.hook.close)
        self.notify = Path(self.mktemp())
        self.notify.write_text(FILE.format(port=port))
        await super().setUp()

    async def follow(self) -> None:
        """Make incidents of what was stored, and wait for a look at them."""
        self.board.follower._look()
        await self.board.follower._running
        there = self.board._notifier
        assert there is not None
        before = there.looked
        there.wake()
        while there.looked is before:
            await deferLater(reactor, 0.01)

    async def test_messages(self) -> None:
        """A builder that breaks is a message with a link to the board."""
        await self.put(1, SUCCESS)
        await self.follow()
        await self.put(2, FAILURE)
        await self.follow()
        while not self.hook.taken:
            await deferLater(reactor, 0.05)
        [(_, body)] = self.hook.taken
        self.assertEqual(body["type"], "incident.opened")
        self.assertIn("on linux fails since", body["text"])
        self.assertTrue(body["incident"]["url"].startswith("https://board.example.org/incidents/"))
        page = await self.get(f"/incidents/{body['incident']['id']}")
        self.assertEqual(page.status, 200)

    async def test_kept_back(self) -> None:
        """What is not reported is counted on the page of incidents."""
        await self.put(1, SUCCESS)
        await self.follow()
        await self.put(2, FAILURE)
        await self.follow()
        [incident] = await self.board.store.incidents()
        await self.board.store.act(
            Act(kind="claim", incident=incident.id, by="ada", at=reactor.seconds())
        )
        there = self.board._notifier
        assert there is not None
        while not there.kept_back():
            there.wake()
            await deferLater(reactor, 0.05)
        page = await self.get("/incidents")
        self.assertIn("held back: 1 claimed, oldest ", page.text)


class ArgumentsTest(SynchronousTestCase):
    """What ``--notify`` needs."""

    def parsed(self, *arguments: str) -> argparse.Namespace:
        """Return the arguments of a board."""
        return make_parser().parse_args(["board", *arguments])

    def test_faults(self) -> None:
        """A file with a fault, and one without an address for links, are refused at the start."""
        path = Path(self.mktemp())
        path.write_text(FILE.format(port=80).replace("wait", "wat"))
        url = ("--public-url", "https://board.example.org/")
        for arguments, words in (
            (("--notify", str(path)), "--notify: needs --public-url"),
            (("--notify", str(path), *url), f"--notify {path}: line 8: wat: must be one of name"),
        ):
            with self.assertRaises(board_settings.SettingsError) as caught:
                board_settings.settings(self.parsed(*arguments), {})
            self.assertIn(words, str(caught.exception))

    def test_outbox(self) -> None:
        """Messages are kept beside the board's file, or in the same PostgreSQL database."""
        self.assertEqual(
            outbox_url("sqlite:////a/board.sqlite"), "sqlite:////a/board-outbox.sqlite"
        )
        self.assertEqual(outbox_url("postgresql://h/b"), "postgresql://h/b")
