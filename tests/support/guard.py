"""Ends what a test run has started, when the run ends in whatever way, killed too."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

MARK = "HTTP_STATUS_PUSH_RUN"
"""The variable by which a run's children are known, whatever session or folder they are in."""

# Its input ends with the run. Where there is no /proc, nothing is found and nothing is ended.
GUARD = """
cat
for process in /proc/[0-9]*; do
    if tr '\\0' '\\n' <"$process/environ" | grep -qxF "$1"; then
        kill -KILL "${process#/proc/}"
    fi
done
"""


def guard_children() -> subprocess.Popen[bytes]:
    """Mark all children to come, and start what ends those that are left when this process ends.

    Returns:
        The guard; when its input is closed, it does its work.
    """
    before = dict(os.environ)
    os.environ[MARK] = secrets.token_hex(16)
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", f"{MARK}={os.environ[MARK]}"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path("/"),
        env={name: value for name, value in before.items() if name != MARK},
    )
