"""What rules would have sent of a history."""

from __future__ import annotations

import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from support.boards import BoardCase
from support.histories import BEGIN, DAY, histories
from support.statuses import NOW
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.incidents.engine import Engine
from buildbot_http_status_push.board.incidents.events import EndedBuild
from buildbot_http_status_push.board.notify.rehearsing import rehearse
from buildbot_http_status_push.board.notify.rules import Rule
from buildbot_http_status_push.commands.main import main
from buildbot_http_status_push.results import FAILURE, SUCCESS

RULES = (Rule(name="all", to=("chat",)),)
PLAIN = (
    "flapping: red and green in turn, each long enough",
    "half a repair",
    "one commit on thirty builders over 40 minutes, in batches",
    "flaky at 10 %",
    "over before it could be said",
)
"""Histories in which builds are all that happens, from a board that is there from the start."""


class RehearsalTest(SynchronousTestCase):
    """Histories."""

    def test_as_live(self) -> None:
        """A replay has the messages that a board would have sent, at the same times."""
        every = histories()
        for name in PLAIN:
            history = every[name]
            events = [each for each in history.events if isinstance(each, EndedBuild)]
            found = rehearse(RULES, ["chat"], Engine(), events, BEGIN, BEGIN + 3 * DAY)
            seen = [(int(at), each.event.rpartition(".")[2]) for at, _, each in found.sent]
            self.assertEqual(seen, [(at, kind) for at, kind, *_ in history.says], name)

    def test_kept_back(self) -> None:
        """What was not sent has its reason; what ended without a change is counted."""
        every = histories()
        events = [each for each in every["flaky at 10 %"].events if isinstance(each, EndedBuild)]
        found = rehearse(RULES, ["chat"], Engine(), events, BEGIN, BEGIN + 3 * DAY)
        self.assertEqual(set(found.kept["chat"].values()), {"flaky"})
        unchanged, ended = found.ended_unchanged
        self.assertLessEqual(unchanged, ended)
        self.assertGreater(ended, 0)


class CommandTest(BoardCase):
    """``board replay``."""

    async def test_command(self) -> None:
        """It reads the board's database, sends nothing, sums up, and reports faults of files."""
        rules = Path(self.mktemp())
        rules.write_text(
            '[to.chat]\nkind = "slack"\nurl_env = "NOT_READ"\n[[rule]]\nname = "all"\nto = "chat"\n'
        )
        await self.put(1, SUCCESS)
        await self.put(2, FAILURE)
        days = int((time.time() - NOW) // DAY) + 2
        arguments = ["board", "replay", "--notify", str(rules), "--database", self.url]
        known = Path(self.mktemp())
        known.mkdir()
        (known / "disk.toml").write_text('title = "Disk full"\npatern = "No space left"\n')
        arguments += ["--since", f"{days}d", "--known", str(known)]
        with redirect_stdout(StringIO()) as printed:
            code = await deferToThread(main, arguments)
        self.assertEqual(code, 0)
        self.assertIn("disk.toml: line 2: patern: must be one of", printed.getvalue())
