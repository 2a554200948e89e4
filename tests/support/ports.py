"""Ports of servers that can't choose a free one themselves, and when they listen."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable

PATIENCE = 30.0


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Tell whether something listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_listening(
    port: int, process: subprocess.Popen[bytes], told: Callable[[], str]
) -> None:
    """Wait until a server listens.

    Args:
        port: Its port.
        process: Its process.
        told: Returns its log.

    Raises:
        AssertionError: It has ended, or does not listen in time; the text is its log.
    """
    end = time.monotonic() + PATIENCE
    while not listens(port):
        assert process.poll() is None, told()
        assert time.monotonic() < end, told()
        time.sleep(0.02)
