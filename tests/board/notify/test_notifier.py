"""From incidents to messages that arrive: receivers that fail, restarts, two boards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field
from support.fakes import LogBook
from support.hook import Hook
from support.incidents import AT, Kept, an_incident, over
from support.mail import MailServer
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from buildbot_http_status_push.board.notify.notifier import Notifier
from buildbot_http_status_push.board.notify.notify_file import Notify, notify_of
from buildbot_http_status_push.board.notify.senders import Senders
from buildbot_http_status_push.board.toml_files import RuleFile
from buildbot_http_status_push.database import file_url

reactor: Any = global_reactor
MOST_WAITS = 100
KEY = "a plain signing key"
FILE = """
[to.chat]
{to}
[[rule]]
name = "all"
to = "chat"
wait = "0s"
"""


class MixedReactor(Clock):
    """The real network and threads, by a clock that the test sets."""

    def __getattr__(self, name: str) -> Any:
        """Return what is no matter of time."""
        return getattr(reactor, name)


@define(eq=False)
class World:
    """A board with incidents, and time."""

    folder: Path
    clock: MixedReactor = field(factory=MixedReactor)
    kept: Kept = field(factory=Kept)
    book: LogBook = field(factory=LogBook)
    notifiers: list[Notifier] = field(factory=list)

    def board(self, owner: str = "board") -> Notifier:
        """Start a board's notifier."""
        notifier = Notifier(
            self.clock,
            RuleFile(self.folder / "notify.toml", notify_of, Notify(), "--notify", self.book.log),
            file_url(self.folder / "outbox.sqlite"),
            owner,
            "https://board.example.org/",
            self.kept,
            lambda: True,
            deferToThread,
            self.book.log,
        )
        notifier.start()
        self.notifiers.append(notifier)
        return notifier

    async def until(self, condition: Callable[[], bool], step: float = 1.0) -> None:
        """Let time pass until a condition holds; the test's own limit ends it."""
        while not condition():
            self.clock.advance(step)
            await deferLater(reactor, 0.001)
            # Requests take real time: until they end, unless nothing is answered.
            for _ in range(MOST_WAITS):
                if not self.in_flight:
                    break
                self.clock.advance(0.05)  # between two addresses of a host
                await deferLater(reactor, 0.002)

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        pipelines = [one for each in self.notifiers for one in each._senders._pipelines.values()]
        return sum(len(each._relay._in_flight) for each in pipelines)

    async def stop(self) -> None:
        """Stop the notifiers, which takes time too."""
        for notifier in self.notifiers:
            stopped = Deferred.fromCoroutine(notifier.stop())
            await self.until(lambda stopped=stopped: stopped.called, 0.1)
        self.notifiers.clear()

    async def let_pass(self, seconds: float) -> None:
        """Let time pass."""
        end = self.clock.seconds() + seconds
        await self.until(lambda: self.clock.seconds() >= end, 5.0)

    async def looked(self, notifier: Notifier) -> None:
        """Wait for a look that begins from now on."""
        notifier.wake()
        await self.until(lambda: not notifier.is_woken)
        before = notifier.looked
        notifier.wake()
        await self.until(lambda: notifier.looked is not before)


