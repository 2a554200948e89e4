"""The board behind proxies, configured as the documentation says."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
import trustme
from support.boards import ask
from support.certificates import write_pair
from support.commands import Command, temporary_folder
from support.nginx import ADDRESS, Nginx
from support.ports import PATIENCE, free_port, wait_until_listening
from support.programs import missing
from support.statuses import a_body, as_bytes
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[2] / "docs" / "board" / "secure.md"
NAME = "board.example.com"
LARGE = 9_000_000
CADDY = """
{{
    admin off
    auto_https disable_redirects
    storage file_system {folder}
}}
"""


def fragment(language: str, heading: str) -> str:
    """Return what a part of the page says of a proxy."""
    part = PAGE.read_text().partition(f"\n### {heading}\n")[2].partition("\n##")[0]
    [found] = re.findall(rf"^```{language}\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return str(found)


class Caddy:
    """A real Caddy on a free loopback port, with a folder of its own.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("caddy")
        if program is None:
            raise missing("Caddy", "caddy")
        self._program = program
        self._folder = folder
        self.port = free_port()

    def start(self, sites: str) -> None:
        """Start it, and return when it listens."""
        configuration = self._folder / "Caddyfile"
        configuration.write_text(CADDY.format(folder=self._folder) + sites)
        with (self._folder / "caddy.log").open("wb") as log:
            command = [self._program, "run", "--adapter", "caddyfile", "--config", configuration]
            self._process = subprocess.Popen(
                command,
                env={"HOME": str(self._folder)},
                stdout=log,
                stderr=log,
            )
        told = (self._folder / "caddy.log").read_text
        wait_until_listening(self.port, self._process, told)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)


class BehindProxies(SynchronousTestCase):
    """A board that senders and browsers reach through TLS only."""

    def setUp(self) -> None:
        """Make certificates."""
        self.folder = temporary_folder(self)
        authority = trustme.CA()
        self.certificate, self.key = write_pair(self.folder, authority.issue_cert(NAME))
        self.trust = ssl.create_default_context()
        authority.configure_trust(self.trust)

    def start_board(self, *arguments: str) -> None:
        """Start the board."""
        where = ("--port", "0", "--database", f"sqlite:///{self.folder}/b.sqlite")
        command = Command("board", *where, *arguments)
        self.addCleanup(command.kill)
        self.board = int(command.line().partition("127.0.0.1:")[2].partition("/")[0])

    def test_nginx(self) -> None:
        """Everything gets through nginx."""
        self.start_board("--allow-host", NAME)
        port = self.start_nginx(fragment("nginx", "nginx"))
        self.check(port, f"https://{NAME}:{port}/")

    def test_path(self) -> None:
        """Everything gets through nginx below a path, which it takes away."""
        self.start_board("--public-url", f"https://{NAME}/board/")
        server, location = fragment("nginx", "nginx"), fragment("nginx", "Below a path")
        other = re.sub(r"    location / \{.*?\n    \}\n", location, server, flags=re.DOTALL)
        port = self.start_nginx(other)
        self.check(port, f"https://{NAME}/board/", "/board")
        self.assertIn('href="/board/builders/1"', self.ask(port, "GET", path="/board/grid")[1])

    def start_nginx(self, text: str) -> int:
        """Start nginx with documented servers, and return its port."""
        for documented, here in (
            ("/etc/ssl/board.example.com.pem", str(self.certificate)),
            ("/etc/ssl/private/board.example.com.key", str(self.key)),
            ("127.0.0.1:8020", f"127.0.0.1:{self.board}"),
        ):
            self.assertIn(documented, text)
            text = text.replace(documented, here)
        nginx = Nginx(self.folder)
        self.addCleanup(nginx.stop)
        self.assertIn("listen 443 ", text)
        nginx.start_with(text.replace("listen 443 ", f"listen {ADDRESS} "))
        return nginx.port

    def test_caddy(self) -> None:
        """Everything gets through Caddy."""
        self.start_board("--allow-host", NAME)
        caddy = Caddy(self.folder)
        text = fragment("caddy", "Caddy").replace("127.0.0.1:8020", f"127.0.0.1:{self.board}")
        own = f"{NAME}:{caddy.port} {{\n tls {self.certificate} {self.key}\n"
        self.assertIn(f"{NAME} {{\n", text)
        caddy.start(text.replace(f"{NAME} {{\n", own))
        self.addCleanup(caddy.stop)
        self.check(caddy.port, f"https://{NAME}:{caddy.port}/")

    def check(self, port: int, address: str, path: str = "") -> None:
        """Send, look and watch as from outside."""
        origin = f"https://{NAME}:{port}"
        self.assertEqual(self.ask(port, "POST", as_bytes(a_body()), f"{path}/"), (200, "stored\n"))
        large = a_body(2) | {"padding": "x" * LARGE}
        self.assertEqual(self.ask(port, "POST", as_bytes(large), f"{path}/"), (200, "stored\n"))
        status, page = self.ask(port, "GET", path=f"{path}/?builder=linux")
        self.assertEqual(status, 200)
        found = re.search(r'data-epoch="(\w+)" data-sequence="(\d+)"', page)
        assert found is not None
        self.assertIn(f'"{address}"', self.ask(port, "GET", path=f"{path}/feed.atom")[1])
        where = f"{path}/live?epoch={found[1]}&since={found[2]}"
        with self.watch(port, where, origin) as watching:
            ask(self.board, "POST", "/", as_bytes(a_body(3)))
            while (frame := json.loads(watching.recv(PATIENCE)))["sequence"] < 3:
                pass  # what it is welcomed with
            self.assertEqual(frame["type"], "updates")
        with self.assertRaises(InvalidStatus) as refused, self.watch(port, where, "https://a.b"):
            pass
        self.assertEqual(refused.exception.response.status_code, 403)

    def ask(self, port: int, method: str, body: bytes = b"", path: str = "/") -> tuple[int, str]:
        """Send a request through the proxy."""
        connection = http.client.HTTPSConnection(NAME, port, timeout=PATIENCE, context=self.trust)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE)
        connection.sock = self.trust.wrap_socket(plain, server_hostname=NAME)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def watch(self, port: int, where: str, origin: str) -> ClientConnection:
        """Open a WebSocket through the proxy."""
        sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        return connect(
            f"wss://{NAME}:{port}{where}",
            sock=sock,
            ssl=self.trust,
            origin=Origin(origin),
            close_timeout=PATIENCE,
        )
