"""Servers that tests start, where the machine has them."""

from __future__ import annotations

import os
from unittest import SkipTest


def missing(program: str, package: str) -> Exception:
    """Return what to raise where a program is not there: a skip, but a fault where CI runs.

    Args:
        program: What is missing, in words.
        package: The package of Debian and Ubuntu that has it.
    """
    words = f"{program} is missing. On Debian and Ubuntu: apt-get install {package}"
    return FileNotFoundError(words) if os.environ.get("CI") else SkipTest(words)
