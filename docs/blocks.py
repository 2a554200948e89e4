"""A pytest plugin that runs the code blocks of the README and of these pages.

A block of Python whose first line is ``# master.cfg`` is loaded as ``buildbot checkconfig`` does,
by itself if it is complete, else at the end of a small complete one; the files that these pages
name are there. All other Python is executed.

A block of ``sh`` is run by bash on a machine of its own: a directory in which the paths of the
pages are, with a real master that reports to a real receiver. ``STAND_INS`` names the programs
that are not run there. The tutorial's blocks are ``shell``: ``tests/test_pages.py`` runs them.
"""

import atexit
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
import trustme
from buildbot.config.errors import ConfigErrors
from buildbot.config.master import FileLoader
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[1]
HERE = Path(sys.executable).parent
MARK = "# master.cfg"
COMPLETE = "BuildmasterConfig"
ETC = "/etc/buildbot"
BASE = """\
from buildbot.plugins import *
c = BuildmasterConfig = {}
c["buildbotNetUsageData"] = None
c["protocols"] = {"null": {}}
c["workers"] = [worker.LocalWorker("local")]
c["builders"] = [
    util.BuilderConfig(name=name, workernames=["local"], factory=util.BuildFactory())
    for name in ("linux", "release")
]
c["schedulers"] = [schedulers.Triggerable(name="nightly", builderNames=["linux", "release"])]
c["services"] = []
"""
REPORTER = """
c["schedulers"].append(schedulers.Periodic("once", ["linux"], periodicBuildTimer=86400))
c["services"].append(reporters.HttpStatusPush(serverUrl="{url}"))
"""
PATHS = re.compile(r"(?<![\w.])/(?=(?:etc|opt|run|srv|var)/)")
STAND_INS = (
    # They install, or need the machine's own service manager.
    *("pip", "systemctl", "journalctl", "docker"),
    # They ask a board that is not there.
    *("curl", "jq"),
    *(() if shutil.which("sqlite3") else ("sqlite3",)),
)
PATIENCE = 120
VERDICTS = """\
[[verdict]]
name = "main"
[[verdict.group]]
title = "all"
"""
KNOWN = """
title = "Disk full"
link = "https://bugs.example.org/77"
owner = "Ada"
until = 2099-03-31
pattern = "No space left on device"
"""
NOTIFY = """\
[to.chat]
kind = "slack"
url_env = "CHAT_URL"
[[rule]]
name = "main branch"
to = "chat"
"""
EDITS = re.compile("outbox (redeliver|drop|move)")
BEFORE_EDITS = """
INSERT INTO http_status_push_deliveries (reporter, id, lane, subject, event, title, content_type,
    body, state, created_at, updated_at, attempts, next_attempt, lease_until)
SELECT 'HttpStatusPush', id, id, id, 'message', 'message', 'text/plain', 'a', state,
    now - 40 * 86400, now, 1, now + 3000, 0
FROM (SELECT hex(randomblob(9)) AS id, 'dead' AS state, strftime('%s', 'now') + 0 AS now
    UNION ALL SELECT hex(randomblob(9)), 'retrying', strftime('%s', 'now') + 0);
UPDATE http_status_push_totals SET count = count + 2
WHERE reporter = 'HttpStatusPush' AND name = 'produced';
INSERT INTO http_status_push_totals VALUES ('status-page', 'produced', 0);
"""
AFTER_EDITS = "DELETE FROM http_status_push_totals WHERE reporter = 'status-page'"
"""Deliveries for the commands that change some, and a second reporter, only meanwhile."""
PRELUDE = """
python() {{ case "$*" in *bench.*|receiver*) ;; *) command python "$@" ;; esac; }}
python3() {{ case "$*" in *run.py*|*venv*) ;; *) command python "$@" ;; esac; }}
buildbot-http-status-push() {{
    case "$*" in
        *postgresql:*|*--proxy*|demo*|claim*) ;;  # other tests run these
        board\\ [a-z]*) command buildbot-http-status-push "$@" ;;
        board*|receive*)
            coproc command buildbot-http-status-push "$@" --port 0
            local pid=$COPROC_PID line=
            while read -r line <&"${{COPROC[0]}}"; do
                echo "$line"
                if [[ $line == *http://* ]]; then break; fi
            done
            kill "$pid"
            wait "$pid" || true ;;
        ping*) command buildbot-http-status-push ping --server-url {url} ;;
        *) command buildbot-http-status-push "$@" ;;
    esac
}}
"""


def check_config(text: str) -> str | None:
    """Load a master.cfg as ``buildbot checkconfig`` does.

    Args:
        text: The whole file, or a fragment of one.

    Returns:
        Its errors, None if there are none.
    """
    whole = text if COMPLETE in text else BASE + text
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "master.cfg")
        config.write_text(whole.replace(ETC, folder), encoding="utf-8")
        Path(folder, "secrets").mkdir()
        write_certificates(Path(folder))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                FileLoader(folder, config.name).loadConfig()
        except ConfigErrors as found:
            return "\n".join(found.errors)
    return None


