"""What holds for every test: a folder of its own, and nothing secret reaches a log."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.guard import guard_children
from twisted.logger import LogEvent, eventAsText, globalLogPublisher

PATIENCE = 60.0
LIMIT = 110.0
"""Seconds that a test may take, if it doesn't say more; pytest's own limit comes after it."""

SECRETS = ("s3cret", "client-secret", "token-secret", "whsec_AQEBAQEB", "whsec_AgICAgIC")
"""What the tests use for secrets: passwords, tokens and signing keys, or how these begin."""


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C, and this process' end however it comes, end all that tests start."""
    # pytest rewrites its plugins' asserts before.
    from buildbot.monkeypatches import patch_testcase_timeout
    from hypothesis import settings
    from twisted.trial.unittest import TestCase

    # A loaded machine turns no test red.
    settings.register_profile("untimed", settings.default, deadline=None)
    settings.load_profile("untimed")
    # Buildbot gives all tests five seconds once a master has read a log, unless it has done so.
    patch_testcase_timeout()
    TestCase.timeout = LIMIT
    guard = guard_children()
    config.add_cleanup(lambda: end(guard))
    # A script's background job ignores Ctrl-C, and hands that down.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end(guard: subprocess.Popen[bytes]) -> None:
    """Have the guard do its work, and wait for that."""
    guard.communicate(timeout=PATIENCE)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing behind in the checkout: trial makes its temporary files where it is run."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def nothing_secret_is_logged() -> Iterator[None]:
    """Sweep over everything that is logged while a test runs, Buildbot's own lines included."""
    told: list[str] = []

    def observe(event: LogEvent) -> None:
        text = eventAsText(event)
        told.extend(f"{secret} in: {text}" for secret in SECRETS if secret in text)

    globalLogPublisher.addObserver(observe)
    yield
    globalLogPublisher.removeObserver(observe)
    assert told == []
