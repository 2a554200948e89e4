"""Known failures: files, what they are recognised by, and what becomes of them."""

from __future__ import annotations

import os
from pathlib import Path

from autobahn.websocket.protocol import PreparedMessage
from support.boards import BoardCase
from support.fakes import LogBook
from support.reasons import excerpts
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.failures.known import (
    UNLIKE,
    Entry,
    entry_of,
    judged,
    seen,
)
from buildbot_http_status_push.board.failures.known_files import KnownFiles
from buildbot_http_status_push.board.model import Known, Memory, Reason
from buildbot_http_status_push.board.toml_files import SIZE, FileFault
from buildbot_http_status_push.results import FAILURE, SUCCESS

DISK = (
    'title = "Disk full"\npattern = "No space left"\n'
    'link = "https://bugs.example.org/7"\nowner = "Zoë"\n'
)
LINE = "cc1: error: No space left on device"


def reason(text: str, signature: str = "0" * 16) -> Reason:
    """Return a reason."""
    return Reason(signature=signature, rule="gcc", step="compile", text=text)


class EntryTest(SynchronousTestCase):
    """What an entry may say, and which lines it is."""

    def fault(self, **content: object) -> str:
        """Return what is wrong with an entry."""
        with self.assertRaises(FileFault) as caught:
            entry_of("disk", {"title": "Disk full", "pattern": "x", **content})
        return str(caught.exception)

    def test_faults(self) -> None:
        """A fault names the key, the value, and what must be."""
        for content, words in (
            ({"titel": "x"}, "titel: must be one of title, link"),
            ({"title": 7}, "title is 7: must be a text"),
            ({"title": ""}, "title is ''"),
            ({"link": "javascript:alert(1)"}, "link is 'javascript:alert(1)': must begin with"),
            ({"pattern": "**?"}, "pattern is '**?': must have a text"),
            ({"pattern": "x" * 501}, "must be a text of 1 to 500"),
            ({"pattern": ["x"] * 51}, "pattern has 51 values: must have at most 50"),
            ({"pattern": [[]]}, "pattern is []: must be a text"),
            ({"pattern": []}, "pattern: must be given, or signature"),
            ({"until": "2027-01-01"}, "until is '2027-01-01': must be a date without quotes"),
        ):
            self.assertIn(words, self.fault(**content))
        with self.assertRaises(FileFault):
            entry_of("disk", {"pattern": "x"})

    def test_lines(self) -> None:
        """A line is recognised by a pattern or a signature, on the builders that are named."""
        entry = entry_of(
            "disk",
            {
                "title": "Disk full",
                "pattern": ["No space * device", "quota"],
                "signature": "f" * 16,
                "builders": ["linux-*"],
                "steps": "compile",
                "branches": ["main"],
            },
        )
        for text, signature, builder, branch, expected in (
            (LINE, "", "linux-gcc", "main", True),
            ("QUOTA exceeded", "", "linux-gcc", "main", True),
            ("other", "f" * 16, "linux-gcc", "main", True),
            ("other", "", "linux-gcc", "main", False),
            (LINE, "", "mac", "main", False),
            (LINE, "", "linux-gcc", "next", False),
        ):
            found = entry.is_of(reason(text, signature), builder, branch)
            self.assertEqual(found, expected, (text, builder, branch))

    def test_every_line(self) -> None:
        """A build is known only where every line is, and none was left out."""
        entry = entry_of("disk", {"title": "Disk full", "pattern": "No space"})
        both = (reason(LINE), reason("another", "1" * 16))
        for reasons, is_cut, expected in (
            (both[:1], False, "known"),
            (both, False, "new"),
            (both[:1], True, "new"),
        ):
            memory = Memory(state="new", reasons=reasons, is_cut=is_cut)
            found = judged(memory, [entry], "linux", "main")
            self.assertEqual((found.state, len(found.known)), (expected, 1))

    def test_remarks(self) -> None:
        """The list says what expired, what was not seen lately, and what matches too much."""
        entry = entry_of("disk", {"title": "Disk full", "pattern": "No space"})
        [one] = seen([entry], [], 0.0)
        self.assertIn("not seen for 30 days", one.remarks)
        self.assertIn("without owner", one.remarks)
        many = [(reason(f"No space {number}"), number) for number in range(UNLIKE + 1)]
        [one] = seen([entry], many, 0.0)
        self.assertEqual(one.last_at, UNLIKE)
        self.assertIn("matches 11 unlike lines", one.remarks[-1])
        old = Entry(known=Known(name="x", title="x", until=5.0), patterns=("No",))
        self.assertEqual(seen([old], [], 6.0)[0].remarks[0], "expired")