class NotifierCase(TestCase):
    """Has a world whose board has had its first look."""

    def world(self, to: str) -> World:
        """Make a world with one destination."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "notify.toml").write_text(FILE.format(to=to))
        world = World(folder)
        world.clock.advance(AT)
        return world

    def hook(self, kind: str = "json") -> tuple[Hook, World]:
        """Make a receiver, and a world that sends to it."""
        hook = Hook()
        port = hook.listen()
        self.addCleanup(hook.close)
        return hook, self.world(f'kind = "{kind}"\nurl = "http://127.0.0.1:{port}/hook/hush"')

    async def started(self, world: World, owner: str = "board") -> Notifier:
        """Start a notifier, and wait for its first look."""
        notifier = world.board(owner)
        self.addCleanup(lambda: Deferred.fromCoroutine(world.stop()))
        await world.looked(notifier)
        return notifier

    def assert_in_order(self, bodies: Iterable[Any], incidents: int) -> None:
        """Check that each incident was opened and closed, in this order, and nothing else."""
        seen: dict[str, list[str]] = {}
        for each in bodies:
            seen.setdefault(each["incident"]["id"], []).append(each["type"])
        self.assertEqual(len(seen), incidents)
        for types in seen.values():
            self.assertEqual(types, ["incident.opened", "incident.closed"])


class HookTest(NotifierCase):
    """A URL."""

    async def test_opened_and_closed(self) -> None:
        """An incident is two messages, with what a program needs, and a link that readers reach."""
        hook, world = self.hook()
        notifier = await self.started(world)
        world.kept.put(an_incident())
        notifier.wake()
        await world.until(lambda: len(hook.taken) == 1)
        world.kept.put(over(an_incident(), int(world.clock.seconds())))
        notifier.wake()
        await world.until(lambda: len(hook.taken) == 2, 5.0)
        self.assert_in_order(hook.once, 1)
        [first, second] = hook.once
        self.assertIn("test_login (pytest) on linux fails since", first["text"])
        self.assertIn("good with new changes", second["text"])
        self.assertEqual(first["incident"]["url"], "https://board.example.org/incidents/i1")

    async def test_trouble(self) -> None:
        """Down for an hour, then busy, silent, and losing answers: all arrive, once, in order."""
        hook, world = self.hook()
        notifier = await self.started(world)
        port = hook._port.getHost().port
        await hook.close()
        incidents = [an_incident(f"i{number}") for number in range(3)]
        for each in incidents:
            world.kept.put(each)
        notifier.wake()
        await world.let_pass(1800)
        for each in incidents:
            world.kept.put(over(each, int(world.clock.seconds())))
        notifier.wake()
        await world.let_pass(1800)
        hook.answers += [429, 503, "lost", "silent", 500]
        hook.listen(port)
        await world.until(lambda: len(hook.once) == 6 and not hook.answers)
        await world.let_pass(120)
        self.assert_in_order(hook.once, 3)
        repeated = len(hook.taken) - len(hook.once)
        self.assertLessEqual(repeated, 2)  # what was taken without an answer comes again, alike
        self.assertGreaterEqual(repeated, 1)
        self.assertNotIn("hush", "\n".join(world.book.lines))

    async def test_restarts(self) -> None:
        """A board that is stopped and started at each step sends each message once."""
        hook, world = self.hook()
        notifier = await self.started(world)
        incident = an_incident()
        for step in (incident, over(incident, AT + 600)):
            world.kept.put(step)
            await world.looked(notifier)
            await world.stop()
            notifier = world.board()
            await world.looked(notifier)
            await world.let_pass(900)
        await world.until(lambda: len(hook.taken) >= 2)
        await world.let_pass(60)
        await world.stop()
        self.assert_in_order(hook.once, 1)

    async def test_two_boards(self) -> None:
        """Two boards on one database make each message once."""
        hook, world = self.hook()
        one, other = await self.started(world, "one"), await self.started(world, "other")
        for number in range(4):
            incident = an_incident(f"i{number}")
            world.kept.put(incident)
            await world.looked(one)
            await world.looked(other)
            world.kept.put(over(incident, int(world.clock.seconds())))
            await world.let_pass(660)
        await world.until(lambda: len(hook.once) >= 8)
        await world.let_pass(60)
        # Time flies here: an attempt that outlives its lease is repeated, with the same id.
        self.assert_in_order(hook.once, 4)

    async def test_first_look(self) -> None:
        """What is there at the first look is one summary of what is open, and no more."""
        hook, world = self.hook()
        world.kept.put(over(an_incident("old", AT - 2000), AT - 1000))
        for number in range(3):
            world.kept.put(an_incident(f"i{number}"))
        await self.started(world)
        await world.until(lambda: len(hook.taken) == 1)
        for number in range(3):
            world.kept.put(over(an_incident(f"i{number}"), AT + 60))
        await world.let_pass(900)
        [(_, body)] = hook.taken
        self.assertEqual((body["type"], body["count"]), ("incident.summary", 3))

    async def test_broken_database(self) -> None:
        """While the outbox can't be used nothing is lost, and that is logged once."""
        hook, world = self.hook()
        notifier = await self.started(world)
        path = world.folder / "outbox.sqlite"
        aside = path.rename(world.folder / "aside")
        path.symlink_to(world.folder)  # a folder is no database
        world.kept.put(an_incident())
        notifier.wake()
        await world.let_pass(120)
        aside.replace(path)  # in one step: what is absent for a moment would be made anew
        await world.until(lambda: len(hook.taken) == 1)
        lines = [each for each in world.book.lines if "messages are sent later" in each]
        self.assertEqual(len(lines), 1)

    async def test_changed_file(self) -> None:
        """A file that changes is used at a later look where using it fails at first."""
        world = self.hook()[1]
        notifier = await self.started(world)
        use, tries = Senders.use, []

        async def failing(senders: Senders, destinations: dict[str, Any]) -> None:
            tries.append(destinations)
            if len(tries) == 1:
                raise OSError("out of files")
            await use(senders, destinations)

        self.patch(Senders, "use", failing)
        path = world.folder / "notify.toml"
        path.write_text(path.read_text() + "after = 2\n")
        await world.until(lambda: len(tries) == 2)
        await world.looked(notifier)
        self.assertEqual(len(tries), 2)

    async def test_chats(self) -> None:
        """Slack, Mattermost, Discord and Teams get messages of their own formats."""
        for kind, key in (
            ("slack", "text"),
            ("mattermost", "attachments"),
            ("discord", "embeds"),
            ("teams", "type"),
        ):
            hook, world = self.hook(kind)
            notifier = await self.started(world)
            world.kept.put(an_incident())
            notifier.wake()
            await world.until(lambda hook=hook: len(hook.taken) == 1)
            [(_, body)] = hook.taken
            self.assertIn(key, body)
            self.assertIn("fails since", json.dumps(body))
            await world.stop()


