"""The file of rules and destinations: what it may say, and its faults by line and key."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from support.fakes import LogBook
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.notify.notify_file import Notify, notify_of
from buildbot_http_status_push.board.notify.quiet_hours import over_at, quiet_hours_of
from buildbot_http_status_push.board.toml_files import (
    FileFault,
    RuleFile,
    TomlFile,
    read_rules,
    tomllib,
)
from buildbot_http_status_push.wire.target import RenderingError

GOOD = """
[to.chat]
kind = "slack"
url_env = "CHAT_URL"
[to.bot]
kind = "json"
url = "https://bot.example.org/hook"
signing_secret_file = "secret"
[to.list]
kind = "mail"
server = "smtps://mail.example.org"
user = "board"
password_env = "MAIL_PASSWORD"
from = "The board <board@example.org>"
recipients = ["ci@example.org", "Ada <ada@example.org>"]
[[rule]]
name = "release"
to = ["chat", "list"]
branches = "release-*"
tags = ["linux"]
kinds = ["failure"]
wait = "1m"
settle = "20m"
after = 2
unless = ["known"]
quiet_hours = ["22:00-07:00 Europe/Berlin", "Sat-Sun 00:00-24:00 UTC"]
at_most = 5
[[rule]]
name = "all"
to = "bot"
"""


def seconds(text: str) -> float:
    """Return a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


