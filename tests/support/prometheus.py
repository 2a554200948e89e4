"""A real Prometheus on loopback, which scrapes one place."""

from __future__ import annotations

import json
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import quote

from support.boards import ask
from support.ports import PATIENCE, free_port

SCRAPE = """
global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}
scrape_configs:
  - job_name: tests
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus:
    """Scrapes a port's ``/metrics`` ten times a second.

    Args:
        folder: A folder of its own.
        scraped: The port.
    """

    def __init__(self, folder: Path, scraped: int) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise unittest.SkipTest("apt-get install prometheus")
        config = folder / "prometheus.yml"
        config.write_text(SCRAPE.format(port=scraped))
        self._port = free_port()
        command = [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def found(self, query: str) -> list[str]:
        """Return the values that it has for a query; none while it starts."""
        try:
            answer = ask(self._port, "GET", f"/api/v1/query?query={quote(query)}")
        except OSError:
            return []
        if answer.status != 200:
            return []
        results: list[Any] = json.loads(answer.body)["data"]["result"]
        return [each["value"][1] for each in results]
