"""A board whose file system is read-only but for its own directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from unittest import SkipTest
from urllib.parse import urlsplit

from support.commands import Command, temporary_folder
from support.statuses import a_body, as_bytes
from twisted.trial.unittest import SynchronousTestCase

from buildbot_http_status_push.database import file_url

READ_ONLY = """
set -e
mount --make-rprivate /
mount --bind / /
mount --bind "$1" "$1"
mount -o remount,bind,ro /
for each in /tmp /var/tmp /dev/shm; do
    case $1/ in $each/*) continue;; esac
    [ ! -d $each ] || mount -t tmpfs -o ro none $each
done
shift
cd /
exec "$@"
"""
"""Makes everything read-only but the directory that is named first, and runs a command in it."""
LARGE = 300_000
"""Bytes of a body that Twisted would keep in a temporary file."""


class ReadOnlyTest(SynchronousTestCase):
    """A container without a place to write to."""

    def setUp(self) -> None:
        """Start a board in a mount namespace of its own."""
        folder = temporary_folder(self)
        within = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder))
        probe = [*within, "true"]
        if os.getuid() or subprocess.run(probe, capture_output=True, check=False).returncode:
            raise SkipTest("mount namespaces need root")
        database = file_url(folder / "board.sqlite")
        board = Command(
            "board", "--port", "0", "--database", database,
            environment={"TMPDIR": "/nowhere"}, within=within,
        )  # fmt: skip
        self.addCleanup(board.kill)
        line = board.line(lambda line: "The board is at" in line)
        self.assertTrue(line, "the board did not start")
        address = next(word for word in line.split() if word.startswith("http")).rstrip(",")
        parts = urlsplit(address)
        self.connection = HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self.addCleanup(self.connection.close)

    def post(self, body: bytes | Iterator[bytes]) -> int:
        """Send a status, in chunks if it comes in pieces, and return the answer's status."""
        self.connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        answer.read()
        return answer.status

    def test_large_bodies(self) -> None:
        """Large bodies are taken, with a length and in chunks, and pages are shown."""
        body = as_bytes(a_body(1, state_string="x" * LARGE))
        self.assertEqual(self.post(body), 200)
        self.assertEqual(self.post(iter([body[:1000], body[1000:]])), 200)
        self.connection.request("GET", "/")
        answer = self.connection.getresponse()
        self.assertEqual((answer.status, b"data-sequence" in answer.read()), (200, True))