def write_certificates(folder: Path) -> None:
    """Write the authority and the client certificate that the pages name."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "company-ca.pem")
    client = authority.issue_cert("client@example.com")
    client.cert_chain_pems[0].write_to_path(folder / "client.pem")
    client.private_key_pem.write_to_path(folder / "client.key")


class Machine:
    """Where blocks of ``sh`` run: the pages' paths, a master, and its receiver."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="http-status-push-docs-"))
        self.work = self.root / "work"
        for name in (
            *("etc/buildbot/secrets", "etc/buildbot-board", "etc/systemd/system"),
            *("opt/buildbot-board/bin", "srv/buildbot", "var/backups", "var/lib/buildbot-board"),
            *("var/lib/prometheus/node-exporter", "work/known-failures", "bin"),
        ):
            (self.root / name).mkdir(parents=True)
        for name in ("new-token.txt", "board-key", "wall-password", "team-password"):
            (self.work / name).write_text("a key for the tests of the documentation\n")
        (self.work / "verdicts.toml").write_text(VERDICTS)
        (self.work / "notify.toml").write_text(NOTIFY)
        (self.work / "known-failures" / "disk.toml").write_text(KNOWN)
        (self.work / "buildbot-http-status-push").symlink_to(ROOT)
        stand_ins = [self.root / "bin" / name for name in STAND_INS]
        for program in (*stand_ins, self.root / "opt/buildbot-board/bin/pip"):
            program.write_text("#!/bin/sh\ncat >/dev/null </dev/null\n")
            program.chmod(0o755)
        path = (str(self.root / "bin"), str(HERE), os.environ["PATH"])
        self.environment = os.environ | {
            "PATH": os.pathsep.join(path),
            "REVISION": "4f2a9c1",
            "WEBHOOK_KEY": "a key",
        }
        self.master = self.root / "srv/buildbot/master"
        atexit.register(self.stop)
        self.receiver = subprocess.Popen(
            [HERE / "buildbot-http-status-push", "receive", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.receiver.stdout is not None
        self.url = self.receiver.stdout.readline().split()[2].rstrip(",")
        self.environment["CHAT_URL"] = self.url
        # What nobody reads must not fill the pipe.
        self.drain = subprocess.Popen(
            ["cat"], stdin=self.receiver.stdout, stdout=subprocess.DEVNULL
        )
        self.start_master()
        database = "sqlite:////var/lib/buildbot-board/board.sqlite"
        self.run(f"buildbot-http-status-push board --port 8020 --database {database}")

    def start_master(self) -> None:
        """Create the master, and start it."""
        self.run("buildbot create-master /srv/buildbot/master")
        config = BASE + REPORTER.format(url=self.url)
        (self.master / "master.cfg").write_text(config, encoding="utf-8")
        self.run("buildbot start /srv/buildbot/master")

    def change(self, script: str) -> None:
        """Change the outbox by SQL."""
        outbox = sqlite3.connect(self.master / "http_status_push.sqlite", timeout=PATIENCE)
        with closing(outbox):
            outbox.executescript(script)

    def run(self, block: str) -> str | None:
        """Run a block.

        Args:
            block: What the page shows.

        Returns:
            What it printed if it failed, None otherwise.
        """
        edits = EDITS.search(block)
        if edits:
            self.change(BEFORE_EDITS)
        text = re.sub(" -o (buildbot|10001)", "", PATHS.sub(f"{self.root}/", block))
        text = re.sub(r"buildbot (?:re)?start ", rf"\g<0>--start_timeout={PATIENCE} ", text)
        text = text.replace("reconfig /", f"reconfig --progress_timeout={PATIENCE} /")
        done = subprocess.run(
            ["/bin/bash", "-euc", PRELUDE.format(url=self.url) + text],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=2 * PATIENCE,
        )
        if edits:
            self.change(AFTER_EDITS)
        return done.stdout if done.returncode else None

    def stop(self) -> None:
        """End what runs, and remove everything."""
        if self.master.exists():
            self.run("buildbot stop /srv/buildbot/master")
        self.receiver.kill()
        self.receiver.wait()
        self.drain.wait()
        shutil.rmtree(self.root)


@cache
def machine() -> Machine:
    """Return the one machine of all pages."""
    return Machine()


def evaluate(example: Example) -> str | None:
    """Run one block of Python.

    Args:
        example: The block.

    Returns:
        What is wrong, None if all is well.
    """
    if example.parsed.startswith(MARK):
        return check_config(example.parsed)
    wrong: str | None = PythonEvaluator()(example)
    return wrong


def evaluate_shell(example: Example) -> str | None:
    """Run one block of shell commands.

    Args:
        example: The block.

    Returns:
        What is wrong, None if all is well.
    """
    return machine().run(example.parsed)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a page's blocks in their order, and allow the first for the start of the master."""
    items.sort(key=lambda item: not isinstance(item, SybilItem))
    blocks = [item for item in items if isinstance(item, SybilItem)]
    blocks.sort(key=lambda item: (item.path, item.example.line))
    items[: len(blocks)] = blocks
    for item in blocks:
        item.add_marker(pytest.mark.timeout(4 * PATIENCE))


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=evaluate),
        CodeBlockParser(language="sh", evaluator=evaluate_shell),
    ],
    path=str(ROOT),
    patterns=["README.md", "docs/**/*.md"],
).pytest()