class MailTest(NotifierCase):
    """Mail."""

    async def test_recipients(self) -> None:
        """Each recipient gets each mail once, though another one is refused for hours."""
        server = MailServer(refused={"slow@example.org"})
        server.start()
        self.addCleanup(server.stop)
        world = self.world(
            f'kind = "mail"\nserver = "smtp://localhost:{server.port}"\n'
            'from = "board@example.org"\nrecipients = ["slow@example.org", "<a@example.org>"]'
        )
        notifier = await self.started(world)
        world.kept.put(an_incident())
        notifier.wake()
        await world.until(lambda: len(server.seen) == 1)
        await world.let_pass(3600)
        world.kept.put(over(an_incident(), int(world.clock.seconds())))
        await world.until(lambda: len(server.seen) == 2)
        server.refused.clear()
        await world.until(lambda: len(server.seen) == 4)
        self.assertEqual(server.recipients, [["a@example.org"]] * 2 + [["slow@example.org"]] * 2)
        self.assertEqual(len({each["Message-ID"] for each in server.seen}), 4)

    async def test_thread(self) -> None:
        """Mails of an incident are a thread; one whose answer was lost is repeated alike."""
        server = MailServer()
        server.start()
        self.addCleanup(server.stop)
        world = self.world(
            f'kind = "mail"\nserver = "smtp://localhost:{server.port}"\n'
            'from = "Board <board@example.org>"\nrecipients = "ci@example.org"'
        )
        answers = ["451 later", "554 no"]
        server.answer = lambda: answers.pop(0) if answers else "250 ok"
        notifier = await self.started(world)
        world.kept.put(an_incident())
        notifier.wake()
        await world.until(lambda: len(server.seen) == 3)
        server.stop()
        world.kept.put(over(an_incident(), int(world.clock.seconds())))
        await world.let_pass(3600)
        server.start()
        await world.until(lambda: len(server.seen) == 4)
        *_, opened, closed = server.seen
        self.assertEqual(len({each["Message-ID"] for each in server.seen}), 2)
        self.assertEqual(closed["References"], opened["Message-ID"])
        self.assertEqual(closed["Subject"], f"Re: {opened['Subject']}")
        self.assertEqual(opened["Subject"], "test_login (pytest), first on linux")
        self.assertIn("https://board.example.org/incidents/i1", closed.get_content())