class FilesTest(SynchronousTestCase):
    """A directory of files."""

    def setUp(self) -> None:
        """Make one."""
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.book = LogBook()
        self.files = KnownFiles(self.directory, self.book.log)

    def write(self, name: str, text: str | bytes) -> None:
        """Write a file."""
        content = text if isinstance(text, bytes) else text.encode()
        (self.directory / name).write_bytes(content)

    def names(self) -> list[str]:
        """Read the files, and return the names of what is in force."""
        self.files.read()
        return [each.known.name for each in self.files.entries]

    def test_a_fault(self) -> None:
        """A fault names file, line and key, is logged once, and leaves the others in force."""
        self.write("disk.toml", DISK)
        self.write("broken.toml", 'title = "x"\npattern = \n')
        self.write("key.toml", 'titel = "x"\n')
        self.write("large.toml", "#" * (SIZE + 1))
        self.write("bytes.toml", b"\xff\xfe")
        self.write("notes.txt", "not read")
        self.assertEqual(self.names(), ["disk"])
        faults = "\n".join(self.files.faults)
        for words in (
            "broken.toml: is no TOML",
            "line 2",
            "key.toml: line 1: titel: must",
            "large.toml",
        ):
            self.assertIn(words, faults)
        self.assertEqual(len(self.book.lines), 4)
        self.files.forget()
        self.names()
        self.assertEqual(len(self.book.lines), 4)

    def test_changes(self) -> None:
        """Files that are added, changed or removed are noticed."""
        self.assertEqual(self.names(), [])
        self.write("disk.toml", DISK)
        self.assertEqual(self.names(), ["disk"])
        self.write("disk.toml", DISK + "pattern2 = 7\n")
        self.assertEqual(self.names(), [])
        os.unlink(self.directory / "disk.toml")
        self.names()
        self.assertEqual(self.files.faults, ())

    def test_says_little(self) -> None:
        """Lines that say little are in files of their own, whose faults name line and key too."""
        self.write("disk.toml", DISK)
        self.write("wrapper.toml", 'says_little = "run.sh: step * ended"\n')
        self.write("more.toml", 'says_little = ["see the log", "on line ?"]\n')
        self.assertEqual(self.names(), ["disk"])
        self.assertEqual(self.files.little, ("see the log", "on line ?", "run.sh: step * ended"))
        self.write("more.toml", '\nsays_little = ["*"]\n')
        self.write("wrapper.toml", 'says_little = "x"\ntitle = "y"\n')
        self.names()
        self.assertEqual(self.files.little, ())
        first, second = self.files.faults
        self.assertIn("more.toml: line 2: says_little is '*': must have a text", first)
        self.assertIn("wrapper.toml: line 2: title: must be one of says_little", second)

    def test_gone(self) -> None:
        """A directory that is gone leaves no failure known."""
        self.write("disk.toml", DISK)
        self.names()
        os.unlink(self.directory / "disk.toml")
        self.directory.rmdir()
        self.assertEqual(self.names(), [])


class Watcher:
    """A browser that fires when it is to fetch its page."""

    def __init__(self) -> None:
        self.fetches: Deferred[None] = Deferred()

    def send(self, message: PreparedMessage) -> None:
        """Take a frame."""
        if b'"snapshot"' in message.payloadHybi and not self.fetches.called:
            self.fetches.callback(None)

    def drop(self) -> None:
        """Be dropped."""


class KnownPagesTest(BoardCase):
    """A board with a directory."""

    async def setUp(self) -> None:
        """Start it, with one known failure."""
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "disk.toml").write_text(DISK)
        (directory / "broken.toml").write_text("title = 7\n")
        self.known = directory
        await super().setUp()

    async def test_known(self) -> None:
        """A builder whose lines are all known is amber, counted apart, and still a failure."""
        await self.put(1, SUCCESS)
        await self.put(2, FAILURE, **excerpts(LINE))
        html = (await self.get("/")).text
        self.assertIn('class="red is-known"', html)
        self.assertIn("<b>1</b> known", html)
        self.assertIn('<span data-count="red">0</span>', html)
        self.assertIn("Disk full", html)
        self.assertRegex(html, r'<span class="of">owner</span><span class="suspect">.*?Zoë')
        self.assertIn("https://bugs.example.org/7", html)
        self.assertIn('lastBuildStatus="Failure"', (await self.get("/cctray.xml")).text)
        self.assertIn("known: Disk full (Zoë)", (await self.get("/feed.atom")).text)
        self.assertIn('"state":"known"', (await self.get("/api/builders")).text)
        html = (await self.get("/known")).text
        for words in ("Disk full", "disk.toml", "without until", "broken.toml: line 1: title is 7"):
            self.assertIn(words, html)

    async def test_live(self) -> None:
        """Open browsers fetch their pages when other failures are known, and see it there."""
        await self.put(1, SUCCESS)
        await self.put(2, FAILURE, **excerpts(LINE))
        self.assertIn("is-known", (await self.get("/")).text)
        watcher = Watcher()
        self.board.hub.browsers.welcome(watcher, PreparedMessage(b"{}", False, False, False))
        self.board.store.know((), ())
        await watcher.fetches
        self.assertNotIn("is-known", (await self.get("/")).text)

    async def test_partly(self) -> None:
        """A builder with one more line stays red."""
        await self.put(1, SUCCESS)
        await self.put(2, FAILURE, **excerpts(LINE, "something else"))
        self.assertNotIn("is-known", (await self.get("/")).text)
