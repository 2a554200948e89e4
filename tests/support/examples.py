"""The receivers in examples/, run as their readers run them, and posted to over HTTP."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.programs import missing

from buildbot_http_status_push.signing import sign

PROGRAMS = Path(__file__).parents[2] / "examples"
KEY = "whsec_" + "QUJD" * 12
_URL = re.compile(r"http://127\.0\.0\.1:\d+")
# Ends a request that should have been answered, so that a test fails instead of hanging.
PATIENCE = 30.0

BUILD: dict[str, Any] = {
    "buildid": 1,
    "number": 7,
    "builderid": 2,
    "buildrequestid": 3,
    "workerid": None,
    "masterid": 1,
    "started_at": 1_700_000_000,
    "complete_at": None,
    "complete": False,
    "state_string": "starting",
    "results": None,
    "properties": {},
    "url": "http://localhost:8010/#/builders/2/builds/7",
    "builder": {"builderid": 2, "name": "linux", "masterids": [1], "description": None, "tags": []},
    "buildrequest": {
        "buildrequestid": 3,
        "buildsetid": 4,
        "builderid": 2,
        "priority": 0,
        "claimed": True,
        "claimed_at": 1_700_000_000,
        "claimed_by_masterid": 1,
        "complete": False,
        "results": -1,
        "submitted_at": 1_700_000_000,
        "complete_at": None,
        "waited_for": False,
    },
    "buildset": {
        "bsid": 4,
        "external_idstring": None,
        "reason": "test",
        "submitted_at": 1_700_000_000,
        "complete": False,
        "complete_at": None,
        "results": -1,
        "parent_buildid": None,
        "parent_relationship": None,
        "sourcestamps": [],
    },
    "parentbuild": None,
    "parentbuilder": None,
    "a key of tomorrow": {"builder": ["unknown"]},
}
"""A build that has begun: the keys that the contract requires, and one it does not know."""


def finished(results: int, complete_at: int) -> dict[str, Any]:
    """Return the build when it has ended."""
    return {**BUILD, "complete": True, "complete_at": complete_at, "results": results}


def interpreter(name: str) -> str:
    """Return the path of what runs programs with this file name."""
    if name.endswith(".py"):
        return sys.executable
    node = shutil.which("node")
    if node is None:
        raise missing("node", "nodejs")
    return node


class Example:
    """A program that runs in a folder, on a free port.

    Args:
        name: The program's file name.
        folder: Where the program works; what it keeps stays there.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            [interpreter(name), str(PROGRAMS / name)],
            cwd=folder,
            env={**os.environ, "PORT": "0", "WEBHOOK_KEY": KEY, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = self._listening()

    def _listening(self) -> str:
        said = []
        while line := self.line():
            said.append(line)
            if found := _URL.search(line):
                return found[0]
        self.kill()
        raise AssertionError("the program ended before it listened:\n" + "".join(said))

    def line(self) -> str:
        """Wait for the next line that the program writes; empty when it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def wait_for(self, word: str, count: int) -> None:
        """Wait until so many lines with a word in them have been written, or the program ends."""
        while count and (line := self.line()):
            count -= word in line

    def post(self, body: Any, event: str, message_id: str, **changes: Any) -> tuple[int, str]:
        """Post a signed delivery.

        Args:
            body: What is sent as JSON, or bytes.
            event: The event's name.
            message_id: The ``webhook-id``.
            changes: How it is signed (``key``, ``signed_at``), or what is changed once it is
                signed (``sent_id``, ``sent_at``, ``sent_body``).

        Returns:
            The HTTP status code, and the answer.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        signed_at = changes.get("signed_at", int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "Buildbot-Event": event,
            "webhook-id": changes.get("sent_id", message_id),
            "webhook-timestamp": str(changes.get("sent_at", signed_at)),
            "webhook-signature": sign(changes.get("key", KEY), message_id, signed_at, content),
        }
        return self.ask("POST", "/submit", changes.get("sent_body", content), headers)

    def builds(self) -> list[dict[str, Any]]:
        """Return the builds as the program lists them."""
        status, text = self.ask("GET", "/builds", None, {})
        assert status == 200, text
        listed: list[dict[str, Any]] = json.loads(text)
        return listed

    def ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        """Send a request; return the HTTP status code and the answer."""
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def kill(self) -> None:
        """End the program, as a crash would, and close what it was read with."""
        with self._process:
            self._process.kill()
