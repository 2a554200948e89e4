"""What a person asks of a board, and the words for what can't be."""

from __future__ import annotations

import argparse
import contextlib
import io
import socket
from collections.abc import Mapping
from pathlib import Path

from support.commands import temporary_folder
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.board.server import MAX_BODY, Settings
from buildbot_http_status_push.commands import board_settings as values
from buildbot_http_status_push.commands.board import add_board
from buildbot_http_status_push.database import file_url

KEY = "whsec_" + "AQEB" * 8


def parse(*arguments: str) -> argparse.Namespace:
    """Parse the arguments of the sub-command."""
    parser = argparse.ArgumentParser()
    add_board(parser.add_subparsers())
    return parser.parse_args(["board", *arguments])


def settings(*arguments: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Return what is asked for."""
    return values.settings(parse(*arguments), environment or {})


class SettingsTests(SynchronousTestCase):
    """What is understood, and what is refused."""

    def test_nothing_given(self) -> None:
        """Without arguments it listens on this machine, and keeps a file in the folder."""
        found = settings()
        self.assertEqual((found.host, found.port), ("127.0.0.1", 8020))
        self.assertEqual(found.database, file_url("board.sqlite"))
        self.assertEqual((found.keep, found.max_body, found.max_browsers), (None, MAX_BODY, 10_000))
        self.assertTrue(found.access.is_open)

    def test_address(self) -> None:
        """Where it listens is told as a page that a browser can open."""
        self.assertEqual(values.address("127.0.0.1", 8020), "http://127.0.0.1:8020/")
        self.assertEqual(values.address("::1", 8020), "http://[::1]:8020/")
        for host in ("0.0.0.0", "::", ""):  # noqa: S104  not listened on
            self.assertIn(f"http://{socket.gethostname()}:8020/ and", values.address(host, 8020))

    def test_all_given(self) -> None:
        """Each argument reaches its setting."""
        found = settings(
            *("--port", "0", "--host", "::1", "--database", "postgresql://db/board"),
            *("--master", "main=https://a.example.org", "--master", "main=https://b.example.org/"),
            *("--origin", "https://wall.example.org/", "--keep", "90d", "--max-body", "2K"),
            *("--max-browsers", "7", "--public-url", "https://ci.example.org/board"),
        )
        self.assertEqual(found.public_url, "https://ci.example.org/board/")
        self.assertEqual((found.port, found.host, found.max_browsers), (0, "::1", 7))
        self.assertEqual(found.database, "postgresql://db/board")
        names = {"https://a.example.org/": "main", "https://b.example.org/": "main"}
        self.assertEqual(found.names, names)
        self.assertEqual(found.origins, ("https://wall.example.org",))
        self.assertEqual((found.keep, found.max_body), (90 * 86_400.0, 2048))

    def test_secrets(self) -> None:
        """Keys and passwords come from arguments, files and the environment."""
        folder = temporary_folder(self)
        for name, text in (("key", f"{KEY}\n"), ("pw", "p w \nsecond line")):
            (folder / name).write_text(text)
        found = settings(
            *("--secret", "a key", "--secret-file", f"{folder}/key", "--user", "ci"),
            *("--read-auth", f"ada:{folder}/pw"),
            environment={values.SECRET_VARIABLE: "other", values.PASSWORD_VARIABLE: "hush"},
        )
        self.assertEqual(found.access.keys, ("a key", KEY, "other"))
        self.assertEqual(found.access.senders, {"ci": "hush"})
        self.assertEqual(found.access.readers, {"ada": "p w"})

    def test_loopback(self) -> None:
        """What anybody may send to is reached from this machine alone."""
        for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
            self.assertEqual(settings("--host", host).host, host)
        for host in ("0.0.0.0", "::", "192.0.2.1", "board.example.org", ""):  # noqa: S104
            words = self.refused("--host", host)
            self.assertIn(f"--host {host}: anyone who reaches the board", words)
            self.assertIn("--secret-file or --user", words)
            self.assertEqual(settings("--host", host, "--secret", "a key").host, host)

    def test_half_a_password(self) -> None:
        """A user without a password, a password without a user, and an empty key are refused."""
        self.assertIn("--user ci: its password is missing", self.refused("--user", "ci"))
        self.assertIn("no --user whose it is", self.refused("--password", "hush"))
        bad = {values.SECRET_VARIABLE: "whsec_short"}
        self.assertIn(f"{values.SECRET_VARIABLE}: a ", self.refused(environment=bad))

    def refused(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Return the words for settings that can't be."""
        refusal = self.assertRaises(
            values.SettingsError, settings, *arguments, environment=environment
        )
        return str(refusal)


class ArgumentTests(SynchronousTestCase):
    """Arguments that make no sense by themselves."""

    def complaint(self, *arguments: str) -> str:
        """Return what is written for arguments that can't be used."""
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), self.assertRaises(SystemExit):
            parse(*arguments)
        return errors.getvalue().splitlines()[-1]

    def test_named(self) -> None:
        """Each complaint names the argument, what was written and what would be right."""
        wrong = {
            "--port": ("65536", "65535"),
            "--master": ("main", "NAME=URL"),
            "--origin": ("https://wall.example.org/kiosk", "scheme and host"),
            "--keep": ("90", "such as 90d"),
            "--max-body": ("16G", "such as 16M"),
            "--max-browsers": ("0", "a number of browsers"),
            "--read-auth": ("ada", "USER:FILE"),
            "--secret-file": ("/nowhere/key", "can't be read"),
            "--public-url": ("https://ci.example.org/?a", "https://ci.example.org/board/"),
        }
        for argument, (value, words) in wrong.items():
            complaint = self.complaint(argument, value)
            self.assertIn(f"argument {argument}: ", complaint)
            self.assertIn(words, complaint)
            self.assertIn(value, complaint)

    def test_more_wrong(self) -> None:
        """Zeros, signs and addresses of other kinds are none of what is wanted."""
        for argument, value in (
            ("--keep", "0d"), ("--keep", "-1d"), ("--keep", "d"), ("--max-body", "0"),
            ("--master", "=https://x/"), ("--master", "a=ftp://x/"), ("--master", "a=https://[x/"),
            ("--origin", "wall.example.org"), ("--read-auth", ":file"), ("--read-auth", "ada:"),
            ("--public-url", "/board/"), ("--public-url", "https://ada:pw@ci.example.org/"),
            ("--public-url", "https://ci.example.org//board/"),
            ("--public-url", "https://ci.example.org/../"),
            ("--public-url", "https://ci.example.org/builds/"),
        ):  # fmt: skip
            self.assertIn(f"argument {argument}: ", self.complaint(argument, value))

    def test_secret_unseen(self) -> None:
        """A malformed key is not written to the terminal."""
        for bad in ("whsec_hush", "whpk_hush"):
            complaint = self.complaint("--secret", bad)
            self.assertIn("argument --secret: a ", complaint)
            self.assertNotIn("hush", complaint)

    def test_no_password_in_file(self) -> None:
        """An empty file, and one that is no text, hold no password."""
        folder = temporary_folder(self)
        self.assertIn("holds no password", self.with_file(folder, b"\nsecond"))
        self.assertIn("can't be read", self.with_file(folder, b"\xff\xfe"))

    def with_file(self, folder: Path, content: bytes) -> str:
        """Return the complaint of a reader's file."""
        path = folder / "password"
        path.write_bytes(content)
        return self.complaint("--read-auth", f"ada:{path}")