class FileTest(SynchronousTestCase):
    """What a file says."""

    def test_good(self) -> None:
        """Rules keep their order; what is not said has its default."""
        notify = notify_of(tomllib.loads(GOOD))
        first, second = notify.rules
        self.assertEqual((first.wait, first.settle, first.after), (60.0, 1200.0, 2))
        self.assertEqual((first.unless, first.branches), ({"known"}, ("release-*",)))
        self.assertEqual((second.wait, second.settle, second.at_most), (300.0, 600.0, 20))
        self.assertEqual(second.unless, {"known", "flaky", "claimed"})
        self.assertEqual(sorted(notify.destinations), ["bot", "chat", "list"])

    def test_faults(self) -> None:
        """A fault names the line, the key, what was seen and what must be."""
        for old, new, words in (
            ('wait = "1m"', 'wait = "soon"', "line 22: wait is 'soon': must be a number"),
            ('settle = "20m"', 'settle = "1m"', "line 23: settle: must be at least 10m"),
            ("after = 2", "after = 0", "line 24: after is 0: must be a whole number from 1"),
            ('"known"', '"lucky"', "line 25: unless is 'lucky': must be one of known, flaky"),
            ("Europe/Berlin", "Berlin", "line 26: quiet_hours is '22:00-07:00 Berlin': must have"),
            ("22:00-07:00", "22-7", "line 26: quiet_hours is '22-7 Europe/Berlin': must be hours"),
            ("22:00-07:00", "22:75-07:00", "line 26: quiet_hours is '22:75-07:00 Europe/Berlin'"),
            ('to = "bot"', 'to = "bott"', "line 30: to is 'bott': must be one of chat, bot, list"),
            ('name = "all"', 'name = "release"', "line 29: name is 'release': must be no other"),
            ('name = "all"\n', "", "line 28: name: must be given"),
            ('kinds = ["failure"]', 'kinds = ["bad"]', "line 21: kinds is 'bad': must be one of"),
            ('kind = "slack"', 'kind = "irc"', "line 3: kind is 'irc': must be one of slack"),
            ('url_env = "CHAT_URL"', "", "line 2: url: must be given, or url_file or url_env"),
            ("https://bot", "ftp://bot", "line 7: url can't be used: it does not begin with http"),
            ('password_env = "MAIL_PASSWORD"', "", "line 12: user: must be given with password"),
            ("smtps://", "http://", "line 11: server is 'http://mail.example.org': must be such"),
            ("ci@example.org", "ci", "line 15: recipients is 'ci': must be a mail address"),
            (
                'smtps://mail.example.org"',
                'smtp://mail.example.org"\nstarttls = false',
                "line 12: starttls is false",
            ),
            ("[[rule]]", "[[rules]]", "line 16: rules: must be one of to, rule"),
            ("[to.bot]", "[to.chat2]\n[to.bot]", "line 5: kind is None: must be one of"),
        ):
            text = GOOD.replace(old, new)
            assert text != GOOD, old
            with self.assertRaises(FileFault) as caught:
                notify_of(tomllib.loads(text))
            self.assertIn(words, TomlFile({}, text).place(caught.exception))

    def test_secrets(self) -> None:
        """No fault shows a secret, and none may stand where anybody can read it."""
        for key in ("password", "signing_secret"):
            text = GOOD.replace('url_env = "CHAT_URL"', f'{key} = "hush"')
            with self.assertRaises(FileFault) as caught:
                notify_of(tomllib.loads(text))
            self.assertNotIn("hush", str(caught.exception))
        self.assertNotIn("hush", repr(notify_of(tomllib.loads(GOOD.replace("/hook", "/hush")))))

    def test_targets(self) -> None:
        """Secrets are read from the environment and from files for each attempt."""
        secret = Path(self.mktemp())
        text = GOOD.replace('"secret"', f'"{secret}"')
        destinations = notify_of(tomllib.loads(text)).destinations
        with self.assertRaises(RenderingError) as caught:
            destinations["bot"].target({})
        self.assertIn(
            f"signing_secret_file {secret} can't be read: No such file", str(caught.exception)
        )
        secret.write_text("plain key\nmore")
        self.assertEqual(destinations["bot"].target({}).signing_keys, ("plain key",))
        target = destinations["chat"].target({"CHAT_URL": "https://chat.example.org/T0/B0"})
        self.assertLessEqual({"https://chat.example.org/T0/B0", "/T0/B0"}, target.secrets)
        mail = destinations["list"].mail_target({"MAIL_PASSWORD": "x"})
        self.assertEqual((mail.login, mail.port, mail.is_tls), (("board", "x"), 465, True))
        self.assertEqual(
            [each.key for each in destinations["list"].addressees],
            ["list ci@example.org", "list Ada <ada@example.org>"],
        )
        with self.assertRaises(RenderingError):
            destinations["list"].mail_target({})

    def test_reload(self) -> None:
        """A file that changes is read again; a faulty one is logged once, and changes nothing."""
        path, book = Path(self.mktemp()), LogBook()
        path.write_text(GOOD)
        file = RuleFile(path, notify_of, Notify(), "--notify", book.log)
        file.read()
        path.write_text(GOOD.replace("after = 2", "after = 22222"))
        file.read()
        file.forget()
        file.read()
        self.assertEqual(file.rules, read_rules(self.good(), notify_of))
        [line] = book.lines
        self.assertIn("line 24: after is 22222", line)
        path.write_text(GOOD.replace("after = 2", "after = 33"))
        file.read()
        self.assertEqual(file.rules.rules[0].after, 33)
        path.unlink()
        file.read()
        self.assertEqual(file.rules.rules[0].after, 33)
        self.assertIn("No such file", book.lines[-1])

    def good(self) -> Path:
        """Return a file without a fault."""
        path = Path(self.mktemp())
        path.write_text(GOOD)
        return path


class QuietHoursTest(SynchronousTestCase):
    """Quiet hours."""

    def test_over(self) -> None:
        """Hours may pass midnight, be of some days, and of a day that the clock shortens."""
        night = quiet_hours_of("22:00-07:00 Europe/Berlin")
        weekend = quiet_hours_of("Sat-Sun 00:00-24:00 UTC")
        for now, hours, expected in (
            ("2026-11-24 20:59", (night,), None),
            ("2026-11-24 21:00", (night,), "2026-11-25 06:00"),
            ("2026-11-25 05:59", (night,), "2026-11-25 06:00"),
            ("2026-11-25 06:00", (night,), None),
            ("2027-03-27 22:00", (night,), "2027-03-28 05:00"),  # summer time begins
            ("2026-11-28 12:00", (weekend,), "2026-11-30 00:00"),
            ("2026-11-28 12:00", (weekend, night), "2026-11-30 06:00"),
            ("2026-11-30 00:00", (weekend,), None),
        ):
            found = over_at(hours, seconds(now))
            self.assertEqual(found, expected and seconds(expected), now)

    def test_always(self) -> None:
        """Where it is always quiet there is an end to the search."""
        always = quiet_hours_of("00:00-24:00 UTC")
        self.assertGreater(over_at((always,), 0.0) or 0, 86_400)
